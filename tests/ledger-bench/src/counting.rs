//! A disk that notes each commit of the write-ahead log, so that a bare file can be written as many
//! bytes.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use entente_ledger::disk::{DirItem, Disk, DiskError, DiskFile, DiskLock, RealDisk};

/// The real disk; what is written to segments is noted.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counting {
    inner: RealDisk,
    commits: Commits,
}

/// The bytes of each commit, in order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Commits(Arc<Mutex<Vec<usize>>>);

#[derive(Debug)]
struct CountingFile {
    inner: Box<dyn DiskFile>,
    /// `None` for files outside the write-ahead log.
    commits: Option<Commits>,
}

// === impl Counting ===

impl Counting {
    pub(crate) fn commits(&self) -> Commits {
        self.commits.clone()
    }

    fn file(&self, path: &Path, inner: Box<dyn DiskFile>) -> Box<dyn DiskFile> {
        let is_log = path.parent().is_some_and(|dir| dir.ends_with("wal"));
        let commits = is_log.then(|| self.commits.clone());
        Box::new(CountingFile { inner, commits })
    }
}

impl Disk for Counting {
    fn create_dir_all(&self, dir: &Path) -> Result<(), DiskError> {
        self.inner.create_dir_all(dir)
    }

    fn create(&self, path: &Path) -> Result<Box<dyn DiskFile>, DiskError> {
        Ok(self.file(path, self.inner.create(path)?))
    }

    fn open(&self, path: &Path) -> Result<Box<dyn DiskFile>, DiskError> {
        self.inner.open(path)
    }

    fn open_read(&self, path: &Path) -> Result<Box<dyn DiskFile>, DiskError> {
        self.inner.open_read(path)
    }

    fn read(&self, path: &Path) -> Result<Vec<u8>, DiskError> {
        self.inner.read(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<(), DiskError> {
        self.inner.rename(from, to)
    }

    fn link(&self, from: &Path, to: &Path) -> Result<(), DiskError> {
        self.inner.link(from, to)
    }

    fn remove(&self, path: &Path) -> Result<(), DiskError> {
        self.inner.remove(path)
    }

    fn remove_dir(&self, dir: &Path) -> Result<(), DiskError> {
        self.inner.remove_dir(dir)
    }

    fn list(&self, dir: &Path) -> Result<Vec<DirItem>, DiskError> {
        self.inner.list(dir)
    }

    fn exists(&self, path: &Path) -> Result<bool, DiskError> {
        self.inner.exists(path)
    }

    fn sync_dir(&self, dir: &Path) -> Result<(), DiskError> {
        self.inner.sync_dir(dir)
    }

    fn lock(&self, path: &Path) -> Result<Box<dyn DiskLock>, DiskError> {
        self.inner.lock(path)
    }
}

// === impl CountingFile ===

impl DiskFile for CountingFile {
    fn read_at(&self, offset: u64, into: &mut [u8]) -> Result<usize, DiskError> {
        self.inner.read_at(offset, into)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<(), DiskError> {
        // What is at the start of a segment is its header, no commit.
        if let (1.., Some(commits)) = (offset, &self.commits) {
            commits.note(bytes.len());
        }
        self.inner.write_at(offset, bytes)
    }

    fn sync_data(&self) -> Result<(), DiskError> {
        self.inner.sync_data()
    }

    fn set_len(&self, len: u64) -> Result<(), DiskError> {
        self.inner.set_len(len)
    }

    fn preallocate(&self, len: u64) -> Result<(), DiskError> {
        self.inner.preallocate(len)
    }

    fn len(&self) -> Result<u64, DiskError> {
        self.inner.len()
    }
}

// === impl Commits ===

impl Commits {
    fn note(&self, bytes: usize) {
        let mut noted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        noted.push(bytes);
    }

    /// What was noted so far; noting begins anew.
    pub(crate) fn take(&self) -> Vec<usize> {
        let mut noted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut noted)
    }
}
