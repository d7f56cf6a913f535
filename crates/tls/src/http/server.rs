//! One request a connection, bounded in number, size and time.

use std::convert::Infallible;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::net::Accept;

/// Bounds of a server.
#[derive(Clone, Copy, Debug)]
pub struct HttpLimits {
    /// Connections at once; more are closed unanswered.
    pub connections: usize,
    /// The longest a request and its answer may take together.
    pub request: Duration,
}

/// Serves until `stop` resolves, then lets open answers finish. Nobody is asked who it is; the length of
/// a request's body is for `answer` to bound.
pub async fn serve<F>(
    mut listener: impl Accept,
    limits: HttpLimits,
    answer: impl Fn(Request<Incoming>) -> F + Clone + Send + 'static,
    stop: impl Future<Output = ()> + Send,
) where
    F: Future<Output = Response<Full<Bytes>>> + Send,
{
    let slots = Arc::new(Semaphore::new(limits.connections));
    let mut open = JoinSet::new();
    let mut stop = std::pin::pin!(stop);
    loop {
        while open.try_join_next().is_some() {}
        let accepted = tokio::select! {
            () = &mut stop => break,
            accepted = listener.accept() => accepted,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(event = "http.accept_failed", %error);
                sleep(PAUSE).await;
                continue;
            }
        };
        let Ok(slot) = Arc::clone(&slots).try_acquire_owned() else {
            continue;
        };
        let answer = answer.clone();
        open.spawn(async move {
            let answering = service_fn(move |request| {
                let response = answer(request);
                async move { Ok::<_, Infallible>(response.await) }
            });
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(limits.request)
                .max_buf_size(MAX_HEAD)
                .max_headers(MAX_HEADERS)
                .keep_alive(false)
                .serve_connection(TokioIo::new(stream), answering);
            // A client that went away or stalled is nobody's concern.
            let _ = timeout(limits.request, connection).await;
            drop(slot);
        });
    }
    while open.join_next().await.is_some() {}
}

/// The largest request head, in bytes: hyper's least.
const MAX_HEAD: usize = 8_192;
const MAX_HEADERS: usize = 32;
/// After a failed accept.
const PAUSE: Duration = Duration::from_millis(50);
