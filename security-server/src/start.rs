//! Starting: keys, directory, ledger, recovery, and only then listening.

use std::collections::BTreeMap;
use std::sync::Arc;

use entente_clock::{Clock, SystemClock};
use entente_config::ConfigError;
use entente_evidence::statement::Mode;
use entente_follow::author::AuthorError;
use entente_follow::{Anchor, Follower, OpenError};
use entente_identity::{ServerId, SystemId};
use entente_keys::{Chain, KeyStore, KeyStoreError, TokenError};
use entente_ledger::disk::{Disk, DiskError, RealDisk};
use entente_ledger::entry::{Body, Boot};
use entente_ledger::{LedgerError, Runner};
use entente_reason::Reason;
use entente_sidecar::SidecarError;
use entente_store::{ReplayWindow, StoreError};
use entente_telemetry::{Build, Condition, Health, Metrics};
use entente_tls::net::{Net, TokioNet};
use entente_tls::{IdentitySlot, TlsError};
use tokio_util::task::TaskTracker;

use crate::config::{Config, Serves};
use crate::enrol::{EnrolError, ServerKeys};
use crate::erasure::{self, EraseError};
use crate::gossip::Gossip;
use crate::incidents::Incidents;
use crate::index::Index;
use crate::journal::Journal;
use crate::limits::InFlight;
use crate::noise::Noise;
use crate::opening::{self, Opened};
use crate::owed::Owed;
use crate::peer_sessions::PeerSessions;
use crate::peers::Peers;
use crate::plans::Plans;
use crate::probe::{NoProbe, Probe};
use crate::receipts::Receipts;
use crate::recover::{self, Found, RecoverError};
use crate::registries::Registries;
use crate::running::{Running, listen};
use crate::seals::{SealsIn, SealsOut};
use crate::server::Server;
use crate::session::OwnSessions;
use crate::shard;
use crate::signing_task::SigningTask;
use crate::stamping::{self, RootsError, Stamping};
use crate::system::ProviderSystem;
use crate::tags::TagKeys;
use crate::unproven;
use crate::view::Views;

/// The machine a server runs on.
#[derive(Clone, Debug)]
pub struct Deps {
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Network.
    pub net: Arc<dyn Net>,
    /// Disk, for ledger, sidecar and the copy of the directory.
    pub disk: Arc<dyn Disk>,
    /// Called after each step.
    pub probe: Arc<dyn Probe>,
    /// Who writes the ledger: a thread, or (in simulations) a task.
    pub runner: Runner,
}

/// Starts security servers.
#[derive(Clone, Copy, Debug)]
pub struct SecurityServer;

/// Why a server did not start. Variants are alphabetical.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The anchor file.
    #[error("reading the anchor file")]
    Anchor(#[source] Box<ConfigError>),
    /// A token listener that others could reach.
    #[error("a token is accepted on loopback only, and {listen} is not")]
    Exposed {
        /// The address.
        listen: String,
    },
    /// The folder of incidents, or that of shards.
    #[error("opening the folder of incidents, or of ledgers")]
    Incidents(#[from] DiskError),
    /// The folder of the directory's copy.
    #[error("following the registry")]
    Follow(#[from] OpenError),
    /// The key folder.
    #[error("opening the key folder")]
    Keys(#[from] KeyStoreError),
    /// What was to be destroyed when the last run stopped.
    #[error("finishing what was to be destroyed")]
    Erase(#[from] EraseError),
    /// Own keys, or the TLS certificate.
    #[error("preparing the server's keys")]
    Enrol(#[from] EnrolError),
    /// The ledger.
    #[error("opening the ledger")]
    Ledger(#[from] LedgerError),
    /// An address that cannot be listened on.
    #[error("listening on {at}")]
    Listen {
        /// The address.
        at: String,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// Closing what a stop cut short, or the first entries.
    #[error("writing the first entries: {0}")]
    Log(Reason),
    /// The directory does not know this server, or not its keys.
    #[error("{server} is not registered with these keys; ask its member to register it")]
    NotRegistered {
        /// This server.
        server: ServerId,
    },
    /// The certificates beside the server's key are another server's.
    #[error("the certificates in the key folder are for {found}, not for {server}")]
    OtherChain {
        /// This server.
        server: ServerId,
        /// Whom they name.
        found: ServerId,
    },
    /// The ledger's tail.
    #[error("recovering from the ledger")]
    Recover(#[from] RecoverError),
    /// The ledger's entries without a time stamp.
    #[error("reading which entries have no time stamp")]
    Unproven(#[from] entente_ledger::ReadError),
    /// The time-stamping authorities' roots.
    #[error("preparing time stamps")]
    Roots(#[from] RootsError),
    /// The shard could not be opened.
    #[error("opening the ledger's shard in the registry")]
    Shard(#[from] AuthorError),
    /// The sidecar.
    #[error("opening the sidecar")]
    Sidecar(#[from] SidecarError),
    /// A system with an address outside this machine, or a name that is not this member's.
    #[error("system {system} is not this member's, or its address is not local")]
    System {
        /// The system.
        system: SystemId,
    },
    /// The index over the ledger; move its folder away to have it built anew.
    #[error("opening the index over the ledger")]
    Store(#[from] StoreError),
    /// TLS.
    #[error("preparing TLS")]
    Tls(#[from] TlsError),
    /// A token file.
    #[error("reading a local token")]
    Token(#[from] TokenError),
}

/// Envelopes taken at once over connections whose key the directory does not know: enough to tell
/// each that it is unknown, and no more memory than that.
const STRANGERS: usize = 16;

// === impl Deps ===

impl Deps {
    /// The real machine.
    pub fn real() -> Self {
        Self {
            clock: Arc::new(SystemClock),
            net: Arc::new(TokioNet),
            disk: Arc::new(RealDisk),
            probe: Arc::new(NoProbe),
            runner: Runner::Thread,
        }
    }
}

// === impl SecurityServer ===

impl SecurityServer {
    /// Starts a server and returns once it listens. Call it within a runtime.
    ///
    /// # Errors
    /// When anything it needs is missing, damaged or not registered. Nothing listens then.
    pub async fn start(config: Config, deps: Deps) -> Result<Running, StartError> {
        let metrics = Metrics::new(Build {
            version: env!("CARGO_PKG_VERSION"),
            role: "security-server",
        });
        let health = Health::new(&[
            Condition::Clock,
            Condition::Config,
            Condition::Keys,
            Condition::Log,
            Condition::Registry,
            Condition::Witnesses,
        ]);
        check_systems(&config)?;
        let stamping = config.timestamp.as_ref().map(Stamping::load);
        let stamping = stamping.transpose()?;
        health.pass(Condition::Config);
        let store = KeyStore::open(config.keys.as_path())?;
        let keys = load_keys(&store, &config).await?;
        check_chain(&config.server, &keys)?;
        // To the registry anybody may speak; peers are shown what the registry has.
        let identity = IdentitySlot::new(keys.identity()?);
        health.pass(Condition::Keys);
        let anchor = Anchor::load(config.anchor.as_path())
            .map_err(|error| StartError::Anchor(Box::new(error)))?;
        let registries = Registries::open(&config, &deps, anchor, &identity).await?;
        let follower = &registries.follower;
        let opened = opening::open(&config, &deps, &keys, follower, stamping).await?;
        show_registered(&config.server, &keys, &identity, follower)?;
        let again = (config.clone(), deps.clone());
        let directory = follower.directory();
        let is_over = shard::has_ended(&opened.origin, &*deps.clock, &directory).await;
        let (server, index, found) =
            build(config, deps, metrics, &keys, &identity, &registries, opened).await?;
        let server = begin(server, found).await?;
        if is_over {
            let (config, deps) = again;
            opening::end(&server, &keys, follower, &*deps.disk).await?;
            drop((server, index));
            registries.shutdown().await;
            // At most once: the shard it finds is of this half-year.
            return Box::pin(Self::start(config, deps)).await;
        }
        listen(server, index, identity, registries, health).await
    }
}

fn check_systems(config: &Config) -> Result<(), StartError> {
    for (system, settings) in &config.systems {
        let mut serves = settings.serves.iter().flat_map(Serves::by_mode);
        let local = serves.all(|(_, dial)| dial.is_local());
        if system.member() != config.server.member() || !local {
            return Err(StartError::System {
                system: system.clone(),
            });
        }
    }
    Ok(())
}

/// The server's keys; a token is asked where it holds up nobody.
async fn load_keys(store: &KeyStore, config: &Config) -> Result<ServerKeys, EnrolError> {
    let Some(server_key) = config.server_key.clone() else {
        return ServerKeys::load_or_create(store);
    };
    let store = store.clone();
    let asked = tokio::task::spawn_blocking(move || ServerKeys::find(&store, Some(&server_key)));
    asked.await.map_err(|_| EnrolError::Stopped)?
}

fn check_chain(server: &ServerId, keys: &ServerKeys) -> Result<(), StartError> {
    match keys.chain.as_ref().map(Chain::server) {
        Some(found) if found != server => Err(StartError::OtherChain {
            server: server.clone(),
            found: found.clone(),
        }),
        _ => Ok(()),
    }
}

/// From here on the newest of our TLS keys is shown that peers know from the registry.
fn show_registered(
    server: &ServerId,
    keys: &ServerKeys,
    identity: &IdentitySlot,
    follower: &Follower,
) -> Result<(), StartError> {
    let view = follower.directory().view();
    let record = view.state.server(server);
    let registered = match record {
        Some(record) => keys.identity_in(record)?,
        None => None,
    };
    identity.replace(registered.ok_or_else(|| shard::not_registered(server))?);
    Ok(())
}

async fn build(
    config: Config,
    deps: Deps,
    metrics: Metrics,
    keys: &ServerKeys,
    identity: &IdentitySlot,
    registries: &Registries,
    opened: Opened,
) -> Result<(Server, Index, Found), StartError> {
    let Deps {
        clock,
        net,
        disk,
        probe,
        runner: _,
    } = deps;
    let Opened {
        origin,
        ledger,
        sidecar,
        mark,
        witnessing,
        stamping,
    } = opened;
    let data = config.data.as_path();
    witnessing.recall(&ledger);
    let view = registries.follower.directory().view();
    let ledgers = data.join("ledger");
    let incidents = Incidents::open(Arc::clone(&disk), data.join("incidents"))?;
    let receipts = Receipts::new(Arc::clone(&disk), data.to_owned());
    let gossip = Gossip::new(&ledger, incidents, Arc::clone(&clock));
    let index = Index::open(&data.join("store"), &ledger, &metrics)?;
    let mut found = recover::search(&ledger, &origin, clock.now()).await?;
    // Of a shard that began lately, what was accepted in those before must not be accepted again.
    let mut is_forgotten = false;
    if found.reaches_the_beginning {
        let before = shard::folders_before(&view.state, &config.server, &origin, &ledgers);
        match recover::seen_before(&disk, &before, clock.now()) {
            Some(seen) => found.seen.extend(seen),
            None => is_forgotten = true,
        }
    }
    let waiting = match stamping::reach(stamping.as_ref(), view.state.policy()) {
        Some(reach) => unproven::search(&ledger, clock.now(), reach).await?,
        None => unproven::Unproven::default(),
    };
    let journal = Journal::new(
        ledger,
        sidecar,
        origin.clone(),
        Arc::clone(&clock),
        found.newest,
        waiting,
    );
    if journal.ledger().size() == 0
        && let Some(boot) = shard::opening(&view.state, &config.server, &origin, &*disk, &ledgers)?
    {
        // If we crash before this is durable, the next start finds the shard empty still.
        let begun = journal.append(Body::Boot(boot)).await;
        begun.map_err(StartError::Log)?;
    }
    let not_before = shard::not_before(journal.ledger(), is_forgotten).await;
    let views = Views::new(registries.abroad.directories());
    views.adopt(&journal).await.map_err(StartError::Log)?;
    let sessions = OwnSessions::begin(
        config.server.clone(),
        Arc::clone(&keys.server),
        keys.chain.clone(),
        journal.clone(),
        Arc::clone(&clock),
    )
    .await
    .map_err(StartError::Log)?;
    let server = Server {
        id: config.server.clone(),
        probe,
        views,
        mark,
        not_before,
        witnessing,
        gossip,
        receipts,
        sessions,
        signing: SigningTask::start(config.server.clone()),
        peer_sessions: PeerSessions::default(),
        seals_in: SealsIn::new(KeyStore::open(config.keys.as_path())?, keys.hpke.clone()),
        seals_out: SealsOut::default(),
        seen: ReplayWindow::new(ReplayWindow::CAPACITY),
        peers: Peers::new(Arc::clone(&net), identity.clone()),
        plans: Plans::default(),
        tag_keys: TagKeys::new(
            journal.sidecar().clone(),
            origin.clone(),
            Arc::clone(&clock),
        ),
        systems: provider_systems(&config, &net)?,
        noise: Noise::default(),
        owed: Owed::default(),
        stamping,
        metrics,
        calls: TaskTracker::new(),
        callers: InFlight::new(config.limits.in_flight, config.limits.share_percent),
        askers: InFlight::new(config.limits.in_flight, config.limits.share_percent),
        strangers: InFlight::new(STRANGERS, 100),
        limits: config.limits.clone(),
        journal,
        clock,
        net,
        disk,
        config,
    };
    Ok((server, index, found))
}

/// Takes up what the ledger says: the replay window, then the ends owed, then BOOT.
async fn begin(server: Server, found: Found) -> Result<Arc<Server>, StartError> {
    let last_size = server.journal.ledger().size();
    let now = server.clock.now();
    server
        .seen
        .restore(found.seen, now)
        .map_err(|error| StartError::Log(error.reason()))?;
    let closed = found.open.len();
    for debt in found.open {
        server.owed.add(debt);
    }
    server.pay().await;
    if server.owed.oldest().is_some() {
        return Err(StartError::Log(Reason::LogUnavailable));
    }
    // What was to be destroyed when the last run stopped is destroyed before anything else is sealed.
    erasure::finish(&server.journal).await?;
    // If we crash before this is durable, the next start searches as far back as this one did.
    let boot = Boot {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        last_size,
        note: (closed > 0).then(|| format!("closed {closed} exchanges a stop had cut short")),
    };
    let booted = server.journal.append(Body::Boot(boot)).await;
    booted.map_err(StartError::Log)?;
    // The witnesses are asked before anybody calls: a quorum may be due, or long overdue.
    let published = server.journal.ledger().publish_now().await;
    published.map_err(StartError::Ledger)?;
    Ok(Arc::new(server))
}

fn provider_systems(
    config: &Config,
    net: &Arc<dyn Net>,
) -> Result<BTreeMap<(SystemId, Mode), ProviderSystem>, TokenError> {
    let mut systems = BTreeMap::new();
    for (system, settings) in &config.systems {
        for (mode, dial) in settings.serves.iter().flat_map(Serves::by_mode) {
            let at = ProviderSystem::at(Arc::clone(net), dial)?;
            systems.insert((system.clone(), mode), at);
        }
    }
    Ok(systems)
}
