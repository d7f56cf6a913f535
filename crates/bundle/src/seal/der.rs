//! The little DER a seal takes: written from the inside out, and read only to find its parts.

use der::asn1::AnyRef;
use der::{Decode as _, Reader as _, SliceReader};
use entente_clock::Timestamp;

/// The parts of a seal that are not known beforehand; nothing about them is checked.
pub(super) struct Found<'a> {
    pub(super) certificate: &'a [u8],
    pub(super) at: Timestamp,
    pub(super) signature: [u8; 64],
}

/// A field of `tag` with the parts as its content.
pub(super) fn tlv(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let len: usize = parts.iter().map(|part| part.len()).sum();
    let mut out = vec![tag];
    match len {
        0..0x80 => out.push(len as u8),
        0x80..0x100 => out.extend([0x81, len as u8]),
        // Nothing in a seal reaches 64 KiB: its certificate has at most 4.
        _ => out.extend([0x82, (len >> 8) as u8, len as u8]),
    }
    out.extend(parts.iter().flat_map(|part| part.iter()));
    out
}

pub(super) fn sequence(parts: &[&[u8]]) -> Vec<u8> {
    tlv(0x30, parts)
}

pub(super) fn set(parts: &[&[u8]]) -> Vec<u8> {
    tlv(0x31, parts)
}

pub(super) fn oid(content: &[u8]) -> Vec<u8> {
    tlv(0x06, &[content])
}

/// `[number] EXPLICIT`.
pub(super) fn context(number: u8, content: &[u8]) -> Vec<u8> {
    tlv(0xa0 | number, &[content])
}

/// `[number] IMPLICIT` over a SET.
pub(super) fn implicit(number: u8, content: &[u8]) -> Vec<u8> {
    tlv(0xa0 | number, &[content])
}

/// A number that is not negative, from its big-endian bytes.
pub(super) fn integer(bytes: &[u8]) -> Vec<u8> {
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    let bytes = &bytes[zeros.min(bytes.len().saturating_sub(1))..];
    let sign: &[u8] = if bytes.first().is_some_and(|byte| *byte >= 0x80) {
        &[0]
    } else {
        &[]
    };
    tlv(0x02, &[sign, bytes])
}

/// `UTCTime` up to 2049 and `GeneralizedTime` from 2050 (RFC 5652 §11.3), in whole seconds.
pub(super) fn time(at: Timestamp) -> Vec<u8> {
    let text: String = at
        .to_string()
        .chars()
        .filter(char::is_ascii_digit)
        .collect();
    let (year, rest) = (&text[..4], &text[4..14]);
    match year.parse::<u16>() {
        Ok(1950..2050) => tlv(0x17, &[&year.as_bytes()[2..], rest.as_bytes(), b"Z"]),
        _ => tlv(0x18, &[year.as_bytes(), rest.as_bytes(), b"Z"]),
    }
}

/// The issuer and the serial number of a certificate, each with its tag.
pub(super) fn issuer_and_serial(certificate: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut tbs = inside(inside(certificate)?.tlv_bytes().ok()?)?;
    let _version = tbs.tlv_bytes().ok()?;
    let serial = tbs.tlv_bytes().ok()?;
    let _algorithm = tbs.tlv_bytes().ok()?;
    Some((tbs.tlv_bytes().ok()?, serial))
}

/// Finds the parts of a seal where [`super::write`] puts them.
pub(super) fn find(seal: &[u8]) -> Option<Found<'_>> {
    let mut info = inside(seal)?;
    info.tlv_bytes().ok()?;
    let mut signed = inside(inside(info.tlv_bytes().ok()?)?.tlv_bytes().ok()?)?;
    for _version_digests_content in 0..3 {
        signed.tlv_bytes().ok()?;
    }
    let certificate = inside(signed.tlv_bytes().ok()?)?.tlv_bytes().ok()?;
    let mut signer = inside(inside(signed.tlv_bytes().ok()?)?.tlv_bytes().ok()?)?;
    for _version_issuer_digest in 0..3 {
        signer.tlv_bytes().ok()?;
    }
    let at = find_time(signer.tlv_bytes().ok()?)?;
    signer.tlv_bytes().ok()?;
    let mut numbers = inside(content(signer.tlv_bytes().ok()?)?)?;
    let mut signature = [0; 64];
    for half in signature.chunks_exact_mut(32) {
        let number = content(numbers.tlv_bytes().ok()?)?;
        let number = number.strip_prefix(&[0]).unwrap_or(number);
        let start = 32usize.checked_sub(number.len())?;
        half[start..].copy_from_slice(number);
    }
    Some(Found {
        certificate,
        at,
        signature,
    })
}

/// The one time among the attributes.
fn find_time(attributes: &[u8]) -> Option<Timestamp> {
    let mut attributes = inside(attributes)?;
    while !attributes.is_finished() {
        let mut attribute = inside(attributes.tlv_bytes().ok()?)?;
        if content(attribute.tlv_bytes().ok()?)? != super::SIGNING_TIME {
            continue;
        }
        let value = inside(attribute.tlv_bytes().ok()?)?.tlv_bytes().ok()?;
        let text = std::str::from_utf8(content(value)?).ok()?;
        let text = match value.first() {
            // 1950 to 1999 come before anything that can be in a bundle.
            Some(0x17) => format!("20{text}"),
            _ => text.to_owned(),
        };
        let digits = text.strip_suffix('Z')?;
        if digits.len() != 14 || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        let part = |from: usize, to: usize| &digits[from..to];
        let date = [part(0, 4), part(4, 6), part(6, 8)].join("-");
        let clock = [part(8, 10), part(10, 12), part(12, 14)].join(":");
        return format!("{date}T{clock}Z").parse().ok();
    }
    None
}

/// The fields in a field.
fn inside(field: &[u8]) -> Option<SliceReader<'_>> {
    SliceReader::new(content(field)?).ok()
}

fn content(field: &[u8]) -> Option<&[u8]> {
    AnyRef::from_der(field).ok().map(|any| any.value())
}
