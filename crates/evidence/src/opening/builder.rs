//! Committing to values: each gets a fresh salt, and a size no receiver will refuse.

use std::fmt;

use bytes::Bytes;
use entente_reason::Reason;
use entente_signing::cbor::{Reader, Writer};

use super::{Opening, Openings, Value};
use crate::commitment::{Field, Salt, Subject};
use crate::random::RandomError;

/// Collects the values to commit to; each gets a fresh salt.
#[derive(Default)]
pub struct OpeningsBuilder {
    values: Vec<(Field, Value)>,
}

/// Why values could not be committed to.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// No salt could be drawn.
    #[error("could not salt the commitments")]
    Random(#[from] RandomError),
    /// A value no receiver would take.
    #[error("{field} is too large to send")]
    TooLarge {
        /// The field.
        field: Field,
    },
}

// === impl OpeningsBuilder ===

impl OpeningsBuilder {
    /// The payload: a request's protobuf message, or [`crate::answer::Answer::to_value`].
    #[must_use]
    pub fn payload(self, value: impl Into<Value>) -> Self {
        self.field(Field::PAYLOAD, value.into())
    }

    /// The data subjects; none leaves the field out. Repeats are dropped, order is not kept.
    #[must_use]
    pub fn subjects(self, subjects: &[Subject]) -> Self {
        if subjects.is_empty() {
            return self;
        }
        let mut subjects: Vec<&Subject> = subjects.iter().collect();
        subjects.sort_unstable();
        subjects.dedup();
        let mut writer = Writer::new();
        writer.array(subjects.len());
        for subject in subjects {
            writer.bytes(subject.as_bytes());
        }
        self.field(Field::SUBJECTS, Bytes::from(writer.into_vec()).into())
    }

    /// The end user; an empty text leaves the field out.
    #[must_use]
    pub fn user(self, user: &str) -> Self {
        self.text(Field::USER, user)
    }

    /// The case reference; an empty text leaves the field out.
    #[must_use]
    pub fn case(self, case: &str) -> Self {
        self.text(Field::CASE, case)
    }

    fn text(self, field: Field, text: &str) -> Self {
        if text.is_empty() {
            return self;
        }
        self.field(field, Bytes::copy_from_slice(text.as_bytes()).into())
    }

    fn field(mut self, field: Field, value: Value) -> Self {
        self.values.retain(|(known, _)| *known != field);
        self.values.push((field, value));
        self
    }

    /// Draws the salts.
    ///
    /// # Errors
    /// When a value is larger than a receiver would take, or there is no randomness.
    pub fn build(self) -> Result<Openings, BuildError> {
        let mut openings = Vec::with_capacity(self.values.len());
        for (field, value) in self.values {
            let crowded = field == Field::SUBJECTS
                && Reader::new(&value.body)
                    .array()
                    .is_ok_and(|count| count > Openings::MAX_SUBJECTS);
            if crowded || value.len() > max_len(field) {
                return Err(BuildError::TooLarge { field });
            }
            openings.push(Opening::new(field, Salt::generate()?, value));
        }
        Ok(Openings::from_openings(openings))
    }
}

impl fmt::Debug for OpeningsBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.values.iter().map(|(field, _)| field))
            .finish()
    }
}

// === impl BuildError ===

impl BuildError {
    /// `MESSAGE_TOO_LARGE` for a payload, `METADATA_INVALID` for what goes with it.
    pub const fn reason(&self) -> Reason {
        match self {
            Self::Random(source) => source.reason(),
            Self::TooLarge {
                field: Field::PAYLOAD,
            } => Reason::MessageTooLarge,
            Self::TooLarge { .. } => Reason::MetadataInvalid,
        }
    }
}

/// The longest value of a field, in bytes.
const fn max_len(field: Field) -> usize {
    match field {
        // An answer's own status and metadata come on top of a 16 MiB message.
        Field::PAYLOAD => Openings::MAX_PAYLOAD,
        Field::SUBJECTS => Openings::MAX_SUBJECTS * 64,
        _ => Openings::MAX_TEXT,
    }
}
