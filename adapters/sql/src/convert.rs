//! A column of the source on its way into a field of the answer.
//!
//! Nothing is guessed: a value that is not of the form the file says fails the call, and a code
//! that the file does not map fails it too.

mod check;

use std::collections::BTreeMap;

use bytes::Bytes;
use jiff::tz::Offset;
use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, Value};

use crate::bind::is_decimal;
use crate::dates;
use crate::file::ColumnType;
use crate::value::SqlValue;

/// One compiled conversion.
#[derive(Debug)]
pub(crate) struct Convert {
    kind: Kind,
    list: bool,
    column_type: Option<ColumnType>,
    map: Option<BTreeMap<String, String>>,
    otherwise: Option<String>,
    format: Option<String>,
    zone: Option<Offset>,
    empty: Option<String>,
    trim: bool,
    scale: u8,
    currency: String,
    split: Option<String>,
    truths: Vec<String>,
    falses: Vec<String>,
}

/// Why a value of the source cannot be given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unfit {
    /// It is not of the form the file says.
    Record,
    /// It is a code the file does not map.
    Unmapped,
}

// === impl Convert ===

impl Convert {
    /// The field's value; none when the source has none.
    pub(crate) fn apply(&self, value: SqlValue) -> Result<Option<Value>, Unfit> {
        let text = match (value, &self.kind) {
            (SqlValue::Null, _) => return Ok(None),
            (SqlValue::Bytes(bytes), Kind::Bytes) => {
                return Ok(Some(Value::Bytes(Bytes::from(bytes))));
            }
            (SqlValue::Real(real), Kind::Double) => return Ok(Some(Value::F64(real))),
            #[expect(
                clippy::cast_possible_truncation,
                reason = "the contract asks for a float"
            )]
            (SqlValue::Real(real), Kind::Float) => return Ok(Some(Value::F32(real as f32))),
            (SqlValue::Bytes(_) | SqlValue::Real(_), _) => return Err(Unfit::Record),
            (SqlValue::Bool(value), _) => value.to_string(),
            (SqlValue::Int(value), _) => value.to_string(),
            (SqlValue::Text(text), _) => text,
        };
        let text = if self.trim { text.trim() } else { &text };
        if self.empty.as_deref() == Some(text) {
            return Ok(None);
        }
        if !self.list {
            return self.one(text).map(Some);
        }
        let items = match &self.split {
            Some(split) => text.split(split.as_str()).map(str::trim).collect(),
            None => vec![text],
        };
        let values = items
            .into_iter()
            .filter(|item| !item.is_empty())
            .map(|item| self.one(item))
            .collect::<Result<Vec<_>, _>>()?;
        Ok(Some(Value::List(values)))
    }

    fn one(&self, text: &str) -> Result<Value, Unfit> {
        let text = match &self.map {
            None => text,
            Some(map) => match (map.get(text), &self.otherwise) {
                (Some(mapped), _) => mapped.as_str(),
                (None, Some(otherwise)) => otherwise.as_str(),
                (None, None) => return Err(Unfit::Unmapped),
            },
        };
        self.typed(text)
    }

    fn typed(&self, text: &str) -> Result<Value, Unfit> {
        match self.column_type {
            Some(ColumnType::Date) => self.date(text),
            Some(ColumnType::Timestamp) => self.timestamp(text),
            Some(ColumnType::Money) => self.money(text),
            Some(ColumnType::Decimal) if is_decimal(text) => Ok(Value::String(text.to_owned())),
            Some(ColumnType::Decimal) => Err(Unfit::Record),
            _ => self.plain(text),
        }
    }

    fn plain(&self, text: &str) -> Result<Value, Unfit> {
        fn number<T: std::str::FromStr>(text: &str) -> Result<T, Unfit> {
            text.parse().map_err(|_| Unfit::Record)
        }
        Ok(match &self.kind {
            Kind::String => Value::String(text.to_owned()),
            Kind::Bool => Value::Bool(self.truth(text)?),
            Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => Value::I32(number(text)?),
            Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => Value::I64(number(text)?),
            Kind::Uint32 | Kind::Fixed32 => Value::U32(number(text)?),
            Kind::Uint64 | Kind::Fixed64 => Value::U64(number(text)?),
            Kind::Double => Value::F64(finite(number(text)?)?),
            Kind::Float => {
                let value: f32 = number(text)?;
                finite(f64::from(value))?;
                Value::F32(value)
            }
            Kind::Enum(kind) => {
                let value = kind.get_value_by_name(text).ok_or(Unfit::Unmapped)?;
                Value::EnumNumber(value.number())
            }
            Kind::Bytes => Value::Bytes(unhex(text).ok_or(Unfit::Record)?.into()),
            Kind::Message(_) => return Err(Unfit::Record),
        })
    }

    fn truth(&self, text: &str) -> Result<bool, Unfit> {
        let listed = |list: &[String]| list.iter().any(|item| item == text);
        if self.truths.is_empty() && self.falses.is_empty() {
            return match text {
                "true" | "1" => Ok(true),
                "false" | "0" => Ok(false),
                _ => Err(Unfit::Unmapped),
            };
        }
        match (listed(&self.truths), listed(&self.falses)) {
            (true, false) => Ok(true),
            (false, true) => Ok(false),
            _ => Err(Unfit::Unmapped),
        }
    }

    fn date(&self, text: &str) -> Result<Value, Unfit> {
        let unfit = |_| Unfit::Record;
        let date = dates::parse_column_date(text, self.format.as_deref()).map_err(unfit)?;
        let Kind::Message(kind) = &self.kind else {
            return Ok(Value::String(date.to_string()));
        };
        let mut message = DynamicMessage::new(kind.clone());
        message.set_field_by_name("year", Value::I32(date.year().into()));
        message.set_field_by_name("month", Value::I32(date.month().into()));
        message.set_field_by_name("day", Value::I32(date.day().into()));
        Ok(Value::Message(message))
    }

    fn timestamp(&self, text: &str) -> Result<Value, Unfit> {
        let unfit = |_| Unfit::Record;
        let time =
            dates::parse_timestamp(text, self.format.as_deref(), self.zone).map_err(unfit)?;
        let Kind::Message(kind) = &self.kind else {
            return Ok(Value::String(time.to_string()));
        };
        // protobuf counts nanoseconds forward from the second before.
        let nanos = time.as_nanosecond();
        let seconds = i64::try_from(nanos.div_euclid(NANOS)).map_err(|_| Unfit::Record)?;
        let rest = i32::try_from(nanos.rem_euclid(NANOS)).map_err(|_| Unfit::Record)?;
        let mut message = DynamicMessage::new(kind.clone());
        message.set_field_by_name("seconds", Value::I64(seconds));
        message.set_field_by_name("nanos", Value::I32(rest));
        Ok(Value::Message(message))
    }

    /// A whole number of the smallest unit, or a decimal number with at most `scale` places.
    fn money(&self, text: &str) -> Result<Value, Unfit> {
        let Kind::Message(kind) = &self.kind else {
            return Err(Unfit::Record);
        };
        if !is_decimal(text) {
            return Err(Unfit::Record);
        }
        let scale = usize::from(self.scale);
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        let minor: i128 = if fraction.is_empty() {
            whole.parse().map_err(|_| Unfit::Record)?
        } else if fraction.len() <= scale {
            format!("{whole}{fraction:0<scale$}")
                .parse()
                .map_err(|_| Unfit::Record)?
        } else {
            return Err(Unfit::Record);
        };
        let unit = 10_i128.pow(u32::from(self.scale));
        let units = i64::try_from(minor / unit).map_err(|_| Unfit::Record)?;
        let nanos = (minor % unit) * (NANOS / unit);
        let nanos = i32::try_from(nanos).map_err(|_| Unfit::Record)?;
        let mut message = DynamicMessage::new(kind.clone());
        message.set_field_by_name("currency_code", Value::String(self.currency.clone()));
        message.set_field_by_name("units", Value::I64(units));
        message.set_field_by_name("nanos", Value::I32(nanos));
        Ok(Value::Message(message))
    }
}

/// Whether a message field is filled from one column rather than from fields of its own.
pub(crate) fn is_scalar_message(field: &FieldDescriptor) -> bool {
    matches!(field.kind(), Kind::Message(kind) if matches!(
        kind.full_name(),
        "google.protobuf.Timestamp" | "google.type.Date" | "google.type.Money"
    ))
}

fn finite(value: f64) -> Result<f64, Unfit> {
    if value.is_finite() {
        Ok(value)
    } else {
        Err(Unfit::Record)
    }
}

/// PostgreSQL's text form of bytes: `\x` and hexadecimal digits.
fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits = text.strip_prefix("\\x")?.as_bytes();
    if !digits.len().is_multiple_of(2) {
        return None;
    }
    let nibble = |digit: u8| char::from(digit).to_digit(16);
    digits
        .chunks_exact(2)
        .map(|pair| u8::try_from(nibble(pair[0])? * 16 + nibble(pair[1])?).ok())
        .collect()
}

const NANOS: i128 = 1_000_000_000;

#[cfg(test)]
mod tests;
