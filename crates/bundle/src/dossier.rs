//! What a bundle says about one exchange, as values: statements, sessions, ledgers, openings.
//!
//! A dossier is written as files and read back from them. Most files follow from others: they are there
//! so that openssl finds what it needs. Reading takes the few that say something new, writes all of them
//! again and compares, so none can say anything else.

mod bindings;
mod files;
mod gaps;
mod registries;
mod report;
mod verify;
mod witnesses;
mod words;

use std::collections::BTreeMap;

use bytes::Bytes;
use entente_evidence::opening::Opening;
use entente_evidence::proof::SignedStatement;
use entente_keys::{Chain, MemberCertificate};
use entente_ledger::note::NoteKey;
use entente_reason::Reason;
use entente_signing::{Digest, VerifyingKey};

pub(crate) use bindings::{binds, binds_member, recognises};
pub(crate) use files::SIGNATURE;
pub(crate) use registries::REGISTRY;
pub use report::{Fault, Gap, Proven, Report, Trust};

/// One exchange.
#[derive(Clone, Debug)]
pub struct Dossier {
    /// The certificate of who seals it.
    pub sealer: MemberCertificate,
    /// What was asked.
    pub request: SignedStatement,
    /// The answer, or the fault in its place, if one is known.
    pub answer: Option<SignedStatement>,
    /// Who signed the request.
    pub consumer: Party,
    /// Who signed the answer.
    pub provider: Party,
    /// The ledger of the sealer's registry, with the changes that bind the keys of its members, and its
    /// recognition of the other party's registry.
    pub registry: Option<Tree>,
    /// The ledger of the other party's registry, where that is another one, with the same.
    pub abroad: Option<Tree>,
    /// What is disclosed.
    pub openings: Vec<Disclosed>,
}

/// One side.
#[derive(Clone, Debug, Default)]
pub struct Party {
    /// How its session is certified.
    pub session: Option<Session>,
    /// Its ledger, as far as it is given.
    pub ledger: Option<Tree>,
}

/// A session's certificate, and the key that certified it.
#[derive(Clone, Debug)]
pub struct Session {
    /// The certificate, DER.
    pub certificate: Bytes,
    /// The key of its server.
    pub server_key: VerifyingKey,
    /// What stands above it, where the member has issued it.
    pub chain: Option<Chain>,
}

/// Some entries of a ledger, each proven under one checkpoint.
#[derive(Clone, Debug)]
pub struct Tree {
    /// The ledger's key, named by its origin.
    pub key: NoteKey,
    /// The checkpoint, a signed note with all its signatures.
    pub checkpoint: String,
    /// The entries, by index.
    pub entries: BTreeMap<u64, Proved>,
    /// Time stamps, by the size of the tree they are over.
    pub stamps: BTreeMap<u64, Stamped>,
}

/// An entry and its place under the checkpoint.
#[derive(Clone, Debug)]
pub struct Proved {
    /// The entry's bytes.
    pub bytes: Bytes,
    /// Hashes from its leaf to the checkpoint's root.
    pub path: Vec<Digest>,
    /// The same as a COSE receipt (RFC 9942), where whoever sealed held the ledger's key: of all entries of a
    /// ledger, or of none.
    pub receipt: Option<Bytes>,
}

/// An authority's token over an earlier tree of a ledger.
#[derive(Clone, Debug)]
pub struct Stamped {
    /// The root.
    pub root: Digest,
    /// The token, DER.
    pub token: Bytes,
    /// Of each entry below its size, the hashes from its leaf to that root.
    pub paths: BTreeMap<u64, Vec<Digest>>,
}

/// A value of a statement, opened.
#[derive(Clone, Debug)]
pub struct Disclosed {
    /// Whether it is of the answer.
    pub is_of_answer: bool,
    /// Field, salt and value.
    pub opening: Opening,
}

/// Why files are not a dossier.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DossierError {
    /// A file that does not read, or does not follow from those it must follow from, or is too many.
    #[error("the bundle's file {name} is not what it must be")]
    File {
        /// Which.
        name: String,
    },
    /// A file that must be there is not.
    #[error("the bundle lacks the file {name}")]
    Missing {
        /// Which.
        name: String,
    },
}

// === impl DossierError ===

impl DossierError {
    /// Always `BAD_RECORD`.
    pub const fn reason(&self) -> Reason {
        Reason::BadRecord
    }
}

#[cfg(test)]
mod tests;
