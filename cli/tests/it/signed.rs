//! Only what the server signed is evidence, and only who has all of it may say that it is complete.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use entente_ledger::Reader;
use entente_ledger::disk::RealDisk;
use entente_ledger::entry::{Body, Entry};
use entente_ledger::note::NoteKey;
use entente_signing::Ed25519Key;
use entente_testkit::backup;
use serde_json::Value;

use crate::rebuilt::{append, ledger_key, ledger_of, rebuild};
use crate::run::{Ran, entente};

const SITE: &str = "sandbox/vital-events";
const CONFIG: [&str; 2] = ["--config", "sandbox/vital-events/member.yaml"];

fn json(dir: &Path, args: &[&str]) -> Ran {
    entente(dir, &[args, &["-o", "ndjson"]].concat())
}

/// A demo's folder, its servers stopped, with a person's keys in `person.keys`.
fn demo() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let demo = entente(dir.path(), &["demo"]);
    assert_eq!(demo.code, 0, "{demo:?}");
    fs::write(dir.path().join("identifier"), "046 454 286").unwrap();
    let keys = [
        "log",
        "subject-key",
        "sandbox/vital-events/security-server.yaml",
        "--scheme",
        "ca.sin",
        "--subject-file",
        "identifier",
        "--out",
        "person.keys",
    ];
    let keys = entente(dir.path(), &keys);
    assert_eq!(keys.code, 0, "{keys:?}");
    dir
}

fn who_looked(dir: &Path, ledgers: &str, more: &[&str]) -> Ran {
    let asked = ["log", "who-looked", ledgers, "--keys", "person.keys"];
    json(dir, &[&asked[..], more].concat())
}

/// Copies the ledger of the site below `copy`, with one entry of an exchange rewritten, under a key of
/// somebody's own.
async fn forge(dir: &Path) -> PathBuf {
    let from = ledger_of(&dir.join(SITE));
    let to = dir.join("copy/data/ledger").join(from.file_name().unwrap());
    let own = Arc::new(Ed25519Key::generate().unwrap());
    rebuild(&from, &to, own, |_, bytes| {
        let mut entry = Entry::decode(&bytes).unwrap();
        if let Body::In(body) = &mut entry.body {
            body.tags.clear();
        }
        Some(entry.encode().unwrap())
    })
    .await;
    to
}

#[tokio::test]
async fn a_ledger_without_its_checkpoint_is_nobodys_word() {
    let dir = demo();
    let dir = dir.path();
    let forged = forge(dir).await;
    let verified = json(dir, &[&["log", "verify", "copy"][..], &CONFIG].concat());
    assert_eq!(verified.code, 6, "another key’s checkpoint: {verified:?}");
    fs::remove_file(forged.join("log/checkpoint")).unwrap();

    let verified = json(dir, &[&["log", "verify", "copy"][..], &CONFIG].concat());
    assert_eq!(verified.code, 7, "{verified:?}");
    let value = &verified.lines()[0];
    assert_eq!(
        (&value["sound"], &value["checkpoint"]),
        (&false.into(), &Value::Null)
    );
    assert_eq!(
        value["findings"],
        Value::Array(Vec::new()),
        "not a hash differs"
    );
    assert_eq!(value["unsigned_entries"], value["entries"]);
    for (lang, head) in [("en", "UNSIGNED  "), ("fr", "NON SIGNÉ  ")] {
        let args = ["log", "verify", "copy", "--lang", lang];
        let told = entente(dir, &[&args[..], &CONFIG].concat());
        assert!(told.code == 7 && told.out.starts_with(head), "{told:?}");
        assert!(told.err.contains("log/checkpoint"), "what to do: {told:?}");
    }
    // What differs is graver than what is not signed, in whatever order they are found.
    let altered = dir.join("altered/data/ledger/1");
    backup::copy(&ledger_of(&dir.join(SITE)), &altered).unwrap();
    fs::remove_file(altered.join("wal/000000.wal")).unwrap();
    for both in [["copy", "altered"], ["altered", "copy"]] {
        let verified = json(dir, &[&["log", "verify"][..], &both, &CONFIG].concat());
        assert_eq!(verified.code, 6, "{verified:?}");
    }

    for told in [
        who_looked(dir, "copy", &CONFIG),
        json(
            dir,
            &[&["log", "compare", "sandbox/pensions", "copy"][..], &CONFIG].concat(),
        ),
    ] {
        assert_eq!(told.code, 7, "{told:?}");
        assert_eq!(told.lines().len(), 1, "nothing but the error: {told:?}");
        assert!(told.err.contains("no signed checkpoint"), "{told:?}");
    }
}

/// The write-ahead log holds what is not signed yet: whoever holds the folder writes what they like there.
#[tokio::test]
async fn entries_after_the_checkpoint_are_not_told() {
    let dir = demo();
    let dir = dir.path();
    let from = ledger_of(&dir.join(SITE));
    let shard = from.file_name().unwrap();
    let before = who_looked(dir, SITE, &[]);
    assert_eq!(before.code, 0, "{before:?}");
    let before = before.lines().remove(0);
    // All before the last exchange with pensions are signed; the rest is behind them, as a crash leaves it.
    let count = before["ledgers"][0]["size"].as_u64().unwrap();
    let exchanges = before["exchanges"].as_array().unwrap();
    let with_pensions = |e: &Value| e["who"] == "ca-demo/pensions/benefits";
    let last = exchanges.iter().rposition(with_pensions).unwrap();
    let cut = exchanges[last]["index"].as_u64().unwrap();
    let part = dir.join("part/data/ledger").join(shard);
    let signer = ledger_key(&dir.join(SITE));
    let before_cut = |index, bytes| (index < cut).then_some(bytes);
    rebuild(&from, &part, Arc::clone(&signer), before_cut).await;
    let whole = dir.join("whole/data/ledger").join(shard);
    backup::copy(&part, &whole).unwrap();
    let mut reader = Reader::open(Arc::new(RealDisk), &from).unwrap();
    let origin = reader.origin().unwrap().to_owned();
    let rest = reader.entries(cut).map(|entry| entry.unwrap().1).collect();
    append(&whole, &origin, signer, rest).await;
    fs::copy(part.join("log/checkpoint"), whole.join("log/checkpoint")).unwrap();

    let verified = json(dir, &[&["log", "verify", "whole"][..], &CONFIG].concat());
    assert_eq!(verified.code, 0, "{verified:?}");
    assert_eq!(verified.lines()[0]["unsigned_entries"], count - cut);
    let told = entente(dir, &[&["log", "verify", "whole"][..], &CONFIG].concat());
    assert!(
        told.out.contains("are not signed yet, and prove nothing"),
        "{told:?}"
    );
    let looked = who_looked(dir, "whole", &CONFIG);
    assert_eq!(looked.code, 0, "{looked:?}");
    let looked = looked.lines().remove(0);
    let found = looked["exchanges"].as_array().unwrap();
    assert_eq!(found[..], exchanges[..last]);
    let reach = &looked["ledgers"][0];
    assert_eq!(
        (&reach["size"], &reach["unsigned_entries"]),
        (&cut.into(), &(count - cut).into())
    );
    // An older copy is as sound: how far it reaches is what it says.
    let older = who_looked(dir, "part", &CONFIG).lines().remove(0);
    assert_eq!(older["ledgers"][0]["size"], cut);
    assert!(older["ledgers"][0]["until"].as_str() < before["ledgers"][0]["until"].as_str());
    let compare = ["log", "compare", "sandbox/pensions", "whole"];
    let compared = json(dir, &[&compare[..], &CONFIG].concat());
    assert_eq!(compared.code, 0, "{compared:?}");
    assert_eq!(compared.lines()[0]["counts"]["BEYOND"], 1, "{compared:?}");
}

/// A server that lost its ledger goes on in another. Whoever shows one of the two shows not everything.
#[tokio::test]
async fn an_answer_is_complete_only_with_every_ledger_that_the_registry_names() {
    let dir = demo();
    let dir = dir.path();
    let first = ledger_of(&dir.join(SITE));
    let aside = dir.join("aside");
    fs::rename(&first, &aside).unwrap();
    for step in ["up", "down"] {
        let ran = entente(dir, &["sandbox", step]);
        assert_eq!(ran.code, 0, "{ran:?}");
    }
    let only_second = who_looked(dir, SITE, &[]);
    assert_eq!(only_second.code, 7, "{only_second:?}");
    let told = &only_second.lines()[0];
    assert_eq!(told["complete"], false);
    let origin = told["missing"][0].as_str().unwrap().to_owned();
    assert!(only_second.err.contains(&origin), "{only_second:?}");

    fs::rename(&aside, &first).unwrap();
    let both = who_looked(dir, SITE, &[]);
    assert_eq!(both.code, 0, "{both:?}");
    let told = &both.lines()[0];
    assert_eq!(told["complete"], true);
    assert_eq!(told["missing"], Value::Array(Vec::new()));
    let ledgers = told["ledgers"].as_array().unwrap();
    assert_eq!(ledgers.len(), 2);
    for ledger in ledgers {
        assert_eq!(ledger["quorum"], false, "nobody is asked: {ledger}");
        assert!(
            ledger["until"].is_string() && ledger["size"].as_u64() > Some(0),
            "{ledger}"
        );
    }
    let said = entente(dir, &["log", "who-looked", SITE, "--keys", "person.keys"]);
    assert!(said.out.contains("its server alone says so"), "{said:?}");
    assert!(
        said.out.contains("Complete, as far as the ledgers reach"),
        "{said:?}"
    );

    // An older copy of the one that has ended is sound, signed, and not all.
    let from = first.clone();
    let shard = first.file_name().unwrap();
    let older = dir.join("older/data/ledger");
    let last = Reader::open(Arc::new(RealDisk), &from).unwrap().size() - 1;
    let before_last = |index, bytes| (index < last).then_some(bytes);
    let signer = ledger_key(&dir.join(SITE));
    rebuild(&from, &older.join(shard), signer, before_last).await;
    let open = fs::read_dir(dir.join(SITE).join("data/ledger")).unwrap();
    let open = open.map(|shard| shard.unwrap().path());
    for other in open.filter(|shard| *shard != first && shard.is_dir()) {
        backup::copy(&other, &older.join(other.file_name().unwrap())).unwrap();
    }
    let server = ["--config", "sandbox/vital-events/security-server.yaml"];
    let short = who_looked(dir, "older", &server);
    assert_eq!(short.code, 7, "{short:?}");
    let told = &short.lines()[0];
    assert_eq!(told["complete"], false);
    assert_eq!(
        (&told["missing"], &told["short"][0]),
        (&Value::Array(Vec::new()), &origin.clone().into())
    );

    // Without a registry nobody knows what there should be.
    backup::copy(&first, &dir.join("alone/data/ledger/1")).unwrap();
    let key = ledger_key(&dir.join(SITE));
    let key = NoteKey::new(&origin, key.verifying_key().clone()).unwrap();
    let key = key.to_string();
    let alone = who_looked(dir, "alone", &["--key", &key]);
    assert_eq!(alone.code, 0, "{alone:?}");
    let told = &alone.lines()[0];
    assert_eq!(
        (&told["complete"], &told["missing"]),
        (&Value::Null, &Value::Null)
    );
    assert_eq!(told["ledgers"][0]["quorum"], Value::Null);
    let french = [
        "log",
        "who-looked",
        "alone",
        "--keys",
        "person.keys",
        "--lang",
        "fr",
    ];
    let french = entente(dir, &[&french[..], &["--key", &key]].concat());
    assert!(
        french
            .out
            .contains("On ne sait pas si le serveur en a d’autres"),
        "{french:?}"
    );
}
