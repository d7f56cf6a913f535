//! The machine's own network.

use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, PermissionsExt};
use std::path::Path;

use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};

use super::{Accept, Endpoint, Listener, Net, NetFuture, Remote, Stream};

/// TCP and Unix sockets of this machine.
///
/// TCP connections have `TCP_NODELAY` on both sides: gRPC writes small frames, and with Nagle's
/// algorithm each would wait for a delayed acknowledgement. Unix sockets are created with mode 0600:
/// being able to connect is what proves a local caller.
#[derive(Clone, Copy, Debug, Default)]
pub struct TokioNet;

// === impl TokioNet ===

impl Net for TokioNet {
    fn connect<'a>(&'a self, to: &'a Endpoint) -> NetFuture<'a, Stream> {
        Box::pin(async move {
            Ok(match to {
                Endpoint::Tcp { host, port } => {
                    let stream = TcpStream::connect((host.as_str(), *port)).await?;
                    stream.set_nodelay(true)?;
                    Box::new(stream) as Stream
                }
                Endpoint::Unix(path) => Box::new(UnixStream::connect(path).await?),
            })
        })
    }

    fn listen<'a>(&'a self, at: &'a Endpoint) -> NetFuture<'a, Listener> {
        Box::pin(async move {
            match at {
                Endpoint::Tcp { host, port } => {
                    let listener = TcpListener::bind((host.as_str(), *port)).await?;
                    let endpoint = listener.local_addr()?.into();
                    Ok(Listener::new(listener, endpoint))
                }
                Endpoint::Unix(path) => {
                    refuse_if_in_use(path).await?;
                    Ok(Listener::new(bind_private(path)?, at.clone()))
                }
            }
        })
    }
}

impl Accept for TcpListener {
    fn accept(&mut self) -> NetFuture<'_, (Stream, Remote)> {
        Box::pin(async move {
            let (stream, from) = Self::accept(self).await?;
            stream.set_nodelay(true)?;
            Ok((Box::new(stream) as Stream, Remote::Tcp(from)))
        })
    }
}

impl Accept for UnixListener {
    fn accept(&mut self) -> NetFuture<'_, (Stream, Remote)> {
        Box::pin(async move {
            let (stream, _) = Self::accept(self).await?;
            let uid = stream.peer_cred().ok().map(|credentials| credentials.uid());
            Ok((Box::new(stream) as Stream, Remote::Unix { uid }))
        })
    }
}

/// A socket file outlives its process, so one that nobody listens on is replaced; one in use, or
/// a file that is no socket, is left alone.
async fn refuse_if_in_use(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
        Ok(file) if !file.file_type().is_socket() => Err(io::ErrorKind::AlreadyExists.into()),
        Ok(_) => match UnixStream::connect(path).await {
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
            Ok(_) => Err(io::ErrorKind::AddrInUse.into()),
        },
    }
}

/// Binds inside a folder nobody else can enter, narrows the mode, then renames into place, so that
/// the socket is never reachable with a wider mode.
fn bind_private(path: &Path) -> io::Result<UnixListener> {
    let parent = path.parent().ok_or(io::ErrorKind::InvalidInput)?;
    let mut nonce = [0; 3];
    getrandom::fill(&mut nonce).map_err(io::Error::other)?;
    let nonce = u32::from_be_bytes([0, nonce[0], nonce[1], nonce[2]]);
    let private = parent.join(format!(".{nonce:06x}"));
    DirBuilder::new().mode(0o700).create(&private)?;
    let socket = private.join("s");
    let bound = UnixListener::bind(&socket).and_then(|listener| {
        fs::set_permissions(&socket, Permissions::from_mode(0o600))?;
        fs::rename(&socket, path)?;
        Ok(listener)
    });
    if bound.is_err() {
        // Nothing to report if there was nothing to remove.
        let _ = fs::remove_file(&socket);
    }
    fs::remove_dir(&private)?;
    bound
}
