//! Custody in a PKCS#11 token: the key signs there and never leaves it.
//!
//! A module is spoken to by one thread of its own, so that a token that hangs holds up nobody: a
//! caller waits at most [`HsmKey::PATIENCE`], and while the token is still at something that was
//! given up, others are refused at once. After a failure everything is opened anew, once; then the
//! caller is told. A PIN that was refused is not tried again until its file says another, by no process:
//! tokens lock themselves after a few.

mod refused;
mod thread;
mod token;

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use entente_config::Pkcs11Uri;
use entente_reason::Reason;
use entente_signing::{Digest, SignError, Signer, VerifyingKey, lower_s};

use thread::{Work, Worked, ask};

/// A P-256 private key in a token. Signs with the module's mechanism `CKM_ECDSA`; every signature
/// is lowered and verified before it is given out.
#[derive(Clone)]
pub struct HsmKey {
    uri: Pkcs11Uri,
    public: VerifyingKey,
}

/// Why a key in a token could not be used. Says what to do; never says a PIN. Variants are
/// alphabetical.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HsmError {
    /// The token did not answer in time, or others wait for it already.
    #[error(
        "the token {token} did not answer within {} s: see whether its device or service is up",
        HsmKey::PATIENCE.as_secs()
    )]
    Away {
        /// Its label.
        token: String,
    },
    /// A call failed.
    #[error("{step} of the token {token} failed: see whether its device or service is up")]
    Call {
        /// Its label.
        token: String,
        /// Which, in words.
        step: &'static str,
        /// What the module said.
        #[source]
        source: cryptoki::error::Error,
    },
    /// It gave a signature that its public key does not verify.
    #[error("the key {object} of the token signs otherwise than its public key says")]
    Differs {
        /// The key's label.
        object: String,
    },
    /// Not exactly one such key.
    #[error(
        "the token {token} holds {found} P-256 keys labelled {object}, private and public half: make \
         one there, for instance with pkcs11-tool --keypairgen --key-type EC:prime256v1 --usage-sign \
         --label {object}"
    )]
    Key {
        /// The token's label.
        token: String,
        /// The key's label.
        object: String,
        /// None, or several.
        found: &'static str,
    },
    /// The module could not be loaded.
    #[error("loading the PKCS#11 module {}: see whether it is installed there", path.display())]
    Module {
        /// Where it was looked for.
        path: PathBuf,
        /// What the system or the module said.
        #[source]
        source: cryptoki::error::Error,
    },
    /// The PIN file cannot be read, is open to others, or holds no PIN.
    #[error("using the PIN file {}: it must hold the PIN, and be private (0600)", path.display())]
    Pin {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The token refused the PIN.
    #[error(
        "the token {token} refused the PIN of {}, which is not tried again until that file changes: \
         a token locks itself after a few",
        path.display()
    )]
    PinRefused {
        /// Its label.
        token: String,
        /// The file.
        path: PathBuf,
    },
    /// Not exactly one such token.
    #[error(
        "{found} token labelled {token} is there: see whether its device is connected and its label \
         right, or name its serial"
    )]
    Token {
        /// Its label.
        token: String,
        /// None, or several.
        found: &'static str,
    },
}

// === impl HsmKey ===

impl HsmKey {
    /// How long a caller waits for the token.
    pub const PATIENCE: Duration = Duration::from_secs(5);

    /// Finds the key, and has it sign once. Blocks, at most [`Self::PATIENCE`].
    ///
    /// # Errors
    /// When module, token, PIN or key are not what the URI says, or the token is away.
    pub fn open(uri: &Pkcs11Uri) -> Result<Self, HsmError> {
        let public = match ask(uri, Work::Find)? {
            Worked::Found(public) => public,
            Worked::Signed(_) => return Err(differs(uri)),
        };
        let key = Self {
            uri: uri.clone(),
            public,
        };
        // That it may sign, and for this public key, is known before anybody relies on it.
        key.try_sign(PROBE)?;
        Ok(key)
    }

    fn try_sign(&self, message: &[u8]) -> Result<[u8; 64], HsmError> {
        let signature = match ask(&self.uri, Work::Sign(Digest::of(message)))? {
            Worked::Signed(signature) => lower_s(signature),
            Worked::Found(_) => return Err(differs(&self.uri)),
        };
        // A token that was exchanged for another, or is broken, is found out here and not at a peer.
        match self.public.verify(message, &signature) {
            Ok(_) => Ok(signature),
            Err(_) => Err(differs(&self.uri)),
        }
    }
}

impl Signer for HsmKey {
    fn verifying_key(&self) -> &VerifyingKey {
        &self.public
    }

    fn sign(&self, message: &[u8]) -> Result<[u8; 64], SignError> {
        self.try_sign(message).map_err(|error| SignError {
            key_id: self.public.key_id(),
            source: Some(Box::new(error)),
        })
    }

    fn waits(&self) -> bool {
        true
    }
}

impl fmt::Debug for HsmKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "private half of {:?} in {}",
            self.public,
            self.uri.token()
        )
    }
}

// === impl HsmError ===

impl HsmError {
    /// The refusal this amounts to: always a matter of our own keys.
    pub const fn reason(&self) -> Reason {
        Reason::InternalFault
    }
}

fn differs(uri: &Pkcs11Uri) -> HsmError {
    HsmError::Differs {
        object: uri.object().to_owned(),
    }
}

/// What a key signs when it is opened. It begins like nothing else that is ever signed.
const PROBE: &[u8] = b"entente/token-probe/v1\0";
