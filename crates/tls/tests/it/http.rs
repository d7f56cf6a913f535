//! One request over plain HTTP.

use bytes::Bytes;
use entente_tls::http::{HttpError, HttpUrl, send};
use entente_tls::net::TokioNet;
use http::{Method, Request, Response};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// What comes of a request, to somebody who answers with these bytes and then waits.
async fn answered(with: Vec<u8>) -> Result<Response<Bytes>, HttpError> {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    let answering = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut head = [0; 1_024];
        let read = stream.read(&mut head).await.unwrap();
        let head_of = format!("POST /tsr?p=1 HTTP/1.1\r\nhost: {at}\r\n");
        assert!(head[..read].starts_with(head_of.as_bytes()));
        // It fails when the asker has gone, which some of them do.
        let _ = stream.write_all(&with).await;
        // Ends when the asker has given the connection up.
        let _ = stream.read(&mut head).await;
    });
    let mut request = Request::new(Bytes::from_static(b"query"));
    *request.method_mut() = Method::POST;
    let answer = send(&TokioNet, &url(&format!("http://{at}/tsr?p=1")), request, 9).await;
    answering.await.unwrap();
    answer
}

fn url(text: &str) -> HttpUrl {
    text.parse().unwrap()
}

fn ok(length: usize, body: &[u8]) -> Vec<u8> {
    let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n");
    [head.as_bytes(), body].concat()
}

#[tokio::test]
async fn returns_whatever_is_answered() {
    let answer = answered(ok(9, b"the reply")).await.unwrap();
    assert_eq!(answer.body(), "the reply");
    let moved = b"HTTP/1.1 302 Found\r\nlocation: /\r\ncontent-length: 0\r\n\r\n";
    let moved = answered(moved.to_vec()).await.unwrap();
    assert_eq!(moved.status(), 302);
    assert_eq!(moved.headers()["location"], "/");
}

#[tokio::test]
async fn refuses_an_answer_that_is_too_long_or_no_http() {
    for huge in [ok(10, b"the reply."), ok(1 << 30, &[0; 4_096])] {
        let huge = answered(huge).await;
        assert!(matches!(huge, Err(HttpError::TooLong)), "{huge:?}");
    }
    let head = [&b"HTTP/1.1 200 OK\r\nx: "[..], &[b'x'; 32 * 1_024]].concat();
    for noise in [head, b"SSH-2.0-x\r\n".to_vec()] {
        let noise = answered(noise).await;
        assert!(matches!(noise, Err(HttpError::Http(_))), "{noise:?}");
    }
}

#[tokio::test]
async fn says_that_nobody_is_there_to_be_asked() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    drop(listener);
    let request = Request::new(Bytes::new());
    let dead = send(&TokioNet, &url(&format!("http://{at}/")), request, 9).await;
    assert!(matches!(dead, Err(HttpError::Connect(_))), "{dead:?}");
}
