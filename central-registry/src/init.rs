//! Making a registry: keys, the first change, the anchor.

use std::sync::Arc;
use std::time::Duration;

use entente_clock::{Clock, Timestamp};
use entente_directory::{
    Author, Change, ChangeHeader, Genesis, Policy, Refusal, RegistryEntry, SignChangeError,
    SignedChange, State, apply,
};
use entente_follow::{Anchor, Floors, author};
use entente_keys::{KeyStore, KeyStoreError, KeyUse};
use entente_ledger::disk::{Disk, DiskError, durable};
use entente_ledger::layout::Layout;
use entente_ledger::log::LogError;
use entente_ledger::note::{NoteError, NoteKey};
use entente_ledger::{
    Append, AppendError, Cosigner, Ledger, LedgerConfig, LedgerError, NoCompanion, OneKey,
    ReadError, Reader, Runner, Signatory,
};
use entente_reason::Reason;
use entente_signing::{Signer, VerifyingKey};

use crate::config::{Config, FORMAT, LEDGER_KEY, STATE_KEY, TLS_KEY};
use crate::cosigning::Cosigning;
use crate::role::{StartError, own_witnesses};

/// A registry that was just made.
#[derive(Clone, Debug)]
pub struct Initialised {
    /// What its followers start from; written to the file the configuration names.
    pub anchor: Anchor,
    /// The operator's registrar key. It lies in the key folder under the label [`OPERATOR`] and
    /// should be moved away from the server.
    pub registrar: Arc<dyn Signer>,
}

/// What a registry begins with.
#[derive(Clone, Debug)]
pub struct Founding {
    /// What it asks of everybody.
    pub policy: Policy,
    /// The P-256 keys of registrars beside the operator.
    pub registrars: Vec<VerifyingKey>,
    /// How many of all of them decide together.
    pub quorum: u32,
}

/// One registrar, who decides alone.
impl From<Policy> for Founding {
    fn from(policy: Policy) -> Self {
        Self {
            policy,
            registrars: Vec::new(),
            quorum: 1,
        }
    }
}

/// Why a registry could not be made. Variants are alphabetical.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InitError {
    /// The first change could not be appended.
    #[error("appending the first change")]
    Append(#[from] AppendError),
    /// The disk failed.
    #[error("writing the registry's files")]
    Disk(#[from] DiskError),
    /// There is a registry in the data folder, with its anchor.
    #[error("there is a registry in the data folder already")]
    Exists,
    /// The data folder holds something else.
    #[error("the data folder holds something other than a registry of this version")]
    Format,
    /// The first change does not stand by the directory's own rule.
    #[error("checking the first change")]
    Genesis(#[source] Refusal),
    /// A key could not be made or read.
    #[error("making the registry's keys")]
    Keys(#[from] KeyStoreError),
    /// The ledger could not be opened or published.
    #[error("opening the registry's ledger")]
    Ledger(#[from] LedgerError),
    /// The ledger's files cannot be read.
    #[error("reading the registry's ledger")]
    Log(#[from] LogError),
    /// The jurisdiction cannot name a ledger.
    #[error("naming the ledger's key")]
    Note(#[from] NoteError),
    /// The ledger could not be read.
    #[error("reading the registry's ledger")]
    Read(#[from] ReadError),
    /// The first change could not be signed.
    #[error("signing the first change")]
    Sign(#[from] SignChangeError),
    /// The file of witnesses cannot be used.
    #[error("reading the policy of the ledger's witnesses")]
    Witnesses(#[from] Box<StartError>),
}

/// Makes the keys, the first change and the anchor file. May be called again after it failed, and
/// goes on where it stopped. Call it within a runtime.
///
/// # Errors
/// When there is a registry already, or something cannot be written.
pub async fn init(
    config: &Config,
    founding: impl Into<Founding>,
    clock: Arc<dyn Clock>,
    disk: Arc<dyn Disk>,
    runner: Runner,
) -> Result<Initialised, InitError> {
    if !durable::claim(&*disk, config.data.as_path(), FORMAT)? {
        return Err(InitError::Format);
    }
    let witnesses = own_witnesses(config, &*disk).map_err(Box::new)?;
    if has_begun(config, &disk)? && disk.exists(config.anchor.as_path())? {
        return Err(InitError::Exists);
    }
    let keys = KeyStore::open(config.keys.as_path())?;
    let registrar = keys.load_or_generate(KeyUse::Registrar, OPERATOR)?;
    let state = keys.load_or_generate(KeyUse::Registrar, STATE_KEY)?;
    let ledger_key = keys.load_or_generate(KeyUse::Ledger, LEDGER_KEY)?;
    let tls = keys.load_or_generate(KeyUse::Tls, TLS_KEY)?;
    // If we crash here, the keys are there and nothing has been said with them: they are used next
    // time.

    let Founding {
        policy,
        registrars,
        quorum,
    } = founding.into();
    let registrars = std::iter::once(registrar.verifying_key().clone()).chain(registrars);
    let now = clock.now();
    let genesis = Genesis {
        jurisdiction: config.jurisdiction.clone(),
        origin: Genesis::origin_of(&config.jurisdiction),
        ledger: ledger_key.verifying_key().clone(),
        registrars: registrars.collect(),
        quorum,
        policy,
        // It lies on the server: whoever takes that over is no registrar.
        clerk: Some(state.verifying_key().clone()),
    };
    let origin = genesis.origin.clone();
    let signed = sign_genesis(genesis, &*registrar, now)?;
    apply(
        &State::empty(),
        &signed,
        now,
        &entente_directory::MemoryBlobs::new(),
    )
    .map_err(InitError::Genesis)?;

    let key = NoteKey::new(&origin, ledger_key.verifying_key().clone())?;
    // Nobody is asked to cosign the first change: the registry does so when it serves.
    let ledger = open_ledger(
        config,
        &origin,
        Arc::new(OneKey::new(&origin, ledger_key)),
        None,
        clock,
        disk.clone(),
        runner,
    );
    let ledger = ledger.await?;
    let first = match ledger.entries(0, 1).await?.into_iter().next() {
        Some(entry) => {
            // An earlier attempt got as far as the ledger; its first change stands.
            RegistryEntry::parse(&entry)
                .map_err(|_| InitError::Format)?
                .change
        }
        None => {
            let entry = RegistryEntry::encode_parts(now, signed.bytes()).into();
            let attachment = None;
            ledger.append(Append { entry, attachment }).await?;
            signed
        }
    };
    ledger.publish_now().await?;
    ledger.shutdown().await?;
    // If we crash here, the registry is whole and lacks only its anchor file.

    let addresses = match &config.addresses[..] {
        [] => vec![config.endpoint()],
        addresses => addresses.to_vec(),
    };
    let anchor = Anchor {
        jurisdiction: config.jurisdiction.clone(),
        addresses,
        mirrors: config.mirrors.clone(),
        tls_keys: [tls.verifying_key().spki_digest()].into(),
        ledger: key,
        genesis: first.hash(),
        floors: Floors::default(),
        witnesses,
    };
    let text = anchor.to_string();
    durable::replace(&*disk, config.anchor.as_path(), text.as_bytes())?;
    Ok(Initialised { anchor, registrar })
}

/// Whether there is a ledger with a first change.
fn has_begun(config: &Config, disk: &Arc<dyn Disk>) -> Result<bool, InitError> {
    if !disk.exists(&Layout::new(config.ledger()).format())? {
        return Ok(false);
    }
    Ok(Reader::open(Arc::clone(disk), config.ledger())?.size() > 0)
}

pub(crate) async fn open_ledger(
    config: &Config,
    origin: &str,
    signatory: Arc<dyn Signatory>,
    cosigner: Option<Arc<Cosigning>>,
    clock: Arc<dyn Clock>,
    disk: Arc<dyn Disk>,
    runner: Runner,
) -> Result<Ledger, LedgerError> {
    let companion = Box::new(NoCompanion);
    let mut ledger =
        LedgerConfig::signed_by(config.ledger(), origin, signatory, disk, companion, clock);
    // Changes are few and small.
    ledger.segment_bytes = 1 << 20;
    ledger.preallocate = false;
    ledger.cosigner = cosigner.map(|cosigning| cosigning as Arc<dyn Cosigner>);
    // Every change is followed by a checkpoint at once; this is for when that one failed.
    ledger.checkpoint_every = CHECKPOINT_RETRY;
    Ledger::open(ledger, runner).await
}

fn sign_genesis(
    genesis: Genesis,
    registrar: &dyn Signer,
    now: Timestamp,
) -> Result<SignedChange, SignChangeError> {
    let header = ChangeHeader {
        registry: genesis.origin.clone(),
        author: Author::Registrar,
        sequence: 1,
        previous: None,
        not_after: now.saturating_add(author::LOGGED_WITHIN),
    };
    SignedChange::sign(registrar, &header, &Change::Genesis(genesis))
}

// === impl InitError ===

impl InitError {
    /// What the caller is told.
    pub fn reason(&self) -> Reason {
        match self {
            Self::Append(error) => error.reason(),
            Self::Exists => Reason::NameTaken,
            Self::Genesis(refusal) => refusal.reason(),
            Self::Disk(_) | Self::Ledger(_) | Self::Log(_) | Self::Read(_) => {
                Reason::LogUnavailable
            }
            Self::Witnesses(error) => error.reason(),
            Self::Format | Self::Keys(_) | Self::Note(_) | Self::Sign(_) => Reason::InternalFault,
        }
    }
}

/// After a checkpoint could not be published.
const CHECKPOINT_RETRY: Duration = Duration::from_secs(1);

/// The label of the operator's registrar key in the key folder.
pub const OPERATOR: &str = "operator";
