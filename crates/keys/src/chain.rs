//! What stands above a session certificate for a court: the server's certificate, issued by its
//! member's key, and the member's own.
//!
//! ```text
//! member    self-signed        CA, pathlen 1   P-256     entente:member:<member id>
//!  └ server   by the member    CA, pathlen 0   P-256     entente:server:<server id>
//!     └ session by the server  no CA, ≤ 24 h   Ed25519   SessionCertificate
//! ```
//!
//! `openssl verify -CAfile member.pem -untrusted server.pem session.pem` accepts it; `-attime` asks
//! about another day. **Nothing in an exchange is trusted for it:** there the directory says which key
//! is whose, at once and with revocation. Its entries, which bind the same keys to the same names, are
//! what makes the member's certificate believable.

mod issue;
mod verify;

use std::time::Duration;

use entente_clock::Timestamp;
use entente_identity::{MemberId, ServerId};
use entente_reason::Reason;
use entente_signing::{SignError, Signer, VerifyingKey};

use crate::pem::{self, CERTIFICATE};

/// From when until when (inclusive) a certificate is valid, in whole seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validity {
    not_before: Timestamp,
    not_after: Timestamp,
}

/// A member's certificate: the root of its chains, and what its seals are verified by. Signed by
/// its own key, and verified when it was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberCertificate {
    der: Vec<u8>,
    member: MemberId,
    key: VerifyingKey,
    validity: Validity,
}

/// The two certificates above the sessions of one server, verified when it was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chain {
    der: Vec<u8>,
    server: ServerId,
    key: VerifyingKey,
    validity: Validity,
    member: MemberCertificate,
}

/// Why certificates could not be issued.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ChainIssueError {
    /// The member's key did not sign.
    #[error("signing a certificate with the member's key")]
    Away(#[source] SignError),
    /// The issuing key is not the one its certificate names.
    #[error("the member's certificate is for another key than the one that signs")]
    Issuer,
    /// A key is not P-256.
    #[error("certificates of members and servers are for P-256 keys")]
    Key,
    /// The certificate could not be made.
    #[error("making a certificate")]
    Sign(#[source] rcgen::Error),
    /// A server of another member.
    #[error("{server} is not a server of {member}")]
    Stranger {
        /// The server.
        server: ServerId,
        /// The member.
        member: MemberId,
    },
    /// The period is empty, longer than 30 years, or not within the issuer's.
    #[error("a certificate is valid for at most 30 years, and within the time of its issuer's")]
    Validity,
}

/// Why certificates are not a chain. Variants are alphabetical.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ChainError {
    /// Not exactly a server's certificate and then its member's.
    #[error("a chain is a server's certificate and then its member's")]
    Count,
    /// An extension is missing, twice, not as it is issued, or unknown and critical.
    #[error("a certificate's extensions are not those of its place in the chain")]
    Extension,
    /// A key is not P-256.
    #[error("a certificate's key is not P-256")]
    Key,
    /// It does not parse, or is larger than 4 KiB.
    #[error("a certificate is malformed")]
    Malformed,
    /// It does not name what stands there, or a server of another member.
    #[error("a certificate does not name the server or member of its place in the chain")]
    Names,
    /// Not signed by the key above it.
    #[error("a certificate is not signed by the key above it")]
    Signature,
    /// The period is empty, too long, or not within the issuer's.
    #[error("a certificate's time is too long, or not within its issuer's")]
    Validity,
}

// === impl Validity ===

impl Validity {
    /// The longest a member's or server's certificate lasts.
    pub const MAX: Duration = Duration::from_secs(30 * YEAR.as_secs());
    /// What it lasts unless somebody says otherwise: as long as evidence is commonly kept.
    pub const USUAL: Duration = Duration::from_secs(10 * YEAR.as_secs());

    /// A period, both ends cut to whole seconds; `None` when it is empty or longer than
    /// [`Self::MAX`].
    pub fn new(not_before: Timestamp, not_after: Timestamp) -> Option<Self> {
        let (not_before, not_after) = (whole(not_before), whole(not_after));
        let lasts = not_after > not_before && not_after.since(not_before) <= Self::MAX;
        lasts.then_some(Self {
            not_before,
            not_after,
        })
    }

    /// `lasting` from `not_before`.
    pub fn lasting(not_before: Timestamp, lasting: Duration) -> Option<Self> {
        Self::new(not_before, not_before.saturating_add(lasting))
    }

    /// The first second.
    pub const fn not_before(self) -> Timestamp {
        self.not_before
    }

    /// The last second.
    pub const fn not_after(self) -> Timestamp {
        self.not_after
    }

    /// Whether `at` is in it.
    pub fn contains(self, at: Timestamp) -> bool {
        (self.not_before..=self.not_after).contains(&whole(at))
    }

    /// Whether all of `other` is in it.
    pub fn covers(self, other: Self) -> bool {
        self.not_before <= other.not_before && other.not_after <= self.not_after
    }
}

// === impl MemberCertificate ===

impl MemberCertificate {
    /// Issues a member's certificate under its own P-256 key. The same arguments give the same signed
    /// part.
    ///
    /// # Errors
    /// When the key is not P-256, or cannot sign.
    pub fn issue(
        key: &dyn Signer,
        member: &MemberId,
        validity: Validity,
    ) -> Result<Self, ChainIssueError> {
        issue::member(key, member, validity)
    }

    /// Issues the certificate of one of the member's servers. `key` is the member's.
    ///
    /// # Errors
    /// When a key is not what it should be or cannot sign, the server is another member's, or the
    /// time is not within this certificate's.
    pub fn certify(
        &self,
        key: &dyn Signer,
        server: &ServerId,
        server_key: &VerifyingKey,
        validity: Validity,
    ) -> Result<Chain, ChainIssueError> {
        issue::server(self, key, server, server_key, validity)
    }

    /// Reads and verifies a member's certificate.
    ///
    /// # Errors
    /// When anything at all is not as [`Self::issue`] makes it.
    pub fn parse(der: &[u8]) -> Result<Self, ChainError> {
        verify::member(der)
    }

    /// As [`Self::parse`], from the one PEM block of `text`.
    ///
    /// # Errors
    /// As [`Self::parse`].
    pub fn from_pem(text: &str) -> Result<Self, ChainError> {
        match pem::decode_certificates(text).as_deref() {
            Some([der]) => Self::parse(der),
            _ => Err(ChainError::Malformed),
        }
    }

    /// In DER.
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// In PEM.
    pub fn to_pem(&self) -> String {
        pem::encode(CERTIFICATE, &self.der)
    }

    /// Whose it is.
    pub const fn member(&self) -> &MemberId {
        &self.member
    }

    /// The member's key.
    pub const fn key(&self) -> &VerifyingKey {
        &self.key
    }

    /// When it is valid.
    pub const fn validity(&self) -> Validity {
        self.validity
    }
}

// === impl Chain ===

impl Chain {
    /// Reads and verifies what stands above a session certificate: the server's, then the member's.
    ///
    /// # Errors
    /// When anything at all is not as [`MemberCertificate::certify`] makes it.
    pub fn parse<B: AsRef<[u8]>>(above: &[B]) -> Result<Self, ChainError> {
        match above {
            [server, member] => verify::server(server.as_ref(), verify::member(member.as_ref())?),
            _ => Err(ChainError::Count),
        }
    }

    /// As [`Self::parse`], from the two PEM blocks of `text`.
    ///
    /// # Errors
    /// As [`Self::parse`].
    pub fn from_pem(text: &str) -> Result<Self, ChainError> {
        Self::parse(&pem::decode_certificates(text).ok_or(ChainError::Malformed)?)
    }

    /// Both in DER, the server's first: what follows the session certificate in a SESSION entry.
    pub fn certificates(&self) -> [&[u8]; 2] {
        [&self.der, &self.member.der]
    }

    /// Both in PEM, the server's first.
    pub fn to_pem(&self) -> String {
        [self.server_pem(), self.member.to_pem()].concat()
    }

    /// The server's certificate in PEM.
    pub fn server_pem(&self) -> String {
        pem::encode(CERTIFICATE, &self.der)
    }

    /// Whose sessions it stands above.
    pub const fn server(&self) -> &ServerId {
        &self.server
    }

    /// The server's key, which signs its session certificates.
    pub const fn server_key(&self) -> &VerifyingKey {
        &self.key
    }

    /// When the server's certificate is valid: within the member's.
    pub const fn validity(&self) -> Validity {
        self.validity
    }

    /// The member's certificate.
    pub const fn member(&self) -> &MemberCertificate {
        &self.member
    }
}

// === impl ChainIssueError ===

impl ChainIssueError {
    /// The refusal this amounts to: always our own failure.
    pub const fn reason(&self) -> Reason {
        Reason::InternalFault
    }
}

// === impl ChainError ===

impl ChainError {
    /// The refusal this amounts to.
    pub const fn reason(&self) -> Reason {
        Reason::SessionInvalid
    }
}

fn whole(at: Timestamp) -> Timestamp {
    Timestamp::from_millis(at.as_millis() / 1000 * 1000)
}

/// 365 days.
const YEAR: Duration = Duration::from_secs(365 * 24 * 60 * 60);
/// Before a member's name in its certificate.
const MEMBER_URI: &str = "entente:member:";
/// The kind of a member's distinguished name.
const MEMBER: &str = "member";
/// CAs that may stand below a member: its servers.
const BELOW_MEMBER: u8 = 1;
/// CAs that may stand below a server: none.
const BELOW_SERVER: u8 = 0;
