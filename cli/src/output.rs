//! What a person or a script sees: results on stdout, messages on stderr, in one of three forms.

use std::fmt::{Display, Write as _};
use std::io::{self, IsTerminal, Write};

use clap::ValueEnum;
use entente_reason::Lang;
use serde_json::{Map, Value, json};

use crate::exit::Failure;
use crate::texts::{Fact, Text};

/// How results are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people.
    #[default]
    Table,
    /// One JSON document.
    Json,
    /// One JSON object a line.
    Ndjson,
}

/// Where and how a command writes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Screen {
    pub(crate) format: Format,
    pub(crate) lang: Lang,
    pub(crate) color: bool,
    pub(crate) quiet: bool,
    pub(crate) verbose: bool,
}

/// One column of a listing: the key in JSON, and its heading.
pub(crate) type Column = (&'static str, Text);

// === impl Screen ===

impl Screen {
    /// The text in the command's language.
    pub(crate) fn text(&self, text: Text, facts: &[Fact<'_>]) -> String {
        text.fill(self.lang, facts)
    }

    /// A message: on stderr, unless nobody wants to hear.
    pub(crate) fn say(&self, text: Text, facts: &[Fact<'_>]) {
        if !self.quiet {
            print_err(&self.text(text, facts));
        }
    }

    /// A message only for those who asked for more.
    pub(crate) fn whisper(&self, line: &str) {
        if self.verbose && !self.quiet {
            print_err(line);
        }
    }

    /// One result: a document in JSON, or what `human` writes.
    pub(crate) fn show(&self, kind: &str, value: Value, human: impl FnOnce(&Self)) {
        match self.format {
            Format::Table => human(self),
            Format::Json => print_out(pretty(&enveloped(kind, value))),
            Format::Ndjson => print_out(enveloped(kind, value).to_string()),
        }
    }

    /// One line of a result that comes line by line.
    pub(crate) fn event(&self, kind: &str, value: Value, human: impl FnOnce(&Self)) {
        match self.format {
            Format::Table => human(self),
            Format::Json | Format::Ndjson => print_out(enveloped(kind, value).to_string()),
        }
    }

    /// Many results of one kind: a table, one document with `items`, or one object a line.
    pub(crate) fn list(&self, kind: &str, items: &[Value], columns: &[Column]) {
        match self.format {
            Format::Table => print_out(self.table(items, columns)),
            Format::Json => print_out(pretty(&enveloped(kind, json!({ "items": items })))),
            Format::Ndjson => {
                for item in items {
                    print_out(enveloped(kind, item.clone()).to_string());
                }
            }
        }
    }

    /// Says why a command did not do what was asked.
    pub(crate) fn fail(&self, failure: &Failure) {
        if failure.is_told {
            return;
        }
        if self.format != Format::Table {
            let error = json!({ "error": {
                "exit": failure.exit as u8,
                "reason": failure.reason.map(entente_reason::Reason::code),
                "message": failure.what,
            }});
            print_out(enveloped("error", error).to_string());
        }
        let mut text = String::new();
        let _ = write!(text, "{}", self.red(&failure.what));
        for cause in &failure.because {
            let because = self.text(Text::LabelBecause, &[]);
            let _ = write!(text, "\n  {because:<8} {cause}");
        }
        for (label, note) in &failure.notes {
            let label = self.text(*label, &[]);
            let _ = write!(text, "\n  {label:<8} {note}");
        }
        print_err(&text);
    }

    /// Whether progress may be drawn over itself.
    pub(crate) fn is_live(&self) -> bool {
        !self.quiet && io::stderr().is_terminal()
    }

    /// Draws progress over what was there; an empty line wipes it.
    pub(crate) fn progress(&self, line: &str) {
        if self.is_live() {
            let mut err = io::stderr().lock();
            let _ = write!(err, "\r\x1b[K{line}");
            let _ = err.flush();
        }
    }

    pub(crate) fn bold(&self, text: &str) -> String {
        self.paint("1", text)
    }

    pub(crate) fn green(&self, text: &str) -> String {
        self.paint("32", text)
    }

    pub(crate) fn red(&self, text: &str) -> String {
        self.paint("31", text)
    }

    pub(crate) fn dim(&self, text: &str) -> String {
        self.paint("2", text)
    }

    fn paint(&self, code: &str, text: &str) -> String {
        if self.color {
            format!("\x1b[{code}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }

    fn table(&self, items: &[Value], columns: &[Column]) -> String {
        let heading = |(_, text): &Column| self.text(*text, &[]).to_uppercase();
        let mut rows = vec![columns.iter().map(heading).collect::<Vec<_>>()];
        for item in items {
            rows.push(columns.iter().map(|(key, _)| cell(&item[*key])).collect());
        }
        let width = |at: usize| {
            let widths = rows.iter().map(|row| row[at].chars().count());
            widths.max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..columns.len()).map(width).collect();
        let mut lines = Vec::with_capacity(rows.len());
        for row in rows {
            let mut line = String::new();
            for (cell, width) in row.iter().zip(&widths) {
                let _ = write!(line, "{cell:<width$}  ");
            }
            lines.push(line.trim_end().to_owned());
        }
        lines.join("\n")
    }
}

fn cell(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(cell).collect();
            items.join(", ")
        }
        other => other.to_string(),
    }
}

/// The versioned frame of every JSON result; only ever added to.
fn enveloped(kind: &str, value: Value) -> Value {
    let mut framed = Map::new();
    framed.insert("schema".to_owned(), SCHEMA.into());
    framed.insert("kind".to_owned(), kind.into());
    match value {
        Value::Object(fields) => framed.extend(fields),
        other => {
            framed.insert("value".to_owned(), other);
        }
    }
    Value::Object(framed)
}

fn pretty(value: &Value) -> String {
    serde_json::to_string_pretty(value).unwrap_or_else(|_| value.to_string())
}

/// Writes a line to stdout. A reader that went away ends the program quietly, as it would `cat`.
pub(crate) fn print_out(line: impl Display) {
    if writeln!(io::stdout().lock(), "{line}").is_err() {
        std::process::exit(0);
    }
}

fn print_err(line: &str) {
    // Nowhere left to say that it failed.
    let _ = writeln!(io::stderr().lock(), "{line}");
}

const SCHEMA: &str = "entente.cli/v1";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_every_document_with_its_schema_and_kind() {
        let framed = enveloped("x.y", json!({"a": 1}));
        assert_eq!(framed, json!({"schema": SCHEMA, "kind": "x.y", "a": 1}));
        assert_eq!(enveloped("x", json!([1]))["value"], json!([1]));
    }

    #[test]
    fn lays_cells_under_their_headings() {
        let screen = Screen {
            format: Format::Table,
            lang: Lang::En,
            color: false,
            quiet: false,
            verbose: false,
        };
        let items = [
            json!({"n": "é", "l": ["a", "b"]}),
            json!({"n": "long", "l": null}),
        ];
        let table = screen.table(&items, &[("n", Text::HeadName), ("l", Text::HeadParties)]);
        assert_eq!(table, "NAME  PARTIES\né     a, b\nlong  -");
    }
}
