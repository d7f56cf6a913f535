//! The role's configuration file.

use std::path::PathBuf;

use entente_config::{ByteSize, FilePath, ListenAddr};
use entente_identity::Jurisdiction;
use entente_tls::http::HttpUrl;
use entente_tls::net::Endpoint;
use serde::{Deserialize, Serialize};

/// A registry, as its YAML file describes it.
///
/// ```
/// let minimal = "
/// jurisdiction: ca-demo
/// listen: 127.0.0.1:7100
/// data: ./data
/// keys: ./keys
/// anchor: ./anchor.yaml
/// ";
/// let config: entente_central_registry::Config = entente_config::parse(minimal, "example")?;
/// assert_eq!(config.limits.followers, 1_024);
/// # Ok::<(), entente_config::ConfigError>(())
/// ```
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The names this registry speaks for.
    pub jurisdiction: Jurisdiction,
    /// Where members, servers and followers reach it, by gRPC over mutual TLS.
    pub listen: ListenAddr,
    /// How others reach it, best first: what the anchor says. Default: where it listens.
    #[serde(default)]
    pub addresses: Vec<Endpoint>,
    /// Where its ledger and blobs lie as static files: what the anchor says. Default: nowhere.
    #[serde(default)]
    pub mirrors: Vec<HttpUrl>,
    /// The data folder. Trusted. Its loss is the loss of the registry: followers hold copies of all
    /// of it but pending applications, and will not follow a registry that forgot.
    pub data: FilePath,
    /// The key folder. Trusted: whoever reads it can speak as this registry.
    pub keys: FilePath,
    /// Where `registry init` writes the anchor that others start from.
    pub anchor: FilePath,
    /// Where metrics and health are read, in clear. Default: nowhere.
    #[serde(default)]
    pub admin: Option<ListenAddr>,
    /// The file that names witnesses of its own ledger whom it asks beside those of its policy (C2SP
    /// `tlog-policy`, without logs; at most 8 KiB): where anchors ask for them. Default: none.
    #[serde(default)]
    pub witnesses: Option<FilePath>,
    /// The anchor files of the registries of other jurisdictions whose ledgers it cosigns: their origins and
    /// keys. *Trusted.* Default: none.
    #[serde(default)]
    pub cosigns: Vec<FilePath>,
    /// Where it cosigns ledgers, its servers' and those of other registries, in clear (C2SP `tlog-witness`). Default: nowhere.
    #[serde(default)]
    pub witness: Option<ListenAddr>,
    /// The anchor file of the registry that this one stands by for: it follows, with the same keys, and
    /// serves nobody until `registry takeover`. Default: it is the registry.
    #[serde(default)]
    pub standby_of: Option<FilePath>,
    /// Bounds.
    #[serde(default)]
    pub limits: Limits,
}

/// Bounds on what others may make this registry hold or do.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Applications awaiting a registrar. Default 1,000.
    pub applications: usize,
    /// Bytes of all blobs together. Default 4 GiB.
    pub blobs: ByteSize,
    /// Calls being answered at once, streams aside. Default 32.
    pub calls: usize,
    /// Streams to followers. Default 1,024.
    pub followers: usize,
    /// Changes after which the registry states its hash. Default 1,000, which is also the maximum.
    pub state_every: u64,
}

// === impl Config ===

impl Config {
    /// Where its ledger is.
    pub fn ledger(&self) -> PathBuf {
        self.data.as_path().join("ledger")
    }

    pub(crate) fn blobs(&self) -> PathBuf {
        self.data.as_path().join("blob")
    }

    /// Where a standby keeps its copy.
    pub(crate) fn standby(&self) -> PathBuf {
        self.data.as_path().join("standby")
    }

    /// Is there while a takeover is under way.
    pub(crate) fn unfinished(&self) -> PathBuf {
        self.data.as_path().join("TAKEOVER")
    }

    pub(crate) fn passages(&self) -> PathBuf {
        self.data.as_path().join("passage")
    }

    pub(crate) fn applications(&self) -> PathBuf {
        self.data.as_path().join("applications")
    }

    /// Where to listen, in the words of the network.
    pub(crate) fn endpoint(&self) -> Endpoint {
        self.listen.clone().into()
    }
}

// === impl Limits ===

impl Default for Limits {
    fn default() -> Self {
        Self {
            applications: 1_000,
            blobs: ByteSize::from_bytes(4 << 30),
            calls: 32,
            followers: 1_024,
            state_every: entente_directory::MAX_CHANGES_BETWEEN_STATES,
        }
    }
}

/// What the `FORMAT` file of the data folder says.
pub(crate) const FORMAT: &str = "entente-registry 1\n";

/// The file in a data folder that another took over from: nothing is served from it any more.
pub(crate) const FENCED: &str = "FENCED";

/// Of keys in the key folder: the one that signs checkpoints.
pub const LEDGER_KEY: &str = "changes";
/// The one that cosigns the ledgers of servers.
pub const WITNESS_KEY: &str = "witness";
/// The one shown in TLS.
pub const TLS_KEY: &str = "registry";
/// The registrar's key that this server uses itself, to state its hash.
pub const STATE_KEY: &str = "state";
