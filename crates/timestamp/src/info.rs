//! `TSTInfo`: what the authority says, once its signature over it was checked.

use std::time::Duration;

use der::Tag;
use entente_clock::Timestamp;

use crate::authorities::{Policy, SHA256};
use crate::fields::{Fields, Unreadable, context, context_primitive, only};

/// What a token says.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Info<'a> {
    pub(crate) policy: Policy,
    /// The hash stamped, SHA-256; `None` when it is another kind of hash.
    pub(crate) imprint: Option<&'a [u8]>,
    pub(crate) serial: &'a [u8],
    pub(crate) at: Timestamp,
    /// How far `at` may be off; zero when the authority does not say.
    pub(crate) accuracy: Duration,
    pub(crate) nonce: Option<&'a [u8]>,
}

// === impl Info ===

impl<'a> Info<'a> {
    pub(crate) fn parse(bytes: &'a [u8]) -> Result<Self, Unreadable> {
        let mut fields = Fields::of(only(bytes, Tag::Sequence)?)?;
        if fields.small()? != 1 {
            return Err(Unreadable);
        }
        let policy = Policy::from_der_content(fields.oid()?).ok_or(Unreadable)?;
        let mut imprint = fields.sequence()?;
        let hash = imprint.algorithm()?;
        let hashed = imprint.take(Tag::OctetString)?.content;
        imprint.end()?;
        let serial = fields.take(Tag::Integer)?.content;
        let at = time(fields.take(Tag::GeneralizedTime)?.content).ok_or(Unreadable)?;
        let accuracy = match fields.take_optional(Tag::Sequence)? {
            Some(accuracy) => duration(accuracy.content)?,
            None => Duration::ZERO,
        };
        fields.take_optional(Tag::Boolean)?;
        let nonce = fields.take_optional(Tag::Integer)?;
        fields.take_optional(context(0))?;
        if let Some(extensions) = fields.take_optional(context(1))? {
            no_critical(extensions.content)?;
        }
        fields.end()?;
        Ok(Self {
            policy,
            imprint: (hash == SHA256).then_some(hashed),
            serial,
            at,
            accuracy,
            nonce: nonce.map(|nonce| nonce.content),
        })
    }
}

/// `YYYYMMDDhhmmss[.f…]Z`. A fraction is cut to milliseconds.
fn time(content: &[u8]) -> Option<Timestamp> {
    let text = std::str::from_utf8(content).ok()?.strip_suffix('Z')?;
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    if whole.len() != 14 || !digits(whole) || !digits(fraction) || fraction.len() > 9 {
        return None;
    }
    let part = |from: usize, to: usize| &whole[from..to];
    let (date, clock) = (
        [part(0, 4), part(4, 6), part(6, 8)].join("-"),
        [part(8, 10), part(10, 12), part(12, 14)].join(":"),
    );
    format!("{date}T{clock}.{fraction}Z").parse().ok()
}

/// `Accuracy`, rounded up to milliseconds.
fn duration(content: &[u8]) -> Result<Duration, Unreadable> {
    let mut fields = Fields::of(content)?;
    let mut micros = 0;
    for (tag, unit, most) in [
        (Tag::Integer, 1_000_000, u64::from(u32::MAX)),
        (context_primitive(0), 1_000, 999),
        (context_primitive(1), 1, 999),
    ] {
        if let Some(field) = fields.take_optional(tag)? {
            micros += unit * whole(field.content, most)?;
        }
    }
    fields.end()?;
    Ok(Duration::from_millis(micros.div_ceil(1_000)))
}

/// A number of at most 8 bytes that is not negative.
fn whole(content: &[u8], most: u64) -> Result<u64, Unreadable> {
    if content.is_empty() || content.len() > 8 || content[0] >= 0x80 {
        return Err(Unreadable);
    }
    let value = content.iter().fold(0, |sum, b| sum << 8 | u64::from(*b));
    if value > most {
        return Err(Unreadable);
    }
    Ok(value)
}

/// An extension that must be understood is not: none is known.
fn no_critical(content: &[u8]) -> Result<(), Unreadable> {
    let mut extensions = Fields::of(content)?;
    while !extensions.is_at_end() {
        let mut extension = extensions.sequence()?;
        extension.oid()?;
        let critical = extension.take_optional(Tag::Boolean)?;
        if critical.is_some_and(|critical| critical.content != [0]) {
            return Err(Unreadable);
        }
        extension.take(Tag::OctetString)?;
        extension.end()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_times_with_and_without_a_fraction() {
        for (text, read) in [
            ("20261126170314Z", "2026-11-26T17:03:14.000Z"),
            ("20261126170314.5Z", "2026-11-26T17:03:14.500Z"),
            ("20261126170314.123999Z", "2026-11-26T17:03:14.123Z"),
        ] {
            assert_eq!(time(text.as_bytes()).unwrap().to_string(), read);
        }
        for text in [
            "",
            "20261126170314",
            "20261126170314.Z",
            "20261126170314,5Z",
            "2026112617031Z",
            "20261126170314+0100",
            "20261332170314Z",
            "2026-1-26170314Z",
            "20261126170314.0000000001Z",
        ] {
            assert!(time(text.as_bytes()).is_none(), "{text}");
        }
    }

    #[test]
    fn reads_accuracies_and_rounds_them_up() {
        let read = |bytes: &[u8]| duration(bytes).map(|d| d.as_millis());
        assert_eq!(read(&[]), Ok(0));
        assert_eq!(read(&[2, 1, 1, 0x80, 2, 1, 0xf4, 0x81, 1, 1]), Ok(1_501));
        assert_eq!(read(&[0x80, 2, 0x03, 0xe8]), Err(Unreadable));
        assert_eq!(read(&[2, 1, 0xff]), Err(Unreadable));
    }
}
