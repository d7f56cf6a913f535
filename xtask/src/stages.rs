//! Running stages one after the other, and saying at the end what each took.

use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};

/// How a stage ended when it did not fail.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It ran and passed.
    Passed,
    /// It could not run, and why. Said aloud at the end, never hidden.
    NotRun(String),
}

/// The stages run so far.
#[derive(Debug, Default)]
pub(crate) struct Stages {
    done: Vec<Done>,
}

#[derive(Debug)]
struct Done {
    name: String,
    took: Duration,
    word: String,
}

// === impl Stages ===

impl Stages {
    /// Runs one stage. The first failure ends the run; the summary is printed then too.
    pub(crate) fn stage(
        &mut self,
        name: &str,
        body: impl FnOnce() -> anyhow::Result<Outcome>,
    ) -> anyhow::Result<()> {
        println!("── {name}");
        let start = now();
        let result = body();
        let word = match &result {
            Ok(Outcome::Passed) => "passed".to_owned(),
            Ok(Outcome::NotRun(why)) => format!("NOT RUN: {why}"),
            Err(_) => "FAILED".to_owned(),
        };
        self.done.push(Done {
            name: name.to_owned(),
            took: start.elapsed(),
            word,
        });
        match result {
            Ok(_) => Ok(()),
            Err(error) => {
                println!("{}", self.summary());
                Err(error.context(format!("stage {name}")))
            }
        }
    }

    /// Minutes per stage, one line each, and the total.
    pub(crate) fn summary(&self) -> String {
        let mut text = String::from("\nstage              minutes\n");
        for done in &self.done {
            text += &format!("{:<18} {}  {}\n", done.name, minutes(done.took), done.word);
        }
        let total = self.done.iter().map(|done| done.took).sum();
        text + &format!("{:<18} {}", "total", minutes(total))
    }
}

/// Runs `command`, showing its output; an exit other than 0 is an error.
pub(crate) fn shown(command: &mut Command) -> anyhow::Result<Outcome> {
    let words = words(command);
    println!("   {words}");
    let status = command
        .status()
        .with_context(|| format!("starting `{words}`"))?;
    if !status.success() {
        bail!("`{words}` ended with {status}");
    }
    Ok(Outcome::Passed)
}

/// Whether `command` starts and exits with 0; its output is dropped.
pub(crate) fn succeeds(command: &mut Command) -> bool {
    command.output().is_ok_and(|output| output.status.success())
}

fn words(command: &Command) -> String {
    std::iter::once(command.get_program())
        .chain(command.get_args())
        .map(|word| word.to_string_lossy())
        .collect::<Vec<_>>()
        .join(" ")
}

fn minutes(took: Duration) -> String {
    format!("{:7.2}", took.as_secs_f64() / 60.0)
}

#[allow(clippy::disallowed_methods, reason = "measures how long a stage took")]
fn now() -> Instant {
    Instant::now()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_stage_ends_the_run_and_is_named() {
        let mut stages = Stages::default();
        stages.stage("first", || Ok(Outcome::Passed)).unwrap();
        let error = stages.stage("second", || bail!("broken")).unwrap_err();
        assert_eq!(format!("{error:#}"), "stage second: broken");
        assert!(stages.summary().contains("FAILED"));
    }

    #[test]
    fn what_did_not_run_is_said() {
        let mut stages = Stages::default();
        stages
            .stage("typos", || Ok(Outcome::NotRun("no network".to_owned())))
            .unwrap();
        assert!(stages.summary().contains("NOT RUN: no network"));
    }

    #[test]
    fn a_command_that_fails_is_an_error() {
        assert!(shown(&mut Command::new("false")).is_err());
        assert!(shown(&mut Command::new("no-such-program-anywhere")).is_err());
        assert!(!succeeds(&mut Command::new("false")));
    }
}
