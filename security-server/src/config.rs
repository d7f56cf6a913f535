//! The role's configuration: one strict YAML file, parsed straight into what the server uses.
//!
//! Paths are relative to the folder of the file. Secrets are files, never values.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use entente_config::{
    ConfigError, DurationText, Endpoint, FilePath, ListenAddr, Override, Pkcs11Uri, SecretFile, set,
};
use entente_evidence::statement::Mode;
use entente_identity::{ServerId, SystemId};
use entente_signing::Digest;
use serde::{Deserialize, Serialize};

mod timestamp;

pub use timestamp::{Every, PolicyId, Timestamp, Unexpected};

/// `security-server.yaml`.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// This server's name: `ca-on/service-ontario/@ss1`.
    pub server: ServerId,
    /// Ledger, sidecar, directory copy and store. *Trusted; losing it loses evidence.*
    pub data: FilePath,
    /// Private keys. *Secret; losing it means registering new keys.*
    pub keys: FilePath,
    /// The key that certifies sessions, when it is in a PKCS#11 token; else it is in `keys` as well.
    /// *Secret; losing it means registering a new one.*
    #[serde(default)]
    pub server_key: Option<Pkcs11Uri>,
    /// The jurisdiction's anchor file. *Trusted: it decides which registry is believed.*
    pub anchor: FilePath,
    /// Where other security servers connect.
    pub peer: Door,
    /// Where `/metrics`, `/livez` and `/readyz` are served. Loopback unless you mean otherwise.
    pub admin: Door,
    /// The member's systems that exchange through this server.
    pub systems: BTreeMap<SystemId, System>,
    /// Who vouches for the time of the ledger. Absent: nobody.
    #[serde(default)]
    pub timestamp: Option<Timestamp>,
    /// Bounds. Every one has a default.
    #[serde(default)]
    pub limits: Limits,
}

/// A listening address.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Door {
    /// `127.0.0.1:7443`, or port 0 for any free one.
    pub listen: ListenAddr,
}

/// One system of the member.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct System {
    /// How the system proves itself when it asks others. Empty: it never asks.
    pub callers: Vec<Caller>,
    /// Where its own services are dialled when others ask. Absent: it never answers.
    pub serves: Option<Serves>,
}

/// One way in for one system.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
pub enum Caller {
    /// A Unix socket that only this system may open: its file mode is the proof.
    Unix(FilePath),
    /// A loopback address and a token given to this system alone (`entente-token`).
    Loopback {
        /// Must be a loopback address.
        listen: ListenAddr,
        /// The token file.
        token: SecretFile,
    },
    /// Mutual TLS with certificates this server knows.
    Tls {
        /// Any address.
        listen: ListenAddr,
        /// SHA-256 of each accepted client key (SubjectPublicKeyInfo), hexadecimal.
        clients: Vec<HexDigest>,
    },
}

/// Where a provider's system is dialled, by mode. Live is never dialled for test.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Serves {
    /// The real system or its adapter.
    pub live: Option<Dial>,
    /// Its test double.
    pub test: Option<Dial>,
}

/// How one system is dialled, such that it can accept its server alone.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
pub enum Dial {
    /// A Unix socket: its file mode keeps others out.
    Unix(FilePath),
    /// A loopback address, where any local process could call: the system asks for a token.
    Loopback {
        /// Must be a loopback address.
        dial: Endpoint,
        /// The file with the token the system asks for (`entente-token`).
        token: SecretFile,
    },
}

/// A SHA-256 in hexadecimal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct HexDigest(pub Digest);

/// Bounds on work and time (DESIGN.md §16).
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Calls in flight in each role, local callers and peers counted apart. Default 1,000.
    pub in_flight: usize,
    /// Share of `in_flight` one peer or one local system may hold, in percent. Default 20.
    pub share_percent: usize,
    /// Deadline of a call that names none. Default 10 s.
    pub deadline: DurationText,
    /// How long an unfinished call may go on after SIGTERM. Default 30 s.
    pub drain: DurationText,
}

// === impl Config ===

impl Config {
    /// What the environment may say in the place of the file. Relative paths there are taken from the
    /// current folder.
    pub const OVERRIDES: [Override<Self>; 5] = [
        Override {
            variable: "ENTENTE_DATA",
            key: "data",
            apply: |config, text| set(&mut config.data, text),
        },
        Override {
            variable: "ENTENTE_KEYS",
            key: "keys",
            apply: |config, text| set(&mut config.keys, text),
        },
        Override {
            variable: "ENTENTE_ANCHOR",
            key: "anchor",
            apply: |config, text| set(&mut config.anchor, text),
        },
        Override {
            variable: "ENTENTE_PEER_LISTEN",
            key: "peer.listen",
            apply: |config, text| set(&mut config.peer.listen, text),
        },
        Override {
            variable: "ENTENTE_ADMIN_LISTEN",
            key: "admin.listen",
            apply: |config, text| set(&mut config.admin.listen, text),
        },
    ];

    /// Reads a file, and over it the environment; paths in the file are relative to its folder.
    ///
    /// # Errors
    /// When the file cannot be read, or does not say exactly what it should, with the line; or a variable
    /// does not.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        entente_config::load_with(path, &Self::OVERRIDES, &|name| std::env::var(name).ok())
    }
}

// === impl Serves ===

impl Serves {
    /// What is configured, by mode.
    pub fn by_mode(&self) -> impl Iterator<Item = (Mode, &Dial)> {
        let modes = [(Mode::Live, &self.live), (Mode::Test, &self.test)];
        modes
            .into_iter()
            .filter_map(|(mode, dial)| Some((mode, dial.as_ref()?)))
    }
}

// === impl Dial ===

impl Dial {
    /// Whether only this machine can answer there.
    pub(crate) fn is_local(&self) -> bool {
        match self {
            Self::Unix(_) => true,
            Self::Loopback { dial, .. } => dial.is_local(),
        }
    }
}

// === impl HexDigest ===

impl TryFrom<String> for HexDigest {
    type Error = entente_signing::InvalidDigest;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse().map(Self)
    }
}

impl From<HexDigest> for String {
    fn from(digest: HexDigest) -> Self {
        digest.0.to_string()
    }
}

// === impl Limits ===

impl Default for Limits {
    fn default() -> Self {
        Self {
            in_flight: 1_000,
            share_percent: 20,
            deadline: DurationText::from_secs(10),
            drain: DurationText::from_secs(30),
        }
    }
}

/// The longest deadline a unary call may ask for.
pub const MAX_DEADLINE: Duration = Duration::from_secs(300);

/// The largest message, in bytes.
pub const MAX_MESSAGE: usize = 16 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_system_on_loopback_is_not_configured_without_a_token() {
        let read = |live: &str| entente_config::parse::<Serves>(&format!("live: {live}"), "test");
        let token = "token: {file: ./adapter.token}";
        assert!(read("{unix: ./adapter.sock}").is_ok());
        assert!(
            read(&format!(
                "{{loopback: {{dial: \"127.0.0.1:7500\", {token}}}}}"
            ))
            .is_ok()
        );
        for refused in [
            "\"127.0.0.1:7500\"",
            "{loopback: \"127.0.0.1:7500\"}",
            "{loopback: {dial: \"127.0.0.1:7500\"}}",
            "{loopback: {dial: \"127.0.0.1:7500\", token: entente_0123}}",
        ] {
            assert!(read(refused).is_err(), "{refused}");
        }
    }
}
