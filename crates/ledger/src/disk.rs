//! The disk as the ledger sees it, so that a test can own one that loses what was not synced.
//!
//! Paths are ordinary paths. Nothing is durable until its file is synced *and*, when it is new or
//! moved, its directory is synced too.

pub mod durable;
mod real;

use std::fmt::Debug;
use std::io;
use std::path::{Path, PathBuf};

pub use real::RealDisk;

/// What the ledger and the sidecar ask of a file system.
pub trait Disk: Debug + Send + Sync + 'static {
    /// Creates a directory and its missing parents, private to this user, and syncs the parent of each
    /// one it created.
    ///
    /// # Errors
    /// When one cannot be created or synced.
    fn create_dir_all(&self, dir: &Path) -> Result<(), DiskError>;

    /// Creates a file that does not exist yet, for reading and writing.
    ///
    /// # Errors
    /// When it exists, or cannot be created.
    fn create(&self, path: &Path) -> Result<Box<dyn DiskFile>, DiskError>;

    /// Opens a file that exists, for reading and writing.
    ///
    /// # Errors
    /// When it does not exist, or may not be opened.
    fn open(&self, path: &Path) -> Result<Box<dyn DiskFile>, DiskError>;

    /// Opens a file that exists, for reading alone.
    ///
    /// # Errors
    /// When it does not exist, or may not be opened.
    fn open_read(&self, path: &Path) -> Result<Box<dyn DiskFile>, DiskError>;

    /// Reads a whole file.
    ///
    /// # Errors
    /// When it does not exist, or cannot be read.
    fn read(&self, path: &Path) -> Result<Vec<u8>, DiskError>;

    /// Moves a file, replacing what is at `to`.
    ///
    /// # Errors
    /// When it cannot be moved.
    fn rename(&self, from: &Path, to: &Path) -> Result<(), DiskError>;

    /// Gives a file a second name, which must be free.
    ///
    /// # Errors
    /// When `to` exists, or cannot be made.
    fn link(&self, from: &Path, to: &Path) -> Result<(), DiskError>;

    /// Removes a file's name.
    ///
    /// # Errors
    /// When it does not exist, or cannot be removed.
    fn remove(&self, path: &Path) -> Result<(), DiskError>;

    /// Removes an empty directory.
    ///
    /// # Errors
    /// When it does not exist, or is not empty.
    fn remove_dir(&self, dir: &Path) -> Result<(), DiskError>;

    /// What a directory holds, by name.
    ///
    /// # Errors
    /// When it does not exist, or cannot be read.
    fn list(&self, dir: &Path) -> Result<Vec<DirItem>, DiskError>;

    /// Whether a file or directory exists.
    ///
    /// # Errors
    /// When that cannot be known.
    fn exists(&self, path: &Path) -> Result<bool, DiskError>;

    /// Makes the names in a directory durable.
    ///
    /// # Errors
    /// When the disk did not take them. Never tried again on the same state.
    fn sync_dir(&self, dir: &Path) -> Result<(), DiskError>;

    /// Takes a lock that lasts as long as the answer, creating the file when it is missing.
    ///
    /// # Errors
    /// [`DiskErrorKind::Locked`] when another writer holds it.
    fn lock(&self, path: &Path) -> Result<Box<dyn DiskLock>, DiskError>;
}

/// An open file.
pub trait DiskFile: Debug + Send + Sync {
    /// Reads up to `into.len()` bytes at `offset`; fewer only at the end of the file.
    ///
    /// # Errors
    /// When the disk cannot read them.
    fn read_at(&self, offset: u64, into: &mut [u8]) -> Result<usize, DiskError>;

    /// Writes all bytes at `offset`, growing the file when needed.
    ///
    /// # Errors
    /// When not all could be written; some may have been.
    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<(), DiskError>;

    /// Makes the content durable (`fdatasync`).
    ///
    /// # Errors
    /// When the disk did not take it. Never tried again: the caller closes the file, reads back what
    /// it had been promised, and goes on in a new one.
    fn sync_data(&self) -> Result<(), DiskError>;

    /// Cuts or grows the file to `len` bytes; what is new is zero.
    ///
    /// # Errors
    /// When it cannot.
    fn set_len(&self, len: u64) -> Result<(), DiskError>;

    /// Reserves room up to `len` by writing zeros, so that later writes move no metadata.
    ///
    /// # Errors
    /// When there is no room.
    fn preallocate(&self, len: u64) -> Result<(), DiskError>;

    /// How long the file is, in bytes.
    ///
    /// # Errors
    /// When that cannot be known.
    fn len(&self) -> Result<u64, DiskError>;

    /// Whether the file has no bytes.
    ///
    /// # Errors
    /// When that cannot be known.
    fn is_empty(&self) -> Result<bool, DiskError> {
        self.len().map(|len| len == 0)
    }
}

/// Holds a lock until dropped.
pub trait DiskLock: Debug + Send + Sync {}

/// One name in a directory.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct DirItem {
    /// The name, without the directory. Names that are not UTF-8 are shown with replacements.
    pub name: String,
    /// Whether it is a directory.
    pub is_dir: bool,
    /// Length in bytes of a file; 0 of a directory.
    pub len: u64,
}

/// What was being done when the disk failed.
#[derive(Debug, thiserror::Error)]
#[error("failed to {action} `{}`", path.display())]
pub struct DiskError {
    /// What was being done: `create`, `write`, `sync` …
    pub action: &'static str,
    /// To what.
    pub path: PathBuf,
    /// How it failed.
    pub kind: DiskErrorKind,
    /// What the system said.
    #[source]
    pub source: io::Error,
}

/// How the disk failed, as far as callers act on it. Variants are alphabetical.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DiskErrorKind {
    /// The name is taken.
    Exists,
    /// Another writer holds the lock.
    Locked,
    /// There is no such file.
    Missing,
    /// The disk, the quota or the file-size limit is full.
    NoSpace,
    /// Anything else.
    Other,
}

// === impl DiskError ===

impl DiskError {
    /// Sorts what the system said.
    pub fn new(action: &'static str, path: &Path, source: io::Error) -> Self {
        let kind = match source.kind() {
            io::ErrorKind::AlreadyExists => DiskErrorKind::Exists,
            io::ErrorKind::NotFound => DiskErrorKind::Missing,
            io::ErrorKind::StorageFull
            | io::ErrorKind::QuotaExceeded
            | io::ErrorKind::FileTooLarge => DiskErrorKind::NoSpace,
            io::ErrorKind::WouldBlock => DiskErrorKind::Locked,
            _ => DiskErrorKind::Other,
        };
        Self {
            action,
            path: path.to_owned(),
            kind,
            source,
        }
    }

    /// Whether the disk is full.
    pub fn is_no_space(&self) -> bool {
        self.kind == DiskErrorKind::NoSpace
    }

    /// Whether the file does not exist.
    pub fn is_missing(&self) -> bool {
        self.kind == DiskErrorKind::Missing
    }
}
