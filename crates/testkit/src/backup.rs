//! Backups as an operator makes them.

use std::path::Path;
use std::{fs, io};

/// Copies a folder with all its files, and who may read them. Sockets are left out: they are of a process, not of the data.
///
/// # Errors
/// When something cannot be read or written.
pub fn copy(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    fs::set_permissions(to, fs::metadata(from)?.permissions())?;
    for item in fs::read_dir(from)? {
        let item = item?;
        let (kind, target) = (item.file_type()?, to.join(item.file_name()));
        if kind.is_dir() {
            copy(&item.path(), &target)?;
        } else if kind.is_file() {
            fs::copy(item.path(), target)?;
        }
    }
    Ok(())
}
