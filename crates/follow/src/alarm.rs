//! Alarms: the registry showed something it must never show.
//!
//! An alarm changes nothing about the view in use: it is kept, and goes stale if the registry does not
//! come back to it. What was shown is kept as a file, because it is signed and proves the fault.

use std::path::PathBuf;

use entente_clock::Timestamp;

/// The registry showed something that cannot be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alarm {
    /// What.
    pub kind: AlarmKind,
    /// When it was first seen, by this machine's clock.
    pub at: Timestamp,
    /// The origin of the registry's ledger.
    pub origin: String,
    /// The file that holds what was shown; none when it could not be written.
    pub evidence: Option<PathBuf>,
}

/// What the registry did. Variants are alphabetical.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum AlarmKind {
    /// Its checkpoint is not signed by the ledger's key.
    BadSignature,
    /// Its checkpoint is signed with a key that another took the place of.
    FormerKey,
    /// It signed two trees that are not one another's continuation.
    Fork,
    /// Its first change is not the one in the anchor.
    OtherGenesis,
    /// It logged a change that the rules refuse.
    RefusedChange,
    /// It signed, or says it holds, less than it had signed before.
    Rollback,
    /// It put a policy in force that goes below the anchor's floor, where the one before it did not.
    WeakenedPolicy,
}

// === impl AlarmKind ===

impl AlarmKind {
    /// The word for it, as in metrics and the names of evidence files.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::BadSignature => "bad-signature",
            Self::FormerKey => "former-key",
            Self::Fork => "fork",
            Self::OtherGenesis => "other-genesis",
            Self::RefusedChange => "refused-change",
            Self::Rollback => "rollback",
            Self::WeakenedPolicy => "weakened-policy",
        }
    }
}
