//! C2SP `tlog-checkpoint`: origin, size and root of a tree, in a signed note.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use entente_signing::{Digest, Signer};

use crate::note::{NoteError, NoteKey, NoteSignature, SignNoteError, SignedNote};
use crate::proof::decimal;
use crate::signatory::LogKeys;

/// What a checkpoint says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// Which log.
    pub origin: String,
    /// How many entries.
    pub size: u64,
    /// The root over them.
    pub root: Digest,
}

/// A checkpoint whose signature by the log's key was checked, or just made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedCheckpoint {
    checkpoint: Checkpoint,
    note: SignedNote,
}

/// Why bytes are not a checkpoint of the expected log. Variants are alphabetical.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CheckpointError {
    /// Not three lines of origin, size and root.
    #[error("not a checkpoint")]
    Form,
    /// Not a note signed by the log.
    #[error("failed to verify a checkpoint")]
    Note(#[from] NoteError),
    /// A checkpoint of another log.
    #[error("checkpoint is of another log")]
    Origin,
}

// === impl Checkpoint ===

impl Checkpoint {
    /// What a note claims to be the checkpoint of; whoever signed it.
    ///
    /// # Errors
    /// When it is not a note, or its text is no checkpoint.
    pub fn claimed(bytes: &[u8]) -> Result<Self, CheckpointError> {
        SignedNote::parse(bytes)?.text().parse()
    }
}

impl fmt::Display for Checkpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let root = BASE64.encode(self.root.as_bytes());
        write!(f, "{}\n{}\n{root}\n", self.origin, self.size)
    }
}

impl FromStr for Checkpoint {
    type Err = CheckpointError;

    /// Extension lines are refused: we write none, and what they would mean is unknown.
    fn from_str(text: &str) -> Result<Self, CheckpointError> {
        let lines = text.strip_suffix('\n').ok_or(CheckpointError::Form)?;
        let mut lines = lines.split('\n');
        let mut line = || lines.next().ok_or(CheckpointError::Form);
        let (origin, size, root) = (line()?, line()?, line()?);
        let root = BASE64.decode(root).map_err(|_| CheckpointError::Form)?;
        if origin.is_empty() || lines.next().is_some() {
            return Err(CheckpointError::Form);
        }
        Ok(Self {
            origin: origin.to_owned(),
            size: decimal(size).ok_or(CheckpointError::Form)?,
            root: Digest::from_slice(&root).map_err(|_| CheckpointError::Form)?,
        })
    }
}

// === impl SignedCheckpoint ===

impl SignedCheckpoint {
    /// Signs a checkpoint with the log's key.
    ///
    /// The caller has made sure that no other root was ever signed for this size.
    ///
    /// # Errors
    /// When the key is not Ed25519 or could not sign.
    pub fn sign(checkpoint: Checkpoint, signer: &dyn Signer) -> Result<Self, SignNoteError> {
        let note = SignedNote::sign(&checkpoint.origin, checkpoint.to_string(), signer)?;
        Ok(Self { checkpoint, note })
    }

    /// Reads a checkpoint of the log whose key this is. Signatures of other keys are kept, unchecked.
    ///
    /// # Errors
    /// When it is of another log, or not signed by it.
    pub fn verify(bytes: &[u8], key: &NoteKey) -> Result<Self, CheckpointError> {
        let note = SignedNote::parse(bytes)?;
        note.verify(key)?;
        let checkpoint: Checkpoint = note.text().parse()?;
        if checkpoint.origin != key.name() {
            return Err(CheckpointError::Origin);
        }
        Ok(Self { checkpoint, note })
    }

    /// Reads a checkpoint of a log, signed with the key that signs a tree of its size.
    ///
    /// # Errors
    /// When it is of another log, or not signed with that key, or nobody knows which that is.
    pub fn verify_by(bytes: &[u8], keys: &dyn LogKeys) -> Result<Self, CheckpointError> {
        let claimed = Checkpoint::claimed(bytes)?;
        let key = keys.at(claimed.size).ok_or(NoteError::Unsigned)?;
        Self::verify(bytes, &key)
    }

    /// Adds the signature line of a witness.
    pub fn add(&mut self, signature: NoteSignature) {
        self.note.add(signature);
    }

    /// Leaves out every cosignature.
    pub(crate) fn strip(&mut self, key: &NoteKey) {
        self.note.keep_only(key);
    }

    /// What it says.
    pub const fn checkpoint(&self) -> &Checkpoint {
        &self.checkpoint
    }

    /// How many entries the tree has.
    pub const fn size(&self) -> u64 {
        self.checkpoint.size
    }

    /// The root of the tree.
    pub const fn root(&self) -> Digest {
        self.checkpoint.root
    }

    /// The note with all its signatures, as it is published.
    pub const fn note(&self) -> &SignedNote {
        &self.note
    }
}
