//! What somebody who holds a server's disk may do to its files.

use entente_signing::cbor::{Reader, Writer};

/// A sidecar's `wrapped` file in which record `number` is kept under another retention. Every frame is
/// whole.
pub fn relabelled(wrapped: &[u8], number: usize, retention: &str) -> Vec<u8> {
    let (mut out, mut rest, mut at) = (Vec::new(), wrapped, 0);
    while let Some(([a, b, c, d, ..], frames)) = rest.split_first_chunk::<8>() {
        let (body, after) = frames.split_at(u32::from_be_bytes([*a, *b, *c, *d]) as usize);
        let body = match at == number {
            true => with_retention(body, retention),
            false => body.to_vec(),
        };
        let len = u32::try_from(body.len()).expect("a frame is short");
        out.extend_from_slice(&len.to_be_bytes());
        out.extend_from_slice(&crc32c::crc32c(&body).to_be_bytes());
        out.extend_from_slice(&body);
        (rest, at) = (after, at + 1);
    }
    out
}

/// `[index, hash, retention, wrapped key, segment, offset]` with another retention.
fn with_retention(body: &[u8], retention: &str) -> Vec<u8> {
    let mut reader = Reader::new(body);
    let mut out = Writer::new();
    out.array(reader.array().expect("a frame is an array"));
    for _ in 0..2 {
        out.raw(reader.raw_item().expect("an index and a hash"));
    }
    reader.text().expect("a retention");
    out.text(retention).raw(reader.remaining());
    out.into_vec()
}
