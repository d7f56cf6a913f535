//! The wrapped keys of one day's records.

use std::path::Path;

use entente_ledger::disk::DiskFile;
use entente_signing::Digest;
use entente_signing::cbor::{CborError, Reader, Writer};

use super::damaged;
use crate::record::Attachment;
use crate::retention::Retention;
use crate::{SidecarError, frame};

/// One record's key, and where its ciphertext is.
#[derive(Debug)]
pub(crate) struct WrappedKey {
    pub(crate) index: u64,
    pub(crate) hash: Digest,
    pub(crate) retention: Retention,
    bytes: [u8; 40],
    pub(crate) segment: u64,
    pub(crate) offset: u64,
}

/// The keys of one day, oldest first.
#[derive(Debug)]
pub(super) struct Wrapped {
    pub(super) keys: Vec<WrappedKey>,
    /// How many of them come before the first damage.
    pub(super) whole: usize,
    /// Where the last whole one ends.
    pub(super) end: u64,
}

// === impl Wrapped ===

impl Wrapped {
    /// Reads the keys of a day up to where a crash cut the file. A frame damaged in between is passed
    /// over: one changed byte must not cost the keys of everybody after it.
    pub(super) fn read(file: &dyn DiskFile, path: &Path) -> Result<Self, SidecarError> {
        let (mut keys, mut whole, mut end) = (Vec::new(), None, 0);
        let mut offset = 0;
        loop {
            while let Some(frame) = frame::read(file, offset)? {
                offset += 8 + frame.len() as u64;
                let key = WrappedKey::decode(&frame);
                keys.push(key.map_err(|_| damaged(path, "a frame is not a wrapped key"))?);
                end = offset;
            }
            whole.get_or_insert(keys.len());
            match frame::next(file, offset)? {
                Some(next) => offset = next,
                None => break,
            }
        }
        let whole = whole.unwrap_or_default();
        Ok(Self { keys, whole, end })
    }
}

// === impl WrappedKey ===

impl WrappedKey {
    pub(super) fn new(index: u64, record: &Attachment, segment: u64, offset: u64) -> Self {
        Self {
            index,
            hash: record.hash,
            retention: record.retention.clone(),
            bytes: record.wrapped,
            segment,
            offset,
        }
    }

    /// The wrapped key; none where this one record was erased.
    pub(crate) fn wrapped(&self) -> Option<[u8; 40]> {
        (self.bytes != ERASED).then_some(self.bytes)
    }

    /// Puts another in its place; none erases the record.
    pub(crate) fn replace(&mut self, wrapped: Option<[u8; 40]>) {
        self.bytes = wrapped.unwrap_or(ERASED);
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = Writer::with_capacity(160);
        out.array(6).uint(self.index).bytes(self.hash.as_bytes());
        out.text(&self.retention.to_string()).bytes(&self.bytes);
        out.uint(self.segment).uint(self.offset);
        out.into_vec()
    }

    fn decode(frame: &[u8]) -> Result<Self, CborError> {
        let mut reader = Reader::new(frame);
        if reader.array()? != 6 {
            return Err(CborError::Unexpected);
        }
        let key = Self {
            index: reader.uint()?,
            hash: Digest::from_bytes(reader.bytes_exact()?),
            retention: reader.text()?.parse().map_err(|_| CborError::Range)?,
            bytes: reader.bytes_exact()?,
            segment: reader.uint()?,
            offset: reader.uint()?,
        };
        reader.finish()?;
        Ok(key)
    }
}

/// What stands where a wrapped key was. AES-KW never gives it: its check value would have to fit.
const ERASED: [u8; 40] = [0; 40];
