//! `/metrics`, `/livez`, `/readyz` and `/startupz` over plain HTTP/1.1, for the machine's own
//! monitoring. Reads nothing, changes nothing, and answers `GET` alone.

use std::future::{Future, ready};
use std::time::Duration;

use bytes::Bytes;
use entente_tls::http::{HttpLimits, serve};
use entente_tls::net::Accept;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::Full;

use crate::health::{Health, HealthReport};
use crate::metrics::Metrics;

/// Bounds of the admin server.
#[derive(Clone, Copy, Debug)]
pub struct AdminLimits {
    /// Connections at once; more are closed unanswered. Default 64.
    pub connections: usize,
    /// The longest a request and its answer may take together. Default 10 s.
    pub request: Duration,
}

/// Serves until `stop` resolves, then lets open answers finish. The listener should be bound to
/// loopback or a monitoring network: there is no TLS and no caller is asked who it is.
pub async fn serve_admin(
    listener: impl Accept,
    metrics: Metrics,
    health: Health,
    limits: AdminLimits,
    stop: impl Future<Output = ()> + Send,
) {
    let AdminLimits {
        connections,
        request,
    } = limits;
    let limits = HttpLimits {
        connections,
        request,
    };
    let answer = move |request: Request<_>| ready(answer(&request, &metrics, &health));
    serve(listener, limits, answer, stop).await;
}

fn answer<B>(request: &Request<B>, metrics: &Metrics, health: &Health) -> Response<Full<Bytes>> {
    if request.method() != Method::GET {
        let mut refused = text(StatusCode::METHOD_NOT_ALLOWED, "GET only\n".into());
        refused
            .headers_mut()
            .insert(ALLOW, HeaderValue::from_static("GET"));
        return refused;
    }
    let verbose = request
        .uri()
        .query()
        .is_some_and(|query| query.split('&').any(|part| part == "verbose"));
    match request.uri().path() {
        "/livez" => report(health.live()),
        "/startupz" => report(health.startup()),
        "/readyz" if verbose => report(health.ready()),
        "/readyz" => {
            let HealthReport { ok, .. } = health.ready();
            let text = if ok { "ok\n" } else { "not ready\n" }.into();
            report(HealthReport { ok, text })
        }
        "/metrics" => {
            let mut response = text(StatusCode::OK, metrics.encode());
            response
                .headers_mut()
                .insert(CONTENT_TYPE, HeaderValue::from_static(OPEN_METRICS));
            response
        }
        _ => text(StatusCode::NOT_FOUND, "not found\n".into()),
    }
}

fn report(report: HealthReport) -> Response<Full<Bytes>> {
    let status = if report.ok {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    text(status, report.text)
}

fn text(status: StatusCode, text: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(text.into()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(
        CONTENT_TYPE,
        HeaderValue::from_static("text/plain; charset=utf-8"),
    );
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

// === impl AdminLimits ===

impl Default for AdminLimits {
    fn default() -> Self {
        Self {
            connections: 64,
            request: Duration::from_secs(10),
        }
    }
}

const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
