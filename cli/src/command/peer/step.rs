//! One step of a trace.

use std::fmt::Display;
use std::time::Duration;

use serde_json::{Value, json};

use crate::exit::Exit;
use crate::output::{Screen, print_out};
use crate::texts::Text;

/// What a step came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Step {
    pub(super) name: &'static str,
    pub(super) end: End,
    /// What was found, in the language of the command.
    pub(super) found: String,
    /// What to do, where it is not as a call needs it.
    pub(super) remedy: Option<String>,
    pub(super) took: Duration,
}

/// Whether a call would get further.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// It would.
    Passed,
    /// It would end here, and what that is for a script.
    Broken(Exit),
    /// Nobody got so far.
    Skipped,
}

// === impl Step ===

impl Step {
    pub(super) fn passed(name: &'static str, found: impl Display, took: Duration) -> Self {
        Self {
            name,
            end: End::Passed,
            found: found.to_string(),
            remedy: None,
            took,
        }
    }

    pub(super) fn broken(
        name: &'static str,
        exit: Exit,
        found: impl Display,
        remedy: impl Display,
        took: Duration,
    ) -> Self {
        Self {
            end: End::Broken(exit),
            remedy: Some(remedy.to_string()),
            ..Self::passed(name, found, took)
        }
    }

    pub(super) fn skipped(name: &'static str, screen: &Screen) -> Self {
        Self {
            end: End::Skipped,
            ..Self::passed(name, screen.text(Text::TraceSkipped, &[]), Duration::ZERO)
        }
    }

    /// For scripts.
    pub(super) fn value(&self) -> Value {
        let took = (self.end != End::Skipped).then_some(self.took.as_secs_f64() * 1e3);
        json!({
            "step": self.name,
            "end": match self.end {
                End::Passed => "passed",
                End::Broken(_) => "broken",
                End::Skipped => "skipped",
            },
            "found": self.found,
            "do": self.remedy,
            "took_ms": took,
        })
    }

    /// For people.
    pub(super) fn print(&self, screen: &Screen) {
        let (mark, took) = match self.end {
            End::Passed => (screen.green("✓"), millis(self.took)),
            End::Broken(_) => (screen.red("✗"), millis(self.took)),
            End::Skipped => (screen.dim("-"), String::new()),
        };
        print_out(format!(
            " {mark} {:<11} {took:>9}  {}",
            self.name, self.found
        ));
        if let Some(remedy) = &self.remedy {
            let label = screen.text(Text::LabelDo, &[]);
            print_out(format!("   {:<11} {:>9}  {label} : {remedy}", "", ""));
        }
    }
}

fn millis(took: Duration) -> String {
    let micros = took.as_micros();
    format!("{}.{} ms", micros / 1_000, micros % 1_000 / 100)
}
