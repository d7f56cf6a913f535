//! Blobs on disk: descriptor sets and agreements, each in a file named by its SHA-256.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use entente_directory::{Blobs, MAX_BLOB};
use entente_ledger::disk::{Disk, DiskError, durable};
use entente_reason::Reason;
use entente_signing::Digest;

/// A folder of blobs. One writer; readers anywhere.
#[derive(Debug)]
pub struct BlobStore {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    /// Sum of the lengths of all blobs.
    held: AtomicU64,
    limit: u64,
}

/// Why a blob was not kept. Variants are alphabetical.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BlobError {
    /// The disk failed.
    #[error("keeping a blob")]
    Disk(#[from] DiskError),
    /// The folder has reached its limit.
    #[error("no room for another blob")]
    Full,
    /// Its SHA-256 is not the name it was asked to be kept under.
    #[error("blob has another digest")]
    Mismatch,
    /// More than 4 MiB.
    #[error("blob is larger than 4 MiB")]
    TooLarge,
}

// === impl BlobStore ===

impl BlobStore {
    /// Opens the folder, creating it when missing. It takes at most `limit` bytes in all.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn open(disk: Arc<dyn Disk>, dir: &Path, limit: u64) -> Result<Self, DiskError> {
        disk.create_dir_all(dir)?;
        durable::sweep(&*disk, dir)?;
        let held = disk.list(dir)?.iter().map(|item| item.len).sum();
        Ok(Self {
            disk,
            dir: dir.to_owned(),
            held: AtomicU64::new(held),
            limit,
        })
    }

    /// Keeps a blob under its digest; durable when it returns. Keeping one again changes nothing.
    ///
    /// # Errors
    /// When it is not what its name says, there is no room, or the disk fails.
    pub fn keep(&self, hash: &Digest, blob: &[u8]) -> Result<(), BlobError> {
        if blob.len() > MAX_BLOB {
            return Err(BlobError::TooLarge);
        }
        if Digest::of(blob) != *hash {
            return Err(BlobError::Mismatch);
        }
        if self.find(hash)?.is_some() {
            return Ok(());
        }
        let length = blob.len() as u64;
        if self.held.load(Ordering::Relaxed).saturating_add(length) > self.limit {
            return Err(BlobError::Full);
        }
        durable::replace(&*self.disk, &self.path(hash), blob)?;
        self.held.fetch_add(length, Ordering::Relaxed);
        Ok(())
    }

    /// Reads a blob, and checks that it is still what its name says: a damaged one is as good as
    /// none.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn find(&self, hash: &Digest) -> Result<Option<Bytes>, DiskError> {
        let found = durable::read(&*self.disk, &self.path(hash))?;
        Ok(found
            .filter(|blob| Digest::of(blob) == *hash)
            .map(Bytes::from))
    }

    /// Whether a blob is held whole.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn holds(&self, hash: &Digest) -> Result<bool, DiskError> {
        Ok(self.find(hash)?.is_some())
    }

    fn path(&self, hash: &Digest) -> PathBuf {
        self.dir.join(hash.to_string())
    }
}

impl Blobs for BlobStore {
    fn blob(&self, hash: &Digest) -> Option<Bytes> {
        // A disk that fails is a blob not held: what rests on it is refused, and tried again later.
        self.find(hash).ok().flatten()
    }
}

// === impl BlobError ===

impl BlobError {
    /// What the caller is told.
    pub const fn reason(&self) -> Reason {
        match self {
            Self::Disk(_) | Self::Full => Reason::LogUnavailable,
            Self::Mismatch => Reason::BlobMismatch,
            Self::TooLarge => Reason::BlobTooLarge,
        }
    }
}

#[cfg(test)]
mod tests {
    use entente_ledger::disk::RealDisk;

    use super::*;

    #[test]
    fn keeps_what_it_is_named_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let store = BlobStore::open(Arc::new(RealDisk), dir.path(), 10).unwrap();
        let hash = Digest::of(b"blob");
        store.keep(&hash, b"blob").unwrap();
        store.keep(&hash, b"blob").unwrap();
        assert_eq!(store.blob(&hash).unwrap(), &b"blob"[..]);
        let wrong = store.keep(&Digest::of(b"x"), b"blob").unwrap_err();
        assert_eq!(wrong.reason(), Reason::BlobMismatch);
        let full = store.keep(&Digest::of(b"seven b"), b"seven b").unwrap_err();
        assert!(matches!(full, BlobError::Full));
    }

    #[test]
    fn does_not_hold_a_blob_that_was_damaged() {
        let dir = tempfile::tempdir().unwrap();
        let store = BlobStore::open(Arc::new(RealDisk), dir.path(), 100).unwrap();
        let hash = Digest::of(b"blob");
        store.keep(&hash, b"blob").unwrap();
        std::fs::write(dir.path().join(hash.to_string()), b"bl0b").unwrap();
        assert!(!store.holds(&hash).unwrap());
        store.keep(&hash, b"blob").unwrap();
        assert!(store.holds(&hash).unwrap());
    }
}
