//! Keys and certificates in PEM (RFC 7468), as openssl reads them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

pub(crate) const CERTIFICATE: &str = "CERTIFICATE";
pub(crate) const PUBLIC_KEY: &str = "PUBLIC KEY";

pub(crate) fn encode(label: &str, der: &[u8]) -> String {
    let mut pem = format!("-----BEGIN {label}-----\n");
    for line in BASE64.encode(der).as_bytes().chunks(64) {
        pem.extend(line.iter().map(|byte| char::from(*byte)));
        pem.push('\n');
    }
    pem + "-----END " + label + "-----\n"
}

/// Exactly what [`encode`] writes.
pub(crate) fn decode(label: &str, pem: &[u8]) -> Option<Vec<u8>> {
    let text = std::str::from_utf8(pem).ok()?;
    let body: String = text.lines().filter(|line| !line.starts_with('-')).collect();
    let der = BASE64.decode(body).ok()?;
    (encode(label, &der) == text).then_some(der)
}
