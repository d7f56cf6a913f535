//! The network as a seam: where bytes come from and go to, TCP or Unix socket, real or simulated.
//!
//! [`TokioNet`] is the machine's network. Tests give another [`Net`]. Nothing here is encrypted.

mod endpoint;
mod tokio_net;

use std::fmt;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;

use tokio::io::{AsyncRead, AsyncWrite};

pub use endpoint::{Endpoint, InvalidEndpoint};
pub use tokio_net::TokioNet;

/// A byte stream in both directions.
pub trait Io: AsyncRead + AsyncWrite + Send + Unpin + 'static {}

/// A connection, whatever carries it.
pub type Stream = Box<dyn Io>;

/// A future of this module's traits.
pub type NetFuture<'a, T> = Pin<Box<dyn Future<Output = io::Result<T>> + Send + 'a>>;

/// Connects and listens.
pub trait Net: fmt::Debug + Send + Sync + 'static {
    /// Opens a connection. Not bounded in time beyond what the network itself gives up after.
    /// Dropping the future abandons the attempt.
    fn connect<'a>(&'a self, to: &'a Endpoint) -> NetFuture<'a, Stream>;

    /// Starts listening. Port 0 takes a free port: [`Listener::endpoint`] says which.
    fn listen<'a>(&'a self, at: &'a Endpoint) -> NetFuture<'a, Listener>;
}

/// The other half of [`Net::listen`], implemented by each network.
pub trait Accept: Send + 'static {
    /// Waits for the next connection. Cancel-safe.
    fn accept(&mut self) -> NetFuture<'_, (Stream, Remote)>;
}

/// Accepts connections at one endpoint.
pub struct Listener {
    inner: Box<dyn Accept>,
    endpoint: Endpoint,
}

/// Where a connection came from. Says nothing about who it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Remote {
    /// TCP, from this address.
    Tcp(SocketAddr),
    /// A Unix socket, from a process of this user.
    Unix {
        /// The user id the kernel reports, if it does.
        uid: Option<u32>,
    },
}

// === impl Io ===

impl<T: AsyncRead + AsyncWrite + Send + Unpin + 'static> Io for T {}

// === impl Listener ===

impl Listener {
    /// A listener of some network, which is bound to `endpoint`.
    pub fn new(inner: impl Accept, endpoint: Endpoint) -> Self {
        Self {
            inner: Box::new(inner),
            endpoint,
        }
    }

    /// Where it listens, with the port that was really taken.
    pub const fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Waits for the next connection. Cancel-safe.
    ///
    /// # Errors
    /// What the system says, for instance that no file descriptor is left. Listening goes on.
    pub async fn accept(&mut self) -> io::Result<(Stream, Remote)> {
        self.inner.accept().await
    }
}

impl Accept for Listener {
    fn accept(&mut self) -> NetFuture<'_, (Stream, Remote)> {
        self.inner.accept()
    }
}

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Listener({})", self.endpoint)
    }
}

// === impl Remote ===

impl fmt::Display for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => write!(f, "{address}"),
            Self::Unix { uid: Some(uid) } => write!(f, "unix socket, user {uid}"),
            Self::Unix { uid: None } => f.write_str("unix socket"),
        }
    }
}
