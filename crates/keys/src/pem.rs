//! PKCS#8 and certificates in PEM (RFC 7468), the form every other tool reads. Strict, and leaves
//! no copies of a key.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

/// Writes PKCS#8 DER as PEM.
pub(crate) fn encode(der: &[u8]) -> Zeroizing<String> {
    let text = Zeroizing::new(STANDARD.encode(der));
    let lines = text.len().div_ceil(64);
    let mut pem = Zeroizing::new(String::with_capacity(
        BEGIN.len() + END.len() + text.len() + lines + 2,
    ));
    pem.push_str(BEGIN);
    pem.push('\n');
    for line in text.as_bytes().chunks(64) {
        pem.extend(line.iter().map(|byte| char::from(*byte)));
        pem.push('\n');
    }
    pem.push_str(END);
    pem.push('\n');
    pem
}

/// Reads the one PKCS#8 block of `pem`. Text around it is refused.
pub(crate) fn decode(pem: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let text = str::from_utf8(pem).ok()?.trim();
    let body = text.strip_prefix(BEGIN)?.strip_suffix(END)?;
    let mut compact = Zeroizing::new(Vec::with_capacity(body.len()));
    compact.extend(body.bytes().filter(|byte| !byte.is_ascii_whitespace()));
    let mut der = Zeroizing::new(vec![0; compact.len()]);
    let length = STANDARD.decode_slice(&*compact, &mut der).ok()?;
    der.truncate(length);
    Some(der)
}

/// Writes a certificate.
pub(crate) fn encode_certificate(der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let mut pem = format!("{BEGIN_CERTIFICATE}\n");
    for line in text.as_bytes().chunks(64) {
        pem.extend(line.iter().map(|byte| char::from(*byte)));
        pem.push('\n');
    }
    pem.push_str(END_CERTIFICATE);
    pem.push('\n');
    pem
}

/// Reads the certificates of `pem`, at most [`MAX_CERTIFICATES`]. Text around them is refused.
pub(crate) fn decode_certificates(pem: &str) -> Option<Vec<Vec<u8>>> {
    let mut certificates = Vec::new();
    let mut rest = pem.trim();
    while !rest.is_empty() {
        let (body, after) = rest
            .strip_prefix(BEGIN_CERTIFICATE)?
            .split_once(END_CERTIFICATE)?;
        if certificates.len() >= MAX_CERTIFICATES {
            return None;
        }
        let compact: Vec<u8> = body.bytes().filter(|b| !b.is_ascii_whitespace()).collect();
        certificates.push(STANDARD.decode(compact).ok()?);
        rest = after.trim_start();
    }
    Some(certificates)
}

const BEGIN_CERTIFICATE: &str = "-----BEGIN CERTIFICATE-----";
const END_CERTIFICATE: &str = "-----END CERTIFICATE-----";
/// The most certificates read from one text.
const MAX_CERTIFICATES: usize = 4;
const BEGIN: &str = "-----BEGIN PRIVATE KEY-----";
const END: &str = "-----END PRIVATE KEY-----";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_wrote() {
        for length in [0, 1, 47, 48, 49, 138] {
            let der = vec![0xa5; length];
            assert_eq!(*decode(encode(&der).as_bytes()).unwrap(), der);
        }
    }

    #[test]
    fn reads_the_certificates_it_wrote_and_no_more_than_it_should() {
        let one = |length| encode_certificate(&vec![0x5a; length]);
        for length in [0, 1, 47, 48, 49, 600] {
            assert_eq!(
                decode_certificates(&one(length)).unwrap(),
                [vec![0x5a; length]]
            );
        }
        let most = one(3).repeat(MAX_CERTIFICATES);
        assert_eq!(decode_certificates(&most).unwrap().len(), MAX_CERTIFICATES);
        assert_eq!(decode_certificates("").unwrap().len(), 0);
        for refused in [
            most + &one(3),
            format!("note\n{}", one(3)),
            one(3).replace("END", "BEGIN"),
            one(3).replace("Wlpa", "Wlp!"),
        ] {
            assert!(decode_certificates(&refused).is_none(), "{refused}");
        }
    }

    #[test]
    fn refuses_anything_but_one_block() {
        let pem = encode(&[1, 2, 3]);
        for text in [
            String::new(),
            format!("{}{}", *pem, *pem),
            format!("note\n{}", *pem),
            pem.replace("PRIVATE", "ENCRYPTED PRIVATE"),
            pem.replace("AQID", "AQI!"),
        ] {
            assert!(decode(text.as_bytes()).is_none(), "{text}");
        }
    }
}
