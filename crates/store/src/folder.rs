//! The store's folder: its format, its lock, its markers, and setting aside what cannot be used.
//!
//! ```text
//! FORMAT    entente-store 2
//! LOCK      held while open: one process only
//! OPENING   there while sled opens and is scanned; left behind by a crash in it
//! RUNNING   there while open; left behind by an unclean stop
//! index/    sled's files
//! aside-N/  what was set aside, newest three
//! ```

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use crate::store::StoreError;

/// A locked folder of known format.
#[derive(Debug)]
pub(crate) struct Folder {
    path: PathBuf,
    _lock: File,
}

// === impl Folder ===

impl Folder {
    /// Creates (with parents) or enters the folder and locks it.
    pub(crate) fn enter(path: &Path) -> Result<Self, StoreError> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(path)
            .map_err(StoreError::Folder)?;
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(path.join("LOCK"))
            .map_err(StoreError::Folder)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(fs::TryLockError::WouldBlock) => return Err(StoreError::InUse),
            Err(fs::TryLockError::Error(error)) => return Err(StoreError::Folder(error)),
        }
        let folder = Self {
            path: path.to_owned(),
            _lock: lock,
        };
        folder.check_format()?;
        Ok(folder)
    }

    /// Where sled's files are.
    pub(crate) fn index(&self) -> PathBuf {
        self.path.join("index")
    }

    /// Whether a marker is there.
    pub(crate) fn has(&self, marker: &str) -> bool {
        // A marker that cannot be examined counts as there: the cost is a rebuild.
        self.path.join(marker).try_exists().unwrap_or(true)
    }

    /// Sets a marker, durably.
    pub(crate) fn mark(&self, marker: &str) -> io::Result<()> {
        write_new(&self.path.join(marker), b"")?;
        self.sync()
    }

    /// Removes a marker, durably.
    pub(crate) fn unmark(&self, marker: &str) -> io::Result<()> {
        match fs::remove_file(self.path.join(marker)) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
            _ => self.sync(),
        }
    }

    /// Moves sled's files out of the way and forgets all but the newest three such.
    pub(crate) fn set_aside(&self) -> io::Result<Option<PathBuf>> {
        if !self.index().try_exists()? {
            return Ok(None);
        }
        let mut numbers = self.asides()?;
        numbers.sort_unstable();
        let next = numbers.last().map_or(1, |last| last.saturating_add(1));
        let aside = self.aside(next);
        fs::rename(self.index(), &aside)?;
        self.sync()?;
        // If we crash here, one folder too many is left; the next time removes it.
        let surplus = (numbers.len() + 1).saturating_sub(KEPT_ASIDE);
        for number in numbers.into_iter().take(surplus) {
            fs::remove_dir_all(self.aside(number))?;
        }
        Ok(Some(aside))
    }

    fn asides(&self) -> io::Result<Vec<u64>> {
        let mut numbers = Vec::new();
        for entry in fs::read_dir(&self.path)? {
            let name = entry?.file_name();
            let number = name.to_str().and_then(|name| name.strip_prefix(ASIDE));
            numbers.extend(number.and_then(|number| number.parse::<u64>().ok()));
        }
        Ok(numbers)
    }

    fn aside(&self, number: u64) -> PathBuf {
        self.path.join(format!("{ASIDE}{number}"))
    }

    fn check_format(&self) -> Result<(), StoreError> {
        let path = self.path.join("FORMAT");
        match fs::read(&path) {
            Ok(found) if found == FORMAT => Ok(()),
            // Cut short by a crash while it was first written: there is nothing else yet.
            Ok(found) if FORMAT.starts_with(&found) => {
                fs::remove_file(&path).map_err(StoreError::Folder)?;
                self.write_format(&path)
            }
            Ok(found) if found == OLDER => {
                self.set_aside().map_err(StoreError::Folder)?;
                // If we crash here, the format is the older one still, and there is no index.
                self.write_format(&path)
            }
            Ok(found) => Err(StoreError::Format {
                found: String::from_utf8_lossy(&found).chars().take(40).collect(),
            }),
            Err(error) if error.kind() == ErrorKind::NotFound => self.write_format(&path),
            Err(error) => Err(StoreError::Folder(error)),
        }
    }

    fn write_format(&self, path: &Path) -> Result<(), StoreError> {
        write_new(path, FORMAT)
            .and_then(|()| self.sync())
            .map_err(StoreError::Folder)
    }

    fn sync(&self) -> io::Result<()> {
        File::open(&self.path)?.sync_all()
    }
}

/// Deletes every store under `root` except those named, whole: nothing depends on sled giving
/// space back. Returns how many went. Folders that are not stores are left alone.
///
/// # Errors
/// When a folder cannot be read or removed; those in use are refused with `ResourceBusy`.
pub fn retire(root: &Path, keep: &[&str]) -> io::Result<usize> {
    let mut retired = 0;
    for entry in fs::read_dir(root)? {
        let entry = entry?;
        let name = entry.file_name();
        let path = entry.path();
        let kept = name.to_str().is_none_or(|name| keep.contains(&name));
        if kept || fs::read(path.join("FORMAT")).ok().as_deref() != Some(FORMAT) {
            continue;
        }
        let lock = OpenOptions::new().write(true).open(path.join("LOCK"));
        if lock.is_ok_and(|lock| lock.try_lock().is_err()) {
            return Err(ErrorKind::ResourceBusy.into());
        }
        fs::remove_dir_all(&path)?;
        retired += 1;
    }
    Ok(retired)
}

fn write_new(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .create(true)
        .truncate(true)
        .write(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(content)?;
    file.sync_all()
}

/// The marker of an opening under way.
pub(crate) const OPENING: &str = "OPENING";
/// The marker of a store in use.
pub(crate) const RUNNING: &str = "RUNNING";

const FORMAT: &[u8] = b"entente-store 2\n";
/// With a row for each message. Built anew.
const OLDER: &[u8] = b"entente-store 1\n";
const ASIDE: &str = "aside-";
const KEPT_ASIDE: usize = 3;
