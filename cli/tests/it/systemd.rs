//! The unit for systemd, and what a role tells it.

use std::fs;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

const PROGRAM: &str = env!("CARGO_BIN_EXE_entente");

/// The unit, with the program that was built in the place of the installed one.
fn unit() -> String {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../packaging/systemd/entente@.service");
    let text = fs::read_to_string(file).unwrap();
    assert!(text.contains("=/usr/bin/entente serve %i "));
    text.replace("/usr/bin/entente", PROGRAM)
}

fn analyze(dir: &Path, text: &str, args: &[&str]) -> Output {
    let file = dir.join("entente@registry.service");
    fs::write(&file, text).unwrap();
    let mut command = Command::new("systemd-analyze");
    command.arg("--no-pager").args(args).arg(&file);
    command.output().unwrap()
}

#[test]
fn the_unit_says_nothing_that_systemd_does_not_know() {
    let dir = tempfile::tempdir().unwrap();
    let verify = |text: &str| {
        let read = analyze(dir.path(), text, &["verify", "--man=no"]);
        let said = String::from_utf8(read.stderr).unwrap();
        let mut of_unit = said.lines().filter(|line| line.contains("entente@"));
        (read.status.success(), of_unit.next().map(str::to_owned))
    };
    assert_eq!(verify(&unit()), (true, None));
    let unknown = unit().replace("ProtectHome=", "ProtectHouse=");
    let (_, said) = verify(&unknown);
    assert!(said.as_ref().unwrap().contains("ProtectHouse"), "{said:?}");
}

#[test]
fn the_unit_leaves_a_role_little_to_do_harm_with() {
    let dir = tempfile::tempdir().unwrap();
    // Tenths of systemd's scale of exposure, where 10 is a unit without any of it.
    let within = |text: &str| {
        let args = ["security", "--offline=true", "--threshold=20"];
        let judged = analyze(dir.path(), text, &args);
        (judged.status.success(), judged)
    };
    let (small, judged) = within(&unit());
    assert!(small, "{judged:?}");
    let open = unit().replace("ProtectSystem=strict\n", "");
    let open = open.replace("SystemCallFilter=", "#SystemCallFilter=");
    let (small, judged) = within(&open);
    assert!(!small, "{judged:?}");
}

#[test]
fn the_account_of_the_unit_is_one_that_systemd_can_make() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../packaging/systemd");
    let file = folder.canonicalize().unwrap().join("entente.conf");
    let made = Command::new("systemd-sysusers")
        .arg("--dry-run")
        .arg(&file)
        .output();
    let made = made.unwrap();
    assert!(made.status.success(), "{made:?}");
    let account = fs::read_to_string(&file).unwrap();
    assert!(account.contains("\nu entente ") && unit().contains("\nUser=entente\n"));
}

/// A witness's process, ended with the test.
struct Witness(Child);

impl Drop for Witness {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_role_tells_systemd_that_it_is_ready_alive_and_stopping() {
    let dir = tempfile::tempdir().unwrap();
    let manager = UnixDatagram::bind(dir.path().join("notify")).unwrap();
    manager
        .set_read_timeout(Some(Duration::from_secs(60)))
        .unwrap();
    let heard = |wanted: &str| {
        let mut told = [0; 64];
        while let Ok(length) = manager.recv(&mut told) {
            let told = std::str::from_utf8(&told[..length]).unwrap();
            let mut known = ["READY=1\n", "WATCHDOG=1\n", "STOPPING=1\n"].into_iter();
            assert!(known.any(|known| known == told), "{told:?}");
            if told.trim_end() == wanted {
                return;
            }
        }
        panic!("not told {wanted} within a minute");
    };
    let yaml = "name: witness.commissioner.example\nlisten: 127.0.0.1:0\ndata: ./data\n\
                keys: ./keys\nanchors: [./anchor.yaml]\n";
    fs::write(dir.path().join("witness.yaml"), yaml).unwrap();
    fs::write(dir.path().join("anchor.yaml"), anchor()).unwrap();
    let process = Command::new(PROGRAM)
        .args(["serve", "witness", "--config", "witness.yaml"])
        .current_dir(dir.path())
        .env("NOTIFY_SOCKET", dir.path().join("notify"))
        .env("WATCHDOG_USEC", "300000")
        .stdout(Stdio::null())
        .spawn();
    let mut witness = Witness(process.unwrap());
    heard("READY=1");
    heard("WATCHDOG=1");
    heard("WATCHDOG=1");
    let process = Pid::from_raw(witness.0.id().try_into().unwrap());
    kill(process, Signal::SIGTERM).unwrap();
    heard("STOPPING=1");
    assert!(witness.0.wait().unwrap().success());
}

/// Of a registry that nobody runs.
fn anchor() -> String {
    let key = entente_signing::Ed25519Key::from_seed(&[1; 32]).unwrap();
    let ledger = entente_signing::Signer::verifying_key(&key).clone();
    let anchor = entente_follow::Anchor {
        jurisdiction: "ca-demo".parse().unwrap(),
        addresses: vec!["127.0.0.1:1".parse().unwrap()],
        mirrors: Vec::new(),
        tls_keys: [entente_signing::Digest::of(b"a key")].into(),
        ledger: entente_ledger::note::NoteKey::new("registry.ca-demo/changes", ledger).unwrap(),
        genesis: entente_signing::Digest::of(b"genesis"),
        floors: entente_follow::Floors {
            validity: Duration::from_secs(3600),
            witness_quorum: 0,
        },
        witnesses: entente_ledger::witness::WitnessPolicy::default(),
    };
    anchor.to_string()
}
