//! Checkpoints that travel with envelopes: each server tells its peers its newest cosigned one, and
//! remembers theirs. (DESIGN.md §7)
//!
//! A peer that shows two trees of one size has forked its ledger: both notes are signed by it, so they
//! are kept as an incident and logged, and nothing more is exchanged with it. A peer whose ledger its
//! witnesses have not cosigned for too long is refused until they do.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use entente_clock::{Clock, Timestamp};
use entente_directory::Policy;
use entente_evidence::statement::LogOrigin;
use entente_identity::ServerId;
use entente_ledger::entry::{Body, PeerCheckpoint};
use entente_ledger::note::NoteKey;
use entente_ledger::{Ledger, SignedCheckpoint};
use entente_reason::Reason;
use tokio::sync::{Notify, watch};

use crate::incidents::{Fork, Incidents};
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
    at: Timestamp,
}

#[derive(Debug)]
struct Heard {
    newest: Option<Arc<SignedCheckpoint>>,
    /// When its quorum had seen it, or when we first spoke: from then on newer ones are missed.
    cosigned_at: Timestamp,
    last_contact: Timestamp,
    logged_at: Option<Timestamp>,
    is_forked: bool,
}

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
            && now.since(told.at) < TELL_AGAIN
        {
            return Bytes::new();
        }
        let note = newest.note().to_string().into();
        let news = Told {
            checkpoint: newest,
            at: now,
        };
        told.insert(peer.clone(), news);
        note
    }

    /// Takes up what a verified envelope of a peer tells. `log` is the ledger it says it logs in, which
    /// the caller has made sure is one of its own.
    pub(crate) fn hear(&self, adopted: &Adopted, peer: &ServerId, log: &LogOrigin, note: &[u8]) {
        let now = self.clock.now();
        let checkpoint = verify(adopted, log, note);
        if checkpoint.is_none() && !note.is_empty() {
            tracing::warn!(event = "gossip.unverified", peer = %peer);
        }
        let mut heard = lock(&self.heard);
        let heard = heard
            .entry(peer.clone())
            .or_insert_with(|| Heard::since(now));
        heard.last_contact = now;
        let Some(checkpoint) = checkpoint.map(Arc::new) else {
            return;
        };
        if let Some(fork) = heard.fork(&checkpoint) {
            heard.is_forked = true;
            tracing::error!(event = "peer.forked", peer = %peer, size = checkpoint.size());
            for note in &fork.notes {
                self.log(note.clone());
            }
            self.incidents.keep_fork(peer, &fork);
            return;
        }
        let policy = adopted.state().policy();
        if let Some(judged) = policy.and_then(|held| held.witnesses.judge(&checkpoint, now)) {
            let at = judged.at().unwrap_or(now);
            heard.cosigned_at = heard.cosigned_at.max(at);
        }
        if heard.is_news(&checkpoint) {
            if heard.logged_at.is_none_or(|at| now.since(at) >= LOG_AGAIN) {
                heard.logged_at = Some(now);
                self.log(checkpoint.note().to_string());
            }
            heard.newest = Some(checkpoint);
        }
    }

    /// Whether a peer may be exchanged with, by what it told of its ledger.
    ///
    /// # Errors
    /// `LOG_FORKED`, `LOG_UNWITNESSED`.
    pub(crate) fn check(&self, peer: &ServerId, policy: Option<&Policy>) -> Result<(), Reason> {
        let heard = lock(&self.heard);
        let Some(heard) = heard.get(peer) else {
            return Ok(());
        };
        if heard.is_forked {
            return Err(Reason::LogForked);
        }
        let Some(policy) = policy.filter(|policy| policy.witnesses.fewest() > 0) else {
            return Ok(());
        };
        let is_old = heard.last_contact.since(heard.cosigned_at) > policy.cosigned_within();
        let is_late = self.clock.now().since(heard.last_contact) >= TRY_AGAIN;
        if is_old && !is_late {
            return Err(Reason::LogUnwitnessed);
        }
        Ok(())
    }

    /// Where what peers signed against themselves is kept.
    pub(crate) const fn incidents(&self) -> &Incidents {
        &self.incidents
    }

    /// The newest checkpoint a peer told.
    pub(crate) fn newest(&self, peer: &ServerId) -> Option<Arc<SignedCheckpoint>> {
        lock(&self.heard).get(peer)?.newest.clone()
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
            newest: None,
            cosigned_at: now,
            last_contact: now,
            logged_at: None,
            is_forked: false,
        }
    }

    /// The same size with another root: signed by the same key, that is a fork.
    fn fork(&self, checkpoint: &SignedCheckpoint) -> Option<Fork> {
        let newest = self.newest.as_ref()?;
        let is_same = newest.checkpoint().origin == checkpoint.checkpoint().origin
            && newest.size() == checkpoint.size();
        (is_same && newest.root() != checkpoint.root()).then(|| Fork {
            notes: [newest.note().to_string(), checkpoint.note().to_string()],
        })
    }

    /// Whether a checkpoint is of a newer tree, or of a newer shard.
    fn is_news(&self, checkpoint: &SignedCheckpoint) -> bool {
        self.newest.as_ref().is_none_or(|newest| {
            newest.checkpoint().origin != checkpoint.checkpoint().origin
                || newest.size() < checkpoint.size()
        })
    }
}

/// A checkpoint of this ledger, signed by the key the directory binds it to.
fn verify(adopted: &Adopted, log: &LogOrigin, note: &[u8]) -> Option<SignedCheckpoint> {
    if note.is_empty() || note.len() > MAX_NOTE {
        return None;
    }
    let shard = adopted.state().shard_by_origin(log.as_str())?;
    let key = NoteKey::new(log.as_str(), shard.key.clone()).ok()?;
    SignedCheckpoint::verify(note, &key).ok()
}

fn lock<T>(held: &Mutex<T>) -> MutexGuard<'_, T> {
    held.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The longest note taken from a peer, in bytes.
const MAX_NOTE: usize = 16 * 1024;
