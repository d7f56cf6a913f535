//! The one error of this crate: where, what, and what to do.

use std::fmt;

/// Why a configuration was refused. Its `Display` is a picture of several lines:
///
/// ```text
/// unknown key `lisen`
///   --> server.yaml:3:1
///    |
///  3 | lisen: 127.0.0.1:7443
///    | ^
///   help: did you mean `listen`?
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    name: String,
    message: String,
    place: Option<Place>,
    help: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Place {
    line: u64,
    column: u64,
    text: String,
}

// === impl ConfigError ===

impl ConfigError {
    /// An error about the whole of `name`, with no line to show.
    pub fn new(name: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            message: message.into(),
            place: None,
            help: None,
        }
    }

    /// Points at a line and column (both from 1) of the document `text`. Values of keys that look
    /// like secrets are not shown. Line 0 means that the place is not known.
    #[must_use]
    pub fn at(mut self, text: &str, line: u64, column: u64) -> Self {
        let shown = usize::try_from(line)
            .ok()
            .and_then(|line| line.checked_sub(1))
            .and_then(|index| text.lines().nth(index));
        self.place = shown.map(|shown| crop(line, column.max(1), shown));
        self
    }

    /// Adds what to do about it.
    #[must_use]
    pub fn with_help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// The file or variable at fault.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What is wrong, in one line.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The line at fault, from 1, where known.
    pub fn line(&self) -> Option<u64> {
        self.place.as_ref().map(|place| place.line)
    }

    /// The column at fault, from 1, where known.
    pub fn column(&self) -> Option<u64> {
        self.place.as_ref().map(|place| place.column)
    }

    /// What to do about it, where we know.
    pub fn help(&self) -> Option<&str> {
        self.help.as_deref()
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.message)?;
        match &self.place {
            None => write!(f, "  --> {}", self.name)?,
            Some(Place { line, column, text }) => {
                let number = line.to_string();
                let margin = " ".repeat(number.len());
                let caret = " ".repeat(usize::try_from(*column).unwrap_or(1).saturating_sub(1));
                writeln!(f, "  --> {}:{line}:{column}", self.name)?;
                writeln!(f, " {margin} |")?;
                writeln!(f, " {number} | {text}")?;
                write!(f, " {margin} | {caret}^")?;
            }
        }
        if let Some(help) = &self.help {
            write!(f, "\n  help: {help}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigError {}

/// The part of a line worth showing: at most 160 characters, without control characters, and
/// without the value where the key looks like a secret.
fn crop(line: u64, column: u64, text: &str) -> Place {
    let mut shown: String = text
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(MAX_SHOWN)
        .collect();
    if let Some((key, _)) = shown.split_once(':') {
        let key = key.to_owned();
        let lower = key.to_lowercase();
        if SECRET_KEYS.iter().any(|word| lower.contains(word)) && !shown.contains("{file:") {
            shown = format!("{key}: …");
        }
    }
    let end = shown.chars().count() as u64 + 1;
    Place {
        line,
        column: column.min(end),
        text: shown,
    }
}

const MAX_SHOWN: usize = 160;
const SECRET_KEYS: [&str; 5] = ["password", "passphrase", "secret", "token", "pin"];
