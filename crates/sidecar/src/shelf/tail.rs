//! The end of an append-only file: what is added gathers in memory until a sync, or until it is much.

use std::path::Path;

use entente_ledger::disk::{Disk, DiskError, DiskFile};

/// A file and where its next frame goes.
#[derive(Debug)]
pub(super) struct Tail {
    pub(super) file: Box<dyn DiskFile>,
    pub(super) end: u64,
    /// The last bytes before `end`, not written yet: one write for many records.
    unwritten: Vec<u8>,
    /// How much of it is durable.
    durable: u64,
}

// === impl Tail ===

impl Tail {
    /// Opens a file of the folder `dir`, made if absent, at its beginning.
    pub(super) fn open(disk: &dyn Disk, path: &Path, dir: &Path) -> Result<Self, DiskError> {
        let file = match disk.open(path) {
            Err(error) if error.is_missing() => {
                let file = disk.create(path)?;
                disk.sync_dir(dir)?;
                file
            }
            opened => opened?,
        };
        Ok(Self {
            file,
            end: 0,
            unwritten: Vec::new(),
            durable: 0,
        })
    }

    /// Ends the file at `end`.
    pub(super) fn cut(&mut self, end: u64) -> Result<(), DiskError> {
        self.file.set_len(end)?;
        self.durable = end;
        self.roll_back();
        Ok(())
    }

    /// Adds bytes; durable after [`Tail::sync`].
    pub(super) fn append(&mut self, bytes: &[u8]) -> Result<(), DiskError> {
        self.unwritten.extend_from_slice(bytes);
        self.end += bytes.len() as u64;
        if self.unwritten.len() < BUFFER {
            return Ok(());
        }
        self.write()
    }

    fn write(&mut self) -> Result<(), DiskError> {
        if self.unwritten.is_empty() {
            return Ok(());
        }
        let at = self.end - self.unwritten.len() as u64;
        self.file.write_at(at, &self.unwritten)?;
        self.unwritten.clear();
        // One large record does not keep its memory.
        self.unwritten.shrink_to(2 * BUFFER);
        Ok(())
    }

    /// Makes everything added durable.
    pub(super) fn sync(&mut self) -> Result<(), DiskError> {
        self.write()?;
        self.file.sync_data()?;
        self.durable = self.end;
        Ok(())
    }

    /// Forgets what is not durable.
    pub(super) fn roll_back(&mut self) {
        self.end = self.durable;
        self.unwritten.clear();
    }
}

/// How much gathers before it is written, in bytes; at a sync, all of it is.
const BUFFER: usize = 256 * 1024;
