//! The file's JSON schema, for editors. What the loader reads by hand is described by hand.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema, schema_for};

use super::field::FieldMap;
use super::{Absent, AdapterFile, ByteLimit, Descriptors, Driver, FieldSpec};

/// The schema of an adapter file.
pub(crate) fn schema() -> Schema {
    schema_for!(AdapterFile)
}

macro_rules! described {
    ($name:ident, $generator:ident => $schema:expr) => {
        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema($generator: &mut SchemaGenerator) -> Schema {
                $schema
            }
        }
    };
}

described!(Absent, _generator => json_schema!({
    "description": "What is bound when the field is not set: null or a text.",
    "type": ["null", "string", "number", "boolean"],
}));

described!(ByteLimit, _generator => json_schema!({
    "description": "A size such as 64KiB, or none for a stream.",
    "type": "string",
    "pattern": "^(none|[0-9]+(B|KiB|MiB|GiB)?)$",
}));

described!(Descriptors, _generator => json_schema!({
    "description": "The path of a descriptor set, or its name in the registry.",
    "anyOf": [
        {"type": "string"},
        {
            "type": "object",
            "properties": {"registry": {"type": "string"}},
            "required": ["registry"],
            "additionalProperties": false,
        },
    ],
}));

described!(Driver, _generator => json_schema!({
    "type": "string",
    "enum": ["postgres", "sqlite"],
}));

described!(FieldSpec, generator => {
    let map = generator.subschema_for::<FieldMap>();
    json_schema!({
        "description": "A column, or a map with more to say about it.",
        "anyOf": [{"type": "string"}, map],
    })
});
