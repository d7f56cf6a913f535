//! The test command: everything that is tested, from a fresh machine with Rust.

use std::process::Command;

use crate::stages::{Outcome, Stages, shown, succeeds};
use crate::{needs, verifiers, workspace};

/// Provides what the tests need, builds, runs every test, and prints minutes per stage.
pub(crate) fn run() -> anyhow::Result<()> {
    let mut stages = Stages::default();
    stages.stage("needs", || {
        needs::provide(needs::TESTS).map(|()| Outcome::Passed)
    })?;
    stages.stage("verifiers", verifiers::provide)?;
    // Some tests start the real programs, so those must be there before the first test.
    stages.stage("build", || {
        shown(cargo().args(["build", "--workspace", "--all-targets"]))
    })?;
    let nextest = succeeds(cargo().args(["nextest", "--version"]));
    stages.stage("tests", || {
        if nextest {
            shown(cargo().args(["nextest", "run", "--workspace"]))
        } else {
            println!("   cargo-nextest is not installed; cargo test runs the same tests");
            shown(cargo().args(["test", "--workspace", "--lib", "--bins", "--tests"]))
        }
    })?;
    stages.stage("doctests", || {
        shown(cargo().args(["test", "--workspace", "--doc"]))
    })?;
    println!("{}", stages.summary());
    Ok(())
}

/// Provides what the tests need and runs none of them.
pub(crate) fn provide() -> anyhow::Result<()> {
    needs::provide(needs::TESTS)?;
    verifiers::provide().map(|_| ())
}

fn cargo() -> Command {
    let mut command = workspace::cargo();
    command.env("PATH", needs::path());
    command
}
