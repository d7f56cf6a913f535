//! `META-INF/ASiCManifest001.xml` (ETSI EN 319 162-1): the SHA-256 of every file, which is what the
//! seal is over. It has one spelling for given files, so checking it is writing it again.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use entente_signing::Digest;

/// The manifest over these files, in their order.
pub(crate) fn manifest<'a>(files: impl Iterator<Item = (&'a str, &'a [u8])>) -> String {
    let mut out = HEAD.to_owned();
    for (name, content) in files {
        let digest = BASE64.encode(Digest::of(content).as_bytes());
        // Writing to a string does not fail.
        let _ = write!(
            out,
            "{BEFORE_NAME}{name}{BEFORE_DIGEST}{digest}{AFTER_DIGEST}"
        );
    }
    out + TAIL
}

/// Where the manifest is in the container.
pub const MANIFEST: &str = "META-INF/ASiCManifest001.xml";
/// Where the seal over it is.
pub const SEAL: &str = "META-INF/signature001.p7s";

pub(crate) const HEAD: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<asic:ASiCManifest xmlns:asic="http://uri.etsi.org/02918/v1.2.1#" xmlns:ds="http://www.w3.org/2000/09/xmldsig#">
<asic:SigReference URI="META-INF/signature001.p7s" MimeType="application/pkcs7-signature"/>
"#;
pub(crate) const BEFORE_NAME: &str = r#"<asic:DataObjectReference URI=""#;
pub(crate) const BEFORE_DIGEST: &str =
    r#""><ds:DigestMethod Algorithm="http://www.w3.org/2001/04/xmlenc#sha256"/><ds:DigestValue>"#;
pub(crate) const AFTER_DIGEST: &str = "</ds:DigestValue></asic:DataObjectReference>\n";
pub(crate) const TAIL: &str = "</asic:ASiCManifest>\n";
