//! Erasing by order, who looked, and telling what was shredded from what is missing.

use std::fs;
use std::path::Path;

use entente_testkit::backup;
use serde_json::Value;

use crate::run::{Ran, entente};

const SITE: &str = "sandbox/vital-events";
const CONFIG: &str = "sandbox/vital-events/security-server.yaml";
const PERSON: &str = "046 454 286";

fn json(dir: &Path, args: &[&str]) -> Ran {
    entente(dir, &[args, &["-o", "ndjson"]].concat())
}

/// How it stands with the records of a site, by transaction.
fn standings(dir: &Path, code: i32) -> Vec<(String, String)> {
    let shown = json(dir, &["log", "show", SITE, "--records", "--limit", "0"]);
    assert_eq!(shown.code, code, "{shown:?}");
    let lines = shown.lines().into_iter();
    let records = lines.filter(|line| line["record"].is_object());
    let standing = |line: Value| {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        (
            text(&line["transaction"]),
            text(&line["record"]["standing"]),
        )
    };
    records.map(standing).collect()
}

fn who_looked(dir: &Path, identifier: &str, keys: &str) -> Value {
    fs::write(dir.join("identifier"), identifier).unwrap();
    let made = [
        "log",
        "subject-key",
        CONFIG,
        "--scheme",
        "ca.sin",
        "--subject-file",
        "identifier",
        "--out",
        keys,
    ];
    let ran = entente(dir, &made);
    assert_eq!(ran.code, 0, "{ran:?}");
    let again = entente(dir, &made);
    assert_eq!(
        again.code, 1,
        "a file that exists is not replaced: {again:?}"
    );
    let asked = ["log", "who-looked", SITE, "--keys", keys];
    let told = json(dir, &asked);
    assert_eq!(told.code, 0, "{told:?}");
    let french = entente(dir, &[&asked[..], &["--lang", "fr"]].concat());
    assert_eq!(french.code, 0, "{french:?}");
    for ran in [&ran, &again, &told, &french] {
        let said = format!("{}{}", ran.out, ran.err);
        assert!(
            !said.contains(identifier) && !said.contains("046454286"),
            "{said}"
        );
    }
    told.lines().remove(0)
}

#[test]
fn a_person_learns_who_looked_and_a_court_has_one_exchange_erased() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let demo = entente(dir, &["demo"]);
    assert_eq!(demo.code, 0, "{demo:?}");
    let before = standings(dir, 0);
    assert!(
        before.iter().all(|(_, standing)| standing == "present"),
        "{before:?}"
    );

    let told = who_looked(dir, PERSON, "person.keys");
    assert_eq!(told["complete"], true);
    let exchanges = told["exchanges"].as_array().unwrap();
    let looked: Vec<&str> = exchanges
        .iter()
        .filter_map(|e| e["transaction"].as_str())
        .collect();
    let mut all: Vec<&str> = before.iter().map(|(id, _)| id.as_str()).collect();
    all.dedup();
    assert_eq!(
        looked, all,
        "every exchange of the demo is about the same person"
    );
    for exchange in exchanges {
        assert_eq!(exchange["who"], "ca-demo/pensions/benefits");
        assert_eq!(exchange["purpose"], "PROGRAM_ADMINISTRATION");
        assert_eq!(exchange["outcome"], "answered");
        assert!(
            exchange["agreement_name"]
                .as_str()
                .unwrap()
                .starts_with("DEMO-")
        );
        assert!(exchange["authority"]["disclose"].is_string(), "{exchange}");
        assert!(exchange["authority"]["collect"].is_string(), "{exchange}");
    }
    let nobody = who_looked(dir, "193 456 787", "nobody.keys");
    assert_eq!(nobody["exchanges"].as_array().unwrap().len(), 0);

    let transaction = before[0].0.as_str();
    let order = |more: &[&str]| {
        let erase = ["log", "erase", CONFIG, "--transaction", transaction];
        json(dir, &[&erase[..], more].concat())
    };
    let authority = ["--authority", "Superior Court, file 26-1001"];
    assert_eq!(order(&["--authority", " "]).code, 2);
    assert_eq!(order(&["--authority", &"x".repeat(256)]).code, 2);
    let would = order(&authority);
    assert_eq!(would.code, 0, "{would:?}");
    assert_eq!(would.lines()[0]["planned"], false);
    assert_eq!(would.lines()[0]["records"].as_array().unwrap().len(), 2);
    assert_eq!(standings(dir, 0), before);

    let yes = [&authority[..], &["--yes"]].concat();
    let lock = fs::File::open(dir.join(SITE).join("keys/kek/lock")).unwrap();
    lock.lock().unwrap();
    assert_eq!(order(&yes).code, 2, "not while a server has the keys");
    drop(lock);
    assert_eq!(standings(dir, 0), before);
    let planned = order(&yes);
    assert_eq!(planned.code, 0, "{planned:?}");
    assert_eq!(planned.lines()[0]["planned"], true);
    // Nothing is written to the ledger but by its server, which erases as it starts.
    assert_eq!(standings(dir, 0), before);
    assert_eq!(order(&yes).code, 3, "one at a time");
    for step in ["up", "down"] {
        let ran = entente(dir, &["sandbox", step]);
        assert_eq!(ran.code, 0, "{ran:?}");
    }
    for (id, standing) in standings(dir, 0) {
        let expected = if id == transaction {
            "shredded"
        } else {
            "present"
        };
        assert_eq!(standing, expected, "{id}");
    }
    assert_eq!(order(&yes).code, 4, "there is nothing left of it");
    let verified = json(dir, &["log", "verify", SITE]);
    assert_eq!(verified.code, 0, "{verified:?}");
    assert_eq!(verified.lines()[0]["records"]["shredded"], 2);
    assert_eq!(verified.lines()[0]["records"]["keys_seen"], true);
    let still = json(dir, &["log", "who-looked", SITE, "--keys", "person.keys"]);
    assert_eq!(
        still.lines()[0]["exchanges"],
        told["exchanges"],
        "the entry stays"
    );

    a_backup_leaves_the_keys_out(dir);
    let days = fs::read_dir(dir.join(SITE).join("data/sidecar")).unwrap();
    for segment in days.map(|day| day.unwrap().path().join("000.seg")) {
        let _ = fs::remove_file(segment);
    }
    assert!(
        standings(dir, 6)
            .iter()
            .any(|(_, standing)| standing == "violation")
    );
    assert_eq!(json(dir, &["log", "verify", SITE]).code, 6);
}

/// Ledger and sidecar are copied, the keys are not: the copy is as provable, and opens nothing.
fn a_backup_leaves_the_keys_out(dir: &Path) {
    let copy = dir.join("backup/data");
    for part in ["ledger", "sidecar"] {
        backup::copy(&dir.join(SITE).join("data").join(part), &copy.join(part)).unwrap();
    }
    let config = ["--config", "sandbox/vital-events/member.yaml"];
    let verified = json(dir, &[&["log", "verify", "backup"], &config[..]].concat());
    assert_eq!(verified.code, 0, "{verified:?}");
    let records = &verified.lines()[0]["records"];
    assert_eq!(records["violated"], 0);
    assert_eq!(records["keys_seen"], false);
    let sidecar = entente_sidecar::Sidecar::open(
        std::sync::Arc::new(entente_ledger::disk::RealDisk),
        copy.join("sidecar"),
        dir.join("backup/keys"),
    )
    .unwrap();
    let of = entente_sidecar::RecordOf {
        origin: "any",
        message_id: &[0; 16],
        kind: 1,
    };
    for entry in entries(&copy.join("ledger")) {
        let opened = sidecar.open_record(&entry, &of);
        let shredded = matches!(opened, Err(entente_sidecar::SidecarError::Shredded));
        assert!(shredded, "{opened:?}");
    }
}

/// The records that the entries of the one ledger below `dir` name.
fn entries(dir: &Path) -> Vec<entente_signing::Digest> {
    use entente_ledger::entry::{Body, Entry};
    let ledger = fs::read_dir(dir).unwrap().next().unwrap().unwrap().path();
    let disk = std::sync::Arc::new(entente_ledger::disk::RealDisk);
    let mut reader = entente_ledger::Reader::open(disk, ledger).unwrap();
    let bodies = reader
        .entries(0)
        .map(|entry| Entry::decode(&entry.unwrap().1).unwrap().body);
    let records = bodies.filter_map(|body| match body {
        Body::In(body) => body.sidecar,
        Body::Out(body) => body.sidecar,
        _ => None,
    });
    let records: Vec<_> = records.collect();
    assert!(!records.is_empty());
    records
}
