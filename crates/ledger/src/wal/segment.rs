//! The segment being written.

use std::path::{Path, PathBuf};

use super::frame::{Header, encode_header};
use super::{SPARE, segment_name};
use crate::disk::{Disk, DiskError, DiskFile};

/// The segment frames are appended to.
#[derive(Debug)]
pub(crate) struct Segment {
    number: u64,
    first_index: u64,
    path: PathBuf,
    file: Box<dyn DiskFile>,
    /// Where the next frame goes; everything before is durable.
    at: u64,
    /// How far the file is filled with zeros.
    reserved: u64,
}

// === impl Segment ===

impl Segment {
    /// Starts segment `number`, whose first entry will be `first_index`, with room for `reserve` bytes; 0
    /// lets the file grow as it is written.
    ///
    /// A spare file that was filled ahead of use becomes the segment.
    pub(crate) fn start(
        disk: &dyn Disk,
        wal: &Path,
        number: u64,
        first_index: u64,
        reserve: u64,
        spare: Option<Box<dyn DiskFile>>,
    ) -> Result<Self, DiskError> {
        let path = wal.join(segment_name(number));
        let header = encode_header(Header {
            number,
            first_index,
        });
        let is_spare = spare.is_some();
        let file = match spare {
            Some(file) => file,
            None => disk.create(&path)?,
        };
        let start = || {
            file.write_at(0, &header)?;
            if !is_spare {
                file.preallocate(reserve)?;
            }
            file.sync_data()?;
            // If we crash here, a spare is removed at the next start, and a segment without its
            // directory entry is as if it had never been: no frame is in it yet.
            if is_spare {
                disk.rename(&wal.join(SPARE), &path)?;
            }
            disk.sync_dir(wal)?;
            // If we crash here, the segment is empty and last, and the next start begins another.
            file.len()
        };
        match start() {
            Ok(reserved) => Ok(Self {
                number,
                first_index,
                path,
                at: header.len() as u64,
                reserved,
                file,
            }),
            Err(error) => {
                // Best effort: what stays is an empty segment, which replay passes over.
                let left = if is_spare { wal.join(SPARE) } else { path };
                let _ = disk.remove(&left);
                Err(error)
            }
        }
    }

    /// Makes the spare file: zeros, durable under its own name.
    pub(crate) fn spare(
        disk: &dyn Disk,
        wal: &Path,
        reserve: u64,
    ) -> Result<Box<dyn DiskFile>, DiskError> {
        let path = wal.join(SPARE);
        let file = disk.create(&path)?;
        match file.preallocate(reserve).and_then(|()| file.sync_data()) {
            Ok(()) => Ok(file),
            Err(error) => {
                let _ = disk.remove(&path);
                Err(error)
            }
        }
    }

    /// Writes frames and makes them durable. After an error the segment takes no more: its end is not
    /// known, and is never found out by asking the disk again.
    pub(crate) fn commit(&mut self, frames: &[u8]) -> Result<(), DiskError> {
        self.file.write_at(self.at, frames)?;
        // If we crash here, any part of these frames may be on the disk, in any order. Nobody was told
        // that they are, so the next start cuts off what is whole and what is torn is alike lost.
        self.file.sync_data()?;
        self.at += frames.len() as u64;
        Ok(())
    }

    /// Whether `len` more bytes fit a segment of `segment_bytes`.
    pub(crate) const fn fits(&self, len: u64, segment_bytes: u64) -> bool {
        self.at + len <= segment_bytes
    }

    /// Cuts off what was reserved or written in vain. Not synced: a later segment's header says where
    /// this one ends, so that nothing depends on it.
    pub(crate) fn seal(&self) -> Result<(), DiskError> {
        if self.reserved > self.at || self.file.len()? > self.at {
            self.file.set_len(self.at)?;
        }
        Ok(())
    }

    pub(crate) const fn number(&self) -> u64 {
        self.number
    }

    pub(crate) const fn first_index(&self) -> u64 {
        self.first_index
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Bytes written, all durable.
    pub(crate) const fn written(&self) -> u64 {
        self.at
    }
}
