//! Openings and payloads, encrypted beside the ledger, and erasable without touching it.
//!
//! Each record is sealed under a random key of its own; that key is wrapped under the
//! key-encryption key of its retention and day. Destroying that one key erases every record
//! of them, whatever copies of the ciphertext survive, while the ledger's proofs still hold.
//! Nothing is ever written in clear, and keys live in their own folder, outside ordinary backups.
//! The keys of subject tags are kept and destroyed in the same way.

mod again;
mod audit;
mod erase;
mod frame;
mod keys;
mod plan;
mod record;
mod retention;
mod shelf;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use entente_clock::Day;
use entente_ledger::Companion;
use entente_ledger::companion::CompanionError;
use entente_ledger::disk::{Disk, DiskError, durable};
use entente_reason::Reason;
use entente_signing::Digest;
use zeroize::Zeroizing;

use crate::keys::Keks;
use crate::record::{Attachment, RecordKey};
use crate::shelf::Shelves;

pub use audit::{Audit, Shredding, Standing, TagSecret, Violation, tag_keys};
pub use plan::{Plan, Target, record_key_hash};
pub use retention::{InvalidName, KeyName, Period, Retention, Span};

/// The sealed records of one ledger. Clones share it; one is the ledger's [`Companion`].
#[derive(Clone, Debug)]
pub struct Sidecar {
    keks: Arc<Keks>,
    shelves: Arc<Mutex<Shelves>>,
    /// Added to the positions of this shard's entries, so that they come after those of the shards before.
    first: u64,
}

/// What a record belongs to; binds its ciphertext. Not stored: whoever opens must know it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordOf<'a> {
    /// Origin of the ledger.
    pub origin: &'a str,
    /// Message id of the exchange.
    pub message_id: &'a [u8; 16],
    /// Kind of the ledger entry (1 IN, 2 OUT, 3 DENIED).
    pub kind: u8,
}

/// A sealed record, ready to travel with its ledger entry.
#[derive(Clone, Debug)]
pub struct Sealed {
    /// SHA-256 of the ciphertext: what the entry holds.
    pub hash: Digest,
    /// What the ledger keeps durable until it is stored here: ciphertext and wrapped key.
    pub attachment: Bytes,
}

/// Why a record was not sealed or opened. Variants are alphabetical.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SidecarError {
    /// A record, key file or segment is not what it must be.
    #[error("sidecar file `{}` is damaged: {what}", path.display())]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// How.
        what: &'static str,
    },
    /// The disk failed.
    #[error("failed to write or read the sidecar")]
    Disk(#[from] DiskError),
    /// The folder is of another format, or a newer one.
    #[error("sidecar folder `{}` has another format", path.display())]
    Format {
        /// Which folder.
        path: PathBuf,
    },
    /// There is no such record.
    #[error("no such sidecar record")]
    Missing,
    /// Something else is being destroyed, and that must be finished first.
    #[error("an earlier destruction is not finished")]
    Planned,
    /// The key was destroyed, and its period gets none again.
    #[error("the key of this period was destroyed")]
    Shredded,
    /// Encryption or random numbers failed.
    #[error("failed to seal a sidecar record")]
    Seal,
    /// A retention is not one, or a record, a plan or the key folder is too large.
    #[error("sidecar name, record or plan is out of bounds")]
    Size,
}

impl Sidecar {
    /// Opens or creates the sidecar at `dir`, its keys at `keys_dir`. There is one owner at a time.
    ///
    /// # Errors
    /// When a folder is of another format, damaged, in use, or cannot be written.
    pub fn open(
        disk: Arc<dyn Disk>,
        dir: impl Into<PathBuf>,
        keys_dir: impl Into<PathBuf>,
    ) -> Result<Self, SidecarError> {
        let (dir, keys_dir) = (dir.into(), keys_dir.into());
        if !durable::claim(&*disk, &dir, FORMAT)? {
            return Err(SidecarError::Format { path: dir });
        }
        durable::sweep(&*disk, &dir)?;
        Ok(Self {
            keks: Arc::new(Keks::open(Arc::clone(&disk), keys_dir)?),
            shelves: Arc::new(Mutex::new(Shelves::new(disk, dir))),
            first: 0,
        })
    }

    /// The same sidecar, for the records of a server's `ordinal`-th shard, from 0: entries count anew in
    /// each, and records of one day may be of two.
    #[must_use]
    pub const fn in_shard(mut self, ordinal: u64) -> Self {
        self.first = ordinal.saturating_mul(SHARD);
        self
    }

    /// Seals `plaintext` (at most 17 MiB) under the key of `retention` and `day`.
    ///
    /// The first record of them makes that key and waits until it is durable.
    ///
    /// # Errors
    /// When the key cannot be made, was destroyed, or a bound is exceeded.
    pub fn seal(
        &self,
        retention: &Retention,
        day: Day,
        of: &RecordOf<'_>,
        plaintext: &[u8],
    ) -> Result<Sealed, SidecarError> {
        if plaintext.len() > MAX_PLAINTEXT {
            return Err(SidecarError::Size);
        }
        let period = Period::of_day(retention.clone(), day);
        let kek = self.keks.load_or_make(&period)?;
        let key = RecordKey::generate()?;
        let ciphertext = key.seal(of, plaintext)?;
        let hash = Digest::of(&ciphertext);
        let attachment = Attachment {
            retention: period.retention,
            day,
            hash,
            wrapped: key.wrap(&kek)?,
            ciphertext: ciphertext.into(),
        };
        Ok(Sealed {
            hash,
            attachment: attachment.encode(),
        })
    }

    /// Opens the record whose ciphertext has this hash.
    ///
    /// # Errors
    /// When it is not stored (yet), was shredded, or belongs to something else.
    pub fn open_record(
        &self,
        hash: &Digest,
        of: &RecordOf<'_>,
    ) -> Result<Zeroizing<Vec<u8>>, SidecarError> {
        let found = self.shelves().find(hash)?.ok_or(SidecarError::Missing)?;
        let wrapped = found.wrapped.ok_or(SidecarError::Shredded)?;
        let keks = self.keks.of(&found.period)?;
        if keks.is_empty() {
            return Err(SidecarError::Shredded);
        }
        let key = record::unwrap_any(&keks, &wrapped)?;
        if Digest::of(&found.ciphertext) != *hash {
            return Err(SidecarError::Seal);
        }
        key.open(of, found.ciphertext)
    }
}

impl Companion for Sidecar {
    fn store(&mut self, index: u64, attachment: &Bytes) -> Result<(), CompanionError> {
        let attachment = Attachment::decode(attachment)
            .map_err(|_| CompanionError::Refused("it is not a sealed record"))?;
        let place = self.first.saturating_add(index);
        self.shelves().store(place, &attachment).map_err(refused)
    }

    fn sync(&mut self) -> Result<(), CompanionError> {
        self.shelves().sync().map_err(refused)
    }
}

fn refused(error: SidecarError) -> CompanionError {
    match error {
        SidecarError::Disk(error) => CompanionError::Disk(error),
        _ => CompanionError::Refused("the sidecar's files are damaged"),
    }
}

impl Sidecar {
    fn shelves(&self) -> std::sync::MutexGuard<'_, Shelves> {
        self.shelves.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl SidecarError {
    /// What a caller is told.
    pub const fn reason(&self) -> Reason {
        Reason::LogUnavailable
    }
}

/// More entries than a shard will ever have.
const SHARD: u64 = 1 << 40;

const FORMAT: &str = "entente-sidecar 2\n";

/// The longest record: openings of a message of 16 MiB whose payload is kept.
const MAX_PLAINTEXT: usize = 17 * 1024 * 1024;
