//! Where attachments go once they need not be in the write-ahead log any more.

use std::fmt::Debug;

use bytes::Bytes;

use crate::disk::DiskError;

/// Keeps what travels with entries but is not evidence itself: encrypted openings, payloads.
///
/// An attachment is durable in the write-ahead log before its entry is acknowledged. It is stored
/// here some time later, and leaves the log only after [`Companion::sync`] returned.
pub trait Companion: Debug + Send {
    /// Whether attachments are kept at all. Where not, appending one is refused.
    fn keeps_attachments(&self) -> bool {
        true
    }

    /// Stores the attachment of entry `index`. After a crash the same call may come again; it must
    /// then change nothing. Indices come in ascending order, except for such repeats.
    ///
    /// # Errors
    /// When it could not be stored. It is tried again later.
    fn store(&mut self, index: u64, attachment: &Bytes) -> Result<(), CompanionError>;

    /// Makes everything stored so far durable.
    ///
    /// # Errors
    /// When the disk did not take it; everything since the last success is stored again.
    fn sync(&mut self) -> Result<(), CompanionError>;
}

/// Why an attachment could not be kept. Variants are alphabetical.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CompanionError {
    /// The disk failed.
    #[error("failed to store an attachment")]
    Disk(#[source] DiskError),
    /// The attachment is not one this companion can keep.
    #[error("attachment cannot be kept: {0}")]
    Refused(&'static str),
}

/// For ledgers whose entries have no attachments: refuses every one.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoCompanion;

// === impl NoCompanion ===

impl Companion for NoCompanion {
    fn keeps_attachments(&self) -> bool {
        false
    }

    fn store(&mut self, _: u64, _: &Bytes) -> Result<(), CompanionError> {
        Err(CompanionError::Refused("this ledger takes no attachments"))
    }

    fn sync(&mut self) -> Result<(), CompanionError> {
        Ok(())
    }
}

// === impl CompanionError ===

impl From<DiskError> for CompanionError {
    fn from(error: DiskError) -> Self {
        Self::Disk(error)
    }
}
