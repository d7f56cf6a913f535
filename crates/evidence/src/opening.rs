//! Openings: the salts and values behind a statement's commitments, as they are sealed.
//!
//! The sealed plaintext is a CBOR array of `[field, salt, value]`, other fields ascending and the
//! payload last, so the payload is the tail of the buffer: written once, read as a slice.

mod builder;
mod kept;
mod opened;

use std::fmt;

use bytes::{Bytes, BytesMut};
use entente_reason::Reason;
use entente_signing::Digest;
use entente_signing::cbor::{CborError, Reader, Writer};

use crate::commitment::{Commitments, Field, Salt, commit};

pub use builder::{BuildError, OpeningsBuilder};
pub use kept::{KeepPayload, Kept, KeptOpening};
pub use opened::Opened;

/// A committed value in at most two segments: bytes made here, and bytes shared with whoever made
/// them. Together they are the value.
#[derive(Clone)]
pub struct Value {
    head: Bytes,
    body: Bytes,
}

/// One field's salt and value.
#[derive(Clone)]
pub struct Opening {
    field: Field,
    salt: Salt,
    value: Value,
}

/// The openings of one statement, in the order they are sealed.
#[derive(Clone, Default)]
pub struct Openings(Vec<Opening>);

/// Why openings were refused. None of them holds a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OpeningError {
    /// Not the CBOR of openings, or not in their order.
    #[error("openings are malformed")]
    Cbor(#[from] CborError),
    /// The value is not the one committed to.
    #[error("opening of {field} does not match its commitment")]
    Mismatch {
        /// The field.
        field: Field,
    },
    /// A committed field was not opened, or the payload is not there.
    #[error("{field} is not opened")]
    Missing {
        /// The field.
        field: Field,
    },
    /// More bytes, openings or subjects than allowed.
    #[error("openings are too large")]
    TooLarge,
    /// A field was opened that is not committed to.
    #[error("{field} is opened but not committed to")]
    Uncommitted {
        /// The field.
        field: Field,
    },
    /// The value is not of its field's form.
    #[error("opened {field} is not of its form")]
    Value {
        /// The field.
        field: Field,
    },
}

// === impl Value ===

impl Value {
    /// A value of two segments.
    pub fn with_head(head: Vec<u8>, body: Bytes) -> Self {
        Self {
            head: head.into(),
            body,
        }
    }

    /// Length in bytes.
    pub const fn len(&self) -> usize {
        self.head.len() + self.body.len()
    }

    /// True when it holds nothing.
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Both segments.
    pub fn parts(&self) -> [&[u8]; 2] {
        [&self.head, &self.body]
    }

    /// The value in one piece: shared when it is one already, else copied.
    pub fn to_bytes(&self) -> Bytes {
        if self.head.is_empty() {
            self.body.clone()
        } else {
            self.parts().concat().into()
        }
    }
}

impl From<Bytes> for Value {
    fn from(body: Bytes) -> Self {
        Self {
            head: Bytes::new(),
            body,
        }
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Value({} bytes)", self.len())
    }
}

// === impl Opening ===

impl Opening {
    /// An opening with a given salt, as read from evidence.
    pub const fn new(field: Field, salt: Salt, value: Value) -> Self {
        Self { field, salt, value }
    }

    /// The field.
    pub const fn field(&self) -> Field {
        self.field
    }

    /// Its salt.
    pub const fn salt(&self) -> &Salt {
        &self.salt
    }

    /// Its value.
    pub const fn value(&self) -> &Value {
        &self.value
    }

    /// The commitment it opens.
    pub fn commitment(&self) -> Digest {
        commit(self.field, &self.salt, &self.value.parts())
    }
}

impl fmt::Debug for Opening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Opening({}, {:?})", self.field, self.value)
    }
}

// === impl Openings ===

impl Openings {
    /// Longest sealed plaintext, in bytes: a unary message of 16 MiB and everything beside it.
    pub const MAX_PLAINTEXT: usize = 18 * 1024 * 1024;
    /// Longest payload value, in bytes: a message of 16 MiB and an answer's status and metadata.
    pub const MAX_PAYLOAD: usize = 17 * 1024 * 1024;
    /// Most subjects of one message, of 64 bytes each on average. A message about more than policy has
    /// named, which is fewer, opens none.
    pub const MAX_SUBJECTS: usize = 4096;
    /// Longest end user or case reference, in bytes.
    pub const MAX_TEXT: usize = 1024;
    /// Most openings.
    pub const MAX_FIELDS: usize = 8;

    /// Starts collecting values.
    pub fn builder() -> OpeningsBuilder {
        OpeningsBuilder::default()
    }

    /// Puts openings in their order. Of two for one field the first counts.
    pub fn from_openings(mut openings: Vec<Opening>) -> Self {
        openings.sort_by_key(|opening| rank(opening.field));
        openings.dedup_by_key(|opening| opening.field);
        Self(openings)
    }

    /// Every opening, the payload's last.
    pub fn as_slice(&self) -> &[Opening] {
        &self.0
    }

    /// What the statement says of these values.
    pub fn commitments(&self) -> Commitments {
        self.0
            .iter()
            .map(|opening| (opening.field, opening.commitment()))
            .collect()
    }

    /// The plaintext to seal, in one buffer with room for the tag. The payload is copied here, once.
    pub fn seal_plaintext(&self) -> BytesMut {
        let values: usize = self.0.iter().map(|opening| opening.value.len()).sum();
        let mut out = BytesMut::with_capacity(values + 64 * self.0.len() + 32);
        let mut head = Writer::with_capacity(64);
        head.array(self.0.len());
        for opening in &self.0 {
            write_head(&mut head, opening);
            head.bytes_head(opening.value.len());
            out.extend_from_slice(head.as_slice());
            for part in opening.value.parts() {
                out.extend_from_slice(part);
            }
            head = Writer::with_capacity(64);
        }
        if self.0.is_empty() {
            out.extend_from_slice(head.as_slice());
        }
        out
    }

    /// Reads a sealed plaintext; every value is a slice of it, not a copy.
    ///
    /// # Errors
    /// When it is not the one encoding of openings within bounds.
    pub fn decode(plaintext: &Bytes) -> Result<Self, OpeningError> {
        let openings = read_list(plaintext, |reader| {
            reader
                .bytes()
                .map(|value| plaintext.slice_ref(value).into())
        })?
        .into_iter()
        .map(|(field, salt, value)| Opening::new(field, salt, value))
        .collect();
        Ok(Self(openings))
    }

    /// Checks that exactly the committed fields are opened, each to what was committed.
    ///
    /// # Errors
    /// When one is missing, added, different or not of its form.
    pub fn check(self, commitments: &Commitments) -> Result<Opened, OpeningError> {
        for opening in &self.0 {
            let field = opening.field;
            let committed = commitments
                .get(&field)
                .ok_or(OpeningError::Uncommitted { field })?;
            if *committed != opening.commitment() {
                return Err(OpeningError::Mismatch { field });
            }
        }
        // As many openings as commitments, all distinct (their order is strict) and all committed.
        let opened = |field: &&Field| self.0.iter().any(|opening| opening.field == **field);
        if let Some(field) = commitments.keys().find(|field| !opened(field)) {
            return Err(OpeningError::Missing { field: *field });
        }
        Opened::parse(self)
    }
}

impl fmt::Debug for Openings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&self.0).finish()
    }
}

// === impl OpeningError ===

impl OpeningError {
    /// Always `COMMITMENT_MISMATCH`: what came is not what was committed to.
    pub const fn reason(&self) -> Reason {
        Reason::CommitmentMismatch
    }
}

/// Place in the sealed order: the payload after every other field.
const fn rank(field: Field) -> u16 {
    if field.number() == Field::PAYLOAD.number() {
        256
    } else {
        field.number() as u16
    }
}

fn write_head(writer: &mut Writer, opening: &Opening) {
    writer
        .array(3)
        .uint(u64::from(opening.field.number()))
        .bytes(opening.salt.as_bytes());
}

/// Reads an array of `[field, salt, …]`, the third item by `value`, in the sealed order.
fn read_list<'a, T>(
    bytes: &'a Bytes,
    mut value: impl FnMut(&mut Reader<'a>) -> Result<T, CborError>,
) -> Result<Vec<(Field, Salt, T)>, OpeningError> {
    if bytes.len() > Openings::MAX_PLAINTEXT {
        return Err(OpeningError::TooLarge);
    }
    let mut reader = Reader::new(bytes);
    let count = reader.array()?;
    if count > Openings::MAX_FIELDS {
        return Err(OpeningError::TooLarge);
    }
    let mut list = Vec::with_capacity(count);
    let mut last = 0;
    for _ in 0..count {
        if reader.array()? != 3 {
            return Err(CborError::Unexpected.into());
        }
        let field = Field::from_wire(reader.uint()?).ok_or(CborError::Range)?;
        if rank(field) <= last {
            return Err(CborError::KeyOrder.into());
        }
        last = rank(field);
        list.push((
            field,
            Salt::from_bytes(reader.bytes_exact()?),
            value(&mut reader)?,
        ));
    }
    reader.finish()?;
    Ok(list)
}
