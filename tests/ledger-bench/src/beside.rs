//! Where the measured ledger's attachments go: one file, a place for each entry.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;

use anyhow::Context as _;
use bytes::Bytes;
use entente_ledger::Companion;
use entente_ledger::companion::CompanionError;
use entente_ledger::disk::DiskError;

use crate::subject::ATTACHMENT;

/// Writes neighbours with one call and syncs when asked, as the sidecar does; encrypts nothing, since
/// that is not the ledger's work.
#[derive(Debug)]
pub(crate) struct Beside {
    path: PathBuf,
    file: File,
    /// Index of the first attachment that is not written yet.
    start: u64,
    held: Vec<u8>,
}

// === impl Beside ===

impl Beside {
    pub(crate) fn open(path: PathBuf) -> anyhow::Result<Self> {
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path);
        Ok(Self {
            file: file.with_context(|| format!("opening {}", path.display()))?,
            path,
            start: 0,
            held: Vec::new(),
        })
    }

    fn flush(&mut self) -> Result<(), CompanionError> {
        let written = self
            .file
            .write_all_at(&self.held, self.start * ATTACHMENT as u64);
        self.held.clear();
        written.map_err(|error| self.failed("write", error))
    }

    fn failed(&self, action: &'static str, error: std::io::Error) -> CompanionError {
        DiskError::new(action, &self.path, error).into()
    }
}

impl Companion for Beside {
    fn store(&mut self, index: u64, attachment: &Bytes) -> Result<(), CompanionError> {
        if attachment.len() != ATTACHMENT {
            return Err(CompanionError::Refused("not of the benchmark's length"));
        }
        let next = self.start + (self.held.len() / ATTACHMENT) as u64;
        if index != next || self.held.len() >= FLUSH {
            self.flush()?;
            self.start = index;
        }
        self.held.extend_from_slice(attachment);
        Ok(())
    }

    fn sync(&mut self) -> Result<(), CompanionError> {
        self.flush()?;
        let synced = self.file.sync_data();
        synced.map_err(|error| self.failed("sync", error))
    }
}

const FLUSH: usize = 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_attachment_has_its_place() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("attachments");
        let mut beside = Beside::open(path.clone()).unwrap();
        let attachment = |byte| Bytes::from(vec![byte; ATTACHMENT]);
        // The second and the last come again, as after a crash.
        for index in [0, 1, 2, 1, 2, 4] {
            beside.store(index, &attachment(index as u8 + 1)).unwrap();
        }
        beside.sync().unwrap();
        let bytes = std::fs::read(path).unwrap();
        let found: Vec<_> = bytes.chunks(ATTACHMENT).map(|chunk| chunk[0]).collect();
        assert_eq!(found, [1, 2, 3, 0, 5]);
        assert!(beside.store(5, &Bytes::from_static(b"short")).is_err());
    }
}
