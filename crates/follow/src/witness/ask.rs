//! One request to one witness.

use std::io;

use bytes::Bytes;
use entente_ledger::SignedCheckpoint;
use entente_ledger::note::{NoteKey, NoteSignature, WitnessKey};
use entente_ledger::witness::{AddCheckpoint, TLOG_SIZE};
use entente_ledger::{cosignature, note::NoteError};
use entente_tls::net::{Endpoint, Net};
use http::header::{CONTENT_TYPE, HOST};
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;

use super::memory::verified;

/// Where a witness is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Address {
    endpoint: Endpoint,
    /// As the `host` header names it.
    host: String,
    /// What comes before `/add-checkpoint`.
    prefix: String,
}

/// What a witness answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// It cosigned; the cosignature verified.
    Cosigned(NoteSignature),
    /// It cosigned this size last.
    HasSeen(u64),
    /// It has seen another tree.
    Inconsistent,
}

/// Why there is no answer to go by. Variants are alphabetical.
#[derive(Debug, thiserror::Error)]
pub(super) enum AskError {
    #[error("connecting to the witness")]
    Connect(#[source] io::Error),
    #[error("speaking HTTP with the witness")]
    Http(#[source] Box<dyn std::error::Error + Send + Sync>),
    #[error("waiting for the witness")]
    Slow,
    #[error("the witness answered {0}")]
    Status(StatusCode),
    #[error("the witness's answer is not one of its protocol")]
    Unexpected,
    #[error("the witness's cosignature does not verify")]
    Cosignature(#[source] NoteError),
}

// === impl Address ===

impl Address {
    /// Reads `http://host[:port][/prefix]`; none when it is another scheme, or not an address.
    pub(super) fn parse(url: &str) -> Option<Self> {
        let rest = url.strip_prefix("http://")?;
        let (host, prefix) = rest.find('/').map_or((rest, ""), |at| rest.split_at(at));
        let with_port = match host.parse() {
            Ok(Endpoint::Tcp { .. }) => host.to_owned(),
            _ => format!("{host}:80"),
        };
        let endpoint: Endpoint = with_port.parse().ok()?;
        matches!(endpoint, Endpoint::Tcp { .. }).then(|| Self {
            endpoint,
            host: host.to_owned(),
            prefix: prefix.trim_end_matches('/').to_owned(),
        })
    }
}

/// Sends `add-checkpoint`. Not bounded in time: dropping it gives it up.
pub(super) async fn add_checkpoint(
    net: &dyn Net,
    at: &Address,
    request: &AddCheckpoint,
    checkpoint: &SignedCheckpoint,
    key: &WitnessKey,
) -> Result<Answer, AskError> {
    let body = request.to_string().into();
    let (status, kind, body) = send(net, at, Method::POST, "/add-checkpoint", body).await?;
    let text = std::str::from_utf8(&body).map_err(|_| AskError::Unexpected)?;
    match status {
        StatusCode::OK => {
            // Other lines than its own are of no concern.
            let lines = text.lines().filter_map(|line| line.parse().ok());
            let mut failed = AskError::Unexpected;
            for line in lines {
                match cosignature::verify_line(checkpoint, &line, key) {
                    Ok(_) => return Ok(Answer::Cosigned(line)),
                    Err(error) => failed = AskError::Cosignature(error),
                }
            }
            Err(failed)
        }
        StatusCode::CONFLICT if kind.as_deref() == Some(TLOG_SIZE) => {
            let size = text.trim_end().parse().map_err(|_| AskError::Unexpected)?;
            Ok(Answer::HasSeen(size))
        }
        StatusCode::UNPROCESSABLE_ENTITY => Ok(Answer::Inconsistent),
        status => Err(AskError::Status(status)),
    }
}

/// The newest checkpoint of the log whose key this is that the witness cosigned, verified both ways;
/// none when it never did.
pub(super) async fn latest(
    net: &dyn Net,
    at: &Address,
    log: &NoteKey,
    key: &WitnessKey,
) -> Result<Option<SignedCheckpoint>, AskError> {
    let origin = entente_signing::Digest::of(log.name().as_bytes());
    let path = format!("/{origin}/checkpoint");
    let (status, _, body) = send(net, at, Method::GET, &path, Bytes::new()).await?;
    match status {
        StatusCode::OK => {
            let checkpoint = verified(&body, log).ok_or(AskError::Unexpected)?;
            cosignature::verify(&checkpoint, key).map_err(AskError::Cosignature)?;
            Ok(Some(checkpoint))
        }
        StatusCode::NOT_FOUND => Ok(None),
        status => Err(AskError::Status(status)),
    }
}

async fn send(
    net: &dyn Net,
    at: &Address,
    method: Method,
    path: &str,
    body: Bytes,
) -> Result<(StatusCode, Option<String>, Bytes), AskError> {
    let stream = net.connect(&at.endpoint).await.map_err(AskError::Connect)?;
    let http = |error: hyper::Error| AskError::Http(Box::new(error));
    let (mut sender, connection) = http1::Builder::new()
        .max_buf_size(MAX_BUFFER)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(http)?;
    let request = Request::builder()
        .method(method)
        .uri(format!("{}{path}", at.prefix))
        .header(HOST, &at.host)
        .body(Full::new(body))
        .map_err(|error| AskError::Http(Box::new(error)))?;
    let exchange = async {
        let response = sender.send_request(request).await.map_err(http)?;
        let status = response.status();
        let kind = response.headers().get(CONTENT_TYPE);
        let kind = kind.and_then(|kind| kind.to_str().ok()).map(str::to_owned);
        let body = Limited::new(response.into_body(), MAX_ANSWER).collect();
        let body = body.await.map_err(AskError::Http)?.to_bytes();
        Ok((status, kind, body))
    };
    // Driven right here, so that giving up the call gives up the connection.
    let mut connection = std::pin::pin!(connection);
    let mut exchange = std::pin::pin!(exchange);
    let mut open = true;
    loop {
        tokio::select! {
            biased;
            answered = &mut exchange => return answered,
            ended = &mut connection, if open => {
                open = false;
                if let Err(error) = ended {
                    return Err(http(error));
                }
            }
        }
    }
}

/// The longest answer read, in bytes: a note.
const MAX_ANSWER: usize = 64 * 1024;
const MAX_BUFFER: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_host_perhaps_a_port_and_perhaps_a_prefix() {
        let parse = |url| Address::parse(url).map(|a| (a.endpoint.to_string(), a.host, a.prefix));
        let expected = |endpoint: &str, host: &str, prefix: &str| {
            Some((endpoint.to_owned(), host.to_owned(), prefix.to_owned()))
        };
        assert_eq!(
            parse("http://w.example"),
            expected("w.example:80", "w.example", "")
        );
        assert_eq!(
            parse("http://w.example:81/a/b/"),
            expected("w.example:81", "w.example:81", "/a/b")
        );
        assert_eq!(
            parse("http://[::1]:81"),
            expected("[::1]:81", "[::1]:81", "")
        );
        for refused in [
            "https://w.example",
            "http://",
            "http://unix:/w",
            "w.example",
        ] {
            assert_eq!(parse(refused), None, "{refused}");
        }
    }
}
