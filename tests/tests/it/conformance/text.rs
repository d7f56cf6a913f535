//! Hexadecimal with a comment on every line: CBOR in diagnostic notation, protobuf by field names.

use std::fmt::Write as _;

use entente_signing::cbor::{Kind, Reader};
use prost_reflect::{DescriptorPool, Kind as FieldKind, MessageDescriptor};

/// The bytes of a hex text: comments run from `#` to the end of the line, white space is nothing.
pub(super) fn strip(text: &str) -> Vec<u8> {
    let digits: String = text
        .lines()
        .map(|line| line.split('#').next().unwrap_or_default())
        .flat_map(str::chars)
        .filter(|c| !c.is_whitespace())
        .collect();
    hex::decode(digits).unwrap()
}

/// One item of CBOR, each item of it on a line.
pub(super) fn of_cbor(bytes: &[u8]) -> String {
    let mut out = String::new();
    let mut reader = Reader::new(bytes);
    item(&mut reader, bytes, 0, &mut out);
    reader.finish().unwrap();
    out
}

/// One message of ours, each field of it on a line. Only length-delimited fields.
pub(super) fn of_message(kind: &str, bytes: &[u8]) -> String {
    let pool = DescriptorPool::decode(entente_proto::DESCRIPTOR_SET).unwrap();
    let mut out = String::new();
    message(&pool.get_message_by_name(kind).unwrap(), bytes, 0, &mut out);
    out
}

fn message(descriptor: &MessageDescriptor, mut bytes: &[u8], depth: usize, out: &mut String) {
    while let [tag, rest @ ..] = bytes {
        assert_eq!(tag & 7, 2, "a length-delimited field below 16");
        let field = descriptor.get_field(u32::from(tag >> 3)).unwrap();
        let (length, digits) = varint(rest);
        let head = 1 + digits;
        let (value, after) = bytes[head..].split_at(length);
        let title = format!("{} {}, {length} bytes", field.number(), field.name());
        line(&bytes[..head], depth, &title, out);
        match field.kind() {
            FieldKind::Message(inner) => message(&inner, value, depth + 1, out),
            FieldKind::String => {
                let text = format!("{:?}", std::str::from_utf8(value).unwrap());
                line(value, depth + 1, &text, out);
            }
            _ => line(value, depth + 1, "", out),
        }
        bytes = after;
    }
}

fn varint(bytes: &[u8]) -> (usize, usize) {
    let digits = bytes.iter().position(|byte| byte & 0x80 == 0).unwrap() + 1;
    let value = bytes[..digits]
        .iter()
        .rev()
        .fold(0, |value, byte| value << 7 | usize::from(byte & 0x7f));
    (value, digits)
}

fn item(reader: &mut Reader<'_>, all: &[u8], depth: usize, out: &mut String) {
    let start = reader.position();
    let (comment, children) = match reader.peek().unwrap() {
        Kind::Array => reader.array().map(|n| (format!("array({n})"), n)).unwrap(),
        Kind::Map => reader.map().map(|n| (format!("map({n})"), 2 * n)).unwrap(),
        Kind::Tag => reader.tag().map(|n| (format!("tag({n})"), 1)).unwrap(),
        Kind::Uint => (reader.uint().unwrap().to_string(), 0),
        Kind::Negative => (reader.int().unwrap().to_string(), 0),
        Kind::Text => (format!("{:?}", reader.text().unwrap()), 0),
        Kind::Bool => (reader.bool().unwrap().to_string(), 0),
        Kind::Bytes => (format!("bytes({})", reader.bytes().unwrap().len()), 0),
        Kind::Null => {
            reader.null().unwrap();
            ("null".to_owned(), 0)
        }
    };
    line(&all[start..reader.position()], depth, &comment, out);
    for _ in 0..children {
        item(reader, all, depth + 1, out);
    }
}

fn line(bytes: &[u8], depth: usize, comment: &str, out: &mut String) {
    let indent = "  ".repeat(depth);
    let mut rows = bytes.chunks(32).map(hex::encode);
    let first = rows.next().unwrap_or_default();
    let comment = if comment.is_empty() {
        String::new()
    } else {
        format!("  # {comment}")
    };
    writeln!(out, "{indent}{first}{comment}").unwrap();
    for row in rows {
        writeln!(out, "{indent}{row}").unwrap();
    }
}
