//! The handle many tasks share: appends go through one writer, in groups.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use entente_clock::Clock;
use entente_reason::Reason;
use entente_signing::{Digest, Signer};
use tokio::sync::watch;

use crate::checkpoint::SignedCheckpoint;
use crate::companion::Companion;
use crate::disk::Disk;
use crate::log::{LogError, Recovery};
use crate::proof::InclusionProof;

/// What to append.
#[derive(Clone, Debug)]
pub struct Append {
    /// The entry's bytes: at most 65,535, not empty.
    pub entry: Bytes,
    /// What is kept beside it, durable with it: at most [`crate::MAX_ATTACHMENT`] bytes.
    pub attachment: Option<Bytes>,
}

/// Where an entry is. It is durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Appended {
    /// Position in the ledger, from 0.
    pub index: u64,
    /// RFC 6962 leaf hash of the entry.
    pub leaf_hash: Digest,
}

/// How a ledger is opened.
#[derive(Debug)]
pub struct LedgerConfig {
    /// The shard's own folder; created when missing.
    pub dir: PathBuf,
    /// The shard's origin: the first line of its checkpoints and the name of its key.
    pub origin: String,
    /// The shard's Ed25519 key.
    pub signer: Arc<dyn Signer>,
    /// Where files are.
    pub disk: Arc<dyn Disk>,
    /// Where attachments go.
    pub companion: Box<dyn Companion>,
    /// For refusing to write while the clock is behind the newest entry.
    pub clock: Arc<dyn Clock>,
    /// Longest wait before full bundles leave the write-ahead log.
    pub integrate_every: Duration,
    /// How often a checkpoint is published when the ledger grew.
    pub checkpoint_every: Duration,
    /// How large a segment of the write-ahead log grows, in bytes.
    pub segment_bytes: u64,
    /// Whether segments are filled with zeros ahead of use, off the path of appends: faster, at the
    /// price of up to two segments of disk.
    pub preallocate: bool,
}

/// Who does the writing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Runner {
    /// One task of the current runtime; nothing runs beside it. For simulations.
    Task,
    /// One thread that appends and one that integrates. For real disks.
    Thread,
}

/// A ledger, open for appending. Clones share it.
#[derive(Clone, Debug)]
pub struct Ledger {}

/// Why an entry was not appended. Variants are alphabetical.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AppendError {
    /// The clock is more than 60 s behind the newest entry.
    #[error("the clock is behind the newest ledger entry")]
    ClockOff,
    /// The ledger cannot be written, or its queue is full; nothing was appended.
    #[error("the ledger cannot be written")]
    LogUnavailable,
    /// An entry or attachment is empty, too long, or not kept by this ledger.
    #[error("a ledger entry or its attachment is empty or too long")]
    Size,
}

/// Why a ledger could not do what was asked. Variants are alphabetical.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LedgerError {
    /// The ledger was shut down.
    #[error("the ledger is shut down")]
    Closed,
    /// Opening, integrating or publishing failed.
    #[error("failed to work on the ledger")]
    Log(#[from] LogError),
}

/// Why an entry or a proof could not be read. Variants are alphabetical.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// There is no such entry, or no such published size.
    #[error("the ledger does not reach that far")]
    Beyond,
    /// The files could not be read, or are damaged.
    #[error("failed to read the ledger")]
    Log(#[from] LogError),
}

// === impl LedgerConfig ===

impl LedgerConfig {
    /// The defaults: integrate every 250 ms, checkpoint every 10 s, segments of 8 MiB, preallocated.
    pub fn new(
        dir: impl Into<PathBuf>,
        origin: impl Into<String>,
        signer: Arc<dyn Signer>,
        disk: Arc<dyn Disk>,
        companion: Box<dyn Companion>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self {
            dir: dir.into(),
            origin: origin.into(),
            signer,
            disk,
            companion,
            clock,
            integrate_every: Duration::from_millis(250),
            checkpoint_every: Duration::from_secs(10),
            segment_bytes: 8 * 1024 * 1024,
            preallocate: true,
        }
    }
}

// === impl Ledger ===

impl Ledger {
    /// Opens or creates a ledger, recovers it, and starts its writer. Call it within a runtime.
    ///
    /// # Errors
    /// When the folder is another format or shard's, is open elsewhere, or is damaged.
    pub async fn open(config: LedgerConfig, runner: Runner) -> Result<Self, LedgerError> {
        let _ = (config, runner);
        todo!()
    }

    /// What opening had to repair.
    pub fn recovery(&self) -> &Recovery {
        todo!()
    }

    /// The ledger's origin.
    pub fn origin(&self) -> &str {
        todo!()
    }

    /// Appends one entry; answers when it is durable.
    ///
    /// Not cancel-safe in the sense that a dropped future may leave the entry appended.
    ///
    /// # Errors
    /// Then nothing was appended, and nothing may be sent or acted on.
    pub async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        let _ = append;
        todo!()
    }

    /// Appends entries next to each other, in one commit: all or none. At most 1,024.
    ///
    /// # Errors
    /// As [`Ledger::append`].
    pub async fn append_all(&self, appends: Vec<Append>) -> Result<Vec<Appended>, AppendError> {
        let _ = appends;
        todo!()
    }

    /// How many entries are durable.
    pub fn size(&self) -> u64 {
        todo!()
    }

    /// Follows [`Ledger::size`].
    pub fn sizes(&self) -> watch::Receiver<u64> {
        todo!()
    }

    /// The newest published checkpoint.
    pub fn checkpoint(&self) -> watch::Receiver<Option<Arc<SignedCheckpoint>>> {
        todo!()
    }

    /// Whether entries can be appended. Turns false when the disk is full or failing, and true again
    /// by itself.
    pub fn writable(&self) -> watch::Receiver<bool> {
        todo!()
    }

    /// Publishes a checkpoint over everything durable now, and answers with it.
    ///
    /// # Errors
    /// When it could not be written.
    pub async fn publish_now(&self) -> Result<Arc<SignedCheckpoint>, LedgerError> {
        todo!()
    }

    /// One entry.
    ///
    /// # Errors
    /// When it is not there or cannot be read.
    pub async fn read(&self, index: u64) -> Result<Bytes, ReadError> {
        let _ = index;
        todo!()
    }

    /// Entries from `start` on, up to `limit` (at most 1,024) and about 1 MiB; fewer at the end.
    ///
    /// # Errors
    /// When they cannot be read.
    pub async fn entries(&self, start: u64, limit: usize) -> Result<Vec<Bytes>, ReadError> {
        let _ = (start, limit);
        todo!()
    }

    /// Proves that entry `index` is in the tree of `size`, which was published.
    ///
    /// # Errors
    /// When no checkpoint reaches `size`, or `index` is not below it.
    pub async fn inclusion(&self, index: u64, size: u64) -> Result<InclusionProof, ReadError> {
        let _ = (index, size);
        todo!()
    }

    /// Takes no more entries; integrates, publishes and closes. Later calls answer at once.
    ///
    /// # Errors
    /// When something could not be written; the entries are in the write-ahead log all the same.
    pub async fn shutdown(&self) -> Result<(), LedgerError> {
        todo!()
    }
}

// === impl AppendError ===

impl AppendError {
    /// What the caller is told.
    pub const fn reason(&self) -> Reason {
        match self {
            Self::ClockOff => Reason::ClockOff,
            Self::LogUnavailable => Reason::LogUnavailable,
            Self::Size => Reason::MessageTooLarge,
        }
    }
}

// === impl LedgerError ===

impl LedgerError {
    /// What the caller is told.
    pub const fn reason(&self) -> Reason {
        Reason::LogUnavailable
    }
}

// === impl ReadError ===

impl ReadError {
    /// What the caller is told.
    pub const fn reason(&self) -> Reason {
        match self {
            Self::Beyond => Reason::NoRecord,
            Self::Log(_) => Reason::LogUnavailable,
        }
    }
}
