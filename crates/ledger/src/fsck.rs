//! Checks a whole ledger: every byte of every file, recomputed from the entries.

use std::path::PathBuf;
use std::sync::Arc;

use entente_signing::{Digest, VerifyingKey};

use crate::disk::Disk;
use crate::log::LogError;

/// What a check found.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// Entries in the tiles, all rehashed.
    pub size: u64,
    /// The root over them.
    pub root: Digest,
    /// Entries that are only in the write-ahead log so far.
    pub waiting: u64,
    /// Size of the newest checkpoint; `None` when none was published.
    pub checkpoint: Option<u64>,
    /// Everything that is not as it must be; empty when the ledger is sound.
    pub findings: Vec<Finding>,
    /// Bytes after the last whole frame of the write-ahead log: what a crash leaves, cut off at the
    /// next start.
    pub torn_bytes: u64,
}

/// Something that is not as it must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The file, below the ledger's folder.
    pub path: String,
    /// What is wrong with it.
    pub fault: Fault,
}

/// What is wrong with a file. Variants are alphabetical.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// Its bytes are not what the entries give.
    Differs,
    /// It must be there, and is not.
    Missing,
    /// Its signature is not the ledger key's.
    Signature,
    /// It cannot be read.
    Unreadable,
    /// Nothing writes a file of this name.
    Unexpected,
}

impl Report {
    /// Whether nothing was found.
    pub fn is_sound(&self) -> bool {
        self.findings.is_empty()
    }
}

/// Replays a ledger whole. `progress(done, all)` counts entries. Stops adding findings after 1,000.
///
/// The folder must not be written to meanwhile: check a copy, or a ledger that is shut down.
///
/// # Errors
/// When the folder is not a ledger's, or of a newer format. Damage is not an error, but a finding.
pub fn fsck(
    disk: Arc<dyn Disk>,
    dir: impl Into<PathBuf>,
    key: &VerifyingKey,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Report, LogError> {
    let _ = (disk, dir.into(), key, progress);
    todo!()
}
