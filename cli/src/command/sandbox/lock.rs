//! Who runs a sandbox: the process that holds the lock of its folder, which goes with the process.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Write as _};

use entente_sandbox::Layout;

/// Held for as long as a sandbox runs.
#[derive(Debug)]
pub(crate) struct Held(File);

/// Takes the lock and writes down whose it is; `None` when another process runs this sandbox.
pub(crate) fn hold(layout: &Layout) -> io::Result<Option<Held>> {
    let mut options = OpenOptions::new();
    let mut file = options
        .create(true)
        .truncate(false)
        .read(true)
        .write(true)
        .open(layout.lock())?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Ok(None),
        Err(TryLockError::Error(error)) => return Err(error),
    }
    file.set_len(0)?;
    write!(file, "{}", std::process::id())?;
    Ok(Some(Held(file)))
}

/// The process that runs this sandbox, if any.
pub(crate) fn holder(layout: &Layout) -> Option<i32> {
    let mut file = File::open(layout.lock()).ok()?;
    match file.try_lock_shared() {
        Err(TryLockError::WouldBlock) => {
            let mut pid = String::new();
            file.read_to_string(&mut pid).ok()?;
            pid.trim().parse().ok().filter(|pid| *pid > 1)
        }
        _ => None,
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        // Closing the file would release it as well.
        let _ = self.0.unlock();
    }
}
