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
    assert_eq!(kinds("demo.section"), 14);
    assert!(kinds("sandbox.step") >= 15 && kinds("demo.command") >= 15);
    tells_of_the_provinces(
        &lines,
        [
            "8  Deux provinces, chacune",
            "9  Une question d’une administration à l’autre",
            "10  D’une province à l’autre",
            "11  Une reconnaissance suspendue, les autres non",
            "12  Chaque journal",
        ],
        "Les administrations des deux parties ne se reconnaissent pas",
        [
            "la même question reçoit maintenant réponse",
            "reçoit réponse comme avant",
            "la même question reçoit de nouveau réponse",
        ],
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
        "sandbox/on/vital-events",
        "sandbox/on/registry",
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
    a_registrar_suspends_and_resumes_a_province(dir);
    a_member_certifies_its_server_for_a_court(dir);
    omission::a_promise_that_was_kept_is_no_omission(dir);
    omission::a_proof_with_keys_of_others_proves_nothing(dir);
    omission::two_ledgers_are_held_against_each_other(dir);
    bundle::across::evidence_outlives_a_recognition(dir);
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
        "ca-demo-on",
        "ca-demo/vital-events/@ss1",
        "ca-demo/pensions/@ss1",
        "ca-demo/transport/@ss1",
        "ca-demo-qc/health/@ss1",
        "ca-demo-on/vital-events/@ss1",
    ];
    assert_eq!(names, expected);
    assert_eq!(entente(dir, &["sandbox", "down"]).code, 0);
    let silent = call(dir, &["--purpose", "PROGRAM_ADMINISTRATION"]);
    assert_eq!(silent.code, 5, "{silent:?}");
}

#[test]
fn the_demo_tells_of_the_provinces_in_english() {
    let dir = tempfile::tempdir().unwrap();
    let demo = entente(dir.path(), &["demo", "-o", "ndjson", "--lang", "en"]);
    assert_eq!(demo.code, 0, "{demo:?}");
    tells_of_the_provinces(
        &demo.lines(),
        [
            "8  Two provinces, each with a registry of its own",
            "9  A question across",
            "10  From province to province",
            "11  One recognition suspended, the others not",
            "12  Every ledger",
        ],
        "The two parties' jurisdictions do not both recognise each other",
        [
            "now the same question is answered",
            "and is answered as before",
            "the same question is answered again",
        ],
    );
}

/// Two provinces recognised by the same fingerprints that the registries have, a question across; another between
/// the provinces, refused until they recognise each other too; and one recognition of three suspended, which
/// stops that pair alone.
#[track_caller]
fn tells_of_the_provinces(
    lines: &[Value],
    titles: [&str; 5],
    refused: &str,
    [now, as_before, again]: [&str; 3],
) {
    let [built, asked, between, suspended, end] = titles.map(|title| {
        let is_it = |line: &Value| line["title"].as_str().is_some_and(|t| t.starts_with(title));
        lines.iter().position(is_it).expect(title)
    });
    let genesis = |jurisdiction: &str| {
        let started = steps(lines, "registry_started");
        let of = started.iter().find(|s| s["jurisdiction"] == jurisdiction);
        of.unwrap()["genesis"].clone()
    };
    let recognised = |lines: &[Value]| -> Vec<(String, String)> {
        let steps = steps(lines, "registry_recognised");
        let pairs = steps.iter().map(|step| {
            let name = |key: &str| step[key].as_str().unwrap().to_owned();
            let of = name("jurisdiction");
            assert_eq!(step["fingerprint"], genesis(&of), "{step}");
            (name("by"), of)
        });
        pairs.collect()
    };
    let both_ways = |pairs: &[(&str, &str)]| -> Vec<(String, String)> {
        let ways = pairs
            .iter()
            .flat_map(|(one, other)| [(one, other), (other, one)]);
        let named = ways.map(|(by, of)| ((*by).to_owned(), (*of).to_owned()));
        named.collect()
    };
    let federal = both_ways(&[("ca-demo", "ca-demo-qc"), ("ca-demo", "ca-demo-on")]);
    assert_eq!(recognised(&lines[built..asked]), federal);
    let signed = steps(&lines[built..asked], "agreement_signed");
    let by: Vec<_> = signed
        .iter()
        .filter_map(|step| step["by"].as_str())
        .collect();
    let parties = [
        "ca-demo/vital-events",
        "ca-demo-qc/health",
        "ca-demo-on/vital-events",
        "ca-demo/pensions",
    ];
    assert_eq!(by, parties);
    let active: Vec<_> = signed.iter().map(|step| step["active"] == true).collect();
    assert_eq!(active, [false, true, false, true]);

    let is_refused = |line: &Value| {
        let said = line["text"].as_str().unwrap_or_default();
        said.contains("JURISDICTION_NOT_RECOGNISED") && said.contains(refused)
    };
    let has = |text: &str| {
        let text = text.to_owned();
        move |line: &Value| {
            line["text"]
                .as_str()
                .is_some_and(|said| said.contains(&text))
        }
    };
    in_order(
        &lines[asked..between],
        &[
            &has("ca-demo-qc/health/cards"),
            &has(r#""dateOfDeath":"2026-03-14""#),
            &has("ca-demo/vital-events"),
        ],
    );
    let between = &lines[between..suspended];
    assert_eq!(
        recognised(between),
        both_ways(&[("ca-demo-qc", "ca-demo-on")])
    );
    in_order(
        between,
        &[
            &has("ca-demo-on/vital-events/registry"),
            &is_refused,
            &|line| line["step"] == "registry_recognised",
            &|line| line["step"] == "agreement_signed" && line["active"] == true,
            &has(now),
        ],
    );
    let suspended = &lines[suspended..end];
    in_order(
        suspended,
        &[
            &|line| line["step"] == "recognition_suspended",
            &is_refused,
            &has(as_before),
            &|line| line["step"] == "recognition_resumed",
            &has(again),
        ],
    );
    let answered = suspended.iter().filter(|line| has(as_before)(line));
    assert_eq!(answered.count(), 3, "{suspended:?}");
    let typed = lines[end..]
        .iter()
        .filter_map(|line| line["command"].as_str());
    let typed = typed.filter(|line| line.starts_with("entente trust suspend ca-demo-qc"));
    assert_eq!(typed.count(), 1);
}

fn steps(lines: &[Value], kind: &str) -> Vec<Value> {
    let of_kind = lines.iter().filter(|line| line["step"] == kind);
    of_kind.cloned().collect()
}

/// Each is said after the one before it.
#[track_caller]
fn in_order(lines: &[Value], wanted: &[&dyn Fn(&Value) -> bool]) {
    let mut rest = lines.iter();
    for (number, is_it) in wanted.iter().enumerate() {
        assert!(rest.any(is_it), "{number} is missing in {lines:?}");
    }
}

/// What the demo says to type.
fn a_registrar_suspends_and_resumes_a_province(dir: &Path) {
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
    let between = [
        &[
            "call",
            "ca-demo-on/vital-events/registry",
            METHOD,
            "-d",
            DATA,
        ],
        &purpose[..],
        &health,
    ];
    let between = entente(dir, &between.concat());
    assert_eq!(between.code, 0, "of another pair: {between:?}");
    let listed = trust(&["list"]);
    let items = listed["items"].as_array().unwrap();
    let suspended = items
        .iter()
        .find(|item| item["jurisdiction"] == "ca-demo-qc")
        .unwrap();
    assert_eq!(suspended["standing"], "suspended", "{listed}");
    let limits = &suspended["limits"];
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
    // The last two are with a province each.
    let expected = ["REVOKED", "REVOKED", "ACTIVE", "ACTIVE", "ACTIVE"];
    assert_eq!(states, expected, "{list}");
    let shown = entente(dir, &["agreement", "show", "DEMO-001", "-o", "json"]).json();
    assert_eq!(shown["document"]["version"], 3);
    let transport = fs::read_to_string(dir.join("sandbox/transport/member.yaml")).unwrap();
    assert!(transport.contains("ca-demo/transport"));
    let outsider = ["--config", "sandbox/transport/member.yaml"];
    let refused = act(&["agreement", "revoke", "DEMO-001"], &outsider);
    assert_eq!(refused.code, 3, "not a party: {refused:?}");
}
