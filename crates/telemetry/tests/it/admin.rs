//! The admin server, as a probe sees it.

use std::net::SocketAddr;
use std::time::Duration;

use entente_telemetry::{AdminLimits, Build, Condition, Health, Metrics, serve_admin};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

struct Admin {
    at: SocketAddr,
    health: Health,
    stop: oneshot::Sender<()>,
    serving: JoinHandle<()>,
}

async fn admin(limits: AdminLimits) -> Admin {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    let health = Health::new(&[Condition::Log]);
    let metrics = Metrics::new(Build {
        version: "0.1.0",
        role: "registry",
    });
    let (stop, stopped) = oneshot::channel();
    let serving = tokio::spawn(serve_admin(
        listener,
        metrics,
        health.clone(),
        limits,
        async move {
            let _ = stopped.await;
        },
    ));
    Admin {
        at,
        health,
        stop,
        serving,
    }
}

async fn ask(at: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(at).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    let _ = stream.read_to_string(&mut answer).await;
    answer
}

async fn fetch(at: SocketAddr, path: &str) -> String {
    ask(at, &format!("GET {path} HTTP/1.1\r\nhost: a\r\n\r\n")).await
}

#[tokio::test]
async fn answers_probes_as_the_role_stands() {
    let admin = admin(AdminLimits::default()).await;
    let fetched = async |path: &str| fetch(admin.at, path).await;
    assert!(fetched("/livez").await.starts_with("HTTP/1.1 200"));
    assert!(fetched("/startupz").await.starts_with("HTTP/1.1 503"));
    assert!(fetched("/readyz").await.starts_with("HTTP/1.1 503"));
    let verbose = fetched("/readyz?verbose").await;
    assert!(verbose.contains("[-] log failed: not known yet\n[-] starting\nnot ready"));

    admin.health.started();
    admin.health.pass(Condition::Log);
    assert!(fetched("/startupz").await.starts_with("HTTP/1.1 200"));
    assert!(fetched("/readyz").await.starts_with("HTTP/1.1 200"));
    let metrics = fetched("/metrics").await;
    assert!(metrics.contains("application/openmetrics-text; version=1.0.0"));
    assert!(metrics.contains("entente_build_info{version=\"0.1.0\",role=\"registry\"} 1"));
    assert!(fetched("/etc/passwd").await.starts_with("HTTP/1.1 404"));
}

#[tokio::test]
async fn refuses_everything_but_a_short_get() {
    let admin = admin(AdminLimits::default()).await;
    for method in ["POST", "PUT", "DELETE", "OPTIONS", "HEAD"] {
        let request = format!("{method} /livez HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\n\r\n");
        let answer = ask(admin.at, &request).await;
        assert!(answer.starts_with("HTTP/1.1 405"), "{answer}");
    }
    for request in [
        "nonsense\r\n\r\n".to_owned(),
        format!("GET /{} HTTP/1.1\r\nhost: a\r\n\r\n", "x".repeat(10_000)),
        format!("GET / HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(100)),
    ] {
        let answer = ask(admin.at, &request).await;
        assert!(!answer.contains(" 200 "), "{answer}");
    }
}

#[tokio::test]
async fn closes_connections_beyond_its_limit_and_those_that_stall() {
    let admin = admin(AdminLimits {
        connections: 1,
        request: Duration::from_millis(100),
    })
    .await;
    let mut stalled = TcpStream::connect(admin.at).await.unwrap();
    stalled.write_all(b"GET /livez").await.unwrap();
    assert_eq!(fetch(admin.at, "/livez").await, "");
    let mut rest = Vec::new();
    let _ = stalled.read_to_end(&mut rest).await;
    assert!(!String::from_utf8_lossy(&rest).contains(" 200 "));
    // The slot is free again.
    let mut answer = String::new();
    while answer.is_empty() {
        answer = fetch(admin.at, "/livez").await;
    }
    assert!(answer.starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn stops_when_told() {
    let admin = admin(AdminLimits::default()).await;
    assert!(fetch(admin.at, "/livez").await.starts_with("HTTP/1.1 200"));
    admin.stop.send(()).unwrap();
    admin.serving.await.unwrap();
    assert!(TcpStream::connect(admin.at).await.is_err());
}
