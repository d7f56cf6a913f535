//! Writing whole files so that a crash leaves the old one or the new one, never half of either.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::disk::{Disk, DiskError};
use crate::layout::{FORMAT, Layout};
use crate::log::LogError;

/// Writes files through a temporary name, and remembers which directories to sync.
#[derive(Debug)]
pub(crate) struct Files {
    disk: Arc<dyn Disk>,
    /// The ledger's folder.
    root: PathBuf,
    tmp: PathBuf,
    counter: u64,
    /// Directories known to exist.
    known: BTreeSet<PathBuf>,
    /// Directories with names that are not durable yet.
    dirty: BTreeSet<PathBuf>,
}

// === impl Files ===

impl Files {
    pub(crate) fn new(disk: Arc<dyn Disk>, layout: &Layout) -> Self {
        Self {
            disk,
            root: layout.dir().to_owned(),
            tmp: layout.tmp(),
            counter: 0,
            known: BTreeSet::new(),
            dirty: BTreeSet::new(),
        }
    }

    /// Removes what a crash left half written.
    pub(crate) fn clear_tmp(&self) -> Result<(), DiskError> {
        self.disk.create_dir_all(&self.tmp)?;
        for item in self.disk.list(&self.tmp)? {
            self.disk.remove(&self.tmp.join(item.name))?;
        }
        Ok(())
    }

    /// Writes a file that never changes once it is there. It is durable after [`Files::sync`].
    ///
    /// Written again even when it is there, as after a crash or a failed sync: a directory whose sync
    /// failed may have forgotten it, and asking again would not tell.
    pub(crate) fn write_immutable(&mut self, path: &Path, bytes: &[u8]) -> Result<(), LogError> {
        match self.disk.read(path) {
            Ok(found) if found == bytes => {}
            Ok(_) => {
                return Err(LogError::Damaged {
                    path: path.to_owned(),
                    what: "it is not what the entries give",
                });
            }
            Err(error) if error.is_missing() => {}
            Err(error) => return Err(error.into()),
        }
        Ok(self.write(path, bytes)?)
    }

    /// Writes a file, replacing the one that is there. It is durable after [`Files::sync`].
    pub(crate) fn write(&mut self, path: &Path, bytes: &[u8]) -> Result<(), DiskError> {
        let dir = path.parent().unwrap_or_else(|| Path::new("."));
        if !self.known.contains(dir) {
            self.disk.create_dir_all(dir)?;
            // One that is there may not be durable: whoever made it may have died, or failed, before it
            // synced the parent.
            let below = dir.ancestors().skip(1);
            let below = below.take_while(|parent| parent.starts_with(&self.root));
            self.dirty.extend(below.map(Path::to_owned));
            self.known.insert(dir.to_owned());
        }
        let tmp = self.tmp.join(self.counter.to_string());
        self.counter += 1;
        let file = self.disk.create(&tmp)?;
        let written = file.write_at(0, bytes).and_then(|()| file.sync_data());
        // If we crash here, the temporary file is removed at the next start.
        let written = written.and_then(|()| self.disk.rename(&tmp, path));
        if written.is_err() {
            // Best effort; the next start removes it otherwise.
            let _ = self.disk.remove(&tmp);
        }
        written?;
        // If we crash here, the name may or may not be there; if it is, its content is whole.
        self.dirty.insert(dir.to_owned());
        Ok(())
    }

    /// Makes the names of all files written so far durable.
    pub(crate) fn sync(&mut self) -> Result<(), DiskError> {
        // Forgotten even on failure: whoever tries again writes the files again first.
        let mut dirs = std::mem::take(&mut self.dirty).into_iter();
        let synced = dirs.try_for_each(|dir| self.disk.sync_dir(&dir));
        if synced.is_err() {
            self.known.clear();
        }
        synced
    }

    /// Removes the files of a directory, and the directory. Nothing may depend on either.
    pub(crate) fn remove_all(&mut self, dir: &Path) -> Result<(), DiskError> {
        self.known.remove(dir);
        if !self.disk.exists(dir)? {
            return Ok(());
        }
        for item in self.disk.list(dir)? {
            self.disk.remove(&dir.join(item.name))?;
        }
        self.disk.remove_dir(dir)
    }
}

/// Checks that a folder is a ledger of this format; makes it one when it holds nothing yet.
pub(crate) fn claim_format(disk: &Arc<dyn Disk>, layout: &Layout) -> Result<(), LogError> {
    if check_format(&**disk, layout)? {
        return Ok(());
    }
    for held in [layout.served(), layout.wal()] {
        if disk.exists(&held)? {
            return Err(LogError::Damaged {
                path: layout.format(),
                what: "it is missing from a folder that is in use",
            });
        }
    }
    let mut files = Files::new(Arc::clone(disk), layout);
    files.clear_tmp()?;
    files.write(&layout.format(), FORMAT.as_bytes())?;
    // If we crash here, the next start finds an empty folder and writes the file again.
    files.sync()?;
    Ok(())
}

/// Whether a folder says that it is a ledger of this format; `false` when it says nothing.
pub(crate) fn check_format(disk: &dyn Disk, layout: &Layout) -> Result<bool, LogError> {
    match disk.read(&layout.format()) {
        Ok(found) if found == FORMAT.as_bytes() => Ok(true),
        Ok(found) => Err(LogError::Format {
            path: layout.dir().to_owned(),
            found: String::from_utf8_lossy(&found)
                .trim_end()
                .chars()
                .take(64)
                .collect(),
        }),
        Err(error) if error.is_missing() => Ok(false),
        Err(error) => Err(error.into()),
    }
}
