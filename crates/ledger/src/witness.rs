//! C2SP `tlog-witness`: what a log asks of a witness, and the one rule by which a witness answers.
//!
//! Neither half has a socket or a file here: [`AddCheckpoint`] is the body of a request, and
//! [`AddCheckpoint::admit`] decides it against what the witness remembers. Whoever calls it persists the
//! tree it returns before the cosignature leaves, with nothing in between.

mod policy;

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use entente_signing::Digest;

use crate::checkpoint::{Checkpoint, SignedCheckpoint};
use crate::note::{NoteError, NoteKey, SignedNote};
use crate::proof::{ConsistencyProof, decimal};
use crate::tree::empty_root;

pub use policy::{
    CosignedCheckpoint, InvalidPolicy, MAX_POLICY, MAX_WITNESSES, Witness, WitnessPolicy,
};

/// The body of `POST <prefix>/add-checkpoint`: `old <size>`, the consistency proof, a blank line, and
/// the checkpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddCheckpoint {
    /// The size this witness cosigned last; 0 when it never did.
    pub old_size: u64,
    /// From that size to the checkpoint's: at most 63 hashes.
    pub proof: Vec<Digest>,
    /// The checkpoint, signed by its log.
    pub note: SignedNote,
}

/// A tree a witness cosigned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    /// How many entries.
    pub size: u64,
    /// The root over them.
    pub root: Digest,
}

/// Why a witness does not cosign; each is a status of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refused {
    /// 409: the size this witness cosigned last is another one, namely this.
    #[error("this witness cosigned another size last, namely {0}")]
    Conflict(u64),
    /// 422: the tree does not continue the one this witness cosigned last. Signed as it is, this is
    /// evidence against the log.
    #[error("the tree does not continue the one that was cosigned last")]
    Inconsistent,
    /// 400: not a request of this protocol, or its old size is beyond the new one.
    #[error("not a request to add a checkpoint")]
    Malformed,
    /// 409 without a size: this witness cosigned another root for this size. Evidence against the log.
    #[error("this witness cosigned another root for this size")]
    OtherRoot,
    /// 404: not a log this witness knows.
    #[error("not a log this witness knows")]
    UnknownLog,
    /// 403: not signed by a key of its log.
    #[error("not signed by a key of its log")]
    Unsigned,
}

// === impl AddCheckpoint ===

impl AddCheckpoint {
    /// Reads a request's body.
    ///
    /// # Errors
    /// [`Refused::Malformed`].
    pub fn parse(body: &[u8]) -> Result<Self, Refused> {
        let malformed = || Refused::Malformed;
        if body.len() > MAX_BODY {
            return Err(Refused::Malformed);
        }
        let text = std::str::from_utf8(body).map_err(|_| malformed())?;
        let (head, note) = text.split_once("\n\n").ok_or_else(malformed)?;
        let mut lines = head.split('\n');
        let old = lines.next().and_then(|line| line.strip_prefix("old "));
        let old_size = old.and_then(decimal).ok_or_else(malformed)?;
        let mut proof = Vec::new();
        for line in lines {
            if proof.len() == MAX_PROOF {
                return Err(Refused::Malformed);
            }
            let hash = BASE64.decode(line).map_err(|_| malformed())?;
            proof.push(Digest::from_slice(&hash).map_err(|_| malformed())?);
        }
        Ok(Self {
            old_size,
            proof,
            note: SignedNote::parse(note.as_bytes()).map_err(|_| malformed())?,
        })
    }

    /// What the checkpoint says; nothing of it is verified.
    ///
    /// # Errors
    /// [`Refused::Malformed`] when the note is no checkpoint.
    pub fn claimed(&self) -> Result<Checkpoint, Refused> {
        Checkpoint::from_str(self.note.text()).map_err(|_| Refused::Malformed)
    }

    /// Decides whether a witness that remembers `seen` of this log may cosign. `keys` are those the log
    /// may sign with; none means that the log is not known.
    ///
    /// # Errors
    /// The protocol's refusals.
    pub fn admit(&self, keys: &[NoteKey], seen: Option<Seen>) -> Result<SignedCheckpoint, Refused> {
        let origin = self.claimed()?.origin;
        let mut of_log = keys.iter().filter(|key| key.name() == origin).peekable();
        if of_log.peek().is_none() {
            return Err(Refused::UnknownLog);
        }
        let note = self.note.to_string();
        let signed = of_log.find_map(|key| SignedCheckpoint::verify(note.as_bytes(), key).ok());
        let checkpoint = signed.ok_or(Refused::Unsigned)?;
        if self.old_size > checkpoint.size() {
            return Err(Refused::Malformed);
        }
        let seen = seen.unwrap_or(Seen::NOTHING);
        if seen.size != self.old_size {
            return Err(Refused::Conflict(seen.size));
        }
        if !self.is_proven(&seen, &checkpoint) {
            return Err(Refused::Inconsistent);
        }
        let is_same_size = seen.size > 0 && seen.size == checkpoint.size();
        if is_same_size && seen.root != checkpoint.root() {
            return Err(Refused::OtherRoot);
        }
        Ok(checkpoint)
    }

    /// Whether the proof is the one there has to be.
    fn is_proven(&self, seen: &Seen, checkpoint: &SignedCheckpoint) -> bool {
        if checkpoint.size() == 0 && checkpoint.root() != empty_root() {
            return false;
        }
        if seen.size == 0 || seen.size == checkpoint.size() {
            return self.proof.is_empty();
        }
        let proof = ConsistencyProof {
            old_size: seen.size,
            new_size: checkpoint.size(),
            path: self.proof.clone(),
        };
        proof.verify(&seen.root, &checkpoint.root()).is_ok()
    }
}

impl fmt::Display for AddCheckpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "old {}", self.old_size)?;
        for hash in &self.proof {
            writeln!(f, "{}", BASE64.encode(hash.as_bytes()))?;
        }
        write!(f, "\n{}", self.note)
    }
}

// === impl Seen ===

impl Seen {
    /// What a witness remembers of a log it never cosigned.
    pub const NOTHING: Self = Self {
        size: 0,
        root: Digest::from_bytes([0; 32]),
    };
}

// === impl Refused ===

impl Refused {
    /// The HTTP status.
    pub const fn status(self) -> u16 {
        match self {
            Self::Conflict(_) | Self::OtherRoot => 409,
            Self::Inconsistent => 422,
            Self::Malformed => 400,
            Self::UnknownLog => 404,
            Self::Unsigned => 403,
        }
    }

    /// Whether the request is worth keeping: the log signed it, and did not show that it continues what it
    /// signed before.
    pub const fn is_evidence(self) -> bool {
        matches!(self, Self::Inconsistent | Self::OtherRoot)
    }
}

impl From<NoteError> for Refused {
    fn from(_: NoteError) -> Self {
        Self::Unsigned
    }
}

/// The media type of a 409's body: the size, in decimal.
pub const TLOG_SIZE: &str = "text/x.tlog.size";

/// The longest body read, in bytes: 63 hashes and a note of 100 signatures take less.
pub const MAX_BODY: usize = 64 * 1024;

/// The most hashes in a consistency proof.
const MAX_PROOF: usize = 63;
