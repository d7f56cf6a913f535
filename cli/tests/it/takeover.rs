//! A registry's process is killed, and another goes on in its place.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::run::entente;

/// `entente serve registry`, ended with the test.
struct Serving(Child);

impl Serving {
    fn of(dir: &Path, config: &str) -> Self {
        let serving = Command::new(env!("CARGO_BIN_EXE_entente"))
            .args(["serve", "registry", "--config", config])
            .current_dir(dir)
            .stdout(Stdio::null())
            .spawn();
        Self(serving.unwrap())
    }

    fn end(mut self, signal: Signal) {
        let process = Pid::from_raw(self.0.id().try_into().unwrap());
        kill(process, signal).unwrap();
        self.0.wait().unwrap();
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn until(what: &str, holds: impl Fn() -> bool) {
    let held = (0..600).any(|_| {
        holds() || {
            std::thread::park_timeout(Duration::from_millis(50));
            false
        }
    });
    assert!(held, "{what}");
}

/// Two servers of one registry, each at a socket of its own and with the same keys.
fn configure(dir: &Path) {
    let at = |name: &str| format!("unix:{}", dir.join(name).display());
    let (first, second) = (at("first.sock"), at("second.sock"));
    let common = format!(
        "jurisdiction: ca-demo\nkeys: ./keys\nanchor: ./anchor.yaml\n\
         addresses: [\"{first}\", \"{second}\"]\n"
    );
    let yaml = format!("{common}listen: {first}\ndata: ./first\n");
    fs::write(dir.join("registry.yaml"), yaml).unwrap();
    let yaml = format!("{common}listen: {second}\ndata: ./second\nstandby_of: ./anchor.yaml\n");
    fs::write(dir.join("standby.yaml"), yaml).unwrap();
}

#[test]
fn a_standby_takes_over_from_a_registry_that_was_killed_and_a_backup_is_restored() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    configure(dir);
    let run = |args: &[&str]| entente(dir, &[&["registry"], args, &["-o", "json"]].concat());
    assert_eq!(run(&["init", "--config", "registry.yaml"]).code, 0);
    let first = Serving::of(dir, "registry.yaml");
    let standby = Serving::of(dir, "standby.yaml");
    let copied = run(&["backup", "--to", "backup"]);
    assert_eq!(copied.code, 0, "{copied:?}");
    assert_eq!(copied.json()["size"], 1);
    let held = dir.join("second/standby/checkpoint");
    until("the standby to have it", || held.exists());

    // Neither over a copy that is being written, nor over a registry that runs.
    let take = ["takeover", "--config", "standby.yaml"];
    let refused = run(&take);
    assert!(refused.code != 0, "{refused:?}");
    standby.end(Signal::SIGTERM);
    let fence = [&take[..], &["--fence", "first"]].concat();
    let refused = entente(dir, &[&["registry"], &fence[..]].concat());
    assert!(
        refused.err.contains("stop the registry before"),
        "{refused:?}"
    );
    first.end(Signal::SIGKILL);
    let unknown = run(&take).json();
    assert_eq!(
        unknown["error"]["reason"], "REGISTRY_UNWITNESSED",
        "{unknown}"
    );
    let taken = run(&fence);
    assert_eq!(taken.code, 0, "{taken:?}");
    let taken = taken.json();
    assert!(taken["size"] == 2 && taken["recovered"] == 0, "{taken}");

    let second = Serving::of(dir, "standby.yaml");
    let shown = || run(&["show"]).json();
    until("it to answer", || shown()["connected"] == true);
    assert_eq!(shown()["size"], 2);
    let mut again = Serving::of(dir, "registry.yaml");
    assert!(!again.0.wait().unwrap().success(), "the old one is fenced");

    // The same from a backup, which is brought up to date first.
    assert_eq!(run(&["backup", "--to", "backup"]).json()["size"], 2);
    second.end(Signal::SIGKILL);
    fs::remove_dir_all(dir.join("first")).unwrap();
    let restore = ["restore", "--from", "backup", "--fence", "second"];
    let restored = entente(
        dir,
        &[&["registry"], &restore[..], &["--lang", "fr"]].concat(),
    );
    assert!(restored.out.contains("Reprise faite : 3"), "{restored:?}");
    let _third = Serving::of(dir, "registry.yaml");
    until("it to answer", || shown()["connected"] == true);
    assert_eq!(shown()["size"], 3);
}
