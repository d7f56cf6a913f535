//! Running the program.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

/// What a run came to.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

/// Runs `entente` in a folder, in English whatever the machine's language.
pub(crate) fn entente(dir: &Path, args: &[&str]) -> Ran {
    entente_with(dir, args, &[])
}

/// The same, with more in its environment.
pub(crate) fn entente_with(dir: &Path, args: &[&str], environment: &[(&str, &str)]) -> Ran {
    let mut command = Command::new(env!("CARGO_BIN_EXE_entente"));
    command.current_dir(dir).args(args);
    for name in [
        "LC_ALL",
        "LC_MESSAGES",
        "ENTENTE_CONFIG",
        "ENTENTE_SERVER",
        "ENTENTE_LOG",
    ] {
        command.env_remove(name);
    }
    command.env("LANG", "C").envs(environment.iter().copied());
    let output = command.output().unwrap();
    Ran::from(output)
}

// === impl Ran ===

impl Ran {
    /// Its one JSON document.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// Its JSON lines.
    pub(crate) fn lines(&self) -> Vec<Value> {
        let lines = self.out.lines();
        lines
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }
}
