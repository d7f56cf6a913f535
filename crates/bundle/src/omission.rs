//! Proof that a provider broke the promise in its own answer.
//!
//! A provider's signed answer says: entry `index` of my ledger is the one with this leaf hash. If a
//! checkpoint that the same provider signed later covers that index, and the leaf there is another one,
//! the provider has dropped, moved or changed the entry. So it has if it ended the ledger at a checkpoint
//! that does not reach the index. Everything in the proof that matters is signed by the provider itself;
//! who was wronged adds nothing that has to be believed.
//!
//! What it does not prove on its own is whose keys these are, and that a ledger has ended: who judges
//! compares the two keys in it with the directory's, and there the end of the ledger ([`Shown::Ended`]).
//! The file is JSON; binary values are standard base64.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use entente_evidence::proof::{SignedStatement, VerifyError};
use entente_evidence::receipt::Receipt;
use entente_evidence::statement::MessageId;
use entente_identity::ServerId;
use entente_keys::{SessionCertificate, SessionError};
use entente_ledger::note::NoteKey;
use entente_ledger::proof::InclusionProof;
use entente_ledger::{CheckpointError, SignedCheckpoint};
use entente_reason::Reason;
use entente_signing::{Digest, VerifyingKey};
use serde::{Deserialize, Serialize};

/// A proof of omission, not yet checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Omission {
    /// The provider's answer with its proof, as received: the promise.
    pub answer: Bytes,
    /// The certificate of the session that signed it, DER.
    pub session: Bytes,
    /// The provider's server key, which certified the session.
    pub server_key: VerifyingKey,
    /// The key of the provider's ledger, named by its origin.
    pub ledger_key: NoteKey,
    /// A checkpoint of that ledger: a signed note.
    pub checkpoint: String,
    /// What it shows.
    pub shown: Shown,
}

/// What a checkpoint shows against a promise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shown {
    /// Another entry at the promised index.
    Another {
        /// The leaf hash that stands there.
        leaf_hash: Digest,
        /// That it does: the hashes from it to the checkpoint's root.
        path: Vec<Digest>,
    },
    /// That the ledger never came so far. It ended at this checkpoint, which the directory says: the server
    /// opened its next one with the SHA-256 of the note.
    Ended,
}

/// An omission that was proven, but for what the directory has to say: whose the keys are, and where nothing
/// was found, that the ledger ended there ([`Omission::has_ended`]). Obtained only by [`Omission::verify`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proven {
    /// Which server broke its promise.
    pub server: ServerId,
    /// In which exchange.
    pub transaction: MessageId,
    /// What it had promised.
    pub promised: Receipt,
    /// What stands there instead; none when the ledger ended before.
    pub found: Option<Digest>,
    /// The size of the tree that shows it.
    pub size: u64,
}

/// Why a proof of omission proves nothing. Variants are alphabetical.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OmissionError {
    /// The answer's signature does not verify.
    #[error("verifying the answer")]
    Answer(#[from] VerifyError),
    /// The checkpoint is not signed by the ledger's key, or is of another ledger.
    #[error("verifying the checkpoint")]
    Checkpoint(#[from] CheckpointError),
    /// Not a file of this kind.
    #[error("not a proof of omission: {0}")]
    Form(&'static str),
    /// The leaf at the promised index is the promised one.
    #[error("the promise was kept: the promised entry stands where it was promised")]
    Kept,
    /// The promise is about another ledger than the key's.
    #[error("the promise is about another ledger")]
    OtherLedger,
    /// The path does not lead from the leaf to the checkpoint's root.
    #[error("the leaf is not shown to be in the tree")]
    Path,
    /// The session's certificate does not verify under the server key.
    #[error("verifying the session's certificate")]
    Session(#[from] SessionError),
    /// The checkpoint reaches the promised index, so that it shows no end before.
    #[error("the checkpoint reaches the promised entry")]
    Reached,
    /// The checkpoint does not reach the promised index.
    #[error("the checkpoint does not reach the promised entry")]
    TooSmall,
}

/// The file, key by key.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    format: String,
    answer: String,
    session: String,
    server_key: String,
    ledger_key: String,
    checkpoint: String,
    /// Absent when the ledger ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    leaf_hash: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    path: Vec<String>,
}

// === impl Omission ===

impl Omission {
    /// Checks everything: the session under the server key, the answer under the session, the
    /// checkpoint under the ledger's key, and that the leaf at the promised index is another one, or that
    /// the checkpoint does not reach it. That the ledger ended there is the directory's to say.
    ///
    /// # Errors
    /// When any of it does not hold; then nothing is proven.
    pub fn verify(&self) -> Result<Proven, OmissionError> {
        let signed = SignedStatement::parse(self.answer.clone());
        let signed = signed.map_err(|_| OmissionError::Form("the answer is no statement"))?;
        let statement = signed.statement();
        // The certificate is judged at the moment the answer says it was signed.
        let session =
            SessionCertificate::verify(&self.session, &self.server_key, statement.issued_at)?;
        if *session.server() != statement.sender_server {
            return Err(OmissionError::Form("the session is another server's"));
        }
        signed.verify(session.key())?;
        let promised = statement.receipt();
        let promised = promised.ok_or(OmissionError::Form("the statement promises nothing"))?;
        if promised.origin.as_str() != self.ledger_key.name() {
            return Err(OmissionError::OtherLedger);
        }
        let checkpoint = SignedCheckpoint::verify(self.checkpoint.as_bytes(), &self.ledger_key)?;
        Ok(Proven {
            server: statement.sender_server.clone(),
            transaction: statement.message_id,
            promised: promised.clone(),
            found: self.shown.check(promised, &checkpoint)?,
            size: checkpoint.size(),
        })
    }

    /// Whether the directory must say that the ledger ended at this checkpoint, and says so: `end` is the
    /// SHA-256 it has of the ledger's last one.
    pub fn has_ended(&self, end: Option<&Digest>) -> bool {
        self.shown != Shown::Ended || end == Some(&Digest::of(self.checkpoint.as_bytes()))
    }

    /// Reads a file; at most 256 KiB.
    ///
    /// # Errors
    /// [`OmissionError::Form`].
    pub fn from_json(bytes: &[u8]) -> Result<Self, OmissionError> {
        let form = |what| OmissionError::Form(what);
        if bytes.len() > MAX_FILE {
            return Err(form("it is longer than 256 KiB"));
        }
        let file: File = serde_json::from_slice(bytes).map_err(|_| form("it does not read"))?;
        if file.format != FORMAT {
            return Err(form("it is of another format"));
        }
        let decode = |text: &str| BASE64.decode(text).map_err(|_| form("not base64"));
        let digest = |text: &str| {
            let bytes = decode(text)?;
            Digest::from_slice(&bytes).map_err(|_| form("not a SHA-256"))
        };
        if file.path.len() > MAX_PATH {
            return Err(form("the path is too long"));
        }
        let path = file.path.iter().map(|hash| digest(hash));
        let path = path.collect::<Result<Vec<_>, _>>()?;
        let shown = match file.leaf_hash {
            Some(leaf_hash) => Shown::Another {
                leaf_hash: digest(&leaf_hash)?,
                path,
            },
            None if path.is_empty() => Shown::Ended,
            None => return Err(form("a path from no leaf")),
        };
        Ok(Self {
            answer: decode(&file.answer)?.into(),
            session: decode(&file.session)?.into(),
            server_key: VerifyingKey::from_spki_der(&decode(&file.server_key)?)
                .map_err(|_| form("the server key is none"))?,
            ledger_key: file
                .ledger_key
                .parse()
                .map_err(|_| form("the ledger's key is none"))?,
            checkpoint: file.checkpoint,
            shown,
        })
    }

    /// The file that [`Omission::from_json`] reads back.
    pub fn to_json(&self) -> String {
        let encode = |bytes: &[u8]| BASE64.encode(bytes);
        let (leaf_hash, path) = match &self.shown {
            Shown::Another { leaf_hash, path } => (Some(leaf_hash), path.as_slice()),
            Shown::Ended => (None, &[][..]),
        };
        let file = File {
            format: FORMAT.to_owned(),
            answer: encode(&self.answer),
            session: encode(&self.session),
            server_key: encode(self.server_key.spki_der()),
            ledger_key: self.ledger_key.to_string(),
            checkpoint: self.checkpoint.clone(),
            leaf_hash: leaf_hash.map(|hash| encode(hash.as_bytes())),
            path: path.iter().map(|hash| encode(hash.as_bytes())).collect(),
        };
        let text = serde_json::to_string_pretty(&file);
        text.unwrap_or_default() + "\n"
    }
}

// === impl Shown ===

impl Shown {
    /// What stands in the place of what was promised; none when the ledger ended before.
    fn check(
        &self,
        promised: &Receipt,
        checkpoint: &SignedCheckpoint,
    ) -> Result<Option<Digest>, OmissionError> {
        let reaches = checkpoint.size() > promised.index;
        let Self::Another { leaf_hash, path } = self else {
            return if reaches {
                Err(OmissionError::Reached)
            } else {
                Ok(None)
            };
        };
        if !reaches {
            return Err(OmissionError::TooSmall);
        }
        if *leaf_hash == promised.leaf_hash {
            return Err(OmissionError::Kept);
        }
        let inclusion = InclusionProof {
            index: promised.index,
            size: checkpoint.size(),
            path: path.clone(),
        };
        let verified = inclusion.verify(leaf_hash, &checkpoint.root());
        verified.map_err(|_| OmissionError::Path)?;
        Ok(Some(*leaf_hash))
    }
}

// === impl OmissionError ===

impl OmissionError {
    /// What the caller is told.
    pub const fn reason(&self) -> Reason {
        match self {
            Self::Answer(_) | Self::Checkpoint(_) => Reason::SignatureInvalid,
            Self::Session(_) => Reason::SessionInvalid,
            Self::Form(_) => Reason::BadRecord,
            Self::Kept | Self::OtherLedger | Self::Path | Self::Reached | Self::TooSmall => {
                Reason::NoRecord
            }
        }
    }
}

const FORMAT: &str = "entente-omission 1";
const MAX_FILE: usize = 256 * 1024;
/// No tree is deeper.
const MAX_PATH: usize = 64;
