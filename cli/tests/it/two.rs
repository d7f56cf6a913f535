//! Two provinces, each with a registry of its own, from nothing to an answer across and what stops it.

use std::cell::Cell;
use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::time::Duration;

use entente_clock::{Clock as _, SystemClock};
use serde_json::Value;

use crate::doctor::site::Serving;
use crate::run::{Ran, entente};

/// What the operators of one jurisdiction do.
struct Side {
    dir: PathBuf,
    code: &'static str,
    /// How many commands it took them.
    commands: Cell<usize>,
}

impl Side {
    fn of(dir: &Path, code: &'static str) -> Self {
        let side = Self {
            dir: dir.join(code),
            code,
            commands: Cell::new(0),
        };
        for folder in ["registry", "agency/adapter"] {
            fs::create_dir_all(side.dir.join(folder)).unwrap();
        }
        side
    }

    fn folder(&self, of: &str) -> PathBuf {
        self.dir.join(of)
    }

    fn count(&self) {
        self.commands.set(self.commands.get() + 1);
    }

    /// A command, in the folder of the registry or of the agency.
    #[track_caller]
    fn run(&self, folder: &str, args: &[&str]) -> Ran {
        self.count();
        entente(&self.folder(folder), args)
    }

    /// One that does what it says.
    #[track_caller]
    fn does(&self, folder: &str, args: &[&str]) -> Value {
        let ran = self.run(folder, &[args, &["-o", "json"]].concat());
        assert_eq!(ran.code, 0, "{args:?}: {ran:?}");
        ran.json()
    }

    fn serve(&self, folder: &str, args: &[&str], event: &str) -> Serving {
        self.count();
        let serving = Serving::start(&self.folder(folder), args);
        serving.hears(event);
        serving
    }

    /// A registry that serves; the hash of its first change.
    fn registry(&self) -> (Serving, String) {
        let listen = address();
        let init = [
            "registry",
            "init",
            "--jurisdiction",
            self.code,
            "--listen",
            &listen,
        ];
        let made = self.does("registry", &init);
        let serving = ["registry", "--config", "registry.yaml"];
        let serving = self.serve("registry", &serving, "registry.started");
        (serving, made["genesis"].as_str().unwrap().to_owned())
    }

    /// An agency with a server that serves.
    fn agency(&self, member: &str, more: &[&str]) -> Serving {
        let name = format!("{}/{member}", self.code);
        let (listen, admin) = (address(), address());
        let ports = ["--listen", &listen, "--admin", &admin];
        let anchor = ["--anchor", "../registry/anchor.yaml"];
        let join = ["join", "--member", &name, "--wait", "1s"];
        let join = [&join[..], &anchor, &ports, more].concat();
        // A registrar is a person: until they have heard the fingerprint, there is no member.
        let waiting = self.run("agency", &join);
        assert_eq!(waiting.code, 7, "{waiting:?}");
        let is_fingerprint = |line: &&str| line.len() > 64 && line.starts_with("  ");
        let fingerprint = waiting.err.lines().find(is_fingerprint).unwrap().trim();
        let heard = ["member", "approve", &name, "--fingerprint", fingerprint];
        self.does("registry", &heard);
        let joined = self.does("agency", &["join"]);
        assert!(joined["changed"] == true, "{joined}");
        let serve = ["security-server", "--config", "security-server.yaml"];
        self.serve("agency", &serve, "server.listening")
    }

    fn trust(&self, other: &Self, genesis: &str) {
        let anchor = other.folder("registry/anchor.yaml");
        let anchor = anchor.to_str().unwrap();
        let trust = ["trust", "add", anchor, "--fingerprint", genesis];
        let added = self.does("registry", &trust);
        assert!(added["changed"] == true, "{added}");
    }

    fn sign(&self, agreement: &str) -> Value {
        fs::write(self.folder("agency/agreement.yaml"), agreement).unwrap();
        self.does("agency", &["agreement", "sign", "agreement.yaml"])
    }
}

pub(crate) fn address() -> String {
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    free.local_addr().unwrap().to_string()
}

/// The sandbox's agreement, between these two.
fn agreement(contract: &str) -> String {
    let now = SystemClock.now();
    let last = now.saturating_add(Duration::from_secs(365 * 24 * 3_600));
    include_str!("../../../crates/sandbox/src/files/agreement.yaml")
        .replace("@version", "1")
        .replace("@supersedes\n", "")
        .replace("@descriptor_set", contract)
        .replace("@not_before", &now.day().to_string())
        .replace("@not_after", &last.day().to_string())
        .replace("ca-demo/vital-events", "ca-demo-on/vital-events")
        .replace("ca-demo/pensions", "ca-demo-qc/pensions")
}

const CALL: [&str; 7] = [
    "call",
    "ca-demo-on/vital-events/registry",
    "entente.demo.vitalevents.v1.VitalEvents/LookupDeath",
    "-d",
    r#"{"person_number": "046454286"}"#,
    "--purpose",
    "PROGRAM_ADMINISTRATION",
];

/// Calls until what a registrar did has come to the servers; says how the last call ended.
#[track_caller]
fn until(side: &Side, reason: Option<&str>) -> Value {
    let mut last = None;
    for _ in 0..150 {
        let ran = entente(
            &side.folder("agency"),
            &[&CALL[..], &["-o", "json"]].concat(),
        );
        let json = ran.json();
        let refused = json["error"]["reason"].as_str().map(str::to_owned);
        if refused.as_deref() == reason && (ran.code == 0) == reason.is_none() {
            return json;
        }
        last = Some(ran);
        std::thread::park_timeout(Duration::from_millis(100));
    }
    panic!("never {reason:?}: {last:?}");
}

#[test]
fn two_jurisdictions_come_from_nothing_to_an_answer_in_twelve_commands_a_side() {
    let dir = tempfile::tempdir().unwrap();
    let (on, qc) = (
        Side::of(dir.path(), "ca-demo-on"),
        Side::of(dir.path(), "ca-demo-qc"),
    );
    // What the agency had before: an old database, and the file that puts it behind the exchange.
    let legacy = on.folder("agency/adapter");
    entente_adapter_sql::samples::vital_events(&legacy).unwrap();

    let (registry_on, genesis_on) = on.registry();
    let (registry_qc, genesis_qc) = qc.registry();
    let serves = ["--system", "registry", "--serves", "./adapter/adapter.sock"];
    let _provider = on.agency("vital-events", &serves);
    let _consumer = qc.agency("pensions", &["--system", "benefits"]);
    let adapter = ["adapter", "--config", "adapter/vital-events.adapter.yaml"];
    let _adapter = on.serve("agency", &adapter, "adapter.listening");
    let published = on.does(
        "agency",
        &[
            "service",
            "publish",
            "entente.demo.vitalevents.v1.VitalEvents",
            "adapter/vital-events.binpb",
            "--system",
            "ca-demo-on/vital-events/registry",
        ],
    );
    on.trust(&qc, &genesis_qc);
    qc.trust(&on, &genesis_on);
    let agreement = agreement(published["descriptor_set"].as_str().unwrap());
    let signed = on.sign(&agreement);
    assert_eq!(signed["missing"][0], "ca-demo-qc/pensions", "{signed}");
    let signed = qc.sign(&agreement);
    assert_eq!(signed["missing"].as_array().unwrap().len(), 0, "{signed}");
    assert_eq!(signed["state"], "ACTIVE", "{signed}");
    qc.count();
    let answered = until(&qc, None);
    assert_eq!(answered["answer"]["registered"], true, "{answered}");
    println!("commands: {} and {}", on.commands.get(), qc.commands.get());
    assert!(on.commands.get() <= 12 && qc.commands.get() <= 12);

    // Either registrar can stop it, and nobody else's registry is asked.
    for (side, other) in [(&on, "ca-demo-qc"), (&qc, "ca-demo-on")] {
        let suspend = ["trust", "suspend", other, "--reason", "SAFEGUARD_BREACH"];
        assert!(side.does("registry", &suspend)["changed"] == true);
        assert!(side.does("registry", &suspend)["changed"] == false);
        until(&qc, Some("JURISDICTION_NOT_RECOGNISED"));
        let listed = side.does("registry", &["trust", "list"]);
        assert_eq!(listed["items"][0]["standing"], "suspended", "{listed}");
        assert!(side.does("registry", &["trust", "resume", other])["changed"] == true);
        until(&qc, None);
    }
    // So can either party, in its own registry.
    let halt = ["agreement", "suspend", "DEMO-001"];
    on.does("agency", &halt);
    until(&qc, Some("AGREEMENT_SUSPENDED"));
    let shown = qc.does("agency", &["agreement", "show", "DEMO-001"]);
    assert_eq!(shown["state"], "SUSPENDED", "{shown}");
    on.does("agency", &["agreement", "resume", "DEMO-001"]);
    until(&qc, None);

    // Without either registry, servers go on by what they verified.
    registry_on.stop();
    registry_qc.stop();
    until(&qc, None);
}

#[test]
fn a_registry_is_recognised_only_by_the_fingerprint_that_was_heard() {
    let dir = tempfile::tempdir().unwrap();
    let (on, qc) = (
        Side::of(dir.path(), "ca-demo-on"),
        Side::of(dir.path(), "ca-demo-qc"),
    );
    let (_registry, genesis_on) = on.registry();
    let (_other, genesis_qc) = qc.registry();
    let anchor = qc.folder("registry/anchor.yaml");
    let anchor = anchor.to_str().unwrap();
    let add = ["trust", "add", anchor];
    let unheard = on.run("registry", &add);
    assert_eq!(unheard.code, 7, "{unheard:?}");
    let other = on.run(
        "registry",
        &[&add[..], &["--fingerprint", &genesis_on]].concat(),
    );
    assert_eq!(other.code, 3, "{other:?}");
    assert!(other.err.contains("nothing was recognised"), "{other:?}");
    let none = on.run("registry", &["trust", "list", "--lang", "fr"]);
    assert!(none.err.contains("jamais été reconnue"), "{none:?}");
    let missing = on.run("registry", &["trust", "suspend", "ca-demo-qc"]);
    assert_eq!(missing.code, 4, "{missing:?}");
    assert!(missing.err.contains("entente trust add"), "{missing:?}");

    let heard = ["--fingerprint", &genesis_qc, "--class", "ministry"];
    let added = on.does("registry", &[&add[..], &heard].concat());
    assert_eq!(added["limits"][0], "ministry", "{added}");
    let again = on.does("registry", &[&add[..], &heard].concat());
    assert!(again["changed"] == false, "{again}");
    let ended = on.does("registry", &["trust", "revoke", "ca-demo-qc"]);
    assert!(ended["changed"] == true, "{ended}");
    let back = on.run("registry", &["trust", "resume", "ca-demo-qc"]);
    assert_eq!(back.code, 4, "what ended is recognised anew: {back:?}");
    assert_eq!(
        on.does("registry", &[&add[..], &heard].concat())["changed"],
        true
    );
}

#[test]
fn whoever_joins_says_who_they_are_and_where() {
    let dir = tempfile::tempdir().unwrap();
    let on = Side::of(dir.path(), "ca-demo-on");
    let nobody = on.run("agency", &["join"]);
    assert_eq!(nobody.code, 2, "{nobody:?}");
    assert!(nobody.err.contains("--member"), "{nobody:?}");
    let (_registry, _) = on.registry();
    let anchor = ["--anchor", "../registry/anchor.yaml"];
    for (member, system, says) in [
        (
            "ca-demo-qc/pensions",
            "main",
            "not a name that the registry",
        ),
        ("ca-demo-on/pensions", "Main", "no name of a system"),
    ] {
        let join = ["join", "--member", member, "--system", system];
        let ran = on.run("agency", &[&join[..], &anchor].concat());
        assert_eq!(ran.code, 2, "{ran:?}");
        assert!(ran.err.contains(says), "{ran:?}");
        assert!(!on.folder("agency/member.yaml").exists());
    }
}
