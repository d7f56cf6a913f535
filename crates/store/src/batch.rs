//! What is written, and under which keys.

use entente_clock::Timestamp;
use entente_identity::ServerId;

use crate::replay::MessageId;
use crate::store::StoreError;

/// The indexes. Numbers are the first byte of every key on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
#[non_exhaustive]
pub enum Tree {
    /// Message id ‖ ledger index → nothing.
    Messages = 1,
    /// Expiry ‖ message id ‖ server → nothing: the replay window.
    Replay = 2,
    /// Parts of the verified directory, fetched again when lost.
    Directory = 3,
    /// Where somebody stands in something: name → u64.
    Cursors = 4,
}

/// The ledger an index belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Journal<'a> {
    /// Its origin; at most 512 bytes. Another origin means a rebuild.
    pub origin: &'a str,
    /// How many entries it has, durably.
    pub size: u64,
}

/// Changes that become visible and durable together.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    pub(crate) changes: Vec<Change>,
    pub(crate) position: Option<u64>,
}

/// A key with its tree byte, and its new value, or `None` to remove it.
pub(crate) type Change = (Vec<u8>, Option<Vec<u8>>);

// === impl Batch ===

impl Batch {
    /// An empty batch.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets a value.
    ///
    /// # Errors
    /// When the key is longer than [`MAX_KEY`] or the value than [`MAX_VALUE`].
    pub fn put(&mut self, tree: Tree, key: &[u8], value: &[u8]) -> Result<(), StoreError> {
        if key.len() > MAX_KEY || value.len() > MAX_VALUE {
            return Err(StoreError::TooLarge);
        }
        self.changes
            .push((full_key(tree, key), Some(value.to_vec())));
        Ok(())
    }

    /// Removes a key, if it is there.
    pub fn remove(&mut self, tree: Tree, key: &[u8]) {
        if key.len() <= MAX_KEY {
            self.changes.push((full_key(tree, key), None));
        }
    }

    /// Says that with this batch the index reflects the first `entries` entries of the ledger.
    /// Batches are submitted in the order of their positions.
    pub const fn position(&mut self, entries: u64) {
        self.position = Some(entries);
    }

    /// Notes that the ledger entry at `index` belongs to this message.
    pub fn message(&mut self, id: &MessageId, index: u64) {
        let key = [id.as_slice(), &index.to_be_bytes()].concat();
        self.changes
            .push((full_key(Tree::Messages, &key), Some(Vec::new())));
    }

    /// Notes that a message was seen, until `expires`.
    pub fn seen(&mut self, server: &ServerId, id: &MessageId, expires: Timestamp) {
        let key = replay_key(server, id, expires);
        self.changes
            .push((full_key(Tree::Replay, &key), Some(Vec::new())));
    }

    /// Moves the cursor called `name` (at most [`MAX_KEY`] bytes).
    ///
    /// # Errors
    /// When the name is too long.
    pub fn cursor(&mut self, name: &str, at: u64) -> Result<(), StoreError> {
        self.put(Tree::Cursors, name.as_bytes(), &at.to_be_bytes())
    }

    /// How many changes it holds.
    pub fn len(&self) -> usize {
        self.changes.len()
    }

    /// Whether it changes nothing, not even the position.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty() && self.position.is_none()
    }
}

/// The key as stored. Everything lives in one sled tree, so that a batch is one atomic write.
pub(crate) fn full_key(tree: Tree, key: &[u8]) -> Vec<u8> {
    let mut full = Vec::with_capacity(1 + key.len());
    full.push(tree as u8);
    full.extend_from_slice(key);
    full
}

/// Expiry first, so that what has expired is one range.
pub(crate) fn replay_key(server: &ServerId, id: &MessageId, expires: Timestamp) -> Vec<u8> {
    [
        &expires.as_millis().to_be_bytes(),
        id.as_slice(),
        server.as_str().as_bytes(),
    ]
    .concat()
}

/// The reverse of [`replay_key`].
pub(crate) fn parse_replay_key(key: &[u8]) -> Option<(ServerId, MessageId, Timestamp)> {
    let (expires, rest) = key.split_first_chunk::<8>()?;
    let (id, server) = rest.split_first_chunk::<16>()?;
    let server = str::from_utf8(server).ok()?.parse().ok()?;
    let expires = Timestamp::from_millis(u64::from_be_bytes(*expires));
    Some((server, *id, expires))
}

/// The longest key, in bytes.
pub const MAX_KEY: usize = 512;
/// The largest value, in bytes. Larger ones would become sled's separate blob files.
pub const MAX_VALUE: usize = 16 * 1024;
