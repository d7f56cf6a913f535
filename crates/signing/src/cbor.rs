//! Deterministic CBOR (RFC 8949 §4.2): one value has one encoding, and only that one is read.
//!
//! A [`Writer`] cannot write a non-deterministic item except by map order, which its caller decides;
//! a [`Reader`] refuses long integers, indefinite lengths, floats, unknown simple values, and leaves
//! map order to [`KeyOrder`]. So bytes that decode re-encode to the same bytes.

mod reader;
mod writer;

pub use reader::{KeyOrder, Kind, Reader};
pub use writer::Writer;

/// How deep items may nest before they are refused.
pub const MAX_DEPTH: usize = 16;

/// Why bytes are not the deterministic CBOR that was expected. Variants are alphabetical.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CborError {
    /// Nesting beyond [`MAX_DEPTH`].
    #[error("cbor items nest too deeply")]
    Depth,
    /// Map keys out of order or repeated.
    #[error("cbor map keys are not in ascending order")]
    KeyOrder,
    /// A valid item, with a value that is not allowed here.
    #[error("cbor value is out of range")]
    Range,
    /// More bytes after the last item.
    #[error("bytes follow the cbor item")]
    Trailing,
    /// The bytes end inside an item.
    #[error("cbor item is cut short")]
    Truncated,
    /// An encoding that is not the deterministic one.
    #[error("cbor is not in its deterministic form")]
    Undeterministic,
    /// Another type of item than expected.
    #[error("unexpected type of cbor item")]
    Unexpected,
    /// A text that is not UTF-8.
    #[error("cbor text is not utf-8")]
    Utf8,
}

#[cfg(test)]
mod tests;
