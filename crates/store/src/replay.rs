//! The replay window: which messages were seen in the last ten minutes.

use std::collections::{HashMap, HashSet, VecDeque};
use std::hash::{BuildHasher, RandomState};
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use entente_clock::Timestamp;
use entente_identity::ServerId;
use entente_reason::Reason;

/// A message id: 16 random bytes chosen by its sender, so unique only with the sending server.
pub type MessageId = [u8; 16];

/// Remembers (sending server, message id) for [`ReplayWindow::SPAN`]. In memory, bounded, sharded;
/// never forgets early: when full, it refuses. No server may hold more than half of it, so that one
/// that sends without pause fills no other's place.
///
/// What is held of a message is 64 bits of a hash under a random key of this process. Nobody can look
/// for two messages that share them, and that two do by chance, so that the second is refused as
/// seen, is one case in 10¹² with a full window.
#[derive(Debug)]
pub struct ReplayWindow {
    shards: Box<[Mutex<Shard>]>,
    /// Numbers stand for server names, to keep an entry small.
    servers: RwLock<HashMap<ServerId, u32>>,
    hasher: RandomState,
    shard_capacity: usize,
}

/// A message of the window.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeenMessage {
    /// The server that sent it.
    pub server: ServerId,
    /// Its id.
    pub id: MessageId,
    /// When it may be forgotten.
    pub expires: Timestamp,
}

/// Why a message was not let in. Neither variant names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReplayError {
    /// More messages in ten minutes than the window holds, or than one server may have in it.
    #[error("replay window is full")]
    Full,
    /// It was seen before.
    #[error("message was seen before")]
    Replayed,
}

#[derive(Debug, Default)]
struct Shard {
    seen: HashSet<u64>,
    /// Oldest first, as far as the clock only moves forward; an entry out of order is merely
    /// forgotten later than it might be.
    expiring: VecDeque<Expiring>,
    /// How many there are of each server.
    of: HashMap<u32, usize>,
}

/// 16 bytes: of these there are as many as messages.
#[derive(Clone, Copy, Debug)]
struct Expiring {
    /// In seconds since 1970, rounded up; enough until 2106, after which nothing is forgotten.
    at: u32,
    server: u32,
    mark: u64,
}

// === impl ReplayWindow ===

impl ReplayWindow {
    /// How long a message is remembered. Longer than a statement stays fresh (120 s) plus what two
    /// clocks may differ (60 s each).
    pub const SPAN: Duration = Duration::from_secs(600);
    /// Messages held by default: ten minutes at 7,000 a second, in about 140 MiB when full.
    pub const CAPACITY: usize = 4 * 1024 * 1024;
    /// Servers that can be told apart.
    pub const MAX_SERVERS: usize = 100_000;

    /// An empty window for at most about `capacity` messages.
    pub fn new(capacity: usize) -> Self {
        Self {
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            servers: RwLock::default(),
            hasher: RandomState::new(),
            shard_capacity: capacity.div_ceil(SHARDS).max(1),
        }
    }

    /// Lets a message in if it was not seen before. Atomic: of any number of concurrent calls with
    /// the same message, one succeeds. Returns when it may be forgotten.
    ///
    /// # Errors
    /// [`ReplayError::Replayed`], or [`ReplayError::Full`].
    pub fn insert(
        &self,
        server: &ServerId,
        id: &MessageId,
        now: Timestamp,
    ) -> Result<Timestamp, ReplayError> {
        let number = self.number(server)?;
        let (mark, mut shard) = self.shard(number, id);
        shard.expire(now);
        if shard.seen.contains(&mark) {
            return Err(ReplayError::Replayed);
        }
        let share = (self.shard_capacity / 2).max(1);
        if shard.seen.len() >= self.shard_capacity || shard.count(number) >= share {
            return Err(ReplayError::Full);
        }
        let expires = now.saturating_add(Self::SPAN);
        shard.remember(expires, number, mark);
        Ok(expires)
    }

    /// Fills the window, before listening, with what the ledger and the store remember. Order does
    /// not matter and a message may come twice.
    ///
    /// # Errors
    /// [`ReplayError::Full`]: the window is then incomplete and must not be used.
    pub fn restore(
        &self,
        messages: impl IntoIterator<Item = SeenMessage>,
        now: Timestamp,
    ) -> Result<(), ReplayError> {
        let mut messages: Vec<_> = messages.into_iter().filter(|m| m.expires > now).collect();
        messages.sort_by_key(|message| message.expires);
        for message in messages {
            let number = self.number(&message.server)?;
            let (mark, mut shard) = self.shard(number, &message.id);
            if shard.seen.contains(&mark) {
                continue;
            }
            if shard.seen.len() >= self.shard_capacity {
                return Err(ReplayError::Full);
            }
            shard.remember(message.expires, number, mark);
        }
        Ok(())
    }

    /// Forgets what has expired. Inserting does so too, shard by shard; this is for idle times.
    pub fn expire(&self, now: Timestamp) {
        for shard in &self.shards {
            lock(shard).expire(now);
        }
    }

    /// How many messages it holds.
    pub fn len(&self) -> usize {
        self.shards.iter().map(|shard| lock(shard).seen.len()).sum()
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// A message's mark, and where it belongs.
    fn shard(&self, server: u32, id: &MessageId) -> (u64, MutexGuard<'_, Shard>) {
        let mark = self.hasher.hash_one((server, id));
        (mark, lock(&self.shards[mark as usize % SHARDS]))
    }

    fn number(&self, server: &ServerId) -> Result<u32, ReplayError> {
        let known = self.servers.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(number) = known.get(server) {
            return Ok(*number);
        }
        drop(known);
        let mut known = self.servers.write().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= Self::MAX_SERVERS {
            return Err(ReplayError::Full);
        }
        let next = known.len() as u32;
        Ok(*known.entry(server.clone()).or_insert(next))
    }
}

impl Default for ReplayWindow {
    fn default() -> Self {
        Self::new(Self::CAPACITY)
    }
}

// === impl Shard ===

impl Shard {
    fn remember(&mut self, expires: Timestamp, server: u32, mark: u64) {
        self.seen.insert(mark);
        *self.of.entry(server).or_insert(0) += 1;
        let at = u32::try_from(expires.as_millis().div_ceil(1_000)).unwrap_or(u32::MAX);
        self.expiring.push_back(Expiring { at, server, mark });
    }

    fn count(&self, server: u32) -> usize {
        self.of.get(&server).copied().unwrap_or(0)
    }

    fn expire(&mut self, now: Timestamp) {
        let now = now.as_millis() / 1_000;
        while let Some(first) = self.expiring.front() {
            if u64::from(first.at) > now {
                break;
            }
            self.seen.remove(&first.mark);
            if let Some(count) = self.of.get_mut(&first.server) {
                *count -= 1;
                if *count == 0 {
                    self.of.remove(&first.server);
                }
            }
            self.expiring.pop_front();
        }
    }
}

// === impl ReplayError ===

impl ReplayError {
    /// The refusal this amounts to.
    pub const fn reason(&self) -> Reason {
        match self {
            Self::Full => Reason::Overloaded,
            Self::Replayed => Reason::Replayed,
        }
    }
}

/// Nothing panics while holding a shard, and its two halves are changed together.
fn lock(shard: &Mutex<Shard>) -> MutexGuard<'_, Shard> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

const SHARDS: usize = 64;
