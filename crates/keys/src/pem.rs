//! Keys and certificates in PEM (RFC 7468), the form every other tool reads. Strict, and leaves no copies
//! of a private key.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

/// The label of an X.509 certificate.
pub const CERTIFICATE: &str = "CERTIFICATE";
/// The label of a SubjectPublicKeyInfo.
pub const PUBLIC_KEY: &str = "PUBLIC KEY";

/// Writes what anybody may read, under its label.
pub fn encode(label: &str, der: &[u8]) -> String {
    let mut pem = String::new();
    write(&mut pem, label, &STANDARD.encode(der));
    pem
}

/// Reads exactly what [`encode`] writes.
pub fn decode(label: &str, pem: &[u8]) -> Option<Vec<u8>> {
    let text = str::from_utf8(pem).ok()?;
    let (body, _) = split(label, text)?;
    let der = decode_body(body)?;
    (encode(label, &der) == text).then(|| der.to_vec())
}

/// Writes PKCS#8 DER.
pub(crate) fn encode_key(der: &[u8]) -> Zeroizing<String> {
    let text = Zeroizing::new(STANDARD.encode(der));
    // Reserved at once, so that no copy is left behind by growing.
    let room = text.len() + text.len().div_ceil(LINE) + 2 * AROUND;
    let mut pem = Zeroizing::new(String::with_capacity(room));
    write(&mut pem, PRIVATE_KEY, &text);
    pem
}

/// Reads the one PKCS#8 block of `pem`. Text around it is refused.
pub(crate) fn decode_key(pem: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let text = str::from_utf8(pem).ok()?.trim();
    let (body, after) = split(PRIVATE_KEY, text)?;
    after.is_empty().then(|| decode_body(body))?
}

/// Reads the certificates of `pem`, at most [`MAX_CERTIFICATES`]. Text around them is refused.
pub(crate) fn decode_certificates(pem: &str) -> Option<Vec<Vec<u8>>> {
    let mut certificates = Vec::new();
    let mut rest = pem.trim();
    while !rest.is_empty() {
        let (body, after) = split(CERTIFICATE, rest)?;
        if certificates.len() >= MAX_CERTIFICATES {
            return None;
        }
        certificates.push(decode_body(body)?.to_vec());
        rest = after.trim_start();
    }
    Some(certificates)
}

fn write(pem: &mut String, label: &str, base64: &str) {
    pem.extend(["-----BEGIN ", label, "-----\n"]);
    for line in base64.as_bytes().chunks(LINE) {
        pem.extend(line.iter().map(|byte| char::from(*byte)));
        pem.push('\n');
    }
    pem.extend(["-----END ", label, "-----\n"]);
}

/// What stands in the block `text` begins with, and what comes after it.
fn split<'a>(label: &str, text: &'a str) -> Option<(&'a str, &'a str)> {
    let body = text.strip_prefix(&*format!("-----BEGIN {label}-----"))?;
    body.split_once(&*format!("-----END {label}-----"))
}

fn decode_body(body: &str) -> Option<Zeroizing<Vec<u8>>> {
    let mut compact = Zeroizing::new(Vec::with_capacity(body.len()));
    compact.extend(body.bytes().filter(|byte| !byte.is_ascii_whitespace()));
    let mut der = Zeroizing::new(vec![0; compact.len()]);
    let length = STANDARD.decode_slice(&*compact, &mut der).ok()?;
    der.truncate(length);
    Some(der)
}

const PRIVATE_KEY: &str = "PRIVATE KEY";
/// Of base64, in characters.
const LINE: usize = 64;
/// The longest line that begins or ends a block, in characters.
const AROUND: usize = 32;
/// The most certificates read from one text.
const MAX_CERTIFICATES: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_wrote() {
        for length in [0, 1, 47, 48, 49, 138] {
            let der = vec![0xa5; length];
            assert_eq!(*decode_key(encode_key(&der).as_bytes()).unwrap(), der);
        }
    }

    #[test]
    fn reads_the_certificates_it_wrote_and_no_more_than_it_should() {
        let one = |length| encode(CERTIFICATE, &vec![0x5a; length]);
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
    fn reads_what_is_public_in_one_form_alone() {
        let pem = encode(PUBLIC_KEY, &[7; 60]);
        let read = |text: &str| decode(PUBLIC_KEY, text.as_bytes());
        assert_eq!(read(&pem).unwrap(), [7; 60]);
        for other in [
            format!("{pem}\n"),
            format!(" {pem}"),
            pem.replace('\n', "\r\n"),
            pem.replacen("\nBw", "\nB\nw", 1),
            pem.repeat(2),
            encode(CERTIFICATE, &[7; 60]),
        ] {
            assert_eq!(read(&other), None, "{other}");
        }
    }

    #[test]
    fn refuses_anything_but_one_block() {
        let pem = encode_key(&[1, 2, 3]);
        for text in [
            String::new(),
            format!("{}{}", *pem, *pem),
            format!("note\n{}", *pem),
            pem.replace("PRIVATE", "ENCRYPTED PRIVATE"),
            pem.replace("AQID", "AQI!"),
        ] {
            assert!(decode_key(text.as_bytes()).is_none(), "{text}");
        }
    }
}
