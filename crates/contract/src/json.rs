//! JSON in and out of messages, for people: the command line and adapters' examples. Servers never
//! need it, so the reflection pool is built only when first asked for.

use bytes::Bytes;
use entente_identity::MethodName;
use entente_reason::Reason;
use prost::Message as _;
use prost_reflect::{DescriptorPool, DynamicMessage, MessageDescriptor};

use crate::contract::{Contract, Direction, UnknownMethod};

/// Why JSON could not be read or written. Tells where, never what: the text may hold personal values.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JsonError {
    /// The message does not decode.
    #[error("could not read the message as its contract declares it")]
    Malformed(#[source] prost::DecodeError),
    /// The JSON does not fit the message.
    #[error("JSON does not fit {message} at line {line}, column {column}")]
    Mismatch {
        /// The message's full name.
        message: String,
        /// Line, from 1; 0 if not known.
        line: usize,
        /// Column, from 1; 0 if not known.
        column: usize,
    },
    /// The descriptor set cannot be used for reflection.
    #[error("could not build the contract's types")]
    Types(#[source] prost_reflect::DescriptorError),
    /// The contract does not declare the method.
    #[error(transparent)]
    UnknownMethod(#[from] UnknownMethod),
    /// The message has no JSON form: a time out of range, for one.
    #[error("{message} has no JSON form")]
    Unwritable {
        /// The message's full name.
        message: String,
    },
}

// === impl JsonError ===

impl JsonError {
    /// The reason a caller gets.
    pub fn reason(&self) -> Reason {
        match self {
            Self::Malformed(_) | Self::Unwritable { .. } => Reason::InvalidAnswer,
            Self::Mismatch { .. } => Reason::RequestMalformed,
            Self::Types(_) => Reason::ContractInvalid,
            Self::UnknownMethod(error) => error.reason(),
        }
    }
}

// === impl Contract ===

impl Contract {
    /// The contract's types for reflection. Built on first use.
    ///
    /// # Errors
    /// When the descriptor set has a fault outside what the service reaches.
    pub fn pool(&self) -> Result<&DescriptorPool, JsonError> {
        if let Some(pool) = self.pool_cell().get() {
            return Ok(pool);
        }
        let pool =
            DescriptorPool::decode(self.descriptor_set().clone()).map_err(JsonError::Types)?;
        Ok(self.pool_cell().get_or_init(|| pool))
    }

    /// The type one direction of a method carries, for reflection.
    ///
    /// # Errors
    /// When the contract does not declare the method, or [`pool`](Self::pool) fails.
    pub fn message(
        &self,
        method: &MethodName,
        direction: Direction,
    ) -> Result<MessageDescriptor, JsonError> {
        let root = self.root(method, direction)?;
        let name = &self.types().messages[root].name;
        let unknown = || UnknownMethod {
            method: method.clone(),
        };
        Ok(self.pool()?.get_message_by_name(name).ok_or_else(unknown)?)
    }

    /// Encodes a message from its protobuf JSON form. Unknown names are refused.
    ///
    /// # Errors
    /// When the text is not JSON or does not fit the message.
    pub fn decode_json(
        &self,
        method: &MethodName,
        direction: Direction,
        json: &str,
    ) -> Result<Bytes, JsonError> {
        let message = self.message(method, direction)?;
        let name = message.full_name().to_owned();
        let mut deserializer = serde_json::Deserializer::from_str(json);
        let mismatch = |error: serde_json::Error| JsonError::Mismatch {
            message: name.clone(),
            line: error.line(),
            column: error.column(),
        };
        let message = DynamicMessage::deserialize(message, &mut deserializer).map_err(mismatch)?;
        deserializer.end().map_err(mismatch)?;
        Ok(message.encode_to_vec().into())
    }

    /// A message in its protobuf JSON form. Unset fields are left out; unknown ones cannot be shown.
    ///
    /// # Errors
    /// When the bytes do not decode.
    pub fn encode_json(
        &self,
        method: &MethodName,
        direction: Direction,
        body: &[u8],
    ) -> Result<serde_json::Value, JsonError> {
        let message = self.message(method, direction)?;
        let name = message.full_name().to_owned();
        let message = DynamicMessage::decode(message, body).map_err(JsonError::Malformed)?;
        serde_json::to_value(&message).map_err(|_| JsonError::Unwritable { message: name })
    }
}
