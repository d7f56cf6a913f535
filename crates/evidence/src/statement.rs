//! The statement: what is signed about one message, and nothing personal (DESIGN.md §6).
//!
//! A statement is one deterministic CBOR map with integer keys. Which keys stand in which kind is
//! this table, enforced when it is written and when it is read (R required, o optional, blank
//! refused):
//!
//! | key | field                              | request | response | fault | close | progress |
//! |-----|------------------------------------|---------|----------|-------|-------|----------|
//! | 1   | version = 1                        | R       | R        | R     | R     | R        |
//! | 2   | kind                               | R (1)   | R (2)    | R (3) | R (4) | R (5)    |
//! | 3   | message id                         | R       | R        | R     | R     | R        |
//! | 4, 5| sender, receiver system            | R       | R        | R     | R     | R        |
//! | 6   | method                             | R       | R        | R     | R     | R        |
//! | 7   | issued at, ms                      | R       | R        | R     | R     | R        |
//! | 8   | commitments, at most 8             | R       | R        | R, empty | R  | R, empty |
//! | 9   | subject tags: 1, 4 or 16           | o       | o        | o     | o     | o        |
//! | 10  | purpose code                       | R       | R        | R     | R     | R        |
//! | 11  | statement hash of the request      |         | R        | R     | R     | R        |
//! | 12  | receipt [origin, index, leaf hash] |         | R        | R     |       |          |
//! | 13  | directory views, 1 to 16           | R       | R        | R     | o     | o        |
//! | 14, 15 | agreement hash, clause number   | R       | R        | R     | R     | R        |
//! | 16  | mode: 1 live, 2 test               | R       | R        | R     | R     | R        |
//! | 17  | elements asked / permitted, ≤ 256, ascending | R | R    |       |       |          |
//! | 18, 20 | receiver server, sender server  | R       | R        | R     | R     | R        |
//! | 19  | outcome                            |         | R, `[0]` | R, 1 or 2 | R |          |
//! | 21  | origin of the sender's ledger      | R       | R        | R     | R     | R        |
//! | 22  | mandate chain, 1 to 8 hashes       | o       |          |       |       |          |
//! | 23  | links                              | o       |          |       |       |          |
//! | 24  | actor [assurance 0–4, automated]   | o       |          |       |       |          |
//! | 25  | stream [first, last, h]            |         |          |       | R     | R        |
//! | ≥ 64| anything; kept, signed, not read   | o       | o        | o     | o     | o        |
//!
//! Any other key up to 63 is refused: it would be a critical thing this version does not know. An
//! optional field that says nothing is absent, never empty; 8 and 17 are present even when empty.

mod binding;
mod decode;
mod encode;
mod fields;

use std::collections::{BTreeMap, BTreeSet};

use entente_clock::Timestamp;
use entente_identity::{ElementName, MethodName, PurposeCode, ServerId, SystemId};
use entente_reason::Reason;
use entente_signing::Digest;
use entente_signing::cbor::{CborError, Reader};

use crate::commitment::Commitments;
use crate::receipt::Receipt;
use crate::tag::Tags;

pub use binding::Mismatch;
pub use fields::{
    Actor, Failure, InvalidText, Links, LogOrigin, MessageId, Mode, Outcome, ReasonCode, Segment,
    View,
};

/// Everything a server says about one message. See the module's table for the keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    /// Names the exchange (3).
    pub message_id: MessageId,
    /// The system that speaks (4).
    pub sender: SystemId,
    /// The system spoken to (5).
    pub receiver: SystemId,
    /// The method called (6).
    pub method: MethodName,
    /// When the sender's server wrote it (7).
    pub issued_at: Timestamp,
    /// Commitments to the payload, subjects, user and case (8).
    pub commitments: Commitments,
    /// Subject tags in the sender's ledger (9).
    pub tags: Tags,
    /// Why the call is made (10).
    pub purpose: PurposeCode,
    /// The directory views it was decided under, by registry origin (13).
    pub views: BTreeMap<LogOrigin, View>,
    /// The agreement that permits it (14).
    pub agreement: Digest,
    /// Its clause (15).
    pub clause: u64,
    /// Live or test (16).
    pub mode: Mode,
    /// The server it is addressed to (18).
    pub receiver_server: ServerId,
    /// The server that wrote it (20).
    pub sender_server: ServerId,
    /// The ledger the sender logs it in (21).
    pub log: LogOrigin,
    /// What only this kind says.
    pub body: Body,
    /// Keys from 64 up.
    pub extensions: Extensions,
}

/// What only one kind of statement says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// Ends one direction of a stream (4).
    Close {
        /// Statement hash of the request (11).
        request: Digest,
        /// How the exchange ended (19).
        outcome: Outcome,
        /// The whole direction (25).
        stream: Segment,
    },
    /// The provider's server says there will be no answer (3).
    Fault {
        /// Statement hash of the request (11).
        request: Digest,
        /// Where the request, or its denial, stands in the provider's ledger (12).
        receipt: Receipt,
        /// Why (19).
        failure: Failure,
    },
    /// Announces frames of a stream (5).
    Progress {
        /// Statement hash of the request (11).
        request: Digest,
        /// The frames (25).
        stream: Segment,
    },
    /// A call, or the opening of one (1).
    Request {
        /// Data elements asked (17).
        asked: BTreeSet<ElementName>,
        /// Mandates it is made under (22).
        mandate: Vec<Digest>,
        /// Exchanges it relates to (23).
        links: Links,
        /// Who acted, in kind (24).
        actor: Option<Actor>,
    },
    /// An answer, or the opening of one (2).
    Response {
        /// Statement hash of the request (11).
        request: Digest,
        /// Where the request stands in the provider's ledger (12).
        receipt: Receipt,
        /// Data elements the clause permits in it (17).
        permitted: BTreeSet<ElementName>,
    },
}

/// The kind of a statement (2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// 1.
    Request,
    /// 2.
    Response,
    /// 3.
    Fault,
    /// 4.
    Close,
    /// 5.
    Progress,
}

/// Keys from 64 up, each with the encoding of its value. Signed and kept, never acted on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Extensions(BTreeMap<u64, Vec<u8>>);

/// Why a statement cannot be written or was not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StatementError {
    /// Not deterministic CBOR of the expected shape.
    #[error("statement is not the cbor it should be")]
    Cbor(#[from] CborError),
    /// A key this kind may not have.
    #[error("statement key {key} does not belong to its kind")]
    Forbidden {
        /// The key.
        key: u64,
    },
    /// A key this kind must have.
    #[error("statement lacks key {key}")]
    Missing {
        /// The key.
        key: u64,
    },
    /// It would re-encode to other bytes.
    #[error("statement is not in its one encoding")]
    NotCanonical,
    /// Beyond [`Statement::MAX_LEN`].
    #[error("statement of {len} bytes is too large")]
    TooLarge {
        /// Its length.
        len: usize,
    },
    /// A critical key this version does not know.
    #[error("statement has unknown critical key {key}")]
    UnknownKey {
        /// The key.
        key: u64,
    },
    /// A value that is malformed or out of bounds.
    #[error("statement key {key} has a value that is not allowed")]
    Value {
        /// The key.
        key: u64,
    },
    /// Another version.
    #[error("statement is of version {found}")]
    Version {
        /// The version it names.
        found: u64,
    },
}

// === impl Statement ===

impl Statement {
    /// Longest encoding, in bytes.
    pub const MAX_LEN: usize = 8 * 1024;
    /// Most data elements.
    pub const MAX_ELEMENTS: usize = 256;
    /// Most directory views.
    pub const MAX_VIEWS: usize = 16;
    /// Most commitments.
    pub const MAX_COMMITMENTS: usize = 8;
    /// Most mandates.
    pub const MAX_MANDATE: usize = 8;
    /// The version this code writes and reads.
    pub const VERSION: u64 = 1;

    /// Its kind.
    pub const fn kind(&self) -> Kind {
        match self.body {
            Body::Close { .. } => Kind::Close,
            Body::Fault { .. } => Kind::Fault,
            Body::Progress { .. } => Kind::Progress,
            Body::Request { .. } => Kind::Request,
            Body::Response { .. } => Kind::Response,
        }
    }

    /// Statement hash of the request this belongs to; `None` for a request itself.
    pub const fn request_hash(&self) -> Option<&Digest> {
        match &self.body {
            Body::Request { .. } => None,
            Body::Close { request, .. }
            | Body::Fault { request, .. }
            | Body::Progress { request, .. }
            | Body::Response { request, .. } => Some(request),
        }
    }

    /// The provider's receipt, in a response or a fault.
    pub const fn receipt(&self) -> Option<&Receipt> {
        match &self.body {
            Body::Fault { receipt, .. } | Body::Response { receipt, .. } => Some(receipt),
            Body::Close { .. } | Body::Progress { .. } | Body::Request { .. } => None,
        }
    }

    /// Elements asked or permitted.
    pub const fn elements(&self) -> Option<&BTreeSet<ElementName>> {
        match &self.body {
            Body::Request { asked, .. } => Some(asked),
            Body::Response { permitted, .. } => Some(permitted),
            Body::Close { .. } | Body::Fault { .. } | Body::Progress { .. } => None,
        }
    }
}

// === impl Kind ===

impl Kind {
    pub(crate) const fn code(self) -> u64 {
        match self {
            Self::Request => 1,
            Self::Response => 2,
            Self::Fault => 3,
            Self::Close => 4,
            Self::Progress => 5,
        }
    }

    pub(crate) const fn from_code(code: u64) -> Option<Self> {
        Some(match code {
            1 => Self::Request,
            2 => Self::Response,
            3 => Self::Fault,
            4 => Self::Close,
            5 => Self::Progress,
            _ => return None,
        })
    }

    /// Keys this kind must have.
    pub(crate) const fn required(self) -> u64 {
        let every = keys(&[1, 2, 3, 4, 5, 6, 7, 8, 10, 14, 15, 16, 18, 20, 21]);
        every
            | match self {
                Self::Request => keys(&[13, 17]),
                Self::Response => keys(&[11, 12, 13, 17, 19]),
                Self::Fault => keys(&[11, 12, 13, 19]),
                Self::Close => keys(&[11, 19, 25]),
                Self::Progress => keys(&[11, 25]),
            }
    }

    /// Keys this kind may have besides.
    pub(crate) const fn optional(self) -> u64 {
        match self {
            Self::Request => keys(&[9, 22, 23, 24]),
            Self::Response | Self::Fault => keys(&[9]),
            Self::Close | Self::Progress => keys(&[9, 13]),
        }
    }
}

// === impl Extensions ===

impl Extensions {
    /// The first key that is not critical.
    pub const FIRST: u64 = 64;

    /// Adds a key with the deterministic encoding of its value.
    ///
    /// # Errors
    /// When the key is critical or already there, or the value is not one deterministic item.
    pub fn insert(&mut self, key: u64, item: &[u8]) -> Result<(), StatementError> {
        let mut reader = Reader::new(item);
        reader.raw_item()?;
        reader.finish()?;
        if key < Self::FIRST || self.0.insert(key, item.into()).is_some() {
            return Err(StatementError::Value { key });
        }
        Ok(())
    }

    /// Keys and encoded values, ascending.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (u64, &[u8])> {
        self.0.iter().map(|(key, item)| (*key, item.as_slice()))
    }
}

// === impl StatementError ===

impl StatementError {
    /// `PEER_VERSION`, `RECEIPT_MISSING`, else `STATEMENT_MALFORMED`.
    pub const fn reason(&self) -> Reason {
        match self {
            Self::Missing { key: 12 } => Reason::ReceiptMissing,
            Self::Version { .. } => Reason::PeerVersion,
            Self::Cbor(_)
            | Self::Forbidden { .. }
            | Self::Missing { .. }
            | Self::NotCanonical
            | Self::TooLarge { .. }
            | Self::UnknownKey { .. }
            | Self::Value { .. } => Reason::StatementMalformed,
        }
    }
}

/// A set of keys up to 63, one bit each.
const fn keys(keys: &[u8]) -> u64 {
    let mut set = 0;
    let mut at = 0;
    while at < keys.len() {
        set |= 1 << keys[at];
        at += 1;
    }
    set
}
