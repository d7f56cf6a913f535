//! One POST to the authority, bounded in time and size.

use std::time::Duration;

use bytes::Bytes;
use entente_timestamp::{MAX_TOKEN, QUERY_TYPE};
use entente_tls::http::{HttpUrl, send};
use entente_tls::net::Net;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Method, Request, StatusCode};

use super::StampError;

/// Sends a query and returns the reply's bytes.
///
/// Dropping the future closes the connection.
pub(super) async fn post(
    net: &dyn Net,
    url: &HttpUrl,
    query: Vec<u8>,
) -> Result<Bytes, StampError> {
    let mut request = Request::new(Bytes::from(query));
    *request.method_mut() = Method::POST;
    let kind = HeaderValue::from_static(QUERY_TYPE);
    request.headers_mut().insert(CONTENT_TYPE, kind);
    let sent = tokio::time::timeout(WAIT, send(net, url, request, MAX_REPLY)).await;
    let answer = sent.map_err(|_| StampError::Slow)??;
    match answer.status() {
        StatusCode::OK => Ok(answer.into_body()),
        status => Err(StampError::Status(status.as_u16())),
    }
}

/// The longest an authority may take, connecting included.
const WAIT: Duration = Duration::from_secs(15);
/// A token, and what stands around it.
const MAX_REPLY: usize = MAX_TOKEN + 4_096;

#[cfg(test)]
mod tests {
    use entente_tls::http::HttpError;
    use entente_tls::net::TokioNet;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::*;

    /// What is left of a query, against an authority that answers with these bytes and then waits.
    async fn answered(with: Vec<u8>) -> Result<Bytes, StampError> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/tsr", listener.local_addr().unwrap());
        let authority = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut head = [0; 1_024];
            let read = stream.read(&mut head).await.unwrap();
            assert!(head[..read].starts_with(b"POST /tsr HTTP/1.1\r\n"));
            // It fails when the asker has gone, which some of them do.
            let _ = stream.write_all(&with).await;
            let _ = stream.read(&mut head).await;
        });
        let url = url.parse().unwrap();
        let reply = post(&TokioNet, &url, b"query".to_vec()).await;
        authority.await.unwrap();
        reply
    }

    fn ok(length: usize, body: &[u8]) -> Vec<u8> {
        let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n");
        [head.as_bytes(), body].concat()
    }

    #[tokio::test]
    async fn returns_what_the_authority_answers() {
        assert_eq!(answered(ok(5, b"reply")).await.unwrap(), "reply");
    }

    #[tokio::test]
    async fn refuses_an_answer_that_is_too_long_or_no_success() {
        let huge = answered(ok(1 << 30, &vec![0; MAX_REPLY + 1])).await;
        let too_long = matches!(huge, Err(StampError::Http(HttpError::TooLong)));
        assert!(too_long, "{huge:?}");
        let moved = b"HTTP/1.1 302 Found\r\nlocation: /\r\ncontent-length: 0\r\n\r\n";
        let moved = answered(moved.to_vec()).await;
        assert!(matches!(moved, Err(StampError::Status(302))), "{moved:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn waits_no_longer_than_its_limit() {
        for begun in [Vec::new(), ok(100, b"half")] {
            let slow = answered(begun).await;
            assert!(matches!(slow, Err(StampError::Slow)), "{slow:?}");
        }
    }
}
