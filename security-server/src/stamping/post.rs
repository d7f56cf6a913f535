//! One HTTP/1.1 POST to the authority, bounded in time and size. Redirects are not followed.

use std::time::Duration;

use bytes::Bytes;
use entente_timestamp::{MAX_TOKEN, QUERY_TYPE};
use entente_tls::net::Net;
use http::header::{CONTENT_TYPE, HOST};
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio_util::task::AbortOnDropHandle;

use super::StampError;
use crate::config::HttpUrl;

/// Sends a query and returns the reply's bytes.
///
/// Dropping the future closes the connection.
pub(super) async fn post(
    net: &dyn Net,
    url: &HttpUrl,
    query: Vec<u8>,
) -> Result<Bytes, StampError> {
    let exchanged = tokio::time::timeout(WAIT, exchange(net, url, query)).await;
    exchanged.map_err(|_| StampError::Slow)?
}

async fn exchange(net: &dyn Net, url: &HttpUrl, query: Vec<u8>) -> Result<Bytes, StampError> {
    let stream = net.connect(&url.endpoint).await;
    let stream = stream.map_err(StampError::Connect)?;
    let (mut sender, connection) = http1::Builder::new()
        .max_buf_size(MAX_HEAD)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(StampError::Http)?;
    let _connection = AbortOnDropHandle::new(tokio::spawn(async move {
        // What breaks here, breaks the request too, which tells.
        let _ = connection.await;
    }));
    let request = http::Request::post(&url.path)
        .header(HOST, &url.host)
        .header(CONTENT_TYPE, QUERY_TYPE)
        .body(Full::new(Bytes::from(query)))
        .map_err(|_| StampError::Address)?;
    let response = sender
        .send_request(request)
        .await
        .map_err(StampError::Http)?;
    let status = response.status();
    if status != http::StatusCode::OK {
        return Err(StampError::Status(status.as_u16()));
    }
    let body = Limited::new(response.into_body(), MAX_REPLY);
    let body = body.collect().await.map_err(|error| {
        if error.is::<LengthLimitError>() {
            return StampError::TooLong;
        }
        match error.downcast() {
            Ok(error) => StampError::Http(*error),
            Err(_) => StampError::TooLong,
        }
    })?;
    Ok(body.to_bytes())
}

/// The longest an authority may take, connecting included.
const WAIT: Duration = Duration::from_secs(15);
/// A token, and what stands around it.
const MAX_REPLY: usize = MAX_TOKEN + 4_096;
/// Status line and headers.
const MAX_HEAD: usize = 16 * 1_024;

#[cfg(test)]
mod tests {
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
        let url = HttpUrl::try_from(url).unwrap();
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
        assert!(matches!(huge, Err(StampError::TooLong)), "{huge:?}");
        let moved = b"HTTP/1.1 302 Found\r\nlocation: /\r\ncontent-length: 0\r\n\r\n";
        let moved = answered(moved.to_vec()).await;
        assert!(matches!(moved, Err(StampError::Status(302))), "{moved:?}");
        let head = [&b"HTTP/1.1 200 OK\r\nx: "[..], &vec![b'x'; MAX_HEAD * 2]].concat();
        let head = answered(head).await;
        assert!(matches!(head, Err(StampError::Http(_))), "{head:?}");
        let noise = answered(b"SSH-2.0-x\r\n".to_vec()).await;
        assert!(matches!(noise, Err(StampError::Http(_))), "{noise:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn waits_no_longer_than_its_limit() {
        for begun in [Vec::new(), ok(100, b"half")] {
            let slow = answered(begun).await;
            assert!(matches!(slow, Err(StampError::Slow)), "{slow:?}");
        }
    }

    #[tokio::test]
    async fn says_that_nobody_is_there() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        drop(listener);
        let url = HttpUrl::try_from(url).unwrap();
        let dead = post(&TokioNet, &url, Vec::new()).await;
        assert!(matches!(dead, Err(StampError::Connect(_))), "{dead:?}");
    }
}
