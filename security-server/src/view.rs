//! The directory views in force here, and what a peer's views must agree with.
//!
//! A view decides nothing before its VIEW entry is durable in our ledger; every entry then says
//! under which view it was made. A peer whose view of a registry contradicts ours was shown another one.

mod server;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use entente_clock::Timestamp;
use entente_contract::Contract;
use entente_directory::{Federation, Policy};
use entente_evidence::opening::Opened;
use entente_evidence::statement::{Actor, LogOrigin, Mode, Statement, View as Seen};
use entente_follow::{Directories, Directory, View};
use entente_identity::{ElementName, Jurisdiction, ServerId, ServiceName, SystemId};
use entente_ledger::entry::{Body, View as ViewEntry};
use entente_policy::{self as policy, Freshness, Named, Permit};
use entente_reason::Reason;
use entente_signing::Digest;
use tokio::sync::watch;

use crate::call::Call;
use crate::journal::Journal;
use crate::refusal::Refusal;

pub(crate) use server::ServerView;

/// The registries this server follows, and the views of them in force.
#[derive(Debug)]
pub(crate) struct Views {
    directories: Directories,
    current: watch::Sender<Option<Arc<Adopted>>>,
}

/// Views of every registry followed, with their entries in our ledger.
#[derive(Debug)]
pub(crate) struct Adopted {
    federation: Federation,
    registries: Vec<Registry>,
    /// Index of the newest VIEW entry: with it, the last one before it of each other registry is in force.
    pub(crate) index: u64,
}

/// One registry's view in force.
#[derive(Debug)]
struct Registry {
    jurisdiction: Jurisdiction,
    origin: LogOrigin,
    view: Arc<View>,
}

/// When a decision is made, and how far the directory can be relied on then.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment<'a> {
    /// Now.
    pub(crate) now: Timestamp,
    /// Who knows when each registry last confirmed its view.
    pub(crate) views: &'a Views,
}

/// How long a request waits for a view its sender has and we do not (DESIGN.md §5).
const CATCH_UP: Duration = Duration::from_secs(2);

// === impl Views ===

impl Views {
    /// Nothing is in force until [`Views::adopt`].
    pub(crate) fn new(directories: Directories) -> Self {
        Self {
            directories,
            current: watch::Sender::new(None),
        }
    }

    /// The views in force.
    pub(crate) fn current(&self) -> Option<Arc<Adopted>> {
        self.current.borrow().clone()
    }

    /// The directory of our own registry.
    pub(crate) const fn directory(&self) -> &Directory {
        self.directories.home()
    }

    /// How old what is known of each other registry is.
    pub(crate) fn ages_abroad(&self) -> Vec<(Jurisdiction, Duration)> {
        self.directories.ages()
    }

    /// Changes whenever a registry that is followed does.
    pub(crate) fn news(&self) -> watch::Receiver<u64> {
        self.directories.news()
    }

    /// Puts the newest view of each registry in force: VIEW first, durable, then the view.
    pub(crate) async fn adopt(&self, journal: &Journal) -> Result<(), Reason> {
        let current = self.current();
        let mut index = current.as_ref().map(|adopted| adopted.index);
        let mut registries = Vec::new();
        for view in self.directories.views() {
            let origin = view.origin.parse().map_err(|_| Reason::InternalFault)?;
            let registry = view.state.registry().ok_or(Reason::InternalFault)?;
            let jurisdiction = registry.jurisdiction.clone();
            let held = current.as_ref().and_then(|held| held.registry(&origin));
            // Denials change what a view says without changing its size or its root.
            let is_logged =
                held.is_some_and(|held| held.view.size == view.size && held.view.root == view.root);
            if !is_logged {
                let entry = ViewEntry {
                    origin: view.origin.clone(),
                    size: view.size,
                    root: view.root,
                };
                // If we crash here, the entry says a view was adopted that decided nothing.
                index = Some(journal.append(Body::View(entry)).await?.index);
            }
            registries.push(Registry {
                jurisdiction,
                origin,
                view,
            });
        }
        let ours = &self.directory().anchor().jurisdiction;
        let mut states = registries.iter();
        let (Some(index), Some(home)) = (index, states.next()) else {
            return Ok(());
        };
        if home.jurisdiction != *ours {
            // Another registry was heard before our own: it counts when ours says so.
            return Ok(());
        }
        let others = states.map(|other| other.view.state.clone()).collect();
        let federation = Federation::new(home.view.state.clone(), others);
        self.current.send_replace(Some(Arc::new(Adopted {
            federation,
            registries,
            index,
        })));
        Ok(())
    }

    /// Compares the views a peer decided under with ours; waits for one we have not seen yet. The
    /// views to decide under come back. Those of our own registry and of the peer's must be among them.
    ///
    /// # Errors
    /// `REGISTRY_SPLIT` when a root differs at the same size, `REGISTRY_BEHIND` when we could not
    /// catch up in time.
    pub(crate) async fn agree(
        &self,
        adopted: &Arc<Adopted>,
        peer: &ServerId,
        views: &BTreeMap<LogOrigin, Seen>,
    ) -> Result<Arc<Adopted>, Reason> {
        let rests_on = [adopted.registries.first(), adopted.of(&peer.jurisdiction())];
        for registry in rests_on {
            let registry = registry.ok_or(Reason::RegistryBehind)?;
            if !views.contains_key(&registry.origin) {
                return Err(Reason::RegistryBehind);
            }
        }
        let mut is_another = false;
        for (origin, seen) in views {
            // A registry that we do not follow says nothing that counts here.
            let Some(held) = adopted.registry(origin) else {
                continue;
            };
            if held.is(seen) {
                continue;
            }
            let directory = self.directories.of_origin(origin.as_str());
            let directory = directory.ok_or(Reason::RegistryBehind)?;
            if seen.size > held.view.size {
                self.wait_for(&directory, origin, seen.size).await?;
            }
            match directory.root_at(seen.size) {
                Some(root) if root == seen.root => is_another = true,
                Some(_) => return Err(Reason::RegistrySplit),
                None => return Err(Reason::RegistryBehind),
            }
        }
        match is_another {
            true => self.current().ok_or(Reason::RegistryBehind),
            false => Ok(Arc::clone(adopted)),
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
        for (origin, seen) in views {
            if adopted.registry(origin).is_none_or(|held| held.is(seen)) {
                continue;
            }
            let directory = self.directories.of_origin(origin.as_str());
            let root = directory.and_then(|directory| directory.root_at(seen.size));
            if root.is_some_and(|root| root != seen.root) {
                return Err(Reason::RegistrySplit);
            }
        }
        Ok(())
    }

    async fn wait_for(
        &self,
        directory: &Directory,
        origin: &LogOrigin,
        size: u64,
    ) -> Result<(), Reason> {
        let mut current = self.current.subscribe();
        let caught_up = async {
            // Also wakes a follower that rests before it connects again.
            let seen = directory.catch_up(size, CATCH_UP).await;
            seen.map_err(|behind| behind.reason())?;
            // Seen is not adopted: its VIEW entry has to be durable first.
            let adopted = current.wait_for(|adopted| {
                let held = adopted.as_ref();
                held.and_then(|held| held.registry(origin))
                    .is_some_and(|held| held.view.size >= size)
            });
            adopted.await.map_err(|_| Reason::ShuttingDown)?;
            Ok(())
        };
        tokio::time::timeout(CATCH_UP, caught_up)
            .await
            .map_err(|_| Reason::RegistryBehind)?
    }
}

impl Freshness for Views {
    fn fresh_at(&self, jurisdiction: &Jurisdiction) -> Timestamp {
        let directory = self.directories.of(jurisdiction);
        // Stale may also be what a registry that answers does not have cosigned any more.
        let fresh = directory.filter(|directory| !directory.is_stale());
        fresh.map_or_else(Timestamp::default, |directory| directory.fresh_at())
    }
}

// === impl Registry ===

impl Registry {
    /// Whether this is the view that was seen.
    fn is(&self, seen: &Seen) -> bool {
        seen.size == self.view.size && seen.root == self.view.root
    }
}

// === impl Adopted ===

impl Adopted {
    /// The verified states.
    pub(crate) const fn federation(&self) -> &Federation {
        &self.federation
    }

    /// A published contract, read from disk: for what is compiled once and kept.
    pub(crate) fn contract(
        &self,
        descriptor_set: &Digest,
        service: &ServiceName,
    ) -> Option<Contract> {
        let mut registries = self.registries.iter();
        registries.find_map(|held| held.view.contract(descriptor_set, service))
    }

    /// Our own registry's policy.
    pub(crate) fn policy(&self) -> Option<&Policy> {
        self.federation.policy()
    }

    fn registry(&self, origin: &LogOrigin) -> Option<&Registry> {
        self.registries.iter().find(|held| held.origin == *origin)
    }

    fn of(&self, jurisdiction: &Jurisdiction) -> Option<&Registry> {
        self.registries
            .iter()
            .find(|held| held.jurisdiction == *jurisdiction)
    }

    /// As a statement to a peer carries them: of the two registries that an exchange with it rests on.
    pub(crate) fn views_for(&self, peer: &ServerId) -> BTreeMap<LogOrigin, Seen> {
        let rests_on = [self.registries.first(), self.of(&peer.jurisdiction())];
        let seen = |held: &Registry| {
            let seen = Seen {
                size: held.view.size,
                root: held.view.root,
            };
            (held.origin.clone(), seen)
        };
        rests_on.into_iter().flatten().map(seen).collect()
    }

    /// Up to how many subjects of an exchange are named.
    pub(crate) fn most_subjects(&self) -> usize {
        let policy = self.policy();
        // A server without a policy decides nothing, and asks this of nobody.
        policy.map_or(0, |policy| policy.tagged_subjects as usize)
    }

    /// A registered server, whatever its member's standing.
    pub(crate) fn registered(&self, server: &ServerId) -> Option<ServerView<'_>> {
        let record = self.federation.server(server)?;
        Some(ServerView { record })
    }

    /// Why a server is not registered here.
    pub(crate) fn why_unknown(&self, server: &ServerId) -> Reason {
        match self.federation.of(&server.jurisdiction()) {
            Some(_) => Reason::PeerUnknown,
            None => Reason::JurisdictionNotRecognised,
        }
    }

    /// The registered servers that may show this key in TLS: one, or one in each registry that names it.
    pub(crate) fn servers_with_tls_key(&self, spki: &Digest) -> impl Iterator<Item = &ServerId> {
        let records = self.federation.servers_by_tls_spki(spki);
        records.map(|record| &record.id)
    }

    /// A registered server of a member in good standing.
    pub(crate) fn server(&self, server: &ServerId) -> Option<ServerView<'_>> {
        let standing = self.federation.standing(&server.member());
        let active = standing == Ok(entente_directory::Standing::Active);
        let record = self.federation.server(server).filter(|_| active)?;
        Some(ServerView { record })
    }

    /// Decides a local system's call. (G4)
    pub(crate) fn decide_call(
        &self,
        caller: &SystemId,
        call: &Call,
        moment: Moment<'_>,
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
        moment: Moment<'_>,
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

    fn decide(
        &self,
        call: &policy::Call<'_>,
        moment: Moment<'_>,
    ) -> Result<Permit, policy::Refusal> {
        let view = policy::View {
            federation: &self.federation,
            freshness: moment.views,
        };
        policy::decide(&view, call, moment.now)
    }

    /// The servers that may sign for a system, of members in good standing.
    pub(crate) fn servers_for<'a>(
        &'a self,
        system: &'a SystemId,
    ) -> impl Iterator<Item = ServerView<'a>> {
        self.federation
            .servers_for(system)
            .filter_map(|record| self.server(&record.id))
    }

    /// Whether a server's session of this age was revoked.
    pub(crate) fn session_revoked(&self, server: &ServerId, issued_at: Timestamp) -> bool {
        self.federation.session_revoked(server, issued_at)
    }
}

const fn mode(mode: Mode) -> entente_directory::Mode {
    match mode {
        Mode::Live => entente_directory::Mode::Live,
        Mode::Test => entente_directory::Mode::Test,
    }
}
