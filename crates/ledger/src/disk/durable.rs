//! Small files, replaced so that a crash leaves the old one or the new one, never a mixture; and folders
//! that say what they hold.

use std::path::{Path, PathBuf};

use super::{Disk, DiskError};

/// Writes the whole of `path`, which lies in a folder that exists and that this process alone
/// writes to. Durable when it returns.
///
/// # Errors
/// When the disk did not take it; then the old content, if any, is still there.
pub fn replace(disk: &dyn Disk, path: &Path, bytes: &[u8]) -> Result<(), DiskError> {
    let temporary = temporary(path);
    remove(disk, &temporary)?;
    let file = disk.create(&temporary)?;
    file.write_at(0, bytes)?;
    file.sync_data()?;
    // If we crash here, the new content lies beside the old one under a name nobody reads.
    disk.rename(&temporary, path)?;
    // If we crash here, either name may be found; both contents are whole.
    match path.parent() {
        Some(folder) => disk.sync_dir(folder),
        None => Ok(()),
    }
}

/// Reads a whole file; none when it does not exist.
///
/// # Errors
/// When it is there and cannot be read.
pub fn read(disk: &dyn Disk, path: &Path) -> Result<Option<Vec<u8>>, DiskError> {
    match disk.read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.is_missing() => Ok(None),
        Err(error) => Err(error),
    }
}

/// Removes a file that may be there. Not durable before its folder is synced.
///
/// # Errors
/// When it is there and cannot be removed.
pub fn remove(disk: &dyn Disk, path: &Path) -> Result<(), DiskError> {
    match disk.remove(path) {
        Err(error) if !error.is_missing() => Err(error),
        _ => Ok(()),
    }
}

/// Removes what a crash left half written in `folder`.
///
/// # Errors
/// When the folder cannot be read or changed.
pub fn sweep(disk: &dyn Disk, folder: &Path) -> Result<(), DiskError> {
    for item in disk.list(folder)? {
        if !item.is_dir && item.name.ends_with(TEMPORARY) {
            disk.remove(&folder.join(item.name))?;
        }
    }
    Ok(())
}

/// Makes durable what is visible in a folder, and the folder's own name: whoever wrote them may have died
/// before the sync.
///
/// # Errors
/// When the disk did not take them.
pub fn settle(disk: &dyn Disk, folder: &Path) -> Result<(), DiskError> {
    let parent = folder.parent();
    if let Some(parent) = parent.filter(|parent| !parent.as_os_str().is_empty()) {
        disk.sync_dir(parent)?;
    }
    disk.sync_dir(folder)
}

/// Whether a folder says that it holds this format; none when it does not say anything.
///
/// # Errors
/// When that cannot be read.
pub fn is_format(disk: &dyn Disk, folder: &Path, format: &str) -> Result<Option<bool>, DiskError> {
    let found = read(disk, &folder.join(FORMAT))?;
    Ok(found.map(|found| found == format.as_bytes()))
}

/// Whether a folder holds this format: a new one is created, and says so.
///
/// # Errors
/// When the disk fails.
pub fn claim(disk: &dyn Disk, folder: &Path, format: &str) -> Result<bool, DiskError> {
    disk.create_dir_all(folder)?;
    settle(disk, folder)?;
    if let Some(found) = is_format(disk, folder, format)? {
        return Ok(found);
    }
    replace(disk, &folder.join(FORMAT), format.as_bytes()).map(|()| true)
}

fn temporary(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(TEMPORARY);
    name.into()
}

const TEMPORARY: &str = ".new";
/// The file that says what a folder holds.
const FORMAT: &str = "FORMAT";
