//! A disk in memory that behaves like the worst one allowed: what was not synced may be lost.
//!
//! Writes and names are kept as a list of operations until a sync makes them durable: a file's sync its
//! content, a directory's sync the names in it. [`MemDisk::crash_images`] restarts from any prefix of that
//! list, from names without content, from content without names, and from arbitrary parts.

mod image;
mod state;

use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use entente_ledger::disk::{DirItem, Disk, DiskError, DiskFile, DiskLock};

use state::{Inode, Op, State};

pub use image::CrashImages;

/// A disk in memory. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct MemDisk {
    state: Arc<Mutex<State>>,
}

/// How an operation fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// This operation and every later one fail: the machine is dead.
    Crash,
    /// This one operation fails, and has no effect.
    Error,
    /// This one operation fails; a write has written half.
    Torn,
}

#[derive(Debug)]
struct MemFile {
    disk: MemDisk,
    path: std::path::PathBuf,
    inode: Inode,
}

#[derive(Debug)]
struct MemLock {
    disk: MemDisk,
    path: std::path::PathBuf,
}

// === impl MemDisk ===

impl MemDisk {
    /// An empty disk without bounds or faults.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many changing operations were asked for so far: creations, writes, syncs, moves, removals.
    pub fn operations(&self) -> u64 {
        self.state().operations
    }

    /// Lets operation number `at` (counted as [`MemDisk::operations`] counts, from 0) fail.
    pub fn fail_at(&self, at: u64, fault: Fault) {
        self.state().faults.insert(at, fault);
    }

    /// Bounds how many bytes all files together may hold; `None` lifts the bound.
    pub fn set_capacity(&self, bytes: Option<u64>) {
        self.state().capacity = bytes;
    }

    /// Bytes all files together hold.
    pub fn used(&self) -> u64 {
        self.state().used()
    }

    /// The disk after a crash that lost everything that was not synced.
    pub fn crash(&self) -> Self {
        Self::holding(self.state().durable())
    }

    /// The disk after the process, but not the machine, died: nothing is lost.
    pub fn restart(&self) -> Self {
        Self::holding(self.state().restarted())
    }

    /// Disks as a crash could have left them; see [`CrashImages`]. `seed` picks the arbitrary ones.
    pub fn crash_images(&self, seed: u64) -> CrashImages {
        CrashImages::new(self.state().clone(), seed)
    }

    /// Every file, with its content, as programs see it.
    pub fn files(&self) -> Vec<(std::path::PathBuf, Vec<u8>)> {
        self.state().files()
    }

    /// Replaces a file's content behind every program's back, durably.
    pub fn overwrite(&self, path: impl AsRef<Path>, content: &[u8]) {
        self.state().overwrite(path.as_ref(), content);
    }

    fn holding(state: State) -> Self {
        Self {
            state: Arc::new(Mutex::new(state)),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Applies a change, unless a fault is due.
    fn change(&self, action: &'static str, path: &Path, op: Op) -> Result<(), DiskError> {
        let mut state = self.state();
        let failed = |error: io::Error| DiskError::new(action, path, error);
        match state.next_fault() {
            None => state.apply(op).map_err(failed),
            Some(Fault::Torn) => {
                if let Op::Write { inode, at, bytes } = op {
                    let bytes = bytes[..bytes.len() / 2].to_vec();
                    state
                        .apply(Op::Write { inode, at, bytes })
                        .map_err(failed)?;
                }
                Err(failed(io::Error::other("injected fault")))
            }
            Some(Fault::Crash | Fault::Error) => Err(failed(io::Error::other("injected fault"))),
        }
    }

    fn sync(&self, path: &Path, sync: impl FnOnce(&mut State)) -> Result<(), DiskError> {
        let mut state = self.state();
        match state.next_fault() {
            None => {
                sync(&mut state);
                Ok(())
            }
            Some(_) => {
                let error = io::Error::other("injected fault");
                Err(DiskError::new("sync", path, error))
            }
        }
    }

    fn file(&self, path: &Path) -> Result<Box<dyn DiskFile>, DiskError> {
        let inode = self.state().inode(path);
        let inode = inode.map_err(|error| DiskError::new("open", path, error))?;
        Ok(Box::new(MemFile {
            disk: self.clone(),
            path: path.to_owned(),
            inode,
        }))
    }
}

impl Disk for MemDisk {
    fn create_dir_all(&self, dir: &Path) -> Result<(), DiskError> {
        let missing: Vec<_> = dir
            .ancestors()
            .filter(|dir| !dir.as_os_str().is_empty() && !self.state().has_dir(dir))
            .map(Path::to_owned)
            .collect();
        for dir in missing.into_iter().rev() {
            self.change("create directory", &dir, Op::MakeDir { dir: dir.clone() })?;
            if let Some(parent) = dir.parent() {
                self.sync_dir(parent)?;
            }
        }
        Ok(())
    }

    fn create(&self, path: &Path) -> Result<Box<dyn DiskFile>, DiskError> {
        let inode = self.state().new_inode();
        let op = Op::Create {
            path: path.to_owned(),
            inode,
        };
        self.change("create", path, op)?;
        self.file(path)
    }

    fn open(&self, path: &Path) -> Result<Box<dyn DiskFile>, DiskError> {
        self.file(path)
    }

    fn open_read(&self, path: &Path) -> Result<Box<dyn DiskFile>, DiskError> {
        self.file(path)
    }

    fn read(&self, path: &Path) -> Result<Vec<u8>, DiskError> {
        let read = self.state().read(path);
        read.map_err(|error| DiskError::new("read", path, error))
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<(), DiskError> {
        let inode = self.state().inode(from);
        let inode = inode.map_err(|error| DiskError::new("move", from, error))?;
        let op = Op::Rename {
            from: from.to_owned(),
            to: to.to_owned(),
            inode,
        };
        self.change("move", to, op)
    }

    fn link(&self, from: &Path, to: &Path) -> Result<(), DiskError> {
        let inode = self.state().inode(from);
        let inode = inode.map_err(|error| DiskError::new("link", from, error))?;
        let op = Op::Create {
            path: to.to_owned(),
            inode,
        };
        self.change("link", to, op)
    }

    fn remove(&self, path: &Path) -> Result<(), DiskError> {
        let op = Op::Remove {
            path: path.to_owned(),
        };
        self.change("remove", path, op)
    }

    fn remove_dir(&self, dir: &Path) -> Result<(), DiskError> {
        let op = Op::RemoveDir {
            dir: dir.to_owned(),
        };
        self.change("remove", dir, op)
    }

    fn list(&self, dir: &Path) -> Result<Vec<DirItem>, DiskError> {
        let listed = self.state().list(dir);
        listed.map_err(|error| DiskError::new("list", dir, error))
    }

    fn exists(&self, path: &Path) -> Result<bool, DiskError> {
        let state = self.state();
        Ok(state.has_dir(path) || state.inode(path).is_ok())
    }

    fn sync_dir(&self, dir: &Path) -> Result<(), DiskError> {
        self.sync(dir, |state| state.sync_dir(dir))
    }

    fn lock(&self, path: &Path) -> Result<Box<dyn DiskLock>, DiskError> {
        if !self.exists(path)? {
            self.create(path)?;
        }
        if !self.state().locks.insert(path.to_owned()) {
            let error = io::Error::from(io::ErrorKind::WouldBlock);
            return Err(DiskError::new("lock", path, error));
        }
        Ok(Box::new(MemLock {
            disk: self.clone(),
            path: path.to_owned(),
        }))
    }
}

// === impl MemFile ===

impl DiskFile for MemFile {
    fn read_at(&self, offset: u64, into: &mut [u8]) -> Result<usize, DiskError> {
        let state = self.disk.state();
        let content = state.content(self.inode);
        let from = content.len().min(offset as usize);
        let read = into.len().min(content.len() - from);
        into[..read].copy_from_slice(&content[from..from + read]);
        Ok(read)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<(), DiskError> {
        let op = Op::Write {
            inode: self.inode,
            at: offset,
            bytes: bytes.to_vec(),
        };
        self.disk.change("write", &self.path, op)
    }

    fn sync_data(&self) -> Result<(), DiskError> {
        let sync = |state: &mut State| state.sync_file(self.inode);
        self.disk.sync(&self.path, sync)
    }

    fn set_len(&self, len: u64) -> Result<(), DiskError> {
        let op = Op::SetLen {
            inode: self.inode,
            len,
        };
        self.disk.change("resize", &self.path, op)
    }

    fn preallocate(&self, len: u64) -> Result<(), DiskError> {
        if self.len()? < len {
            self.set_len(len)?;
        }
        Ok(())
    }

    fn len(&self) -> Result<u64, DiskError> {
        Ok(self.disk.state().content(self.inode).len() as u64)
    }
}

// === impl MemLock ===

impl DiskLock for MemLock {}

impl Drop for MemLock {
    fn drop(&mut self) {
        self.disk.state().locks.remove(&self.path);
    }
}

#[cfg(test)]
mod tests;
