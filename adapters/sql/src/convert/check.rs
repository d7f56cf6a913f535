//! Compiling a conversion: what the file says, held against the field's type.

use entente_config::nearest;
use prost_reflect::{EnumDescriptor, FieldDescriptor, Kind};

use super::{Convert, Unfit};
use crate::dates;
use crate::file::{ColumnType, FieldSpec};

impl Convert {
    /// Compiles one mapping; the error is a sentence for the file's owner.
    pub(crate) fn compile(spec: &FieldSpec, field: &FieldDescriptor) -> Result<Self, String> {
        let spec = &spec.0;
        if field.is_map() {
            return Err("a map field cannot be filled from a column".to_owned());
        }
        let list = field.is_list();
        if list && spec.split.is_none() {
            return Err("a repeated field needs `split:`, the text between its items".to_owned());
        }
        if !list && spec.split.is_some() {
            return Err("`split` is for repeated fields".to_owned());
        }
        if spec.split.as_deref() == Some("") {
            return Err("`split` is empty".to_owned());
        }
        let kind = field.kind();
        fits(spec.kind, &kind)?;
        match (&spec.format, spec.kind) {
            (Some(format), Some(ColumnType::Date | ColumnType::Timestamp)) => {
                dates::check_format(format)?;
            }
            (Some(_), _) => return Err("`format` is for dates and timestamps".to_owned()),
            (None, _) => {}
        }
        let zone = match (&spec.zone, spec.kind) {
            (Some(zone), Some(ColumnType::Timestamp)) => Some(dates::parse_zone(zone)?),
            (Some(_), _) => return Err("`zone` is for timestamps".to_owned()),
            (None, _) => None,
        };
        let money = spec.kind == Some(ColumnType::Money);
        if !money && (spec.scale.is_some() || spec.currency.is_some()) {
            return Err("`scale` and `currency` are for money".to_owned());
        }
        let currency = spec.currency.clone().unwrap_or_default();
        if money && !is_currency(&currency) {
            return Err("money needs `currency:`, three capital letters such as CAD".to_owned());
        }
        let scale = spec.scale.unwrap_or(2);
        if scale > 9 {
            return Err("`scale` is at most 9".to_owned());
        }
        let truths = spec.truths.clone().unwrap_or_default();
        let falses = spec.falses.clone().unwrap_or_default();
        let bool = matches!(kind, Kind::Bool);
        let listed = !truths.is_empty() || !falses.is_empty();
        if listed && !bool {
            return Err("`true` and `false` are for bool fields".to_owned());
        }
        if truths.iter().any(|truth| falses.contains(truth)) {
            return Err("the same text stands under `true` and under `false`".to_owned());
        }
        if spec.otherwise.is_some() && spec.map.is_none() {
            return Err("`else` goes with `map`".to_owned());
        }
        if let Kind::Enum(kind) = &kind {
            let mapped = spec.map.iter().flat_map(|map| map.values());
            for name in mapped.chain(&spec.otherwise) {
                known(kind, name)?;
            }
        }
        let convert = Self {
            kind,
            list,
            column_type: spec.kind,
            map: spec.map.clone(),
            otherwise: spec.otherwise.clone(),
            format: spec.format.clone(),
            zone,
            empty: spec.empty.clone(),
            trim: spec.trim,
            scale,
            currency,
            split: spec.split.clone(),
            truths,
            falses,
        };
        // What a code is mapped to must itself be a value of the field.
        let mapped = spec.map.iter().flat_map(|map| map.values());
        for value in mapped.chain(&spec.otherwise) {
            match convert.typed(value) {
                Ok(_) => {}
                Err(Unfit::Record | Unfit::Unmapped) => {
                    return Err(format!("`{value}` is not a value of this field"));
                }
            }
        }
        Ok(convert)
    }

    /// Whether this is a timestamp whose column must carry an offset of its own.
    pub(crate) fn needs_offset(&self) -> bool {
        self.column_type == Some(ColumnType::Timestamp)
            && self.zone.is_none()
            && self.format.is_none()
    }

    /// Whether a floating-point column may fill the field.
    pub(crate) fn takes_floats(&self) -> bool {
        matches!(self.kind, Kind::Double | Kind::Float)
    }
}

/// Whether a declared column type can fill a field of this kind.
fn fits(column: Option<ColumnType>, kind: &Kind) -> Result<(), String> {
    let named = |name: &str| matches!(kind, Kind::Message(message) if message.full_name() == name);
    let text = matches!(kind, Kind::String);
    let fits = match column {
        None => !matches!(kind, Kind::Message(_)),
        Some(ColumnType::Bool) => matches!(kind, Kind::Bool),
        Some(ColumnType::Bytes) => matches!(kind, Kind::Bytes),
        Some(ColumnType::Date) => text || named("google.type.Date"),
        Some(ColumnType::Decimal) => text,
        Some(ColumnType::Int) => !matches!(
            kind,
            Kind::Message(_) | Kind::Bytes | Kind::Double | Kind::Float | Kind::Bool
        ),
        Some(ColumnType::Money) => named("google.type.Money"),
        Some(ColumnType::Text) => matches!(kind, Kind::String | Kind::Enum(_)),
        Some(ColumnType::Timestamp) => text || named("google.protobuf.Timestamp"),
    };
    if fits {
        return Ok(());
    }
    Err(match (column, kind) {
        (None, Kind::Message(message)) => format!(
            "a field of type {} needs `fields:`, or a `type:` that fills it",
            message.full_name()
        ),
        _ => "a column of this type cannot fill this field".to_owned(),
    })
}

fn known(kind: &EnumDescriptor, name: &str) -> Result<(), String> {
    if kind.get_value_by_name(name).is_some() {
        return Ok(());
    }
    let names: Vec<_> = kind.values().map(|value| value.name().to_owned()).collect();
    let near = nearest(name, names.iter().map(String::as_str));
    let hint = near.map(|near| format!("; did you mean `{near}`?"));
    Err(format!(
        "{} has no value `{name}`{}",
        kind.full_name(),
        hint.unwrap_or_default()
    ))
}

fn is_currency(text: &str) -> bool {
    text.len() == 3 && text.bytes().all(|b| b.is_ascii_uppercase())
}
