//! A data-sharing agreement: what two or more institutions signed, as data.
//!
//! [`Document`] is the typed contents, read from YAML while it is being written and from its exact
//! RFC 8785 bytes once it is signed. [`Agreement`] is a document whose rules hold together with the
//! SHA-256 of those bytes, the name every call, entry and answer carries. [`lifecycle`] is the table of states and
//! [`lint`] the five faults auditors find. What this crate does not do: decide a call (`policy`),
//! say who may sign (`directory`), or read a file or a clock.

mod canonical;
mod document;
pub mod lifecycle;
pub mod lint;
mod yaml;

use entente_reason::Reason;
use entente_signing::Digest;

pub use canonical::{Canonical, CanonicalError};
pub use document::{
    ActorDisclosure, AgreementName, Audit, Authority, Binding, Clause, Document, Format, Ground,
    Hours, InvalidTerm, LogProfile, MethodTerms, Mode, NoticeClass, Onward, OnwardRule, Oversight,
    Party, Purpose, Retention, RetentionClass, Role, RuleBroken, Safeguard, Steward, SubjectClass,
    Text, Volume, Weekday,
};

/// The name of an agreement on the wire and in every log: SHA-256 of its canonical bytes.
pub type AgreementId = Digest;

/// A document whose rules hold, and its name. The bytes the parties sign are [`Document::canonical`]: there is
/// one encoding, so they are not kept.
///
/// The only ways to make one are [`Agreement::parse`] and [`Agreement::of`]; both check every
/// structural rule, so holding one is the proof.
#[derive(Clone, Debug)]
pub struct Agreement {
    id: AgreementId,
    document: Document,
}

/// Why bytes are not an agreement.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AgreementError {
    /// The bytes are not the one encoding of a document.
    #[error("reading an agreement's signed bytes")]
    Canonical(#[source] CanonicalError),
    /// The contents contradict themselves.
    #[error("checking an agreement's contents")]
    Rule(#[source] RuleBroken),
}

// === impl AgreementError ===

impl AgreementError {
    /// What whoever proposed it is told.
    pub const fn reason(&self) -> Reason {
        Reason::AgreementInvalid
    }
}

// === impl Agreement ===

impl Agreement {
    /// From the bytes that were signed, at most [`MAX_BYTES`].
    ///
    /// # Errors
    /// When the bytes are not canonical, or the document breaks a structural rule.
    pub fn parse(bytes: &[u8]) -> Result<Self, AgreementError> {
        let document = Document::from_canonical(bytes).map_err(AgreementError::Canonical)?;
        document.check_rules().map_err(AgreementError::Rule)?;
        Ok(Self {
            id: Digest::of(bytes),
            document,
        })
    }

    /// From a document, as its author is about to sign it.
    ///
    /// # Errors
    /// When the document breaks a structural rule or is too large.
    pub fn of(document: &Document) -> Result<Self, AgreementError> {
        Self::parse(document.canonical().as_bytes())
    }

    /// The agreement's hash.
    pub fn id(&self) -> AgreementId {
        self.id
    }

    /// The typed contents.
    pub fn document(&self) -> &Document {
        &self.document
    }

    /// The clause with this number.
    pub fn clause(&self, number: u32) -> Option<&Clause> {
        self.document.clauses.iter().find(|c| c.number == number)
    }
}

/// The largest canonical agreement, in bytes.
pub const MAX_BYTES: usize = 1 << 20;
