//! Listening, running beside the calls, and stopping without losing any.

mod health;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use entente_directory::Mode;
use entente_evidence::statement::MessageId;
use entente_identity::SystemId;
use entente_keys::LocalToken;
use entente_proto::exchange::v1::peer_exchange_server::PeerExchangeServer;
use entente_proto::oversight::v1::ledger_service_server::LedgerServiceServer;
use entente_reason::Reason;
use entente_store::{Store, StoreError};
use entente_telemetry::{AdminLimits, Health, serve_admin};
use entente_tls::net::Endpoint;
use entente_tls::{
    AcceptLimits, IdentitySlot, Incoming, Pins, ServerSecurity, ServerTls, incoming,
};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::config::Caller;
use crate::door::{LocalDoor, PeerDoor, Proof};
use crate::index::Index;
use crate::ledger_door::LedgerDoor;
use crate::receipts::{self, Checked};
use crate::registries::Registries;
use crate::server::Server;
use crate::shard;
use crate::start::StartError;
use health::{look, report, watch_health};

/// A server that listens. Dropping it stops it at once; [`Running::shutdown`] stops it well.
#[derive(Debug)]
pub struct Running {
    server: Arc<Server>,
    store: Arc<Store>,
    registries: Registries,
    health: Health,
    peer: Endpoint,
    admin: SocketAddr,
    callers: Vec<(SystemId, Endpoint)>,
    stop: CancellationToken,
    doors: JoinSet<()>,
    beside: JoinSet<()>,
    /// Pays what the ledger is owed, and destroys what is due. Both are asked to end, never cut off: a
    /// debt cut off while it is being written could be written twice.
    settling: JoinSet<()>,
    settled: CancellationToken,
}

/// How often it is looked whether the half-year is over.
const SHARD_TICK: Duration = Duration::from_secs(10);

/// How often health and gauges are looked at.
const TICK: Duration = Duration::from_secs(1);

/// How soon a session that could not be renewed is tried again.
const RENEW_AGAIN: Duration = Duration::from_secs(10);

// === impl Running ===

impl Running {
    /// Where peers connect.
    pub const fn peer_endpoint(&self) -> &Endpoint {
        &self.peer
    }

    /// Where `/metrics` and health are served.
    pub const fn admin_addr(&self) -> SocketAddr {
        self.admin
    }

    /// Where local systems call, in the order of the configuration.
    pub fn caller_endpoints(&self) -> &[(SystemId, Endpoint)] {
        &self.callers
    }

    /// Whether it is ready, and why not.
    pub const fn health(&self) -> &Health {
        &self.health
    }

    /// The directory it works from.
    pub fn directory(&self) -> entente_follow::Directory {
        self.registries.follower.directory()
    }

    /// The same, with those of the registries that its own recognises.
    pub fn directories(&self) -> entente_follow::Directories {
        self.registries.abroad.directories()
    }

    /// How many entries its ledger holds.
    pub fn ledger_size(&self) -> u64 {
        self.server.journal.ledger().size()
    }

    /// How many sessions of its own it has begun since it started: each is in its ledger.
    pub fn sessions_begun(&self) -> u64 {
        self.server.sessions.begun()
    }

    /// The entries about one exchange, as far as the index reaches; at most `limit`. Blocks while
    /// files are read.
    ///
    /// # Errors
    /// When the index cannot be read.
    pub fn entries_of(&self, message: &MessageId, limit: usize) -> Result<Vec<u64>, StoreError> {
        self.store.messages(message.as_bytes(), limit)
    }

    /// Publishes a checkpoint over everything logged so far.
    ///
    /// # Errors
    /// When it cannot be written.
    pub async fn publish_checkpoint(&self) -> Result<(), entente_ledger::LedgerError> {
        self.server.journal.ledger().publish_now().await.map(|_| ())
    }

    /// Waits until the shard this server writes to is over: by a clock that the registry confirms, because
    /// the directory knows a newer one, or because a witness has shown another tree of it. It goes on in it
    /// all the same; shut down and started again, it goes on in the next one. Cancel-safe.
    pub async fn shard_over(&self) {
        let mut tick = tokio::time::interval(SHARD_TICK);
        let server = &self.server;
        let (origin, clock) = (server.journal.origin(), &*server.clock);
        let directory = server.views.directory();
        loop {
            if let Some(dissent) = server.witnessing.witnesses().dissent() {
                // The next start need not hear it again: our own key signed it.
                let (mark, shown) = (server.mark.clone(), dissent.checkpoint.clone());
                let kept = tokio::task::spawn_blocking(move || mark.keep(&shown)).await;
                if !matches!(kept, Ok(Ok(()))) {
                    tracing::warn!(event = "mark.not_kept");
                }
                return;
            }
            let view = directory.load();
            let open = view.state.shard(&server.id, Mode::Live);
            let is_other = open.is_some_and(|open| open.origin != origin.as_str());
            drop(view);
            if is_other || shard::has_ended(origin, clock, directory).await {
                return;
            }
            tick.tick().await;
        }
    }

    /// Checks now whether providers kept the promises in their answers, instead of waiting for the time.
    ///
    /// # Errors
    /// When our own ledger cannot be read, or there is no view of the directory.
    pub async fn check_receipts(&self) -> Result<Checked, Reason> {
        self.server.check_receipts().await
    }

    /// Takes no new calls, lets those in flight end within the drain limit, writes what is owed and
    /// closes the ledger.
    pub async fn shutdown(mut self) {
        self.health.drain();
        self.stop.cancel();
        let drain = self.server.limits.drain.get();
        let _ = tokio::time::timeout(drain, async {
            while self.doors.join_next().await.is_some() {}
            // Whose caller went away runs on: what it began must reach the ledger.
            self.server.calls.close();
            self.server.calls.wait().await;
        })
        .await;
        self.doors.shutdown().await;
        self.beside.shutdown().await;
        self.settled.cancel();
        while self.settling.join_next().await.is_some() {}
        self.server.pay().await;
        self.server.write_summaries(true).await;
        if let Err(error) = self.server.journal.ledger().shutdown().await {
            tracing::error!(event = "ledger.not_closed", %error);
        }
        self.registries.shutdown().await;
    }
}

/// Opens every door, and starts what runs beside the calls.
pub(crate) async fn listen(
    server: Arc<Server>,
    index: Index,
    identity: IdentitySlot,
    registries: Registries,
    health: Health,
) -> Result<Running, StartError> {
    let stop = CancellationToken::new();
    let mut doors = JoinSet::new();
    let mut beside = JoinSet::new();
    let mut settling = JoinSet::new();
    let settled = CancellationToken::new();

    let security = ServerSecurity::Tls(ServerTls::any_key(identity.clone())?);
    let at = Endpoint::from(server.config.peer.listen.clone());
    let (peer, arriving) = open(&server, &at, security).await?;
    let exchange = PeerExchangeServer::new(PeerDoor::new(Arc::clone(&server)))
        .max_decoding_message_size(PeerDoor::MAX_FRAME)
        .max_encoding_message_size(PeerDoor::MAX_FRAME);
    let ledger = LedgerServiceServer::new(LedgerDoor::new(Arc::clone(&server)));
    let served = entente_tls::server()
        .add_service(exchange)
        .add_service(ledger)
        .serve_with_incoming_shutdown(arriving, stop.clone().cancelled_owned());
    doors.spawn(async move { log_end("peer", served.await) });

    let mut callers = Vec::new();
    for (system, settings) in &server.config.systems {
        for caller in &settings.callers {
            let (endpoint, proof, security) = door(system, caller, &identity)?;
            let (endpoint, arriving) = open(&server, &endpoint, security).await?;
            callers.push((system.clone(), endpoint));
            let (reporter, grpc_health) = tonic_health::server::health_reporter();
            beside.spawn(report(health.clone(), reporter));
            let door = LocalDoor::new(Arc::clone(&server), proof);
            let routes = tonic::service::Routes::new(grpc_health)
                .into_axum_router()
                .fallback_service(tower::ServiceExt::map_request(
                    door,
                    |request: http::Request<_>| request.map(tonic::body::Body::new),
                ));
            let served = entente_tls::server().serve_with_incoming_shutdown(
                tonic::service::Routes::from(routes),
                arriving,
                stop.clone().cancelled_owned(),
            );
            doors.spawn(async move { log_end("caller", served.await) });
        }
    }

    let admin = server.config.admin.listen.to_string();
    let failed = |source| StartError::Listen {
        at: admin.clone(),
        source,
    };
    let listener = tokio::net::TcpListener::bind(&admin)
        .await
        .map_err(failed)?;
    let admin = listener.local_addr().map_err(failed)?;
    beside.spawn(serve_admin(
        listener,
        server.metrics.clone(),
        health.clone(),
        AdminLimits::default(),
        stop.clone().cancelled_owned(),
    ));
    let store = index.store();
    beside.spawn(index.follow(server.journal.ledger().clone()));
    beside.spawn(adopt_views(Arc::clone(&server)));
    beside.spawn(check_receipts(Arc::clone(&server)));
    let gossiping = Arc::clone(&server);
    beside.spawn(async move { gossiping.gossip.log_news(&gossiping.journal).await });
    beside.spawn(Arc::clone(&server).stamp());
    settling.spawn(Arc::clone(&server).settle(settled.clone()));
    settling.spawn(Arc::clone(&server).retain(settled.clone()));
    beside.spawn(renew_sessions(Arc::clone(&server)));
    beside.spawn(watch_health(Arc::clone(&server), health.clone()));
    look(&server, &health);
    server.metrics.started_at(server.clock.now());
    health.started();
    tracing::info!(event = "server.listening", server = %server.id, peer = %peer, admin = %admin);
    Ok(Running {
        server,
        store,
        registries,
        health,
        peer,
        admin,
        callers,
        stop,
        doors,
        beside,
        settling,
        settled,
    })
}

fn door(
    system: &SystemId,
    caller: &Caller,
    identity: &IdentitySlot,
) -> Result<(Endpoint, Proof, ServerSecurity), StartError> {
    let system = system.clone();
    Ok(match caller {
        Caller::Unix(path) => {
            let endpoint = Endpoint::Unix(path.as_path().to_path_buf());
            let proof = Proof::Socket(system.clone());
            let plain = ServerSecurity::Plain {
                system: Some(system),
            };
            (endpoint, proof, plain)
        }
        Caller::Loopback { listen, token } => {
            if !listen.is_local() {
                return Err(StartError::Exposed {
                    listen: listen.to_string(),
                });
            }
            let token = LocalToken::load(token.file.as_path())?;
            let proof = Proof::Token(system, Arc::new(token));
            (
                listen.clone().into(),
                proof,
                ServerSecurity::Plain { system: None },
            )
        }
        Caller::Tls { listen, clients } => {
            let keys: BTreeMap<_, _> = clients.iter().map(|key| (key.0, system.clone())).collect();
            let pins = Pins::new(keys.keys().copied());
            let tls = ServerTls::pinned(identity.clone(), pins)?;
            let proof = Proof::Tls(Arc::new(keys));
            (listen.clone().into(), proof, ServerSecurity::Tls(tls))
        }
    })
}

async fn open(
    server: &Server,
    at: &Endpoint,
    security: ServerSecurity,
) -> Result<(Endpoint, Incoming), StartError> {
    let listener = server
        .net
        .listen(at)
        .await
        .map_err(|source| StartError::Listen {
            at: at.to_string(),
            source,
        })?;
    let endpoint = listener.endpoint().clone();
    let metrics = server.metrics.clone();
    let limits = AcceptLimits {
        refused: Some(Arc::new(move |_, error| {
            metrics.handshake_refused(error.reason());
        })),
        ..AcceptLimits::default()
    };
    Ok((endpoint, incoming(listener, security, limits)))
}

/// Puts each new view of a registry in force, VIEW first.
async fn adopt_views(server: Arc<Server>) {
    let mut views = server.views.directory().views();
    let mut news = server.views.news();
    // Adopted before the first change is waited for: one that came since the start adopted a view is
    // none any more to whoever only listens now.
    loop {
        news.borrow_and_update();
        if let Some(policy) = views.borrow_and_update().state.policy() {
            server.witnessing.follow(policy);
        }
        while let Err(reason) = server.views.adopt(&server.journal).await {
            // Until it is logged it decides nothing; the old view goes on, and grows stale.
            tracing::warn!(event = "view.not_adopted", reason = reason.code());
            tokio::time::sleep(TICK).await;
        }
        let changed = tokio::select! {
            changed = views.changed() => changed,
            changed = news.changed() => changed,
        };
        if changed.is_err() {
            return;
        }
    }
}

/// Checks now and then whether providers kept their promises.
async fn check_receipts(server: Arc<Server>) {
    let mut tick = tokio::time::interval(receipts::EVERY);
    // The first is after one interval: a start has other work.
    tick.tick().await;
    loop {
        tick.tick().await;
        match server.check_receipts().await {
            Ok(Checked { kept, broken, open }) => {
                tracing::info!(event = "receipts.checked", kept, broken, open);
            }
            Err(reason) => tracing::warn!(event = "receipts.unchecked", reason = reason.code()),
        }
    }
}

/// Begins each next session in time. Cut off, it leaves a session that was certified and never signs.
async fn renew_sessions(server: Arc<Server>) {
    let mut tick = tokio::time::interval(TICK);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        let adopted = server.views.current();
        let is_revoked = |issued_at| {
            let adopted = adopted.as_ref();
            adopted.is_some_and(|adopted| adopted.session_revoked(&server.id, issued_at))
        };
        if !server.sessions.renew(is_revoked).await {
            // There are hours left: whoever holds the key is not asked each second.
            tick.reset_after(RENEW_AGAIN);
        }
    }
}

fn log_end(door: &'static str, ended: Result<(), tonic::transport::Error>) {
    if let Err(error) = ended {
        tracing::error!(event = "door.failed", door, %error);
    }
}
