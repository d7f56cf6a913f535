//! Salted commitments: what a statement says about values it does not hold.
//!
//! `C_f = SHA-256("entente/commit/v1" ‖ 00 ‖ u8 f ‖ salt[32] ‖ value)`. A shell can check one:
//! `{ printf 'entente/commit/v1\0\001'; cat payload.salt payload.bin; } | sha256sum`.

use std::collections::BTreeMap;
use std::fmt;

use entente_signing::Digest;

use crate::random::{self, RandomError};

/// The number of a committed field, 1 to 255.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Field(u8);

/// 32 random bytes, fresh for every field of every message. While it is secret, a commitment says
/// nothing about its value.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Salt([u8; 32]);

/// The commitments of one statement: at most 8.
pub type Commitments = BTreeMap<Field, Digest>;

/// A data subject: `scheme ‖ 00 ‖ normalised id`, at most 256 bytes. Never printed.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Subject {
    bytes: Box<[u8]>,
    scheme_len: usize,
}

/// A subject without a scheme or an id, or too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("data subject is not a scheme and an identifier of bounded length")]
pub struct InvalidSubject;

// === impl Field ===

impl Field {
    /// The payload: a request's message, or an [`crate::answer::Answer`].
    pub const PAYLOAD: Self = Self(1);
    /// The data subjects, as one CBOR array of byte strings.
    pub const SUBJECTS: Self = Self(2);
    /// The end user, UTF-8.
    pub const USER: Self = Self(3);
    /// The case reference, UTF-8.
    pub const CASE: Self = Self(4);

    /// The field with this number; 0 is none.
    pub const fn new(number: u8) -> Option<Self> {
        if number == 0 {
            None
        } else {
            Some(Self(number))
        }
    }

    pub(crate) fn from_wire(number: u64) -> Option<Self> {
        u8::try_from(number).ok().and_then(Self::new)
    }

    /// Its number.
    pub const fn number(self) -> u8 {
        self.0
    }
}

impl fmt::Debug for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::PAYLOAD => f.write_str("payload"),
            Self::SUBJECTS => f.write_str("subjects"),
            Self::USER => f.write_str("user"),
            Self::CASE => f.write_str("case"),
            Self(number) => write!(f, "field {number}"),
        }
    }
}

// === impl Salt ===

impl Salt {
    /// A fresh one.
    ///
    /// # Errors
    /// When the machine has no randomness to give.
    pub fn generate() -> Result<Self, RandomError> {
        random::fill().map(Self)
    }

    /// From its bytes.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for Salt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Salt(secret)")
    }
}

// === impl Subject ===

impl Subject {
    /// Longest subject, in bytes.
    pub const MAX_LEN: usize = 256;

    /// A person or thing of `scheme` (for instance `ca.sin`), by its normalised id.
    ///
    /// # Errors
    /// When a part is empty, holds a NUL, or both are too long.
    pub fn new(scheme: &str, id: &str) -> Result<Self, InvalidSubject> {
        Self::from_bytes(&[scheme.as_bytes(), b"\0", id.as_bytes()].concat())
    }

    /// What stands for more subjects than are named. No contract has a scheme `*`.
    pub fn many() -> Self {
        Self {
            bytes: b"*\0bulk".as_slice().into(),
            scheme_len: 1,
        }
    }

    /// From its bytes.
    ///
    /// # Errors
    /// When they are not UTF-8 `scheme ‖ 00 ‖ id`, both not empty, at most 256 bytes.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, InvalidSubject> {
        let text = std::str::from_utf8(bytes).map_err(|_| InvalidSubject)?;
        let (scheme, id) = text.split_once('\0').ok_or(InvalidSubject)?;
        if scheme.is_empty() || id.is_empty() || id.contains('\0') || text.len() > Self::MAX_LEN {
            return Err(InvalidSubject);
        }
        Ok(Self {
            bytes: bytes.into(),
            scheme_len: scheme.len(),
        })
    }

    /// `scheme ‖ 00 ‖ id`.
    pub const fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The scheme.
    pub fn scheme(&self) -> &str {
        std::str::from_utf8(&self.bytes[..self.scheme_len]).expect("a subject is UTF-8")
    }

    /// The normalised id. Personal: never log it.
    pub fn id(&self) -> &str {
        std::str::from_utf8(&self.bytes[self.scheme_len + 1..]).expect("a subject is UTF-8")
    }
}

impl fmt::Debug for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Subject(personal)")
    }
}

// === impl InvalidSubject ===

impl InvalidSubject {
    /// `BAD_FIELD`: the request names a subject we cannot write down.
    pub const fn reason(&self) -> entente_reason::Reason {
        entente_reason::Reason::BadField
    }
}

/// The commitment of `field` to a value given in segments, which are hashed where they lie.
pub fn commit(field: Field, salt: &Salt, value: &[&[u8]]) -> Digest {
    let mut parts = Vec::with_capacity(3 + value.len());
    let number = [field.0];
    parts.extend_from_slice(&[b"entente/commit/v1\0".as_slice(), &number, &salt.0]);
    parts.extend_from_slice(value);
    Digest::of_parts(&parts)
}
