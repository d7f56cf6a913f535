//! One registered server, and what may be believed of it.

use entente_directory::{HpkeKey, ServerRecord, ShardOpen};
use entente_evidence::statement::LogOrigin;
use entente_identity::{ServerId, SystemId};
use entente_signing::{Digest, VerifyingKey};

/// A registered server, as one view knows it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ServerView<'a> {
    pub(super) record: &'a ServerRecord,
}

// === impl ServerView ===

impl<'a> ServerView<'a> {
    /// Its name.
    pub(crate) const fn id(&self) -> &'a ServerId {
        &self.record.id
    }

    /// The key that certifies its sessions.
    pub(crate) fn key(&self) -> Option<&'a VerifyingKey> {
        let mut keys = self.record.keys.iter().filter(|key| key.is_current());
        keys.next_back().map(|key| &key.value)
    }

    /// Whether it may show this key in TLS.
    pub(crate) fn speaks_tls_with(&self, spki: &Digest) -> bool {
        self.tls_keys().any(|key| key == *spki)
    }

    /// The keys it may show in TLS.
    pub(crate) fn tls_keys(&self) -> impl Iterator<Item = Digest> + use<'a> {
        let keys = self.record.tls.iter().filter(|key| key.is_current());
        keys.map(|key| key.value.spki_digest())
    }

    /// Whether it may sign for a system.
    pub(crate) fn signs_for(&self, system: &SystemId) -> bool {
        self.record.systems.contains(system)
    }

    /// Whether a ledger is one of its own. The origin says so itself: which shards are open is
    /// not asked, since a peer may have opened one we have not heard of.
    pub(crate) fn logs_in(&self, log: &LogOrigin) -> bool {
        ShardOpen::is_origin_of(self.id(), log.as_str())
    }

    /// Where it is reached.
    pub(crate) fn addresses(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        self.record.addresses.iter().map(|address| address.as_str())
    }

    /// Whether seals may be opened to the key that envelopes call so.
    pub(crate) fn is_sealed_to_with(&self, id: &[u8]) -> bool {
        let keys = self.record.hpke.iter().filter(|key| key.is_current());
        keys.into_iter().any(|key| key.value.id() == *id)
    }

    /// The newest key to seal to it with.
    pub(crate) fn seal_key(&self) -> Option<&'a HpkeKey> {
        self.record.hpke_newest()
    }
}
