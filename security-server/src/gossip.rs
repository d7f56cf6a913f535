//! Checkpoints that travel with envelopes: each server tells its peers its newest cosigned one, and
//! remembers theirs. (DESIGN.md §7)
//!
//! A peer that shows two trees of one size has forked its ledger: both notes are signed by it, so they
//! are kept as an incident and logged, and nothing more is exchanged with it. A peer whose ledger its
//! witnesses have not cosigned for too long is refused until they do.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use entente_clock::{Clock, Timestamp};
use entente_directory::{Mode, Policy};
use entente_evidence::statement::LogOrigin;
use entente_identity::ServerId;
use entente_ledger::entry::{Body, PeerCheckpoint};
use entente_ledger::note::NoteKey;
use entente_ledger::{Ledger, SignedCheckpoint};
use entente_reason::Reason;
use tokio::sync::{Notify, watch};

use crate::incidents::{Against, Incidents};
use crate::journal::Journal;
use crate::view::Adopted;

/// What was told to peers, and heard from them.
#[derive(Debug)]
pub(crate) struct Gossip {
    clock: Arc<dyn Clock>,
    incidents: Incidents,
    own: watch::Receiver<Option<Arc<SignedCheckpoint>>>,
    told: Mutex<HashMap<ServerId, Told>>,
    heard: Mutex<HashMap<ServerId, Heard>>,
    /// Notes to be logged.
    news: Mutex<Vec<String>>,
    /// Told when there are some.
    filled: Notify,
}

#[derive(Debug)]
struct Told {
    checkpoint: Arc<SignedCheckpoint>,
    note: Bytes,
    /// When it was told first.
    since: Timestamp,
}

#[derive(Debug)]
struct Heard {
    /// Of each of its ledgers that it told of; the directory knows them all, so they are few.
    newest: BTreeMap<LogOrigin, Newest>,
    /// When its quorum had seen its open ledger, or when we first spoke: from then on newer checkpoints
    /// are missed.
    cosigned_at: Timestamp,
    last_contact: Timestamp,
    is_forked: bool,
}

#[derive(Debug)]
struct Newest {
    checkpoint: Arc<SignedCheckpoint>,
    /// As it came last: calls side by side bring the same.
    note: Bytes,
    logged_at: Timestamp,
}

/// For so long each envelope tells it: of calls side by side the first to arrive must, and any may be lost.
const TELL_FOR: Duration = Duration::from_secs(2);
/// After this, a peer is told again: it may have started anew and forgotten.
const TELL_AGAIN: Duration = Duration::from_secs(60);
/// After this, a peer that was refused is tried again.
const TRY_AGAIN: Duration = Duration::from_secs(60);
/// A peer's checkpoints are logged this often at most (DESIGN.md §7).
const LOG_AGAIN: Duration = Duration::from_secs(600);
/// Checkpoints that wait to be logged; more are left for the next time.
const MAX_NEWS: usize = 1_024;

// === impl Gossip ===

impl Gossip {
    /// Has told nobody; has heard what incidents were kept of.
    pub(crate) fn new(ledger: &Ledger, incidents: Incidents, clock: Arc<dyn Clock>) -> Self {
        let now = clock.now();
        let forked = incidents.forked().into_iter().map(|peer| {
            let heard = Heard {
                is_forked: true,
                ..Heard::since(now)
            };
            (peer, heard)
        });
        Self {
            own: ledger.finality(),
            told: Mutex::default(),
            heard: Mutex::new(forked.collect()),
            news: Mutex::default(),
            filled: Notify::new(),
            incidents,
            clock,
        }
    }

    /// What the next envelope to a peer tells it: our newest cosigned checkpoint, when it has changed.
    pub(crate) fn tell(&self, peer: &ServerId) -> Bytes {
        let Some(newest) = self.own.borrow().clone() else {
            return Bytes::new();
        };
        let now = self.clock.now();
        let mut told = lock(&self.told);
        if let Some(told) = told.get(peer)
            && Arc::ptr_eq(&told.checkpoint, &newest)
            && now.since(told.since) < TELL_AGAIN
        {
            let is_new = now.since(told.since) < TELL_FOR;
            return if is_new {
                told.note.clone()
            } else {
                Bytes::new()
            };
        }
        let note = Bytes::from(newest.note().to_string());
        let news = Told {
            checkpoint: newest,
            note: note.clone(),
            since: now,
        };
        told.insert(peer.clone(), news);
        note
    }

    /// Takes up what a verified envelope of a peer tells. `log` is the ledger it says it logs in, which
    /// the caller has made sure is one of its own. A fork is durable when this returns.
    pub(crate) async fn hear(
        &self,
        adopted: &Adopted,
        peer: &ServerId,
        log: &LogOrigin,
        note: &Bytes,
    ) {
        let now = self.clock.now();
        {
            let mut heard = lock(&self.heard);
            // Cloned for the first envelope alone.
            let heard = match heard.get_mut(peer) {
                Some(heard) => heard,
                None => heard
                    .entry(peer.clone())
                    .or_insert_with(|| Heard::since(now)),
            };
            heard.last_contact = now;
            if heard.is_forked || note.is_empty() {
                return;
            }
            let known = heard.newest.get(log);
            if known.is_some_and(|newest| newest.note == *note) {
                return;
            }
        }
        match verify(adopted, log, note) {
            Some(checkpoint) => {
                self.learn(adopted, peer, &Arc::new(checkpoint)).await;
                if let Some(heard) = lock(&self.heard).get_mut(peer)
                    && let Some(newest) = heard.newest.get_mut(log)
                {
                    newest.note = note.clone();
                }
            }
            None => tracing::warn!(event = "gossip.unverified", peer = %peer),
        }
    }

    /// Takes up a checkpoint of one of a peer's ledgers, signed by its key. A fork is durable when this
    /// returns.
    pub(crate) async fn learn(
        &self,
        adopted: &Adopted,
        peer: &ServerId,
        checkpoint: &Arc<SignedCheckpoint>,
    ) {
        let Some(notes) = self.weigh(adopted, peer, checkpoint) else {
            return;
        };
        tracing::error!(event = "peer.forked", peer = %peer, size = checkpoint.size());
        for note in &notes {
            self.log(note.clone());
        }
        // Where it cannot be kept, the entries in the ledger remain.
        let _ = self.incidents.keep(peer, Against::Fork(notes)).await;
    }

    /// Takes up a checkpoint; answers with both notes when it shows a fork, once for each peer.
    fn weigh(
        &self,
        adopted: &Adopted,
        peer: &ServerId,
        checkpoint: &Arc<SignedCheckpoint>,
    ) -> Option<[String; 2]> {
        let now = self.clock.now();
        let origin: LogOrigin = checkpoint.checkpoint().origin.parse().ok()?;
        let mut heard = lock(&self.heard);
        let heard = heard
            .entry(peer.clone())
            .or_insert_with(|| Heard::since(now));
        if heard.is_forked {
            return None;
        }
        let newest = heard.newest.get(&origin);
        if let Some(notes) = newest.and_then(|newest| newest.fork(checkpoint)) {
            heard.is_forked = true;
            return Some(notes);
        }
        let held = newest.map_or(0, |newest| newest.checkpoint.size());
        // A closed ledger, or an old checkpoint shown again, says nothing about how it is now.
        if checkpoint.size() >= held && is_open(adopted, peer, &origin) {
            let policy = adopted.federation().policy_of(peer);
            if let Some(judged) = policy.and_then(|held| held.witnesses.judge(checkpoint, now)) {
                let at = judged.at().unwrap_or(now);
                heard.cosigned_at = heard.cosigned_at.max(at);
            }
        }
        if newest.is_some() && checkpoint.size() <= held {
            return None;
        }
        let logged_at = newest.map(|newest| newest.logged_at);
        let is_due = logged_at.is_none_or(|at| now.since(at) >= LOG_AGAIN);
        if is_due {
            self.log(checkpoint.note().to_string());
        }
        let newest = Newest {
            checkpoint: Arc::clone(checkpoint),
            note: Bytes::new(),
            logged_at: logged_at.filter(|_| !is_due).unwrap_or(now),
        };
        heard.newest.insert(origin, newest);
        None
    }

    /// Whether a peer may be exchanged with, by what it told of its ledger.
    ///
    /// # Errors
    /// `LOG_FORKED`, `LOG_UNWITNESSED`.
    pub(crate) fn check(&self, peer: &ServerId, policy: Option<&Policy>) -> Result<(), Reason> {
        let mut heard = lock(&self.heard);
        let Some(heard) = heard.get_mut(peer) else {
            return Ok(());
        };
        if heard.is_forked {
            return Err(Reason::LogForked);
        }
        let Some(policy) = policy.filter(|policy| policy.witnesses.fewest() > 0) else {
            return Ok(());
        };
        let is_old = heard.last_contact.since(heard.cosigned_at) > policy.cosigned_within();
        if !is_old {
            return Ok(());
        }
        let now = self.clock.now();
        if now.since(heard.last_contact) < TRY_AGAIN {
            return Err(Reason::LogUnwitnessed);
        }
        // One call is let through to ask; those beside it are refused until it has its answer.
        heard.last_contact = now;
        Ok(())
    }

    /// The newest checkpoint that is known of one of a peer's ledgers.
    pub(crate) fn newest(
        &self,
        peer: &ServerId,
        origin: &LogOrigin,
    ) -> Option<Arc<SignedCheckpoint>> {
        let heard = lock(&self.heard);
        let newest = heard.get(peer)?.newest.get(origin)?;
        Some(Arc::clone(&newest.checkpoint))
    }

    /// Where what peers signed against themselves is kept.
    pub(crate) const fn incidents(&self) -> &Incidents {
        &self.incidents
    }

    /// Logs what is heard, until it is dropped.
    pub(crate) async fn log_news(&self, journal: &Journal) {
        loop {
            self.filled.notified().await;
            let news = std::mem::take(&mut *lock(&self.news));
            for note in news {
                let entry = Body::PeerCheckpoint(PeerCheckpoint { note: note.into() });
                if let Err(reason) = journal.append(entry).await {
                    tracing::warn!(event = "gossip.not_logged", reason = reason.code());
                }
            }
        }
    }

    fn log(&self, note: String) {
        let mut news = lock(&self.news);
        // Beyond the bound one is left out: a newer one will come.
        if news.len() < MAX_NEWS {
            news.push(note);
            self.filled.notify_one();
        }
    }
}

// === impl Heard ===

impl Heard {
    const fn since(now: Timestamp) -> Self {
        Self {
            newest: BTreeMap::new(),
            cosigned_at: now,
            last_contact: now,
            is_forked: false,
        }
    }
}

// === impl Newest ===

impl Newest {
    /// The same size with another root: signed by the same key, that is a fork.
    fn fork(&self, checkpoint: &SignedCheckpoint) -> Option<[String; 2]> {
        let newest = &self.checkpoint;
        let is_fork = newest.size() == checkpoint.size() && newest.root() != checkpoint.root();
        is_fork.then(|| [newest.note().to_string(), checkpoint.note().to_string()])
    }
}

/// Whether it is the ledger a peer writes to now.
fn is_open(adopted: &Adopted, peer: &ServerId, origin: &LogOrigin) -> bool {
    let shard = |mode| adopted.federation().shard(peer, mode);
    let mut open = [Mode::Live, Mode::Test].into_iter().filter_map(shard);
    open.any(|shard| shard.origin == origin.as_str())
}

/// A checkpoint of this ledger, signed by the key the directory binds it to.
fn verify(adopted: &Adopted, log: &LogOrigin, note: &[u8]) -> Option<SignedCheckpoint> {
    if note.is_empty() || note.len() > MAX_NOTE {
        return None;
    }
    let shard = adopted.federation().shard_by_origin(log.as_str())?;
    let key = NoteKey::new(log.as_str(), shard.key.clone()).ok()?;
    SignedCheckpoint::verify(note, &key).ok()
}

fn lock<T>(held: &Mutex<T>) -> MutexGuard<'_, T> {
    held.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The longest note taken from a peer, in bytes.
const MAX_NOTE: usize = 16 * 1024;
