//! Reading a YAML document into a typed value.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use serde::Deserialize;
use serde::de::{DeserializeOwned, Deserializer};
use serde_saphyr::options::{DuplicateKeyPolicy, MergeKeyPolicy};
use serde_saphyr::{Error, Options, Spanned};

use crate::error::ConfigError;
use crate::nearest::nearest;
use crate::path::within;

/// A value together with where it is written, for faults that are found only later.
///
/// Works under structs, maps and lists; under `#[serde(flatten)]` or untagged enums the place is
/// not known (line 0).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Located<T> {
    /// The value.
    pub value: T,
    /// Line, from 1; 0 where not known.
    pub line: u64,
    /// Column, from 1; 0 where not known.
    pub column: u64,
}

/// Reads and parses a file of at most [`MAX_DOCUMENT_BYTES`]. Relative paths in it are taken from
/// its folder.
///
/// # Errors
/// When it cannot be read, is not strict YAML 1.2, or does not fit `T`.
pub fn load<T: DeserializeOwned>(path: &Path) -> Result<T, ConfigError> {
    let name = path.display().to_string();
    let text = read(path, &name)?;
    // A bare file name lies in the current folder, which has a name that can be synced.
    let folder = match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    };
    parse_in(&text, &name, folder)
}

/// Parses a text; `name` is what errors call it. Relative paths stay as written.
///
/// # Errors
/// When it is not strict YAML 1.2 or does not fit `T`.
pub fn parse<T: DeserializeOwned>(text: &str, name: &str) -> Result<T, ConfigError> {
    within(None, || parse_here(text, name))
}

/// Parses a text with relative paths taken from `folder`.
///
/// # Errors
/// When it is not strict YAML 1.2 or does not fit `T`.
pub fn parse_in<T: DeserializeOwned>(
    text: &str,
    name: &str,
    folder: &Path,
) -> Result<T, ConfigError> {
    within(Some(folder), || parse_here(text, name))
}

fn read(path: &Path, name: &str) -> Result<String, ConfigError> {
    let failed = |error: std::io::Error| {
        ConfigError::new(name, format!("cannot read the file: {error}"))
            .with_help("check the path and that this user may read it")
    };
    let mut text = Vec::new();
    File::open(path)
        .and_then(|file| {
            file.take(MAX_DOCUMENT_BYTES as u64 + 1)
                .read_to_end(&mut text)
        })
        .map_err(failed)?;
    String::from_utf8(text).map_err(|_| {
        ConfigError::new(name, "the file is not UTF-8 text").with_help("save it as UTF-8")
    })
}

fn parse_here<T: DeserializeOwned>(text: &str, name: &str) -> Result<T, ConfigError> {
    if text.len() > MAX_DOCUMENT_BYTES {
        return Err(ConfigError::new(
            name,
            format!("the file is larger than {MAX_DOCUMENT_BYTES} bytes"),
        ));
    }
    serde_saphyr::from_str_with_options(text, options())
        .map_err(|error| describe(&error, text, name))
}

fn options() -> Options {
    serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_reader_input_bytes: Some(MAX_DOCUMENT_BYTES),
            max_depth: MAX_DEPTH,
            flow_nesting_limit: MAX_DEPTH,
            max_events: 500_000,
            max_nodes: 200_000,
            max_aliases: 1000,
            max_anchors: 1000,
            max_recorded_anchor_events: 200_000,
            max_documents: 1,
        },
        duplicate_keys: DuplicateKeyPolicy::Error,
        merge_keys: MergeKeyPolicy::Error,
        alias_limits: serde_saphyr::alias_limits! {
            max_total_replayed_events: 100_000,
            max_replay_stack_depth: 8,
            max_alias_expansions_per_anchor: 1000,
        },
        strict_booleans: true,
        leading_zero_numbers_as_strings: true,
        underscored_numbers_as_strings: true,
        reject_unsupported_tags: true,
        reject_tagged_field_names: true,
        with_snippet: false,
    }
}

/// Our own words for the library's errors; the offending value is never repeated.
fn describe(error: &Error, text: &str, name: &str) -> ConfigError {
    let (message, help) = match error.without_snippet() {
        Error::AliasError { error, .. } => return describe(error, text, name),
        Error::SerdeUnknownField {
            field, expected, ..
        } => (
            format!("unknown key `{}`", short(field)),
            suggest(field, expected),
        ),
        Error::SerdeUnknownVariant {
            variant, expected, ..
        } => (
            format!("unknown value `{}`", short(variant)),
            suggest(variant, expected),
        ),
        Error::SerdeMissingField { field, .. } => (
            format!("missing key `{field}`"),
            Some(format!("add `{field}:`")),
        ),
        Error::DuplicateMappingKey { key, .. } => (
            key.as_ref().map_or_else(
                || "the same key stands twice".to_owned(),
                |key| format!("key `{}` stands twice", short(key)),
            ),
            Some("keep one of them".to_owned()),
        ),
        Error::MergeKeyNotAllowed { .. } => (
            "merge keys (`<<`) are not part of YAML 1.2".to_owned(),
            Some("repeat the keys, or use an anchor for the whole value".to_owned()),
        ),
        Error::SerdeInvalidType {
            unexpected,
            expected,
            ..
        } => (
            format!("expected {expected}, found {}", kind_of(unexpected)),
            None,
        ),
        Error::SerdeInvalidValue { expected, .. } => (format!("expected {expected}"), None),
        Error::SerdeInvalidLength { expected, len, .. } => {
            (format!("expected {expected}, found {len} items"), None)
        }
        Error::InvalidScalar { ty, .. } => (format!("expected {ty}"), None),
        Error::InvalidBooleanStrict { .. } => (
            "expected true or false".to_owned(),
            Some("yes, no, on and off are texts in YAML 1.2".to_owned()),
        ),
        Error::NullIntoString { .. } => (
            "expected text, found nothing".to_owned(),
            Some("write \"\" for an empty text".to_owned()),
        ),
        Error::MultipleDocuments { .. } => (
            "the file holds more than one document".to_owned(),
            Some("remove the `---` line and what follows".to_owned()),
        ),
        Error::UnknownAnchor { .. } => ("no such anchor".to_owned(), None),
        Error::Budget { .. }
        | Error::AliasReplayLimitExceeded { .. }
        | Error::AliasExpansionLimitExceeded { .. }
        | Error::AliasReplayStackDepthExceeded { .. } => (
            "the document is too large, too deep or repeats itself too often".to_owned(),
            Some(format!("at most {MAX_DEPTH} levels and 1000 aliases")),
        ),
        Error::UnsupportedTag { .. } | Error::TaggedStructFieldName { .. } => {
            ("tags (`!…`) are not used here".to_owned(), None)
        }
        Error::Message { msg, .. } => (msg.clone(), None),
        Error::Unexpected { expected, .. } => (format!("expected {expected}"), None),
        other => (other.to_string(), None),
    };
    let first_line = message.lines().next().unwrap_or("not valid").to_owned();
    let mut described = ConfigError::new(name, first_line);
    if let Some(help) = help {
        described = described.with_help(help);
    }
    match error.location() {
        Some(location) => described.at(text, location.line(), location.column()),
        None => described,
    }
}

fn suggest(word: &str, expected: &[&'static str]) -> Option<String> {
    match nearest(word, expected.iter().copied()) {
        Some(near) => Some(format!("did you mean `{near}`?")),
        None if expected.is_empty() => None,
        None => Some(format!("use one of: {}", expected.join(", "))),
    }
}

fn short(word: &str) -> String {
    word.chars().filter(|c| !c.is_control()).take(60).collect()
}

/// `string "hunter2"` becomes `string`: the kind is enough, and the value may be private.
fn kind_of(unexpected: &str) -> &str {
    let end = unexpected.find(['`', '"']).unwrap_or(unexpected.len());
    unexpected[..end].trim_end()
}

// === impl Located ===

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Located<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let spanned = Spanned::<T>::deserialize(from)?;
        Ok(Self {
            line: spanned.referenced.line(),
            column: spanned.referenced.column(),
            value: spanned.value,
        })
    }
}

impl<T: schemars::JsonSchema> schemars::JsonSchema for Located<T> {
    fn inline_schema() -> bool {
        T::inline_schema()
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        T::schema_name()
    }

    fn schema_id() -> std::borrow::Cow<'static, str> {
        T::schema_id()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        T::json_schema(generator)
    }
}

/// The largest configuration file: 1 MiB.
pub const MAX_DOCUMENT_BYTES: usize = 1 << 20;

/// The deepest nesting of maps and lists.
pub const MAX_DEPTH: usize = 32;

#[cfg(test)]
mod tests;
