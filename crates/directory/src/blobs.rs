//! Descriptor sets and agreements, held by their SHA-256.

use std::collections::BTreeMap;

use bytes::Bytes;
use entente_signing::Digest;

/// Where [`crate::apply()`] finds what changes name by hash.
///
/// Whoever implements this has checked that the bytes have that SHA-256; `apply` checks again.
pub trait Blobs {
    /// The blob with this SHA-256, if it is held.
    fn blob(&self, hash: &Digest) -> Option<Bytes>;
}

/// Blobs in memory.
#[derive(Clone, Debug, Default)]
pub struct MemoryBlobs(BTreeMap<Digest, Bytes>);

// === impl MemoryBlobs ===

impl MemoryBlobs {
    /// Holds nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Keeps a blob and says what it is called.
    pub fn insert(&mut self, blob: impl Into<Bytes>) -> Digest {
        let blob = blob.into();
        let hash = Digest::of(&blob);
        self.0.insert(hash, blob);
        hash
    }
}

impl Blobs for MemoryBlobs {
    fn blob(&self, hash: &Digest) -> Option<Bytes> {
        self.0.get(hash).cloned()
    }
}

/// The largest blob, in bytes.
pub const MAX_BLOB: usize = 4 << 20;
