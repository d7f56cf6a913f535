//! Continuous integration: every stage, cheapest first.
//!
//! The text checkers (typos, markdownlint, buf) are not Rust. They are fetched once into the target
//! folder by pip and npm; where that is impossible the stage says so and the rest goes on.

use std::path::PathBuf;
use std::process::Command;

use crate::stages::{Outcome, Stages, shown, succeeds};
use crate::{test, tidy, workspace};

/// Which stages to run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// Everything.
    All,
    /// What comes before the tests.
    Check,
    /// What comes after them.
    Doc,
    /// The text checkers alone.
    Text,
}

/// A checker from another ecosystem, at a fixed version.
struct Tool {
    program: &'static str,
    from: Registry,
    package: &'static str,
    /// The arguments of each run.
    runs: &'static [&'static [&'static str]],
}

#[derive(Clone, Copy)]
enum Registry {
    Pip,
    Npm,
}

const TYPOS: Tool = Tool {
    program: "typos",
    from: Registry::Pip,
    package: "typos==1.52.0",
    runs: &[&[]],
};
const MARKDOWNLINT: Tool = Tool {
    program: "markdownlint-cli2",
    from: Registry::Npm,
    package: "markdownlint-cli2@0.22.1",
    runs: &[&[]],
};
const BUF: Tool = Tool {
    program: "buf",
    from: Registry::Npm,
    package: "@bufbuild/buf@1.75.0",
    runs: &[
        &["lint", "proto"],
        &["breaking", "proto", "--against", ".ci/proto-baseline.binpb"],
    ],
};

/// Runs the stages of `part`.
pub(crate) fn run(part: Part) -> anyhow::Result<()> {
    let mut stages = Stages::default();
    if matches!(part, Part::All | Part::Check) {
        stages.stage("fmt", || {
            shown(workspace::cargo().args(["fmt", "--all", "--check"]))
        })?;
        stages.stage("tidy", || tidy::run().map(|()| Outcome::Passed))?;
    }
    if part != Part::Doc {
        for tool in [TYPOS, MARKDOWNLINT, BUF] {
            stages.stage(tool.program, || tool.check())?;
        }
    }
    if matches!(part, Part::All | Part::Check) {
        stages.stage("clippy", || {
            let mut clippy = workspace::cargo();
            clippy.args(["clippy", "--workspace", "--all-targets"]);
            shown(clippy.args(["--", "--deny", "warnings"]))
        })?;
    }
    if part == Part::All {
        stages.stage("test", || test::run().map(|()| Outcome::Passed))?;
    }
    if matches!(part, Part::All | Part::Doc) {
        stages.stage("doc", || {
            let mut doc = workspace::cargo();
            doc.args(["doc", "--workspace", "--no-deps"]);
            shown(doc.env("RUSTDOCFLAGS", "-D warnings"))
        })?;
    }
    println!("{}", stages.summary());
    Ok(())
}

// === impl Tool ===

impl Tool {
    fn check(&self) -> anyhow::Result<Outcome> {
        let Some(program) = self.find() else {
            return Ok(Outcome::NotRun(format!(
                "{} is not installed and could not be fetched",
                self.program
            )));
        };
        for &args in self.runs {
            shown(
                Command::new(&program)
                    .args(args)
                    .current_dir(workspace::root()),
            )?;
        }
        Ok(Outcome::Passed)
    }

    /// The program on PATH, or fetched before, or fetched now.
    fn find(&self) -> Option<PathBuf> {
        let on_path = PathBuf::from(self.program);
        if succeeds(Command::new(&on_path).arg("--version")) {
            return Some(on_path);
        }
        let folder = workspace::target().join("tools").join(self.program);
        let program = match self.from {
            Registry::Pip => folder.join("bin").join(self.program),
            Registry::Npm => folder.join("node_modules/.bin").join(self.program),
        };
        if !program.exists() {
            println!("   fetching {}", self.package);
            match self.from {
                Registry::Pip => {
                    succeeds(Command::new("python3").args(["-m", "venv"]).arg(&folder))
                        && succeeds(Command::new(folder.join("bin/pip")).args([
                            "install",
                            "--quiet",
                            self.package,
                        ]))
                }
                Registry::Npm => succeeds(
                    Command::new("npm")
                        .args(["install", "--ignore-scripts", "--no-audit", "--no-fund"])
                        .arg("--prefix")
                        .arg(&folder)
                        .arg(self.package),
                ),
            };
        }
        program.exists().then_some(program)
    }
}
