//! Processes that never outlive the benchmark.

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, bail};

use crate::needs;
use crate::stages::succeeds;

/// A process that is ended when this is dropped, and by the kernel when the benchmark itself dies.
#[derive(Debug)]
pub(crate) struct Running {
    name: String,
    child: Child,
    log: PathBuf,
}

// === impl Running ===

impl Running {
    /// Starts `program` with what it says on stderr kept in `folder/NAME.log`. Its stdout is for
    /// [`Self::line`].
    pub(crate) fn start(
        name: &str,
        program: &Path,
        args: &[String],
        folder: &Path,
    ) -> anyhow::Result<Self> {
        Self::spawn(name, program, args, folder, false)
    }

    /// The same for a program whose stdout is its log.
    pub(crate) fn start_logging(
        name: &str,
        program: &Path,
        args: &[String],
        folder: &Path,
    ) -> anyhow::Result<Self> {
        Self::spawn(name, program, args, folder, true)
    }

    fn spawn(
        name: &str,
        program: &Path,
        args: &[String],
        folder: &Path,
        logs: bool,
    ) -> anyhow::Result<Self> {
        let log = folder.join(name).with_extension("log");
        let file = File::create(&log).with_context(|| format!("creating {}", log.display()))?;
        let child = bound(program)
            .args(args)
            .env("PATH", needs::path())
            // Of what a failed process says only the end is shown: the reason, not a stack.
            .env("RUST_BACKTRACE", "0")
            .stdin(Stdio::null())
            .stdout(match logs {
                true => file.try_clone()?.into(),
                false => Stdio::piped(),
            })
            .stderr(file)
            .spawn()
            .with_context(|| format!("starting {name}, {}", program.display()))?;
        Ok(Self {
            name: name.to_owned(),
            child,
            log,
        })
    }

    /// Its process id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The processes it started: nginx's workers.
    pub(crate) fn children(&self) -> anyhow::Result<Vec<u32>> {
        let pid = self.pid();
        let path = format!("/proc/{pid}/task/{pid}/children");
        let text = std::fs::read_to_string(&path).with_context(|| format!("reading {path}"))?;
        Ok(text.split_whitespace().flat_map(str::parse).collect())
    }

    /// Waits for the first line on stdout that `wanted` understands. What follows is discarded.
    pub(crate) fn line<T: Send + 'static>(
        &mut self,
        wanted: fn(&str) -> Option<T>,
    ) -> anyhow::Result<T> {
        self.line_within(START_TIMEOUT, wanted)
    }

    /// The same, waiting for as long as `limit`.
    pub(crate) fn line_within<T: Send + 'static>(
        &mut self,
        limit: Duration,
        wanted: fn(&str) -> Option<T>,
    ) -> anyhow::Result<T> {
        let out = self
            .child
            .stdout
            .take()
            .context("stdout was read already")?;
        let (found, said) = mpsc::channel();
        thread::spawn(move || read_lines(out, wanted, &found));
        match said.recv_timeout(limit) {
            Ok(value) => Ok(value),
            Err(RecvTimeoutError::Timeout) => {
                bail!("{} said nothing in {limit:?}: {}", self.name, self.tail())
            }
            Err(RecvTimeoutError::Disconnected) => bail!("{} ended: {}", self.name, self.tail()),
        }
    }

    /// Waits until `ready` holds.
    pub(crate) fn wait_until(&mut self, mut ready: impl FnMut() -> bool) -> anyhow::Result<()> {
        let mut left = START_TIMEOUT;
        while !ready() {
            if self.child.try_wait()?.is_some() {
                bail!("{} ended: {}", self.name, self.tail());
            }
            if left.is_zero() {
                bail!("{} did not start: {}", self.name, self.tail());
            }
            thread::sleep(PAUSE);
            left = left.saturating_sub(PAUSE);
        }
        Ok(())
    }

    /// Waits for it to end by itself within `limit`.
    pub(crate) fn wait(mut self, limit: Duration) -> anyhow::Result<()> {
        let mut left = limit;
        loop {
            match self.child.try_wait()? {
                Some(status) if status.success() => return Ok(()),
                Some(status) => bail!("{} ended with {status}: {}", self.name, self.tail()),
                None if left.is_zero() => bail!("{} did not end in {limit:?}", self.name),
                None => thread::sleep(PAUSE),
            }
            left = left.saturating_sub(PAUSE);
        }
    }

    /// Its name, and the end of what it said on stderr.
    pub(crate) fn last_words(&self) -> String {
        format!("{}: {}", self.name, self.tail())
    }

    fn tail(&self) -> String {
        let text = std::fs::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<&str> = text.lines().collect();
        let from = lines.len().saturating_sub(TAIL_LINES);
        match &lines[from..] {
            [] => "it said nothing".to_owned(),
            lines => lines.join("\n  "),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // nginx's workers outlive a master that is killed, so it is asked first.
        succeeds(Command::new("sh").args(["-c", &format!("kill -TERM {}", self.pid())]));
        let mut left = STOP_TIMEOUT;
        while let Ok(None) = self.child.try_wait() {
            if left.is_zero() {
                // It may have ended meanwhile, which is as good.
                let _ = self.child.kill();
                let _ = self.child.wait();
                return;
            }
            thread::sleep(PAUSE);
            left = left.saturating_sub(PAUSE);
        }
    }
}

/// A command that the kernel ends when this process dies, where setpriv can arrange that.
pub(crate) fn bound(program: &Path) -> Command {
    if succeeds(Command::new("setpriv").args(["--pdeathsig", "TERM", "true"])) {
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "TERM"]).arg(program);
        command
    } else {
        Command::new(program)
    }
}

fn read_lines<T>(out: ChildStdout, wanted: fn(&str) -> Option<T>, found: &mpsc::Sender<T>) {
    let mut open = true;
    // Read to the end, so that the process never blocks on a full pipe.
    for line in BufReader::new(out).lines().map_while(Result::ok) {
        if open && let Some(value) = wanted(&line) {
            open = found.send(value).is_err();
        }
    }
}

/// A process that says nothing for this long will not start.
const START_TIMEOUT: Duration = Duration::from_secs(20);
/// A process that does not end within this is killed.
const STOP_TIMEOUT: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(20);
const TAIL_LINES: usize = 12;

#[cfg(test)]
mod tests {
    use super::*;

    fn sh(name: &str, script: &str) -> Running {
        let folder = std::env::temp_dir();
        let name = format!("entente-xtask-{name}-{}", std::process::id());
        let args = ["-c".to_owned(), script.to_owned()];
        Running::start(&name, Path::new("sh"), &args, &folder).unwrap()
    }

    fn port(line: &str) -> Option<u16> {
        line.strip_prefix("port ")?.parse().ok()
    }

    #[test]
    fn a_line_is_found_among_others() {
        let mut running = sh("line", "echo hello; echo port 12; exec sleep 60");
        assert_eq!(running.line(port).unwrap(), 12);
    }

    #[test]
    fn what_a_failed_process_said_is_told() {
        let mut running = sh("failed", "echo no such file >&2; exit 3");
        let error = running.line(port).unwrap_err();
        assert!(error.to_string().contains("no such file"), "{error}");
    }

    #[test]
    fn a_dropped_process_is_gone() {
        let running = sh("dropped", "exec sleep 60");
        let path = format!("/proc/{}", running.pid());
        assert!(Path::new(&path).exists());
        drop(running);
        assert!(!Path::new(&path).exists());
    }
}
