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
    let path = dir.join("FORMAT");
    match disk.read(&path) {
        Ok(found) if found == format.as_bytes() => Ok(()),
        Ok(_) => Err(SidecarError::Format {
            path: dir.to_owned(),
        }),
        Err(error) if error.is_missing() => Ok(put(disk, dir, "FORMAT", format.as_bytes())?),
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
    match disk.remove(&temporary) {
        Err(error) if !error.is_missing() => return Err(error),
        _ => {}
    }
    let file = disk.create(&temporary)?;
    file.write_at(0, bytes)?;
    file.sync_data()?;
    // If we crash here, the content lies under a name nobody reads, and the next start removes it.
    disk.rename(&temporary, &dir.join(name))?;
    // If we crash here, the name may or may not be there; what it names is whole.
    disk.sync_dir(dir)
}

const TEMPORARY: &str = ".new";
