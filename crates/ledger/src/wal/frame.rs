//! Frames to bytes and back.

use bytes::Bytes;
use entente_signing::cbor::{CborError, Reader, Writer};

use crate::{MAX_ATTACHMENT, MAX_ENTRY};

/// One entry of the write-ahead log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct EntryFrame {
    pub(crate) index: u64,
    /// First index of the commit it belongs to.
    pub(crate) commit: u64,
    pub(crate) entry: Bytes,
    pub(crate) attachment: Option<Bytes>,
}

/// What a segment starts with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) number: u64,
    pub(crate) first_index: u64,
}

/// Appends an entry's frame to `out`.
pub(crate) fn encode_entry(
    out: &mut Vec<u8>,
    index: u64,
    commit: u64,
    entry: &[u8],
    attachment: Option<&[u8]>,
) {
    put(out, |w| {
        w.array(4).uint(index).uint(commit).bytes(entry);
        match attachment {
            Some(attachment) => w.bytes(attachment),
            None => w.null(),
        };
    });
}

pub(super) fn encode_header(header: Header) -> Vec<u8> {
    let mut out = Vec::new();
    put(&mut out, |w| {
        w.array(4).text(MAGIC).uint(VERSION);
        w.uint(header.number).uint(header.first_index);
    });
    out
}

/// The body of the frame at `at`, when its length and checksum are right.
pub(super) fn body_at(bytes: &[u8], at: usize) -> Option<&[u8]> {
    let head = bytes.get(at..at.checked_add(HEAD)?)?;
    let (len, crc) = head.split_first_chunk::<4>()?;
    let len = usize::try_from(u32::from_be_bytes(*len)).ok()?;
    if len == 0 || len > MAX_BODY {
        return None;
    }
    let body = bytes.get(at + HEAD..at + HEAD + len)?;
    (crc32c::crc32c(body).to_be_bytes() == crc).then_some(body)
}

pub(super) fn decode_header(body: &[u8]) -> Result<Header, CborError> {
    let mut r = Reader::new(body);
    if r.array()? != 4 || r.text()? != MAGIC || r.uint()? != VERSION {
        return Err(CborError::Unexpected);
    }
    let header = Header {
        number: r.uint()?,
        first_index: r.uint()?,
    };
    r.finish().map(|()| header)
}

/// Reads an entry's frame; entry and attachment share `body`.
pub(super) fn decode_entry(body: &Bytes) -> Result<EntryFrame, CborError> {
    let mut r = Reader::new(body);
    if r.array()? != 4 {
        return Err(CborError::Unexpected);
    }
    let frame = EntryFrame {
        index: r.uint()?,
        commit: r.uint()?,
        entry: body.slice_ref(r.bytes()?),
        attachment: r.optional(Reader::bytes)?.map(|a| body.slice_ref(a)),
    };
    r.finish()?;
    let sane = frame.commit <= frame.index && (1..=MAX_ENTRY).contains(&frame.entry.len());
    if sane {
        Ok(frame)
    } else {
        Err(CborError::Range)
    }
}

/// Writes a body where it belongs, and its length and checksum before it: entries are long, and are not
/// copied twice.
fn put(out: &mut Vec<u8>, body: impl FnOnce(&mut Writer)) {
    let at = out.len();
    out.extend_from_slice(&[0; HEAD]);
    let mut w = Writer::from(std::mem::take(out));
    body(&mut w);
    *out = w.into_vec();
    let (head, body) = out[at..].split_at_mut(HEAD);
    let (len, crc) = head.split_at_mut(HEAD / 2);
    len.copy_from_slice(&(body.len() as u32).to_be_bytes());
    crc.copy_from_slice(&crc32c::crc32c(body).to_be_bytes());
}

const MAGIC: &str = "entente-wal";
const VERSION: u64 = 1;
/// Length and checksum.
pub(super) const HEAD: usize = 8;
/// The longest body: its two byte strings, their heads and two integers.
pub(super) const MAX_BODY: usize = MAX_ENTRY + MAX_ATTACHMENT + 64;
