//! One request to one witness.

use bytes::Bytes;
use entente_ledger::note::{NoteSignature, WitnessKey};
use entente_ledger::witness::{AddCheckpoint, TLOG_SIZE};
use entente_ledger::{LogKeys, ReadError, SignedCheckpoint};
use entente_ledger::{cosignature, note::NoteError};
use entente_tls::http::{self as plain, HttpError, HttpUrl, InvalidHttpUrl};
use entente_tls::net::Net;
use http::header::CONTENT_TYPE;
use http::{Method, Request, Response, StatusCode};

use super::memory::verified;

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
    #[error("forming the witness's address")]
    Address(#[from] InvalidHttpUrl),
    #[error("the witness's cosignature does not verify")]
    Cosignature(#[source] NoteError),
    #[error("asking the witness over HTTP")]
    Http(#[from] HttpError),
    #[error("proving how the tree grew")]
    Proof(#[from] ReadError),
    #[error("waiting for the witness")]
    Slow,
    #[error("the witness answered {0}")]
    Status(StatusCode),
    #[error("the witness's answer is not one of its protocol")]
    Unexpected,
}

/// Sends `add-checkpoint`. Not bounded in time: dropping it gives it up.
pub(super) async fn add_checkpoint(
    net: &dyn Net,
    at: &HttpUrl,
    request: &AddCheckpoint,
    checkpoint: &SignedCheckpoint,
    key: &WitnessKey,
) -> Result<Answer, AskError> {
    let body = request.to_string().into();
    let answer = send(net, at, Method::POST, "/add-checkpoint", body).await?;
    let text = std::str::from_utf8(answer.body()).map_err(|_| AskError::Unexpected)?;
    match answer.status() {
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
        StatusCode::CONFLICT if is_size(&answer) => {
            let size = text.trim_end().parse().map_err(|_| AskError::Unexpected)?;
            Ok(Answer::HasSeen(size))
        }
        // Without a size: it cosigned another root for this one.
        StatusCode::CONFLICT | StatusCode::UNPROCESSABLE_ENTITY => Ok(Answer::Inconsistent),
        status => Err(AskError::Status(status)),
    }
}

/// The newest checkpoint of the log of this origin that the witness cosigned, verified both ways; none when it
/// never did.
pub(super) async fn latest(
    net: &dyn Net,
    at: &HttpUrl,
    origin: &str,
    log: &dyn LogKeys,
    key: &WitnessKey,
) -> Result<Option<SignedCheckpoint>, AskError> {
    let origin = entente_signing::Digest::of(origin.as_bytes());
    let path = format!("/{origin}/checkpoint");
    let answer = send(net, at, Method::GET, &path, Bytes::new()).await?;
    match answer.status() {
        StatusCode::OK => {
            let checkpoint = verified(answer.body(), log).ok_or(AskError::Unexpected)?;
            cosignature::verify(&checkpoint, key).map_err(AskError::Cosignature)?;
            Ok(Some(checkpoint))
        }
        StatusCode::NOT_FOUND => Ok(None),
        status => Err(AskError::Status(status)),
    }
}

fn is_size(answer: &Response<Bytes>) -> bool {
    let kind = answer.headers().get(CONTENT_TYPE);
    kind.is_some_and(|kind| kind.as_bytes() == TLOG_SIZE.as_bytes())
}

async fn send(
    net: &dyn Net,
    at: &HttpUrl,
    method: Method,
    path: &str,
    body: Bytes,
) -> Result<Response<Bytes>, AskError> {
    let mut request = Request::new(body);
    *request.method_mut() = method;
    Ok(plain::send(net, &at.beneath(path)?, request, MAX_ANSWER).await?)
}

/// The longest answer read, in bytes: a note.
const MAX_ANSWER: usize = 64 * 1024;
