//! Small files that are whole or not there, and folders that say what they hold.

use std::path::Path;

use entente_ledger::disk::{Disk, DiskError};

use crate::SidecarError;

/// Makes sure that a folder is of this format: writes `FORMAT` into a new one, refuses another.
pub(crate) fn claim(disk: &dyn Disk, dir: &Path, format: &str) -> Result<(), SidecarError> {
    disk.create_dir_all(dir)?;
    settle(disk, dir)?;
    for item in disk.list(dir)? {
        if item.name.ends_with(TEMPORARY) {
            disk.remove(&dir.join(item.name))?;
        }
    }
    if !has_format(disk, dir, format)? {
        put(disk, dir, "FORMAT", format.as_bytes())?;
    }
    Ok(())
}

/// Whether a folder says that it is of this format; another is refused.
pub(crate) fn has_format(disk: &dyn Disk, dir: &Path, format: &str) -> Result<bool, SidecarError> {
    match disk.read(&dir.join("FORMAT")) {
        Ok(found) if found == format.as_bytes() => Ok(true),
        Ok(_) => Err(SidecarError::Format {
            path: dir.to_owned(),
        }),
        Err(error) if error.is_missing() => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Makes durable what is visible in a folder, and the folder's own name: whoever wrote them may have died
/// before the sync.
pub(crate) fn settle(disk: &dyn Disk, dir: &Path) -> Result<(), DiskError> {
    let parent = dir.parent().filter(|parent| !parent.as_os_str().is_empty());
    if let Some(parent) = parent {
        disk.sync_dir(parent)?;
    }
    disk.sync_dir(dir)
}

/// Writes `dir/name`, replacing it; durable when it returns.
pub(crate) fn put(disk: &dyn Disk, dir: &Path, name: &str, bytes: &[u8]) -> Result<(), DiskError> {
    let temporary = dir.join(format!("{name}{TEMPORARY}"));
    remove(disk, &temporary)?;
    let file = disk.create(&temporary)?;
    file.write_at(0, bytes)?;
    file.sync_data()?;
    // If we crash here, the content lies under a name nobody reads, and the next start removes it.
    disk.rename(&temporary, &dir.join(name))?;
    // If we crash here, the name may or may not be there; what it names is whole.
    disk.sync_dir(dir)
}

/// Removes a file that may be there. Not durable before its folder is synced.
pub(crate) fn remove(disk: &dyn Disk, path: &Path) -> Result<(), DiskError> {
    match disk.remove(path) {
        Err(error) if !error.is_missing() => Err(error),
        _ => Ok(()),
    }
}

/// Reads a folder that its owner may be changing: what vanished while we looked is elsewhere the next
/// time.
pub(crate) fn again<T>(
    mut read: impl FnMut() -> Result<T, SidecarError>,
) -> Result<T, SidecarError> {
    for _ in 1..ATTEMPTS {
        match read() {
            Err(SidecarError::Damaged { .. } | SidecarError::Disk(_)) => {}
            done => return done,
        }
    }
    read()
}

const TEMPORARY: &str = ".new";

/// How often a folder that changes is looked at.
const ATTEMPTS: usize = 5;
