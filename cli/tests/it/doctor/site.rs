//! A copy of a site of the sandbox, to be broken; and a role that is run.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::time::SystemTime;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::run::entente;

/// Stops what `sandbox up` started, however the test ends.
pub(crate) struct Up(pub(crate) PathBuf);

impl Drop for Up {
    fn drop(&mut self) {
        entente(&self.0, &["sandbox", "down"]);
    }
}

/// `bad/<name>`: files of an agency, its configuration and its anchor, that nobody serves.
pub(crate) struct Site {
    dir: PathBuf,
    name: String,
    file: String,
}

/// A role's process, ended with the test.
pub(crate) struct Serving {
    process: Child,
    lines: Mutex<BufReader<std::process::ChildStdout>>,
}

// === impl Site ===

impl Site {
    pub(crate) fn of(dir: &Path, agency: &str, name: &str) -> Self {
        let site = Self {
            dir: dir.to_owned(),
            name: name.to_owned(),
            file: format!("bad/{name}/security-server.yaml"),
        };
        let from = dir.join("sandbox").join(agency);
        for folder in ["data", "keys"] {
            copy(&from.join(folder), &site.path().join(folder));
        }
        fs::copy(
            dir.join("sandbox/registry/anchor.yaml"),
            site.path().join("anchor.yaml"),
        )
        .unwrap();
        let yaml = fs::read_to_string(from.join("security-server.yaml")).unwrap();
        let yaml = yaml.replace("../registry/anchor.yaml", "./anchor.yaml");
        // So that it is not taken for the one that runs.
        let lines = yaml
            .lines()
            .map(|line| match line.trim_start().starts_with("listen: ") {
                true => "  listen: 127.0.0.1:0",
                false => line,
            });
        site.write(&lines.collect::<Vec<_>>().join("\n"));
        site
    }

    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.dir.join("bad").join(&self.name)
    }

    /// Its configuration, below the folder that commands run in.
    pub(crate) fn file(&self) -> &str {
        &self.file
    }

    pub(crate) fn yaml(&self) -> String {
        fs::read_to_string(self.dir.join(&self.file)).unwrap()
    }

    pub(crate) fn write(&self, yaml: &str) {
        fs::write(self.dir.join(&self.file), yaml).unwrap();
    }

    /// Writes another anchor in the place of the one there; returns what was there.
    pub(crate) fn anchor(&self, change: impl FnOnce(&str) -> String) -> String {
        let path = self.path().join("anchor.yaml");
        let anchor = fs::read_to_string(&path).unwrap();
        fs::write(&path, change(&anchor)).unwrap();
        anchor
    }
}

/// Copies a folder that is in use: of what vanishes meanwhile nothing is missed.
pub(crate) fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    fs::set_permissions(to, fs::metadata(from).unwrap().permissions()).unwrap();
    for item in fs::read_dir(from).unwrap().flatten() {
        let (kind, target) = (item.file_type().unwrap(), to.join(item.file_name()));
        if kind.is_dir() {
            copy(&item.path(), &target);
        } else if kind.is_file() {
            let _ = fs::copy(item.path(), target);
        }
    }
}

/// Every file below a folder, with its content and when it was written.
pub(crate) fn look(dir: &Path) -> Vec<(PathBuf, Vec<u8>, SystemTime)> {
    let mut found = Vec::new();
    for item in fs::read_dir(dir).unwrap().flatten() {
        if item.file_type().unwrap().is_dir() {
            found.extend(look(&item.path()));
        } else {
            let content = fs::read(item.path()).unwrap();
            found.push((
                item.path(),
                content,
                item.metadata().unwrap().modified().unwrap(),
            ));
        }
    }
    found.sort();
    found
}

pub(crate) fn flip(path: &Path, at: usize) {
    let mut bytes = fs::read(path).unwrap();
    bytes[at] ^= 1;
    fs::write(path, bytes).unwrap();
}

// === impl Serving ===

impl Serving {
    /// `entente serve` with these arguments.
    pub(crate) fn start(dir: &Path, args: &[&str]) -> Self {
        let mut process = Command::new(env!("CARGO_BIN_EXE_entente"))
            .arg("serve")
            .args(args)
            .current_dir(dir)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap());
        Self {
            process,
            lines: Mutex::new(lines),
        }
    }

    /// Reads what it logs up to this event.
    pub(crate) fn hears(&self, event: &str) {
        self.heard(event, "event");
    }

    /// Asks it to stop, and waits until it has.
    pub(crate) fn stop(mut self) {
        let process = Pid::from_raw(self.process.id().try_into().unwrap());
        kill(process, Signal::SIGTERM).unwrap();
        // Read to the end: it logs while it stops.
        let mut rest = String::new();
        self.lines
            .lock()
            .unwrap()
            .read_to_string(&mut rest)
            .unwrap();
        let ended = self.process.wait().unwrap();
        assert!(ended.success(), "{rest}");
    }

    /// Reads what it logs up to this event, and returns one of its fields.
    pub(crate) fn heard(&self, event: &str, field: &str) -> String {
        let mut lines = self.lines.lock().unwrap();
        let mut line = String::new();
        let mut said = String::new();
        while lines.read_line(&mut line).unwrap() > 0 {
            let logged: Value = serde_json::from_str(&line).unwrap();
            if logged["event"] == event {
                return logged[field].as_str().unwrap().to_owned();
            }
            said.push_str(&line);
            line.clear();
        }
        panic!("it ended before {event}: {said}");
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
