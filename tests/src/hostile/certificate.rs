//! Session certificates that our own code would not issue.

use anyhow::{Context as _, ensure};
use bytes::Bytes;
use entente_signing::Signer;

/// A certificate with its end moved to the last second of 2049, signed again by `by`.
///
/// # Errors
/// When `certificate` is not one that [`entente_keys::SessionCertificate::issue`] made.
pub fn stretched(certificate: &[u8], by: &dyn Signer) -> anyhow::Result<Bytes> {
    let content = value(certificate)?;
    let to_sign = whole(content)?;
    let algorithm = whole(&content[to_sign.len()..])?;
    let mut to_sign = to_sign.to_vec();
    // Validity: a SEQUENCE of two UTCTime of 13 characters each.
    let validity = to_sign
        .windows(VALIDITY.len())
        .position(|window| window == VALIDITY)
        .context("no validity in two UTCTimes")?;
    let end = validity + 19;
    ensure!(to_sign[end - 2..end] == UTC_TIME, "no second UTCTime");
    to_sign[end..end + 13].copy_from_slice(b"491231235959Z");
    let raw = by.sign(&to_sign)?;
    let (r, s) = raw.split_at(32);
    let signature = element(0x30, &[integer(r), integer(s)].concat());
    let bits = element(0x03, &[&[0], &signature[..]].concat());
    let certificate = [&to_sign, algorithm, &bits].concat();
    Ok(element(0x30, &certificate).into())
}

/// The DER element that `bytes` begin with.
fn whole(bytes: &[u8]) -> anyhow::Result<&[u8]> {
    let (head, length) = header(bytes)?;
    bytes.get(..head + length).context("a DER element cut off")
}

/// What the DER element that `bytes` begin with holds.
fn value(bytes: &[u8]) -> anyhow::Result<&[u8]> {
    let (head, _) = header(bytes)?;
    Ok(&whole(bytes)?[head..])
}

fn header(bytes: &[u8]) -> anyhow::Result<(usize, usize)> {
    Ok(match *bytes {
        [_, length, ..] if length < 0x80 => (2, usize::from(length)),
        [_, 0x81, length, ..] => (3, usize::from(length)),
        [_, 0x82, high, low, ..] => (4, usize::from(u16::from_be_bytes([high, low]))),
        _ => anyhow::bail!("not a DER element of up to 65,535 bytes"),
    })
}

fn element(tag: u8, value: &[u8]) -> Vec<u8> {
    let length = u16::try_from(value.len()).expect("certificates are small");
    let [high, low] = length.to_be_bytes();
    let head: &[u8] = match length {
        0..0x80 => &[tag, low],
        0x80..=0xff => &[tag, 0x81, low],
        _ => &[tag, 0x82, high, low],
    };
    [head, value].concat()
}

fn integer(bytes: &[u8]) -> Vec<u8> {
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    let digits = &bytes[zeros..];
    let sign: &[u8] = if digits.first().is_none_or(|first| *first >= 0x80) {
        &[0]
    } else {
        &[]
    };
    element(0x02, &[sign, digits].concat())
}

const UTC_TIME: [u8; 2] = [0x17, 0x0d];
const VALIDITY: [u8; 4] = [0x30, 0x1e, UTC_TIME[0], UTC_TIME[1]];
