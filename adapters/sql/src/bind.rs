//! Values of a request on their way into a query: found, cleaned, checked and typed before the
//! source is touched, and then only ever bound as parameters.

use entente_config::nearest;
use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, MessageDescriptor, Value};
use regex::{Regex, RegexBuilder};

use crate::dates;
use crate::file::{Absent, BindSpec, BindType};
use crate::value::SqlValue;

/// One compiled bind.
#[derive(Debug)]
pub(crate) struct Bind {
    /// The dotted path within the request, for errors.
    path: String,
    fields: Vec<FieldDescriptor>,
    remove: String,
    upper: bool,
    max_length: usize,
    check: Option<Regex>,
    one_of: Option<Vec<String>>,
    kind: BindType,
    format: Option<String>,
    absent: Absent,
}

/// The field that was not acceptable. Never its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BadField(pub(crate) String);

// === impl Bind ===

impl Bind {
    /// Compiles a bind against the request's type; the error is a sentence for the file's owner.
    pub(crate) fn compile(spec: &BindSpec, request: &MessageDescriptor) -> Result<Self, String> {
        let path = spec
            .from
            .strip_prefix("request.")
            .ok_or("`from` is `request.` and a field, such as request.person_number")?;
        let fields = find(path, request)?;
        let last = fields.last().ok_or("`from` names no field")?;
        let natural = natural_type(last)?;
        let kind = spec.kind.unwrap_or(natural);
        if natural != kind && natural != BindType::Text {
            return Err(format!("field {path} cannot be bound as another type"));
        }
        let raw = matches!(last.kind(), Kind::Bytes | Kind::Bool);
        if raw && (spec.check.is_some() || spec.one_of.is_some() || spec.kind.is_some()) {
            return Err(format!("field {path} is not a text that could be checked"));
        }
        let format = spec.format.as_ref().map(|format| format.value.clone());
        match (&format, kind) {
            (Some(format), BindType::Date | BindType::Timestamp) => dates::check_format(format)?,
            (Some(_), _) => return Err("`format` is for dates and timestamps".to_owned()),
            (None, _) => {}
        }
        let check = spec
            .check
            .as_ref()
            .map(|check| {
                // Anchored as a whole, so that alternatives inside cannot escape.
                RegexBuilder::new(&format!(r"\A(?:{})\z", check.value))
                    .size_limit(MAX_REGEX_BYTES)
                    .build()
                    .map_err(|_| "`check` is not a regular expression".to_owned())
            })
            .transpose()?;
        if spec.one_of.as_ref().is_some_and(Vec::is_empty) {
            return Err("`one_of` is empty: nothing could pass".to_owned());
        }
        let max_length = spec
            .max_length
            .map_or(DEFAULT_MAX_LENGTH, |max| max as usize);
        if max_length == 0 || max_length > MAX_LENGTH {
            return Err(format!("`max_length` is 1 to {MAX_LENGTH}"));
        }
        let bind = Self {
            path: path.to_owned(),
            fields,
            remove: spec.remove.clone(),
            upper: spec.upper,
            max_length,
            check,
            one_of: spec.one_of.clone(),
            kind,
            format,
            absent: spec.absent.clone(),
        };
        if let Absent::Text(text) = &bind.absent {
            bind.typed(text)
                .map_err(|_| "`absent` is not a value of its type".to_owned())?;
        }
        Ok(bind)
    }

    /// The value to bind for one request.
    pub(crate) fn value(&self, request: &DynamicMessage) -> Result<SqlValue, BadField> {
        let Some(value) = self.read(request)? else {
            return match &self.absent {
                Absent::Refused => Err(self.bad()),
                Absent::Null => Ok(SqlValue::Null),
                Absent::Text(text) => self.typed(text),
            };
        };
        let text = match value {
            Read::Text(text) => text,
            Read::Typed(value) => return Ok(value),
        };
        let mut text: String = if self.remove.is_empty() {
            text
        } else {
            text.chars().filter(|c| !self.remove.contains(*c)).collect()
        };
        if self.upper {
            text = text.to_uppercase();
        }
        self.admit(&text)?;
        self.typed(&text)
    }

    /// The field's value; none when it is not set. Text that is empty and has no presence of its
    /// own counts as not set; numbers and booleans always count as set.
    fn read(&self, request: &DynamicMessage) -> Result<Option<Read>, BadField> {
        let (last, outer) = self.fields.split_last().ok_or_else(|| self.bad())?;
        let mut message = request.clone();
        for field in outer {
            if !message.has_field(field) {
                return Ok(None);
            }
            message = match message.get_field(field).into_owned() {
                Value::Message(inner) => inner,
                _ => return Err(self.bad()),
            };
        }
        let textual = matches!(last.kind(), Kind::String | Kind::Bytes);
        if (last.supports_presence() || textual) && !message.has_field(last) {
            return Ok(None);
        }
        let read = match message.get_field(last).into_owned() {
            Value::String(text) => Read::Text(text),
            Value::Bool(value) => Read::Typed(SqlValue::Bool(value)),
            Value::I32(value) => Read::Text(value.to_string()),
            Value::I64(value) => Read::Text(value.to_string()),
            Value::U32(value) => Read::Text(value.to_string()),
            Value::U64(value) => Read::Text(value.to_string()),
            Value::EnumNumber(number) => match last.kind() {
                Kind::Enum(kind) => {
                    let value = kind.get_value(number).ok_or_else(|| self.bad())?;
                    Read::Text(value.name().to_owned())
                }
                _ => return Err(self.bad()),
            },
            Value::Bytes(bytes) if bytes.len() <= self.max_length => {
                Read::Typed(SqlValue::Bytes(bytes.to_vec()))
            }
            _ => return Err(self.bad()),
        };
        Ok(Some(read))
    }

    fn admit(&self, text: &str) -> Result<(), BadField> {
        let long = text.chars().count() > self.max_length;
        // PostgreSQL has no way to store it, and SQLite stops reading there.
        let nul = text.contains('\0');
        let unmatched = self
            .check
            .as_ref()
            .is_some_and(|check| !check.is_match(text));
        let unlisted = self
            .one_of
            .as_ref()
            .is_some_and(|allowed| !allowed.iter().any(|allowed| allowed == text));
        if long || nul || unmatched || unlisted {
            Err(self.bad())
        } else {
            Ok(())
        }
    }

    fn typed(&self, text: &str) -> Result<SqlValue, BadField> {
        let bad = |_| self.bad();
        Ok(match self.kind {
            BindType::Text => SqlValue::Text(text.to_owned()),
            BindType::Int => SqlValue::Int(whole(text).ok_or_else(|| self.bad())?),
            BindType::Bool => match text {
                "true" => SqlValue::Bool(true),
                "false" => SqlValue::Bool(false),
                _ => return Err(self.bad()),
            },
            BindType::Decimal if is_decimal(text) => SqlValue::Text(text.to_owned()),
            BindType::Decimal => return Err(self.bad()),
            BindType::Date => {
                let date = dates::parse_date(text, self.format.as_deref()).map_err(bad)?;
                SqlValue::Text(date.to_string())
            }
            BindType::Timestamp => {
                let time =
                    dates::parse_timestamp(text, self.format.as_deref(), None).map_err(bad)?;
                SqlValue::Text(time.to_string())
            }
        })
    }

    fn bad(&self) -> BadField {
        BadField(self.path.clone())
    }
}

enum Read {
    Text(String),
    Typed(SqlValue),
}

/// The fields along a dotted path.
fn find(path: &str, message: &MessageDescriptor) -> Result<Vec<FieldDescriptor>, String> {
    let mut message = Some(message.clone());
    let mut fields = Vec::new();
    for name in path.split('.') {
        let within = message.ok_or_else(|| format!("field {name} is not in a message"))?;
        let field = within.get_field_by_name(name).ok_or_else(|| {
            let names: Vec<_> = within
                .fields()
                .map(|field| field.name().to_owned())
                .collect();
            let near = nearest(name, names.iter().map(String::as_str));
            let hint = near.map(|near| format!("; did you mean `{near}`?"));
            format!(
                "{} has no field `{name}`{}",
                within.full_name(),
                hint.unwrap_or_default()
            )
        })?;
        if field.is_list() || field.is_map() {
            return Err(format!(
                "field {name} is repeated; only single values are bound"
            ));
        }
        message = match field.kind() {
            Kind::Message(inner) => Some(inner),
            _ => None,
        };
        fields.push(field);
    }
    Ok(fields)
}

fn natural_type(field: &FieldDescriptor) -> Result<BindType, String> {
    match field.kind() {
        Kind::String | Kind::Enum(_) | Kind::Bytes => Ok(BindType::Text),
        Kind::Bool => Ok(BindType::Bool),
        Kind::Float | Kind::Double => Err(format!(
            "field {} is a floating-point number; bind a decimal text instead",
            field.name()
        )),
        Kind::Message(_) => Err(format!(
            "field {} is a message; name one of its fields",
            field.name()
        )),
        _ => Ok(BindType::Int),
    }
}

/// A whole number as it is written: no plus, no leading zeros beyond a single one, no spaces.
fn whole(text: &str) -> Option<i64> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let plain = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    plain.then(|| text.parse().ok()).flatten()
}

/// Digits with at most one point between them.
pub(crate) fn is_decimal(text: &str) -> bool {
    let number = text.strip_prefix('-').unwrap_or(text);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    number.len() <= 40 && digits(whole) && digits(fraction)
}

/// Characters let through when the file sets no `max_length`.
const DEFAULT_MAX_LENGTH: usize = 1024;
const MAX_LENGTH: usize = 65_536;
const MAX_REGEX_BYTES: usize = 1 << 20;
