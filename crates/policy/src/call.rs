//! What is decided on, and what is permitted.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use entente_agreement::{
    ActorDisclosure, AgreementId, AgreementName, Mode as ClauseMode, NoticeClass, RetentionClass,
    Volume,
};
use entente_clock::Timestamp;
use entente_directory::{Federation, Mode};
use entente_identity::{ElementName, Jurisdiction, MethodName, PurposeCode, SystemId};
use entente_signing::Digest;

/// A server's directory, and how far it can be relied on.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    /// The verified states of its own registry and of those it recognises.
    pub federation: &'a Federation,
    /// How fresh each of them is.
    pub freshness: &'a dyn Freshness,
}

/// How fresh a registry's verified state is.
pub trait Freshness: fmt::Debug {
    /// The last moment at which the registry of a jurisdiction, by its quorum, confirmed the state.
    fn fresh_at(&self, jurisdiction: &Jurisdiction) -> Timestamp;
}

/// The same for every registry.
impl Freshness for Timestamp {
    fn fresh_at(&self, _: &Jurisdiction) -> Timestamp {
        *self
    }
}

/// A call, as far as the decision needs to know it.
#[derive(Clone, Debug)]
pub struct Call<'a> {
    /// The system that asks; proven, not claimed.
    pub consumer: &'a SystemId,
    /// The system asked.
    pub provider: &'a SystemId,
    /// The method.
    pub method: &'a MethodName,
    /// The purpose stated.
    pub purpose: Option<&'a PurposeCode>,
    /// The agreement named, by `entente-agreement` or by the peer's statement.
    pub named: Option<&'a Named>,
    /// The elements asked for in the answer; absent asks for all that the clause releases.
    pub asked: Option<&'a BTreeSet<ElementName>>,
    /// Whether an end user is named.
    pub user_present: bool,
    /// Whether a case is named.
    pub case_present: bool,
    /// How surely the end user is known, 0 to 4; 0 when not stated.
    pub assurance: u8,
    /// Live or test.
    pub mode: Mode,
}

/// The agreement a caller relies on: `DEMO-001`, `DEMO-001#2`, or the hash in place of the name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    /// Which agreement.
    pub which: Which,
    /// Which clause; absent is whichever matches.
    pub clause: Option<u32>,
}

/// How an agreement is named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Which {
    /// By its hash.
    Hash(AgreementId),
    /// By its short name: whichever version is in force.
    Name(AgreementName),
}

/// A text that names no agreement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an agreement: expected its short name or hash, and `#` with a clause number")]
pub struct InvalidNamed;

/// Leave for one call, and its terms.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Permit {
    /// The agreement's hash.
    pub agreement: AgreementId,
    /// Its short name.
    pub name: AgreementName,
    /// The clause.
    pub clause: u32,
    /// How its data is exchanged: only in bulk may it be about more subjects than are named.
    pub clause_mode: ClauseMode,
    /// SHA-256 of the descriptor set the parties agreed on: the contract to filter with.
    pub descriptor_set: Digest,
    /// Elements the request may hold; anything else in it refuses the call.
    pub request: BTreeSet<ElementName>,
    /// Elements the answer may hold: what the clause releases, narrowed to what was asked.
    pub released: BTreeSet<ElementName>,
    /// Whether the caller narrowed it.
    pub narrowed: bool,
    /// How long the recipient keeps it, by class: the class names the key that is destroyed.
    pub retention_class: RetentionClass,
    /// Days from receipt until its openings are destroyed.
    pub retention_days: u32,
    /// Days for which the payload itself is kept; absent is never.
    pub keep_payload_days: Option<u32>,
    /// When the person may be told.
    pub notice_class: NoticeClass,
    /// How much of the official is shown.
    pub actor_disclosure: ActorDisclosure,
    /// Ceilings to count against.
    pub volume: Option<Volume>,
    /// When the agreement ends, or the service before it: an open call is decided again no later than this.
    pub not_after: Timestamp,
}

// === impl Permit ===

impl Permit {
    /// The elements asked for, in order, as the request's statement lists them.
    pub fn asked(&self) -> impl Iterator<Item = &ElementName> {
        self.released.iter()
    }
}

// === impl Named ===

impl Named {
    /// The clause of the agreement with this hash: what a peer's statement names.
    pub const fn clause_of(agreement: AgreementId, clause: u32) -> Self {
        Self {
            which: Which::Hash(agreement),
            clause: Some(clause),
        }
    }
}

impl FromStr for Named {
    type Err = InvalidNamed;

    fn from_str(text: &str) -> Result<Self, InvalidNamed> {
        let (which, clause) = match text.split_once('#') {
            None => (text, None),
            Some((which, clause)) => (which, Some(clause.parse().map_err(|_| InvalidNamed)?)),
        };
        let hash = which.parse().map(Which::Hash);
        let which = hash.or_else(|_| which.parse().map(Which::Name));
        let which = which.map_err(|_| InvalidNamed)?;
        Ok(Self { which, clause })
    }
}

impl fmt::Display for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.which {
            Which::Hash(hash) => write!(f, "{hash}")?,
            Which::Name(name) => write!(f, "{name}")?,
        }
        match self.clause {
            Some(clause) => write!(f, "#{clause}"),
            None => Ok(()),
        }
    }
}
