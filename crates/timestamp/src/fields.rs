//! Reading DER field by field.
//!
//! The crates that hold these structures as types refuse what real authorities send: a time with a
//! fraction of a second, certificates in an order other than DER's (see
//! docs/decisions/007-what-is-time-stamped.md). Headers and lengths are read by the `der` crate.

use der::asn1::AnyRef;
use der::{Decode as _, Reader as _, SliceReader, Tag, TagNumber};

/// The fields of one structure, from left to right.
#[derive(Clone, Debug)]
pub(crate) struct Fields<'a>(SliceReader<'a>);

/// One field.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Field<'a> {
    /// The field with its tag and length.
    pub(crate) whole: &'a [u8],
    /// Its content.
    pub(crate) content: &'a [u8],
}

/// Bytes that are not the structure expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Unreadable;

/// `[number] IMPLICIT`, or `EXPLICIT`: a context tag over a structure.
pub(crate) const fn context(number: u32) -> Tag {
    Tag::ContextSpecific {
        constructed: true,
        number: TagNumber(number),
    }
}

/// `[number] IMPLICIT` over something without parts.
pub(crate) const fn context_primitive(number: u32) -> Tag {
    Tag::ContextSpecific {
        constructed: false,
        number: TagNumber(number),
    }
}

/// The content of the one field that `bytes` are.
pub(crate) fn only(bytes: &[u8], tag: Tag) -> Result<&[u8], Unreadable> {
    let mut fields = Fields::of(bytes)?;
    let field = fields.take(tag)?;
    fields.end()?;
    Ok(field.content)
}

// === impl Fields ===

impl<'a> Fields<'a> {
    /// The fields in `content`.
    pub(crate) fn of(content: &'a [u8]) -> Result<Self, Unreadable> {
        SliceReader::new(content).map(Self).map_err(|_| Unreadable)
    }

    /// The next field, whatever it is.
    pub(crate) fn any(&mut self) -> Result<(Tag, Field<'a>), Unreadable> {
        let whole = self.0.tlv_bytes().map_err(|_| Unreadable)?;
        let any = AnyRef::from_der(whole).map_err(|_| Unreadable)?;
        let content = any.value();
        Ok((der::Tagged::tag(&any), Field { whole, content }))
    }

    /// The next field, which has this tag.
    pub(crate) fn take(&mut self, tag: Tag) -> Result<Field<'a>, Unreadable> {
        match self.any()? {
            (found, field) if found == tag => Ok(field),
            _ => Err(Unreadable),
        }
    }

    /// The next field, if it has this tag.
    pub(crate) fn take_optional(&mut self, tag: Tag) -> Result<Option<Field<'a>>, Unreadable> {
        if self.is_at_end() || Tag::peek(&self.0).map_err(|_| Unreadable)? != tag {
            return Ok(None);
        }
        self.take(tag).map(Some)
    }

    /// The fields of the next field, a SEQUENCE.
    pub(crate) fn sequence(&mut self) -> Result<Self, Unreadable> {
        Self::of(self.take(Tag::Sequence)?.content)
    }

    /// A small INTEGER that is not negative.
    pub(crate) fn small(&mut self) -> Result<u8, Unreadable> {
        match self.take(Tag::Integer)?.content {
            [value @ 0..=0x7f] => Ok(*value),
            _ => Err(Unreadable),
        }
    }

    /// An OBJECT IDENTIFIER's content.
    pub(crate) fn oid(&mut self) -> Result<&'a [u8], Unreadable> {
        Ok(self.take(Tag::ObjectIdentifier)?.content)
    }

    /// The identifier in an AlgorithmIdentifier; parameters, if any, are NULL.
    pub(crate) fn algorithm(&mut self) -> Result<&'a [u8], Unreadable> {
        let mut fields = self.sequence()?;
        let oid = fields.oid()?;
        fields.take_optional(Tag::Null)?;
        fields.end()?;
        Ok(oid)
    }

    pub(crate) fn is_at_end(&self) -> bool {
        self.0.is_finished()
    }

    /// That nothing is left.
    pub(crate) fn end(self) -> Result<(), Unreadable> {
        self.0.finish().map_err(|_| Unreadable)
    }
}
