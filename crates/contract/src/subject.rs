//! Whom a message is about: the fields a contract marks as identifying a subject, read from wire bytes.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use entente_identity::MethodName;
use entente_reason::Reason;

use crate::contract::{Contract, Direction, UnknownMethod};
use crate::model::{Field, Kind};
use crate::wire::{Fields, WireError, WireField, WireType, check_packed, packed_varints};
use crate::{MAX_DEPTH, MAX_SUBJECT_LEN};

/// A person (or thing) a message is about: the scheme of the identifier and its normalised value.
/// Never printed with its value.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Subject {
    scheme: Arc<str>,
    value: Box<str>,
}

/// Whom a message is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subjects {
    /// More than were to be named; which ones, nobody read on for.
    Many,
    /// These, each once, in the order found; perhaps none.
    Named(Vec<Subject>),
}

/// Why the subjects of a message could not be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SubjectError {
    /// The bytes are not a message of the contract.
    #[error("could not read the message as its contract declares it")]
    Malformed(#[source] WireError),
    /// An identifier of more than [`MAX_SUBJECT_LEN`] bytes.
    #[error("identifier of a subject is too long")]
    TooLong,
    /// The contract does not declare the method.
    #[error(transparent)]
    UnknownMethod(#[from] UnknownMethod),
}

// === impl Subject ===

impl Subject {
    /// A subject from a scheme and an identifier as written; `None` if nothing is left of it once
    /// normalised.
    pub fn new(scheme: &str, identifier: &str) -> Option<Self> {
        Self::normalised(&scheme.into(), identifier)
    }

    /// The scheme, e.g. `ca.sin`.
    pub fn scheme(&self) -> &str {
        &self.scheme
    }

    /// The normalised identifier: without white space and dashes.
    pub fn value(&self) -> &str {
        &self.value
    }

    /// The subject that a message naming `identifier` under `scheme` would be about; none when nothing
    /// is left of it, or it is longer than a message may hold.
    pub fn named(scheme: &str, identifier: &str) -> Option<Self> {
        let fits = identifier.len() <= MAX_SUBJECT_LEN && !scheme.is_empty();
        fits.then(|| Self::normalised(&scheme.into(), identifier))?
    }

    fn normalised(scheme: &Arc<str>, identifier: &str) -> Option<Self> {
        let skipped = |c: char| c.is_whitespace() || DASHES.contains(&c);
        let value: String = identifier.chars().filter(|c| !skipped(*c)).collect();
        (!value.is_empty()).then(|| Self {
            scheme: Arc::clone(scheme),
            value: value.into(),
        })
    }
}

impl fmt::Debug for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subject")
            .field("scheme", &self.scheme)
            .finish_non_exhaustive()
    }
}

// === impl SubjectError ===

impl SubjectError {
    /// The reason a caller gets.
    pub fn reason(&self) -> Reason {
        match self {
            Self::Malformed(_) => Reason::RequestMalformed,
            Self::TooLong => Reason::BadField,
            Self::UnknownMethod(error) => error.reason(),
        }
    }
}

// === impl Contract ===

impl Contract {
    /// The subjects of a message, at most `most` of them. Every value written counts, also one that a later
    /// value of the same field replaces.
    ///
    /// # Errors
    /// When the bytes are not a message of the contract.
    pub fn subjects(
        &self,
        method: &MethodName,
        direction: Direction,
        body: &[u8],
        most: usize,
    ) -> Result<Subjects, SubjectError> {
        let root = self.root(method, direction)?;
        let mut found = Found::up_to(most);
        self.find_subjects(root, body, &mut found, 0)?;
        Ok(if found.is_over {
            Subjects::Many
        } else {
            Subjects::Named(found.subjects)
        })
    }

    fn find_subjects(
        &self,
        index: usize,
        body: &[u8],
        found: &mut Found,
        depth: usize,
    ) -> Result<(), SubjectError> {
        if depth > MAX_DEPTH {
            return Err(SubjectError::Malformed(WireError::TooDeep));
        }
        let message = &self.types().messages[index];
        if !message.leads_to_subject {
            return Ok(());
        }
        let mut fields = Fields::new(body);
        while let Some(wire) = fields.next_field().map_err(SubjectError::Malformed)? {
            if found.is_over {
                return Ok(());
            }
            let Some(field) = message.field(wire.number) else {
                continue;
            };
            match (field.kind, &field.subject) {
                (Kind::Message(below), _) if wire.wire == WireType::Len => {
                    self.find_subjects(below, wire.value, found, depth + 1)?;
                }
                (Kind::Message(_), _) | (_, None) => {}
                (_, Some(scheme)) => found.read(scheme, field, &wire)?,
            }
        }
        Ok(())
    }
}

struct Found {
    most: usize,
    subjects: Vec<Subject>,
    seen: BTreeSet<Subject>,
    /// Whether there are more than `most`.
    is_over: bool,
}

// === impl Found ===

impl Found {
    const fn up_to(most: usize) -> Self {
        Self {
            most,
            subjects: Vec::new(),
            seen: BTreeSet::new(),
            is_over: false,
        }
    }

    fn read(
        &mut self,
        scheme: &Arc<str>,
        field: &Field,
        wire: &WireField<'_>,
    ) -> Result<(), SubjectError> {
        let malformed = SubjectError::Malformed;
        if field.kind == Kind::String {
            if wire.wire != WireType::Len {
                return Ok(());
            }
            if wire.value.len() > MAX_SUBJECT_LEN {
                return Err(SubjectError::TooLong);
            }
            let text = std::str::from_utf8(wire.value).map_err(|_| malformed(WireError::Text))?;
            self.push(Subject::normalised(scheme, text));
            return Ok(());
        }
        let Some(one) = field.kind.wire() else {
            return Ok(());
        };
        if wire.wire == WireType::Len {
            check_packed(one, wire.value).map_err(malformed)?;
        } else if wire.wire != one {
            return Ok(());
        }
        match one {
            WireType::Varint => {
                for value in packed_varints(wire.value) {
                    if self.is_over {
                        return Ok(());
                    }
                    self.push_integer(scheme, field.kind, value.map_err(malformed)?);
                }
            }
            WireType::Fixed32 => {
                for chunk in wire.value.chunks_exact(4) {
                    if self.is_over {
                        return Ok(());
                    }
                    let value = u32::from_le_bytes(chunk.try_into().unwrap_or_default());
                    self.push_integer(scheme, field.kind, value.into());
                }
            }
            WireType::Fixed64 => {
                for chunk in wire.value.chunks_exact(8) {
                    if self.is_over {
                        return Ok(());
                    }
                    let value = u64::from_le_bytes(chunk.try_into().unwrap_or_default());
                    self.push_integer(scheme, field.kind, value);
                }
            }
            WireType::Len => {}
        }
        Ok(())
    }

    /// The number as its type reads it. A minus sign is kept: it is not a separator.
    fn push_integer(&mut self, scheme: &Arc<str>, kind: Kind, raw: u64) {
        let value: i128 = match kind {
            Kind::Int32 | Kind::Sfixed32 => (raw as i32).into(),
            Kind::Int64 | Kind::Sfixed64 => (raw as i64).into(),
            Kind::Sint32 => {
                let raw = raw as u32;
                (((raw >> 1) as i32) ^ -((raw & 1) as i32)).into()
            }
            Kind::Sint64 => (((raw >> 1) as i64) ^ -((raw & 1) as i64)).into(),
            Kind::Uint32 | Kind::Fixed32 => (raw as u32).into(),
            _ => raw.into(),
        };
        self.push(Some(Subject {
            scheme: Arc::clone(scheme),
            value: value.to_string().into(),
        }));
    }

    fn push(&mut self, subject: Option<Subject>) {
        let Some(subject) = subject else {
            return;
        };
        if self.is_over || self.seen.contains(&subject) {
            return;
        }
        if self.subjects.len() == self.most {
            self.is_over = true;
            return;
        }
        self.seen.insert(subject.clone());
        self.subjects.push(subject);
    }
}

/// Hyphens and dashes people type within numbers.
const DASHES: &[char] = &[
    '-', '\u{2010}', '\u{2011}', '\u{2012}', '\u{2013}', '\u{2014}', '\u{2015}', '\u{2212}',
];
