//! gRPC over these connections: a tuned tonic client channel and server.

use std::error::Error;
use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use entente_reason::Reason;
use http_body_util::BodyExt as _;
use hyper_util::rt::TokioIo;
use tokio::time::timeout;
use tonic::body::Body;
use tonic::transport::{Server, Uri};
use tower::{Service, service_fn};

use crate::config::{ClientTls, TlsError};
use crate::details::check_details;
use crate::net::{Endpoint, Net, Stream};

/// tonic's channel, whose answers are made harmless before tonic reads them.
#[derive(Clone, Debug)]
pub struct Channel(tonic::transport::Channel);

/// No connection was made, so nothing was sent. In the chain of errors under a call's status. Shared by
/// the calls that waited for the same connection.
#[derive(Debug)]
pub(crate) struct NotConnected(pub(crate) Arc<io::Error>);

/// How a channel behaves.
#[derive(Clone, Debug)]
pub struct ChannelOptions {
    /// How long connecting and the handshake may take together. Default 5 s.
    pub connect_timeout: Duration,
    /// The longest a call may take, whatever its own deadline says. Default none.
    pub call_timeout: Option<Duration>,
}

/// A channel to `to` that connects at its first call and again whenever the connection is lost.
/// Without `tls` the bytes are in clear: only for [`Endpoint::is_local`] endpoints.
///
/// Calls fail with a status whose source tells why: see [`reason_of`].
pub fn channel(
    net: Arc<dyn Net>,
    to: Endpoint,
    tls: Option<ClientTls>,
    options: &ChannelOptions,
) -> Channel {
    let mut endpoint = tonic::transport::Channel::builder(Uri::from_static(AUTHORITY))
        .initial_stream_window_size(WINDOW)
        .initial_connection_window_size(WINDOW)
        .max_frame_size(MAX_FRAME)
        .http2_max_header_list_size(MAX_HEADER_LIST)
        .http2_keep_alive_interval(KEEPALIVE_INTERVAL)
        .keep_alive_timeout(KEEPALIVE_TIMEOUT)
        .keep_alive_while_idle(true);
    if let Some(limit) = options.call_timeout {
        endpoint = endpoint.timeout(limit);
    }
    let limit = options.connect_timeout;
    Channel(
        endpoint.connect_with_connector_lazy(service_fn(move |_: Uri| {
            let (net, to, tls) = (net.clone(), to.clone(), tls.clone());
            async move {
                let dialling = dial(&*net, &to, tls.as_ref());
                match timeout(limit, dialling).await {
                    Ok(Ok(stream)) => Ok(TokioIo::new(stream)),
                    Ok(Err(error)) => Err(NotConnected(Arc::new(error))),
                    Err(_) => Err(NotConnected(Arc::new(TlsError::Timeout.into()))),
                }
            }
        })),
    )
}

/// Whether a call failed before there was a connection to send it on. When not, nobody can say
/// whether the other side acted.
pub fn never_sent(error: &(dyn Error + 'static)) -> bool {
    chain(error).any(|error| error.is::<NotConnected>())
}

/// A server with Entente's HTTP/2 bounds. `TCP_NODELAY` is not among them: tonic ignores it for
/// connections it did not accept, so [`crate::net::TokioNet`] sets it.
pub fn server() -> Server {
    Server::builder()
        .initial_stream_window_size(WINDOW)
        .initial_connection_window_size(WINDOW)
        .max_frame_size(MAX_FRAME)
        .max_concurrent_streams(MAX_CONCURRENT_STREAMS)
        .http2_max_header_list_size(MAX_HEADER_LIST)
        .http2_max_pending_accept_reset_streams(Some(MAX_RESET_STREAMS))
        .http2_keepalive_interval(Some(KEEPALIVE_INTERVAL))
        .http2_keepalive_timeout(Some(KEEPALIVE_TIMEOUT))
}

/// What a failed call or connection amounts to: [`Reason::PeerUntrusted`] when the other side did
/// not prove a key we expect, else [`Reason::PeerUnreachable`].
pub fn reason_of(error: &(dyn Error + 'static)) -> Reason {
    chain(error)
        .find_map(|error| error.downcast_ref::<TlsError>())
        .map_or(Reason::PeerUnreachable, TlsError::reason)
}

/// An error and what caused it, one after the other.
fn chain<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |error| cause(*error)).take(MAX_SOURCES)
}

fn cause<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a (dyn Error + 'static)> {
    // `io::Error` reports its inner error's source as its own and hides the inner error.
    match error
        .downcast_ref::<io::Error>()
        .and_then(io::Error::get_ref)
    {
        Some(inner) => Some(inner),
        None => error.source(),
    }
}

pub(crate) async fn dial(
    net: &dyn Net,
    to: &Endpoint,
    tls: Option<&ClientTls>,
) -> io::Result<Stream> {
    let stream = net.connect(to).await?;
    Ok(match tls {
        Some(tls) => Box::new(tls.connect(stream, to).await?),
        None => stream,
    })
}

// === impl Channel ===

impl Service<http::Request<Body>> for Channel {
    type Response = http::Response<Body>;
    type Error = tonic::transport::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let answering = self.0.call(request);
        Box::pin(async move {
            let mut answer = answering.await?;
            check_details(answer.headers_mut());
            Ok(answer.map(|body| {
                Body::new(body.map_frame(|mut frame| {
                    if let Some(trailers) = frame.trailers_mut() {
                        check_details(trailers);
                    }
                    frame
                }))
            }))
        })
    }
}

// === impl NotConnected ===

impl fmt::Display for NotConnected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no connection was made")
    }
}

impl Error for NotConnected {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&*self.0)
    }
}

// === impl ChannelOptions ===

impl Default for ChannelOptions {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(5),
            call_timeout: None,
        }
    }
}

/// HTTP/2 flow-control window of a stream and of a connection, in bytes: 4 MiB fills a path of
/// 100 ms at 300 Mbit/s.
pub const WINDOW: u32 = 4 * 1024 * 1024;
/// The largest HTTP/2 frame, in bytes: a whole TLS-sized batch of records in one frame.
pub const MAX_FRAME: u32 = 256 * 1024;
/// The largest header list, in bytes: metadata is at most 16 KiB, HTTP/2 counts 32 more a field.
pub const MAX_HEADER_LIST: u32 = 32 * 1024;
/// Streams open at once on one connection.
pub const MAX_CONCURRENT_STREAMS: u32 = 1024;
/// An idle connection is probed this often.
pub const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(20);
/// A probe unanswered this long closes the connection.
pub const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(10);

/// Streams reset by the client and not yet accepted (CVE-2023-44487).
const MAX_RESET_STREAMS: usize = 64;
/// The connector ignores the address in the URI, so it names nothing.
const AUTHORITY: &str = "http://entente.invalid";
/// Links followed in a chain of errors.
const MAX_SOURCES: usize = 16;
