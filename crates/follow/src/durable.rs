//! Small files, replaced so that a crash leaves the old one or the new one, never a mixture.

use std::path::{Path, PathBuf};

use entente_ledger::disk::{Disk, DiskError};

/// Writes the whole of `path`, which lies in a folder that exists and that this process alone
/// writes to. Durable when it returns.
///
/// # Errors
/// When the disk did not take it; then the old content, if any, is still there.
pub fn replace(disk: &dyn Disk, path: &Path, bytes: &[u8]) -> Result<(), DiskError> {
    let temporary = temporary(path);
    match disk.remove(&temporary) {
        Err(error) if !error.is_missing() => return Err(error),
        _ => {}
    }
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

/// Makes sure that a folder holds this format: writes `FORMAT` into a new one.
///
/// # Errors
/// When the disk fails, or ([`Err`] inside) the folder says it holds something else.
pub fn claim(disk: &dyn Disk, folder: &Path, format: &str) -> Result<Result<(), ()>, DiskError> {
    disk.create_dir_all(folder)?;
    let path = folder.join("FORMAT");
    match read(disk, &path)? {
        Some(bytes) if bytes == format.as_bytes() => Ok(Ok(())),
        Some(_) => Ok(Err(())),
        None => replace(disk, &path, format.as_bytes()).map(Ok),
    }
}

fn temporary(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(TEMPORARY);
    name.into()
}

const TEMPORARY: &str = ".new";
