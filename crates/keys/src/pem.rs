//! PKCS#8 in PEM (RFC 7468), the form every other tool reads. Strict, and leaves no copies.

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
