//! Entries to bytes and back.

use bytes::Bytes;
use entente_clock::Timestamp;
use entente_identity::ServerId;
use entente_signing::Digest;
use entente_signing::cbor::{CborError, Kind, Reader, Writer};

use super::{
    Attempt, Body, Boot, Denied, DeniedCall, Entry, EntryError, In, LateTags, Out, Outcome,
    OutcomeKind, PeerCheckpoint, Read, Reconcile, Session, Shred, SubjectTag, Summary, TimeStamp,
    VERSION, View,
};

pub(super) fn encode(entry: &Entry) -> Result<Vec<u8>, EntryError> {
    let mut w = Writer::with_capacity(256);
    let mut open = |items: usize| {
        w.array(3 + items)
            .uint(VERSION)
            .uint(entry.body.kind())
            .uint(entry.at.as_millis());
    };
    match &entry.body {
        Body::In(e) => {
            open(4);
            w.bytes(&e.statement);
            digest_or_null(&mut w, e.sidecar.as_ref());
            uint_or_null(&mut w, e.view);
            put_tags(&mut w, &e.tags)?;
        }
        Body::Out(e) => {
            open(3);
            w.bytes(&e.statement);
            digest_or_null(&mut w, e.sidecar.as_ref());
            uint_or_null(&mut w, e.view);
        }
        Body::Denied(e) => {
            open(6);
            w.text(code("reason", &e.reason)?);
            text_or_null(&mut w, "peer", e.peer.as_ref().map(ServerId::as_str))?;
            match &e.call {
                DeniedCall::Statement(statement) => {
                    w.bytes(statement);
                }
                DeniedCall::Attempt(attempt) => put_attempt(&mut w, attempt)?,
            }
            digest_or_null(&mut w, e.sidecar.as_ref());
            uint_or_null(&mut w, e.view);
            put_tags(&mut w, &e.tags)?;
        }
        Body::Session(e) => {
            open(2);
            bounded("chain", e.chain.len(), 1, MAX_CHAIN)?;
            w.text(e.server.as_str()).array(e.chain.len());
            for certificate in &e.chain {
                w.bytes(certificate);
            }
        }
        Body::TimeStamp(e) => {
            open(2);
            w.array(2).uint(e.size).bytes(e.root.as_bytes());
            w.bytes(&e.token);
        }
        Body::Shred(e) => {
            open(4);
            w.text(text("class", &e.class)?);
            w.text(text("period", &e.period)?);
            w.bytes(e.key_hash.as_bytes());
            w.text(text("authority", &e.authority)?);
        }
        Body::Read(e) => {
            open(1);
            w.bytes(&e.query);
        }
        Body::View(e) => {
            open(3);
            w.text(text("origin", &e.origin)?);
            w.uint(e.size).bytes(e.root.as_bytes());
        }
        Body::Boot(e) => {
            open(3);
            w.text(text("version", &e.version)?).uint(e.last_size);
            match &e.note {
                Some(note) => {
                    bounded("note", note.len(), 0, MAX_NOTE)?;
                    w.text(note);
                }
                None => {
                    w.null();
                }
            }
        }
        Body::PeerCheckpoint(e) => {
            open(1);
            w.bytes(&e.note);
        }
        Body::Reconcile(e) => {
            open(5);
            bounded("counts", e.counts.len(), 0, MAX_FIGURES)?;
            bounded("digests", e.digests.len(), 0, MAX_FIGURES)?;
            w.text(e.peer.as_str()).text(text("period", &e.period)?);
            w.array(e.counts.len());
            for count in &e.counts {
                w.uint(*count);
            }
            w.array(e.digests.len());
            for digest in &e.digests {
                w.bytes(digest.as_bytes());
            }
            w.text(code("verdict", &e.verdict)?);
        }
        Body::Outcome(e) => {
            open(2);
            w.bytes(e.request.as_bytes()).uint(e.kind as u64);
        }
        Body::Tags(e) => {
            open(2);
            w.bytes(e.statement.as_bytes());
            put_tags(&mut w, &e.tags)?;
        }
        Body::Summary(e) => {
            open(5);
            text_or_null(&mut w, "peer", e.peer.as_deref())?;
            w.text(code("reason", &e.reason)?).uint(e.count);
            w.uint(e.first.as_millis()).uint(e.last.as_millis());
        }
    }
    Ok(w.into_vec())
}

pub(super) fn decode(bytes: &[u8]) -> Result<Entry, EntryError> {
    let mut r = Reader::new(bytes);
    let items = r.array()?;
    let version = r.uint()?;
    if version != VERSION {
        return Err(EntryError::UnknownVersion(version));
    }
    let kind = r.uint()?;
    let expected = match kind {
        7 | 10 => 1,
        4 | 5 | 12 | 13 => 2,
        2 | 8 | 9 => 3,
        1 | 6 => 4,
        11 | 14 => 5,
        3 => 6,
        _ => return Err(EntryError::UnknownKind(kind)),
    };
    if items != 3 + expected {
        return Err(EntryError::Cbor(CborError::Unexpected));
    }
    let at = time(&mut r)?;
    let body = match kind {
        1 => Body::In(In {
            statement: owned(&mut r)?,
            sidecar: r.optional(digest)?,
            view: r.optional(Reader::uint)?,
            tags: tags(&mut r)?,
        }),
        2 => Body::Out(Out {
            statement: owned(&mut r)?,
            sidecar: r.optional(digest)?,
            view: r.optional(Reader::uint)?,
        }),
        3 => Body::Denied(Denied {
            reason: code("reason", r.text()?)?.to_owned(),
            peer: match r.optional(Reader::text)? {
                Some(peer) => Some(server(peer)?),
                None => None,
            },
            call: match r.peek()? {
                Kind::Array => DeniedCall::Attempt(attempt(&mut r)?),
                _ => DeniedCall::Statement(owned(&mut r)?),
            },
            sidecar: r.optional(digest)?,
            view: r.optional(Reader::uint)?,
            tags: tags(&mut r)?,
        }),
        4 => Body::Session(Session {
            server: server(r.text()?)?,
            chain: list(&mut r, "chain", 1, MAX_CHAIN, owned)?,
        }),
        5 => {
            pair(&mut r)?;
            Body::TimeStamp(TimeStamp {
                size: r.uint()?,
                root: digest(&mut r)?,
                token: owned(&mut r)?,
            })
        }
        6 => Body::Shred(Shred {
            class: text("class", r.text()?)?.to_owned(),
            period: text("period", r.text()?)?.to_owned(),
            key_hash: digest(&mut r)?,
            authority: text("authority", r.text()?)?.to_owned(),
        }),
        7 => Body::Read(Read {
            query: owned(&mut r)?,
        }),
        8 => Body::View(View {
            origin: text("origin", r.text()?)?.to_owned(),
            size: r.uint()?,
            root: digest(&mut r)?,
        }),
        9 => Body::Boot(Boot {
            version: text("version", r.text()?)?.to_owned(),
            last_size: r.uint()?,
            note: match r.optional(Reader::text)? {
                Some(note) => {
                    bounded("note", note.len(), 0, MAX_NOTE)?;
                    Some(note.to_owned())
                }
                None => None,
            },
        }),
        10 => Body::PeerCheckpoint(PeerCheckpoint {
            note: owned(&mut r)?,
        }),
        11 => Body::Reconcile(Reconcile {
            peer: server(r.text()?)?,
            period: text("period", r.text()?)?.to_owned(),
            counts: list(&mut r, "counts", 0, MAX_FIGURES, Reader::uint)?,
            digests: list(&mut r, "digests", 0, MAX_FIGURES, digest)?,
            verdict: code("verdict", r.text()?)?.to_owned(),
        }),
        12 => Body::Outcome(Outcome {
            request: digest(&mut r)?,
            kind: OutcomeKind::from_number(r.uint()?).ok_or(EntryError::Field("outcome"))?,
        }),
        13 => Body::Tags(LateTags {
            statement: digest(&mut r)?,
            tags: tags(&mut r)?,
        }),
        _ => Body::Summary(Summary {
            peer: match r.optional(Reader::text)? {
                Some(peer) => Some(text("peer", peer)?.to_owned()),
                None => None,
            },
            reason: code("reason", r.text()?)?.to_owned(),
            count: r.uint()?,
            first: time(&mut r)?,
            last: time(&mut r)?,
        }),
    };
    r.finish()?;
    Ok(Entry { at, body })
}

pub(super) fn time_of(bytes: &[u8]) -> Option<Timestamp> {
    let mut r = Reader::new(bytes);
    r.array().ok()?;
    if r.uint().ok()? != VERSION {
        return None;
    }
    r.uint().ok()?;
    time(&mut r).ok()
}

fn put_attempt(w: &mut Writer, attempt: &Attempt) -> Result<(), EntryError> {
    w.array(6);
    text_or_null(w, "system", attempt.system.as_deref())?;
    text_or_null(w, "to", attempt.to.as_deref())?;
    text_or_null(w, "method", attempt.method.as_deref())?;
    text_or_null(w, "purpose", attempt.purpose.as_deref())?;
    digest_or_null(w, attempt.agreement.as_ref());
    bounded("elements", attempt.elements.len(), 0, MAX_ELEMENTS)?;
    w.array(attempt.elements.len());
    for element in &attempt.elements {
        w.text(text("elements", element)?);
    }
    Ok(())
}

fn attempt(r: &mut Reader<'_>) -> Result<Attempt, EntryError> {
    if r.array()? != 6 {
        return Err(EntryError::Cbor(CborError::Unexpected));
    }
    let optional = |r: &mut Reader<'_>, field| match r.optional(Reader::text)? {
        Some(value) => Ok(Some(text(field, value)?.to_owned())),
        None => Ok::<_, EntryError>(None),
    };
    Ok(Attempt {
        system: optional(r, "system")?,
        to: optional(r, "to")?,
        method: optional(r, "method")?,
        purpose: optional(r, "purpose")?,
        agreement: r.optional(digest)?,
        elements: {
            let elements = list(r, "elements", 0, MAX_ELEMENTS, Reader::text)?;
            let checked = elements.into_iter().map(|e| text("elements", e));
            checked
                .map(|e| e.map(str::to_owned))
                .collect::<Result<_, _>>()?
        },
    })
}

fn put_tags(w: &mut Writer, tags: &[SubjectTag]) -> Result<(), EntryError> {
    bounded("tags", tags.len(), 0, MAX_TAGS)?;
    w.array(tags.len());
    for tag in tags {
        w.bytes(tag);
    }
    Ok(())
}

fn tags(r: &mut Reader<'_>) -> Result<Vec<SubjectTag>, EntryError> {
    list(r, "tags", 0, MAX_TAGS, Reader::bytes_exact)
}

fn list<'a, T>(
    r: &mut Reader<'a>,
    field: &'static str,
    least: usize,
    most: usize,
    mut item: impl FnMut(&mut Reader<'a>) -> Result<T, CborError>,
) -> Result<Vec<T>, EntryError> {
    let len = r.array()?;
    bounded(field, len, least, most)?;
    (0..len)
        .map(|_| item(r).map_err(EntryError::Cbor))
        .collect()
}

fn pair(r: &mut Reader<'_>) -> Result<(), EntryError> {
    match r.array()? {
        2 => Ok(()),
        _ => Err(EntryError::Cbor(CborError::Unexpected)),
    }
}

fn time(r: &mut Reader<'_>) -> Result<Timestamp, EntryError> {
    let millis = r.uint()?;
    let time = Timestamp::from_millis(millis);
    if time.as_millis() != millis {
        return Err(EntryError::Field("time"));
    }
    Ok(time)
}

fn owned(r: &mut Reader<'_>) -> Result<Bytes, CborError> {
    r.bytes().map(Bytes::copy_from_slice)
}

fn digest(r: &mut Reader<'_>) -> Result<Digest, CborError> {
    r.bytes_exact().map(Digest::from_bytes)
}

fn server(text: &str) -> Result<ServerId, EntryError> {
    text.parse().map_err(|_| EntryError::Field("server"))
}

fn digest_or_null(w: &mut Writer, digest: Option<&Digest>) {
    match digest {
        Some(digest) => w.bytes(digest.as_bytes()),
        None => w.null(),
    };
}

fn uint_or_null(w: &mut Writer, value: Option<u64>) {
    match value {
        Some(value) => w.uint(value),
        None => w.null(),
    };
}

fn text_or_null(
    w: &mut Writer,
    field: &'static str,
    value: Option<&str>,
) -> Result<(), EntryError> {
    match value {
        Some(value) => w.text(text(field, value)?),
        None => w.null(),
    };
    Ok(())
}

/// A text of 1 to [`MAX_TEXT`] bytes.
fn text<'a>(field: &'static str, value: &'a str) -> Result<&'a str, EntryError> {
    bounded(field, value.len(), 1, MAX_TEXT)?;
    Ok(value)
}

/// A code of the form `NO_AGREEMENT`. Codes are not resolved here: a ledger outlives catalogues.
fn code<'a>(field: &'static str, value: &'a str) -> Result<&'a str, EntryError> {
    bounded(field, value.len(), 1, MAX_CODE)?;
    if !value
        .bytes()
        .all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_')
    {
        return Err(EntryError::Field(field));
    }
    Ok(value)
}

fn bounded(field: &'static str, len: usize, least: usize, most: usize) -> Result<(), EntryError> {
    if (least..=most).contains(&len) {
        Ok(())
    } else {
        Err(EntryError::Field(field))
    }
}

const MAX_TEXT: usize = 255;
const MAX_CODE: usize = 64;
const MAX_NOTE: usize = 16 * 1024;
const MAX_TAGS: usize = 1_024;
const MAX_ELEMENTS: usize = 1_024;
const MAX_CHAIN: usize = 8;
const MAX_FIGURES: usize = 16;
