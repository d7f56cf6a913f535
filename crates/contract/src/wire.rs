//! The protobuf wire format, read without allocating: tags, lengths and where each field ends.
//!
//! Groups are refused: proto3 has none, and they are the one construct that cannot be skipped by length.

/// Why bytes could not be read as a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WireError {
    /// A group, or a wire type that does not exist.
    #[error("field in a form contracts do not allow")]
    Form,
    /// Messages nested beyond [`crate::MAX_DEPTH`].
    #[error("messages nested too deeply")]
    TooDeep,
    /// A text field that is not UTF-8.
    #[error("text that is not UTF-8")]
    Text,
    /// The bytes end within a field.
    #[error("message cut short")]
    Truncated,
    /// A varint longer than ten bytes, a field number out of range, or packed values that do not add up.
    #[error("number out of range")]
    Number,
}

/// How a field's value is laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WireType {
    Varint,
    Fixed64,
    Len,
    Fixed32,
}

/// One field as found.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WireField<'a> {
    pub(crate) number: u32,
    pub(crate) wire: WireType,
    /// The value: without its length for [`WireType::Len`].
    pub(crate) value: &'a [u8],
    /// Whether tag and length are as short as they can be.
    pub(crate) canonical: bool,
}

/// Reads fields one after another.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fields<'a> {
    rest: &'a [u8],
}

// === impl WireField ===

impl WireField<'_> {
    /// The tag and, for [`WireType::Len`], a length: what stands before the value.
    pub(crate) fn write_head(&self, len: usize, out: &mut Vec<u8>) {
        write_varint(u64::from(self.number) << 3 | self.wire.code(), out);
        if self.wire == WireType::Len {
            write_varint(len as u64, out);
        }
    }

    /// The value of a [`WireType::Varint`].
    pub(crate) fn varint(&self) -> Result<u64, WireError> {
        read_varint(&mut &*self.value).map(|(value, _)| value)
    }
}

// === impl WireType ===

impl WireType {
    fn code(self) -> u64 {
        match self {
            Self::Varint => 0,
            Self::Fixed64 => 1,
            Self::Len => 2,
            Self::Fixed32 => 5,
        }
    }
}

// === impl Fields ===

impl<'a> Fields<'a> {
    pub(crate) fn new(body: &'a [u8]) -> Self {
        Self { rest: body }
    }

    /// The next field, or `None` at the end.
    pub(crate) fn next_field(&mut self) -> Result<Option<WireField<'a>>, WireError> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let (tag, mut canonical) = read_varint(&mut self.rest)?;
        let number = u32::try_from(tag >> 3).map_err(|_| WireError::Number)?;
        if number == 0 || number > MAX_FIELD_NUMBER {
            return Err(WireError::Number);
        }
        let (wire, len) = match tag & 7 {
            0 => (WireType::Varint, varint_len(self.rest)?),
            1 => (WireType::Fixed64, 8),
            2 => {
                let (len, short) = read_varint(&mut self.rest)?;
                canonical &= short;
                (
                    WireType::Len,
                    usize::try_from(len).map_err(|_| WireError::Truncated)?,
                )
            }
            5 => (WireType::Fixed32, 4),
            _ => return Err(WireError::Form),
        };
        let (value, rest) = self
            .rest
            .split_at_checked(len)
            .ok_or(WireError::Truncated)?;
        self.rest = rest;
        Ok(Some(WireField {
            number,
            wire,
            value,
            canonical,
        }))
    }
}

/// Checks that packed values of one wire type fill `bytes` exactly.
pub(crate) fn check_packed(wire: WireType, bytes: &[u8]) -> Result<(), WireError> {
    match wire {
        WireType::Varint => packed_varints(bytes).try_for_each(|value| value.map(drop)),
        WireType::Fixed64 if bytes.len().is_multiple_of(8) => Ok(()),
        WireType::Fixed32 if bytes.len().is_multiple_of(4) => Ok(()),
        WireType::Fixed64 | WireType::Fixed32 => Err(WireError::Number),
        WireType::Len => Err(WireError::Form),
    }
}

/// Packed varints, one after another; stops after an error.
pub(crate) fn packed_varints(bytes: &[u8]) -> impl Iterator<Item = Result<u64, WireError>> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let value = read_varint(&mut rest).map(|(value, _)| value);
        if value.is_err() {
            rest = &[];
        }
        Some(value)
    })
}

/// Writes a varint as short as can be.
pub(crate) fn write_varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Writes a varint over a slice of exactly its width.
pub(crate) fn put_varint(value: u64, slot: &mut [u8]) {
    let last = slot.len().saturating_sub(1);
    for (i, byte) in slot.iter_mut().enumerate() {
        let more = if i < last { 0x80 } else { 0 };
        *byte = (value >> (7 * i)) as u8 & 0x7f | more;
    }
}

/// How long a varint would be written.
pub(crate) fn varint_width(value: usize) -> usize {
    (usize::BITS - (value | 1).leading_zeros()).div_ceil(7) as usize
}

fn read_varint(rest: &mut &[u8]) -> Result<(u64, bool), WireError> {
    let len = varint_len(rest)?;
    let (bytes, after) = rest.split_at(len);
    let mut value = 0_u64;
    for (i, byte) in bytes.iter().enumerate() {
        value |= u64::from(byte & 0x7f) << (7 * i);
    }
    if len == MAX_VARINT && bytes[len - 1] > 1 {
        return Err(WireError::Number);
    }
    *rest = after;
    Ok((value, len == 1 || bytes[len - 1] != 0))
}

fn varint_len(bytes: &[u8]) -> Result<usize, WireError> {
    match bytes
        .iter()
        .take(MAX_VARINT)
        .position(|byte| byte & 0x80 == 0)
    {
        Some(last) => Ok(last + 1),
        None if bytes.len() < MAX_VARINT => Err(WireError::Truncated),
        None => Err(WireError::Number),
    }
}

const MAX_VARINT: usize = 10;
const MAX_FIELD_NUMBER: u32 = (1 << 29) - 1;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_every_form_and_knows_which_are_shortest() {
        let mut fields =
            Fields::new(b"\x08\x96\x01\x11abcdefgh\x1a\x02hi\x25abcd\x9a\x00\x82\x00hi");
        let field = fields.next_field().unwrap().unwrap();
        assert_eq!(
            (field.number, field.varint().unwrap(), field.canonical),
            (1, 150, true)
        );
        let field = fields.next_field().unwrap().unwrap();
        assert_eq!((field.number, field.value), (2, &b"abcdefgh"[..]));
        let field = fields.next_field().unwrap().unwrap();
        assert_eq!(
            (field.number, field.value, field.canonical),
            (3, &b"hi"[..], true)
        );
        let field = fields.next_field().unwrap().unwrap();
        assert_eq!((field.number, field.value), (4, &b"abcd"[..]));
        let field = fields.next_field().unwrap().unwrap();
        assert_eq!(
            (field.number, field.value, field.canonical),
            (3, &b"hi"[..], false)
        );
        assert!(fields.next_field().unwrap().is_none());
    }

    #[test]
    fn refuses_what_is_not_a_field() {
        for (bytes, error) in [
            (&b"\x08"[..], WireError::Truncated),
            (b"\x08\x80", WireError::Truncated),
            (b"\x1a\x05hi", WireError::Truncated),
            (b"\x11abc", WireError::Truncated),
            (b"\x00\x00", WireError::Number),
            (
                b"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
                WireError::Number,
            ),
            (
                b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7f",
                WireError::Number,
            ),
            (b"\x0b\x0c", WireError::Form),
            (b"\x0c", WireError::Form),
            (b"\x0e\x00", WireError::Form),
        ] {
            assert_eq!(
                Fields::new(bytes).next_field().unwrap_err(),
                error,
                "{bytes:?}"
            );
        }
    }

    #[test]
    fn widths_agree_with_what_is_written() {
        for value in [0, 1, 127, 128, 16_383, 16_384, usize::MAX] {
            let mut out = Vec::new();
            write_varint(value as u64, &mut out);
            assert_eq!(out.len(), varint_width(value), "{value}");
            let mut slot = vec![0; varint_width(value)];
            put_varint(value as u64, &mut slot);
            assert_eq!(out, slot, "{value}");
        }
    }
}
