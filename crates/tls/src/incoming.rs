//! Accepting: from a listener to connections a gRPC server can serve, handshakes done.

mod crowd;

use std::fmt;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use entente_identity::SystemId;
use entente_signing::Digest;
use futures_util::Stream as AsyncStream;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::{AbortHandle, JoinHandle, JoinSet};
use tokio::time::{sleep, timeout};
use tonic::transport::server::Connected;

use self::crowd::{Crowd, Place};
use crate::config::{ServerTls, TlsError, TlsStream};
use crate::net::{Listener, Remote, Stream};

/// What a connection has to prove before it is served.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum ServerSecurity {
    /// Nothing: a Unix socket or loopback, where reaching it, or a token, is the proof.
    Plain {
        /// The one system this listener was given to, if it was.
        system: Option<SystemId>,
    },
    /// A key, by mutual TLS.
    Tls(ServerTls),
}

/// Bounds on accepting.
#[derive(Clone)]
pub struct AcceptLimits {
    /// How long a handshake may take. Default 10 s.
    pub handshake_timeout: Duration,
    /// How many handshakes may be under way at once; others wait in the kernel. Default 256.
    pub max_pending: usize,
    /// How many connections may be open at once. Default 4,096.
    pub max_open: usize,
    /// How much of both one address may have, in percent, where TLS is spoken; IPv6 addresses of one
    /// /64 count as one. At least one connection. What is beyond is closed at once. Default 25.
    pub share_percent: usize,
    /// Told of each connection refused before it was served. Default: nobody.
    pub refused: Option<RefusalObserver>,
}

/// Told of connections refused in their handshake. Must not block.
pub type RefusalObserver = Arc<dyn Fn(Remote, &TlsError) + Send + Sync>;

/// Connections ready to be served: a `Stream` for tonic's `serve_with_incoming`. Dropping it stops
/// listening.
#[derive(Debug)]
pub struct Incoming {
    ready: mpsc::Receiver<Conn>,
    accepting: JoinHandle<()>,
}

/// Stops an [`Incoming`] that a server has already taken.
#[derive(Clone, Debug)]
pub struct StopListening(AbortHandle);

/// A connection being served.
pub struct Conn {
    io: ConnIo,
    peer: PeerInfo,
    _open: OwnedSemaphorePermit,
    _place: Option<Place>,
}

/// Who is at the other end of a connection; found in each request's extensions.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PeerInfo {
    /// SHA-256 of the SubjectPublicKeyInfo proven in the TLS handshake.
    pub spki: Option<Digest>,
    /// The system the listener was given to, when it was given to one alone.
    pub system: Option<SystemId>,
    /// The address, for logs; it proves nothing.
    pub remote: Remote,
}

enum ConnIo {
    Plain(Stream),
    Tls(Box<TlsStream>),
}

/// Serves `listener` under `security`. Handshakes run concurrently, each in its own task.
///
/// Must be called within a tokio runtime.
pub fn incoming(listener: Listener, security: ServerSecurity, limits: AcceptLimits) -> Incoming {
    let (ready, receiver) = mpsc::channel(READY);
    Incoming {
        ready: receiver,
        accepting: tokio::spawn(accept_all(listener, security, limits, ready)),
    }
}

async fn accept_all(
    mut listener: Listener,
    security: ServerSecurity,
    limits: AcceptLimits,
    ready: mpsc::Sender<Conn>,
) {
    let pending = Arc::new(Semaphore::new(limits.max_pending));
    let open = Arc::new(Semaphore::new(limits.max_open));
    let crowd = match security {
        ServerSecurity::Tls(_) => Some(Crowd::new(&limits)),
        // A Unix socket or loopback: all come from one place.
        ServerSecurity::Plain { .. } => None,
    };
    // Dropped with this future, and with it every handshake under way.
    let mut handshakes = JoinSet::new();
    loop {
        while handshakes.try_join_next().is_some() {}
        let (Ok(pending), Ok(open)) = (
            pending.clone().acquire_owned().await,
            open.clone().acquire_owned().await,
        ) else {
            return;
        };
        let (stream, remote) = tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    // Out of descriptors, or a connection that died in the queue: both pass.
                    tracing::warn!(event = "accept.failed", %error);
                    sleep(PAUSE).await;
                    continue;
                }
            },
            () = ready.closed() => return,
        };
        let place = match crowd.as_ref().map(|crowd| crowd.enter(remote)) {
            Some(Err(error)) => {
                refuse(remote, &error, &limits);
                continue;
            }
            Some(Ok(place)) => place,
            None => None,
        };
        let (security, limits, ready) = (security.clone(), limits.clone(), ready.clone());
        handshakes.spawn(async move {
            match admit(stream, remote, &security, limits.handshake_timeout).await {
                Ok((io, peer)) => {
                    let place = place.map(Place::established);
                    drop(pending);
                    // Fails only when nobody serves any more.
                    let _ = ready
                        .send(Conn {
                            io,
                            peer,
                            _open: open,
                            _place: place,
                        })
                        .await;
                }
                Err(error) => {
                    drop(place);
                    refuse(remote, &error, &limits);
                }
            }
        });
    }
}

fn refuse(remote: Remote, error: &TlsError, limits: &AcceptLimits) {
    tracing::debug!(event = "handshake.refused", %remote, reason = error.reason().code());
    if let Some(refused) = &limits.refused {
        refused(remote, error);
    }
}

async fn admit(
    stream: Stream,
    remote: Remote,
    security: &ServerSecurity,
    limit: Duration,
) -> Result<(ConnIo, PeerInfo), TlsError> {
    match security {
        ServerSecurity::Plain { system } => Ok((
            ConnIo::Plain(stream),
            PeerInfo {
                spki: None,
                system: system.clone(),
                remote,
            },
        )),
        ServerSecurity::Tls(tls) => {
            let stream = timeout(limit, tls.accept(stream))
                .await
                .map_err(|_| TlsError::Timeout)??;
            let peer = PeerInfo {
                spki: Some(stream.peer_spki()),
                system: None,
                remote,
            };
            Ok((ConnIo::Tls(Box::new(stream)), peer))
        }
    }
}

// === impl AcceptLimits ===

impl Default for AcceptLimits {
    fn default() -> Self {
        Self {
            handshake_timeout: Duration::from_secs(10),
            max_pending: 256,
            max_open: 4096,
            share_percent: 25,
            refused: None,
        }
    }
}

impl fmt::Debug for AcceptLimits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AcceptLimits")
            .field("handshake_timeout", &self.handshake_timeout)
            .field("max_pending", &self.max_pending)
            .field("max_open", &self.max_open)
            .field("share_percent", &self.share_percent)
            .finish_non_exhaustive()
    }
}

// === impl Incoming ===

impl Incoming {
    /// What stops listening while the server that took this goes on with its open connections: the
    /// first step of draining.
    pub fn stopper(&self) -> StopListening {
        StopListening(self.accepting.abort_handle())
    }
}

impl AsyncStream for Incoming {
    type Item = io::Result<Conn>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.ready.poll_recv(cx).map(|conn| conn.map(Ok))
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

// === impl StopListening ===

impl StopListening {
    /// Closes the listener and drops handshakes under way. The `Incoming` ends, and with it the
    /// server's accepting; a server run with graceful shutdown then finishes what is open.
    pub fn stop(&self) {
        self.0.abort();
    }
}

// === impl Conn ===

impl Conn {
    /// Who is at the other end.
    pub const fn peer(&self) -> &PeerInfo {
        &self.peer
    }
}

impl Connected for Conn {
    type ConnectInfo = PeerInfo;

    fn connect_info(&self) -> PeerInfo {
        self.peer.clone()
    }
}

impl fmt::Debug for Conn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Conn").field(&self.peer).finish()
    }
}

impl AsyncRead for Conn {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match &mut self.io {
            ConnIo::Plain(io) => Pin::new(io).poll_read(cx, buffer),
            ConnIo::Tls(io) => Pin::new(io).poll_read(cx, buffer),
        }
    }
}

impl AsyncWrite for Conn {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match &mut self.io {
            ConnIo::Plain(io) => Pin::new(io).poll_write(cx, bytes),
            ConnIo::Tls(io) => Pin::new(io).poll_write(cx, bytes),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.io {
            ConnIo::Plain(io) => Pin::new(io).poll_flush(cx),
            ConnIo::Tls(io) => Pin::new(io).poll_flush(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.io {
            ConnIo::Plain(io) => Pin::new(io).poll_shutdown(cx),
            ConnIo::Tls(io) => Pin::new(io).poll_shutdown(cx),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match &mut self.io {
            ConnIo::Plain(io) => Pin::new(io).poll_write_vectored(cx, parts),
            ConnIo::Tls(io) => Pin::new(io).poll_write_vectored(cx, parts),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match &self.io {
            ConnIo::Plain(io) => io.is_write_vectored(),
            ConnIo::Tls(io) => io.is_write_vectored(),
        }
    }
}

/// Connections ready but not yet taken by the server.
const READY: usize = 64;

/// After a failed accept.
const PAUSE: Duration = Duration::from_millis(50);
