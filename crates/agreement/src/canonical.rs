//! RFC 8785 (JCS) bytes: the one encoding of a document, the bytes that are signed.
//!
//! Numbers are integers within ±(2⁵³ − 1) only, so the part of RFC 8785 that prints floating point
//! numbers is not needed and cannot be reached.

use serde_json::Value;

use crate::{Document, MAX_BYTES};

/// The canonical bytes of a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Canonical(Vec<u8>);

/// Why bytes are not the one encoding of a document. Variants are alphabetical.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CanonicalError {
    /// A well-formed document in another spelling: other order, spaces, escapes or defaults.
    #[error("bytes are not in their canonical form")]
    NotCanonical,
    /// Not JSON, or JSON of another shape.
    #[error("reading canonical json")]
    Shape(#[source] serde_json::Error),
    /// More than [`MAX_BYTES`].
    #[error("document is larger than 1 MiB")]
    TooLarge,
}

// === impl Canonical ===

impl Canonical {
    /// The bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The bytes, owned.
    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }
}

// === impl Document ===

impl Document {
    /// The canonical bytes of this document.
    pub fn canonical(&self) -> Canonical {
        let value = serde_json::to_value(self).expect(
            "a document holds only texts, integers, booleans, lists and maps with text keys",
        );
        let mut out = Vec::with_capacity(4096);
        write(&value, &mut out);
        Canonical(out)
    }

    /// Reads canonical bytes, and no other spelling of the same document.
    ///
    /// Structural rules are not checked here; [`crate::Agreement::parse`] does both.
    ///
    /// # Errors
    /// When the bytes are too long, not JSON of this shape, or not canonical.
    pub fn from_canonical(bytes: &[u8]) -> Result<Self, CanonicalError> {
        if bytes.len() > MAX_BYTES {
            return Err(CanonicalError::TooLarge);
        }
        let mut document: Self = serde_json::from_slice(bytes).map_err(CanonicalError::Shape)?;
        document.shrink();
        if document.canonical().as_bytes() == bytes {
            Ok(document)
        } else {
            Err(CanonicalError::NotCanonical)
        }
    }

    /// Lists are read into room for more; a state holds documents by the hundred thousand.
    fn shrink(&mut self) {
        self.parties.shrink_to_fit();
        self.authorities.shrink_to_fit();
        self.purposes.shrink_to_fit();
        self.clauses.shrink_to_fit();
        self.oversight.shrink_to_fit();
    }
}

fn write(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Null => out.extend_from_slice(b"null"),
        Value::Bool(true) => out.extend_from_slice(b"true"),
        Value::Bool(false) => out.extend_from_slice(b"false"),
        Value::Number(number) => out.extend_from_slice(number.to_string().as_bytes()),
        Value::String(text) => write_text(text, out),
        Value::Array(items) => {
            out.push(b'[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                write(item, out);
            }
            out.push(b']');
        }
        Value::Object(members) => {
            // RFC 8785 §3.2.3: by UTF-16 code units, which differs from UTF-8 order above U+FFFF.
            let mut members: Vec<_> = members.iter().collect();
            members.sort_by(|(a, _), (b, _)| a.encode_utf16().cmp(b.encode_utf16()));
            out.push(b'{');
            for (index, (name, member)) in members.into_iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                write_text(name, out);
                out.push(b':');
                write(member, out);
            }
            out.push(b'}');
        }
    }
}

/// A JSON string as ECMAScript prints it (RFC 8785 §3.2.2.2).
fn write_text(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    for c in text.chars() {
        match c {
            '"' => out.extend_from_slice(b"\\\""),
            '\\' => out.extend_from_slice(b"\\\\"),
            '\u{8}' => out.extend_from_slice(b"\\b"),
            '\t' => out.extend_from_slice(b"\\t"),
            '\n' => out.extend_from_slice(b"\\n"),
            '\u{c}' => out.extend_from_slice(b"\\f"),
            '\r' => out.extend_from_slice(b"\\r"),
            c if c < ' ' => out.extend_from_slice(format!("\\u{:04x}", u32::from(c)).as_bytes()),
            c => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn canonical(json: &str) -> String {
        let mut out = Vec::new();
        write(&serde_json::from_str(json).unwrap(), &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn sorts_names_as_rfc_8785_section_3_2_3_shows() {
        let json = r#"{"\u20ac":"Euro Sign","\r":"Carriage Return","\ufb33":"Hebrew Letter Dalet With Dagesh","1":"One","\ud83d\ude00":"Emoji: Grinning Face","\u0080":"Control","\u00f6":"Latin Small Letter O With Diaeresis"}"#;
        let names = "Carriage Return|One|Control|Latin Small Letter O With Diaeresis|Euro Sign|\
                     Emoji: Grinning Face|Hebrew Letter Dalet With Dagesh";
        let canonical = canonical(json);
        let mut at = 0;
        for name in names.split('|') {
            let found = canonical.find(&format!("\"{name}\"")).unwrap();
            assert!(found > at, "{name}");
            at = found;
        }
    }

    #[test]
    fn escapes_as_ecmascript_does_and_nothing_more() {
        assert_eq!(
            canonical(
                r#"{ "b" : "\u20ac$\u000f\u000aA'\u0042\u0022\u005c\\\"\/", "a" : [true, null, 7] }"#
            ),
            "{\"a\":[true,null,7],\"b\":\"€$\\u000f\\nA'B\\\"\\\\\\\\\\\"/\"}"
        );
    }
}
