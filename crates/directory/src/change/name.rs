//! Small words of changes: authors, key roles, member classes, modes, names.

use std::fmt;
use std::str::FromStr;

use entente_identity::{MemberId, ServerId};
use entente_signing::cbor::{CborError, Reader, Writer};

use crate::codec::short_text;

/// Who signs a change.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Author {
    /// The operator of the registry.
    Registrar,
    /// A member, by one of its keys.
    Member(MemberId),
    /// A server, by its own key.
    Server(ServerId),
}

/// What a member's key is for. One key, one use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KeyRole {
    /// Replaces any key of the member; kept offline (1).
    Recovery,
    /// Signs agreement acts (2).
    Officer,
    /// Registers servers, publishes services, seals exports (3).
    Member,
}

/// Live or test. The two never mix: own session keys, own ledger shards.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Mode {
    /// Real data (1).
    Live,
    /// A trial (2).
    Test,
}

/// What kind of institution a member is: `[a-z][a-z0-9-]{0,31}`, such as `ministry`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MemberClass(String);

/// An institution's name in both official languages, each 1 to 512 bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name {
    /// English.
    pub en: String,
    /// French.
    pub fr: String,
}

/// A text that is not what it should name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not {0}")]
pub struct InvalidName(pub(crate) &'static str);

// === impl Author ===

impl Author {
    /// The member on whose behalf it is, unless the registrar's.
    pub fn member(&self) -> Option<MemberId> {
        match self {
            Self::Registrar => None,
            Self::Member(member) => Some(member.clone()),
            Self::Server(server) => Some(server.member()),
        }
    }
}

impl fmt::Display for Author {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Registrar => f.write_str(REGISTRAR),
            Self::Member(member) => fmt::Display::fmt(member, f),
            Self::Server(server) => fmt::Display::fmt(server, f),
        }
    }
}

impl FromStr for Author {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        if text == REGISTRAR {
            return Ok(Self::Registrar);
        }
        let server = || text.parse().map(Self::Server);
        text.parse()
            .map(Self::Member)
            .or_else(|_| server())
            .map_err(|_| InvalidName("an author"))
    }
}

/// No member or server can be called this: their names have a slash.
const REGISTRAR: &str = "registrar";

// === impl KeyRole ===

impl KeyRole {
    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Recovery => "recovery",
            Self::Officer => "officer",
            Self::Member => "member",
        }
    }

    pub(crate) const fn number(self) -> u64 {
        match self {
            Self::Recovery => 1,
            Self::Officer => 2,
            Self::Member => 3,
        }
    }

    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, CborError> {
        Ok(match reader.uint()? {
            1 => Self::Recovery,
            2 => Self::Officer,
            3 => Self::Member,
            _ => return Err(CborError::Range),
        })
    }
}

impl fmt::Display for KeyRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

// === impl Mode ===

impl Mode {
    /// The number on the wire: 1 live, 2 test.
    pub const fn number(self) -> u64 {
        match self {
            Self::Live => 1,
            Self::Test => 2,
        }
    }

    /// The mode with this number.
    pub const fn from_number(number: u64) -> Option<Self> {
        match number {
            1 => Some(Self::Live),
            2 => Some(Self::Test),
            _ => None,
        }
    }

    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, CborError> {
        Self::from_number(reader.uint()?).ok_or(CborError::Range)
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Live => "live",
            Self::Test => "test",
        })
    }
}

// === impl MemberClass ===

impl MemberClass {
    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for MemberClass {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        let valid = text.len() <= 32
            && text.starts_with(|c: char| c.is_ascii_lowercase())
            && text
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        if valid {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidName("a member class"))
        }
    }
}

impl fmt::Display for MemberClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

// === impl Name ===

impl Name {
    pub(crate) fn write(&self, out: &mut Writer) {
        out.array(2).text(&self.en).text(&self.fr);
    }

    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, CborError> {
        if reader.array()? != 2 {
            return Err(CborError::Unexpected);
        }
        let en = short_text(reader)?;
        let fr = short_text(reader)?;
        Ok(Self { en, fr })
    }
}
