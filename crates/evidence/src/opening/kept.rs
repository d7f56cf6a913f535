//! Openings as the sidecar keeps them: all salts and values, the payload only where a clause
//! orders it kept.

use std::fmt;

use bytes::Bytes;
use entente_signing::cbor::Writer;

use super::{Opening, OpeningError, Openings, Value, read_list, write_head};
use crate::commitment::{Commitments, Field, Salt};

/// Whether the payload's value is kept beside its salt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeepPayload {
    /// Only its salt; the value is null.
    No,
    /// Salt and value.
    Yes,
}

/// One kept opening.
#[derive(Clone)]
pub struct KeptOpening {
    /// The field.
    pub field: Field,
    /// Its salt.
    pub salt: Salt,
    /// Its value; `None` for a payload that was not kept.
    pub value: Option<Bytes>,
}

/// Openings as kept: a CBOR array of `[field, salt, value or null]`, the payload last.
#[derive(Clone)]
pub struct Kept(Vec<KeptOpening>);

// === impl Openings ===

impl Openings {
    /// What the sidecar encrypts and keeps.
    pub fn encode_kept(&self, payload: KeepPayload) -> Vec<u8> {
        let mut writer = Writer::with_capacity(64 * (1 + self.0.len()));
        writer.array(self.0.len());
        for opening in &self.0 {
            write_head(&mut writer, opening);
            if opening.field == Field::PAYLOAD && payload == KeepPayload::No {
                writer.null();
                continue;
            }
            writer.bytes_head(opening.value.len());
            for part in opening.value.parts() {
                writer.raw(part);
            }
        }
        writer.into_vec()
    }
}

// === impl Kept ===

impl Kept {
    /// Reads what [`Openings::encode_kept`] wrote; values are slices of `bytes`.
    ///
    /// # Errors
    /// When it is not that.
    pub fn decode(bytes: &Bytes) -> Result<Self, OpeningError> {
        let list = read_list(bytes, |reader| {
            reader.optional(|reader| reader.bytes().map(|value| bytes.slice_ref(value)))
        })?;
        list.into_iter()
            .map(|(field, salt, value)| match value {
                None if field != Field::PAYLOAD => Err(OpeningError::Missing { field }),
                value => Ok(KeptOpening { field, salt, value }),
            })
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// The kept openings, the payload's last.
    pub fn as_slice(&self) -> &[KeptOpening] {
        &self.0
    }

    /// Checks every kept value against the statement's commitments.
    ///
    /// # Errors
    /// When a value is not the one committed to, or its field is not committed to.
    pub fn check(&self, commitments: &Commitments) -> Result<(), OpeningError> {
        for KeptOpening { field, salt, value } in &self.0 {
            let field = *field;
            let committed = commitments
                .get(&field)
                .ok_or(OpeningError::Uncommitted { field })?;
            if let Some(value) = value
                && Opening::new(field, *salt, Value::from(value.clone())).commitment() != *committed
            {
                return Err(OpeningError::Mismatch { field });
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&self.0).finish()
    }
}

impl fmt::Debug for KeptOpening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeptOpening")
            .field("field", &self.field)
            .field("value_len", &self.value.as_ref().map(Bytes::len))
            .finish_non_exhaustive()
    }
}
