//! Where changes are handed in: one task that judges them one after the other, and appends.
//!
//! A change is in the ledger and durable before it is in the state, and in the state before it is
//! answered. Followers are told by the ledger itself: its size moves with each append, its checkpoint
//! soon after.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use arc_swap::ArcSwap;
use bytes::Bytes;
use entente_clock::{Clock, Timestamp};
use entente_directory::{
    Author, Blobs, Change, Genesis, MAX_BLOB, Policy, RULES_VERSION, RegistryEntry, SignedChange,
    State, StateClaim, apply,
};
use entente_follow::author::Pen;
use entente_follow::{Accepted, BlobError, BlobStore};
use entente_ledger::{Append, Ledger};
use entente_signing::{Digest, Signer};
use tokio::sync::{Notify, mpsc, oneshot};

use crate::applications::Applications;
use crate::cosigning::Cosigning;
use crate::office::Office;
use crate::refusal::Refused;

/// Hands changes in. Clones share the one task behind it.
#[derive(Clone, Debug)]
pub(crate) struct Desk {
    orders: mpsc::Sender<Order>,
    pub(crate) record: Arc<Record>,
}

/// What everything accepted so far adds up to.
#[derive(Debug)]
pub(crate) struct Record {
    state: ArcSwap<State>,
    index: RwLock<Index>,
}

/// Where things are in the ledger.
#[derive(Debug, Default)]
struct Index {
    /// Changes by hash.
    changes: HashMap<Digest, u64>,
    /// Admissions by the SHA-256 of the application.
    admissions: HashMap<Digest, u64>,
    /// How many changes there are since the registry last stated its hash.
    since_stated: u64,
    /// The policies so far, each with the size of the ledger from which on it is in force.
    policies: Vec<(u64, Arc<Policy>)>,
}

/// Changes handed in together, accepted together or not at all.
#[derive(Debug)]
struct Order {
    changes: Vec<SignedChange>,
    blobs: Vec<Bytes>,
    answer: oneshot::Sender<Result<Accepted, Refused>>,
}

/// The task.
#[derive(Debug)]
pub(crate) struct Clerk {
    pub(crate) ledger: Ledger,
    pub(crate) blobs: Arc<BlobStore>,
    pub(crate) applications: Arc<Applications>,
    pub(crate) clock: Arc<dyn Clock>,
    /// The registrar's key this server states its hash with.
    pub(crate) state_key: Arc<dyn Signer>,
    /// Changes after which it does.
    pub(crate) state_every: u64,
    /// Wakes who publishes checkpoints.
    pub(crate) grown: Arc<Notify>,
    pub(crate) record: Arc<Record>,
    /// Whether the ledger may grow.
    pub(crate) cosigning: Arc<Cosigning>,
    /// Who signs for it.
    pub(crate) office: Arc<Office>,
}

/// The blobs held, and those that came along.
struct Offered<'a> {
    held: &'a BlobStore,
    offered: &'a BTreeMap<Digest, Bytes>,
}

// === impl Desk ===

impl Desk {
    /// Starts the clerk. It ends, once its orders are done, when every desk is dropped.
    pub(crate) fn open(clerk: Clerk) -> (Self, tokio::task::JoinHandle<()>) {
        let (orders, queue) = mpsc::channel(MAX_WAITING);
        let record = clerk.record.clone();
        let task = tokio::spawn(clerk.work(queue));
        (Self { orders, record }, task)
    }

    /// Hands changes in. Answers when they are durable. Dropping the future does not take them back.
    pub(crate) async fn submit(
        &self,
        changes: Vec<SignedChange>,
        blobs: Vec<Bytes>,
    ) -> Result<Accepted, Refused> {
        let (answer, answered) = oneshot::channel();
        let order = Order {
            changes,
            blobs,
            answer,
        };
        self.orders
            .try_send(order)
            .map_err(|refused| match refused {
                mpsc::error::TrySendError::Full(_) => Refused::Overloaded,
                mpsc::error::TrySendError::Closed(_) => Refused::ShuttingDown,
            })?;
        answered.await.unwrap_or(Err(Refused::ShuttingDown))
    }
}

// === impl Record ===

impl Record {
    pub(crate) fn new() -> Self {
        Self {
            state: ArcSwap::from_pointee(State::empty()),
            index: RwLock::default(),
        }
    }

    /// What is known to be in a ledger that is being written.
    pub(crate) fn of(state: State) -> Self {
        Self {
            state: ArcSwap::from_pointee(state),
            index: RwLock::default(),
        }
    }

    pub(crate) fn state(&self) -> Arc<State> {
        self.state.load_full()
    }

    /// The index of the change that admitted an application.
    pub(crate) fn admission(&self, application: &Digest) -> Option<u64> {
        self.index().admissions.get(application).copied()
    }

    /// The policy in force after so many changes, as far as they are noted.
    pub(crate) fn policy_at(&self, size: u64) -> Option<Arc<Policy>> {
        let known = self.index();
        let mut newest_first = known.policies.iter().rev();
        let held = newest_first.find(|(from, _)| *from <= size);
        held.map(|(_, policy)| Arc::clone(policy))
    }

    /// Notes one change that is in the ledger.
    pub(crate) fn note(&self, index: u64, change: &SignedChange, state: State) {
        let mut known = self.index_mut();
        known.changes.insert(change.hash(), index);
        known.since_stated += 1;
        match change.change() {
            Change::MemberAdmit(body) => {
                let application = Digest::of(&body.application);
                known.admissions.insert(application, index);
            }
            Change::State(_) => known.since_stated = 0,
            Change::Genesis(Genesis { policy, .. }) | Change::Policy(policy) => {
                known.policies.push((index + 1, Arc::new(policy.clone())));
            }
            _ => {}
        }
        drop(known);
        self.state.store(Arc::new(state));
    }

    /// Where these changes are, if they all are, next to each other.
    fn find(&self, changes: &[SignedChange]) -> Option<Accepted> {
        let known = self.index();
        let first = *known.changes.get(&changes.first()?.hash())?;
        let follows =
            |(at, change): (u64, &SignedChange)| known.changes.get(&change.hash()) == Some(&at);
        (first..).zip(changes).all(follows).then(|| Accepted {
            index: first,
            size: first + changes.len() as u64,
        })
    }

    fn index(&self) -> RwLockReadGuard<'_, Index> {
        self.index.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn index_mut(&self) -> RwLockWriteGuard<'_, Index> {
        self.index.write().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Clerk ===

impl Clerk {
    async fn work(self, mut queue: mpsc::Receiver<Order>) {
        while let Some(order) = queue.recv().await {
            let outcome = self.accept(&order.changes, order.blobs).await;
            if let Err(refused) = &outcome {
                tracing::info!(event = "change.refused", reason = refused.reason().code());
            }
            // Whoever asked may be gone; what was accepted stays accepted.
            let _ = order.answer.send(outcome);
            self.state_hash_when_due().await;
        }
    }

    async fn accept(
        &self,
        changes: &[SignedChange],
        blobs: Vec<Bytes>,
    ) -> Result<Accepted, Refused> {
        if let Some(accepted) = self.record.find(changes) {
            return Ok(accepted);
        }
        // Nothing is appended to a tree that may not be the newest there was.
        self.cosigning.check()?;
        let offered = offered(changes, blobs)?;
        let held = Offered {
            held: &self.blobs,
            offered: &offered,
        };
        let mut state = (*self.record.state()).clone();
        // The registry's time never goes back, whatever its clock does.
        let at = self.clock.now().max(state.last_at());
        let mut states = Vec::with_capacity(changes.len());
        for change in changes {
            state = apply(&state, change, at, &held)?;
            states.push(state.clone());
        }
        // After the rules: who asks it to look for a key has signed something.
        self.office.check(changes)?;
        // Only what an accepted change names is kept: nobody fills this disk without a signature.
        for (hash, blob) in &offered {
            self.blobs.keep(hash, blob)?;
        }
        // If we crash here, blobs are held that no change names; submitting again names them.
        self.office.turn(&state);
        let first = match self.append(changes, at).await {
            Ok(first) => first,
            Err(refused) => {
                self.office.settle();
                return Err(refused);
            }
        };
        // If we crash here, the changes are in the ledger and were not answered. Replaying it finds
        // them, and submitting them again answers the same.
        for ((index, change), state) in (first..).zip(changes).zip(states) {
            self.record.note(index, change, state);
            if let Change::MemberAdmit(body) = change.change() {
                self.applications.settle(&Digest::of(&body.application));
            }
            tracing::info!(
                event = "change.accepted",
                index,
                kind = change.kind().as_str()
            );
        }
        self.office.settle();
        self.grown.notify_one();
        Ok(Accepted {
            index: first,
            size: first + changes.len() as u64,
        })
    }

    async fn append(&self, changes: &[SignedChange], at: Timestamp) -> Result<u64, Refused> {
        let append = |change: &SignedChange| Append {
            entry: RegistryEntry::encode_parts(at, change.bytes()).into(),
            attachment: None,
        };
        let appended = self
            .ledger
            .append_all(changes.iter().map(append).collect())
            .await?;
        let first = appended.first().ok_or(Refused::Request)?;
        Ok(first.index)
    }

    /// Says what the changes so far add up to, so that a follower whose rules differ finds out.
    async fn state_hash_when_due(&self) {
        if self.record.index().since_stated + 1 < self.state_every || !self.office.can_sign() {
            return;
        }
        let state = self.record.state();
        let claim = Change::State(StateClaim {
            hash: state.state_hash(),
            rules: RULES_VERSION,
        });
        let now = self.clock.now().max(state.last_at());
        let signed = Pen::new(&state, Author::Registrar, &*self.state_key, now)
            .and_then(|mut pen| pen.sign(&claim));
        let stated = match signed {
            Ok(signed) => self.accept(&[signed], Vec::new()).await.map(drop),
            Err(_) => Err(Refused::Internal),
        };
        if let Err(refused) = stated {
            // Tried again after the next change.
            tracing::warn!(event = "state.not_stated", reason = refused.reason().code());
        }
    }
}

/// The blobs that came along, by digest; each named by a change.
fn offered(
    changes: &[SignedChange],
    blobs: Vec<Bytes>,
) -> Result<BTreeMap<Digest, Bytes>, Refused> {
    let mut offered = BTreeMap::new();
    for blob in blobs {
        if blob.len() > MAX_BLOB {
            return Err(BlobError::TooLarge.into());
        }
        let hash = Digest::of(&blob);
        if !changes.iter().any(|change| change.blob() == Some(hash)) {
            return Err(Refused::BlobUnnamed);
        }
        offered.insert(hash, blob);
    }
    Ok(offered)
}

// === impl Offered ===

impl Blobs for Offered<'_> {
    fn blob(&self, hash: &Digest) -> Option<Bytes> {
        self.offered
            .get(hash)
            .cloned()
            .or_else(|| self.held.blob(hash))
    }
}

/// Orders waiting for the clerk; more are refused at once.
const MAX_WAITING: usize = 64;
