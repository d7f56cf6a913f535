//! What a key is for. One key, one use.

use std::fmt;
use std::str::FromStr;

use entente_signing::Algorithm;

/// The one thing a key is for. Variants are alphabetical; names are part of file names, so they
/// are never changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum KeyUse {
    /// Opens sealed payloads addressed to a server: the 32-byte seed of an X-Wing key.
    Hpke,
    /// Wraps the sidecar's record keys of one retention class and day: 32 bytes.
    Kek,
    /// Signs a ledger's checkpoints. Ed25519.
    Ledger,
    /// Registers a member's servers and seals its exports. P-256.
    Member,
    /// Signs agreement acts for a member. P-256.
    Officer,
    /// Replaces any other key of a member; kept offline. P-256.
    Recovery,
    /// Approves changes in a registry. P-256.
    Registrar,
    /// Certifies a security server's session keys and rotates its other keys. P-256.
    Server,
    /// Keys a member's subject tags: 32 bytes.
    Tag,
    /// Proves a TLS end. P-256.
    Tls,
    /// Cosigns other ledgers' checkpoints. Ed25519.
    Witness,
}

// === impl KeyUse ===

impl KeyUse {
    /// Every use.
    pub const ALL: [Self; 11] = [
        Self::Hpke,
        Self::Kek,
        Self::Ledger,
        Self::Member,
        Self::Officer,
        Self::Recovery,
        Self::Registrar,
        Self::Server,
        Self::Tag,
        Self::Tls,
        Self::Witness,
    ];

    /// The name, as it appears in files and commands.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Hpke => "hpke",
            Self::Kek => "kek",
            Self::Ledger => "ledger",
            Self::Member => "member",
            Self::Officer => "officer",
            Self::Recovery => "recovery",
            Self::Registrar => "registrar",
            Self::Server => "server",
            Self::Tag => "tag",
            Self::Tls => "tls",
            Self::Witness => "witness",
        }
    }

    /// The algorithm of a signing key for this use; `None` for uses that need a raw secret.
    pub const fn algorithm(self) -> Option<Algorithm> {
        match self {
            Self::Hpke | Self::Kek | Self::Tag => None,
            Self::Ledger | Self::Witness => Some(Algorithm::Ed25519),
            Self::Member
            | Self::Officer
            | Self::Recovery
            | Self::Registrar
            | Self::Server
            | Self::Tls => Some(Algorithm::P256),
        }
    }
}

impl fmt::Display for KeyUse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for KeyUse {
    type Err = ();

    fn from_str(name: &str) -> Result<Self, ()> {
        Self::ALL
            .into_iter()
            .find(|key_use| key_use.as_str() == name)
            .ok_or(())
    }
}
