//! The two halves of a mapping: values bound into a query, and columns mapped to fields.

use std::collections::BTreeMap;

use entente_config::Located;
use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::{self, Deserializer, MapAccess, Visitor};

/// A value of the request, checked before the source is touched, then bound as a parameter.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct BindSpec {
    /// `request.` and the path of a field.
    pub(crate) from: String,
    /// Characters taken out first.
    #[serde(default)]
    pub(crate) remove: String,
    /// Turned to upper case next.
    #[serde(default)]
    pub(crate) upper: bool,
    /// At most so many characters.
    pub(crate) max_length: Option<u32>,
    /// A regular expression that must match the whole value.
    pub(crate) check: Option<Located<String>>,
    /// The only values let through.
    pub(crate) one_of: Option<Vec<String>>,
    #[serde(rename = "type")]
    pub(crate) kind: Option<BindType>,
    /// How a date or timestamp is written, in `strftime` letters.
    pub(crate) format: Option<Located<String>>,
    /// What is bound when the field is not set; without it the call is refused.
    #[serde(default)]
    pub(crate) absent: Absent,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum BindType {
    Bool,
    Date,
    Decimal,
    Int,
    Text,
    Timestamp,
}

/// What stands for a field that is not set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Absent {
    #[default]
    Refused,
    Null,
    Text(String),
}

/// Where a field's value comes from: `field: column`, or a map with more to say.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct FieldMap {
    pub(crate) column: Option<String>,
    #[serde(rename = "type")]
    pub(crate) kind: Option<ColumnType>,
    pub(crate) map: Option<BTreeMap<String, String>>,
    #[serde(rename = "else")]
    pub(crate) otherwise: Option<String>,
    pub(crate) format: Option<String>,
    /// `UTC` or an offset such as `-05:00`, for timestamps that carry none.
    pub(crate) zone: Option<String>,
    /// The text that stands for nothing.
    pub(crate) empty: Option<String>,
    #[serde(default)]
    pub(crate) trim: bool,
    /// Digits after the decimal point of an amount kept as a whole number.
    pub(crate) scale: Option<u8>,
    pub(crate) currency: Option<String>,
    /// For a repeated field: the text between its items in one column.
    pub(crate) split: Option<String>,
    #[serde(rename = "true")]
    pub(crate) truths: Option<Vec<String>>,
    #[serde(rename = "false")]
    pub(crate) falses: Option<Vec<String>>,
    /// For a message field: its own fields.
    pub(crate) fields: Option<BTreeMap<String, Located<FieldSpec>>>,
}

/// See [`FieldMap`].
#[derive(Debug)]
pub(crate) struct FieldSpec(pub(crate) FieldMap);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum ColumnType {
    Bool,
    Bytes,
    Date,
    Decimal,
    Int,
    Money,
    Text,
    Timestamp,
}

// === impl Absent ===

impl<'de> Deserialize<'de> for Absent {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Ok(Option::<String>::deserialize(from)?.map_or(Self::Null, Self::Text))
    }
}

// === impl FieldSpec ===

impl<'de> Deserialize<'de> for FieldSpec {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct ColumnOrMap;

        impl<'de> Visitor<'de> for ColumnOrMap {
            type Value = FieldSpec;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a column name, or a map with `column:`")
            }

            fn visit_str<E: de::Error>(self, column: &str) -> Result<FieldSpec, E> {
                Ok(FieldSpec(FieldMap {
                    column: Some(column.to_owned()),
                    ..FieldMap::default()
                }))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<FieldSpec, A::Error> {
                FieldMap::deserialize(de::value::MapAccessDeserializer::new(map)).map(FieldSpec)
            }
        }

        from.deserialize_any(ColumnOrMap)
    }
}
