//! Session certificates: a server's P-256 key says which Ed25519 key signs statements for it, in
//! one mode, for at most a day.
//!
//! The certificate is a plain X.509 v3 leaf, so that any tool and any court can read it:
//! `subjectAltName` holds exactly two URIs, `entente:server:<server id>` and `entente:mode:<live or
//! test>`. The issuer is the P-256 key the directory binds to the server, and its signature is all
//! that counts; what a court may want above it is a [`crate::Chain`]. Whether the session was revoked
//! is the directory's knowledge, not this crate's.

mod issue;
mod verify;

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use entente_clock::Timestamp;
use entente_identity::ServerId;
use entente_reason::Reason;
use entente_signing::{Digest, SignError, Signer, VerifyingKey};

/// Whether an exchange is real. Keys of one mode never sign for the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Mode {
    /// Real data, real effects.
    Live,
    /// Never reaches a live system.
    Test,
}

/// What a session certificate shall say.
#[derive(Clone, Debug)]
pub struct SessionOrder<'a> {
    /// The server whose session it is.
    pub server: &'a ServerId,
    /// The mode it may sign in.
    pub mode: Mode,
    /// The session's Ed25519 key.
    pub key: &'a VerifyingKey,
    /// From when, cut to whole seconds.
    pub not_before: Timestamp,
    /// Until when (inclusive), cut to whole seconds; at most 24 h later.
    pub not_after: Timestamp,
}

/// Issuing and verifying session certificates.
#[derive(Clone, Copy, Debug)]
pub struct SessionCertificate;

/// A session whose certificate was verified. Only [`SessionCertificate::verify`] makes one.
#[derive(Clone, Debug)]
pub struct VerifiedSession {
    server: ServerId,
    mode: Mode,
    key: VerifyingKey,
    not_before: Timestamp,
    not_after: Timestamp,
    digest: Digest,
}

/// Why a session certificate could not be issued.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SessionIssueError {
    /// The issuing key is not P-256, or the session key not Ed25519.
    #[error("session certificates are issued by a P-256 key to an Ed25519 key")]
    Algorithm,
    /// The server's key did not sign.
    #[error("having a session certified by the server's key")]
    Key(#[source] SignError),
    /// The certificate could not be made.
    #[error("making a session certificate")]
    Sign(#[source] rcgen::Error),
    /// The period is empty or longer than 24 h.
    #[error("a session lasts at most 24 h")]
    Validity,
}

/// Why a session certificate was not accepted. Variants are alphabetical.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SessionError {
    /// A critical extension we do not know, or one twice.
    #[error("session certificate has an extension we do not know")]
    Extension,
    /// Its period is over.
    #[error("session certificate has expired")]
    Expired,
    /// The session key is not Ed25519, or weak.
    #[error("session key is not a strong Ed25519 key")]
    Key,
    /// It does not parse, or is larger than 4 KiB.
    #[error("session certificate is malformed")]
    Malformed,
    /// It does not name one server and one mode, or names anything else.
    #[error("session certificate does not name one server and one mode")]
    Names,
    /// Its period has not begun, even allowing for 60 s between clocks.
    #[error("session certificate is not yet valid")]
    NotYetValid,
    /// Not signed by the server's key.
    #[error("session certificate is not signed by the server's key")]
    Signature,
    /// It is valid for more than 24 h.
    #[error("session certificate is valid for more than 24 h")]
    Validity,
}

// === impl SessionCertificate ===

impl SessionCertificate {
    /// The largest certificate accepted, in bytes.
    pub const MAX_BYTES: usize = crate::x509::MAX_BYTES;
    /// The longest a session may last.
    pub const MAX_VALIDITY: Duration = Duration::from_secs(24 * 60 * 60);
    /// How far ahead of ours the issuer's clock may be.
    pub const SKEW: Duration = Duration::from_secs(60);

    /// Issues a certificate under the server's P-256 key. Returns DER.
    ///
    /// # Errors
    /// When the period or an algorithm is wrong, or the key cannot sign.
    pub fn issue(
        server_key: &dyn Signer,
        order: &SessionOrder<'_>,
    ) -> Result<Vec<u8>, SessionIssueError> {
        issue::issue(server_key, order)
    }

    /// Verifies a certificate against the P-256 key the directory binds to its server. The caller
    /// checks that [`VerifiedSession::server`] is that server, the mode, and revocation.
    ///
    /// # Errors
    /// When anything at all is not as [`Self::issue`] makes it.
    pub fn verify(
        der: &[u8],
        server_key: &VerifyingKey,
        now: Timestamp,
    ) -> Result<VerifiedSession, SessionError> {
        verify::verify(der, server_key, now)
    }
}

// === impl VerifiedSession ===

impl VerifiedSession {
    /// The server whose session this is.
    pub const fn server(&self) -> &ServerId {
        &self.server
    }

    /// The mode it may sign in.
    pub const fn mode(&self) -> Mode {
        self.mode
    }

    /// The key that signs statements in this session.
    pub const fn key(&self) -> &VerifyingKey {
        &self.key
    }

    /// When the session was issued; what `session revoke {server, issued before T}` compares.
    pub const fn issued_at(&self) -> Timestamp {
        self.not_before
    }

    /// The last second in which it is valid.
    pub const fn not_after(&self) -> Timestamp {
        self.not_after
    }

    /// SHA-256 of the certificate as received.
    pub const fn digest(&self) -> Digest {
        self.digest
    }

    /// Whether the session may be used at `now`: for sessions kept after verification.
    ///
    /// # Errors
    /// [`SessionError::Expired`] or [`SessionError::NotYetValid`].
    pub fn check_time(&self, now: Timestamp) -> Result<(), SessionError> {
        // `not_after` is inclusive and in whole seconds.
        if now >= self.not_after.saturating_add(Duration::from_secs(1)) {
            Err(SessionError::Expired)
        } else if now.saturating_add(SessionCertificate::SKEW) < self.not_before {
            Err(SessionError::NotYetValid)
        } else {
            Ok(())
        }
    }
}

// === impl SessionError ===

impl SessionError {
    /// The refusal this amounts to.
    pub const fn reason(&self) -> Reason {
        match self {
            Self::Expired => Reason::SessionExpired,
            _ => Reason::SessionInvalid,
        }
    }
}

// === impl SessionIssueError ===

impl SessionIssueError {
    /// The refusal this amounts to: always our own failure.
    pub const fn reason(&self) -> Reason {
        Reason::InternalFault
    }
}

// === impl Mode ===

impl Mode {
    /// As statements write it (key 16): 1 live, 2 test.
    pub const fn code(self) -> u64 {
        match self {
            Self::Live => 1,
            Self::Test => 2,
        }
    }

    /// From a statement's number.
    pub const fn from_code(code: u64) -> Option<Self> {
        match code {
            1 => Some(Self::Live),
            2 => Some(Self::Test),
            _ => None,
        }
    }

    /// `live` or `test`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Test => "test",
        }
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Mode {
    type Err = SessionError;

    fn from_str(text: &str) -> Result<Self, SessionError> {
        match text {
            "live" => Ok(Self::Live),
            "test" => Ok(Self::Test),
            _ => Err(SessionError::Names),
        }
    }
}

/// Before the mode in the certificate.
const MODE_URI: &str = "entente:mode:";
