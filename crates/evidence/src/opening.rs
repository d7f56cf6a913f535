//! Openings: the salts and values behind a statement's commitments, as they are sealed.
//!
//! The sealed plaintext is a CBOR array of `[field, salt, value]`, other fields ascending and the
//! payload last, so the payload is the tail of the buffer: written once, read as a slice.

mod kept;

use std::fmt;

use bytes::{Bytes, BytesMut};
use entente_reason::Reason;
use entente_signing::Digest;
use entente_signing::cbor::{CborError, Reader, Writer};

use crate::commitment::{Commitments, Field, Salt, Subject, commit};
use crate::random::RandomError;

pub use kept::{KeepPayload, Kept, KeptOpening};

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

/// Collects the values to commit to; each gets a fresh salt.
#[derive(Default)]
pub struct OpeningsBuilder {
    values: Vec<(Field, Value)>,
}

/// Openings that match a statement's commitments, one for one. Only [`Openings::check`] makes one.
#[derive(Clone)]
pub struct Opened {
    openings: Openings,
    payload: Option<Bytes>,
    subjects: Vec<Subject>,
    user: Option<String>,
    case: Option<String>,
}

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

// === impl Openings ===

impl Openings {
    /// Longest sealed plaintext, in bytes: a unary message of 16 MiB and everything beside it.
    pub const MAX_PLAINTEXT: usize = 18 * 1024 * 1024;
    /// Longest payload value, in bytes: a message of 16 MiB and an answer's status and metadata.
    pub const MAX_PAYLOAD: usize = 17 * 1024 * 1024;
    /// Most subjects of one message, of 64 bytes each on average. Beyond it,
    /// policy gives a bulk notice.
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

// === impl Opened ===

impl Opened {
    fn parse(openings: Openings) -> Result<Self, OpeningError> {
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

// === impl OpeningError ===

impl OpeningError {
    /// Always `COMMITMENT_MISMATCH`: what came is not what was committed to.
    pub const fn reason(&self) -> Reason {
        Reason::CommitmentMismatch
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
