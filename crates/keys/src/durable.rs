//! Files that are either absent or whole, private to this user.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

/// Creates `folder` (not its parents) with mode 0700 if it is absent.
pub(crate) fn create_folder(folder: &Path) -> io::Result<()> {
    match DirBuilder::new().mode(0o700).create(folder) {
        Ok(()) => sync_folder(folder.parent().unwrap_or(folder)),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
    }
}

/// Creates `folder/name` holding `content`, mode 0600. Fails if it exists; never replaces.
pub(crate) fn create(folder: &Path, name: &str, content: &[u8]) -> io::Result<()> {
    for _ in 0..ATTEMPTS {
        let temporary = temporary_in(folder)?;
        let created = write_and_link(&temporary, &folder.join(name), content);
        // If we crash here, a temporary file is left beside the whole one: `sweep` removes it.
        let removed = unless_absent(fs::remove_file(&temporary));
        match created {
            // Somebody swept the folder in the moment before we held the lock.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            created => created?,
        }
        removed?;
        return sync_folder(folder);
    }
    Err(io::ErrorKind::NotFound.into())
}

fn temporary_in(folder: &Path) -> io::Result<PathBuf> {
    let mut nonce = [0; 8];
    getrandom::fill(&mut nonce).map_err(io::Error::other)?;
    Ok(folder.join(format!("{TEMPORARY}{}", hex::encode(nonce))))
}

fn write_and_link(temporary: &Path, target: &Path, content: &[u8]) -> io::Result<()> {
    let _file = write_locked(temporary, content)?;
    // If we crash here, the target is still absent: the key was never promised to anybody.
    // A link, unlike a rename, never replaces what is already there.
    fs::hard_link(temporary, target)
}

fn write_locked(temporary: &Path, content: &[u8]) -> io::Result<File> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(temporary)?;
    // Says that whoever made this file lives, and goes with us if we die.
    file.lock()?;
    file.write_all(content)?;
    file.sync_all()?;
    Ok(file)
}

/// Puts `folder/name` holding `content`, mode 0600, in the place of what is there.
pub(crate) fn replace(folder: &Path, name: &str, content: &[u8]) -> io::Result<()> {
    for _ in 0..ATTEMPTS {
        let temporary = temporary_in(folder)?;
        let file = write_locked(&temporary, content)?;
        // If we crash here, what was there still is, and `sweep` removes the temporary file.
        let replaced = fs::rename(&temporary, folder.join(name));
        drop(file);
        match replaced {
            // Somebody swept the folder in the moment before we held the lock.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            replaced => replaced?,
        }
        return sync_folder(folder);
    }
    Err(io::ErrorKind::NotFound.into())
}

/// Overwrites and removes `folder/name`.
pub(crate) fn destroy(folder: &Path, name: &str) -> io::Result<()> {
    let path = folder.join(name);
    let mut file = OpenOptions::new().write(true).open(&path)?;
    let length = usize::try_from(file.metadata()?.len()).unwrap_or(MAX_FILE);
    file.write_all(&vec![0; length.min(MAX_FILE)])?;
    file.sync_all()?;
    // If we crash here, the file holds zeros: the key is gone, and loading it says so.
    fs::remove_file(&path)?;
    sync_folder(folder)
}

/// Reads a private file of at most [`MAX_FILE`] bytes.
pub(crate) fn read(path: &Path) -> io::Result<Zeroizing<Vec<u8>>> {
    let file = File::open(path)?;
    // Reserved at once, so that no copy is left behind by growing.
    let mut content = Zeroizing::new(Vec::with_capacity(MAX_FILE + 1));
    file.take(MAX_FILE as u64 + 1).read_to_end(&mut content)?;
    if content.len() > MAX_FILE {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    Ok(content)
}

/// Whether nobody but the owner may do anything with `path`.
pub(crate) fn is_private(path: &Path) -> io::Result<bool> {
    Ok(fs::symlink_metadata(path)?.permissions().mode() & 0o077 == 0)
}

/// Removes what a crash left of files being created; one that is being created now is locked.
pub(crate) fn sweep(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with(TEMPORARY) {
            unless_absent(remove_abandoned(&entry.path()))?;
        }
    }
    Ok(())
}

fn remove_abandoned(path: &Path) -> io::Result<()> {
    match File::open(path)?.try_lock() {
        Ok(()) => fs::remove_file(path),
        Err(TryLockError::WouldBlock) => Ok(()),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

fn unless_absent(removed: io::Result<()>) -> io::Result<()> {
    match removed {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn sync_folder(folder: &Path) -> io::Result<()> {
    // An empty parent is the current folder.
    let folder = if folder.as_os_str().is_empty() {
        Path::new(".")
    } else {
        folder
    };
    File::open(folder)?.sync_all()
}

/// The largest file of a key folder, in bytes.
pub(crate) const MAX_FILE: usize = 8 * 1024;

const TEMPORARY: &str = ".tmp-";

/// How often a file is tried to be created while others sweep the folder.
const ATTEMPTS: usize = 8;
