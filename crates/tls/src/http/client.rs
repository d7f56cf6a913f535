//! One request on a connection of its own. Redirects are not followed.

use std::io;

use bytes::Bytes;
use http::header::HOST;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;

use super::HttpUrl;
use crate::net::Net;

/// Why there is no answer. Variants are alphabetical.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HttpError {
    /// Nobody is there.
    #[error("connecting")]
    Connect(#[source] io::Error),
    /// It does not speak HTTP, or stopped to.
    #[error("speaking HTTP")]
    Http(#[source] hyper::Error),
    /// The answer is longer than it may be.
    #[error("the answer is too long")]
    TooLong,
}

/// Sends a request's method, headers and body to where `url` says; reads an answer whose body is of at
/// most `longest` bytes.
///
/// Not bounded in time. Dropping the future gives the connection up.
///
/// # Errors
/// When there is no whole answer within the bounds.
pub async fn send(
    net: &dyn Net,
    url: &HttpUrl,
    mut request: Request<Bytes>,
    longest: usize,
) -> Result<Response<Bytes>, HttpError> {
    *request.uri_mut() = url.path.clone().into();
    request.headers_mut().insert(HOST, url.host.clone());
    let stream = net.connect(&url.endpoint).await;
    let stream = stream.map_err(HttpError::Connect)?;
    let (mut sender, connection) = http1::Builder::new()
        .max_buf_size(MAX_HEAD)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(HttpError::Http)?;
    let exchange = async {
        let response = sender.send_request(request.map(Full::new)).await;
        let (head, body) = response.map_err(HttpError::Http)?.into_parts();
        let body = Limited::new(body, longest).collect().await;
        Ok(Response::from_parts(head, body.map_err(broken)?.to_bytes()))
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
                ended.map_err(HttpError::Http)?;
            }
        }
    }
}

fn broken(error: Box<dyn std::error::Error + Send + Sync>) -> HttpError {
    if error.is::<LengthLimitError>() {
        return HttpError::TooLong;
    }
    match error.downcast() {
        Ok(error) => HttpError::Http(*error),
        Err(_) => HttpError::TooLong,
    }
}

/// Status line and headers, in bytes.
const MAX_HEAD: usize = 16 * 1_024;
