//! Reading a ledger's folder without writing to it: of a server that runs, that is down, or a copy.

use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;

use crate::checkpoint::SignedCheckpoint;
use crate::disk::Disk;
use crate::log::LogError;
use crate::note::NoteKey;
use crate::proof::{ConsistencyProof, InclusionProof};

/// Reads one ledger's folder, as it was when opened.
#[derive(Debug)]
pub struct Reader {}

impl Reader {
    /// Opens a folder. Entries of the write-ahead log that are not in the tiles yet are read too.
    ///
    /// # Errors
    /// When it is not a ledger's folder, or of a newer format, or cannot be read.
    pub fn open(disk: Arc<dyn Disk>, dir: impl Into<PathBuf>) -> Result<Self, LogError> {
        let _ = (disk, dir.into());
        todo!()
    }

    /// The ledger's origin, as its own files name it; `None` while it is empty.
    pub fn origin(&self) -> Option<&str> {
        todo!()
    }

    /// How many entries there are, those of the write-ahead log included.
    pub fn size(&self) -> u64 {
        todo!()
    }

    /// The newest checkpoint, when it is signed by `key`.
    ///
    /// # Errors
    /// When it cannot be read or is not signed by it.
    pub fn checkpoint(&self, key: &NoteKey) -> Result<Option<SignedCheckpoint>, LogError> {
        let _ = key;
        todo!()
    }

    /// One entry; `None` beyond the end.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn entry(&mut self, index: u64) -> Result<Option<Bytes>, LogError> {
        let _ = index;
        todo!()
    }

    /// Entries from `start` on, each with its index.
    pub fn entries(
        &mut self,
        start: u64,
    ) -> impl Iterator<Item = Result<(u64, Bytes), LogError>> + '_ {
        let _ = start;
        std::iter::empty()
    }

    /// Proves entry `index` in the tree of `size`, at most the newest checkpoint's.
    ///
    /// # Errors
    /// When the tiles do not reach that far or cannot be read.
    pub fn inclusion(&mut self, index: u64, size: u64) -> Result<Option<InclusionProof>, LogError> {
        let _ = (index, size);
        todo!()
    }

    /// Proves that the tree of `old_size` is the beginning of that of `new_size`.
    ///
    /// # Errors
    /// When the tiles do not reach that far or cannot be read.
    pub fn consistency(
        &mut self,
        old_size: u64,
        new_size: u64,
    ) -> Result<Option<ConsistencyProof>, LogError> {
        let _ = (old_size, new_size);
        todo!()
    }
}
