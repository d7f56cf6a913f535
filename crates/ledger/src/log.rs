//! The ledger without threads or waiting: every step is a call.

use std::path::PathBuf;

use entente_reason::Reason;

use crate::disk::DiskError;

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
}

impl LogError {
    /// What a caller is told.
    pub const fn reason(&self) -> Reason {
        Reason::LogUnavailable
    }
}
