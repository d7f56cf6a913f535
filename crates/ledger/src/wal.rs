//! The write-ahead log: what makes an append durable.
//!
//! Segments `000000.wal`, `000001.wal` … each start with a header frame. A frame is
//! `u32be length ‖ u32be crc32c(body) ‖ body`; a length of zero ends the segment, since segments are
//! filled with zeros ahead of use. The bodies are deterministic CBOR:
//!
//! ```text
//! header  ["entente-wal", 1, segment number, first index]
//! entry   [index, first index of its commit, entry bstr, attachment bstr or null]
//! ```
//!
//! One commit is one write and one `fdatasync`, and the next begins only after it. So when a frame is
//! missing, later frames of the *same* commit may be there (the disk wrote its pages in another order,
//! and nobody was told they are durable), but a frame of a *later* commit proves that the missing one
//! had been durable: then the log is damaged, and is refused.

mod frame;
mod replay;
mod segment;

pub(crate) use frame::encode_entry;
pub(crate) use replay::{Replay, replay, scan};
pub(crate) use segment::Segment;

/// The name of a segment's file.
pub(crate) fn segment_name(number: u64) -> String {
    format!("{number:06}.wal")
}

/// The number of a segment's file.
pub(crate) fn segment_number(name: &str) -> Option<u64> {
    let number = name.strip_suffix(".wal")?.parse().ok()?;
    (segment_name(number) == name).then_some(number)
}

/// The file prepared ahead of use.
pub(crate) const SPARE: &str = "spare";
