//! What both sides of an exchange share: one value, built at start, behind one `Arc`.

use std::collections::BTreeMap;
use std::sync::Arc;

use entente_clock::{Clock, Timestamp};
use entente_evidence::statement::{LogOrigin, Mode};
use entente_identity::{ServerId, SystemId};
use entente_ledger::Reader;
use entente_ledger::disk::Disk;
use entente_ledger::log::LogError;
use entente_reason::Reason;
use entente_store::ReplayWindow;
use entente_telemetry::Metrics;
use entente_tls::net::Net;
use tokio_util::task::TaskTracker;

use crate::config::{Config, Limits};
use crate::gossip::Gossip;
use crate::journal::Journal;
use crate::limits::InFlight;
use crate::mark::Mark;
use crate::noise::Noise;
use crate::owed::Owed;
use crate::peer_sessions::PeerSessions;
use crate::peers::Peers;
use crate::plans::Plans;
use crate::probe::{Probe, Step};
use crate::receipts::Receipts;
use crate::seals::{SealsIn, SealsOut};
use crate::session::OwnSessions;
use crate::shard::folder_of;
use crate::signing_task::SigningTask;
use crate::stamping::Stamping;
use crate::system::ProviderSystem;
use crate::tags::TagKeys;
use crate::view::{Adopted, Moment, Views};
use crate::witnessing::Witnessing;

/// A running security server.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) id: ServerId,
    pub(crate) config: Config,
    pub(crate) net: Arc<dyn Net>,
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) limits: Limits,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) probe: Arc<dyn Probe>,
    pub(crate) journal: Journal,
    pub(crate) views: Views,
    pub(crate) mark: Mark,
    /// What was issued before this is not accepted: whether it was before is not known any more.
    pub(crate) not_before: Timestamp,
    pub(crate) witnessing: Witnessing,
    pub(crate) gossip: Gossip,
    pub(crate) receipts: Receipts,
    /// What statements are signed with.
    pub(crate) sessions: OwnSessions,
    pub(crate) signing: SigningTask,
    pub(crate) peer_sessions: PeerSessions,
    pub(crate) seals_in: SealsIn,
    pub(crate) seals_out: SealsOut,
    pub(crate) seen: ReplayWindow,
    pub(crate) peers: Peers,
    pub(crate) plans: Plans,
    pub(crate) tag_keys: TagKeys,
    pub(crate) systems: BTreeMap<(SystemId, Mode), ProviderSystem>,
    pub(crate) noise: Noise,
    pub(crate) owed: Owed,
    /// `None`: no authority is configured.
    pub(crate) stamping: Option<Stamping>,
    pub(crate) metrics: Metrics,
    /// Exchanges under way, whoever still waits for them.
    pub(crate) calls: TaskTracker,
    pub(crate) callers: Arc<InFlight<SystemId>>,
    /// Envelopes of servers, by the one whose connection it is.
    pub(crate) askers: Arc<InFlight<Option<ServerId>>>,
    /// Envelopes over connections of nobody we know.
    pub(crate) strangers: Arc<InFlight<Option<ServerId>>>,
}

// === impl Server ===

impl Server {
    /// The directory view in force, with the index of its VIEW entry.
    pub(crate) fn adopted(&self) -> Result<Arc<Adopted>, Reason> {
        let adopted = self.views.current().ok_or(Reason::RegistryUnreachable)?;
        // Without the registry we go on for as long as the policy allows, and not a moment longer. (G8)
        if self.views.directory().is_stale() {
            return Err(Reason::RegistryStale);
        }
        Ok(adopted)
    }

    /// Looks something up in an earlier shard of our ledger, where it may wait for the disk.
    pub(crate) async fn in_closed<T: Send + 'static>(
        &self,
        origin: &LogOrigin,
        look: impl FnOnce(Reader) -> Result<T, LogError> + Send + 'static,
    ) -> Result<T, Reason> {
        let ledgers = self.config.data.as_path().join("ledger");
        let (disk, folder) = (Arc::clone(&self.disk), ledgers.join(folder_of(origin)));
        let looked = tokio::task::spawn_blocking(move || look(Reader::open(disk, folder)?)).await;
        let looked = looked.map_err(|_| Reason::ShuttingDown)?;
        looked.map_err(|error| error.reason())
    }

    /// The view to exchange under: as [`Server::adopted`], while our own ledger is one others can rely on.
    pub(crate) fn in_order(&self) -> Result<Arc<Adopted>, Reason> {
        let adopted = self.adopted()?;
        let policy = adopted.policy();
        if let Some(policy) = policy {
            self.witnessing.check(policy, self.clock.now())?;
        }
        self.time_is_proven(policy)?;
        Ok(adopted)
    }

    /// The moment of a decision.
    pub(crate) fn moment(&self) -> Moment<'_> {
        Moment {
            now: self.clock.now(),
            views: &self.views,
        }
    }

    /// Whether a system of ours answers others.
    pub(crate) fn serves(&self, system: &SystemId) -> bool {
        self.systems.keys().any(|(served, _)| served == system)
    }

    /// The probe's call, at each step.
    pub(crate) fn reached(&self, step: Step) {
        self.probe.reached(step);
    }
}
