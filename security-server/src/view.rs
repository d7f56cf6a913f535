//! The directory view in force here, and what a peer's view must agree with.
//!
//! A view decides nothing before its VIEW entry is durable in our ledger; every entry then says
//! under which view it was made. A peer whose view contradicts ours was shown another registry.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use entente_clock::Timestamp;
use entente_contract::Contract;
use entente_directory::{HpkeKey, ServerRecord, ShardOpen, State};
use entente_evidence::opening::Opened;
use entente_evidence::statement::{Actor, LogOrigin, Mode, Statement, View as Seen};
use entente_follow::{Directory, View};
use entente_identity::{ElementName, ServerId, ServiceName, SystemId};
use entente_ledger::entry::{Body, View as ViewEntry};
use entente_policy::{self as policy, Named, Permit};
use entente_reason::Reason;
use entente_signing::{Digest, VerifyingKey};
use tokio::sync::watch;

use crate::call::Call;
use crate::journal::Journal;
use crate::refusal::Refusal;

/// The directory this server follows, and the view of it in force.
#[derive(Debug)]
pub(crate) struct Views {
    directory: Directory,
    current: watch::Sender<Option<Arc<Adopted>>>,
}

/// A view with its entry in our ledger.
#[derive(Debug)]
pub(crate) struct Adopted {
    view: Arc<View>,
    origin: LogOrigin,
    /// Index of the VIEW entry.
    pub(crate) index: u64,
}

/// When a decision is made, and how far the directory can be relied on then.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment {
    /// Now.
    pub(crate) now: Timestamp,
    /// When the registry last confirmed the view.
    pub(crate) fresh_at: Timestamp,
}

/// A registered server, as one view knows it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ServerView<'a> {
    record: &'a ServerRecord,
}

/// How long a request waits for a view its sender has and we do not (DESIGN.md §5).
const CATCH_UP: Duration = Duration::from_secs(2);

// === impl Views ===

impl Views {
    /// Nothing is in force until [`Views::adopt`].
    pub(crate) fn new(directory: Directory) -> Self {
        Self {
            directory,
            current: watch::Sender::new(None),
        }
    }

    /// The view in force.
    pub(crate) fn current(&self) -> Option<Arc<Adopted>> {
        self.current.borrow().clone()
    }

    /// The directory followed.
    pub(crate) const fn directory(&self) -> &Directory {
        &self.directory
    }

    /// Puts the directory's newest view in force: VIEW first, durable, then the view.
    pub(crate) async fn adopt(&self, journal: &Journal) -> Result<(), Reason> {
        let view = self.directory.view();
        let current = self.current();
        if view.size == 0 {
            return Ok(());
        }
        let origin = view.origin.parse().map_err(|_| Reason::InternalFault)?;
        // Denials change what a view says without changing its size or its root.
        let same_tree = current
            .filter(|adopted| adopted.view.size == view.size && adopted.view.root == view.root);
        let index = match same_tree {
            Some(adopted) => adopted.index,
            None => {
                let entry = ViewEntry {
                    origin: view.origin.clone(),
                    size: view.size,
                    root: view.root,
                };
                // If we crash here, the entry says a view was adopted that decided nothing.
                journal.append(Body::View(entry)).await?.index
            }
        };
        self.current.send_replace(Some(Arc::new(Adopted {
            view,
            origin,
            index,
        })));
        Ok(())
    }

    /// Compares the views a peer decided under with ours; waits for one we have not seen yet. The
    /// view to decide under comes back.
    ///
    /// # Errors
    /// `REGISTRY_SPLIT` when a root differs at the same size, `REGISTRY_BEHIND` when we could not
    /// catch up in time.
    pub(crate) async fn agree(
        &self,
        adopted: &Arc<Adopted>,
        views: &BTreeMap<LogOrigin, Seen>,
    ) -> Result<Arc<Adopted>, Reason> {
        let Some(seen) = views.get(&adopted.origin) else {
            return Err(Reason::RegistryBehind);
        };
        if seen.size == adopted.view.size && seen.root == adopted.view.root {
            return Ok(Arc::clone(adopted));
        }
        if seen.size > adopted.view.size {
            self.wait_for(seen.size).await?;
        }
        match self.directory.root_at(seen.size) {
            Some(root) if root == seen.root => self.current().ok_or(Reason::RegistryBehind),
            Some(_) => Err(Reason::RegistrySplit),
            None => Err(Reason::RegistryBehind),
        }
    }

    /// Compares the views an answer was given under with ours, as far as ours reach. Nothing is
    /// decided under them here, so a newer one is not waited for.
    ///
    /// # Errors
    /// `REGISTRY_SPLIT` when a root differs at the same size.
    pub(crate) fn compare(
        &self,
        adopted: &Adopted,
        views: &BTreeMap<LogOrigin, Seen>,
    ) -> Result<(), Reason> {
        let Some(seen) = views.get(&adopted.origin) else {
            return Ok(());
        };
        if seen.size == adopted.view.size && seen.root == adopted.view.root {
            return Ok(());
        }
        match self.directory.root_at(seen.size) {
            Some(root) if root != seen.root => Err(Reason::RegistrySplit),
            _ => Ok(()),
        }
    }

    async fn wait_for(&self, size: u64) -> Result<(), Reason> {
        let mut current = self.current.subscribe();
        let caught_up = async {
            // Also wakes a follower that rests before it connects again.
            let seen = self.directory.catch_up(size, CATCH_UP).await;
            seen.map_err(|behind| behind.reason())?;
            // Seen is not adopted: its VIEW entry has to be durable first.
            let adopted = current.wait_for(|adopted| {
                let size_here = adopted.as_ref().map_or(0, |adopted| adopted.view.size);
                size_here >= size
            });
            adopted.await.map_err(|_| Reason::ShuttingDown)?;
            Ok(())
        };
        tokio::time::timeout(CATCH_UP, caught_up)
            .await
            .map_err(|_| Reason::RegistryBehind)?
    }
}

// === impl Adopted ===

impl Adopted {
    /// A published contract, read from disk: for what is compiled once and kept.
    pub(crate) fn contract(
        &self,
        descriptor_set: &Digest,
        service: &ServiceName,
    ) -> Option<Contract> {
        self.view.contract(descriptor_set, service)
    }

    /// The verified state.
    pub(crate) fn state(&self) -> &State {
        &self.view.state
    }

    /// As statements carry it.
    pub(crate) fn views(&self) -> BTreeMap<LogOrigin, Seen> {
        let seen = Seen {
            size: self.view.size,
            root: self.view.root,
        };
        BTreeMap::from([(self.origin.clone(), seen)])
    }

    /// Up to how many subjects of an exchange are named.
    pub(crate) fn most_subjects(&self) -> usize {
        let policy = self.state().policy();
        // A server without a policy decides nothing, and asks this of nobody.
        policy.map_or(0, |policy| policy.tagged_subjects as usize)
    }

    /// A registered server, whatever its member's standing.
    pub(crate) fn registered(&self, server: &ServerId) -> Option<ServerView<'_>> {
        let record = self.state().server(server)?;
        Some(ServerView { record })
    }

    /// The registered server that may show this key in TLS.
    pub(crate) fn server_with_tls_key(&self, spki: &Digest) -> Option<ServerId> {
        let record = self.state().server_by_tls_spki(spki)?;
        Some(record.id.clone())
    }

    /// A registered server of a member in good standing.
    pub(crate) fn server(&self, server: &ServerId) -> Option<ServerView<'_>> {
        let state = self.state();
        let active = state.standing(&server.member()) == Some(entente_directory::Standing::Active);
        let record = state.server(server).filter(|_| active)?;
        Some(ServerView { record })
    }

    /// Decides a local system's call. (G4)
    pub(crate) fn decide_call(
        &self,
        caller: &SystemId,
        call: &Call,
        moment: Moment,
    ) -> Result<Permit, Refusal> {
        let asked = policy::Call {
            consumer: caller,
            provider: &call.to,
            method: &call.method,
            purpose: call.purpose.as_ref(),
            named: call.agreement.as_ref(),
            asked: call.elements.as_ref(),
            user_present: call.user.is_some(),
            case_present: call.case.is_some(),
            assurance: call.assurance,
            mode: mode(call.mode),
        };
        self.decide(&asked, moment).map_err(|refused| {
            let refusal = Refusal::new(refused.reason());
            let metadata = refused.metadata();
            metadata
                .into_iter()
                .fold(refusal, |refusal, (key, value)| refusal.with(key, value))
        })
    }

    /// Decides a peer's request, for ourselves: the same function over our own view. (G4)
    pub(crate) fn decide_request(
        &self,
        request: &Statement,
        asked: &BTreeSet<ElementName>,
        actor: Option<Actor>,
        opened: &Opened,
        moment: Moment,
    ) -> Result<Permit, Reason> {
        let clause = u32::try_from(request.clause).map_err(|_| Reason::NoAgreement)?;
        let call = policy::Call {
            consumer: &request.sender,
            provider: &request.receiver,
            method: &request.method,
            purpose: Some(&request.purpose),
            named: Some(&Named::clause_of(request.agreement, clause)),
            asked: Some(asked),
            user_present: opened.user().is_some(),
            case_present: opened.case().is_some(),
            assurance: actor.map_or(0, |actor| actor.assurance),
            mode: mode(request.mode),
        };
        self.decide(&call, moment)
            .map_err(|refused| refused.reason())
    }

    fn decide(&self, call: &policy::Call<'_>, moment: Moment) -> Result<Permit, policy::Refusal> {
        let view = policy::View {
            state: &self.view.state,
            fresh_at: moment.fresh_at,
        };
        policy::decide(&view, call, moment.now)
    }

    /// The servers that may sign for a system, of members in good standing.
    pub(crate) fn servers_for<'a>(
        &'a self,
        system: &'a SystemId,
    ) -> impl Iterator<Item = ServerView<'a>> {
        self.state()
            .servers_for(system)
            .filter_map(|record| self.server(&record.id))
    }

    /// Whether a server's session of this age was revoked.
    pub(crate) fn session_revoked(&self, server: &ServerId, issued_at: Timestamp) -> bool {
        self.state().session_revoked(server, issued_at)
    }
}

const fn mode(mode: Mode) -> entente_directory::Mode {
    match mode {
        Mode::Live => entente_directory::Mode::Live,
        Mode::Test => entente_directory::Mode::Test,
    }
}

// === impl ServerView ===

impl<'a> ServerView<'a> {
    /// Its name.
    pub(crate) const fn id(&self) -> &'a ServerId {
        &self.record.id
    }

    /// The key that certifies its sessions.
    pub(crate) fn key(&self) -> Option<&'a VerifyingKey> {
        let mut keys = self.record.keys.iter().filter(|key| key.is_current());
        keys.next_back().map(|key| &key.value)
    }

    /// Whether it may show this key in TLS.
    pub(crate) fn speaks_tls_with(&self, spki: &Digest) -> bool {
        self.tls_keys().any(|key| key == *spki)
    }

    /// The keys it may show in TLS.
    pub(crate) fn tls_keys(&self) -> impl Iterator<Item = Digest> + use<'a> {
        let keys = self.record.tls.iter().filter(|key| key.is_current());
        keys.map(|key| key.value.spki_digest())
    }

    /// Whether it may sign for a system.
    pub(crate) fn signs_for(&self, system: &SystemId) -> bool {
        self.record.systems.contains(system)
    }

    /// Whether a ledger is one of its own. The origin says so itself: which shards are open is
    /// not asked, since a peer may have opened one we have not heard of.
    pub(crate) fn logs_in(&self, log: &LogOrigin) -> bool {
        ShardOpen::is_origin_of(self.id(), log.as_str())
    }

    /// Where it is reached.
    pub(crate) fn addresses(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        self.record.addresses.iter().map(|address| address.as_str())
    }

    /// The newest key to seal to it with.
    pub(crate) fn seal_key(&self) -> Option<&'a HpkeKey> {
        self.record.hpke_newest()
    }
}
