//! What a witness remembers, and the check-and-persist that makes its cosignatures worth something.
//!
//! ```text
//! FORMAT             "entente-witness 1"
//! lock               empty; locked by the one witness
//! log/<hex>          the newest checkpoint cosigned of the log, with the cosignature; <hex> is the SHA-256
//!                    of its origin
//! evidence/<hex>-…   requests that a log signed and that do not continue what was cosigned before
//! ```
//!
//! Trusted, and worth its backup least of all: a witness restored from an older copy cosigns a fork
//! since. A folder that is lost is begun anew under another key.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use entente_clock::Clock;
use entente_ledger::cosignature::cosign;
use entente_ledger::disk::{Disk, DiskError, DiskLock, durable};
use entente_ledger::note::{
    NoteError, NoteKey, NoteSignature, SignNoteError, SignedNote, WitnessKey,
};
use entente_ledger::witness::{AddCheckpoint, Refused, Seen};
use entente_ledger::{Checkpoint, LogKeys, SignedCheckpoint};
use entente_reason::Reason;
use entente_signing::{Digest, Signer};

/// Which logs a witness knows.
pub trait KnownLogs: fmt::Debug + Send + Sync {
    /// The keys that the log of this origin may sign a tree of this size with; empty when it is not known.
    /// Where somebody named several without saying from which size on each signs, in the order in which they
    /// sign: the witness never takes one again that comes before the one it saw last.
    fn keys(&self, origin: &str, size: u64) -> Vec<NoteKey>;
}

/// How a witness is opened.
#[derive(Debug)]
pub struct WitnessConfig {
    /// Its name; the name of its key.
    pub name: String,
    /// Its Ed25519 key, used for nothing else.
    pub signer: Arc<dyn Signer>,
    /// Its own folder; created when missing.
    pub dir: PathBuf,
    /// Where the folder is.
    pub disk: Arc<dyn Disk>,
    /// The time in its cosignatures.
    pub clock: Arc<dyn Clock>,
    /// Whom it cosigns for.
    pub logs: Arc<dyn KnownLogs>,
}

/// A witness.
#[derive(Debug)]
pub struct Witness {
    key: WitnessKey,
    config: WitnessConfig,
    /// Held from the check until what was cosigned is durable; whether everything is that can be read.
    deciding: Mutex<bool>,
    _lock: Box<dyn DiskLock>,
}

/// Why a witness could not be opened. Variants are alphabetical.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WitnessError {
    /// The disk failed, or another process holds the folder.
    #[error("opening the witness's folder")]
    Disk(#[from] DiskError),
    /// The folder holds something else, or is of a newer version.
    #[error("the witness's folder is not in a format this version knows")]
    Format,
    /// The key is not Ed25519, or its name has a space or a `+`.
    #[error("naming the witness's key")]
    Key(#[from] NoteError),
}

/// Why a checkpoint was not cosigned. Variants are alphabetical.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AddError {
    /// What is remembered of the log does not read, or is not this witness's.
    #[error("what is remembered of the log is damaged")]
    Damaged,
    /// The disk failed.
    #[error("keeping what was cosigned")]
    Disk(#[from] DiskError),
    /// The rule says no.
    #[error("refusing a checkpoint")]
    Refused(#[from] Refused),
    /// The key could not sign.
    #[error("cosigning a checkpoint")]
    Sign(#[from] SignNoteError),
}

// === impl Witness ===

impl Witness {
    /// Opens or begins a witness.
    ///
    /// # Errors
    /// When the folder is another's, or cannot be written, or the key cannot be used.
    pub fn open(config: WitnessConfig) -> Result<Self, WitnessError> {
        let key = WitnessKey::new(&config.name, config.signer.verifying_key().clone())?;
        let (disk, dir) = (&*config.disk, &config.dir);
        if !durable::claim(disk, dir, FORMAT)? {
            return Err(WitnessError::Format);
        }
        let lock = disk.lock(&dir.join("lock"))?;
        for folder in [LOGS, EVIDENCE] {
            disk.create_dir_all(&dir.join(folder))?;
            durable::sweep(disk, &dir.join(folder))?;
        }
        // The folders themselves: without them a cosigned tree could be forgotten.
        disk.sync_dir(dir)?;
        Ok(Self {
            key,
            config,
            // An earlier process may have died over it.
            deciding: Mutex::new(false),
            _lock: lock,
        })
    }

    /// Its key, for policies.
    pub const fn key(&self) -> &WitnessKey {
        &self.key
    }

    /// Takes the body of an `add-checkpoint`, and answers with the cosignature. Blocks on the disk.
    ///
    /// # Errors
    /// When the checkpoint does not continue what was cosigned before, or cannot be kept.
    pub fn add(&self, body: &[u8]) -> Result<NoteSignature, AddError> {
        let request = AddCheckpoint::parse(body)?;
        let Checkpoint { origin, size, .. } = request.claimed()?;
        let mut keys = self.config.logs.keys(&origin, size);
        if keys.is_empty() {
            return Err(Refused::UnknownLog.into());
        }
        let name = file_name(&origin);
        let path = self.config.dir.join(LOGS).join(&name);
        // Nothing is awaited under it, and no panic leaves anything half done.
        let mut is_durable = self.deciding();
        let seen = match self.seen(&path, &origin)? {
            None => None,
            Some((seen, note)) => {
                // A key that was replaced is in other hands for all we know.
                let signed = |key: &NoteKey| SignedCheckpoint::verify(&note, key).is_ok();
                keys.drain(..keys.iter().position(signed).unwrap_or(0));
                Some(seen)
            }
        };
        let mut checkpoint = match request.admit(&keys, seen) {
            Ok(checkpoint) => checkpoint,
            Err(refused) => {
                if refused.is_evidence() {
                    self.keep_evidence(&name, refused, &request, body)?;
                }
                return Err(refused.into());
            }
        };
        let (now, signer) = (self.config.clock.now(), &*self.config.signer);
        let line = cosign(&checkpoint, now, self.key.name(), signer)?;
        checkpoint.add(line.clone());
        let note = checkpoint.note().to_string();
        *is_durable = false;
        durable::replace(&*self.config.disk, &path, note.as_bytes())?;
        // If we crash here, it is remembered as cosigned and nobody has the cosignature: the log is told of
        // the size when it asks again, and gets another.
        *is_durable = true;
        Ok(line)
    }

    /// The newest checkpoint cosigned of the log whose origin has this SHA-256, in hexadecimal.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn latest(&self, origin: &Digest) -> Result<Option<Vec<u8>>, DiskError> {
        let (disk, folder) = (&*self.config.disk, self.config.dir.join(LOGS));
        let mut is_durable = self.deciding();
        if !*is_durable {
            // What is shown is out: a disk that then forgets it would let another tree be cosigned.
            disk.sync_dir(&folder)?;
            *is_durable = true;
        }
        durable::read(disk, &folder.join(origin.to_string()))
    }

    fn deciding(&self) -> MutexGuard<'_, bool> {
        self.deciding.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn seen(&self, path: &Path, origin: &str) -> Result<Option<(Seen, Vec<u8>)>, AddError> {
        let Some(bytes) = durable::read(&*self.config.disk, path)? else {
            return Ok(None);
        };
        let note = SignedNote::parse(&bytes).map_err(|_| AddError::Damaged)?;
        let says: Checkpoint = note.text().parse().map_err(|_| AddError::Damaged)?;
        if says.origin != origin {
            return Err(AddError::Damaged);
        }
        let seen = Seen {
            size: says.size,
            root: says.root,
        };
        Ok(Some((seen, bytes)))
    }

    /// Keeps what a log signed against itself, unless the same checkpoint was kept before or there is enough
    /// of the log's. Another root of one size is proof in itself; that a proof does not hold may be the doing
    /// of whoever sent it, so those have a place of their own, and leave the others'.
    fn keep_evidence(
        &self,
        name: &str,
        refused: Refused,
        request: &AddCheckpoint,
        body: &[u8],
    ) -> Result<(), DiskError> {
        let folder = self.config.dir.join(EVIDENCE);
        let kind = match refused {
            Refused::OtherRoot => "fork",
            _ => "inconsistent",
        };
        let of_its_kind = format!("{name}-{kind}-");
        let path = folder
            .join(of_its_kind.clone() + &Digest::of(request.note.text().as_bytes()).to_string());
        tracing::error!(event = "witness.inconsistent", log = name, kind);
        let disk = &*self.config.disk;
        let kept = disk.list(&folder)?;
        let kept = kept
            .iter()
            .filter(|item| item.name.starts_with(&of_its_kind));
        if disk.exists(&path)? || kept.count() >= MAX_EVIDENCE {
            return Ok(());
        }
        durable::replace(disk, &path, body)
    }
}

// === impl WitnessError ===

impl WitnessError {
    /// What the caller is told.
    pub const fn reason(&self) -> Reason {
        match self {
            Self::Disk(_) => Reason::LogUnavailable,
            Self::Format | Self::Key(_) => Reason::InternalFault,
        }
    }
}

// === impl AddError ===

impl AddError {
    /// The HTTP status.
    pub const fn status(&self) -> u16 {
        match self {
            Self::Refused(refused) => refused.status(),
            Self::Damaged | Self::Disk(_) | Self::Sign(_) => 500,
        }
    }
}

/// A checkpoint that was verified before is kept under this name.
fn file_name(origin: &str) -> String {
    Digest::of(origin.as_bytes()).to_string()
}

const FORMAT: &str = "entente-witness 1\n";
const LOGS: &str = "log";
const EVIDENCE: &str = "evidence";
/// Files kept as evidence of one log and kind: it can sign ever new forks.
const MAX_EVIDENCE: usize = 64;

/// Reads back what [`Witness::latest`] gives, for a log of these keys.
pub(super) fn verified(bytes: &[u8], keys: &dyn LogKeys) -> Option<SignedCheckpoint> {
    SignedCheckpoint::verify_by(bytes, keys).ok()
}
