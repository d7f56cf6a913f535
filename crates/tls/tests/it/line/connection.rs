//! The one connection of a line: shared, lost, made again, given up.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use entente_tls::line::Line;
use entente_tls::net::{Endpoint, Listener, Net, NetFuture, Stream, TokioNet};
use entente_tls::{ChannelOptions, never_sent};
use http::uri::PathAndQuery;
use tokio::sync::Notify;
use tonic::Code;
use tonic::metadata::MetadataMap;

use super::{Asked, ask, call, framed, line, send, serve};
use crate::listener;

#[tokio::test]
async fn calls_share_one_connection_also_those_that_wait_for_it() {
    let (at, connections, _) = serve(listener().await, |(_, respond): Asked| async move {
        send(respond, vec![framed(b"answer")], "0");
    });
    let line = line(at);
    let asking = (0..64).map(|_| ask(&line, b"ask"));
    for answered in futures_util::future::join_all(asking).await {
        answered.unwrap();
    }
    assert_eq!(connections.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn connects_again_when_the_other_side_is_back_and_tells_what_was_never_sent() {
    let answer = |(_, respond): Asked| async move {
        send(respond, vec![framed(b"answer")], "0");
    };
    let (at, _, serving) = serve(listener().await, answer);
    let line = line(at.clone());
    ask(&line, b"").await.unwrap();
    serving.abort();
    serving.await.unwrap_err();
    // What was on its way when the connection broke may have acted; after that, nothing is sent.
    let refused = loop {
        let refused = ask(&line, b"").await.unwrap_err();
        if never_sent(&refused) {
            break refused;
        }
    };
    assert_eq!(refused.code(), Code::Unavailable);
    serve(TokioNet.listen(&at).await.unwrap(), answer);
    ask(&line, b"").await.unwrap();
}

#[tokio::test]
async fn a_call_cut_off_after_it_was_read_may_have_acted() {
    let (at, ..) = serve(listener().await, |(_, mut respond): Asked| async move {
        respond.send_reset(h2::Reason::INTERNAL_ERROR);
    });
    let lost = call(&line(at), b"").await.unwrap_err();
    assert!(std::error::Error::source(&lost).is_some());
    assert!(!never_sent(&lost));
}

#[tokio::test]
async fn a_call_that_is_dropped_is_cancelled_at_the_other_side() {
    let (read, gone) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (told, end) = (Arc::clone(&read), Arc::clone(&gone));
    let (at, ..) = serve(listener().await, move |(_, mut respond): Asked| {
        let (told, end) = (Arc::clone(&told), Arc::clone(&end));
        async move {
            told.notify_one();
            let reset = std::future::poll_fn(|context| respond.poll_reset(context)).await;
            assert_eq!(reset.unwrap(), h2::Reason::CANCEL);
            end.notify_one();
        }
    });
    let line = line(at);
    tokio::select! {
        _ = call(&line, b"") => panic!("nobody answers"),
        () = read.notified() => {}
    }
    gone.notified().await;
}

/// A network whose other end reads and says nothing.
#[derive(Debug, Default)]
struct Silent(std::sync::Mutex<Vec<tokio::io::DuplexStream>>);

impl Net for Silent {
    fn connect<'a>(&'a self, _: &'a Endpoint) -> NetFuture<'a, Stream> {
        Box::pin(async {
            let (near, far) = tokio::io::duplex(1024 * 1024);
            self.0.lock().unwrap().push(far);
            Ok(Box::new(near) as Stream)
        })
    }

    fn listen<'a>(&'a self, _: &'a Endpoint) -> NetFuture<'a, Listener> {
        unreachable!("a test that only connects")
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_answers_no_ping_is_given_up() {
    let net = Arc::new(Silent::default());
    let line = Line::new(
        net.clone(),
        Endpoint::loopback(),
        None,
        ChannelOptions::default(),
    );
    let began = tokio::time::Instant::now();
    let lost = call(&line, b"").await.unwrap_err();
    assert!(!never_sent(&lost));
    assert_eq!(began.elapsed().as_secs(), 30);
    // The next call tries another connection.
    tokio::time::timeout(Duration::from_secs(1), call(&line, b""))
        .await
        .unwrap_err();
    assert_eq!(net.0.lock().unwrap().len(), 2);
}

#[tokio::test]
async fn a_peer_that_takes_no_more_calls_makes_us_hold_one_and_no_more() {
    let listener = listener().await;
    let at = listener.endpoint().clone();
    tokio::spawn(async move {
        let mut listener = listener;
        let (stream, _) = listener.accept().await.unwrap();
        let mut builder = h2::server::Builder::new();
        builder.max_concurrent_streams(1);
        let mut connection = builder.handshake::<_, Bytes>(stream).await.unwrap();
        let mut held = Vec::new();
        while let Some(Ok(call)) = connection.accept().await {
            held.push(call);
        }
    });
    let line = line(at);
    let short = Duration::from_millis(100);
    let path = PathAndQuery::from_static("/a.v1.B/Get");
    let call = || line.call(&path, MetadataMap::new(), short, framed(b""));
    // The first is taken and never answered, the second waits to be taken; the others are not sent.
    let (first, second) = (call(), call());
    tokio::pin!(first, second);
    for waiting in [&mut first, &mut second] {
        tokio::time::timeout(short, waiting).await.unwrap_err();
    }
    for _ in 0..3 {
        assert!(never_sent(&call().await.unwrap_err()));
    }
}

/// A network that takes its time, and counts.
#[derive(Debug)]
struct Slow {
    takes: Duration,
    then: Option<Endpoint>,
    attempts: AtomicUsize,
}

impl Net for Slow {
    fn connect<'a>(&'a self, _: &'a Endpoint) -> NetFuture<'a, Stream> {
        Box::pin(async {
            self.attempts.fetch_add(1, Ordering::SeqCst);
            tokio::time::sleep(self.takes).await;
            match &self.then {
                Some(to) => TokioNet.connect(to).await,
                None => Err(std::io::ErrorKind::ConnectionRefused.into()),
            }
        })
    }

    fn listen<'a>(&'a self, _: &'a Endpoint) -> NetFuture<'a, Listener> {
        unreachable!("a test that only connects")
    }
}

fn slow(takes: Duration, then: Option<Endpoint>) -> (Arc<Slow>, Line) {
    let net = Arc::new(Slow {
        takes,
        then,
        attempts: AtomicUsize::new(0),
    });
    let options = ChannelOptions::default();
    let line = Line::new(net.clone(), Endpoint::loopback(), None, options);
    (net, line)
}

#[tokio::test(start_paused = true)]
async fn an_attempt_to_connect_that_fails_fails_once_for_all_who_waited() {
    let (net, line) = slow(Duration::from_secs(1), None);
    let began = tokio::time::Instant::now();
    let asking = (0..16).map(|_| ask(&line, b""));
    for refused in futures_util::future::join_all(asking).await {
        assert!(never_sent(&refused.unwrap_err()));
    }
    assert_eq!(began.elapsed().as_secs(), 1);
    assert_eq!(net.attempts.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn callers_in_a_hurry_do_not_end_an_attempt_to_connect() {
    let (at, ..) = serve(listener().await, |(_, respond): Asked| async move {
        send(respond, vec![framed(b"answer")], "0");
    });
    let (net, line) = slow(Duration::from_millis(300), Some(at));
    let path = PathAndQuery::from_static("/a.v1.B/Get");
    let short = Duration::from_millis(10);
    let mut refused = 0;
    while let Err(error) = line
        .call(&path, MetadataMap::new(), short, framed(b""))
        .await
    {
        assert!(never_sent(&error));
        refused += 1;
    }
    assert!(refused > 0);
    assert_eq!(net.attempts.load(Ordering::SeqCst), 1);
}
