//! The part of `descriptor.proto` a contract is read from, with our options as ordinary fields.
//!
//! The options are read by their numbers and our own definition, whatever definition of them the
//! descriptor set brings along; and reading a stranger's set needs no reflection library.

use entente_proto::v1::{FieldPrivacy, MethodAccess};

use crate::MAX_DEPTH;
use crate::wire::{Fields, WireError, WireType};

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct RawSet {
    #[prost(message, repeated, tag = "1")]
    pub(crate) file: Vec<RawFile>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct RawFile {
    #[prost(string, tag = "1")]
    pub(crate) name: String,
    #[prost(string, tag = "2")]
    pub(crate) package: String,
    #[prost(message, repeated, tag = "4")]
    pub(crate) message_type: Vec<RawMessage>,
    #[prost(message, repeated, tag = "5")]
    pub(crate) enum_type: Vec<RawEnum>,
    #[prost(message, repeated, tag = "6")]
    pub(crate) service: Vec<RawService>,
    #[prost(string, tag = "12")]
    pub(crate) syntax: String,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct RawMessage {
    #[prost(string, tag = "1")]
    pub(crate) name: String,
    #[prost(message, repeated, tag = "2")]
    pub(crate) field: Vec<RawField>,
    #[prost(message, repeated, tag = "3")]
    pub(crate) nested_type: Vec<Self>,
    #[prost(message, repeated, tag = "4")]
    pub(crate) enum_type: Vec<RawEnum>,
    #[prost(message, repeated, tag = "5")]
    pub(crate) extension_range: Vec<RawEmpty>,
    #[prost(message, optional, tag = "7")]
    pub(crate) options: Option<RawMessageOptions>,
    #[prost(message, repeated, tag = "8")]
    pub(crate) oneof_decl: Vec<RawOneof>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct RawMessageOptions {
    #[prost(bool, tag = "7")]
    pub(crate) map_entry: bool,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct RawOneof {
    #[prost(string, tag = "1")]
    pub(crate) name: String,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct RawField {
    #[prost(string, tag = "1")]
    pub(crate) name: String,
    #[prost(int32, tag = "3")]
    pub(crate) number: i32,
    #[prost(int32, tag = "4")]
    pub(crate) label: i32,
    #[prost(int32, tag = "5")]
    pub(crate) kind: i32,
    #[prost(string, tag = "6")]
    pub(crate) type_name: String,
    #[prost(message, optional, tag = "8")]
    pub(crate) options: Option<RawFieldOptions>,
    #[prost(int32, optional, tag = "9")]
    pub(crate) oneof_index: Option<i32>,
    #[prost(bool, tag = "17")]
    pub(crate) proto3_optional: bool,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct RawFieldOptions {
    #[prost(message, optional, tag = "50201")]
    pub(crate) privacy: Option<FieldPrivacy>,
    #[prost(message, repeated, tag = "999")]
    pub(crate) uninterpreted: Vec<RawEmpty>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct RawEnum {
    #[prost(string, tag = "1")]
    pub(crate) name: String,
    #[prost(message, repeated, tag = "2")]
    pub(crate) value: Vec<RawEnumValue>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct RawEnumValue {
    #[prost(string, tag = "1")]
    pub(crate) name: String,
    #[prost(int32, tag = "2")]
    pub(crate) number: i32,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct RawService {
    #[prost(string, tag = "1")]
    pub(crate) name: String,
    #[prost(message, repeated, tag = "2")]
    pub(crate) method: Vec<RawMethod>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct RawMethod {
    #[prost(string, tag = "1")]
    pub(crate) name: String,
    #[prost(string, tag = "2")]
    pub(crate) input_type: String,
    #[prost(string, tag = "3")]
    pub(crate) output_type: String,
    #[prost(message, optional, tag = "4")]
    pub(crate) options: Option<RawMethodOptions>,
    #[prost(bool, tag = "5")]
    pub(crate) client_streaming: bool,
    #[prost(bool, tag = "6")]
    pub(crate) server_streaming: bool,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct RawMethodOptions {
    #[prost(int32, tag = "34")]
    pub(crate) idempotency_level: i32,
    #[prost(message, optional, tag = "50202")]
    pub(crate) access: Option<MethodAccess>,
    #[prost(message, repeated, tag = "999")]
    pub(crate) uninterpreted: Vec<RawEmpty>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct RawEmpty {}

/// Counts the descriptors in an encoded set, without decoding it: two bytes on the wire can become
/// hundreds in memory.
pub(crate) fn count_descriptors(set: &[u8]) -> Result<usize, WireError> {
    count(Level::Set, set, 0)
}

#[derive(Clone, Copy)]
enum Level {
    Set,
    File,
    Message,
    /// An enum or a service: a list of small descriptors.
    List,
}

fn count(level: Level, bytes: &[u8], depth: usize) -> Result<usize, WireError> {
    if depth > MAX_DEPTH {
        return Err(WireError::TooDeep);
    }
    let mut fields = Fields::new(bytes);
    let mut total = 0_usize;
    while let Some(field) = fields.next_field()? {
        total += 1;
        let below = match (level, field.number) {
            (Level::Set, 1) => Level::File,
            (Level::File, 4) | (Level::Message, 3) => Level::Message,
            (Level::File, 5 | 6) | (Level::Message, 4) => Level::List,
            _ => continue,
        };
        if field.wire == WireType::Len {
            total += count(below, field.value, depth + 1)?;
        }
    }
    Ok(total)
}
