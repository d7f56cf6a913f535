//! Serving: a Unix socket or loopback, gRPC health for each method, and a graceful stop.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::net::UnixListener;
use std::sync::Arc;
use std::time::Duration;

use entente_config::{ListenAddr, Secret};
use tokio::sync::watch;
use tokio_stream::StreamExt;
use tokio_stream::wrappers::{TcpListenerStream, UnixListenerStream};
use tonic::service::Routes;
use tonic::transport::Server;
use tonic_health::ServingStatus;
use tonic_health::server::{HealthReporter, health_reporter};

use crate::adapter::{Adapter, Standing};
use crate::service::{Dispatch, MAX_METADATA_BYTES};
use crate::socket::{OwnedSocket, listen};

mod describe;

/// How an adapter is served.
#[derive(Clone, Debug)]
pub struct ServeOptions {
    /// What every caller must show in `entente-token`. Needed on loopback, where any local process
    /// can connect; on a Unix socket the file's mode already keeps others out.
    pub token: Option<Secret>,
    /// How often the adapter looks after its sources and health is told anew. Default 2 s.
    pub probe_every: Duration,
    /// How long calls in flight may go on after the stop was asked for. Default 10 s.
    pub drain: Duration,
}

/// An adapter's place to listen, taken and not yet served.
#[derive(Debug)]
pub struct Bound {
    listener: Listener,
}

#[derive(Debug)]
enum Listener {
    Tcp(TcpListener),
    Unix(UnixListener, OwnedSocket, std::path::PathBuf),
}

/// Why an adapter cannot be served.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// The address cannot be listened on.
    #[error("failed to listen on {address}")]
    Listen {
        /// The address.
        address: ListenAddr,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The address can be reached from other machines.
    #[error("refused to serve on {address}: only a Unix socket or loopback is served")]
    NotLocal {
        /// The address.
        address: ListenAddr,
    },
    /// Loopback without a token.
    #[error("refused to serve on loopback without a token: any local process could call")]
    TokenMissing,
    /// The server stopped by itself.
    #[error("failed to serve")]
    Transport(#[source] tonic::transport::Error),
    /// The listener could not be handed to the runtime.
    #[error("failed to start serving")]
    Start(#[source] io::Error),
}

/// Takes the place to listen: a Unix socket of mode 0600, or loopback (port 0 lets the system
/// choose).
///
/// # Errors
/// When the address is not local or cannot be listened on.
pub fn bind(address: &ListenAddr) -> Result<Bound, ServeError> {
    if !address.is_local() {
        return Err(ServeError::NotLocal {
            address: address.clone(),
        });
    }
    let failed = |source| ServeError::Listen {
        address: address.clone(),
        source,
    };
    let listener = match address {
        ListenAddr::Tcp(address) => {
            let listener = TcpListener::bind(address).map_err(failed)?;
            listener.set_nonblocking(true).map_err(failed)?;
            Listener::Tcp(listener)
        }
        ListenAddr::Unix(path) => {
            let (listener, owned) = listen(path).map_err(failed)?;
            Listener::Unix(listener, owned, path.clone())
        }
    };
    Ok(Bound { listener })
}

// === impl ServeOptions ===

impl Default for ServeOptions {
    fn default() -> Self {
        Self {
            token: None,
            probe_every: Duration::from_secs(2),
            drain: Duration::from_secs(10),
        }
    }
}

// === impl Bound ===

impl Bound {
    /// The address taken, with the port the system chose.
    pub fn address(&self) -> ListenAddr {
        match &self.listener {
            Listener::Tcp(listener) => ListenAddr::Tcp(
                listener
                    .local_addr()
                    .unwrap_or_else(|_| SocketAddr::from(([127, 0, 0, 1], 0))),
            ),
            Listener::Unix(_, _, path) => ListenAddr::Unix(path.clone()),
        }
    }

    /// Serves until `stop` resolves and the calls in flight are answered, or
    /// [`ServeOptions::drain`] has passed.
    ///
    /// # Errors
    /// When loopback is served without a token, or the server fails.
    pub async fn serve<A: Adapter>(
        self,
        adapter: Arc<A>,
        options: ServeOptions,
        stop: impl Future<Output = ()> + Send,
    ) -> Result<(), ServeError> {
        if matches!(self.listener, Listener::Tcp(_)) && options.token.is_none() {
            return Err(ServeError::TokenMissing);
        }
        adapter.probe().await;
        let (reporter, health) = health_reporter();
        report(&reporter, &*adapter).await;
        let dispatch = Dispatch::new(Arc::clone(&adapter), options.token.clone());
        let routes = Routes::new(health)
            .add_service(describe::service(Arc::clone(&adapter)))
            .into_axum_router()
            .fallback_service(dispatch);
        let server = Server::builder()
            .http2_max_header_list_size(MAX_METADATA_BYTES)
            .max_concurrent_streams(MAX_STREAMS)
            .initial_stream_window_size(WINDOW)
            .initial_connection_window_size(2 * WINDOW)
            .http2_keepalive_interval(Some(KEEPALIVE))
            .http2_keepalive_timeout(Some(KEEPALIVE))
            .add_routes(Routes::from(routes));

        let (stopping, mut stopped) = watch::channel(false);
        let asked = async move {
            let _ = stopped.wait_for(|stopped| *stopped).await;
        };
        let serving = async {
            match self.listener {
                Listener::Tcp(listener) => {
                    let listener =
                        tokio::net::TcpListener::from_std(listener).map_err(ServeError::Start)?;
                    // tonic's own nodelay setting does not reach a listener given from outside.
                    let incoming = TcpListenerStream::new(listener).map(|stream| {
                        stream.inspect(|stream| {
                            let _ = stream.set_nodelay(true);
                        })
                    });
                    server
                        .serve_with_incoming_shutdown(incoming, asked)
                        .await
                        .map_err(ServeError::Transport)
                }
                Listener::Unix(listener, owned, _) => {
                    let listener =
                        tokio::net::UnixListener::from_std(listener).map_err(ServeError::Start)?;
                    let incoming = UnixListenerStream::new(listener);
                    let served = server
                        .serve_with_incoming_shutdown(incoming, asked)
                        .await
                        .map_err(ServeError::Transport);
                    drop(owned);
                    served
                }
            }
        };
        let tending = async {
            loop {
                tokio::time::sleep(options.probe_every).await;
                adapter.probe().await;
                report(&reporter, &*adapter).await;
            }
        };
        let stopping = async {
            stop.await;
            reporter
                .set_service_status("", ServingStatus::NotServing)
                .await;
            stopping.send_replace(true);
            tokio::time::sleep(options.drain).await;
        };
        tokio::select! {
            served = serving => served,
            () = tending => Ok(()),
            () = stopping => {
                tracing::warn!("stopped with calls still in flight");
                Ok(())
            }
        }
    }
}

/// Tells gRPC health how each method stands: under the service's name whether any serves, and under
/// `pkg.Service/Method` for each.
async fn report<A: Adapter>(reporter: &HealthReporter, adapter: &A) {
    let description = adapter.describe();
    let serving = |serves| {
        if serves {
            ServingStatus::Serving
        } else {
            ServingStatus::NotServing
        }
    };
    let service = description.service.as_str();
    reporter
        .set_service_status(service, serving(description.serves()))
        .await;
    for state in &description.methods {
        reporter
            .set_service_status(
                format!("{service}/{}", state.method),
                serving(state.standing == Standing::Serving),
            )
            .await;
    }
}

const MAX_STREAMS: u32 = 1024;
const WINDOW: u32 = 1 << 20;
const KEEPALIVE: Duration = Duration::from_secs(20);
