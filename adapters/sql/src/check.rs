//! `adapter check`: every fault there is, stage by stage, before anybody calls.

use std::fmt;
use std::path::Path;

use crate::adapter::{OpenError, SqlAdapter};
use crate::load::{Finding, LoadError, OpenOptions, Stage};

/// What the checks found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckReport {
    /// The stages that were reached, with a sentence about each.
    pub stages: Vec<(Stage, String)>,
    /// The faults; none when the adapter is ready.
    pub findings: Vec<Finding>,
    /// Why nothing can be served at all, where that is so.
    pub fatal: Option<String>,
}

/// Checks a file: its form, its contract, its examples, its sources and its queries.
pub async fn check(path: &Path, options: &OpenOptions) -> CheckReport {
    let mut report = CheckReport {
        stages: Vec::new(),
        findings: Vec::new(),
        fatal: None,
    };
    let adapter = match SqlAdapter::open(path, options).await {
        Ok(adapter) => adapter,
        Err(error) => {
            if !matches!(error, OpenError::Load(LoadError::Config(_))) {
                report.note(Stage::File, "adapter/v1");
            }
            report.fatal = Some(error.to_string());
            return report;
        }
    };
    report.findings = adapter.findings();
    report.note(Stage::File, "adapter/v1");
    let (bound, declared) = adapter.coverage();
    let service = adapter.contract().service();
    let fields = adapter.mapped_fields();
    report.note(
        Stage::Contract,
        format!("{bound} of {declared} methods of {service} bound, {fields} fields mapped"),
    );
    report.note(
        Stage::Examples,
        format!("{} examples", adapter.example_count()),
    );
    for (name, note) in adapter.source_notes() {
        let note = note.unwrap_or_else(|| "not reached".to_owned());
        report.note(Stage::Source, format!("{name}: {note}"));
    }
    report.note(Stage::Statements, format!("{bound} queries"));
    report
}

/// The JSON schema of an adapter file, for editors that complete and check while typing.
pub fn schema() -> serde_json::Value {
    crate::file::schema().to_value()
}

// === impl CheckReport ===

impl CheckReport {
    /// Whether every method that the file binds can be served.
    pub fn is_ready(&self) -> bool {
        self.fatal.is_none() && self.findings.is_empty()
    }

    fn note(&mut self, stage: Stage, note: impl Into<String>) {
        self.stages.push((stage, note.into()));
    }
}

impl fmt::Display for CheckReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (stage, note) in &self.stages {
            let sound = !self.findings.iter().any(|finding| finding.stage == *stage);
            let mark = if sound { "ok" } else { "!!" };
            let number = *stage as u8 + 1;
            writeln!(f, " {number} {:<10} {mark}   {note}", stage.as_str())?;
        }
        for finding in &self.findings {
            match &finding.method {
                Some(method) => writeln!(f, "\n{method}: {}", finding.error)?,
                None => writeln!(f, "\n{}", finding.error)?,
            }
        }
        if let Some(fatal) = &self.fatal {
            writeln!(f, "\n{fatal}")?;
        }
        Ok(())
    }
}

// === impl Stage ===

impl Stage {
    /// The stage's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Contract => "contract",
            Self::Examples => "examples",
            Self::Source => "source",
            Self::Statements => "statements",
        }
    }
}
