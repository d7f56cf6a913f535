//! The two ways of writing an ECDSA signature, r ‖ s (COSE, PKCS#11) and DER (X.509, RFC 3279), and
//! the one way of putting it around what it signs.

/// SEQUENCE { r INTEGER, s INTEGER }.
pub(crate) fn encode_signature(raw: &[u8; 64]) -> Vec<u8> {
    let (r, s) = raw.split_at(32);
    let (r, s) = (integer(r), integer(s));
    // At most 2 × 35 bytes: the short length form always suffices.
    let mut der = vec![0x30, (r.len() + s.len()) as u8];
    der.extend_from_slice(&r);
    der.extend_from_slice(&s);
    der
}

/// r ‖ s, from the one DER encoding of two integers below 2²⁵⁶.
pub(crate) fn decode_signature(der: &[u8]) -> Option<[u8; 64]> {
    let [0x30, length, body @ ..] = der else {
        return None;
    };
    if usize::from(*length) != body.len() || *length >= 0x80 {
        return None;
    }
    let mut raw = [0; 64];
    let rest = take_integer(body, &mut raw[..32])?;
    let rest = take_integer(rest, &mut raw[32..])?;
    rest.is_empty().then_some(raw)
}

/// An X.509 certificate from its signed part and a P-256 signature, in the one DER encoding.
pub(crate) fn certificate(tbs: &[u8], signature: &[u8; 64]) -> Vec<u8> {
    let signature = encode_signature(signature);
    let algorithm = [&[0x06, 0x08], ECDSA_WITH_SHA256].concat();
    let body = [
        tbs,
        &element(0x30, &algorithm),
        &element(0x03, &[&[0], signature.as_slice()].concat()),
    ];
    element(0x30, &body.concat())
}

/// Tag, length in its shortest form, content (at most 64 KiB).
fn element(tag: u8, content: &[u8]) -> Vec<u8> {
    let [.., high, low] = content.len().to_be_bytes();
    let head: &[u8] = match content.len() {
        0..=0x7f => &[tag, low],
        0x80..=0xff => &[tag, 0x81, low],
        _ => &[tag, 0x82, high, low],
    };
    [head, content].concat()
}

fn integer(bytes: &[u8]) -> Vec<u8> {
    let zeros = bytes
        .iter()
        .take(bytes.len() - 1)
        .take_while(|b| **b == 0)
        .count();
    let digits = &bytes[zeros..];
    let pad = digits[0] >= 0x80;
    let mut der = vec![0x02, digits.len() as u8 + u8::from(pad)];
    if pad {
        der.push(0);
    }
    der.extend_from_slice(digits);
    der
}

fn take_integer<'a>(der: &'a [u8], into: &mut [u8]) -> Option<&'a [u8]> {
    let [0x02, length, rest @ ..] = der else {
        return None;
    };
    let (digits, rest) = rest.split_at_checked(usize::from(*length))?;
    let digits = match digits {
        // A leading zero only where the number would otherwise be negative.
        [0, next, ..] if *next >= 0x80 => &digits[1..],
        [0, _, ..] | [0x80..=0xff, ..] | [] => return None,
        digits => digits,
    };
    let start = into.len().checked_sub(digits.len())?;
    into[start..].copy_from_slice(digits);
    Some(rest)
}

/// 1.2.840.10045.4.3.2; RFC 5758 gives it no parameters.
pub(crate) const ECDSA_WITH_SHA256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_signature_survives_the_round_trip() {
        let mut raw = [0; 64];
        for step in 0..=255_u8 {
            raw.rotate_left(7);
            raw[usize::from(step) % 64] ^= step;
            assert_eq!(decode_signature(&encode_signature(&raw)), Some(raw));
        }
    }

    #[test]
    fn refuses_every_other_encoding() {
        let good = encode_signature(&[0x7f; 64]);
        assert_eq!(good.len(), 70);
        for length in 0..good.len() {
            assert_eq!(decode_signature(&good[..length]), None);
        }
        let mut trailing = good.clone();
        trailing.push(0);
        assert_eq!(decode_signature(&trailing), None);
        // r with a needless leading zero; r negative; r empty; r of 33 digits.
        assert_eq!(decode_signature(&[0x30, 7, 2, 2, 0, 1, 2, 1, 1]), None);
        assert_eq!(decode_signature(&[0x30, 6, 2, 1, 0x80, 2, 1, 1]), None);
        assert_eq!(decode_signature(&[0x30, 5, 2, 0, 2, 1, 1]), None);
        let mut long = vec![0x30, 38, 2, 33];
        long.extend([1; 33]);
        long.extend([2, 1, 1]);
        assert_eq!(decode_signature(&long), None);
    }
}
