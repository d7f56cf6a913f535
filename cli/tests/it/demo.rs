//! The demo, and everything it says can be done by hand afterwards.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;

use crate::run::{Ran, entente};
use crate::{bundle, omission, witnesses};

const TARGET: &str = "ca-demo/vital-events/registry";
const METHOD: &str = "entente.demo.vitalevents.v1.VitalEvents/LookupDeath";
const DATA: &str = r#"{"person_number": "046454286"}"#;

/// Stops what `sandbox up` started, however the test ends.
struct Up(PathBuf);

impl Drop for Up {
    fn drop(&mut self) {
        entente(&self.0, &["sandbox", "down"]);
    }
}

fn call(dir: &Path, rest: &[&str]) -> Ran {
    let mut args = vec!["call", TARGET, METHOD, "-d", DATA];
    args.extend(rest);
    entente(dir, &args)
}

#[test]
fn the_demo_runs_and_all_of_it_can_be_done_again_by_hand() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let demo = entente(dir, &["demo", "-o", "ndjson", "--lang", "fr"]);
    assert_eq!(demo.code, 0, "{demo:?}");
    let lines = demo.lines();
    assert!(lines.iter().all(|line| line["schema"] == "entente.cli/v1"));
    let kinds = |kind: &str| lines.iter().filter(|line| line["kind"] == kind).count();
    assert_eq!(kinds("demo.section"), 12);
    assert!(kinds("sandbox.step") >= 15 && kinds("demo.command") >= 15);
    tells_of_the_province(
        &lines,
        [
            "8  Une province qui a son propre",
            "9  Une question d’une administration à l’autre, et une reconnaissance suspendue",
        ],
        "L’administration de l’autre partie n’est pas reconnue ici",
        "la même question reçoit de nouveau réponse",
    );

    // What it left is whole, but for the copy it altered.
    let sound = [
        "log",
        "verify",
        "sandbox/pensions",
        "sandbox/vital-events",
        "sandbox/registry",
        "sandbox/qc/health",
        "sandbox/qc/registry",
    ];
    let verified = entente(dir, &sound);
    assert_eq!(verified.code, 0, "{verified:?}");
    let member = "sandbox/pensions/member.yaml";
    let altered = [
        "log",
        "verify",
        "sandbox/altered-copy",
        "--config",
        member,
        "-o",
        "json",
    ];
    let ran = entente(dir, &altered);
    assert_eq!(ran.code, 6, "{ran:?}");
    assert_eq!(ran.lines()[0]["findings"][0]["fault"], "differs");
    let keyless = entente(dir, &["log", "verify", "sandbox/altered-copy"]);
    assert_eq!(
        keyless.code, 2,
        "a folder is not believed about its own key: {keyless:?}"
    );

    let up = entente(dir, &["sandbox", "up"]);
    let _up = Up(dir.to_owned());
    assert_eq!(up.code, 0, "{up:?}");
    let demo = entente(dir, &["demo"]);
    assert_eq!(demo.code, 3, "what runs is not replaced: {demo:?}");

    let answered = call(dir, &["--purpose", "PROGRAM_ADMINISTRATION", "-o", "json"]);
    assert_eq!(answered.code, 0, "{answered:?}");
    let json = answered.json();
    assert_eq!(json["answer"]["dateOfDeath"], "2026-03-14");
    let transaction = json["transaction"].as_str().unwrap();
    for side in ["sandbox/pensions", "sandbox/vital-events"] {
        let shown = [
            "log",
            "show",
            side,
            "--transaction",
            transaction,
            "-o",
            "ndjson",
        ];
        let entries = entente(dir, &shown).lines();
        let kinds: Vec<&str> = entries.iter().filter_map(|e| e["entry"].as_str()).collect();
        assert_eq!(kinds.len(), 2, "{entries:?}");
        assert!(
            entries
                .iter()
                .all(|e| e["purpose"] == "PROGRAM_ADMINISTRATION")
        );
    }

    let refused = call(dir, &["--purpose", "RESEARCH"]);
    assert_eq!((refused.code, refused.out.as_str()), (3, ""));
    assert!(refused.err.contains("PURPOSE_NOT_AGREED"), "{refused:?}");
    assert!(
        refused.err.contains("PROGRAM_ADMINISTRATION"),
        "says what is: {refused:?}"
    );
    let machine = call(dir, &["--purpose", "RESEARCH", "-o", "json"]).json();
    assert_eq!(machine["error"]["reason"], "PURPOSE_NOT_AGREED");
    let unheld = [
        "--purpose",
        "PROGRAM_ADMINISTRATION",
        "--elements",
        "death.cause",
    ];
    assert_eq!(call(dir, &unheld).code, 3);
    let unknown = entente(dir, &["call", TARGET, "demo.v1.Nothing/Get"]);
    assert_eq!(unknown.code, 4, "{unknown:?}");
    let dry = call(dir, &["--dry-run", "-o", "json"]).json();
    assert_eq!(dry["sent"], Value::Bool(false));

    live_ledger_is_checked_as_a_copy(dir);
    agreements_end_and_begin_again(dir);
    a_registrar_suspends_and_resumes_the_province(dir);
    a_member_certifies_its_server_for_a_court(dir);
    omission::a_promise_that_was_kept_is_no_omission(dir);
    omission::a_proof_with_keys_of_others_proves_nothing(dir);
    omission::two_ledgers_are_held_against_each_other(dir);
    witnesses::a_witness_named_in_the_policy_cosigns_the_ledgers(dir);
    bundle::a_bundle_says_which_witnesses_cosigned_the_ledgers(dir);

    let status = entente(dir, &["sandbox", "status", "-o", "json"]).json();
    let states = status["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| &item["state"]);
    assert!(states.clone().all(|state| state == "ready"), "{status}");
    let names = status["items"].as_array().unwrap().iter();
    let names: Vec<&str> = names.filter_map(|item| item["name"].as_str()).collect();
    let expected = [
        "ca-demo",
        "ca-demo-qc",
        "ca-demo/vital-events/@ss1",
        "ca-demo/pensions/@ss1",
        "ca-demo/transport/@ss1",
        "ca-demo-qc/health/@ss1",
    ];
    assert_eq!(names, expected);
    assert_eq!(entente(dir, &["sandbox", "down"]).code, 0);
    let silent = call(dir, &["--purpose", "PROGRAM_ADMINISTRATION"]);
    assert_eq!(silent.code, 5, "{silent:?}");
}

#[test]
fn the_demo_tells_of_the_province_in_english() {
    let dir = tempfile::tempdir().unwrap();
    let demo = entente(dir.path(), &["demo", "-o", "ndjson", "--lang", "en"]);
    assert_eq!(demo.code, 0, "{demo:?}");
    tells_of_the_province(
        &demo.lines(),
        [
            "8  A province with a registry of its own",
            "9  A question across, and a recognition suspended",
        ],
        "The other party's jurisdiction is not recognised here",
        "the same question is answered again",
    );
}

/// Recognised either way by the same fingerprints that the registries have, signed by both, answered with an
/// entry on either side, refused, answered again: in this order.
#[track_caller]
fn tells_of_the_province(lines: &[Value], titles: [&str; 2], refused: &str, again: &str) {
    let title = |title: &str| {
        let is_it = |line: &Value| line["title"].as_str().is_some_and(|t| t.starts_with(title));
        lines.iter().position(is_it).expect(title)
    };
    let (built, asked) = (title(titles[0]), title(titles[1]));
    let steps = |lines: &[Value], kind: &str| {
        let of_kind = lines.iter().filter(|line| line["step"] == kind);
        of_kind.cloned().collect::<Vec<_>>()
    };
    let genesis = |jurisdiction: &str| {
        let started = steps(lines, "registry_started");
        let of = started.iter().find(|s| s["jurisdiction"] == jurisdiction);
        of.unwrap()["genesis"].clone()
    };
    let building = &lines[built..asked];
    let recognised = steps(building, "registry_recognised");
    for (step, (by, other)) in recognised
        .iter()
        .zip([("ca-demo", "ca-demo-qc"), ("ca-demo-qc", "ca-demo")])
    {
        assert_eq!(
            (&step["by"], &step["jurisdiction"]),
            (&by.into(), &other.into())
        );
        assert_eq!(step["fingerprint"], genesis(other), "{step}");
    }
    assert_eq!(recognised.len(), 2, "{recognised:?}");
    let signed = steps(building, "agreement_signed");
    let by: Vec<_> = signed
        .iter()
        .filter_map(|step| step["by"].as_str())
        .collect();
    assert_eq!(by, ["ca-demo/vital-events", "ca-demo-qc/health"]);
    assert!(signed[1]["active"] == true && signed[0]["active"] == false);

    let across = &lines[asked..];
    let at = |what: &str, is_it: &dyn Fn(&Value) -> bool| {
        across
            .iter()
            .position(is_it)
            .unwrap_or_else(|| panic!("{what}"))
    };
    let says = |line: &Value, text: &str| line["text"].as_str().is_some_and(|t| t.contains(text));
    let in_order = [
        at("answered", &|line| {
            says(line, r#""dateOfDeath":"2026-03-14""#)
        }),
        at("their ledger", &|line| {
            says(line, "ca-demo-qc/health :") || says(line, "ca-demo-qc/health:")
        }),
        at("our ledger", &|line| {
            says(line, "ca-demo/vital-events :") || says(line, "ca-demo/vital-events:")
        }),
        at("suspended", &|line| line["step"] == "recognition_suspended"),
        at("refused", &|line| {
            says(line, "JURISDICTION_NOT_RECOGNISED") && says(line, refused)
        }),
        at("resumed", &|line| line["step"] == "recognition_resumed"),
        at("again", &|line| says(line, again)),
        at("by hand", &|line| {
            let command = line["command"].as_str().unwrap_or_default();
            command.starts_with("entente trust suspend ca-demo-qc")
        }),
    ];
    assert!(in_order.is_sorted(), "{in_order:?}");
}

/// What the demo says to type.
fn a_registrar_suspends_and_resumes_the_province(dir: &Path) {
    let health = ["--config", "sandbox/qc/health/member.yaml"];
    let purpose = ["--purpose", "PROGRAM_ADMINISTRATION", "-o", "json"];
    let until = |reason: Option<&str>| {
        for _ in 0..150 {
            let json = call(dir, &[&purpose[..], &health].concat()).json();
            if json["error"]["reason"].as_str() == reason {
                return json;
            }
            std::thread::park_timeout(Duration::from_millis(100));
        }
        panic!("never {reason:?}");
    };
    let registry = ["--config", "sandbox/registry/registry.yaml", "-o", "json"];
    let trust = |act: &[&str]| {
        let ran = entente(dir, &[&["trust"], act, &registry].concat());
        assert_eq!(ran.code, 0, "{ran:?}");
        ran.json()
    };
    assert_eq!(until(None)["answer"]["dateOfDeath"], "2026-03-14");
    assert!(trust(&["suspend", "ca-demo-qc"])["changed"] == true);
    until(Some("JURISDICTION_NOT_RECOGNISED"));
    let listed = trust(&["list"]);
    assert_eq!(listed["items"][0]["standing"], "suspended", "{listed}");
    let limits = &listed["items"][0]["limits"];
    assert_eq!(limits[0], "entente.demo.vitalevents.v1.VitalEvents");
    assert!(trust(&["resume", "ca-demo-qc"])["changed"] == true);
    assert_eq!(until(None)["answer"]["registered"], true);
}

fn a_member_certifies_its_server_for_a_court(dir: &Path) {
    let issue = |more: &[&str]| {
        let certificate = ["member", "certificate", "--config"];
        let member = ["sandbox/pensions/member.yaml"];
        entente(dir, &[&certificate[..], &member, more].concat())
    };
    let own = issue(&["--out", "member.pem"]);
    assert_eq!(own.code, 0, "{own:?}");
    let servers = issue(&["--server", "ca-demo/pensions/@ss1", "--out", "server.pem"]);
    assert_eq!(servers.code, 0, "{servers:?}");
    let printed = issue(&[]);
    let root = fs::read_to_string(dir.join("member.pem")).unwrap();
    assert_eq!(printed.out, root, "issued once, and kept");
    // What registration put beside the key, and what was issued just now, stand under one root.
    for chain in ["server.pem", "sandbox/pensions/keys/server.1.crt"] {
        assert!(
            fs::read_to_string(dir.join(chain))
                .unwrap()
                .ends_with(&root)
        );
        let verified = std::process::Command::new("openssl")
            .args(["verify", "-x509_strict", "-CAfile", "member.pem", chain])
            .current_dir(dir)
            .output()
            .unwrap();
        assert!(verified.status.success(), "{verified:?}");
    }
    for stranger in ["ca-demo/pensions/@ss9", "ca-demo/vital-events/@ss1"] {
        let refused = issue(&["--server", stranger]);
        assert!(refused.code != 0 && refused.out.is_empty(), "{refused:?}");
    }
}

fn live_ledger_is_checked_as_a_copy(dir: &Path) {
    let ran = entente(dir, &["log", "verify", "sandbox/pensions", "-o", "json"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert_eq!(ran.lines()[0]["copied"], true);
}

fn agreements_end_and_begin_again(dir: &Path) {
    let source = ["--config", "sandbox/vital-events/member.yaml"];
    let recipient = ["--config", "sandbox/pensions/member.yaml"];
    let act = |act: &[&str], of: &[&str]| entente(dir, &[act, of].concat());
    let revoked = act(&["agreement", "revoke", "DEMO-001"], &source);
    assert_eq!(revoked.code, 0, "{revoked:?}");
    let missing = act(&["agreement", "revoke", "DEMO-999"], &source);
    assert_eq!(missing.code, 4, "{missing:?}");
    let sign = ["agreement", "sign", "sandbox/agreement-v3.yaml"];
    assert_eq!(act(&sign, &source).code, 0);
    let accepted = act(&sign, &recipient);
    assert_eq!(accepted.code, 0, "{accepted:?}");
    assert_eq!(act(&sign, &recipient).code, 3, "signed already");
    let list = entente(dir, &["agreement", "list", "-o", "json"]).json();
    let items = list["items"].as_array().unwrap();
    let states: Vec<&str> = items
        .iter()
        .filter_map(|item| item["state"].as_str())
        .collect();
    // The last is DEMO-002, with the province.
    assert_eq!(states, ["REVOKED", "REVOKED", "ACTIVE", "ACTIVE"], "{list}");
    let shown = entente(dir, &["agreement", "show", "DEMO-001", "-o", "json"]).json();
    assert_eq!(shown["document"]["version"], 3);
    let transport = fs::read_to_string(dir.join("sandbox/transport/member.yaml")).unwrap();
    assert!(transport.contains("ca-demo/transport"));
    let outsider = ["--config", "sandbox/transport/member.yaml"];
    let refused = act(&["agreement", "revoke", "DEMO-001"], &outsider);
    assert_eq!(refused.code, 3, "not a party: {refused:?}");
}
