//! Small pieces of deterministic CBOR that every body shares: maps with integer keys, sets, keys.

use std::str::FromStr;

use entente_clock::Timestamp;
use entente_signing::cbor::{CborError, Reader, Writer};
use entente_signing::{Digest, InvalidKey, VerifyingKey};

/// Why a body is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BodyError {
    /// Not the deterministic CBOR it should be.
    Cbor(CborError),
    /// A key anybody could sign for.
    WeakKey,
}

/// Writes a map with integer keys; absent fields are absent.
pub(crate) struct Fields {
    out: Writer,
    count: usize,
}

/// Reads a map with integer keys in ascending order, each at most once, and no others.
pub(crate) struct Map<'r, 'a> {
    reader: &'r mut Reader<'a>,
    left: usize,
}

// === impl BodyError ===

impl From<CborError> for BodyError {
    fn from(error: CborError) -> Self {
        Self::Cbor(error)
    }
}

// === impl Fields ===

impl Fields {
    pub(crate) fn new() -> Self {
        Self {
            out: Writer::new(),
            count: 0,
        }
    }

    /// Keys come in ascending order; that is up to the caller, and golden bytes show it.
    pub(crate) fn key(&mut self, key: u64) -> &mut Writer {
        self.count += 1;
        self.out.uint(key)
    }

    pub(crate) fn uint(&mut self, key: u64, value: u64) -> &mut Self {
        self.key(key).uint(value);
        self
    }

    pub(crate) fn text(&mut self, key: u64, value: &str) -> &mut Self {
        self.key(key).text(value);
        self
    }

    pub(crate) fn bytes(&mut self, key: u64, value: &[u8]) -> &mut Self {
        self.key(key).bytes(value);
        self
    }

    pub(crate) fn digest(&mut self, key: u64, value: &Digest) -> &mut Self {
        self.bytes(key, value.as_bytes())
    }

    pub(crate) fn time(&mut self, key: u64, value: Timestamp) -> &mut Self {
        self.uint(key, value.as_millis())
    }

    pub(crate) fn list<T>(
        &mut self,
        key: u64,
        items: impl ExactSizeIterator<Item = T>,
        mut write: impl FnMut(&mut Writer, T),
    ) -> &mut Self {
        let out = self.key(key);
        out.array(items.len());
        for item in items {
            write(out, item);
        }
        self
    }

    pub(crate) fn map(&mut self, key: u64, write: impl FnOnce(&mut Self)) -> &mut Self {
        let mut inner = Self::new();
        write(&mut inner);
        let out = self.key(key);
        inner.end(out);
        self
    }

    pub(crate) fn end(&self, to: &mut Writer) {
        to.map(self.count).raw(self.out.as_slice());
    }

    pub(crate) fn into_vec(self) -> Vec<u8> {
        let mut out = Writer::with_capacity(self.out.as_slice().len() + 9);
        self.end(&mut out);
        out.into_vec()
    }
}

// === impl Map ===

impl<'r, 'a> Map<'r, 'a> {
    pub(crate) fn open(reader: &'r mut Reader<'a>) -> Result<Self, CborError> {
        let left = reader.map()?;
        Ok(Self { reader, left })
    }

    /// The value of `key`, if the next key is that one.
    pub(crate) fn optional<T, E: From<CborError>>(
        &mut self,
        key: u64,
        read: impl FnOnce(&mut Reader<'a>) -> Result<T, E>,
    ) -> Result<Option<T>, E> {
        if self.left == 0 || self.reader.clone().uint()? != key {
            return Ok(None);
        }
        self.left -= 1;
        self.reader.uint()?;
        read(self.reader).map(Some)
    }

    pub(crate) fn required<T, E: From<CborError>>(
        &mut self,
        key: u64,
        read: impl FnOnce(&mut Reader<'a>) -> Result<T, E>,
    ) -> Result<T, E> {
        let value = self.optional(key, read)?;
        value.ok_or_else(|| CborError::Unexpected.into())
    }

    /// Ends the map: a key that was not asked for, or out of order, is still there.
    pub(crate) const fn end(self) -> Result<(), CborError> {
        if self.left == 0 {
            Ok(())
        } else {
            Err(CborError::KeyOrder)
        }
    }
}

// === values ===

pub(crate) fn digest(reader: &mut Reader<'_>) -> Result<Digest, CborError> {
    reader.bytes_exact().map(Digest::from_bytes)
}

pub(crate) fn time(reader: &mut Reader<'_>) -> Result<Timestamp, CborError> {
    let millis = reader.uint()?;
    let time = Timestamp::from_millis(millis);
    // A time past the end of the calendar would be read back as another one.
    if time.as_millis() == millis {
        Ok(time)
    } else {
        Err(CborError::Range)
    }
}

pub(crate) fn u32(reader: &mut Reader<'_>) -> Result<u32, CborError> {
    u32::try_from(reader.uint()?).map_err(|_| CborError::Range)
}

/// A name, or any other value with a text syntax of its own.
pub(crate) fn parsed<T: FromStr>(reader: &mut Reader<'_>) -> Result<T, CborError> {
    reader.text()?.parse().map_err(|_| CborError::Range)
}

pub(crate) fn short_text(reader: &mut Reader<'_>) -> Result<String, CborError> {
    let text = reader.text()?;
    if text.is_empty() || text.len() > MAX_TEXT || text.chars().any(char::is_control) {
        return Err(CborError::Range);
    }
    Ok(text.to_owned())
}

/// A SubjectPublicKeyInfo that a signature could be verified with.
pub(crate) fn key(reader: &mut Reader<'_>) -> Result<VerifyingKey, BodyError> {
    VerifyingKey::from_spki_der(reader.bytes()?).map_err(|invalid| match invalid {
        InvalidKey::Weak => BodyError::WeakKey,
        _ => CborError::Range.into(),
    })
}

/// At least one and at most [`MAX_LIST`] items.
pub(crate) fn list<'a, T, E: From<CborError>>(
    reader: &mut Reader<'a>,
    mut read: impl FnMut(&mut Reader<'a>) -> Result<T, E>,
) -> Result<Vec<T>, E> {
    let len = reader.array()?;
    if len == 0 || len > MAX_LIST {
        return Err(CborError::Range.into());
    }
    (0..len).map(|_| read(reader)).collect()
}

/// Items that each come after the one before.
pub(crate) fn ascending<'a, T: Ord>(
    reader: &mut Reader<'a>,
    read: impl FnMut(&mut Reader<'a>) -> Result<T, CborError>,
) -> Result<std::collections::BTreeSet<T>, CborError> {
    let items = list(reader, read)?;
    if items.windows(2).any(|pair| pair[0] >= pair[1]) {
        return Err(CborError::KeyOrder);
    }
    Ok(items.into_iter().collect())
}

/// The most items of any list in a change.
pub(crate) const MAX_LIST: usize = 64;
/// The longest free text in a change, in bytes.
const MAX_TEXT: usize = 512;
