//! Reading a statement: bytes to typed struct, and back to the same bytes or not at all.

use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr;

use entente_clock::Timestamp;
use entente_identity::{ElementName, MethodName, PurposeCode, ServerId, SystemId};
use entente_signing::Digest;
use entente_signing::cbor::{CborError, KeyOrder, Reader};

use super::{
    Actor, Body, Extensions, Failure, Kind, Links, LogOrigin, MessageId, Mode, Outcome, Segment,
    Statement, StatementError, View,
};
use crate::commitment::{Commitments, Field};
use crate::receipt::Receipt;
use crate::tag::Tags;

/// The values read so far; which must be there is decided once the kind is known.
#[derive(Default)]
struct Parts {
    /// Keys up to 63 seen, one bit each.
    present: u64,
    kind: Option<Kind>,
    message_id: Option<MessageId>,
    sender: Option<SystemId>,
    receiver: Option<SystemId>,
    method: Option<MethodName>,
    issued_at: Option<Timestamp>,
    commitments: Commitments,
    tags: Tags,
    purpose: Option<PurposeCode>,
    request: Option<Digest>,
    receipt: Option<Receipt>,
    views: BTreeMap<LogOrigin, View>,
    agreement: Option<Digest>,
    clause: Option<u64>,
    mode: Option<Mode>,
    elements: Option<BTreeSet<ElementName>>,
    receiver_server: Option<ServerId>,
    outcome: Option<Outcome>,
    sender_server: Option<ServerId>,
    log: Option<LogOrigin>,
    mandate: Vec<Digest>,
    links: Links,
    actor: Option<Actor>,
    stream: Option<Segment>,
    extensions: Extensions,
}

// === impl Statement ===

impl Statement {
    /// Reads a statement.
    ///
    /// # Errors
    /// When the bytes are not the one encoding of a statement within bounds.
    pub fn decode(bytes: &[u8]) -> Result<Self, StatementError> {
        if bytes.len() > Self::MAX_LEN {
            return Err(StatementError::TooLarge { len: bytes.len() });
        }
        let mut reader = Reader::new(bytes);
        let mut parts = Parts::default();
        let mut order = KeyOrder::default();
        for _ in 0..reader.map()? {
            let key = reader.key(&mut order)?.uint()?;
            parts.read(key, &mut reader)?;
        }
        reader.finish()?;
        let statement = parts.into_statement()?;
        // Strict reading makes this always true. It is checked all the same: what is signed, hashed
        // and later quoted must be these bytes and no others.
        if statement.encode()? != bytes {
            return Err(StatementError::NotCanonical);
        }
        Ok(statement)
    }
}

impl Statement {
    /// Key 3 of bytes that [`Statement::decode`] took: the third key, since all kinds have the first
    /// three.
    pub(crate) fn message_id_of(bytes: &[u8]) -> Option<MessageId> {
        let mut reader = Reader::new(bytes);
        reader.map().ok()?;
        for key in 1..=2 {
            (reader.uint().ok()? == key).then_some(())?;
            reader.uint().ok()?;
        }
        (reader.uint().ok()? == 3).then_some(())?;
        reader.bytes_exact().ok().map(MessageId::from_bytes)
    }
}

// === impl Parts ===

impl Parts {
    fn read(&mut self, key: u64, reader: &mut Reader<'_>) -> Result<(), StatementError> {
        if key >= Extensions::FIRST {
            return self.extensions.insert(key, reader.raw_item()?);
        }
        self.present |= 1 << key;
        let invalid = StatementError::Value { key };
        match key {
            1 => match reader.uint()? {
                Statement::VERSION => {}
                found => return Err(StatementError::Version { found }),
            },
            2 => self.kind = Some(Kind::from_code(reader.uint()?).ok_or(invalid)?),
            3 => self.message_id = Some(MessageId::from_bytes(reader.bytes_exact()?)),
            4 => self.sender = Some(name(key, reader)?),
            5 => self.receiver = Some(name(key, reader)?),
            6 => self.method = Some(name(key, reader)?),
            7 => {
                let millis = reader.uint()?;
                if millis > Timestamp::MAX.as_millis() {
                    return Err(invalid);
                }
                self.issued_at = Some(Timestamp::from_millis(millis));
            }
            8 => self.commitments = read_commitments(reader)?,
            9 => self.tags = read_tags(reader)?,
            10 => self.purpose = Some(name(key, reader)?),
            11 => self.request = Some(digest(reader)?),
            12 => self.receipt = Some(read_receipt(reader)?),
            13 => self.views = read_views(reader)?,
            14 => self.agreement = Some(digest(reader)?),
            15 => self.clause = Some(reader.uint()?),
            16 => self.mode = Some(Mode::from_code(reader.uint()?).ok_or(invalid)?),
            17 => self.elements = Some(read_elements(reader)?),
            18 => self.receiver_server = Some(name(key, reader)?),
            19 => self.outcome = Some(read_outcome(reader)?),
            20 => self.sender_server = Some(name(key, reader)?),
            21 => self.log = Some(name(key, reader)?),
            22 => self.mandate = read_mandate(reader)?,
            23 => self.links = read_links(reader)?,
            24 => self.actor = Some(read_actor(reader)?),
            25 => self.stream = Some(read_stream(reader)?),
            key => return Err(StatementError::UnknownKey { key }),
        }
        Ok(())
    }

    fn into_statement(self) -> Result<Statement, StatementError> {
        // Version and kind first: of another version, nothing else can be judged.
        need(1, (self.present & (1 << 1) != 0).then_some(()))?;
        let kind = need(2, self.kind)?;
        if let Some(key) = lowest(kind.required() & !self.present) {
            return Err(StatementError::Missing { key });
        }
        if let Some(key) = lowest(self.present & !(kind.required() | kind.optional())) {
            return Err(StatementError::Forbidden { key });
        }
        let body = match kind {
            Kind::Request => Body::Request {
                asked: need(17, self.elements)?,
                mandate: self.mandate,
                links: self.links,
                actor: self.actor,
            },
            Kind::Response => {
                if need(19, self.outcome)? != Outcome::Answered {
                    return Err(StatementError::Value { key: 19 });
                }
                Body::Response {
                    request: need(11, self.request)?,
                    receipt: need(12, self.receipt)?,
                    permitted: need(17, self.elements)?,
                }
            }
            Kind::Fault => {
                let Outcome::Unanswered(failure) = need(19, self.outcome)? else {
                    return Err(StatementError::Value { key: 19 });
                };
                Body::Fault {
                    request: need(11, self.request)?,
                    receipt: need(12, self.receipt)?,
                    failure,
                }
            }
            Kind::Close => Body::Close {
                request: need(11, self.request)?,
                outcome: need(19, self.outcome)?,
                stream: need(25, self.stream)?,
            },
            Kind::Progress => Body::Progress {
                request: need(11, self.request)?,
                stream: need(25, self.stream)?,
            },
        };
        Ok(Statement {
            message_id: need(3, self.message_id)?,
            sender: need(4, self.sender)?,
            receiver: need(5, self.receiver)?,
            method: need(6, self.method)?,
            issued_at: need(7, self.issued_at)?,
            commitments: self.commitments,
            tags: self.tags,
            purpose: need(10, self.purpose)?,
            views: self.views,
            agreement: need(14, self.agreement)?,
            clause: need(15, self.clause)?,
            mode: need(16, self.mode)?,
            receiver_server: need(18, self.receiver_server)?,
            sender_server: need(20, self.sender_server)?,
            log: need(21, self.log)?,
            body,
            extensions: self.extensions,
        })
    }
}

fn need<T>(key: u64, value: Option<T>) -> Result<T, StatementError> {
    value.ok_or(StatementError::Missing { key })
}

/// The lowest key of a set of keys.
const fn lowest(set: u64) -> Option<u64> {
    if set == 0 {
        None
    } else {
        Some(set.trailing_zeros() as u64)
    }
}

fn name<T: FromStr>(key: u64, reader: &mut Reader<'_>) -> Result<T, StatementError> {
    reader
        .text()?
        .parse()
        .map_err(|_| StatementError::Value { key })
}

fn digest(reader: &mut Reader<'_>) -> Result<Digest, CborError> {
    reader.bytes_exact().map(Digest::from_bytes)
}

/// The length of a list or map that must have between `least` and `most` items.
fn bounded(key: u64, len: usize, least: usize, most: usize) -> Result<usize, StatementError> {
    if (least..=most).contains(&len) {
        Ok(len)
    } else {
        Err(StatementError::Value { key })
    }
}

/// The head of an array that must have exactly `len` items.
fn tuple(key: u64, reader: &mut Reader<'_>, len: usize) -> Result<(), StatementError> {
    bounded(key, reader.array()?, len, len).map(|_| ())
}

fn read_commitments(reader: &mut Reader<'_>) -> Result<Commitments, StatementError> {
    let mut commitments = Commitments::new();
    let mut order = KeyOrder::default();
    for _ in 0..bounded(8, reader.map()?, 0, Statement::MAX_COMMITMENTS)? {
        let field = reader.key(&mut order)?.uint()?;
        let field = Field::from_wire(field).ok_or(StatementError::Value { key: 8 })?;
        commitments.insert(field, digest(reader)?);
    }
    Ok(commitments)
}

fn read_tags(reader: &mut Reader<'_>) -> Result<Tags, StatementError> {
    let count = bounded(9, reader.array()?, 1, Tags::MAX)?;
    let mut tags = Vec::with_capacity(count);
    for _ in 0..count {
        tags.push(reader.bytes_exact()?);
    }
    Tags::from_wire(tags).ok_or(StatementError::Value { key: 9 })
}

fn read_receipt(reader: &mut Reader<'_>) -> Result<Receipt, StatementError> {
    tuple(12, reader, 3)?;
    Ok(Receipt {
        origin: name(12, reader)?,
        index: reader.uint()?,
        leaf_hash: digest(reader)?,
    })
}

fn read_views(reader: &mut Reader<'_>) -> Result<BTreeMap<LogOrigin, View>, StatementError> {
    let mut views = BTreeMap::new();
    let mut order = KeyOrder::default();
    for _ in 0..bounded(13, reader.map()?, 1, Statement::MAX_VIEWS)? {
        let origin = name(13, &mut reader.key(&mut order)?)?;
        tuple(13, reader, 2)?;
        let (size, root) = (reader.uint()?, digest(reader)?);
        views.insert(origin, View { size, root });
    }
    Ok(views)
}

fn read_elements(reader: &mut Reader<'_>) -> Result<BTreeSet<ElementName>, StatementError> {
    let mut elements = BTreeSet::new();
    for _ in 0..bounded(17, reader.array()?, 0, Statement::MAX_ELEMENTS)? {
        let element: ElementName = name(17, reader)?;
        if elements.last().is_some_and(|last| *last >= element) {
            return Err(StatementError::Value { key: 17 });
        }
        elements.insert(element);
    }
    Ok(elements)
}

fn read_outcome(reader: &mut Reader<'_>) -> Result<Outcome, StatementError> {
    let len = bounded(19, reader.array()?, 1, 2)?;
    match (reader.uint()?, len) {
        (0, 1) => Ok(Outcome::Answered),
        (1, 2) => Ok(Outcome::Unanswered(Failure::Refused(name(19, reader)?))),
        (2, 2) => Ok(Outcome::Unanswered(Failure::Failed(name(19, reader)?))),
        _ => Err(StatementError::Value { key: 19 }),
    }
}

fn read_mandate(reader: &mut Reader<'_>) -> Result<Vec<Digest>, StatementError> {
    let count = bounded(22, reader.array()?, 1, Statement::MAX_MANDATE)?;
    let mut mandate = Vec::with_capacity(count);
    for _ in 0..count {
        mandate.push(digest(reader)?);
    }
    Ok(mandate)
}

fn read_links(reader: &mut Reader<'_>) -> Result<Links, StatementError> {
    let mut links = Links::default();
    let mut order = KeyOrder::default();
    for _ in 0..bounded(23, reader.map()?, 1, 3)? {
        match reader.key(&mut order)?.uint()? {
            1 => links.retry_of = Some(MessageId::from_bytes(reader.bytes_exact()?)),
            2 => links.parent = Some(MessageId::from_bytes(reader.bytes_exact()?)),
            3 => links.operation = Some(reader.text()?.to_owned()),
            _ => return Err(StatementError::Value { key: 23 }),
        }
    }
    Ok(links)
}

fn read_actor(reader: &mut Reader<'_>) -> Result<Actor, StatementError> {
    tuple(24, reader, 2)?;
    let assurance = u8::try_from(reader.uint()?);
    Ok(Actor {
        assurance: assurance.map_err(|_| StatementError::Value { key: 24 })?,
        automated: reader.bool()?,
    })
}

fn read_stream(reader: &mut Reader<'_>) -> Result<Segment, StatementError> {
    tuple(25, reader, 3)?;
    Ok(Segment {
        first: reader.uint()?,
        last: reader.uint()?,
        hash: digest(reader)?,
    })
}
