//! One type for each kind of entry.

use bytes::Bytes;
use entente_clock::Timestamp;
use entente_identity::ServerId;
use entente_signing::Digest;

/// A keyed tag of one data subject in one message.
pub type SubjectTag = [u8; 16];

/// IN: a statement received and accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct In {
    /// The statement with its proof, byte for byte.
    pub statement: Bytes,
    /// SHA-256 of the sidecar record that holds the openings; absent when nothing is kept.
    pub sidecar: Option<Digest>,
    /// Index, in this ledger, of the VIEW entry the decision was made under.
    pub view: Option<u64>,
    /// Tags this server computed for the subjects; at most 1,024.
    pub tags: Vec<SubjectTag>,
}

/// OUT: a statement about to be sent. Its own tags are in the statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Out {
    /// The statement with its proof, byte for byte.
    pub statement: Bytes,
    /// SHA-256 of the sidecar record that holds the openings; absent when nothing is kept.
    pub sidecar: Option<Digest>,
    /// Index, in this ledger, of the VIEW entry the decision was made under.
    pub view: Option<u64>,
}

/// DENIED: who asked for what, and why not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denied {
    /// The reason's code, such as `NO_AGREEMENT`.
    pub reason: String,
    /// The peer that asked; absent when a local system did.
    pub peer: Option<ServerId>,
    /// What was asked.
    pub call: DeniedCall,
    /// SHA-256 of the sidecar record that holds the openings.
    pub sidecar: Option<Digest>,
    /// Index, in this ledger, of the VIEW entry the decision was made under.
    pub view: Option<u64>,
    /// Tags this server computed for the subjects; at most 1,024.
    pub tags: Vec<SubjectTag>,
}

/// What was asked: a peer's statement, or a local system's attempt that never became one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeniedCall {
    /// What a local system tried.
    Attempt(Attempt),
    /// A peer's verified statement with its proof, byte for byte.
    Statement(Bytes),
}

/// A call a local system tried. Each text is at most 255 bytes, as the caller gave it; absent when it
/// gave none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attempt {
    /// The system that called.
    pub system: Option<String>,
    /// The system it asked for.
    pub to: Option<String>,
    /// The method it called, `pkg.Service/Method`.
    pub method: Option<String>,
    /// The purpose it gave.
    pub purpose: Option<String>,
    /// The agreement it named.
    pub agreement: Option<Digest>,
    /// The data elements it asked for; at most 1,024.
    pub elements: Vec<String>,
}

/// SESSION: a session certificate with its chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// Whose session.
    pub server: ServerId,
    /// X.509 certificates in DER, leaf first; 1 to 8.
    pub chain: Vec<Bytes>,
}

/// TIMESTAMP: an RFC 3161 token over a checkpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimeStamp {
    /// Size of the tree stamped.
    pub size: u64,
    /// Root of the tree stamped.
    pub root: Digest,
    /// The token, DER.
    pub token: Bytes,
}

/// SHRED: keys destroyed at the end of retention, or by order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shred {
    /// The retention class and its term: `standard.730d`.
    pub class: String,
    /// The period whose key went: a day, `2026-11-22`, or the month and notice class of subject tags,
    /// `2026-11/immediate`.
    pub period: String,
    /// SHA-256 of the key's name, or of that of one record.
    pub key_hash: Digest,
    /// By what rule or order.
    pub authority: String,
}

/// READ: an inspector's signed query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Read {
    /// The COSE bytes, as received.
    pub query: Bytes,
}

/// VIEW: the state of a registry this server decides under from here on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct View {
    /// Origin of the registry's ledger.
    pub origin: String,
    /// How many changes were applied.
    pub size: u64,
    /// Root of the registry's tree at that size.
    pub root: Digest,
}

/// BOOT: the server started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Boot {
    /// The software's version.
    pub version: String,
    /// Size of the ledger found at start.
    pub last_size: u64,
    /// What was unusual: a torn tail cut off, a new shard after a loss with the old shard's last
    /// checkpoint. At most 16 KiB.
    pub note: Option<String>,
}

/// PEER-CHECKPOINT: a peer's signed note.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerCheckpoint {
    /// The note, byte for byte.
    pub note: Bytes,
}

/// RECONCILE: this ledger compared with a peer's over a period.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reconcile {
    /// With whom.
    pub peer: ServerId,
    /// Over which period: a day, `2026-11-22`.
    pub period: String,
    /// How many requests: here, there, in both; at most 16 figures.
    pub counts: Vec<u64>,
    /// Digests over the joined requests: here, there; at most 16.
    pub digests: Vec<Digest>,
    /// What came out, as a code: `EQUAL`, `DIFFERENT` …
    pub verdict: String,
}

/// OUTCOME: a request of this ledger that will get no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Statement hash of the request.
    pub request: Digest,
    /// Why.
    pub kind: OutcomeKind,
}

/// Why a request has no answer; the number is the one on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutcomeKind {
    /// 1: none came in time.
    Timeout = 1,
    /// 2: the caller gave up.
    Cancelled = 2,
    /// 3: this server stopped in between.
    Crashed = 3,
    /// 4: one came that did not verify.
    InvalidAnswer = 4,
}

/// TAGS: subject tags of a statement with more than it can hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LateTags {
    /// Hash of the statement they belong to.
    pub statement: Digest,
    /// The tags; at most 1,024.
    pub tags: Vec<SubjectTag>,
}

/// SUMMARY: refusals of one kind, joined.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// The peer, as far as it is known; absent for unauthenticated noise.
    pub peer: Option<String>,
    /// The reason's code.
    pub reason: String,
    /// How many.
    pub count: u64,
    /// The first of them.
    pub first: Timestamp,
    /// The last of them.
    pub last: Timestamp,
}

// === impl OutcomeKind ===

impl OutcomeKind {
    pub(super) const fn from_number(number: u64) -> Option<Self> {
        Some(match number {
            1 => Self::Timeout,
            2 => Self::Cancelled,
            3 => Self::Crashed,
            4 => Self::InvalidAnswer,
            _ => return None,
        })
    }
}
