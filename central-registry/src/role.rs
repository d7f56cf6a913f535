//! The role: opens what is on disk, serves it, and stops in order.

mod error;
mod replay;

use std::sync::Arc;
use std::time::Duration;

use entente_clock::Clock;
use entente_config::ListenAddr;
use entente_directory::Genesis;
use entente_follow::witness::{WitnessLimits, serve};
use entente_follow::{Anchor, BlobStore, Floors};
use entente_keys::{KeyStore, KeyUse};
use entente_ledger::disk::{Disk, durable};
use entente_ledger::note::{NoteKey, WitnessKey};
use entente_ledger::witness::{MAX_POLICY, WitnessPolicy};
use entente_ledger::{Ledger, LedgerError, Runner};
use entente_proto::registry::v1::registry_service_server::RegistryServiceServer;
use entente_telemetry::{AdminLimits, Build, Condition, Health, Metrics, serve_admin};
use entente_tls::net::{Endpoint, Net};
use entente_tls::{AcceptLimits, Identity, ServerSecurity, ServerTls, TlsError, incoming};
use tokio::sync::{Notify, Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::applications::Applications;
use crate::config::{Config, FENCED, FORMAT, STATE_KEY, TLS_KEY};
use crate::cosigning::{Behind, Cosigning};
use crate::desk::{Clerk, Desk, Record};
use crate::init::open_ledger;
use crate::limit::Limit;
use crate::office::Office;
use crate::passages::Passages;
use crate::service::Service;
use crate::tasks::{publish, report_health, until, watch_ledger, watch_witnesses};
use crate::witness;

use replay::{published, replay};

pub use error::StartError;

/// The registry of one jurisdiction.
#[derive(Debug)]
pub struct CentralRegistry;

/// What the role runs on.
#[derive(Clone, Debug)]
pub struct Deps {
    /// The time of entries.
    pub clock: Arc<dyn Clock>,
    /// Where it listens.
    pub net: Arc<dyn Net>,
    /// Where its data folder is.
    pub disk: Arc<dyn Disk>,
    /// Who writes the ledger.
    pub runner: Runner,
}

/// A registry that serves. Dropping it stops it in no particular order; see [`Running::shutdown`].
#[derive(Debug)]
pub struct Running {
    endpoint: Endpoint,
    admin: Option<std::net::SocketAddr>,
    witness: Option<(Endpoint, WitnessKey)>,
    anchor: Anchor,
    health: Health,
    metrics: Metrics,
    stop: watch::Sender<bool>,
    ledger: Ledger,
    tasks: JoinSet<()>,
}

// === impl CentralRegistry ===

impl CentralRegistry {
    /// Opens the registry that [`crate::init()`] made, replays its ledger, and serves it. Call it
    /// within a runtime.
    ///
    /// # Errors
    /// When there is none, its files or keys cannot be used, or an address cannot be listened on.
    pub async fn start(config: Config, deps: Deps) -> Result<Running, StartError> {
        let Deps {
            clock,
            net,
            disk,
            runner,
        } = deps;
        let health = Health::new(&[Condition::Log]);
        let metrics = Metrics::new(Build {
            version: env!("CARGO_PKG_VERSION"),
            role: "registry",
        });
        if !durable::claim(&*disk, config.data.as_path(), FORMAT)? {
            return Err(StartError::Format);
        }
        let fenced = config.data.as_path().join(FENCED);
        if disk.exists(&fenced)? {
            return Err(StartError::Superseded);
        }
        if disk.exists(&config.unfinished())? {
            return Err(StartError::Unfinished);
        }
        let keys = KeyStore::open(config.keys.as_path())?;
        let state_key = keys.load(KeyUse::Registrar, STATE_KEY)?;
        let tls_key = keys.load(KeyUse::Tls, TLS_KEY)?;
        let origin = Genesis::origin_of(&config.jurisdiction);
        let own = own_witnesses(&config, &*disk)?;
        let cosigning = Arc::new(Cosigning::new(net.clone(), clock.clone(), own.clone()));
        let limit = config.limits.blobs.as_bytes();
        let blobs = Arc::new(BlobStore::open(disk.clone(), &config.blobs(), limit)?);
        let record = Arc::new(Record::new());
        let office = Office::open(&origin, record.clone(), keys.clone())?;
        let office = Arc::new(office);
        let held = published(&config, &disk, &record, &blobs, &office)?;
        let ledger = open_ledger(
            &config,
            &origin,
            office.clone(),
            Some(cosigning.clone()),
            clock.clone(),
            disk.clone(),
            runner,
        )
        .await?;
        replay(&ledger, &record, &blobs).await?;
        let passages = Passages::open(disk.clone(), &config.passages(), &*office)?;
        let passages = Arc::new(passages);
        let begun = cosigning.begin(
            record.clone(),
            passages.clone(),
            (&origin, &*office),
            held.as_ref(),
            ledger.size(),
        );
        begun.await.map_err(|Behind { seen }| StartError::Behind {
            seen,
            held: ledger.size(),
        })?;
        let witness = match &config.witness {
            None => None,
            Some(at) => {
                let (disk, clock) = (disk.clone(), clock.clone());
                let witness = witness::open(&config, &keys, record.clone(), disk, clock);
                let listener = net.listen(&at.clone().into()).await;
                Some((witness?, listener.map_err(StartError::Bind)?))
            }
        };
        let state = record.state();
        let registry = state
            .registry()
            .filter(|registry| registry.origin == origin)
            .ok_or(StartError::Uninitialised)?;
        let genesis = registry.genesis;
        let note_key = NoteKey::new(&origin, registry.ledger.clone())?;
        if !office.is_staffed(registry) {
            let wanted = note_key.to_string();
            return Err(StartError::LedgerKey { wanted });
        }
        if !office.can_sign() {
            tracing::error!(event = "ledger.key_missing", wanted = %note_key);
        }
        let applications = Arc::new(Applications::open(
            disk,
            &config.applications(),
            config.limits.applications,
        )?);

        let identity = Identity::self_signed(tls_key, &[])?;
        let tls_keys = [identity.spki()].into();
        let tls = ServerTls::any_key(identity)?;
        let listener = net
            .listen(&config.endpoint())
            .await
            .map_err(StartError::Bind)?;
        let endpoint = listener.endpoint().clone();
        let admin = bind_admin(config.admin.as_ref()).await?;

        let (stop, stopped) = watch::channel(false);
        let mut tasks = JoinSet::new();
        let grown = Arc::new(Notify::new());
        let (desk, clerk) = Desk::open(Clerk {
            ledger: ledger.clone(),
            blobs: blobs.clone(),
            applications: applications.clone(),
            clock: clock.clone(),
            state_key,
            state_every: config
                .limits
                .state_every
                .clamp(2, entente_directory::MAX_CHANGES_BETWEEN_STATES),
            grown: grown.clone(),
            record,
            cosigning: cosigning.clone(),
            office: office.clone(),
        });
        let watched = health.clone();
        tasks.spawn(async move {
            if clerk.await.is_err() {
                watched.died("the task that accepts changes ended");
            }
        });
        tasks.spawn(publish(ledger.clone(), grown, stopped.clone()));
        let watched = watch_witnesses(cosigning.clone(), metrics.clone(), stopped.clone());
        tasks.spawn(watched);
        tasks.spawn(watch_ledger(
            ledger.clone(),
            office.clone(),
            health.clone(),
            metrics.clone(),
            stopped.clone(),
        ));
        let witness = witness.map(|(witness, listener)| {
            let known = (listener.endpoint().clone(), witness.key().clone());
            let limits = WitnessLimits {
                may_block: runner == Runner::Task,
                ..WitnessLimits::default()
            };
            let stop = until(stopped.clone());
            tasks.spawn(serve(listener, Arc::new(witness), limits, stop));
            known
        });
        let admin_address = match admin {
            Some(listener) => {
                let address = listener.local_addr().map_err(StartError::Bind)?;
                tasks.spawn(serve_admin(
                    listener,
                    metrics.clone(),
                    health.clone(),
                    AdminLimits::default(),
                    until(stopped.clone()),
                ));
                Some(address)
            }
            None => None,
        };
        metrics.started_at(clock.now());
        let service = Service {
            desk,
            ledger: ledger.clone(),
            passages,
            cosigning,
            office: office.clone(),
            blobs,
            applications,
            clock,
            metrics: metrics.clone(),
            places: Arc::new(Semaphore::new(config.limits.followers)),
            fetchers: Arc::new(Semaphore::new(config.limits.calls)),
            stop: stopped.clone(),
        };
        let accept = accept_limits(&config, &metrics);
        let (reporter, health_service) = tonic_health::server::health_reporter();
        tasks.spawn(report_health(reporter, health.clone(), stopped.clone()));
        let serving = entente_tls::server()
            // A caller that never finishes its message must not keep its place. Streams count until
            // they begin.
            .timeout(LONGEST_CALL)
            .layer(Limit::new(config.limits.calls))
            .add_service(health_service)
            .add_service(
                RegistryServiceServer::new(service)
                    .max_decoding_message_size(MAX_MESSAGE)
                    .max_encoding_message_size(MAX_MESSAGE),
            )
            .serve_with_incoming_shutdown(
                incoming(listener, ServerSecurity::Tls(tls), accept),
                until(stopped),
            );
        tasks.spawn(async {
            if let Err(error) = serving.await {
                tracing::error!(event = "serve.ended", %error);
            }
        });
        health.started();
        tracing::info!(event = "registry.started", origin, size = ledger.size(), %endpoint);
        let addresses = match config.addresses {
            addresses if addresses.is_empty() => vec![endpoint.clone()],
            addresses => addresses,
        };
        Ok(Running {
            anchor: Anchor {
                jurisdiction: config.jurisdiction,
                addresses,
                mirrors: config.mirrors,
                tls_keys,
                ledger: note_key,
                genesis,
                floors: Floors::default(),
                witnesses: own,
            },
            endpoint,
            admin: admin_address,
            witness,
            health,
            metrics,
            stop,
            ledger,
            tasks,
        })
    }
}

/// The witnesses that the configuration names.
pub(crate) fn own_witnesses(config: &Config, disk: &dyn Disk) -> Result<WitnessPolicy, StartError> {
    let Some(file) = &config.witnesses else {
        return Ok(WitnessPolicy::default());
    };
    let bytes = disk.read(file.as_path())?;
    let text = str::from_utf8(&bytes).ok();
    let text = text.filter(|text| text.len() <= MAX_POLICY);
    let policy: WitnessPolicy = text
        .ok_or(StartError::Witnesses(None))?
        .parse()
        .map_err(|error| StartError::Witnesses(Some(error)))?;
    match policy.logs() {
        [] => Ok(policy),
        _ => Err(StartError::Witnesses(None)),
    }
}

async fn bind_admin(
    at: Option<&ListenAddr>,
) -> Result<Option<tokio::net::TcpListener>, StartError> {
    match at {
        None => Ok(None),
        Some(ListenAddr::Unix(_)) => Err(StartError::NoUnixAdmin),
        Some(ListenAddr::Tcp(address)) => tokio::net::TcpListener::bind(address)
            .await
            .map(Some)
            .map_err(StartError::Bind),
    }
}

fn accept_limits(config: &Config, metrics: &Metrics) -> AcceptLimits {
    let (metrics, followers) = (metrics.clone(), config.limits.followers);
    AcceptLimits {
        // Each follower may have a second connection, for its blobs.
        max_open: followers
            .saturating_mul(2)
            .saturating_add(SPARE_CONNECTIONS),
        refused: Some(Arc::new(move |_, error: &TlsError| {
            metrics.handshake_refused(error.reason());
        })),
        ..AcceptLimits::default()
    }
}

// === impl Running ===

impl Running {
    /// Where it listens, with the port that was really taken.
    pub const fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Where metrics and health are read.
    pub const fn admin(&self) -> Option<std::net::SocketAddr> {
        self.admin
    }

    /// Where it cosigns its servers' ledgers, and with what key.
    pub const fn witness(&self) -> Option<&(Endpoint, WitnessKey)> {
        self.witness.as_ref()
    }

    /// What a follower starts from. Its addresses are those configured, or where it listens.
    pub const fn anchor(&self) -> &Anchor {
        &self.anchor
    }

    /// Whether it is ready.
    pub const fn health(&self) -> &Health {
        &self.health
    }

    /// What it counts.
    pub const fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// How many changes its ledger has.
    pub fn size(&self) -> u64 {
        self.ledger.size()
    }

    /// Takes no new calls, lets those under way end (at most 10 s), and closes the ledger.
    ///
    /// # Errors
    /// When the ledger could not be closed cleanly; what was accepted is durable all the same.
    pub async fn shutdown(mut self) -> Result<(), LedgerError> {
        self.health.drain();
        self.stop.send_replace(true);
        let drained = async { while self.tasks.join_next().await.is_some() {} };
        if timeout(DRAIN, drained).await.is_err() {
            tracing::warn!(event = "drain.cut_short");
            self.tasks.shutdown().await;
        }
        self.ledger.shutdown().await
    }
}

/// The largest message either way: two blobs and their framing.
const MAX_MESSAGE: usize = 2 * entente_directory::MAX_BLOB + (64 << 10);
/// Connections beside those of followers.
const SPARE_CONNECTIONS: usize = 256;
/// The longest a call may take, its message included; callers give a blob as long.
const LONGEST_CALL: Duration = Duration::from_secs(60);
/// How long calls may go on once the registry is told to stop.
const DRAIN: Duration = Duration::from_secs(10);
