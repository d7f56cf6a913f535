//! A consumer's system that keeps every byte of what comes back.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use base64::Engine as _;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use bytes::Bytes;
use entente_proto::status::Told;
use entente_tls::Channel;
use entente_tls::net::{Endpoint, TokioNet};
use entente_tls::{ChannelOptions, channel};
use http::{HeaderMap, HeaderName, HeaderValue};
use http_body_util::{BodyExt as _, Full};
use tonic::Status;
use tower::{Service as _, ServiceExt as _};

use super::framed;

/// Calls through one socket.
#[derive(Clone, Debug)]
pub struct Onlooker {
    channel: Channel,
}

/// Everything that came back.
#[derive(Clone, Debug)]
pub struct Seen {
    /// Initial metadata.
    pub headers: HeaderMap,
    /// Frames.
    pub body: Bytes,
    /// Trailing metadata.
    pub trailers: HeaderMap,
}

// === impl Onlooker ===

impl Onlooker {
    /// A system that calls through this socket.
    pub fn at(socket: &Path) -> Self {
        let endpoint = Endpoint::Unix(socket.to_owned());
        let options = ChannelOptions::default();
        Self {
            channel: channel(Arc::new(TokioNet), endpoint, None, &options),
        }
    }

    /// Calls with this metadata and nothing else.
    ///
    /// # Errors
    /// When the connection is lost before everything came.
    pub async fn call(
        &self,
        path: &str,
        metadata: &[(&str, &str)],
        message: &[u8],
    ) -> anyhow::Result<Seen> {
        let mut request = http::Request::post(path)
            .header("content-type", "application/grpc")
            .header("te", "trailers");
        for (name, value) in metadata {
            let name: HeaderName = name.parse()?;
            request = request.header(name, HeaderValue::from_bytes(value.as_bytes())?);
        }
        let body = tonic::body::Body::new(Full::new(framed(message).into()));
        let mut channel = self.channel.clone();
        let response = channel.ready().await?.call(request.body(body)?).await?;
        let (parts, body) = response.into_parts();
        let body = body.collect().await.context("reading the answer")?;
        let trailers = body.trailers().cloned().unwrap_or_default();
        Ok(Seen {
            headers: parts.headers,
            body: body.to_bytes(),
            trailers,
        })
    }
}

// === impl Seen ===

impl Seen {
    /// The status, wherever it stands.
    pub fn status(&self) -> Option<Status> {
        Status::from_header_map(&self.trailers).or_else(|| Status::from_header_map(&self.headers))
    }

    /// The one message, if the call was answered with OK.
    pub fn message(&self) -> Option<Bytes> {
        let ok = self.status()?.code() == tonic::Code::Ok;
        (ok && self.body.len() >= 5).then(|| self.body.slice(5..))
    }

    /// The refusal's details.
    pub fn told(&self) -> Option<Told> {
        Told::from_status(&self.status()?)
    }

    /// Why the call was refused: `NO_AGREEMENT`; empty if it was not.
    pub fn reason(&self) -> String {
        self.told().map(|told| told.reason).unwrap_or_default()
    }

    /// Every name among headers and trailers.
    pub fn names(&self) -> BTreeSet<&str> {
        let names = self.headers.keys().chain(self.trailers.keys());
        names.map(HeaderName::as_str).collect()
    }

    /// Everything that was said beside the message: names and values, as they stand and decoded.
    pub fn margins(&self) -> Vec<u8> {
        let mut said = Vec::new();
        for (name, value) in self.headers.iter().chain(&self.trailers) {
            let value = value.as_bytes();
            for part in [name.as_str().as_bytes(), value, &unquoted(value)] {
                said.extend_from_slice(part);
                said.push(b'\n');
            }
            if name.as_str().ends_with("-bin") {
                said.extend(LENIENT.decode(value).unwrap_or_default());
                said.push(b'\n');
            }
        }
        said
    }
}

/// `%41` is `A`, as in `grpc-message`.
fn unquoted(value: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(value.len());
    let mut rest = value;
    while let Some((&first, after)) = rest.split_first() {
        let digits = after.get(..2).and_then(|two| std::str::from_utf8(two).ok());
        let byte = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match byte {
            Some(byte) if first == b'%' => {
                plain.push(byte);
                rest = &after[2..];
            }
            _ => {
                plain.push(first);
                rest = after;
            }
        }
    }
    plain
}

/// gRPC pads binary metadata or does not.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);
