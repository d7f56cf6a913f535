//! Reading deterministic CBOR, strictly and without allocating.

use super::{CborError, MAX_DEPTH};

/// Reads items one after the other, borrowing from the bytes.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

/// The type of the next item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Array.
    Array,
    /// `true` or `false`.
    Bool,
    /// Byte string.
    Bytes,
    /// Map.
    Map,
    /// Negative integer.
    Negative,
    /// Null.
    Null,
    /// Tag.
    Tag,
    /// Text string.
    Text,
    /// Unsigned integer.
    Uint,
}

/// Checks that map keys come in the order RFC 8949 §4.2.1 asks for: bytewise on their encodings.
#[derive(Clone, Debug, Default)]
pub struct KeyOrder<'a> {
    last: Option<&'a [u8]>,
}

// === impl Reader ===

impl<'a> Reader<'a> {
    /// Reads from the start of `bytes`.
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// How many bytes were read.
    pub const fn position(&self) -> usize {
        self.at
    }

    /// The bytes not read yet.
    pub fn remaining(&self) -> &'a [u8] {
        self.bytes.get(self.at..).unwrap_or_default()
    }

    /// An unsigned integer.
    ///
    /// # Errors
    /// When the next item is not one.
    pub fn uint(&mut self) -> Result<u64, CborError> {
        self.expect(0)
    }

    /// An integer that fits 64 bits with sign.
    ///
    /// # Errors
    /// When the next item is not one.
    pub fn int(&mut self) -> Result<i64, CborError> {
        match self.head()? {
            (0, value) => i64::try_from(value).map_err(|_| CborError::Range),
            (1, value) => i64::try_from(value)
                .map(|value| -1 - value)
                .map_err(|_| CborError::Range),
            _ => Err(CborError::Unexpected),
        }
    }

    /// A byte string.
    ///
    /// # Errors
    /// When the next item is not one.
    pub fn bytes(&mut self) -> Result<&'a [u8], CborError> {
        let len = self.expect(2)?;
        self.take(len)
    }

    /// A byte string of exactly `N` bytes.
    ///
    /// # Errors
    /// When the next item is not one.
    pub fn bytes_exact<const N: usize>(&mut self) -> Result<[u8; N], CborError> {
        self.bytes()?.try_into().map_err(|_| CborError::Range)
    }

    /// A text string.
    ///
    /// # Errors
    /// When the next item is not one, or is not UTF-8.
    pub fn text(&mut self) -> Result<&'a str, CborError> {
        let len = self.expect(3)?;
        std::str::from_utf8(self.take(len)?).map_err(|_| CborError::Utf8)
    }

    /// The head of an array: how many items follow. Never more than there are bytes left.
    ///
    /// # Errors
    /// When the next item is not an array.
    pub fn array(&mut self) -> Result<usize, CborError> {
        let len = self.expect(4)?;
        self.count(len, 1)
    }

    /// The head of a map: how many pairs follow. Never more than there are bytes left.
    ///
    /// # Errors
    /// When the next item is not a map.
    pub fn map(&mut self) -> Result<usize, CborError> {
        let len = self.expect(5)?;
        self.count(len, 2)
    }

    /// A tag; the tagged item follows.
    ///
    /// # Errors
    /// When the next item is not tagged.
    pub fn tag(&mut self) -> Result<u64, CborError> {
        self.expect(6)
    }

    /// A boolean.
    ///
    /// # Errors
    /// When the next item is not one.
    pub fn bool(&mut self) -> Result<bool, CborError> {
        match self.head()? {
            (7, 20) => Ok(false),
            (7, 21) => Ok(true),
            _ => Err(CborError::Unexpected),
        }
    }

    /// Null.
    ///
    /// # Errors
    /// When the next item is something else.
    pub fn null(&mut self) -> Result<(), CborError> {
        match self.head()? {
            (7, 22) => Ok(()),
            _ => Err(CborError::Unexpected),
        }
    }

    /// The type of the next item, without reading it.
    ///
    /// # Errors
    /// When no valid item follows.
    pub fn peek(&self) -> Result<Kind, CborError> {
        Ok(match self.clone().head()? {
            (0, _) => Kind::Uint,
            (1, _) => Kind::Negative,
            (2, _) => Kind::Bytes,
            (3, _) => Kind::Text,
            (4, _) => Kind::Array,
            (5, _) => Kind::Map,
            (6, _) => Kind::Tag,
            (_, 22) => Kind::Null,
            _ => Kind::Bool,
        })
    }

    /// Reads `read` unless the next item is null.
    ///
    /// # Errors
    /// Those of `read`.
    pub fn optional<T>(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<T, CborError>,
    ) -> Result<Option<T>, CborError> {
        if self.peek()? == Kind::Null {
            self.null().map(|()| None)
        } else {
            read(self).map(Some)
        }
    }

    /// The next item as its encoded bytes, checked in full: deterministic, of bounded depth.
    ///
    /// # Errors
    /// When it is not a valid deterministic item.
    pub fn raw_item(&mut self) -> Result<&'a [u8], CborError> {
        let start = self.at;
        self.skip(MAX_DEPTH)?;
        Ok(&self.bytes[start..self.at])
    }

    /// Reads a map key as its encoded bytes and checks it against the ones before it.
    ///
    /// # Errors
    /// When the key is not valid or not in order.
    pub fn key(&mut self, order: &mut KeyOrder<'a>) -> Result<Self, CborError> {
        let key = self.raw_item()?;
        order.check(key)?;
        Ok(Reader::new(key))
    }

    /// Ends reading.
    ///
    /// # Errors
    /// When bytes are left.
    pub const fn finish(&self) -> Result<(), CborError> {
        if self.at == self.bytes.len() {
            Ok(())
        } else {
            Err(CborError::Trailing)
        }
    }

    fn skip(&mut self, depth: usize) -> Result<(), CborError> {
        let depth = depth.checked_sub(1).ok_or(CborError::Depth)?;
        match self.head()? {
            (0 | 1 | 7, _) => {}
            (2, len) => {
                self.take(len)?;
            }
            (3, len) => {
                std::str::from_utf8(self.take(len)?).map_err(|_| CborError::Utf8)?;
            }
            (4, len) => {
                for _ in 0..self.count(len, 1)? {
                    self.skip(depth)?;
                }
            }
            (5, len) => {
                let mut order = KeyOrder::default();
                for _ in 0..self.count(len, 2)? {
                    let start = self.at;
                    self.skip(depth)?;
                    order.check(&self.bytes[start..self.at])?;
                    self.skip(depth)?;
                }
            }
            _ => self.skip(depth)?,
        }
        Ok(())
    }

    fn expect(&mut self, major: u8) -> Result<u64, CborError> {
        match self.head()? {
            (found, value) if found == major => Ok(value),
            _ => Err(CborError::Unexpected),
        }
    }

    fn count(&self, len: u64, bytes_each: usize) -> Result<usize, CborError> {
        let len = usize::try_from(len).map_err(|_| CborError::Truncated)?;
        if len > self.remaining().len() / bytes_each {
            return Err(CborError::Truncated);
        }
        Ok(len)
    }

    fn take(&mut self, len: u64) -> Result<&'a [u8], CborError> {
        let len = usize::try_from(len).map_err(|_| CborError::Truncated)?;
        let taken = self.remaining().get(..len).ok_or(CborError::Truncated)?;
        self.at += len;
        Ok(taken)
    }

    /// Major type and argument. For major type 7 only false, true and null exist here.
    fn head(&mut self) -> Result<(u8, u64), CborError> {
        let initial = self.take(1)?[0];
        let (major, low) = (initial >> 5, initial & 0x1f);
        if major == 7 {
            return match low {
                20..=22 => Ok((major, u64::from(low))),
                _ => Err(CborError::Unexpected),
            };
        }
        let (width, least) = match low {
            0..=23 => return Ok((major, u64::from(low))),
            24 => (1, 24),
            25 => (2, 0x100),
            26 => (4, 0x1_0000),
            27 => (8, 0x1_0000_0000),
            _ => return Err(CborError::Undeterministic),
        };
        let value = self
            .take(width)?
            .iter()
            .fold(0, |value, byte| value << 8 | u64::from(*byte));
        if value < least {
            return Err(CborError::Undeterministic);
        }
        Ok((major, value))
    }
}

// === impl KeyOrder ===

impl<'a> KeyOrder<'a> {
    /// Takes the next key's encoding.
    ///
    /// # Errors
    /// When it does not come after the one before.
    pub fn check(&mut self, key: &'a [u8]) -> Result<(), CborError> {
        if self.last.is_some_and(|last| last >= key) {
            return Err(CborError::KeyOrder);
        }
        self.last = Some(key);
        Ok(())
    }
}
