//! What every value written as one text has in common.

/// Gives a `FromStr + Display` type its `Deserialize`, `Serialize` and JSON schema.
macro_rules! text_value {
    ($name:ident, $expected:literal, $pattern:literal) => {
        impl $name {
            const fn invalid() -> $crate::InvalidValue {
                $crate::InvalidValue {
                    expected: $expected,
                }
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                let text = String::deserialize(from)?;
                $crate::scalar::from_text::<Self>(&text).map_err(serde::de::Error::custom)
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                to.collect_str(self)
            }
        }

        impl schemars::JsonSchema for $name {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({
                    "type": "string",
                    "description": $expected,
                    "pattern": $pattern,
                })
            }
        }
    };
}

pub(crate) use text_value;

/// Parses a scalar; over-long texts are refused before any parser sees them.
pub(crate) fn from_text<T>(text: &str) -> Result<T, crate::InvalidValue>
where
    T: std::str::FromStr<Err = crate::InvalidValue>,
{
    if text.len() > MAX_SCALAR_BYTES {
        return Err(crate::InvalidValue {
            expected: "a value of at most 4096 bytes",
        });
    }
    text.parse()
}

const MAX_SCALAR_BYTES: usize = 4096;
