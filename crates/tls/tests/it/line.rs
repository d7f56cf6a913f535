//! Lines, against servers that answer frame by frame as each test wants.

mod connection;

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::{BufMut as _, Bytes, BytesMut};
use entente_tls::line::{IncomingAnswer, Line, frame};
use entente_tls::net::{Endpoint, Listener, Stream, TokioNet};
use entente_tls::{ChannelOptions, channel, never_sent};
use h2::RecvStream;
use h2::server::SendResponse;
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderValue, Request, Response};
use tokio::task::JoinHandle;
use tonic::metadata::MetadataMap;
use tonic::{Code, Status};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

use crate::listener;

const LIMIT: usize = 4 * 1024 * 1024;
const DEADLINE: Duration = Duration::from_secs(20);

/// What a server was asked, and how it answers.
type Asked = (Request<Bytes>, SendResponse<Bytes>);

/// Answers every call with `answer`; counts connections.
fn serve<F, A>(mut listener: Listener, answer: F) -> (Endpoint, Arc<AtomicUsize>, JoinHandle<()>)
where
    F: Fn(Asked) -> A + Clone + Send + Sync + 'static,
    A: Future<Output = ()> + Send + 'static,
{
    let at = listener.endpoint().clone();
    let count = Arc::new(AtomicUsize::new(0));
    let connections = Arc::clone(&count);
    let serving = tokio::spawn(async move {
        let mut held = tokio::task::JoinSet::new();
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            connections.fetch_add(1, Ordering::SeqCst);
            held.spawn(serve_one(stream, answer.clone()));
        }
    });
    (at, count, serving)
}

async fn serve_one<F, A>(stream: Stream, answer: F)
where
    F: Fn(Asked) -> A + Clone + Send + 'static,
    A: Future<Output = ()> + Send + 'static,
{
    let mut connection = h2::server::handshake(stream).await.unwrap();
    while let Some(Ok((request, respond))) = connection.accept().await {
        let answer = answer.clone();
        tokio::spawn(async move {
            let (head, body) = request.into_parts();
            let message = read(body).await;
            answer((Request::from_parts(head, message), respond)).await;
        });
    }
}

async fn read(mut body: RecvStream) -> Bytes {
    let mut message = BytesMut::new();
    while let Some(Ok(chunk)) = body.data().await {
        body.flow_control().release_capacity(chunk.len()).unwrap();
        message.extend_from_slice(&chunk);
    }
    message.freeze()
}

fn ok() -> Response<()> {
    Response::builder().header("is-a", "test").body(()).unwrap()
}

fn status(code: &'static str) -> HeaderMap {
    HeaderMap::from_iter([
        (
            "grpc-status".parse().unwrap(),
            HeaderValue::from_static(code),
        ),
        (
            "grpc-message".parse().unwrap(),
            HeaderValue::from_static("why"),
        ),
    ])
}

/// Sends `chunks` and then trailers with this status.
fn send(mut respond: SendResponse<Bytes>, chunks: Vec<Bytes>, code: &'static str) {
    let mut body = respond.send_response(ok(), false).unwrap();
    for chunk in chunks {
        body.send_data(chunk, false).unwrap();
    }
    body.send_trailers(status(code)).unwrap();
}

fn line(to: Endpoint) -> Line {
    Line::new(Arc::new(TokioNet), to, None, ChannelOptions::default())
}

async fn call(line: &Line, message: &[u8]) -> Result<IncomingAnswer, Status> {
    let path = PathAndQuery::from_static("/a.v1.B/Get");
    let mut metadata = MetadataMap::new();
    metadata.insert("entente-purpose", "AUDIT".parse().unwrap());
    let framed = frame(message.len(), |buffer| buffer.put_slice(message));
    line.call(&path, metadata, DEADLINE, framed).await
}

/// The one message of a call that is answered well.
async fn ask(line: &Line, message: &[u8]) -> Result<Bytes, Status> {
    let mut answer = call(line, message).await?;
    let message = answer.message(LIMIT).await?.expect("a message");
    assert_eq!(answer.message(LIMIT).await?, None);
    Ok(message)
}

fn framed(message: &[u8]) -> Bytes {
    frame(message.len(), |buffer| buffer.put_slice(message))
}

#[tokio::test]
async fn a_call_carries_its_message_and_metadata_and_brings_the_answers_back() {
    let (at, ..) = serve(listener().await, |(request, respond): Asked| async move {
        assert_eq!(request.uri().path(), "/a.v1.B/Get");
        let header = |name: &str| request.headers()[name].to_str().unwrap();
        assert_eq!(header("content-type"), "application/grpc");
        assert_eq!(header("te"), "trailers");
        assert_eq!(header("grpc-timeout"), "20000m");
        assert_eq!(header("entente-purpose"), "AUDIT");
        assert_eq!(request.body()[..], [0, 0, 0, 0, 3, b'a', b's', b'k']);
        send(respond, vec![framed(b"answer")], "0");
    });
    let line = line(at);
    let mut answer = call(&line, b"ask").await.unwrap();
    assert_eq!(answer.metadata().get("is-a").unwrap(), "test");
    assert_eq!(answer.message(LIMIT).await.unwrap().unwrap(), "answer");
    assert_eq!(answer.message(LIMIT).await.unwrap(), None);
}

#[tokio::test]
async fn a_message_arrives_whole_however_it_is_cut() {
    for size in (1..=12).chain([100, 1_000]) {
        let (at, ..) = serve(listener().await, move |(_, respond): Asked| async move {
            let both = [framed(&[7; 300]), framed(b"")].concat();
            let mut chunks: Vec<_> = both.chunks(size).map(Bytes::copy_from_slice).collect();
            chunks.insert(chunks.len() / 2, Bytes::new());
            send(respond, chunks, "0");
        });
        let line = line(at);
        let mut answer = call(&line, b"").await.unwrap();
        assert_eq!(answer.message(300).await.unwrap().unwrap(), [7; 300][..]);
        assert_eq!(answer.message(0).await.unwrap().unwrap(), "");
        assert_eq!(answer.message(0).await.unwrap(), None);
    }
}

#[tokio::test]
async fn large_messages_pass_both_ways() {
    let (at, ..) = serve(listener().await, |(request, respond): Asked| async move {
        send(respond, vec![request.into_body()], "0");
    });
    let message: Vec<u8> = (0..LIMIT).map(|n| (n % 251) as u8).collect();
    assert_eq!(ask(&line(at), &message).await.unwrap(), message);
}

#[tokio::test]
async fn refuses_what_is_no_answer() {
    let cases: [(Vec<Bytes>, &'static str, Code); 6] = [
        // Longer than the limit: refused before any of it is kept.
        (
            vec![Bytes::from_static(&[0, 0xff, 0xff, 0xff, 0xff])],
            "0",
            Code::OutOfRange,
        ),
        (
            vec![Bytes::from_static(&[0, 0, 0x40, 0, 1])],
            "0",
            Code::OutOfRange,
        ),
        (
            vec![Bytes::from_static(&[1, 0, 0, 0, 0])],
            "0",
            Code::Internal,
        ),
        (vec![framed(b"cut").slice(..7)], "0", Code::Internal),
        (vec![framed(b"cut").slice(..3)], "0", Code::Internal),
        (vec![], "5", Code::NotFound),
    ];
    for (chunks, code, expected) in cases {
        let (at, ..) = serve(listener().await, move |(_, respond): Asked| {
            let chunks = chunks.clone();
            async move { send(respond, chunks, code) }
        });
        let line = line(at);
        let mut answer = call(&line, b"").await.unwrap();
        let refused = answer.message(LIMIT).await.unwrap_err();
        assert_eq!(refused.code(), expected, "{refused:?}");
        assert!(!never_sent(&refused));
    }
}

#[tokio::test]
async fn a_message_is_followed_by_the_status_the_call_ends_with() {
    let (at, ..) = serve(listener().await, |(_, respond): Asked| async move {
        send(respond, vec![framed(b"half")], "9");
    });
    let refused = ask(&line(at), b"").await.unwrap_err();
    assert_eq!(
        (refused.code(), refused.message()),
        (Code::FailedPrecondition, "why")
    );
}

#[tokio::test]
async fn a_status_without_a_message_is_told_in_the_head_alone_or_before_an_empty_body() {
    for is_over in [true, false] {
        let (at, ..) = serve(
            listener().await,
            move |(_, mut respond): Asked| async move {
                let mut head = ok();
                *head.headers_mut() = status("7");
                let mut body = respond.send_response(head, is_over).unwrap();
                if !is_over {
                    body.send_data(Bytes::new(), true).unwrap();
                }
            },
        );
        assert_is_told(call(&line(at), b"").await.unwrap_err());
    }
}

fn assert_is_told(refused: Status) {
    assert_eq!(
        (refused.code(), refused.message()),
        (Code::PermissionDenied, "why")
    );
    // It came from the other side, not from the connection.
    assert!(std::error::Error::source(&refused).is_none());
}

#[tokio::test]
async fn an_end_without_a_status_and_another_protocol_are_no_answers() {
    for http_status in [200, 404] {
        let (at, ..) = serve(
            listener().await,
            move |(_, mut respond): Asked| async move {
                let head = Response::builder().status(http_status).body(()).unwrap();
                respond.send_response(head, true).unwrap();
            },
        );
        let refused = call(&line(at), b"").await.unwrap_err();
        assert_eq!(refused.code(), Code::Unknown);
    }
}

#[tokio::test]
async fn details_that_are_not_base64_stop_nobody() {
    for in_head in [true, false] {
        let (at, ..) = serve(
            listener().await,
            move |(_, mut respond): Asked| async move {
                let mut bad = status("13");
                bad.insert("grpc-status-details-bin", HeaderValue::from_static("!"));
                let mut head = ok();
                if in_head {
                    *head.headers_mut() = bad;
                    respond.send_response(head, true).unwrap();
                } else {
                    let mut body = respond.send_response(head, false).unwrap();
                    body.send_trailers(bad).unwrap();
                }
            },
        );
        let over_a_line = ask(&line(at.clone()), b"").await.unwrap_err();
        // Nor over a channel, where tonic alone would panic.
        let options = ChannelOptions::default();
        let channel = channel(Arc::new(TokioNet), at, None, &options);
        let request = HealthCheckRequest::default();
        let over_a_channel = HealthClient::new(channel).check(request).await.unwrap_err();
        for refused in [over_a_line, over_a_channel] {
            assert_eq!(
                (refused.code(), refused.details()),
                (Code::Internal, &[][..])
            );
        }
    }
}
