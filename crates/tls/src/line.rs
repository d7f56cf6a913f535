//! A line: one HTTP/2 connection to one place, kept, and made anew when it is lost. It carries gRPC
//! calls of one message each way.
//!
//! What tonic's channel does, on the path of every exchange, without the tasks and queues between
//! caller and connection: a call writes its own frames and reads its own. Everything else uses
//! [`crate::channel`].

mod connection;
mod incoming;

use std::fmt;
use std::future::poll_fn;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, Shared};
use h2::SendStream;
use h2::client::{ResponseFuture, SendRequest};
use http::header::{CONTENT_TYPE, TE};
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderValue, Method, Request, Uri, Version};
use tokio::time::timeout;
use tonic::metadata::MetadataMap;
use tonic::{Code, Status};

use crate::channel::{ChannelOptions, NotConnected, dial};
use crate::config::{ClientTls, TlsError};
use crate::net::{Endpoint, Net};

pub use incoming::IncomingAnswer;

/// A line to one place, connected at its first call. Clones share it.
#[derive(Clone)]
pub struct Line(Arc<Ends>);

struct Ends {
    net: Arc<dyn Net>,
    to: Endpoint,
    tls: Option<ClientTls>,
    options: ChannelOptions,
    /// The connection in use. One handle for all: through it HTTP/2 lets a stream be opened only when
    /// the one before it is, so that a peer that takes none makes us hold one message and no more. The
    /// lock is waited for while a peer takes no more streams, and otherwise never.
    sender: tokio::sync::Mutex<Option<SendRequest<Bytes>>>,
    /// The attempt to connect that is under way, or the last one.
    attempt: Mutex<Option<Attempt>>,
}

type Opened = (ResponseFuture, SendStream<Bytes>);

/// Shared by all who wait for it, and going on without them: it fails once for all, and a caller in a
/// hurry does not end it.
type Attempt = Shared<BoxFuture<'static, Result<(), Arc<io::Error>>>>;

// === impl Line ===

impl Line {
    /// A line to `to`. Without `tls` the bytes are in clear: only for [`Endpoint::is_local`] endpoints.
    pub fn new(
        net: Arc<dyn Net>,
        to: Endpoint,
        tls: Option<ClientTls>,
        options: ChannelOptions,
    ) -> Self {
        Self(Arc::new(Ends {
            net,
            to,
            tls,
            options,
            sender: tokio::sync::Mutex::default(),
            attempt: Mutex::default(),
        }))
    }

    /// Calls `path` with one message, framed by [`frame`], and waits until the answer begins.
    ///
    /// Dropping the future, or what comes of it, cancels the call.
    ///
    /// # Errors
    /// A status, as with [`crate::channel`]: see [`crate::never_sent`] and [`crate::reason_of`].
    pub async fn call(
        &self,
        path: &PathAndQuery,
        metadata: MetadataMap,
        deadline: Duration,
        message: Bytes,
    ) -> Result<IncomingAnswer, Status> {
        let request = request(path, metadata, deadline)?;
        // In time or not, nothing was sent yet.
        let (answer, mut body) = timeout(deadline, self.open(request))
            .await
            .unwrap_or_else(|_| Err(Arc::new(TlsError::Timeout.into())))
            .map_err(not_connected)?;
        // Queued whole, and sent as far as the other side's window lets it.
        body.send_data(message, true).map_err(lost)?;
        IncomingAnswer::read(answer.await.map_err(lost)?)
    }

    /// Opens a stream, on a connection made for it if there is none.
    async fn open(&self, request: Request<()>) -> Result<Opened, Arc<io::Error>> {
        let mut is_new = false;
        loop {
            let mut held = self.0.sender.lock().await;
            if let Some(sender) = held.as_mut() {
                match poll_fn(|context| sender.poll_ready(context)).await {
                    Ok(()) => {
                        let opened = sender.send_request(request, false);
                        return opened.map_err(|error| Arc::new(io::Error::other(error)));
                    }
                    Err(error) if is_new => return Err(Arc::new(io::Error::other(error))),
                    Err(_) => *held = None,
                }
            }
            drop(held);
            self.attempt().await?;
            is_new = true;
        }
    }

    /// The attempt to connect that is under way, or a new one.
    fn attempt(&self) -> Attempt {
        let mut held = self
            .0
            .attempt
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(attempt) = held.as_ref().filter(|attempt| attempt.peek().is_none()) {
            return attempt.clone();
        }
        let connecting = tokio::spawn(Arc::clone(&self.0).connect());
        let attempt = connecting.map(|ended| match ended {
            Ok(connected) => connected.map_err(Arc::new),
            Err(stopped) => Err(Arc::new(io::Error::other(stopped))),
        });
        let attempt = attempt.boxed().shared();
        *held = Some(attempt.clone());
        attempt
    }
}

// === impl Ends ===

impl Ends {
    async fn connect(self: Arc<Self>) -> io::Result<()> {
        let connecting = async {
            let stream = dial(&*self.net, &self.to, self.tls.as_ref()).await?;
            connection::start(stream).await.map_err(io::Error::other)
        };
        let sender = timeout(self.options.connect_timeout, connecting)
            .await
            .unwrap_or_else(|_| Err(TlsError::Timeout.into()))?;
        *self.sender.lock().await = Some(sender);
        Ok(())
    }
}

impl fmt::Debug for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Line")
            .field("to", &self.0.to)
            .finish_non_exhaustive()
    }
}

/// A message with gRPC's prefix before it: not compressed, and its length. `len` is the message's
/// length, which `put` writes.
pub fn frame(len: usize, put: impl FnOnce(&mut BytesMut)) -> Bytes {
    let mut framed = BytesMut::with_capacity(PREFIX + len);
    framed.put_u8(0);
    // Longer ones were refused before: messages are at most 17 MiB.
    framed.put_u32(u32::try_from(len).unwrap_or(u32::MAX));
    put(&mut framed);
    framed.freeze()
}

fn request(
    path: &PathAndQuery,
    metadata: MetadataMap,
    deadline: Duration,
) -> Result<Request<()>, Status> {
    let uri = Uri::builder()
        .scheme("http")
        .authority(AUTHORITY)
        .path_and_query(path.clone());
    let uri = uri.build().map_err(|_| Status::internal("not a path"))?;
    let mut request = Request::new(());
    *request.method_mut() = Method::POST;
    *request.version_mut() = Version::HTTP_2;
    *request.uri_mut() = uri;
    let mut headers: HeaderMap = metadata.into_headers();
    headers.insert(CONTENT_TYPE, GRPC);
    headers.insert(TE, TRAILERS);
    // At most eight digits, which is more than a day.
    let millis = deadline.as_millis().min(99_999_999);
    let until = HeaderValue::try_from(format!("{millis}m"));
    headers.insert(
        "grpc-timeout",
        until.map_err(|_| Status::internal("no deadline"))?,
    );
    *request.headers_mut() = headers;
    Ok(request)
}

/// Failed on a connection: nobody can say whether the other side acted.
fn lost(error: h2::Error) -> Status {
    with_source(
        Code::Unavailable,
        "the connection was lost",
        Arc::new(error),
    )
}

fn not_connected(error: Arc<io::Error>) -> Status {
    let error = Arc::new(NotConnected(error));
    with_source(Code::Unavailable, "no connection was made", error)
}

fn with_source(
    code: Code,
    message: &str,
    source: Arc<dyn std::error::Error + Send + Sync>,
) -> Status {
    let mut status = Status::new(code, message);
    status.set_source(source);
    status
}

const GRPC: HeaderValue = HeaderValue::from_static("application/grpc");
const TRAILERS: HeaderValue = HeaderValue::from_static("trailers");
/// Whom the connection reaches is the line's own business.
const AUTHORITY: &str = "entente.invalid";
/// Bytes before a gRPC message.
const PREFIX: usize = 5;
