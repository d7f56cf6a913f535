//! A witness over HTTP/1.1: `POST /add-checkpoint` and `GET /<hex SHA-256 of the origin>/checkpoint`.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use entente_ledger::witness::{MAX_BODY, Refused, TLOG_SIZE};
use entente_signing::Digest;
use entente_tls::http::{self as plain, HttpLimits};
use entente_tls::net::Listener;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;

use super::memory::{AddError, Witness};

/// Bounds of the service.
#[derive(Clone, Copy, Debug)]
pub struct WitnessLimits {
    /// Connections at once; more are closed unanswered. Default 256.
    pub connections: usize,
    /// The longest a request and its answer may take together. Default 10 s.
    pub request: Duration,
    /// Whether files may be written on the runtime itself: in simulations. Default no.
    pub may_block: bool,
}

/// Serves until `stop` resolves, then lets open answers finish.
pub async fn serve(
    listener: Listener,
    witness: Arc<Witness>,
    limits: WitnessLimits,
    stop: impl Future<Output = ()> + Send,
) {
    let http = HttpLimits {
        connections: limits.connections,
        request: limits.request,
    };
    let answer = move |request| answer(request, Arc::clone(&witness), limits);
    plain::serve(listener, http, answer, stop).await;
}

async fn answer(
    request: Request<Incoming>,
    witness: Arc<Witness>,
    limits: WitnessLimits,
) -> Response<Full<Bytes>> {
    let path = request.uri().path().to_owned();
    match *request.method() {
        Method::POST if path == "/add-checkpoint" => {
            let body = Limited::new(request.into_body(), MAX_BODY).collect().await;
            let Ok(body) = body.map(http_body_util::Collected::to_bytes) else {
                return text(StatusCode::BAD_REQUEST, "too long, or cut short\n".into());
            };
            let added = blocking(limits.may_block, move || witness.add(&body)).await;
            match added {
                Some(Ok(line)) => text(StatusCode::OK, format!("{line}\n")),
                Some(Err(error)) => refusal(&error),
                None => text(StatusCode::INTERNAL_SERVER_ERROR, String::new()),
            }
        }
        Method::GET => {
            let hash = path.strip_prefix('/');
            let hash = hash.and_then(|path| path.strip_suffix("/checkpoint"));
            let Some(origin) = hash.and_then(|hash| hash.parse::<Digest>().ok()) else {
                return text(StatusCode::NOT_FOUND, "not found\n".into());
            };
            match blocking(limits.may_block, move || witness.latest(&origin)).await {
                Some(Ok(Some(note))) => {
                    text(StatusCode::OK, String::from_utf8_lossy(&note).into_owned())
                }
                Some(Ok(None)) => text(StatusCode::NOT_FOUND, "not found\n".into()),
                Some(Err(_)) | None => text(StatusCode::INTERNAL_SERVER_ERROR, String::new()),
            }
        }
        _ => text(StatusCode::METHOD_NOT_ALLOWED, "GET or POST\n".into()),
    }
}

/// Runs `work` where it may wait for the disk.
async fn blocking<T: Send + 'static>(
    may_block: bool,
    work: impl FnOnce() -> T + Send + 'static,
) -> Option<T> {
    if may_block {
        return Some(work());
    }
    tokio::task::spawn_blocking(work).await.ok()
}

fn refusal(error: &AddError) -> Response<Full<Bytes>> {
    let status = StatusCode::from_u16(error.status());
    let status = status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    match error {
        AddError::Refused(Refused::Conflict(size)) => {
            let mut response = text(status, format!("{size}\n"));
            let kind = HeaderValue::from_static(TLOG_SIZE);
            response.headers_mut().insert(CONTENT_TYPE, kind);
            response
        }
        AddError::Refused(refused) => text(status, format!("{refused}\n")),
        error => {
            tracing::error!(
                event = "witness.failed",
                error = error as &dyn std::error::Error
            );
            text(status, "the witness cannot cosign now\n".into())
        }
    }
}

fn text(status: StatusCode, text: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(text.into()));
    *response.status_mut() = status;
    let kind = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
}

// === impl WitnessLimits ===

impl Default for WitnessLimits {
    fn default() -> Self {
        Self {
            connections: 256,
            request: Duration::from_secs(10),
            may_block: false,
        }
    }
}
