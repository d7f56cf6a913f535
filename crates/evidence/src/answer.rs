//! The payload of a response: the system's own status, allow-listed metadata and its message.
//!
//! Encoded as CBOR `[gRPC code, reason or null, {metadata}, message]`. It is committed to and sealed
//! like any payload, so the system's status is never in a statement.

use std::collections::BTreeMap;

use bytes::Bytes;
use entente_reason::Reason;
use entente_signing::cbor::{CborError, KeyOrder, Reader, Writer};

use crate::opening::Value;
use crate::statement::ReasonCode;

/// What the provider's system answered, after everything not agreed was taken out.
#[derive(Clone, PartialEq, Eq)]
pub struct Answer {
    /// gRPC status code, 0 to 16.
    pub code: u8,
    /// The reason its status was mapped to, if any.
    pub reason: Option<ReasonCode>,
    /// Allow-listed metadata; lower-case ASCII keys, printable ASCII values, 16 KiB together.
    pub metadata: BTreeMap<String, String>,
    /// The protobuf message; empty when the code is not 0.
    pub message: Bytes,
}

/// Bytes that are no answer, or an answer that cannot be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AnswerError {
    /// Not the CBOR of an answer.
    #[error("answer is malformed")]
    Cbor(#[from] CborError),
    /// A gRPC code beyond 16.
    #[error("answer has no valid status code")]
    Code,
    /// A metadata key or value that may not pass, or too much metadata.
    #[error("answer metadata is not allowed")]
    Metadata,
}

// === impl Answer ===

impl Answer {
    /// Most metadata, keys and values together, in bytes.
    pub const MAX_METADATA: usize = 16 * 1024;
    /// Most metadata entries.
    pub const MAX_METADATA_ENTRIES: usize = 64;

    /// A successful answer without metadata.
    pub const fn ok(message: Bytes) -> Self {
        Self {
            code: 0,
            reason: None,
            metadata: BTreeMap::new(),
            message,
        }
    }

    /// The value to commit to and seal. The message is shared, not copied.
    ///
    /// # Errors
    /// When code or metadata break a bound.
    pub fn to_value(&self) -> Result<Value, AnswerError> {
        self.check()?;
        let mut head = Writer::with_capacity(32);
        head.array(4).uint(u64::from(self.code));
        match &self.reason {
            Some(reason) => head.text(reason.as_str()),
            None => head.null(),
        };
        let mut metadata: Vec<_> = self.metadata.iter().collect();
        // Deterministic CBOR sorts text keys by length first.
        metadata.sort_unstable_by_key(|(key, _)| (key.len(), *key));
        head.map(metadata.len());
        for (key, value) in metadata {
            head.text(key).text(value);
        }
        head.bytes_head(self.message.len());
        Ok(Value::with_head(head.into_vec(), self.message.clone()))
    }

    /// Reads an answer; the message is a slice of `bytes`, not a copy.
    ///
    /// # Errors
    /// When it is not the one encoding of an answer within bounds.
    pub fn decode(bytes: &Bytes) -> Result<Self, AnswerError> {
        let mut reader = Reader::new(bytes);
        if reader.array()? != 4 {
            return Err(CborError::Unexpected.into());
        }
        let code = u8::try_from(reader.uint()?).map_err(|_| AnswerError::Code)?;
        let reason = reader
            .optional(Reader::text)?
            .map(|text| text.parse().map_err(|_| CborError::Range))
            .transpose()?;
        let count = reader.map()?;
        if count > Self::MAX_METADATA_ENTRIES {
            return Err(AnswerError::Metadata);
        }
        let mut order = KeyOrder::default();
        let mut metadata = BTreeMap::new();
        for _ in 0..count {
            let key = reader.key(&mut order)?.text()?;
            metadata.insert(key.to_owned(), reader.text()?.to_owned());
        }
        let message = bytes.slice_ref(reader.bytes()?);
        reader.finish()?;
        let answer = Self {
            code,
            reason,
            metadata,
            message,
        };
        answer.check()?;
        Ok(answer)
    }

    fn check(&self) -> Result<(), AnswerError> {
        if self.code > 16 {
            return Err(AnswerError::Code);
        }
        let size: usize = self.metadata.iter().map(|(k, v)| k.len() + v.len()).sum();
        let allowed = size <= Self::MAX_METADATA
            && self.metadata.len() <= Self::MAX_METADATA_ENTRIES
            && self.metadata.iter().all(|(key, value)| {
                key_may_pass(key) && value.bytes().all(|byte| (0x20..=0x7e).contains(&byte))
            });
        if allowed {
            Ok(())
        } else {
            Err(AnswerError::Metadata)
        }
    }
}

impl std::fmt::Debug for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Metadata and message are the source's data: their size is all that may be shown.
        f.debug_struct("Answer")
            .field("code", &self.code)
            .field("reason", &self.reason)
            .field("message_len", &self.message.len())
            .finish_non_exhaustive()
    }
}

// === impl AnswerError ===

impl AnswerError {
    /// Always `INVALID_ANSWER`.
    pub const fn reason(&self) -> Reason {
        Reason::InvalidAnswer
    }
}

/// Names of our own and of gRPC's never come from a peer's answer, nor do binary values.
fn key_may_pass(key: &str) -> bool {
    (1..=128).contains(&key.len())
        && key
            .bytes()
            .all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.'))
        && !key.starts_with("entente-")
        && !key.starts_with("grpc-")
        && !key.ends_with("-bin")
}
