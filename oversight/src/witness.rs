//! The witness of an oversight body: it follows registries to know which ledgers there are, and cosigns
//! their checkpoints. (C2SP `tlog-witness`)

use std::path::Path;
use std::sync::Arc;

use entente_clock::{Clock, SystemClock};
use entente_config::{ConfigError, FilePath, ListenAddr};
use entente_follow::witness::{
    KnownLogs, Witness, WitnessConfig, WitnessError, WitnessLimits, serve,
};
use entente_follow::{Anchor, Directory, Follower, FollowerConfig, Keep, OpenError};
use entente_keys::{KeyStore, KeyStoreError, KeyUse};
use entente_ledger::disk::{Disk, RealDisk};
use entente_ledger::note::{NoteError, NoteKey, WitnessKey};
use entente_reason::Reason;
use entente_tls::net::{Endpoint, Net, TokioNet};
use entente_tls::{Identity, IdentityError, IdentitySlot};
use serde::Deserialize;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// `witness.yaml`.
///
/// ```
/// let minimal = "
/// name: witness.commissioner.example
/// listen: 127.0.0.1:7200
/// data: ./data
/// keys: ./keys
/// anchors: [./anchor.yaml]
/// ";
/// let config: entente_oversight::witness::Config = entente_config::parse(minimal, "example")?;
/// assert_eq!(config.anchors.len(), 1);
/// # Ok::<(), entente_config::ConfigError>(())
/// ```
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The witness's name, and its key's: `witness.commissioner.example`. Never changed: policies name it.
    pub name: String,
    /// Where ledgers ask for cosignatures, in clear: what is said is public and signed.
    pub listen: ListenAddr,
    /// What it cosigned. *Trusted; if it is lost, begin anew with another key and name.*
    pub data: FilePath,
    /// Its private keys. *Secret.*
    pub keys: FilePath,
    /// The anchor of each registry whose ledger, and whose servers' ledgers, it cosigns. *Trusted.*
    #[serde(default)]
    pub anchors: Vec<FilePath>,
    /// Further ledgers, by the keys of their checkpoints: `origin+hash+key`. Of one ledger whose key is
    /// replaced both, the old one first; what was cosigned under the new one is never gone back from.
    #[serde(default)]
    pub logs: Vec<String>,
}

/// The machine a witness runs on.
#[derive(Clone, Debug)]
pub struct Deps {
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Network.
    pub net: Arc<dyn Net>,
    /// Disk.
    pub disk: Arc<dyn Disk>,
}

/// A witness that serves. Dropping it stops it.
#[derive(Debug)]
pub struct Running {
    key: WitnessKey,
    endpoint: Endpoint,
    followers: Vec<Follower>,
    stop: CancellationToken,
    serving: JoinHandle<()>,
}

/// Why a witness did not start. Variants are alphabetical.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// An anchor file.
    #[error("reading an anchor file")]
    Anchor(#[source] Box<ConfigError>),
    /// The address cannot be listened on.
    #[error("listening")]
    Bind(#[source] std::io::Error),
    /// A registry cannot be followed.
    #[error("following a registry")]
    Follow(#[from] OpenError),
    /// The key cannot be shown in TLS.
    #[error("preparing the witness's TLS identity")]
    Identity(#[from] IdentityError),
    /// The key folder.
    #[error("opening the key folder")]
    Keys(#[from] KeyStoreError),
    /// One of `logs` is not the key of a ledger.
    #[error("{text:?} is not the key of a ledger")]
    Log {
        /// What was written.
        text: String,
        /// Why not.
        #[source]
        source: NoteError,
    },
    /// The witness's folder.
    #[error("opening the witness")]
    Witness(#[from] WitnessError),
}

/// The ledgers of registries and their servers, and those that were named.
#[derive(Debug)]
struct Ledgers {
    registries: Vec<Directory>,
    named: Vec<NoteKey>,
}

/// The label of the witness's keys in its key folder.
const KEY: &str = "witness";

// === impl Config ===

impl Config {
    /// Reads a file; paths in it are relative to its folder.
    ///
    /// # Errors
    /// When it cannot be read, or does not say exactly what it should.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        entente_config::load(path)
    }
}

// === impl Deps ===

impl Deps {
    /// The real machine.
    pub fn real() -> Self {
        Self {
            clock: Arc::new(SystemClock),
            net: Arc::new(TokioNet),
            disk: Arc::new(RealDisk),
        }
    }
}

// === impl Running ===

impl Running {
    /// Starts a witness and returns once it listens. Call it within a runtime.
    ///
    /// # Errors
    /// When anything it needs is missing or damaged. Nothing listens then.
    pub async fn start(config: Config, deps: Deps) -> Result<Self, StartError> {
        let keys = KeyStore::open(config.keys.as_path())?;
        let signer = keys.load_or_generate(KeyUse::Witness, KEY)?;
        let tls = keys.load_or_generate(KeyUse::Tls, KEY)?;
        let identity = IdentitySlot::new(Identity::self_signed(tls, &[])?);
        let named = config.logs.iter().map(|text| {
            let key = text.parse();
            key.map_err(|source| StartError::Log {
                text: text.clone(),
                source,
            })
        });
        let named = named.collect::<Result<_, _>>()?;
        let (mut followers, mut registries) = (Vec::new(), Vec::new());
        for file in &config.anchors {
            let anchor = Anchor::load(file.as_path())
                .map_err(|error| StartError::Anchor(Box::new(error)))?;
            let dir = config.data.as_path().join("directory");
            let dir = dir.join(anchor.jurisdiction.to_string());
            let follower = Follower::open(FollowerConfig {
                anchor,
                dir,
                net: Arc::clone(&deps.net),
                identity: identity.clone(),
                keep: Keep::None,
                clock: Arc::clone(&deps.clock),
                disk: Arc::clone(&deps.disk),
            })
            .await?;
            registries.push(follower.directory());
            followers.push(follower);
        }
        let witness = Witness::open(WitnessConfig {
            name: config.name,
            signer,
            dir: config.data.as_path().join("witness"),
            disk: deps.disk,
            clock: deps.clock,
            logs: Arc::new(Ledgers { registries, named }),
        })?;
        let listener = deps.net.listen(&config.listen.into()).await;
        let listener = listener.map_err(StartError::Bind)?;
        let (key, endpoint) = (witness.key().clone(), listener.endpoint().clone());
        let stop = CancellationToken::new();
        let serving = serve(
            listener,
            Arc::new(witness),
            WitnessLimits::default(),
            stop.clone().cancelled_owned(),
        );
        tracing::info!(event = "witness.listening", key = %key, %endpoint);
        Ok(Self {
            key,
            endpoint,
            followers,
            stop,
            serving: tokio::spawn(serving),
        })
    }

    /// Its key, as policies name it.
    pub const fn key(&self) -> &WitnessKey {
        &self.key
    }

    /// Where it listens, with the port that was really taken.
    pub const fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Lets open requests end, and stops.
    pub async fn shutdown(mut self) {
        self.stop.cancel();
        // That it panicked is in the log; there is nothing left to end then.
        let _ = (&mut self.serving).await;
        for follower in std::mem::take(&mut self.followers) {
            follower.shutdown().await;
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

// === impl StartError ===

impl StartError {
    /// What the caller is told.
    pub const fn reason(&self) -> Reason {
        match self {
            Self::Witness(error) => error.reason(),
            _ => Reason::InternalFault,
        }
    }
}

// === impl Ledgers ===

impl KnownLogs for Ledgers {
    fn keys(&self, origin: &str, size: u64) -> Vec<NoteKey> {
        let mut keys: Vec<NoteKey> = self.named.clone();
        for directory in &self.registries {
            if directory.anchor().origin() == origin {
                // Followed, so its changes say which key signs this tree, and whoever named one more says less.
                return vec![directory.ledger_at(size)];
            }
            let view = directory.view();
            let shard = view.state.shard_by_origin(origin);
            keys.extend(shard.and_then(|shard| NoteKey::new(origin, shard.key.clone()).ok()));
        }
        keys.retain(|key| key.name() == origin);
        keys
    }
}
