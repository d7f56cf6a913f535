//! The ledger without threads or waiting: every step is a call.
//!
//! A [`Log`] has two halves. The [`Appender`] makes entries durable in the write-ahead log; the
//! [`Integrator`] moves durable entries to bundles and tiles and publishes checkpoints. They share
//! only the entries in between, so each may have a thread of its own, or both one.
//!
//! What is durable when, in order:
//!
//! 1. a frame in the write-ahead log (entry and attachment): only now is the caller told;
//! 2. the attachment, with the companion;
//! 3. bundles and tiles, then `.state/tree`: only now may a segment of the write-ahead log go;
//! 4. `.state/signed`: only now is a checkpoint over that tree signed;
//! 5. `.state/final`, when the witnesses' quorum cosigned it;
//! 6. `checkpoint`.

mod appender;
pub(crate) mod files;
pub(crate) mod integrator;
pub(crate) mod nodes;
pub(crate) mod open;
pub(crate) mod tail;

use std::path::PathBuf;
use std::sync::Arc;

use entente_reason::Reason;

use crate::companion::CompanionError;
use crate::cosigner::Witnessed;
use crate::disk::DiskError;
use crate::note::SignNoteError;

pub use appender::{Appender, LogAppendError};
pub use integrator::Integrator;

/// A ledger, opened and recovered.
#[derive(Debug)]
pub struct Log {
    /// Makes entries durable.
    pub appender: Appender,
    /// Moves them on.
    pub integrator: Integrator,
    recovery: Recovery,
}

/// What opening had to repair; goes into the BOOT entry.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Recovery {
    /// Entries found.
    pub size: u64,
    /// Entries that were only in the write-ahead log.
    pub replayed: u64,
    /// Bytes cut off after the last whole frame. No one was told that they were durable.
    pub torn_bytes: u64,
}

/// Why a ledger could not be opened or written. Variants are alphabetical.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LogError {
    /// The companion could not keep an attachment.
    #[error("failed to move attachments out of the write-ahead log")]
    Companion(#[source] CompanionError),
    /// A file is not what the others say it must be.
    #[error("ledger file `{}` is damaged: {what}", path.display())]
    Damaged {
        /// Which.
        path: PathBuf,
        /// How.
        what: &'static str,
    },
    /// The disk failed.
    #[error("failed to write or read the ledger")]
    Disk(#[from] DiskError),
    /// The folder is of another format, or a newer one.
    #[error("ledger folder `{}` has format {found:?}, not `entente-ledger 1`", path.display())]
    Format {
        /// Which folder.
        path: PathBuf,
        /// What its `FORMAT` file says, at most 64 characters.
        found: String,
    },
    /// The folder is the ledger of another origin.
    #[error("ledger folder `{}` belongs to another origin", path.display())]
    Origin {
        /// Which folder.
        path: PathBuf,
    },
    /// Entries that were durable are gone: the write-ahead log, or its newest part, is missing. Going on
    /// could sign another tree than the one others have seen; a new shard has to be opened.
    #[error("durable entries of the ledger in `{}` are missing", path.display())]
    Lost {
        /// The ledger's folder.
        path: PathBuf,
    },
    /// The key that signs a tree of this size is not at hand, or it is not known yet which one it is.
    #[error("the key that signs a tree of this size is not at hand")]
    NoKey,
    /// A checkpoint could not be signed.
    #[error("failed to sign a checkpoint")]
    Sign(#[source] SignNoteError),
    /// No checkpoint was published yet.
    #[error("ledger has no checkpoint yet")]
    Unpublished,
}

// === impl Log ===

impl Log {
    /// What opening had to repair.
    pub const fn recovery(&self) -> &Recovery {
        &self.recovery
    }

    /// Integrates and publishes everything, and gives back the room that was reserved.
    ///
    /// # Errors
    /// When the disk fails; the entries are in the write-ahead log all the same.
    pub fn close(mut self) -> Result<(), LogError> {
        let published = match self.integrator.prepare_checkpoint() {
            Ok(Some(checkpoint)) => {
                let signed = Witnessed::Short(Arc::new(checkpoint));
                self.integrator.publish(&signed)
            }
            Ok(None) | Err(LogError::NoKey) => Ok(()),
            Err(error) => Err(error),
        };
        self.appender.close();
        self.integrator.close();
        published
    }
}

// === impl LogError ===

impl LogError {
    /// What a caller is told.
    pub const fn reason(&self) -> Reason {
        Reason::LogUnavailable
    }

    /// Whether the disk is full.
    pub fn is_no_space(&self) -> bool {
        match self {
            Self::Disk(error) | Self::Companion(CompanionError::Disk(error)) => error.is_no_space(),
            _ => false,
        }
    }
}

/// The kind of `.state/tree`.
pub(crate) const TREE: &str = "tree";
/// The kind of `.state/signed`.
pub(crate) const SIGNED: &str = "signed";
/// The most bytes one commit may hold.
pub(crate) const MAX_COMMIT_BYTES: usize = 32 * 1024 * 1024;
