//! A provider's system that says, byte for byte, what a test tells it to.

use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use entente_tls::ServerSecurity;
use entente_tls::net::{Endpoint, Net as _, TokioNet};
use http::{HeaderMap, HeaderName, HeaderValue};
use http_body_util::{BodyExt as _, Full};

use super::framed;

/// Answers every call alike and keeps what it heard. Clones share it.
#[derive(Clone, Debug)]
pub struct Puppet {
    says: Arc<Mutex<Says>>,
    heard: Arc<Mutex<Vec<Heard>>>,
}

/// An answer as it stands on the wire; honest gRPC until a test changes it.
#[derive(Clone, Debug)]
pub struct Says {
    /// HTTP status.
    pub status: u16,
    /// Initial metadata.
    pub headers: HeaderMap,
    /// Frames.
    pub body: Bytes,
    /// Trailing metadata.
    pub trailers: HeaderMap,
    /// Whether the connection breaks after the body, before any trailer.
    pub breaks: bool,
}

/// A call as it arrived.
#[derive(Clone, Debug)]
pub struct Heard {
    /// Its path.
    pub path: String,
    /// Its metadata.
    pub headers: HeaderMap,
    /// Its frames.
    pub body: Bytes,
}

// === impl Puppet ===

impl Puppet {
    /// A system that says this.
    pub fn saying(says: Says) -> Self {
        Self {
            says: Arc::new(Mutex::new(says)),
            heard: Arc::default(),
        }
    }

    /// Says something else from now on.
    pub fn say(&self, says: Says) {
        *lock(&self.says) = says;
    }

    /// Takes what was heard since the last time.
    pub fn heard(&self) -> Vec<Heard> {
        std::mem::take(&mut lock(&self.heard))
    }

    /// Listens at `socket` for as long as the runtime lives.
    ///
    /// # Errors
    /// When it cannot listen.
    pub async fn serve(&self, socket: &Path) -> anyhow::Result<()> {
        let listener = TokioNet.listen(&Endpoint::Unix(socket.to_owned())).await?;
        let plain = ServerSecurity::Plain { system: None };
        let incoming = entente_tls::incoming(listener, plain, Default::default());
        let puppet = self.clone();
        let app = axum::Router::new().fallback(move |request: axum::extract::Request| {
            let puppet = puppet.clone();
            async move { puppet.answer(request).await }
        });
        let routes = tonic::service::Routes::from(app);
        tokio::spawn(async move {
            let served = entente_tls::server().serve_with_incoming(routes, incoming);
            served.await.expect("the system's socket is served")
        });
        Ok(())
    }

    async fn answer(&self, request: axum::extract::Request) -> http::Response<axum::body::Body> {
        let (parts, body) = request.into_parts();
        let body = body.collect().await.map(|body| body.to_bytes());
        lock(&self.heard).push(Heard {
            path: parts.uri.path().to_owned(),
            headers: parts.headers,
            body: body.unwrap_or_default(),
        });
        lock(&self.says).clone().into_response()
    }
}

// === impl Says ===

impl Says {
    /// An answer with this message.
    pub fn message(message: &[u8]) -> Self {
        let honest = Self {
            status: 200,
            headers: HeaderMap::new(),
            body: framed(message).into(),
            trailers: HeaderMap::new(),
            breaks: false,
        };
        honest
            .header("content-type", "application/grpc")
            .trailer("grpc-status", "0")
    }

    /// A refusal with this status code, text and details, and no message.
    pub fn refusal(code: i32, text: &str, details: &[u8]) -> Self {
        let mut refusal = Self::message(&[]);
        refusal.body = Bytes::new();
        refusal.trailers.clear();
        refusal
            .trailer("grpc-status", &code.to_string())
            .trailer("grpc-message", text)
            .trailer_bin("grpc-status-details-bin", details)
    }

    /// With a header more.
    #[must_use]
    pub fn header(mut self, name: &'static str, value: &str) -> Self {
        put(&mut self.headers, name, value);
        self
    }

    /// With a trailer more.
    #[must_use]
    pub fn trailer(mut self, name: &'static str, value: &str) -> Self {
        put(&mut self.trailers, name, value);
        self
    }

    /// With a binary trailer more.
    #[must_use]
    pub fn trailer_bin(self, name: &'static str, value: &[u8]) -> Self {
        self.trailer(name, &BASE64_STANDARD.encode(value))
    }

    /// Everything in its headers, as gRPC calls it: Trailers-Only.
    #[must_use]
    pub fn trailers_only(mut self) -> Self {
        self.headers.extend(std::mem::take(&mut self.trailers));
        self
    }

    fn into_response(self) -> http::Response<axum::body::Body> {
        let trailers = (!self.trailers.is_empty()).then_some(self.trailers);
        let body = if self.breaks {
            let broken = Err(io::Error::from(io::ErrorKind::ConnectionReset));
            axum::body::Body::from_stream(tokio_stream::iter([Ok(self.body), broken]))
        } else if self.body.is_empty() && trailers.is_none() {
            axum::body::Body::empty()
        } else {
            let trailers = async { trailers.map(Ok) };
            axum::body::Body::new(Full::new(self.body).with_trailers(trailers))
        };
        let mut response = http::Response::new(body);
        *response.headers_mut() = self.headers;
        *response.status_mut() = self.status.try_into().expect("an HTTP status");
        response
    }
}

fn put(map: &mut HeaderMap, name: &'static str, value: &str) {
    // Opaque bytes may stand in a header; only line ends may not.
    let value = HeaderValue::from_bytes(value.as_bytes()).expect("a header's value");
    map.append(HeaderName::from_static(name), value);
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
