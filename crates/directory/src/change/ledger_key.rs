//! Another ledger key in the place of a registry's present one.

use entente_signing::cbor::{Reader, Writer};
use entente_signing::{Digest, SignError, Signer, VerifyingKey};

use super::body::reason_code;
use crate::codec::{BodyError, Fields, Map, key};
use crate::record::RegistryRecord;

/// The registry's checkpoints are signed with another key from the entry on that completes the quorum.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LedgerKey {
    /// The new Ed25519 key.
    pub key: VerifyingKey,
    /// Signature by the new key over [`LedgerKey::proof_message`].
    pub proof: [u8; 64],
    /// Why, as a code: `[A-Z][A-Z0-9_]*`.
    pub reason: Option<String>,
}

// === impl LedgerKey ===

impl LedgerKey {
    /// Puts `signer` in the place of the key that signs a registry's checkpoints now, and proves that it is
    /// held.
    ///
    /// # Errors
    /// When the key could not sign.
    pub fn prove(
        registry: &RegistryRecord,
        signer: &dyn Signer,
        reason: Option<String>,
    ) -> Result<Self, SignError> {
        let key = signer.verifying_key().clone();
        let message = Self::proof_message(registry, &key);
        let proof = signer.sign(&message)?;
        Ok(Self { key, proof, reason })
    }

    /// What the new key signs: which ledger it is for, by its origin and its first change, and which key's
    /// place it takes.
    pub fn proof_message(registry: &RegistryRecord, key: &VerifyingKey) -> Vec<u8> {
        let mut out = Writer::new();
        out.array(4)
            .text(&registry.origin)
            .bytes(registry.genesis.as_bytes())
            .bytes(registry.ledger.spki_der())
            .bytes(key.spki_der());
        [b"entente/ledger-key-proof/v1\0", out.as_slice()].concat()
    }

    /// SHA-256 of the new key's SubjectPublicKeyInfo: what registrars compare before they agree.
    pub fn fingerprint(&self) -> Digest {
        self.key.spki_digest()
    }

    pub(super) fn fields(&self, to: &mut Fields) {
        to.bytes(1, self.key.spki_der()).bytes(2, &self.proof);
        if let Some(reason) = &self.reason {
            to.text(3, reason);
        }
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, BodyError> {
        let mut map = Map::open(reader)?;
        let body = Self {
            key: map.required(1, key)?,
            proof: map.required(2, |r| r.bytes_exact())?,
            reason: map.optional(3, reason_code)?,
        };
        map.end()?;
        Ok(body)
    }
}
