//! Erasing by order, who looked, and telling what was shredded from what is missing.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use entente_clock::{Clock as _, Day, ManualClock, SystemClock};
use entente_keys::{KeyStore, KeyUse};
use entente_ledger::disk::RealDisk;
use entente_ledger::entry::{Body, Entry, Shred};
use entente_ledger::note::NoteKey;
use entente_ledger::{Append, Ledger, LedgerConfig, Reader, Runner};
use entente_sidecar::{KeyName, Sidecar};
use entente_testkit::{backup, tamper};
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
    let askers: BTreeSet<&str> = exchanges.iter().filter_map(|e| e["who"].as_str()).collect();
    let both = ["ca-demo-qc/health/cards", "ca-demo/pensions/benefits"];
    assert_eq!(askers, both.into(), "from either jurisdiction");
    for exchange in exchanges {
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
    let kek = dir.join(SITE).join("keys/kek");
    fs::set_permissions(&kek, fs::Permissions::from_mode(0o755)).unwrap();
    let open = order(&yes);
    assert_eq!(open.code, 1, "not while others may read the keys");
    assert!(
        open.err
            .contains("keys/kek is open to others: make it private"),
        "{open:?}"
    );
    fs::set_permissions(&kek, fs::Permissions::from_mode(0o700)).unwrap();
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
    let sidecar = Sidecar::open(
        Arc::new(RealDisk),
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
    let ledger = fs::read_dir(dir).unwrap().next().unwrap().unwrap().path();
    let mut reader = Reader::open(Arc::new(RealDisk), ledger).unwrap();
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

/// Whoever holds the disk can write that a record's term was one day, and log its end. What was agreed, a
/// registry's copy says; where there is none, that is said.
#[tokio::test]
async fn a_record_whose_term_the_suspect_wrote_is_not_shredded_by_rule() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let demo = entente(dir, &["demo"]);
    assert_eq!(demo.code, 0, "{demo:?}");
    let site = dir.join(SITE);
    let (day, wrapped) = fs::read_dir(site.join("data/sidecar"))
        .unwrap()
        .map(|item| item.unwrap())
        .map(|item| (item.file_name(), item.path().join("wrapped")))
        .find(|(_, wrapped)| wrapped.exists())
        .unwrap();
    let content = fs::read(&wrapped).unwrap();
    fs::write(&wrapped, tamper::relabelled(&content, 0, "x.1d")).unwrap();
    let key = log_end(&site, day.to_str().unwrap().parse().unwrap()).await;

    let verified = json(dir, &["log", "verify", SITE]);
    assert_eq!(verified.code, 6, "{verified:?}");
    let records = &verified.lines()[0]["records"];
    assert_eq!(
        (&records["shredded"], &records["violated"]),
        (&0.into(), &1.into())
    );
    assert_eq!(records["violations"][0]["violation"], "other-retention");
    assert_eq!(records["violations"][0]["held"], "x.1d");
    assert_eq!(records["violations"][0]["agreed"], "benefits.730d");
    assert_eq!(records["by_sidecar_word"], 0);
    let standings = standings(dir, 6);
    let violations = standings.iter().filter(|(_, how)| how == "violation");
    assert_eq!(violations.count(), 1, "{standings:?}");

    for part in ["ledger", "sidecar"] {
        backup::copy(
            &site.join("data").join(part),
            &dir.join("copy/data").join(part),
        )
        .unwrap();
    }
    let alone = ["log", "verify", "copy", "--key", key.as_str()];
    let verified = json(dir, &alone);
    assert_eq!(verified.code, 0, "{verified:?}");
    let records = &verified.lines()[0]["records"];
    let kept = records["present"].as_u64().unwrap() + 1;
    assert_eq!(
        (&records["shredded"], &records["by_sidecar_word"]),
        (&1.into(), &kept.into())
    );
    let said = format!("Of {kept} records, class and term are by the sidecar’s word");
    let verified = entente(dir, &alone);
    assert!(verified.err.contains(&said), "{verified:?}");
    let shown = entente(dir, &["log", "show", "copy", "--records", "--limit", "0"]);
    assert_eq!(shown.code, 0, "{shown:?}");
    assert!(
        shown.out.contains("; class and term by the sidecar’s word"),
        "{shown:?}"
    );
    let config = ["--config", "sandbox/vital-events/member.yaml"];
    assert_eq!(json(dir, &[&alone[..], &config].concat()).code, 6);
}

/// Logs in the ledger of a site that the key of `x.1d` and a day was destroyed in due time. The ledger's
/// key comes back, as a verifier takes it.
async fn log_end(site: &Path, day: Day) -> String {
    let disk = Arc::new(RealDisk);
    let shards = fs::read_dir(site.join("data/ledger")).unwrap();
    let ledger = shards.map(|shard| shard.unwrap().path()).next().unwrap();
    let origin = Reader::open(disk.clone(), &ledger).unwrap();
    let origin = origin.origin().unwrap().to_owned();
    let keys = site.join("keys");
    let key = KeyStore::open(&keys).unwrap();
    let key = key.load(KeyUse::Ledger, "1").unwrap();
    let vkey = NoteKey::new(&origin, key.verifying_key().clone()).unwrap();
    let sidecar = Sidecar::open(disk.clone(), site.join("data/sidecar"), keys.join("kek"));
    let name: KeyName = format!("x.1d/{day}/1").parse().unwrap();
    let at = SystemClock
        .now()
        .saturating_add(Duration::from_secs(3 * 24 * 3_600));
    let config = LedgerConfig::new(
        ledger,
        &origin,
        key,
        disk,
        Box::new(sidecar.unwrap()),
        Arc::new(ManualClock::at(at)),
    );
    let ledger = Ledger::open(config, Runner::Thread).await.unwrap();
    let shred = Shred {
        class: "x.1d".to_owned(),
        period: day.to_string(),
        key_hash: name.hash(),
        authority: "end of retention".to_owned(),
    };
    let body = Body::Shred(shred);
    let entry = Entry { at, body }.encode().unwrap();
    let append = Append {
        entry,
        attachment: None,
    };
    ledger.append(append).await.unwrap();
    ledger.shutdown().await.unwrap();
    vkey.to_string()
}
