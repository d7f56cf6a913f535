//! Evidence of an exchange between two jurisdictions: from either side, with what both registries say.

use std::fs;
use std::path::Path;

use bytes::Bytes;
use entente_bundle::container::{self, Files};
use entente_bundle::dossier::{Dossier, Gap, Proved, Tree};
use entente_directory::{Change, RegistryEntry};
use entente_ledger::note::NoteKey;
use entente_ledger::tree::leaf_hash;
use entente_ledger::{Checkpoint, SignedCheckpoint};
use entente_signing::{Ed25519Key, Signer as _};

use super::{BUNDLE, SITE, counts, demo, looked_at, reseal, run_instructions, said, unpack};
use crate::run::{Ran, entente};

const PROVINCE: &str = "sandbox/qc/health";
const FEDERAL: &str = "sandbox/vital-events";

/// The first exchange of a province's agency, which is with the federal one.
fn first(dir: &Path) -> String {
    let show = ["log", "show", PROVINCE, "--kind", "IN", "-o", "ndjson"];
    let shown = entente(dir, &show).lines();
    shown[0]["transaction"].as_str().unwrap().to_owned()
}

fn export(dir: &Path, (side, peer): (&str, &str), more: &[&str]) -> Ran {
    let (id, keys) = (first(dir), format!("{side}/member-keys"));
    let usual = ["log", "export", &id, "--ledger", side, "--seal-key", &keys];
    let both = ["--peer-ledger", peer, "--out", BUNDLE];
    entente(dir, &[&usual[..], &both, more].concat())
}

fn verify(dir: &Path, reader: Option<&str>) -> Ran {
    let config = reader.map(|reader| format!("{reader}/member.yaml"));
    let config = config.as_deref().map(|config| ["--config", config]);
    let usual = ["log", "verify", BUNDLE, "-o", "ndjson"];
    let config = config.iter().flatten().copied().collect::<Vec<_>>();
    entente(dir, &[&usual[..], &config].concat())
}

#[test]
fn either_side_of_an_exchange_across_exports_what_both_believe_and_openssl_verifies() {
    let (dir, _) = demo();
    let dir = dir.path();
    for (side, peer) in [(PROVINCE, FEDERAL), (FEDERAL, PROVINCE)] {
        let made = export(dir, (side, peer), &[]);
        assert_eq!(made.code, 0, "{made:?}");
        for reader in [side, peer] {
            let verified = verify(dir, Some(reader));
            assert_eq!(verified.code, 0, "{verified:?}");
            let value = verified.lines().remove(0);
            let mut found = said(&value, "proven");
            found.entry("bound".to_owned()).and_modify(|n| *n = 2);
            let proven = counts(&[
                ("bound", 2),
                ("certified", 2),
                ("logged", 8),
                ("promised", 1),
                ("recognised", 2),
                ("seal-bound", 1),
                ("sealed", 1),
                ("signed", 2),
            ]);
            assert_eq!(found, proven, "{value}");
            let gaps = [
                ("in-force", 1),
                ("recognition", 1),
                ("time", 2),
                ("witnesses", 2),
            ];
            assert_eq!(said(&value, "not_proven"), counts(&gaps));
        }
        // Nobody's registry, and one that is neither party's.
        for reader in [None, Some("sandbox/on/vital-events")] {
            let verified = verify(dir, reader);
            assert_eq!(verified.code, 7, "{verified:?}");
            let gaps = said(&verified.lines()[0], "not_proven");
            assert_eq!(gaps["registry"], 1, "one key is to be compared, not two");
        }
        let folder = dir.join(side.replace('/', "-"));
        unpack(&dir.join(BUNDLE), &folder);
        let (failed, commands) = run_instructions(&folder, usize::MAX);
        assert!(
            failed.is_empty() && commands > 70,
            "{commands}: {failed:#?}"
        );
        fs::remove_file(dir.join(BUNDLE)).unwrap();
    }
}

#[test]
fn an_altered_word_of_the_other_registry_is_found_by_the_commands_and_by_us() {
    let (dir, _) = demo();
    let dir = dir.path();
    assert_eq!(export(dir, (FEDERAL, PROVINCE), &[]).code, 0);
    let folder = dir.join("unpacked");
    unpack(&dir.join(BUNDLE), &folder);
    let bytes = Bytes::from(fs::read(dir.join(BUNDLE)).unwrap());
    let (files, _) = container::open(&bytes).unwrap();
    let known = Dossier::read(&files).unwrap().registry.unwrap().key;
    let abroad = files.keys().filter(|name| name.starts_with("ev/abroad/"));
    let mut looked = 0;
    for name in abroad {
        let good = &files[name];
        let mut altered = good.to_vec();
        let middle = altered.len() / 2;
        altered[middle] ^= 1;
        // What is there for programs alone is read by no command but the manifest's.
        if !name.ends_with("vkey") && !name.ends_with("proof") && !name.ends_with("checkpoint") {
            fs::write(folder.join(name), &altered).unwrap();
            let (failed, _) = run_instructions(&folder, usize::MAX);
            let beyond = failed.iter().filter(|said| !said.contains("ASiCManifest"));
            assert!(beyond.count() > 0, "{name}: {failed:#?}");
            fs::write(folder.join(name), good).unwrap();
            looked += 1;
        }
        let mut forged = files.clone();
        forged.insert(name.clone(), altered.into());
        assert!(looked_at(&sealed(dir, &forged), &known).is_err(), "{name}");
        forged.remove(name);
        assert!(
            looked_at(&sealed(dir, &forged), &known).is_err(),
            "without {name}"
        );
    }
    assert!(looked > 5);
}

/// Sealed anew by the federal member, which holds its key.
fn sealed(dir: &Path, files: &Files) -> Bytes {
    fs::write(dir.join("seal.pem"), &files["ev/seal.pem"]).unwrap();
    reseal(dir, &format!("{FEDERAL}/member-keys"), files)
}

#[test]
fn another_registry_counts_as_far_as_one_recognises_it_and_for_its_own_names_alone() {
    let (dir, _) = demo();
    let dir = dir.path();
    assert_eq!(export(dir, (FEDERAL, PROVINCE), &[]).code, 0);
    let bytes = Bytes::from(fs::read(dir.join(BUNDLE)).unwrap());
    let (files, seal) = container::open(&bytes).unwrap();
    let dossier = Dossier::read(&files).unwrap();
    let known = dossier.registry.as_ref().unwrap().key.clone();
    let gaps = |dossier: &Dossier| {
        let report = looked_at(&sealed(dir, &dossier.files(seal.at)), &known);
        report.unwrap().gaps
    };
    let is_unknown = |gap: &Gap| matches!(gap, Gap::Registry { .. });
    let unbound = |gap: &Gap| matches!(gap, Gap::NotBound { .. });
    let whole = gaps(&dossier);
    assert!(
        !whole.iter().any(|gap| is_unknown(gap) || unbound(gap)),
        "{whole:?}"
    );

    // Recognised by nobody who is believed.
    let mut unrecognised = dossier.clone();
    let entries = &mut unrecognised.registry.as_mut().unwrap().entries;
    entries.retain(|_, entry| !matches!(change(&entry.bytes), Change::Recognise(_)));
    assert!(gaps(&unrecognised).iter().any(is_unknown));

    // The other registry says whose the first one's keys are, which is not for it to say.
    let mut meddling = dossier;
    let entries = &mut meddling.registry.as_mut().unwrap().entries;
    let is_binding = |entry: &Bytes| {
        matches!(
            change(entry),
            Change::ServerRegister(_) | Change::ShardOpen(_)
        )
    };
    let binding = entries.values().find(|entry| is_binding(&entry.bytes));
    let binding = binding.unwrap().bytes.clone();
    entries.retain(|_, entry| !is_binding(&entry.bytes));
    let name = meddling.abroad.as_ref().unwrap().key.name().to_owned();
    meddling.abroad = Some(ledger_of_one(&name, binding));
    let found = gaps(&meddling);
    let of = |of: &str| {
        let mut unbound = found.iter().filter(|gap| unbound(gap));
        unbound
            .any(|gap| matches!(gap, Gap::NotBound { server } if server.as_str().starts_with(of)))
    };
    assert!(
        of("ca-demo/vital-events") && of("ca-demo-qc/health"),
        "{found:?}"
    );
}

fn change(entry: &Bytes) -> Change {
    let entry = RegistryEntry::parse(entry).unwrap();
    entry.change.change().clone()
}

/// A registry's ledger that somebody made up.
fn ledger_of_one(name: &str, entry: Bytes) -> Tree {
    let key = Ed25519Key::generate().unwrap();
    let checkpoint = Checkpoint {
        origin: name.to_owned(),
        size: 1,
        root: leaf_hash(&entry),
    };
    let checkpoint = SignedCheckpoint::sign(checkpoint, &key).unwrap();
    let proved = Proved {
        bytes: entry,
        path: Vec::new(),
        receipt: None,
    };
    Tree {
        key: NoteKey::new(name, key.verifying_key().clone()).unwrap(),
        checkpoint: checkpoint.note().to_string(),
        entries: [(0, proved)].into(),
        stamps: Default::default(),
    }
}

#[test]
fn ledgers_of_two_jurisdictions_are_held_against_each_other() {
    let (dir, _) = demo();
    let dir = dir.path();
    let ontario = "sandbox/on/vital-events";
    for (one, other) in [
        (PROVINCE, FEDERAL),
        (FEDERAL, PROVINCE),
        (PROVINCE, ontario),
    ] {
        let compared = entente(dir, &["log", "compare", one, other, "-o", "json"]);
        assert_eq!(compared.code, 0, "{compared:?}");
        let value = compared.json();
        assert!(value["counts"]["COMPLETE"].as_u64() > Some(0), "{value}");
        let ledgers = value["ledgers"].as_array().unwrap();
        assert_eq!(ledgers.len(), 2);
        // By the policy of each one's own registry, which is at hand.
        assert!(
            ledgers.iter().all(|ledger| ledger["quorum"] == false),
            "{value}"
        );
    }
    // Of jurisdictions that recognise each other: whose they are is said by either.
    let verified = entente(
        dir,
        &[
            "log",
            "verify",
            FEDERAL,
            "--config",
            &format!("{PROVINCE}/security-server.yaml"),
        ],
    );
    assert_eq!(verified.code, 0, "{verified:?}");
    assert!(
        verified
            .out
            .contains("which registry.ca-demo-qc/changes recognises"),
        "{verified:?}"
    );
    // pensions and the province have no exchange: nothing is complete, and nothing is wrong.
    let strangers = entente(dir, &["log", "compare", SITE, PROVINCE, "-o", "json"]).json();
    assert_eq!(strangers["counts"]["COMPLETE"], 0);
}

/// In a sandbox that is up: a recognition that has ended takes no evidence away.
pub(crate) fn evidence_outlives_a_recognition(dir: &Path) {
    let registry = ["--config", "sandbox/registry/registry.yaml"];
    let revoke = ["trust", "revoke", "ca-demo-qc", "--reason", "TREATY_ENDED"];
    let ended = entente(dir, &[&revoke[..], &registry].concat());
    assert_eq!(ended.code, 0, "{ended:?}");
    let made = export(dir, (FEDERAL, PROVINCE), &[]);
    assert_eq!(made.code, 0, "{made:?}");
    let verified = verify(dir, Some(FEDERAL));
    assert_eq!(verified.code, 0, "{verified:?}");
    let value = verified.lines().remove(0);
    assert_eq!(said(&value, "proven")["recognised"], 2, "{value}");
    fs::remove_file(dir.join(BUNDLE)).unwrap();
}
