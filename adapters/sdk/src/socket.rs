//! A Unix socket that only its owner can reach, from its first moment on.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

/// A listening socket; its file is removed when this is dropped.
#[derive(Debug)]
pub(crate) struct OwnedSocket {
    path: PathBuf,
    inode: (u64, u64),
}

/// Listens at `path` with mode 0600. A socket left behind by a process that is gone is replaced.
pub(crate) fn listen(path: &Path) -> io::Result<(UnixListener, OwnedSocket)> {
    use std::os::unix::fs::MetadataExt;

    clear_stale(path)?;
    let folder = path.parent().unwrap_or_else(|| Path::new("."));
    // Whoever may connect is decided when connecting, so a socket bound in the open and narrowed
    // afterwards could be reached in between. It is born in a folder nobody else can enter.
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let birth = folder.join(format!(".{name}.{}", std::process::id()));
    fs::DirBuilder::new().mode(0o700).create(&birth)?;
    let listening: io::Result<UnixListener> = (|| {
        let young = birth.join("s");
        let listener = UnixListener::bind(&young)?;
        fs::set_permissions(&young, Permissions::from_mode(0o600))?;
        fs::rename(&young, path)?;
        listener.set_nonblocking(true)?;
        Ok(listener)
    })();
    fs::remove_dir_all(&birth)?;
    let listener = listening?;
    let metadata = fs::symlink_metadata(path)?;
    let owned = OwnedSocket {
        path: path.to_path_buf(),
        inode: (metadata.dev(), metadata.ino()),
    };
    Ok((listener, owned))
}

fn clear_stale(path: &Path) -> io::Result<()> {
    let metadata = match fs::symlink_metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    if !metadata.file_type().is_socket() {
        return Err(io::Error::new(
            io::ErrorKind::AlreadyExists,
            "something other than a socket is in the way",
        ));
    }
    match UnixStream::connect(path) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => fs::remove_file(path),
        Err(error) => Err(error),
        Ok(_) => Err(io::Error::new(
            io::ErrorKind::AddrInUse,
            "another process listens there",
        )),
    }
}

// === impl OwnedSocket ===

impl Drop for OwnedSocket {
    fn drop(&mut self) {
        use std::os::unix::fs::MetadataExt;

        // A newer process may have taken the place; its socket is not ours to remove.
        let ours = fs::symlink_metadata(&self.path)
            .is_ok_and(|metadata| (metadata.dev(), metadata.ino()) == self.inode);
        if ours {
            let _ = fs::remove_file(&self.path);
        }
    }
}
