//! Why the role does not start.

use entente_config::ConfigError;
use entente_directory::Refusal;
use entente_follow::OpenError;
use entente_follow::witness::WitnessError;
use entente_keys::KeyStoreError;
use entente_ledger::disk::DiskError;
use entente_ledger::log::LogError;
use entente_ledger::note::NoteError;
use entente_ledger::witness::InvalidPolicy;
use entente_ledger::{LedgerError, ReadError};
use entente_reason::Reason;
use entente_tls::{IdentityError, TlsError};

use crate::witness::OpenWitnessError;

/// Why a registry did not start. Variants are alphabetical.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// An anchor file of another registry.
    #[error("reading another registry's anchor file")]
    Anchor(#[source] Box<ConfigError>),
    /// A witness has seen more of the ledger than there is here.
    #[error(
        "the ledger here has {held} entries, and a witness has cosigned {seen}: it is not the newest"
    )]
    Behind {
        /// How large the tree was that a witness cosigned.
        seen: u64,
        /// How many entries are here.
        held: u64,
    },
    /// An address cannot be listened on.
    #[error("listening")]
    Bind(#[source] std::io::Error),
    /// Entry `index` of the ledger does not follow from those before it.
    #[error("replaying entry {index} of the registry's ledger")]
    Damaged {
        /// Which entry.
        index: u64,
        /// Why; none when it is not an entry at all.
        #[source]
        refusal: Option<Refusal>,
    },
    /// The disk failed.
    #[error("opening the registry's files")]
    Disk(#[from] DiskError),
    /// The registry cannot be followed.
    #[error("following the registry")]
    Follow(#[from] OpenError),
    /// The data folder holds something else.
    #[error("the data folder holds something other than a registry of this version")]
    Format,
    /// The key cannot be shown in TLS.
    #[error("preparing the registry's TLS identity")]
    Identity(#[from] IdentityError),
    /// A key is missing or unusable.
    #[error("loading the registry's keys")]
    Keys(#[from] KeyStoreError),
    /// The ledger cannot be opened.
    #[error("opening the registry's ledger")]
    Ledger(#[from] LedgerError),
    /// The key that signs the ledger's checkpoints is not in the key folder, nor one to take its place.
    #[error("the key folder holds neither the ledger key `{wanted}` nor one to take its place")]
    LedgerKey {
        /// The key in office, as it is named.
        wanted: String,
    },
    /// The ledger's files cannot be opened.
    #[error("reading the registry's ledger")]
    Log(#[from] LogError),
    /// The admin address is not TCP.
    #[error("metrics are served on TCP alone")]
    NoUnixAdmin,
    /// The registry did not show all it has in time.
    #[error("copying the registry: it did not show all it has in time")]
    NotCopied,
    /// The jurisdiction cannot name a ledger.
    #[error("naming the ledger's key")]
    Note(#[from] NoteError),
    /// The ledger cannot be read.
    #[error("reading the registry's ledger")]
    Read(#[from] ReadError),
    /// Another server took over from this data folder.
    #[error("another server has taken over from this data folder; it serves no more")]
    Superseded,
    /// TLS cannot be set up.
    #[error("preparing TLS")]
    Tls(#[from] TlsError),
    /// The data folder holds no registry, or one of other keys or another jurisdiction.
    #[error("the data folder holds no registry of this jurisdiction and these keys")]
    Uninitialised,
    /// A takeover was begun and not ended.
    #[error("a takeover of this data folder is not finished; do it again")]
    Unfinished,
    /// The witness of its servers' ledgers cannot be opened.
    #[error("opening the witness")]
    Witness(#[source] WitnessError),
    /// The file of witnesses is no policy, or too long.
    #[error("reading the policy of the ledger's witnesses")]
    Witnesses(#[source] Option<InvalidPolicy>),
}

// === impl StartError ===

impl From<OpenWitnessError> for StartError {
    fn from(error: OpenWitnessError) -> Self {
        match error {
            OpenWitnessError::Anchor(error) => Self::Anchor(error),
            OpenWitnessError::Keys(error) => Self::Keys(error),
            OpenWitnessError::Witness(error) => Self::Witness(error),
        }
    }
}

impl StartError {
    /// What the caller is told.
    pub fn reason(&self) -> Reason {
        match self {
            Self::Damaged {
                refusal: Some(refusal),
                ..
            } => refusal.reason(),
            Self::Disk(_) | Self::Ledger(_) | Self::Log(_) | Self::Read(_) => {
                Reason::LogUnavailable
            }
            Self::Tls(error) => error.reason(),
            Self::Follow(error) => error.reason(),
            Self::NotCopied => Reason::RegistryUnreachable,
            Self::Behind { .. } => Reason::RegistrySplit,
            Self::LedgerKey { .. } => Reason::LedgerKeyMissing,
            Self::Anchor(_)
            | Self::Bind(_)
            | Self::Damaged { .. }
            | Self::Format
            | Self::Identity(_)
            | Self::Keys(_)
            | Self::NoUnixAdmin
            | Self::Note(_)
            | Self::Superseded
            | Self::Unfinished
            | Self::Uninitialised
            | Self::Witnesses(_) => Reason::InternalFault,
            Self::Witness(error) => error.reason(),
        }
    }
}
