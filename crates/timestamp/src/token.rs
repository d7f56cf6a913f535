//! Verifying a token: CMS `SignedData` by one signer over a `TSTInfo`.

mod signed_data;

use std::time::Duration;

use entente_clock::Timestamp;
use entente_reason::Reason;
use entente_signing::Digest;

use crate::authorities::{Authorities, Policy};
use crate::info::Info;
use signed_data::SignedData;

/// What a verified token says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stamp {
    at: Timestamp,
    accuracy: Duration,
    policy: Policy,
    serial: Vec<u8>,
}

/// Why a token is not accepted. Variants are alphabetical.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TokenError {
    /// Its signer's certificate does not stand under a configured root.
    #[error("the token's signer is no authority that is believed")]
    Authority(#[source] webpki::Error),
    /// The signed attributes are missing, or are not those of this content and signer.
    #[error("the token's signed attributes do not fit: {0}")]
    Attributes(&'static str),
    /// A certificate was not valid at the time the token states.
    #[error("a certificate of the token was not valid at the time it states")]
    Expired(#[source] webpki::Error),
    /// It stamps something else.
    #[error("the token is over something else")]
    Imprint,
    /// Not a token, or one of a form that is not read.
    #[error("the token cannot be read: {0}")]
    Malformed(&'static str),
    /// It states another policy than the one demanded.
    #[error("the token was issued under another policy")]
    Policy,
    /// The signer's certificate is not for time stamping, and that alone.
    #[error("the token's signer has no certificate for time stamping alone")]
    Purpose,
    /// The signature does not verify, or is of a kind that is not accepted.
    #[error("the token's signature does not verify")]
    Signature,
}

/// Verifies a token over a SHA-256.
///
/// The authority's certificate is judged at the time that the token states: a token stays good after its
/// authority's certificate has ended. Whether it was revoked is not asked.
///
/// # Errors
/// When any check fails.
pub fn verify(
    token: &[u8],
    imprint: Digest,
    authorities: &Authorities,
) -> Result<Stamp, TokenError> {
    verify_with_nonce(token, imprint, authorities).map(|(stamp, _)| stamp)
}

/// The time that a token over a SHA-256 states. Nothing is verified: it may be anybody's.
///
/// # Errors
/// When it is no token, or over something else.
pub fn stated(token: &[u8], imprint: Digest) -> Result<Timestamp, TokenError> {
    let (_, info) = read(token)?;
    if info.imprint != Some(imprint.as_bytes()) {
        return Err(TokenError::Imprint);
    }
    Ok(info.at)
}

fn read(token: &[u8]) -> Result<(SignedData<'_>, Info<'_>), TokenError> {
    if token.len() > MAX_TOKEN {
        return Err(TokenError::Malformed("too long"));
    }
    let signed = SignedData::parse(token).map_err(|_| TokenError::Malformed("CMS"))?;
    let info = Info::parse(signed.content).map_err(|_| TokenError::Malformed("TSTInfo"))?;
    Ok((signed, info))
}

pub(crate) fn verify_with_nonce<'a>(
    token: &'a [u8],
    imprint: Digest,
    authorities: &Authorities,
) -> Result<(Stamp, Option<&'a [u8]>), TokenError> {
    let (signed, info) = read(token)?;
    let signature = signed.check_attributes()?;
    let (signer, others) = signed.signer()?;
    authorities.verify(signer, &others, info.at, &signature)?;
    if info.imprint != Some(imprint.as_bytes()) {
        return Err(TokenError::Imprint);
    }
    if authorities
        .policy()
        .is_some_and(|policy| policy != info.policy)
    {
        return Err(TokenError::Policy);
    }
    let stamp = Stamp {
        at: info.at,
        accuracy: info.accuracy,
        policy: info.policy,
        serial: info.serial.to_vec(),
    };
    Ok((stamp, info.nonce))
}

// === impl Stamp ===

impl Stamp {
    /// When the authority says it was.
    pub const fn at(&self) -> Timestamp {
        self.at
    }

    /// How far [`Stamp::at`] may be off, by the authority's own word; zero when it does not say.
    pub const fn accuracy(&self) -> Duration {
        self.accuracy
    }

    /// The latest time at which what was stamped came to be.
    pub fn latest(&self) -> Timestamp {
        self.at.saturating_add(self.accuracy)
    }

    /// The policy the authority issued it under.
    pub const fn policy(&self) -> Policy {
        self.policy
    }

    /// The token's serial number, as a DER INTEGER's content.
    pub fn serial(&self) -> &[u8] {
        &self.serial
    }
}

// === impl TokenError ===

impl TokenError {
    /// What a caller is told when for want of stamps exchange stops.
    pub const fn reason(&self) -> Reason {
        Reason::TimeUnproven
    }
}

/// The largest token that is read: real ones are 1 to 8 KiB, with their certificates.
pub const MAX_TOKEN: usize = 32 * 1_024;
