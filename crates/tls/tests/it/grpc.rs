//! tonic over these connections.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use entente_reason::Reason;
use entente_tls::net::{Endpoint, Net, TokioNet};
use entente_tls::{
    AcceptLimits, ChannelOptions, ClientTls, PeerInfo, ServerSecurity, ServerTls, TlsError,
    channel, incoming, reason_of, server,
};
use tokio::io::AsyncReadExt;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tonic::{Request, Status};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use tonic_health::pb::health_server::{Health, HealthServer};

use crate::{client_of, listener, p256};

/// A health service that remembers who asked.
#[derive(Clone, Default)]
struct Asked(Arc<Mutex<Vec<PeerInfo>>>);

#[tonic::async_trait]
impl Health for Asked {
    async fn check(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<tonic::Response<tonic_health::pb::HealthCheckResponse>, Status> {
        let peer = request.extensions().get::<PeerInfo>().unwrap().clone();
        self.0.lock().unwrap().push(peer);
        Ok(tonic::Response::new(Default::default()))
    }

    type WatchStream = tokio_stream::Empty<Result<tonic_health::pb::HealthCheckResponse, Status>>;

    async fn watch(
        &self,
        _: Request<HealthCheckRequest>,
    ) -> Result<tonic::Response<Self::WatchStream>, Status> {
        Err(Status::unimplemented(""))
    }
}

async fn serve(
    security: ServerSecurity,
    limits: AcceptLimits,
) -> (Endpoint, Asked, JoinHandle<()>) {
    let listener = listener().await;
    let at = listener.endpoint().clone();
    let asked = Asked::default();
    let service = HealthServer::new(asked.clone());
    let connections = incoming(listener, security, limits);
    let serving = tokio::spawn(async move {
        server()
            .add_service(service)
            .serve_with_incoming(connections)
            .await
            .unwrap();
    });
    (at, asked, serving)
}

async fn ask(at: Endpoint, tls: Option<ClientTls>) -> Result<(), Status> {
    let channel = channel(Arc::new(TokioNet), at, tls, &ChannelOptions::default());
    HealthClient::new(channel)
        .check(HealthCheckRequest::default())
        .await
        .map(|_| ())
}

#[tokio::test]
async fn a_call_carries_the_key_its_connection_proved() {
    let (identity, client) = (p256(), p256());
    let tls = ServerTls::any_key(identity.clone()).unwrap();
    let (at, asked, _) = serve(ServerSecurity::Tls(tls), AcceptLimits::default()).await;
    ask(at, Some(client_of(&identity, &client))).await.unwrap();
    let asked = asked.0.lock().unwrap();
    assert_eq!(asked[0].spki, Some(client.spki()));
    assert_eq!(asked[0].system, None);
}

#[tokio::test]
async fn a_call_over_a_systems_own_socket_carries_its_name() {
    let system = "ca-demo/pensions/payments".parse().unwrap();
    let security = ServerSecurity::Plain {
        system: Some(system),
    };
    let (at, asked, _) = serve(security, AcceptLimits::default()).await;
    ask(at, None).await.unwrap();
    let asked = asked.0.lock().unwrap();
    assert_eq!(asked[0].spki, None);
    assert_eq!(
        asked[0].system.as_ref().map(ToString::to_string).as_deref(),
        Some("ca-demo/pensions/payments")
    );
}

#[tokio::test]
async fn a_failed_call_tells_an_untrusted_peer_from_an_absent_one() {
    let (identity, other, client) = (p256(), p256(), p256());
    let tls = ServerTls::any_key(identity.clone()).unwrap();
    let (at, _, _) = serve(ServerSecurity::Tls(tls), AcceptLimits::default()).await;
    let status = ask(at, Some(client_of(&other, &client))).await.unwrap_err();
    assert_eq!(reason_of(&status), Reason::PeerUntrusted);

    let nobody = listener().await.endpoint().clone();
    let status = ask(nobody, Some(client_of(&other, &client)))
        .await
        .unwrap_err();
    assert_eq!(reason_of(&status), Reason::PeerUnreachable);
}

#[tokio::test]
async fn a_channel_connects_again_when_the_server_is_back() {
    let (identity, client) = (p256(), p256());
    let tls = ServerTls::any_key(identity.clone()).unwrap();
    let security = ServerSecurity::Tls(tls);
    let (at, _, serving) = serve(security.clone(), AcceptLimits::default()).await;
    let channel = channel(
        Arc::new(TokioNet),
        at.clone(),
        Some(client_of(&identity, &client)),
        &ChannelOptions::default(),
    );
    let mut health = HealthClient::new(channel);
    health.check(HealthCheckRequest::default()).await.unwrap();

    serving.abort();
    serving.await.unwrap_err();
    // The connection's own task notices in its time; what counts is that calls pass again.
    let listener = TokioNet.listen(&at).await.unwrap();
    let connections = incoming(listener, security, AcceptLimits::default());
    tokio::spawn(
        server()
            .add_service(HealthServer::new(Asked::default()))
            .serve_with_incoming(connections),
    );
    let mut tries = 0;
    while health.check(HealthCheckRequest::default()).await.is_err() {
        tries += 1;
        assert!(tries < 1000);
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_stalled_handshake_ends_at_its_limit_and_delays_nobody() {
    let (identity, client) = (p256(), p256());
    let tls = ServerTls::any_key(identity.clone()).unwrap();
    let (refused, told) = (Arc::new(AtomicUsize::new(0)), Arc::new(Notify::new()));
    let limits = AcceptLimits {
        handshake_timeout: Duration::from_millis(50),
        refused: Some({
            let (refused, told) = (refused.clone(), told.clone());
            Arc::new(move |_, error: &TlsError| {
                assert!(matches!(error, TlsError::Timeout), "{error:?}");
                refused.fetch_add(1, Ordering::SeqCst);
                told.notify_one();
            })
        }),
        ..AcceptLimits::default()
    };
    let (at, asked, _) = serve(ServerSecurity::Tls(tls), limits).await;
    let mut stalled = TokioNet.connect(&at).await.unwrap();
    ask(at, Some(client_of(&identity, &client))).await.unwrap();
    assert_eq!(asked.0.lock().unwrap().len(), 1);
    told.notified().await;
    assert_eq!(refused.load(Ordering::SeqCst), 1);
    assert_eq!(stalled.read(&mut [0; 16]).await.unwrap(), 0);
}

#[tokio::test]
async fn handshakes_beyond_the_limit_wait_their_turn() {
    let (identity, client) = (p256(), p256());
    let tls = ServerTls::any_key(identity.clone()).unwrap();
    let limits = AcceptLimits {
        handshake_timeout: Duration::from_millis(100),
        max_pending: 1,
        ..AcceptLimits::default()
    };
    let (at, asked, _) = serve(ServerSecurity::Tls(tls), limits).await;
    let _stalled = TokioNet.connect(&at).await.unwrap();
    ask(at, Some(client_of(&identity, &client))).await.unwrap();
    assert_eq!(asked.0.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn an_address_with_its_share_of_connections_is_closed_at_once() {
    let (identity, client) = (p256(), p256());
    let tls = ServerTls::any_key(identity.clone()).unwrap();
    let told = Arc::new(Notify::new());
    let limits = AcceptLimits {
        max_pending: 4,
        refused: Some({
            let told = told.clone();
            Arc::new(move |_, error: &TlsError| {
                assert!(matches!(error, TlsError::Crowded), "{error:?}");
                assert_eq!(error.reason(), Reason::Overloaded);
                told.notify_one();
            })
        }),
        ..AcceptLimits::default()
    };
    let (at, asked, _) = serve(ServerSecurity::Tls(tls), limits).await;
    ask(at.clone(), Some(client_of(&identity, &client)))
        .await
        .unwrap();
    assert_eq!(asked.0.lock().unwrap().len(), 1);
    // It says nothing, and is waited for; the next from there is not.
    let _stalled = TokioNet.connect(&at).await.unwrap();
    let mut next = TokioNet.connect(&at).await.unwrap();
    told.notified().await;
    assert_eq!(next.read(&mut [0; 16]).await.unwrap(), 0);
}

#[tokio::test]
async fn a_draining_server_refuses_connections_and_finishes_what_is_open() {
    let listener = listener().await;
    let at = listener.endpoint().clone();
    let security = ServerSecurity::Plain { system: None };
    let connections = incoming(listener, security, AcceptLimits::default());
    let stopper = connections.stopper();
    let (drain, drained) = tokio::sync::oneshot::channel::<()>();
    let serving = tokio::spawn(
        server()
            .add_service(HealthServer::new(Asked::default()))
            .serve_with_incoming_shutdown(connections, async {
                let _ = drained.await;
            }),
    );
    let channel = channel(
        Arc::new(TokioNet),
        at.clone(),
        None,
        &ChannelOptions::default(),
    );
    let mut health = HealthClient::new(channel);
    health.check(HealthCheckRequest::default()).await.unwrap();
    stopper.stop();
    drain.send(()).unwrap();
    serving.await.unwrap().unwrap();
    assert!(TokioNet.connect(&at).await.is_err());
}
