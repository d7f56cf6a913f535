//! Why nothing is taken over.

use entente_follow::author::AuthorError;
use entente_follow::{BlobError, OpenError};
use entente_keys::KeyStoreError;
use entente_ledger::disk::DiskError;
use entente_ledger::log::LogError;
use entente_ledger::note::NoteError;
use entente_ledger::{AppendError, LedgerError, ReadError};
use entente_reason::Reason;

use crate::role::StartError;

/// Why nothing was taken over. Variants are alphabetical.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TakeoverError {
    /// The ledger did not take an entry.
    #[error("appending to the ledger")]
    Append(#[from] AppendError),
    /// A blob could not be kept.
    #[error("keeping a blob")]
    Blob(#[from] BlobError),
    /// A witness has seen more than there is.
    #[error(
        "a witness has cosigned {seen} changes, and {held} are here: find a copy that has them"
    )]
    Behind {
        /// How large the tree was that it cosigned.
        seen: u64,
        /// How many there are.
        held: u64,
    },
    /// The copy cannot be used.
    #[error("opening the copy of the registry")]
    Copy(#[from] OpenError),
    /// The disk failed.
    #[error("taking over the registry's files")]
    Disk(#[from] DiskError),
    /// The copy holds nothing.
    #[error("the copy holds no change")]
    Empty,
    /// There is a registry in the data folder.
    #[error("there is a registry in the data folder already")]
    Exists,
    /// A witness has cosigned, or the folder before holds, another tree than the copy's.
    #[error("another tree of the registry's ledger was seen than the one in the copy")]
    Forked,
    /// The files, keys or witnesses of this server cannot be used.
    #[error("preparing to take over")]
    Here(#[from] Box<StartError>),
    /// A key is missing or unusable.
    #[error("loading the registry's keys")]
    Keys(#[from] KeyStoreError),
    /// The ledger could not be opened or closed.
    #[error("opening the registry's ledger")]
    Ledger(#[from] LedgerError),
    /// A ledger's files cannot be read.
    #[error("reading the ledger of the registry before")]
    Log(#[from] LogError),
    /// The jurisdiction cannot name a ledger.
    #[error("naming the ledger's key")]
    Note(#[from] NoteError),
    /// The ledger key here is not the registry's.
    #[error("the key folder holds neither the registry's ledger key nor one to take its place")]
    OtherKey,
    /// The ledger cannot be read.
    #[error("reading the registry's ledger")]
    Read(#[from] ReadError),
    /// The registry before is running.
    #[error("the registry before is still running over its data folder")]
    Running,
    /// So many witnesses do not answer that they could have seen more.
    #[error("too few witnesses answer to know whether one has seen more")]
    Silent,
    /// The change that says that this server took over could not be signed.
    #[error("signing that this server took over")]
    Sign(#[from] AuthorError),
    /// There is nobody to ask what was seen.
    #[error("no witness and no data folder can tell whether changes would be lost")]
    Unfenced,
}

// === impl TakeoverError ===

impl TakeoverError {
    /// What the caller is told.
    pub fn reason(&self) -> Reason {
        match self {
            Self::Append(error) => error.reason(),
            Self::Behind { .. } | Self::Forked => Reason::RegistrySplit,
            Self::Blob(error) => error.reason(),
            Self::Copy(error) => error.reason(),
            Self::Exists => Reason::NameTaken,
            Self::Here(error) => error.reason(),
            Self::Sign(error) => error.reason(),
            Self::Silent | Self::Unfenced => Reason::RegistryUnwitnessed,
            Self::Disk(_) | Self::Ledger(_) | Self::Log(_) | Self::Read(_) => {
                Reason::LogUnavailable
            }
            Self::OtherKey => Reason::LedgerKeyMissing,
            Self::Empty | Self::Keys(_) | Self::Note(_) | Self::Running => Reason::InternalFault,
        }
    }
}
