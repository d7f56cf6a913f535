//! Openings that were checked, and what they say.

use std::fmt;

use bytes::Bytes;
use entente_signing::cbor::Reader;

use super::{OpeningError, Openings};
use crate::commitment::{Field, Subject};

/// Openings that match a statement's commitments, one for one. Only [`Openings::check`] makes one.
#[derive(Clone)]
pub struct Opened {
    openings: Openings,
    payload: Option<Bytes>,
    subjects: Vec<Subject>,
    user: Option<String>,
    case: Option<String>,
}

// === impl Opened ===

impl Opened {
    pub(super) fn parse(openings: Openings) -> Result<Self, OpeningError> {
        let mut opened = Self {
            openings: Openings::default(),
            payload: None,
            subjects: Vec::new(),
            user: None,
            case: None,
        };
        for opening in &openings.0 {
            let value = opening.value.to_bytes();
            match opening.field {
                Field::PAYLOAD => opened.payload = Some(value),
                Field::SUBJECTS => opened.subjects = read_subjects(&value)?,
                Field::USER => opened.user = Some(read_text(Field::USER, &value)?),
                Field::CASE => opened.case = Some(read_text(Field::CASE, &value)?),
                // A field of a later version: opened, and nothing more is known of it.
                _ => {}
            }
        }
        opened.openings = openings;
        Ok(opened)
    }

    /// The payload.
    ///
    /// # Errors
    /// When the statement commits to none, as the opening of a stream does.
    pub fn payload(&self) -> Result<&Bytes, OpeningError> {
        self.payload.as_ref().ok_or(OpeningError::Missing {
            field: Field::PAYLOAD,
        })
    }

    /// The data subjects, ascending. Personal.
    pub fn subjects(&self) -> &[Subject] {
        &self.subjects
    }

    /// The end user. Personal.
    pub fn user(&self) -> Option<&str> {
        self.user.as_deref()
    }

    /// The case reference. Personal.
    pub fn case(&self) -> Option<&str> {
        self.case.as_deref()
    }

    /// The openings, for the sidecar.
    pub const fn openings(&self) -> &Openings {
        &self.openings
    }
}

impl fmt::Debug for Opened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Opened").field(&self.openings).finish()
    }
}

fn read_subjects(value: &Bytes) -> Result<Vec<Subject>, OpeningError> {
    let field = Field::SUBJECTS;
    let mut reader = Reader::new(value);
    let count = reader.array()?;
    if count > Openings::MAX_SUBJECTS {
        return Err(OpeningError::TooLarge);
    }
    let mut subjects: Vec<Subject> = Vec::with_capacity(count);
    for _ in 0..count {
        let subject =
            Subject::from_bytes(reader.bytes()?).map_err(|_| OpeningError::Value { field })?;
        if subjects.last().is_some_and(|last| *last >= subject) {
            return Err(OpeningError::Value { field });
        }
        subjects.push(subject);
    }
    reader.finish()?;
    if subjects.is_empty() {
        return Err(OpeningError::Value { field });
    }
    Ok(subjects)
}

fn read_text(field: Field, value: &Bytes) -> Result<String, OpeningError> {
    let text = std::str::from_utf8(value).map_err(|_| OpeningError::Value { field })?;
    if text.is_empty() || text.len() > Openings::MAX_TEXT {
        return Err(OpeningError::Value { field });
    }
    Ok(text.into())
}
