//! Sealing: seal sessions between two servers, and the frames sealed under them (DESIGN.md §6).
//!
//! A session is one HPKE setup (RFC 9180, base mode, HKDF-SHA256, export-only) from the consumer's
//! server to the provider's, for one mode. Its `info` is, each with a 16-bit big-endian length in
//! front: suite name, sender server, receiver server, mode (`live` or `test`), HPKE key id. Keys
//! come from its exporter alone:
//!
//! `key = Export("entente/seal/v1" ‖ SHA-256(enc) ‖ message id ‖ u8 direction ‖ r, 32)`, direction
//! 0 for the request's and 1 for the response's, `r` 32 fresh random bytes sent in clear.
//!
//! Frames are AES-256-GCM: nonce the frame's number in its direction as 96 bits big-endian,
//! additional data the statement hash of the direction's opening ‖ u8 final. Directions are types
//! here: the side that set a session up seals requests and opens responses, the other side the
//! reverse, so an answer cannot but be sealed under the session that opened its request.
//!
//! Sealing says nothing about who sealed; the signed statement does. A receiver keeps a session
//! only after its Open verified and opened, which is its caller's business.

mod frame;
mod key;
mod session;

use std::fmt;
use std::str::FromStr;

use entente_identity::ServerId;
use entente_reason::Reason;

use crate::random::{self, RandomError};
use crate::statement::Mode;

pub use frame::{FrameOpener, FrameSealer};
pub use key::{SealKeyId, SealKeyPair, SealPublicKey};
pub use session::{ReceiveSession, SendSession, SessionId};

/// A key encapsulation, with HKDF-SHA256 and AES-256-GCM.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Suite {
    /// X25519 alone (RFC 9180 KEM 0x0020): only where the directory says so.
    X25519,
    /// X-Wing, ML-KEM-768 with X25519 (KEM 0x647a).
    XWing,
}

/// The two ends of a session and what it is for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SealParties {
    /// The server that sends requests.
    pub sender: ServerId,
    /// The server that receives them.
    pub receiver: ServerId,
    /// Live or test.
    pub mode: Mode,
}

/// `r`: 32 random bytes that make the key of one direction of one exchange its own.
///
/// Neither `Clone` nor `Copy`: sealing consumes it, so it is not used twice by oversight.
pub struct SealRandom([u8; 32]);

/// Why something was not sealed or opened.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SealError {
    /// The session is over: 15 minutes or 2²⁰ messages. Set up another.
    #[error("seal session is over")]
    Ended,
    /// No more frames under this key: the final one was sealed or opened, or 2³² were.
    #[error("no frame may follow under this seal key")]
    Finished,
    /// The frame does not open under this key, number, final flag and statement.
    #[error("sealed frame does not open")]
    Frame,
    /// A public or encapsulated key that is not one of its suite.
    #[error("not a key of seal suite {suite}")]
    Key {
        /// The suite.
        suite: Suite,
    },
    /// No random bytes could be drawn.
    #[error("could not prepare to seal")]
    Random(#[from] RandomError),
    /// A suite this version does not know.
    #[error("unknown seal suite")]
    Suite,
    /// The frame is longer than any that may be sealed.
    #[error("frame is too large to seal or open")]
    TooLarge,
}

// === impl Suite ===

impl Suite {
    /// Its name in the directory, in frames and in a session's `info`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::X25519 => "x25519-sha256-aes256gcm",
            Self::XWing => "xwing-sha256-aes256gcm",
        }
    }

    /// Length of a public key, in bytes.
    pub const fn public_key_len(self) -> usize {
        match self {
            Self::X25519 => 32,
            Self::XWing => 1216,
        }
    }

    /// Length of an encapsulation, in bytes.
    pub const fn enc_len(self) -> usize {
        match self {
            Self::X25519 => 32,
            Self::XWing => 1120,
        }
    }
}

impl fmt::Display for Suite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Suite {
    type Err = SealError;

    fn from_str(name: &str) -> Result<Self, SealError> {
        [Self::X25519, Self::XWing]
            .into_iter()
            .find(|suite| suite.name() == name)
            .ok_or(SealError::Suite)
    }
}

// === impl SealRandom ===

impl SealRandom {
    /// Fresh, to seal with.
    ///
    /// # Errors
    /// When the machine has no randomness to give.
    pub fn generate() -> Result<Self, RandomError> {
        random::fill().map(Self)
    }

    /// As received, to open with.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// As received, to open with; nothing unless there are exactly 32 bytes.
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    /// Its bytes, to send in clear.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for SealRandom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SealRandom")
    }
}

// === impl SealError ===

impl SealError {
    /// `SEAL_INVALID` for what came, `PEER_VERSION` for an unknown suite, `SESSION_UNKNOWN` for a
    /// session that is over, `MESSAGE_TOO_LARGE`, or `INTERNAL_FAULT`.
    pub const fn reason(&self) -> Reason {
        match self {
            Self::Ended => Reason::SessionUnknown,
            Self::Finished | Self::Frame | Self::Key { .. } => Reason::SealInvalid,
            Self::Random(source) => source.reason(),
            Self::Suite => Reason::PeerVersion,
            Self::TooLarge => Reason::MessageTooLarge,
        }
    }
}
