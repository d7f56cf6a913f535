//! What is written, and under which keys.

use crate::store::StoreError;

/// The indexes. Numbers are the first byte of every key on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
#[non_exhaustive]
pub enum Tree {
    /// Sorted blocks of message ids and ledger indexes.
    Messages = 1,
    /// Parts of the verified directory, fetched again when lost.
    Directory = 2,
    /// Where somebody stands in something: name → u64.
    Cursors = 3,
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

/// The longest key, in bytes.
pub const MAX_KEY: usize = 512;
/// The largest value, in bytes. Larger ones would become sled's separate blob files.
pub const MAX_VALUE: usize = 16 * 1024;
