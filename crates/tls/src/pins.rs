//! The set of public keys a connection may be made with.

use std::collections::BTreeSet;
use std::sync::Arc;

use arc_swap::ArcSwap;
use entente_signing::Digest;

/// SHA-256 digests of SubjectPublicKeyInfo, replaceable while connections are being made. Clones
/// share the same set. An empty set admits nobody.
#[derive(Clone, Debug, Default)]
pub struct Pins(Arc<ArcSwap<BTreeSet<Digest>>>);

// === impl Pins ===

impl Pins {
    /// A set of pinned keys.
    pub fn new(keys: impl IntoIterator<Item = Digest>) -> Self {
        let pins = Self::default();
        pins.replace(keys);
        pins
    }

    /// Replaces the whole set. Connections already made are not closed: whoever revokes a key
    /// checks [`crate::PeerInfo::spki`] on each call.
    pub fn replace(&self, keys: impl IntoIterator<Item = Digest>) {
        self.0.store(Arc::new(keys.into_iter().collect()));
    }

    /// Whether this key is in the set.
    pub fn contains(&self, key: &Digest) -> bool {
        self.0.load().contains(key)
    }
}

impl FromIterator<Digest> for Pins {
    fn from_iter<I: IntoIterator<Item = Digest>>(keys: I) -> Self {
        Self::new(keys)
    }
}
