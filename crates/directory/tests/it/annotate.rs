//! Hexadecimal with a comment on every line: CBOR diagnostic notation, item by item.

use std::fmt::Write as _;

use entente_signing::cbor::{Kind, Reader};

/// Annotated hex of CBOR items; [`strip`] gives the bytes back.
pub(crate) fn annotate(bytes: &[u8]) -> String {
    let mut out = String::new();
    let mut reader = Reader::new(bytes);
    item(&mut reader, bytes, 0, &mut out);
    reader.finish().unwrap();
    out
}

/// The bytes of a hex text: comments run from `#` to the end of the line, white space is nothing.
pub(crate) fn strip(text: &str) -> Vec<u8> {
    let digits: String = text
        .lines()
        .map(|line| line.split('#').next().unwrap_or_default())
        .flat_map(str::chars)
        .filter(|c| !c.is_whitespace())
        .collect();
    hex::decode(digits).unwrap()
}

fn item(reader: &mut Reader<'_>, all: &[u8], depth: usize, out: &mut String) {
    let start = reader.position();
    let kind = reader.peek().unwrap();
    let (comment, children) = match kind {
        Kind::Array => reader.array().map(|n| (format!("array({n})"), n)).unwrap(),
        Kind::Map => reader.map().map(|n| (format!("map({n})"), 2 * n)).unwrap(),
        Kind::Tag => reader.tag().map(|n| (format!("tag({n})"), 1)).unwrap(),
        Kind::Uint => (reader.uint().unwrap().to_string(), 0),
        Kind::Negative => (reader.int().unwrap().to_string(), 0),
        Kind::Text => (format!("{:?}", reader.text().unwrap()), 0),
        Kind::Bool => (reader.bool().unwrap().to_string(), 0),
        Kind::Null => {
            reader.null().unwrap();
            ("null".to_owned(), 0)
        }
        Kind::Bytes => {
            let value = reader.bytes().unwrap();
            let head = reader.position() - value.len();
            // A byte string that is itself an array, map or tagged item of CBOR is shown as such.
            if value.len() > 33 && value[0] >= 0x80 && is_cbor(value) {
                line(
                    &all[start..head],
                    depth,
                    &format!("bytes({}), holding", value.len()),
                    out,
                );
                item(&mut Reader::new(value), value, depth + 1, out);
                return;
            }
            (format!("bytes({})", value.len()), 0)
        }
    };
    line(&all[start..reader.position()], depth, &comment, out);
    for _ in 0..children {
        item(reader, all, depth + 1, out);
    }
}

fn is_cbor(bytes: &[u8]) -> bool {
    let mut reader = Reader::new(bytes);
    reader.raw_item().is_ok() && reader.finish().is_ok()
}

fn line(bytes: &[u8], depth: usize, comment: &str, out: &mut String) {
    let indent = "  ".repeat(depth);
    let mut rows = bytes.chunks(32).map(hex::encode);
    let first = rows.next().unwrap_or_default();
    writeln!(out, "{indent}{first}  # {comment}").unwrap();
    for row in rows {
        writeln!(out, "{indent}  {row}").unwrap();
    }
}
