//! Verifiers and a witness that are not ours, started as programs of their own.
//!
//! `cargo xtask needs` (the first stages of `cargo xtask test`) puts them into `target/conformance`: a
//! Python environment with other people's packages, and a small program around the
//! transparency-log code of Go's checksum database.

mod witness;

use std::ffi::OsStr;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::{Context as _, anyhow, bail, ensure};

pub use witness::{Answer, Witness, WitnessProcess};

/// A program that checks files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verifier {
    /// aics-tlog, from PyPI.
    AicsTlog,
    /// scitt-cose and pycose, from PyPI, both.
    Cose,
    /// Go's `golang.org/x/mod/sumdb`.
    Go,
    /// The second verifier of this repository, `tests/conformance/verify.py`.
    Second,
}

/// A verifier that answers many questions. Killed when dropped.
#[derive(Debug)]
pub struct Session {
    verifier: Verifier,
    /// A process that answers line by line; none for a program that starts at once.
    lines: Option<Lines>,
}

#[derive(Debug)]
struct Lines {
    child: Child,
    questions: ChildStdin,
    answers: BufReader<ChildStdout>,
}

// === impl Verifier ===

impl Verifier {
    /// Makes it ready to be asked.
    ///
    /// # Errors
    /// When it was not installed.
    pub fn start(self) -> anyhow::Result<Session> {
        let lines = match self {
            Self::Go => None,
            Self::AicsTlog | Self::Cose | Self::Second => Some(Lines::start(self)?),
        };
        Ok(Session {
            verifier: self,
            lines,
        })
    }

    /// The program with its first words.
    ///
    /// # Errors
    /// When it was not installed.
    pub fn command(self) -> anyhow::Result<Command> {
        let script = match self {
            Self::AicsTlog => "python/check_tlog.py",
            Self::Cose => "python/check_cose.py",
            Self::Go => return Ok(Command::new(installed("tlog-check")?)),
            Self::Second => "verify.py",
        };
        let mut command = Command::new(installed("venv/bin/python")?);
        // Bytecode beside the scripts would change the tree.
        command.arg("-B").arg(conformance().join(script));
        Ok(command)
    }
}

// === impl Session ===

impl Session {
    /// Whether it finds that all holds; `Err` has what it said against it.
    ///
    /// # Errors
    /// When it does not answer, or was asked wrongly.
    pub fn ask<W: AsRef<OsStr>>(&mut self, words: &[W]) -> anyhow::Result<Result<(), String>> {
        if let Some(lines) = &mut self.lines {
            let words: Option<Vec<&str>> =
                words.iter().map(|word| word.as_ref().to_str()).collect();
            return lines.ask(&words.context("words are not text")?);
        }
        let output = self.verifier.command()?.args(words).output()?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        match output.status.code() {
            Some(0) => Ok(Ok(())),
            // A panic ends with 2.
            Some(1) if !said.contains("usage:") => Ok(Err(said)),
            _ => bail!("{:?} failed: {said}", self.verifier),
        }
    }

    /// Asks about what must hold.
    ///
    /// # Errors
    /// When it is refused, with what was said.
    pub fn accepts<W: AsRef<OsStr>>(&mut self, words: &[W]) -> anyhow::Result<()> {
        let verifier = self.verifier;
        let refused = self.ask(words)?;
        refused.map_err(|said| anyhow!("{verifier:?} refuses: {said}"))
    }

    /// Asks about what must not hold.
    ///
    /// # Errors
    /// When it is accepted.
    pub fn refuses<W: AsRef<OsStr>>(&mut self, words: &[W]) -> anyhow::Result<()> {
        ensure!(self.ask(words)?.is_err(), "{:?} accepts", self.verifier);
        Ok(())
    }
}

// === impl Lines ===

impl Lines {
    fn start(verifier: Verifier) -> anyhow::Result<Self> {
        let mut child = verifier
            .command()?
            .arg("lines")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let questions = child.stdin.take().context("it has no stdin")?;
        let answers = BufReader::new(child.stdout.take().context("it has no stdout")?);
        Ok(Self {
            child,
            questions,
            answers,
        })
    }

    fn ask(&mut self, words: &[&str]) -> anyhow::Result<Result<(), String>> {
        writeln!(self.questions, "{}", serde_json::to_string(words)?)?;
        let mut line = String::new();
        self.answers.read_line(&mut line)?;
        match serde_json::from_str(&line) {
            Ok(serde_json::Value::Bool(true)) => Ok(Ok(())),
            Ok(serde_json::Value::String(said)) => Ok(Err(said)),
            _ => bail!("no answer to {words:?}: see what it printed"),
        }
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        // It reads until its input ends; nothing is lost by ending it.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// `tests/conformance`.
pub fn conformance() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("conformance")
}

/// The bytes of a vector below `tests/conformance/vectors`, from its commented hexadecimal.
///
/// # Errors
/// When there is none of this name, or it is not hexadecimal.
pub fn vector(name: &str) -> anyhow::Result<Vec<u8>> {
    let path = conformance().join("vectors").join(format!("{name}.hex"));
    let text = std::fs::read_to_string(&path).with_context(|| format!("no vector {name}"))?;
    let digits: Vec<u8> = text
        .lines()
        .map(|line| line.split('#').next().unwrap_or_default())
        .flat_map(str::bytes)
        .filter(|byte| !byte.is_ascii_whitespace())
        .collect();
    let bytes = digits.chunks(2).map(|pair| {
        let pair = std::str::from_utf8(pair)?;
        Ok(u8::from_str_radix(pair, 16)?)
    });
    bytes.collect()
}

fn installed(name: &str) -> anyhow::Result<PathBuf> {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../target"),
        PathBuf::from,
    );
    let path = target.join("conformance").join(name);
    ensure!(
        path.exists(),
        "{} is missing: run `cargo xtask needs` once",
        path.display()
    );
    Ok(path)
}
