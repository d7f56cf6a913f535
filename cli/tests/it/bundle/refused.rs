//! Exchanges that came to nothing: refused, answered in vain, and not answered at all.

use std::cell::RefCell;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use entente_evidence::proof::{SignedStatement, sign_direct};
use entente_ledger::Reader;
use entente_ledger::disk::RealDisk;
use entente_ledger::entry::{Body, Denied, DeniedCall, Entry, In, Outcome, OutcomeKind};
use entente_signing::{Digest, Ed25519Key};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use super::{
    BUNDLE, CONFIG, KEYS, PEER, SITE, counts, demo, run_instructions, said, unpack, verify,
};
use crate::rebuilt::{append, ledger_key, ledger_of, rebuild};
use crate::run::{Ran, entente};

/// Asks as the demo does, in a sandbox whose consumer is up.
fn call(dir: &Path) -> Ran {
    let args = [
        "call",
        "ca-demo/vital-events/registry",
        "entente.demo.vitalevents.v1.VitalEvents/LookupDeath",
        "-d",
        r#"{"person_number": "046454286"}"#,
        "--purpose",
        "PROGRAM_ADMINISTRATION",
        "--config",
        "sandbox/pensions/member.yaml",
    ];
    entente(dir, &args)
}

/// Lets a site believe that a peer's ledger has forked: it then refuses what comes from there.
fn suspects(dir: &Path, site: &str, peer: &str) {
    let incidents = dir.join(site).join("data/incidents");
    fs::create_dir_all(&incidents).unwrap();
    let fork = format!("fork.ca-demo!{peer}!@ss1.{}", Digest::of(b"seen"));
    fs::write(incidents.join(fork), "two notes").unwrap();
}

/// The entry of a kind that a site logged last.
fn last(dir: &Path, site: &str, kind: &str) -> Value {
    let show = ["log", "show", site, "--kind", kind, "-o", "ndjson"];
    entente(dir, &show).lines().pop().unwrap()
}

/// A call while the whole sandbox is up; nothing is, afterwards.
fn call_in_vain(dir: &Path) -> Ran {
    let up = entente(dir, &["sandbox", "up"]);
    assert_eq!(up.code, 0, "{up:?}");
    let called = call(dir);
    let down = entente(dir, &["sandbox", "down"]);
    assert_eq!(down.code, 0, "{down:?}");
    called
}

/// What our verifier says of the bundle of an exchange, and that openssl says the same. `commands` are among
/// those it ran.
fn court(dir: &Path, ledger: &str, id: &str, more: &[&str], commands: &[&str]) -> Value {
    let _ = fs::remove_file(dir.join(BUNDLE));
    let export = ["log", "export", id, "--ledger", ledger, "--out", BUNDLE];
    let sealed = ["--seal-key", KEYS];
    let made = entente(dir, &[&export[..], &sealed, &CONFIG, more].concat());
    assert_eq!(made.code, 0, "{made:?}");
    let verified = verify(dir, &CONFIG);
    assert_eq!(verified.code, 0, "{verified:?}");
    let folder = dir.join("unpacked");
    let _ = fs::remove_dir_all(&folder);
    unpack(&dir.join(BUNDLE), &folder);
    let (failed, _) = run_instructions(&folder, usize::MAX);
    assert!(failed.is_empty(), "{failed:#?}");
    let text = fs::read_to_string(folder.join("ev/VERIFY.txt")).unwrap();
    for command in commands {
        assert!(text.contains(command), "{command}: {text}");
    }
    verified.lines().remove(0)
}

/// The kinds of entries that are proven to be in the ledgers, sessions not counted, in order.
fn logged(value: &Value) -> Vec<&str> {
    let proven = value["proven"].as_array().unwrap().iter();
    let logged = proven.filter(|item| item["what"] == "logged");
    let kinds = logged.map(|item| item["kind"].as_str().unwrap());
    kinds.filter(|kind| *kind != "SESSION").collect()
}

#[test]
fn a_refused_call_is_evidence_of_who_refused_it_and_why() {
    let (dir, _) = demo();
    let dir = dir.path();
    suspects(dir, PEER, "pensions");
    let refused = call_in_vain(dir);
    assert!(refused.err.contains("LOG_FORKED"), "{refused:?}");
    let denied = last(dir, PEER, "DENIED");
    let id = denied["transaction"].as_str().unwrap();

    let value = court(
        dir,
        SITE,
        id,
        &["--peer-ledger", PEER],
        &["printf %s LOG_FORKED | at"],
    );
    assert_eq!(logged(&value), ["OUT", "IN", "DENIED"], "{value}");
    // The fault promises the refusal, and so is not logged beside it.
    assert_eq!(said(&value, "proven")["promised"], 1);
    let gaps = counts(&[("in-force", 1), ("time", 2), ("witnesses", 2)]);
    assert_eq!(said(&value, "not_proven"), gaps, "{value}");
    let signed = value["proven"].as_array().unwrap().iter();
    let kinds = signed.filter(|item| item["what"] == "signed");
    let kinds: Vec<_> = kinds.map(|item| item["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["request", "fault"]);
    // From the provider's ledger alone the refusal is shown as well.
    let alone = ["log", "export", id, "--ledger", PEER, "--seal-key"];
    let sealed = ["sandbox/vital-events/member-keys", "--out", "theirs.asice"];
    let made = entente(dir, &[&alone[..], &sealed].concat());
    assert_eq!(made.code, 0, "{made:?}");
}

/// A server's process, ended with the test.
struct Served(Child);

impl Served {
    fn start(dir: &Path, config: &str) -> Self {
        let process = Command::new(env!("CARGO_BIN_EXE_entente"))
            .args(["serve", "security-server", "--config", config])
            .current_dir(dir)
            .stdout(Stdio::piped())
            .spawn();
        let mut served = Self(process.unwrap());
        let mut lines = BufReader::new(served.0.stdout.take().unwrap()).lines();
        let ready = lines.find(|line| line.as_ref().unwrap().contains("server.listening"));
        assert!(ready.is_some());
        // It goes on logging, to whoever reads.
        std::thread::spawn(move || lines.for_each(drop));
        served
    }

    /// Lets it write what it owes, and waits for that.
    fn stop(mut self) {
        kill(
            Pid::from_raw(self.0.id().try_into().unwrap()),
            Signal::SIGTERM,
        )
        .unwrap();
        assert!(self.0.wait().unwrap().success());
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_request_without_an_answer_is_evidence_that_none_came() {
    let (dir, _) = demo();
    let dir = dir.path();
    let served = Served::start(dir, "sandbox/pensions/security-server.yaml");
    let silent = call(dir);
    assert_eq!(silent.code, 5, "{silent:?}");
    served.stop();
    let out = last(dir, SITE, "OUT");
    let id = out["transaction"].as_str().unwrap();

    let hash = "$ h < ev/request.statement | at";
    let value = court(dir, SITE, id, &[], &[hash]);
    assert_eq!(logged(&value), ["OUT", "OUTCOME"], "{value}");
    let gaps = counts(&[
        ("answer", 1),
        ("in-force", 1),
        ("ledger", 1),
        ("time", 1),
        ("witnesses", 1),
    ]);
    assert_eq!(said(&value, "not_proven"), gaps, "{value}");
    let outcome = last(dir, SITE, "OUTCOME");
    let time = value["not_proven"].as_array().unwrap().iter();
    let time = time.clone().find(|item| item["what"] == "time").unwrap();
    assert_eq!(time["entries"][1], outcome["index"], "{value}");
}

/// The consumer's ledger as it is when its server did not use the answer of an exchange.
async fn unused(dir: &Path, id: &str) {
    let from = ledger_of(&dir.join(SITE));
    let to = dir.join("copy/data/ledger").join(from.file_name().unwrap());
    let key = ledger_key(&dir.join(SITE));
    let refused = |body: In| {
        let signed = SignedStatement::parse(body.statement.clone()).unwrap();
        let is_its = signed.statement().message_id.to_string() == id;
        let denied = Denied {
            reason: "LOG_FORKED".to_owned(),
            peer: Some(signed.statement().sender_server.clone()),
            call: DeniedCall::Statement(body.statement.clone()),
            sidecar: None,
            view: body.view,
            tags: Vec::new(),
        };
        let request = *signed.statement().request_hash().unwrap();
        is_its.then_some((denied, request))
    };
    let found = RefCell::new(None);
    rebuild(&from, &to, Arc::clone(&key), |_, bytes| {
        let Entry { at, body } = Entry::decode(&bytes).unwrap();
        let Body::In(body) = body else {
            return Some(bytes);
        };
        let Some((denied, request)) = refused(body) else {
            return Some(bytes);
        };
        let kind = OutcomeKind::InvalidAnswer;
        let body = Body::Outcome(Outcome { request, kind });
        *found.borrow_mut() = Some(Entry { at, body });
        let body = Body::Denied(denied);
        Some(Entry { at, body }.encode().unwrap())
    })
    .await;
    let outcome = found.take().unwrap().encode().unwrap();
    let reader = Reader::open(Arc::new(RealDisk), &from).unwrap();
    append(&to, reader.origin().unwrap(), key, vec![outcome]).await;
}

#[tokio::test]
async fn an_answer_that_was_not_used_is_evidence_all_the_same() {
    let (dir, id) = demo();
    let dir = dir.path();
    unused(dir, &id).await;
    let reason = "printf %s LOG_FORKED | at";
    let value = court(dir, "copy", &id, &[], &[reason]);
    assert_eq!(logged(&value), ["OUT", "DENIED", "OUTCOME"], "{value}");
    let gaps = said(&value, "not_proven");
    for gap in ["answer", "not-logged"] {
        assert!(!gaps.contains_key(gap), "{value}");
    }
    let both = court(dir, "copy", &id, &["--peer-ledger", PEER], &[reason]);
    assert_eq!(logged(&both), ["OUT", "DENIED", "OUTCOME", "IN", "OUT"]);
    assert_eq!(said(&both, "proven")["promised"], 1);
}

/// Refused calls are logged before their id is known to be new, and who calls chooses it.
#[tokio::test]
async fn a_refused_call_under_the_id_of_another_does_not_stand_in_its_place() {
    let (dir, id) = demo();
    let dir = dir.path();
    let from = ledger_of(&dir.join(PEER));
    let mut reader = Reader::open(Arc::new(RealDisk), &from).unwrap();
    let entries: Vec<_> = reader.entries(0).map(|entry| entry.unwrap().1).collect();
    let requests = entries
        .iter()
        .filter_map(|bytes| match Entry::decode(bytes).unwrap().body {
            Body::In(body) => SignedStatement::parse(body.statement).ok(),
            _ => None,
        });
    let mut requests = requests.filter(|signed| signed.statement().message_id.to_string() == id);
    let true_one = requests.next().unwrap();
    let mut says = true_one.statement().clone();
    says.purpose = "AUDIT".parse().unwrap();
    let forged = sign_direct(&Ed25519Key::generate().unwrap(), says).unwrap();
    let denied = |at| Entry {
        at,
        body: Body::Denied(Denied {
            reason: "SEAL_INVALID".to_owned(),
            peer: None,
            call: DeniedCall::Statement(forged.bytes().clone()),
            sidecar: None,
            view: None,
            tags: Vec::new(),
        }),
    };
    let copy = dir.join("copy/data/ledger").join(from.file_name().unwrap());
    rebuild(&from, &copy, ledger_key(&dir.join(PEER)), |index, bytes| {
        let at = Entry::decode(&bytes).unwrap().at;
        Some(match index {
            0 => denied(at).encode().unwrap(),
            _ => bytes,
        })
    })
    .await;
    let export = ["log", "export", &id, "--ledger", "copy", "--out", BUNDLE];
    let made = entente(dir, &[&export[..], &["--seal-key", KEYS], &CONFIG].concat());
    assert_eq!(made.code, 0, "{made:?}");
    let folder = dir.join("unpacked");
    unpack(&dir.join(BUNDLE), &folder);
    let request = fs::read(folder.join("ev/request.cose")).unwrap();
    assert_eq!(request, true_one.bytes()[..]);
    let verified = verify(dir, &CONFIG);
    assert_eq!(verified.code, 0, "{verified:?}");
}
