//! The machine's file system.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, FileExt, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use super::{DirItem, Disk, DiskError, DiskFile, DiskLock};

/// The machine's file system.
#[derive(Clone, Copy, Debug, Default)]
pub struct RealDisk;

#[derive(Debug)]
struct RealFile {
    path: PathBuf,
    file: File,
}

#[derive(Debug)]
struct RealLock {
    /// The lock belongs to the open file and goes with it, also when the process is killed.
    _file: File,
}

// === impl RealDisk ===

impl Disk for RealDisk {
    fn create_dir_all(&self, dir: &Path) -> Result<(), DiskError> {
        let mut missing = Vec::new();
        let mut at = Some(dir);
        while let Some(path) = at.filter(|path| !path.as_os_str().is_empty() && !path.is_dir()) {
            missing.push(path);
            at = path.parent();
        }
        for path in missing.into_iter().rev() {
            // Who asked whom about what is nobody else's to read, encrypted openings or not.
            match fs::DirBuilder::new().mode(0o700).create(path) {
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                    return Err(DiskError::new("create directory", path, error));
                }
                _ => {}
            }
            match path.parent() {
                Some(parent) if !parent.as_os_str().is_empty() => self.sync_dir(parent)?,
                _ => self.sync_dir(Path::new("."))?,
            }
        }
        Ok(())
    }

    fn create(&self, path: &Path) -> Result<Box<dyn DiskFile>, DiskError> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            // As its folder: a master key's file stays private also where it is moved to.
            .mode(0o600)
            .open(path);
        boxed("create", path, file)
    }

    fn open(&self, path: &Path) -> Result<Box<dyn DiskFile>, DiskError> {
        let file = OpenOptions::new().read(true).write(true).open(path);
        boxed("open", path, file)
    }

    fn open_read(&self, path: &Path) -> Result<Box<dyn DiskFile>, DiskError> {
        boxed("open", path, File::open(path))
    }

    fn read(&self, path: &Path) -> Result<Vec<u8>, DiskError> {
        fs::read(path).map_err(|error| DiskError::new("read", path, error))
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<(), DiskError> {
        fs::rename(from, to).map_err(|error| DiskError::new("move", to, error))
    }

    fn link(&self, from: &Path, to: &Path) -> Result<(), DiskError> {
        fs::hard_link(from, to).map_err(|error| DiskError::new("link", to, error))
    }

    fn remove(&self, path: &Path) -> Result<(), DiskError> {
        fs::remove_file(path).map_err(|error| DiskError::new("remove", path, error))
    }

    fn remove_dir(&self, dir: &Path) -> Result<(), DiskError> {
        fs::remove_dir(dir).map_err(|error| DiskError::new("remove", dir, error))
    }

    fn list(&self, dir: &Path) -> Result<Vec<DirItem>, DiskError> {
        let failed = |error| DiskError::new("list", dir, error);
        let mut items = Vec::new();
        for item in fs::read_dir(dir).map_err(failed)? {
            let item = item.map_err(failed)?;
            let metadata = item.metadata().map_err(failed)?;
            items.push(DirItem {
                name: item.file_name().to_string_lossy().into_owned(),
                is_dir: metadata.is_dir(),
                len: if metadata.is_dir() { 0 } else { metadata.len() },
            });
        }
        items.sort();
        Ok(items)
    }

    fn exists(&self, path: &Path) -> Result<bool, DiskError> {
        path.try_exists()
            .map_err(|error| DiskError::new("look for", path, error))
    }

    fn sync_dir(&self, dir: &Path) -> Result<(), DiskError> {
        File::open(dir)
            .and_then(|dir| dir.sync_all())
            .map_err(|error| DiskError::new("sync", dir, error))
    }

    fn lock(&self, path: &Path) -> Result<Box<dyn DiskLock>, DiskError> {
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .map_err(|error| DiskError::new("lock", path, error))?;
        match file.try_lock() {
            Ok(()) => Ok(Box::new(RealLock { _file: file })),
            Err(TryLockError::WouldBlock) => {
                let error = io::Error::from(io::ErrorKind::WouldBlock);
                Err(DiskError::new("lock", path, error))
            }
            Err(TryLockError::Error(error)) => Err(DiskError::new("lock", path, error)),
        }
    }
}

fn boxed(
    action: &'static str,
    path: &Path,
    file: io::Result<File>,
) -> Result<Box<dyn DiskFile>, DiskError> {
    match file {
        Ok(file) => Ok(Box::new(RealFile {
            path: path.to_owned(),
            file,
        })),
        Err(error) => Err(DiskError::new(action, path, error)),
    }
}

// === impl RealFile ===

impl RealFile {
    fn failed(&self, action: &'static str, error: io::Error) -> DiskError {
        DiskError::new(action, &self.path, error)
    }
}

impl DiskFile for RealFile {
    fn read_at(&self, offset: u64, into: &mut [u8]) -> Result<usize, DiskError> {
        let mut read = 0;
        while read < into.len() {
            match self.file.read_at(&mut into[read..], offset + read as u64) {
                Ok(0) => break,
                Ok(n) => read += n,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.failed("read", error)),
            }
        }
        Ok(read)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<(), DiskError> {
        self.file
            .write_all_at(bytes, offset)
            .map_err(|error| self.failed("write", error))
    }

    fn sync_data(&self) -> Result<(), DiskError> {
        self.file
            .sync_data()
            .map_err(|error| self.failed("sync", error))
    }

    fn set_len(&self, len: u64) -> Result<(), DiskError> {
        self.file
            .set_len(len)
            .map_err(|error| self.failed("resize", error))
    }

    fn preallocate(&self, len: u64) -> Result<(), DiskError> {
        // Zeros are written, not just reserved: an extent that was only reserved is converted at
        // the first write, and that is the very metadata we want no sync to wait for.
        const ZEROS: &[u8] = &[0; 256 * 1024];
        let mut at = self.len()?;
        while at < len {
            let step = (len - at).min(ZEROS.len() as u64);
            self.write_at(at, &ZEROS[..step as usize])?;
            at += step;
        }
        Ok(())
    }

    fn len(&self) -> Result<u64, DiskError> {
        self.file
            .metadata()
            .map(|metadata| metadata.len())
            .map_err(|error| self.failed("measure", error))
    }
}

// === impl RealLock ===

impl DiskLock for RealLock {}
