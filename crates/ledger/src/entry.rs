//! Entries of an access ledger: CBOR arrays `[1, kind, t_ms, …]`, one type for each kind.
//!
//! Decoding is strict: bytes that decode encode to the same bytes. Statements, queries and notes
//! inside an entry are opaque here, carried as they were received; verifying them is the business
//! of whoever knows the signer. A ledger itself takes any bytes: the registry's entries are changes.

mod codec;
mod kinds;

use bytes::Bytes;
use entente_clock::Timestamp;
use entente_reason::Reason;
use entente_signing::cbor::CborError;

pub use kinds::{
    Attempt, Boot, Denied, DeniedCall, In, LateTags, Out, Outcome, OutcomeKind, PeerCheckpoint,
    Read, Reconcile, Session, Shred, SubjectTag, Summary, TimeStamp, View,
};

/// The version all entries start with.
pub const VERSION: u64 = 1;

/// One entry of an access ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// When the server decided to write it.
    pub at: Timestamp,
    /// What it says.
    pub body: Body,
}

/// What an entry says; the number is its kind on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Body {
    /// 1 IN: a statement received and accepted.
    In(In),
    /// 2 OUT: a statement about to be sent.
    Out(Out),
    /// 3 DENIED: an authenticated caller was refused.
    Denied(Denied),
    /// 4 SESSION: a session certificate, before its first use or acceptance.
    Session(Session),
    /// 5 TIMESTAMP: a token of a time-stamping authority over a checkpoint.
    TimeStamp(TimeStamp),
    /// 6 SHRED: keys destroyed.
    Shred(Shred),
    /// 7 READ: an inspector read sidecar records or searched.
    Read(Read),
    /// 8 VIEW: a state of a registry was adopted.
    View(View),
    /// 9 BOOT: the server started, or something happened that breaks the run of entries.
    Boot(Boot),
    /// 10 PEER-CHECKPOINT: another server's checkpoint.
    PeerCheckpoint(PeerCheckpoint),
    /// 11 RECONCILE: both sides' counts compared.
    Reconcile(Reconcile),
    /// 12 OUTCOME: why a request has no answer in this ledger.
    Outcome(Outcome),
    /// 13 TAGS: subject tags that did not fit a statement.
    Tags(LateTags),
    /// 14 SUMMARY: refusals joined into one entry.
    Summary(Summary),
}

/// Why bytes are not an entry, or an entry cannot be written. Variants are alphabetical.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EntryError {
    /// Not deterministic CBOR of the expected shape.
    #[error("failed to read a ledger entry")]
    Cbor(#[from] CborError),
    /// A field holds a value outside its bounds.
    #[error("ledger entry field `{0}` is out of bounds")]
    Field(&'static str),
    /// Longer than [`crate::MAX_ENTRY`].
    #[error("ledger entry is longer than 65535 bytes")]
    TooLong,
    /// A kind this version does not know.
    #[error("ledger entry kind {0} is not known")]
    UnknownKind(u64),
    /// Another version of the format.
    #[error("ledger entry version {0} is not known")]
    UnknownVersion(u64),
}

// === impl Entry ===

impl Entry {
    /// The entry's bytes: what is hashed as a leaf.
    ///
    /// # Errors
    /// When a field is out of bounds or the entry too long.
    pub fn encode(&self) -> Result<Bytes, EntryError> {
        let bytes = codec::encode(self)?;
        if bytes.len() > crate::MAX_ENTRY {
            return Err(EntryError::TooLong);
        }
        Ok(bytes.into())
    }

    /// Reads an entry's bytes.
    ///
    /// # Errors
    /// When they are not exactly what [`Entry::encode`] writes.
    pub fn decode(bytes: &[u8]) -> Result<Self, EntryError> {
        if bytes.len() > crate::MAX_ENTRY {
            return Err(EntryError::TooLong);
        }
        codec::decode(bytes)
    }

    /// When the entry was written, if `bytes` begin like an entry; reads no further.
    pub fn time_of(bytes: &[u8]) -> Option<Timestamp> {
        codec::time_of(bytes)
    }
}

// === impl Body ===

impl Body {
    /// The kind's number.
    pub const fn kind(&self) -> u64 {
        match self {
            Self::In(_) => 1,
            Self::Out(_) => 2,
            Self::Denied(_) => 3,
            Self::Session(_) => 4,
            Self::TimeStamp(_) => 5,
            Self::Shred(_) => 6,
            Self::Read(_) => 7,
            Self::View(_) => 8,
            Self::Boot(_) => 9,
            Self::PeerCheckpoint(_) => 10,
            Self::Reconcile(_) => 11,
            Self::Outcome(_) => 12,
            Self::Tags(_) => 13,
            Self::Summary(_) => 14,
        }
    }

    /// The kind's name, as printed by `entente log show`.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::In(_) => "IN",
            Self::Out(_) => "OUT",
            Self::Denied(_) => "DENIED",
            Self::Session(_) => "SESSION",
            Self::TimeStamp(_) => "TIMESTAMP",
            Self::Shred(_) => "SHRED",
            Self::Read(_) => "READ",
            Self::View(_) => "VIEW",
            Self::Boot(_) => "BOOT",
            Self::PeerCheckpoint(_) => "PEER-CHECKPOINT",
            Self::Reconcile(_) => "RECONCILE",
            Self::Outcome(_) => "OUTCOME",
            Self::Tags(_) => "TAGS",
            Self::Summary(_) => "SUMMARY",
        }
    }

    /// Whether the entry alone is worth a time stamp and gossip. Those about time stamps, views,
    /// peers' checkpoints and reconciliation are not, or they would feed each other.
    pub const fn asks_for_gossip(&self) -> bool {
        !matches!(
            self,
            Self::TimeStamp(_) | Self::View(_) | Self::PeerCheckpoint(_) | Self::Reconcile(_)
        )
    }
}

// === impl EntryError ===

impl EntryError {
    /// What a peer or caller is told: an entry we made ourselves does not fit.
    pub const fn reason(&self) -> Reason {
        Reason::LogUnavailable
    }
}
