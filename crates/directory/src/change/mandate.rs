//! What the registrar says about bodies of oversight: whose ledgers they may read, why, and until when.

use std::collections::BTreeSet;
use std::time::Duration;

use entente_clock::Timestamp;
use entente_identity::MemberId;
use entente_signing::cbor::{CborError, Reader};

use super::Name;
use super::body::reason_code;
use crate::codec::{BodyError, Fields, Map, ascending, parsed, time};

/// What a mandate lets its body read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reading {
    /// Every entry of a member's access ledgers, as logged (1). No entry holds a payload, or a key to one.
    Ledgers,
}

/// The registrar gives a body of oversight a mandate. Said again, it takes the place of what was said before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MandateGrant {
    /// The body, a member itself.
    pub body: MemberId,
    /// Whose ledgers, all of the registry's jurisdiction. Empty: of all its members.
    pub members: BTreeSet<MemberId>,
    /// What it may read; at least one.
    pub reads: BTreeSet<Reading>,
    /// From when on.
    pub from: Timestamp,
    /// Until when, at most [`MandateGrant::LONGEST`] after `from`.
    pub until: Timestamp,
    /// By what law, each language 1 to 512 bytes.
    pub basis: Name,
}

/// The registrar ends a mandate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MandateEnd {
    /// Whose.
    pub body: MemberId,
    /// From when on; one that is past, or absent, is now. It never ends later than it would have.
    pub from: Option<Timestamp>,
    /// Why, as a code: `[A-Z][A-Z0-9_]*`.
    pub reason: Option<String>,
}

// === impl Reading ===

impl Reading {
    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ledgers => "ledgers",
        }
    }

    pub(crate) const fn number(self) -> u64 {
        match self {
            Self::Ledgers => 1,
        }
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, CborError> {
        match reader.uint()? {
            1 => Ok(Self::Ledgers),
            _ => Err(CborError::Range),
        }
    }
}

// === impl MandateGrant ===

impl MandateGrant {
    /// Five years of 366 days: who looks on for longer asks for it again.
    pub const LONGEST: Duration = Duration::from_secs(5 * 366 * 24 * 3600);

    pub(super) fn fields(&self, to: &mut Fields) {
        to.text(1, self.body.as_str());
        if !self.members.is_empty() {
            to.list(2, self.members.iter(), |out, member| {
                out.text(member.as_str());
            });
        }
        to.list(3, self.reads.iter(), |out, reading| {
            out.uint(reading.number());
        })
        .time(4, self.from)
        .time(5, self.until);
        self.basis.write(to.key(6));
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, BodyError> {
        let mut map = Map::open(reader)?;
        let body = Self {
            body: map.required(1, parsed)?,
            members: map
                .optional(2, |r| ascending(r, parsed))?
                .unwrap_or_default(),
            reads: map.required(3, |r| ascending(r, Reading::read))?,
            from: map.required(4, time)?,
            until: map.required(5, time)?,
            basis: map.required(6, Name::read)?,
        };
        map.end()?;
        if body.from < body.until && body.until.since(body.from) <= Self::LONGEST {
            Ok(body)
        } else {
            Err(CborError::Range.into())
        }
    }
}

// === impl MandateEnd ===

impl MandateEnd {
    pub(super) fn fields(&self, to: &mut Fields) {
        to.text(1, self.body.as_str());
        if let Some(from) = self.from {
            to.time(2, from);
        }
        if let Some(reason) = &self.reason {
            to.text(3, reason);
        }
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, BodyError> {
        let mut map = Map::open(reader)?;
        let body = Self {
            body: map.required(1, parsed)?,
            from: map.optional(2, time)?,
            reason: map.optional(3, reason_code)?,
        };
        map.end()?;
        Ok(body)
    }
}
