//! A leaf of the registry's ledger: when the registry logged a change, and the change.

use bytes::Bytes;
use entente_clock::Timestamp;
use entente_signing::cbor::{CborError, Reader, Writer};

use crate::change::{MAX_CHANGE, MalformedChange, SignedChange};
use crate::codec;

/// The entry `[1, t_ms, change]`.
#[derive(Clone, Debug)]
pub struct RegistryEntry {
    /// When the registry logged it, by the registry's clock; never goes back.
    pub at: Timestamp,
    /// The change, as its author signed it.
    pub change: SignedChange,
}

/// Bytes that are not an entry of a registry's ledger.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MalformedEntry {
    /// Not `[1, t_ms, bstr]`.
    #[error("reading a registry entry")]
    Cbor(#[from] CborError),
    /// The change inside is malformed.
    #[error("reading the change of a registry entry")]
    Change(#[from] MalformedChange),
}

// === impl RegistryEntry ===

impl RegistryEntry {
    /// The leaf's bytes.
    pub fn encode(&self) -> Vec<u8> {
        Self::encode_parts(self.at, self.change.bytes())
    }

    /// The leaf's bytes, from a change that is already in bytes.
    pub fn encode_parts(at: Timestamp, change: &[u8]) -> Vec<u8> {
        let mut out = Writer::with_capacity(change.len() + 16);
        out.array(3).uint(1).uint(at.as_millis()).bytes(change);
        out.into_vec()
    }

    /// Reads a leaf, strictly, and the change in it.
    ///
    /// # Errors
    /// When the bytes are not the one encoding of an entry.
    pub fn parse(bytes: &Bytes) -> Result<Self, MalformedEntry> {
        let mut reader = Reader::new(bytes);
        if reader.array()? != 3 || reader.uint()? != 1 {
            return Err(CborError::Unexpected.into());
        }
        let at = codec::time(&mut reader)?;
        let change = reader.bytes()?;
        reader.finish()?;
        if change.len() > MAX_CHANGE {
            return Err(CborError::Range.into());
        }
        let change = SignedChange::parse(bytes.slice_ref(change))?;
        Ok(Self { at, change })
    }
}
