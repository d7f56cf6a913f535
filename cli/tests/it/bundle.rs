//! `entente log export`, and what a court does with the bundle: verify it with openssl alone, or with us.

pub(crate) mod across;
mod others;
mod pivot;
mod refused;
mod stamped;

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use bytes::Bytes;
use entente_bundle::archive::Archive;
use entente_bundle::container::{self, Files};
use entente_bundle::dossier::{Dossier, Gap, Report, Trust};
use entente_clock::{Clock as _, SystemClock};
use entente_keys::{KeyStore, KeyUse, MemberCertificate};
use entente_ledger::note::NoteKey;
use serde_json::Value;

use crate::run::{Ran, entente};

const SITE: &str = "sandbox/pensions";
const PEER: &str = "sandbox/vital-events";
const KEYS: &str = "sandbox/pensions/member-keys";
const CONFIG: [&str; 2] = ["--config", "sandbox/pensions/member.yaml"];
const BUNDLE: &str = "evidence.asice";
/// The commands of VERIFY.txt up to the seal's.
const SEAL_STEPS: usize = 10;

/// A demo's folder, its servers stopped, and one of its exchanges.
fn demo() -> (tempfile::TempDir, String) {
    let dir = tempfile::tempdir().unwrap();
    let ran = entente(dir.path(), &["demo"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    let shown = entente(
        dir.path(),
        &["log", "show", SITE, "--kind", "IN", "-o", "ndjson"],
    );
    let lines = shown.lines();
    let id = lines[0]["transaction"].as_str().unwrap().to_owned();
    (dir, id)
}

fn export(dir: &Path, id: &str, more: &[&str]) -> Ran {
    let usual = ["log", "export", id, "--ledger", SITE, "--seal-key", KEYS];
    entente(dir, &[&usual[..], &["--out", BUNDLE], more].concat())
}

fn verify(dir: &Path, more: &[&str]) -> Ran {
    let usual = ["log", "verify", BUNDLE, "-o", "ndjson"];
    entente(dir, &[&usual[..], more].concat())
}

/// What is said to be proven, or not, in a bundle: by the name of what it is.
fn said(value: &Value, list: &str) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for item in value[list].as_array().unwrap() {
        let what = item["what"].as_str().unwrap().to_owned();
        *counts.entry(what).or_default() += 1;
    }
    counts
}

fn counts(expected: &[(&str, usize)]) -> BTreeMap<String, usize> {
    let owned = expected.iter().map(|(what, n)| ((*what).to_owned(), *n));
    owned.collect()
}

/// Unpacks a bundle with a reader that is not ours.
fn unpack(bundle: &Path, into: &Path) {
    let script = "import sys, zipfile\n\
                  z = zipfile.ZipFile(sys.argv[1])\n\
                  assert z.testzip() is None and z.namelist()[0] == 'mimetype'\n\
                  z.extractall(sys.argv[2])";
    let status = Command::new("python3")
        .args(["-c", script])
        .args([bundle, into])
        .status()
        .expect("python3 is among what the tests need");
    assert!(status.success());
}

/// Runs the first commands of VERIFY.txt in one shell: those that did not print what they must, and how
/// many there are.
fn run_instructions(folder: &Path, first: usize) -> (Vec<String>, usize) {
    let text = fs::read_to_string(folder.join("ev/VERIFY.txt")).unwrap();
    let mut expected: Vec<(&str, Vec<&str>)> = Vec::new();
    for line in text.lines() {
        if let Some(command) = line.strip_prefix("$ ") {
            expected.push((command, Vec::new()));
        } else if let Some(prints) = line.strip_prefix("= ") {
            expected.last_mut().unwrap().1.push(prints);
        }
    }
    expected.truncate(first);
    let commands = expected.iter().map(|(command, _)| command);
    let script: String = commands
        .map(|command| format!("{command}\necho \"\u{1e}$?\"\n"))
        .collect();
    let mut shell = Command::new("sh")
        .current_dir(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut to = shell.stdin.take().unwrap();
    let writer = std::thread::spawn(move || to.write_all(script.as_bytes()).unwrap());
    let output = shell.wait_with_output().unwrap();
    writer.join().unwrap();
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    // Before each mark what a command printed, after it how it ended.
    let mut pieces = printed.split('\u{1e}');
    let mut before = pieces.next().unwrap().to_owned();
    let mut failed = Vec::new();
    for (command, prints) in &expected {
        let (code, next) = pieces.next().unwrap_or("1\n").split_once('\n').unwrap();
        if code != "0" || before.trim_end() != prints.join("\n") {
            failed.push(format!("{command}: {code}: {before}"));
        }
        before = next.to_owned();
    }
    (failed, expected.len())
}

/// In a sandbox that is up, whose ledgers a witness of the policy cosigned.
pub(crate) fn a_bundle_says_which_witnesses_cosigned_the_ledgers(dir: &Path) {
    let show = ["log", "show", SITE, "--kind", "IN", "-o", "ndjson"];
    let id = entente(dir, &show).lines()[0]["transaction"].clone();
    let made = export(dir, id.as_str().unwrap(), &["--peer-ledger", PEER]);
    assert_eq!(made.code, 0, "{made:?}");
    let verified = verify(dir, &CONFIG);
    assert_eq!(verified.code, 0, "{verified:?}");
    let verified = &verified.lines()[0];
    let proven = verified["proven"].as_array().unwrap();
    let witnessed = proven.iter().filter(|item| item["what"] == "witnessed");
    let by: Vec<_> = witnessed.map(|item| &item["witnesses"]).collect();
    assert_eq!(by, [&serde_json::json!(["commissioner"]); 2], "{verified}");
    let folder = dir.join("witnessed");
    unpack(&dir.join(BUNDLE), &folder);
    let text = fs::read_to_string(folder.join("ev/VERIFY.txt")).unwrap();
    assert_eq!(text.matches("cosignature/v1").count(), 2, "{text}");
    let (failed, _) = run_instructions(&folder, usize::MAX);
    assert!(failed.is_empty(), "{failed:#?}");
    fs::remove_file(dir.join(BUNDLE)).unwrap();
}

/// The names of a bundle's files of ledgers that end so.
fn files_in(folder: &Path, end: &str) -> Vec<String> {
    let mut names = Vec::new();
    for side in ["consumer", "provider", "registry"] {
        let files = fs::read_dir(folder.join("ev").join(side)).unwrap();
        let files = files.map(|file| file.unwrap().file_name().into_string().unwrap());
        let files = files.filter(|name| name.starts_with("entry-") && name.ends_with(end));
        names.extend(files.map(|name| format!("ev/{side}/{name}")));
    }
    names.sort();
    names
}

/// What our verifier says, of a bundle without a fault.
fn looked_at(bundle: &Bytes, registry: &NoteKey) -> Result<Report, String> {
    let (files, sealed) = container::open(bundle).map_err(|error| error.to_string())?;
    let dossier = Dossier::read(&files).map_err(|error| error.to_string())?;
    let trust = Trust {
        registry: Some(registry.clone()),
        authorities: None,
    };
    let report = dossier.verify(&files, &sealed, &trust);
    match report.faults.first() {
        None => Ok(report),
        Some(fault) => Err(fault.to_string()),
    }
}

/// Packs files anew, sealed by the same member: what a liar with its key can do.
fn reseal(dir: &Path, keys: &str, files: &Files) -> Bytes {
    let store = KeyStore::open(dir.join(keys)).unwrap();
    let key = store.load(KeyUse::Member, "1").unwrap();
    let pem = fs::read_to_string(dir.join("seal.pem")).unwrap();
    let certificate = MemberCertificate::from_pem(&pem).unwrap();
    container::write(files, &*key, &certificate, SystemClock.now()).unwrap()
}

#[test]
fn a_court_verifies_a_bundle_with_openssl_alone_and_finds_every_altered_byte() {
    let (dir, id) = demo();
    let dir = dir.path();
    let ran = export(dir, &id, &["--peer-ledger", PEER]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert_eq!(export(dir, &id, &[]).code, 1, "a file is not replaced");

    let verified = verify(dir, &CONFIG);
    assert_eq!(verified.code, 0, "{verified:?}");
    let value = verified.lines().remove(0);
    let proven = counts(&[
        ("bound", 2),
        ("certified", 2),
        ("logged", 8),
        ("promised", 1),
        ("seal-bound", 1),
        ("sealed", 1),
        ("signed", 2),
    ]);
    let mut found = said(&value, "proven");
    // Keys of a server are bound by its registration, and by each ledger it opened.
    found.entry("bound".to_owned()).and_modify(|n| *n = 2);
    assert_eq!(found, proven, "{value}");
    let gaps = counts(&[("in-force", 1), ("time", 2), ("witnesses", 2)]);
    assert_eq!(said(&value, "not_proven"), gaps);
    assert_eq!(value["keys_bound"], true);

    let folder = dir.join("unpacked");
    unpack(&dir.join(BUNDLE), &folder);
    let (failed, commands) = run_instructions(&folder, usize::MAX);
    assert!(
        failed.is_empty() && commands > 60,
        "{commands}: {failed:#?}"
    );

    let bytes = Bytes::from(fs::read(dir.join(BUNDLE)).unwrap());
    let archive = Archive::parse(&bytes).unwrap();
    fs::write(dir.join("seal.pem"), archive.file("ev/seal.pem").unwrap()).unwrap();
    let (files, _) = container::open(&bytes).unwrap();
    let dossier = Dossier::read(&files).unwrap();
    for party in [&dossier.consumer, &dossier.provider] {
        let entries = &party.ledger.as_ref().unwrap().entries;
        let receipts = entries.values().filter_map(|entry| entry.receipt.as_ref());
        assert_eq!(
            receipts.count(),
            entries.len(),
            "both keys are at hand here"
        );
    }
    let known = dossier.registry.unwrap().key;
    for (name, content) in archive.files() {
        let mut altered = content.to_vec();
        let middle = altered.len() / 2;
        altered[middle] ^= 1;
        // With the commands: the file alone is changed, and the manifest or its seal says so. Commands
        // that somebody changed are not run: that they were, the manifest says before.
        if name != "ev/VERIFY.txt" && name != "mimetype" {
            fs::write(folder.join(name), &altered).unwrap();
            let (failed, _) = run_instructions(&folder, SEAL_STEPS);
            assert!(!failed.is_empty(), "{name}");
            fs::write(folder.join(name), content).unwrap();
        }
        // With ours: in a well-formed archive, under the old seal.
        let mut forged = Archive::default();
        for (held, content) in archive.files() {
            let content = match held == name {
                true => altered.clone().into(),
                false => content.clone(),
            };
            forged.add(held, content).unwrap();
        }
        assert!(looked_at(&forged.to_bytes(), &known).is_err(), "{name}");
        // And under a new seal, by whoever holds the key.
        if !files.contains_key(name) {
            continue;
        }
        let mut forged = files.clone();
        forged.insert(name.to_owned(), altered.into());
        let resealed = looked_at(&reseal(dir, KEYS, &forged), &known);
        if name == "ev/VERIFY.txt" {
            assert!(resealed.unwrap().gaps.contains(&Gap::Instructions));
        } else {
            assert!(resealed.is_err(), "{name}");
        }
        let mut forged = files.clone();
        forged.remove(name);
        let without = looked_at(&reseal(dir, KEYS, &forged), &known);
        assert!(without.is_err(), "without {name}");
    }
    let mut forged = files.clone();
    forged.insert("ev/more".to_owned(), Bytes::new());
    assert!(looked_at(&reseal(dir, KEYS, &forged), &known).is_err());
    // As a command, it ends with the code for evidence that does not hold.
    fs::write(dir.join(BUNDLE), reseal(dir, KEYS, &forged)).unwrap();
    assert_eq!(verify(dir, &CONFIG).code, 6);
}

/// What a liar with the member's key cannot put right: each step of VERIFY.txt has a file that it alone
/// finds altered.
#[test]
fn the_commands_find_what_was_altered_before_it_was_sealed() {
    let (dir, id) = demo();
    let dir = dir.path();
    assert_eq!(export(dir, &id, &["--peer-ledger", PEER]).code, 0);
    let folder = dir.join("unpacked");
    unpack(&dir.join(BUNDLE), &folder);
    let named = [
        ("ev/request.statement", 3),
        ("ev/answer.sigstruct", 2),
        ("ev/request.sig", 2),
        ("ev/request.cose", 3),
        ("ev/consumer/session.pem", 2),
        ("ev/provider/server-key.pem", 2),
        ("ev/consumer/checkpoint.text", 2),
        ("ev/provider/checkpoint.sig", 1),
        ("ev/registry/checkpoint.text", 2),
        ("ev/consumer/member.pem", 1),
        ("ev/provider/server.pem", 1),
        ("ev/provider/session-key.pem", 1),
        ("ev/registry/ledger-key.pem", 1),
    ];
    // Each entry of each ledger, and what proves it.
    let entries = files_in(&folder, ".bin")
        .into_iter()
        .map(|entry| (entry, 1));
    let mut all: Vec<_> = named.map(|(name, n)| (name.to_owned(), n)).into();
    all.extend(entries);
    for (name, at_least) in all {
        let path = folder.join(&name);
        let good = fs::read(&path).unwrap();
        let mut altered = good.clone();
        let middle = altered.len() / 2;
        altered[middle] ^= 1;
        fs::write(&path, altered).unwrap();
        let (failed, _) = run_instructions(&folder, usize::MAX);
        let beyond = failed.iter().filter(|said| !said.contains("ASiCManifest"));
        assert!(beyond.count() >= at_least, "{name}: {failed:#?}");
        fs::write(&path, good).unwrap();
    }
}

#[test]
fn says_what_one_side_alone_does_not_prove_and_whose_registry_was_not_compared() {
    let (dir, id) = demo();
    let dir = dir.path();
    assert_eq!(export(dir, &id, &[]).code, 0);
    let verified = verify(dir, &[]);
    // Whoever makes up a registry makes up its keys: without one to compare with, a person must.
    assert_eq!(verified.code, 7, "{verified:?}");
    let value = verified.lines().remove(0);
    let gaps = counts(&[
        ("in-force", 1),
        ("ledger", 1),
        ("registry", 1),
        ("time", 1),
        ("witnesses", 1),
    ]);
    assert_eq!(said(&value, "not_proven"), gaps);
    assert_eq!(value["keys_bound"], false);
    for (lang, word) in [("en", "COHERENT"), ("fr", "COHÉRENT")] {
        let told = entente(dir, &["log", "verify", BUNDLE, "--lang", lang]);
        assert_eq!(told.code, 7);
        assert!(
            told.out.contains(&id) && told.out.starts_with(word),
            "{told:?}"
        );
    }
    let known = entente(dir, &[&["log", "verify", BUNDLE][..], &CONFIG].concat());
    assert!(
        known.code == 0 && known.out.starts_with("PROVEN"),
        "{known:?}"
    );
    assert_eq!(export(dir, "00", &["--out", "x"]).code, 2);
}

#[test]
fn discloses_what_it_is_told_to_and_the_commands_agree() {
    let (dir, id) = demo();
    let dir = dir.path();
    let ran = export(dir, &id, &["--open", "subjects"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    let verified = verify(dir, &CONFIG);
    assert_eq!(verified.code, 0, "{verified:?}");
    let value = verified.lines().remove(0);
    assert!(said(&value, "proven")["disclosed"] > 0, "{value}");
    let folder = dir.join("unpacked");
    unpack(&dir.join(BUNDLE), &folder);
    let (failed, _) = run_instructions(&folder, usize::MAX);
    assert!(failed.is_empty(), "{failed:#?}");
    let opened = folder.join("ev/request-2.bin");
    let mut value = fs::read(&opened).unwrap();
    assert!(value.windows(9).any(|window| window == b"046454286"));
    *value.last_mut().unwrap() ^= 1;
    fs::write(&opened, value).unwrap();
    let (failed, _) = run_instructions(&folder, usize::MAX);
    assert_eq!(
        failed.len(),
        2,
        "the manifest, and the commitment: {failed:#?}"
    );
    // Without being told, nothing is.
    fs::remove_file(dir.join(BUNDLE)).unwrap();
    assert_eq!(export(dir, &id, &[]).code, 0);
    let bytes = fs::read(dir.join(BUNDLE)).unwrap();
    assert!(!bytes.windows(9).any(|window| window == b"046454286"));
}

#[test]
fn refuses_what_is_no_bundle() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let script = "import zipfile\n\
                  with zipfile.ZipFile('bomb', 'w', zipfile.ZIP_DEFLATED) as z:\n\
                  \x20   z.writestr('mimetype', bytes(1 << 26))\n\
                  with zipfile.ZipFile('outside', 'w') as z:\n\
                  \x20   z.writestr('../outside', b'x')\n\
                  with zipfile.ZipFile('others', 'w') as z:\n\
                  \x20   z.writestr('mimetype', b'application/vnd.etsi.asic-e+zip')\n";
    let made = Command::new("python3")
        .args(["-c", script])
        .current_dir(dir)
        .status()
        .unwrap();
    assert!(made.success());
    for name in ["bomb", "outside", "others"] {
        let ran = entente(dir, &["log", "verify", name]);
        assert_eq!(ran.code, 6, "{name}: {ran:?}");
    }
    fs::write(dir.join("text"), "no archive").unwrap();
    assert_eq!(entente(dir, &["log", "verify", "text"]).code, 2);
}
