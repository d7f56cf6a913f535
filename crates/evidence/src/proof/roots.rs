//! Remembering batch roots whose signature verified, so that each is verified once.

use std::collections::{HashSet, VecDeque};
use std::fmt;
use std::sync::{Mutex, PoisonError};

use entente_signing::{Digest, VerifyingKey};

/// The newest verified batch roots, at most as many as asked. Safe to share between threads.
///
/// Nothing enters that did not verify strictly, and an entry stands for one exact signature by one
/// exact key over one exact root: remembering changes the time verification takes, never its answer.
pub struct RootCache {
    capacity: usize,
    seen: Mutex<Seen>,
}

/// One verified signature: the hash of key, signed bytes and signature.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct VerifiedRoot(Digest);

#[derive(Default)]
struct Seen {
    roots: HashSet<VerifiedRoot>,
    oldest_first: VecDeque<VerifiedRoot>,
}

// === impl RootCache ===

impl RootCache {
    /// A cache of the `capacity` newest roots, 32 bytes each twice over.
    pub fn new(capacity: usize) -> Self {
        Self {
            capacity,
            seen: Mutex::default(),
        }
    }

    pub(super) fn contains(&self, root: &VerifiedRoot) -> bool {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.roots.contains(root)
    }

    pub(super) fn insert(&self, root: VerifiedRoot) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if !seen.roots.insert(root) {
            return;
        }
        seen.oldest_first.push_back(root);
        if seen.oldest_first.len() > self.capacity
            && let Some(oldest) = seen.oldest_first.pop_front()
        {
            seen.roots.remove(&oldest);
        }
    }
}

impl fmt::Debug for RootCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RootCache")
            .field("capacity", &self.capacity)
            .finish_non_exhaustive()
    }
}

// === impl VerifiedRoot ===

impl VerifiedRoot {
    /// `receipt` ends with the 64 bytes of the signature (its last item, a byte string).
    pub(super) fn new(key: &VerifyingKey, signed_bytes: &[u8], receipt: &[u8]) -> Self {
        let signature = &receipt[receipt.len().saturating_sub(64)..];
        // Fixed lengths around the variable one, so no two inputs join to the same bytes.
        let key = key.spki_digest();
        Self(Digest::of_parts(&[key.as_bytes(), signed_bytes, signature]))
    }
}
