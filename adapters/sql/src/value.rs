//! The values that go into a source and come out of it.

use std::fmt;

/// One value: a parameter, or a column of a row.
#[derive(Clone, PartialEq)]
pub(crate) enum SqlValue {
    Bool(bool),
    Bytes(Vec<u8>),
    Int(i64),
    Null,
    Real(f64),
    Text(String),
}

// === impl SqlValue ===

impl SqlValue {
    /// How many bytes it takes, for the limit on an answer.
    pub(crate) fn len(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::Text(text) => text.len() as u64,
            Self::Null => 0,
            Self::Bool(_) | Self::Int(_) | Self::Real(_) => 8,
        }
    }

    /// As PostgreSQL reads a value in text form.
    pub(crate) fn to_postgres_text(&self) -> Option<String> {
        Some(match self {
            Self::Bool(value) => value.to_string(),
            Self::Bytes(bytes) => {
                let mut text = String::from("\\x");
                for byte in bytes {
                    text += &format!("{byte:02x}");
                }
                text
            }
            Self::Int(value) => value.to_string(),
            Self::Null => return None,
            Self::Real(value) => value.to_string(),
            Self::Text(text) => text.clone(),
        })
    }
}

impl fmt::Debug for SqlValue {
    /// The kind only: values are personal.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Bool(_) => "Bool",
            Self::Bytes(_) => "Bytes",
            Self::Int(_) => "Int",
            Self::Null => "Null",
            Self::Real(_) => "Real",
            Self::Text(_) => "Text",
        })
    }
}
