//! What takes several registrars: who they are, and how they agree on a change.

use entente_signing::cbor::Reader;
use entente_signing::{Digest, VerifyingKey};

use crate::codec::{BodyError, Fields, Map, digest, key, list, u32};

/// A registrar agrees to a change that another proposed, or takes the proposal off the table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProposalAct {
    /// The hash of the change that was proposed.
    pub change: Digest,
}

/// Other registrars, in the place of those there are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registrars {
    /// Their P-256 keys, at least one.
    pub keys: Vec<VerifyingKey>,
    /// How many of them a weakening takes, and what the policy names.
    pub quorum: u32,
    /// The P-256 key that the registry's own server states its hash with, and can do nothing else with.
    /// Default: none; then a registrar has to.
    pub clerk: Option<VerifyingKey>,
}

// === impl ProposalAct ===

impl ProposalAct {
    pub(super) fn fields(&self, to: &mut Fields) {
        to.digest(1, &self.change);
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, BodyError> {
        let mut map = Map::open(reader)?;
        let change = map.required(1, digest)?;
        map.end()?;
        Ok(Self { change })
    }
}

// === impl Registrars ===

impl Registrars {
    pub(super) fn fields(&self, to: &mut Fields) {
        to.list(1, self.keys.iter(), |out, key| {
            out.bytes(key.spki_der());
        })
        .uint(2, u64::from(self.quorum));
        if let Some(clerk) = &self.clerk {
            to.bytes(3, clerk.spki_der());
        }
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, BodyError> {
        let mut map = Map::open(reader)?;
        let body = Self {
            keys: map.required(1, |r| list(r, key))?,
            quorum: map.required(2, u32)?,
            clerk: map.optional(3, key)?,
        };
        map.end()?;
        Ok(body)
    }
}
