//! What an authority is asked, and opening what it answers.

use der::Tag;
use entente_reason::Reason;
use entente_signing::Digest;

use crate::authorities::{Authorities, Policy, SHA256};
use crate::fields::{Fields, Unreadable, only};
use crate::token::{self, MAX_TOKEN, Stamp, TokenError};

/// One question: stamp this SHA-256.
#[derive(Clone, Debug)]
pub struct Query {
    imprint: Digest,
    /// Positive and in its shortest form, so that it comes back as the same bytes.
    nonce: [u8; NONCE],
    policy: Option<Policy>,
}

/// Why a reply is not a stamp. Variants are alphabetical.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReplyError {
    /// Not a `TimeStampResp`.
    #[error("the authority's reply is not a time-stamp response")]
    Malformed,
    /// It answers another question.
    #[error("the authority's reply does not hold the nonce it was asked with")]
    Nonce,
    /// The authority refused.
    #[error("the authority refused to stamp, with status {status}")]
    Refused {
        /// `PKIStatus`: 2 rejection, 3 waiting, 4 and 5 about revocation.
        status: u8,
    },
    /// Its token is not accepted.
    #[error("the authority's token is not accepted")]
    Token(#[from] TokenError),
}

// === impl Query ===

impl Query {
    /// Asks `authorities` for a stamp over a SHA-256, with a fresh nonce.
    ///
    /// # Panics
    /// When the operating system has no randomness to give, as nothing is safe then.
    pub fn new(imprint: Digest, authorities: &Authorities) -> Self {
        let mut nonce = [0; NONCE];
        getrandom::fill(&mut nonce).expect("the operating system gives randomness");
        nonce[0] = nonce[0] & 0x3f | 0x40;
        Self {
            imprint,
            nonce,
            policy: authorities.policy(),
        }
    }

    /// `TimeStampReq` in DER: version 1, the imprint, the policy if one is wanted, the nonce, and the wish
    /// to have the signer's certificate in the token.
    pub fn encode(&self) -> Vec<u8> {
        let algorithm = element(0x30, &[&element(0x06, SHA256)[..], &[0x05, 0]].concat());
        let imprint = element(0x04, self.imprint.as_bytes());
        let mut body = vec![0x02, 1, 1];
        body.extend(element(0x30, &[algorithm, imprint].concat()));
        if let Some(policy) = &self.policy {
            body.extend(element(0x06, policy.as_bytes()));
        }
        body.extend(element(0x02, &self.nonce));
        body.extend([0x01, 1, 0xff]);
        element(0x30, &body)
    }

    /// Opens a reply: the token it holds, verified in every respect, and what it says.
    ///
    /// That its time is near that of this machine is the caller's to check.
    ///
    /// # Errors
    /// When the authority refused, or its answer is not a good token for this very question.
    pub fn open<'a>(
        &self,
        reply: &'a [u8],
        authorities: &Authorities,
    ) -> Result<(&'a [u8], Stamp), ReplyError> {
        if reply.len() > MAX_REPLY {
            return Err(ReplyError::Malformed);
        }
        let token = token_of(reply)?;
        let (stamp, nonce) = token::verify_with_nonce(token, self.imprint, authorities)?;
        if nonce != Some(&self.nonce) {
            return Err(ReplyError::Nonce);
        }
        Ok((token, stamp))
    }
}

/// The token in a `TimeStampResp`.
fn token_of(reply: &[u8]) -> Result<&[u8], ReplyError> {
    let mut fields = Fields::of(only(reply, Tag::Sequence)?)?;
    let mut status = fields.sequence()?;
    // What else the authority says of its refusal is in no language we could pass on.
    match status.small()? {
        0 | 1 => {}
        status => return Err(ReplyError::Refused { status }),
    }
    let token = fields.take(Tag::Sequence)?.whole;
    fields.end()?;
    Ok(token)
}

/// Tag, length and content of at most 255 bytes.
fn element(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = u8::try_from(content.len()).expect("a query's fields are short");
    let head: &[u8] = match length {
        0..=0x7f => &[tag, length],
        _ => &[tag, 0x81, length],
    };
    [head, content].concat()
}

impl From<Unreadable> for ReplyError {
    fn from(_: Unreadable) -> Self {
        Self::Malformed
    }
}

// === impl ReplyError ===

impl ReplyError {
    /// What a caller is told when for want of stamps exchange stops.
    pub const fn reason(&self) -> Reason {
        Reason::TimeUnproven
    }
}

/// Some authorities take no more than 64 bits.
const NONCE: usize = 8;
/// Status and token.
const MAX_REPLY: usize = MAX_TOKEN + 4_096;
