//! HPKE keys of a server. Rotated weekly and destroyed after 48 h of overlap, by their keeper.

use std::fmt;

use entente_signing::Digest;
use hpke::kem::{X25519HkdfSha256, XWing};
use hpke::{Deserializable, Kem, Serializable};
use zeroize::Zeroizing;

use super::{SealError, Suite};
use crate::random;

/// The first 8 bytes of the SHA-256 of a public key's bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SealKeyId(pub [u8; 8]);

/// A server's public HPKE key, as its directory record holds it.
#[derive(Clone, PartialEq, Eq)]
pub struct SealPublicKey {
    suite: Suite,
    bytes: Box<[u8]>,
}

/// A server's HPKE key pair.
pub struct SealKeyPair {
    pub(super) private: Private,
    public: SealPublicKey,
}

pub(super) enum Private {
    X25519(<X25519HkdfSha256 as Kem>::PrivateKey),
    XWing(Box<<XWing as Kem>::PrivateKey>),
}

// === impl SealKeyId ===

impl fmt::Display for SealKeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for SealKeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

// === impl SealPublicKey ===

impl SealPublicKey {
    /// Reads a public key of a suite: 1,216 bytes for X-Wing, 32 for X25519.
    ///
    /// # Errors
    /// When the bytes are no key of it.
    pub fn parse(suite: Suite, bytes: &[u8]) -> Result<Self, SealError> {
        let valid = bytes.len() == suite.public_key_len()
            && match suite {
                Suite::X25519 => <X25519HkdfSha256 as Kem>::PublicKey::from_bytes(bytes).is_ok(),
                Suite::XWing => <XWing as Kem>::PublicKey::from_bytes(bytes).is_ok(),
            };
        if !valid {
            return Err(SealError::Key { suite });
        }
        Ok(Self {
            suite,
            bytes: bytes.into(),
        })
    }

    /// The suite it belongs to.
    pub const fn suite(&self) -> Suite {
        self.suite
    }

    /// Its bytes.
    pub const fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Its short name in frames and in a session's `info`.
    pub fn key_id(&self) -> SealKeyId {
        let mut id = [0; 8];
        id.copy_from_slice(&Digest::of(&self.bytes).as_bytes()[..8]);
        SealKeyId(id)
    }
}

impl fmt::Debug for SealPublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} key {}", self.suite, self.key_id())
    }
}

// === impl SealKeyPair ===

impl SealKeyPair {
    /// A new random key.
    ///
    /// # Errors
    /// When the machine has no randomness to give.
    pub fn generate(suite: Suite) -> Result<Self, SealError> {
        // Both private keys are any 32 bytes: X25519 clamps them, X-Wing expands them as a seed.
        let bytes = Zeroizing::new(random::fill::<32>()?);
        Self::from_bytes(suite, bytes.as_slice())
    }

    /// The key with these private bytes, 32 for either suite.
    ///
    /// # Errors
    /// When there are not 32.
    pub fn from_bytes(suite: Suite, bytes: &[u8]) -> Result<Self, SealError> {
        let invalid = |_| SealError::Key { suite };
        let (private, public) = match suite {
            Suite::X25519 => {
                let key = <X25519HkdfSha256 as Kem>::PrivateKey::from_bytes(bytes);
                let key = key.map_err(invalid)?;
                let public = X25519HkdfSha256::sk_to_pk(&key).to_bytes().to_vec();
                (Private::X25519(key), public)
            }
            Suite::XWing => {
                let key = <XWing as Kem>::PrivateKey::from_bytes(bytes).map_err(invalid)?;
                let public = XWing::sk_to_pk(&key).to_bytes().to_vec();
                (Private::XWing(Box::new(key)), public)
            }
        };
        Ok(Self {
            private,
            public: SealPublicKey {
                suite,
                bytes: public.into(),
            },
        })
    }

    /// The private bytes, for the key's keeper. Secret.
    pub fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        Zeroizing::new(match &self.private {
            Private::X25519(key) => key.to_bytes().to_vec(),
            Private::XWing(key) => key.to_bytes().to_vec(),
        })
    }

    /// The public half.
    pub const fn public(&self) -> &SealPublicKey {
        &self.public
    }
}

impl fmt::Debug for SealKeyPair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "private {:?}", self.public)
    }
}
