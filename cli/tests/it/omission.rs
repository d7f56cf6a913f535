//! Promises that were kept, promises that were broken, and proofs that anybody could have made.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use entente_bundle::omission::{Omission, Shown};
use entente_clock::{Clock as _, SystemClock};
use entente_evidence::proof::{SignedStatement, sign_direct};
use entente_evidence::statement::Body as Says;
use entente_keys::{Mode, SessionCertificate, SessionOrder};
use entente_ledger::disk::RealDisk;
use entente_ledger::entry::{Body, Entry, Summary};
use entente_ledger::note::NoteKey;
use entente_ledger::{Checkpoint, Reader, SignedCheckpoint};
use entente_signing::{Digest, Ed25519Key, P256Key, Signer as _};

use serde_json::Value;

use crate::rebuilt::{append, ledger_key, ledger_of, rebuild};
use crate::run::entente;

/// Whoever looks for a broken promise where there is none is told so, and no file is written.
pub(crate) fn a_promise_that_was_kept_is_no_omission(dir: &Path) {
    let show = [
        "log",
        "show",
        "sandbox/pensions",
        "--kind",
        "IN",
        "-o",
        "json",
    ];
    let shown = entente(dir, &show).json();
    let items = shown["items"].as_array().unwrap();
    let transaction = items[0]["transaction"].as_str().unwrap();
    let ran = entente(
        dir,
        &[
            "log",
            "prove-omission",
            "sandbox/pensions",
            "--transaction",
            transaction,
            "--peer-ledger",
            "sandbox/vital-events",
        ],
    );
    assert_eq!(ran.code, 4, "{ran:?}");
    assert!(ran.err.contains("the promise was kept"), "{ran:?}");
    assert!(!dir.join("omission.json").exists());
    fs::write(dir.join("nothing.json"), "{}").unwrap();
    let check = entente(dir, &["log", "prove-omission", "--check", "nothing.json"]);
    assert_eq!(check.code, 2, "{check:?}");
}

/// Both sides of the demo kept what they logged; a side that lost its newest shard is not accused for it.
pub(crate) fn two_ledgers_are_held_against_each_other(dir: &Path) {
    let both = ["log", "compare", "sandbox/pensions", "sandbox/vital-events"];
    let compared = entente(dir, &[&both[..], &["-o", "json"]].concat());
    assert_eq!(compared.code, 0, "{compared:?}");
    let compared = compared.json();
    assert!(compared["counts"]["COMPLETE"].as_u64().unwrap() > 0);
    for omitted in ["CONSUMER_OMITTED", "PROVIDER_OMITTED"] {
        assert_eq!(compared["counts"][omitted], 0, "{compared}");
    }
    let told = entente(dir, &both);
    assert!(told.out.contains("COMPLETE: both sides"), "{told:?}");
    let mixed = entente(dir, &["log", "compare", "sandbox", "sandbox/pensions"]);
    assert_eq!(mixed.code, 2, "{mixed:?}");
}

/// Whoever has any keys can sign an answer, a session and a checkpoint with them: only the directory says
/// whose they are.
pub(crate) fn a_proof_with_keys_of_others_proves_nothing(dir: &Path) {
    let forged = forge(&answer_in(&dir.join("sandbox/pensions/data/ledger")));
    forged.verify().unwrap();
    fs::write(dir.join("sandbox/forged.json"), forged.to_json()).unwrap();
    let check = ["log", "prove-omission", "--check", "sandbox/forged.json"];
    let config = ["--config", "sandbox/pensions/member.yaml", "-o", "json"];
    let ran = entente(dir, &[&check[..], &config].concat());
    assert_eq!(ran.code, 6, "{ran:?}");
    assert!(ran.out.contains(r#""proven": false"#), "{ran:?}");
    // Without a directory nobody can say, and a person must.
    fs::write(dir.join("forged.json"), forged.to_json()).unwrap();
    let ran = entente(dir, &["log", "prove-omission", "--check", "forged.json"]);
    assert_eq!(ran.code, 7, "{ran:?}");
    assert!(ran.out.starts_with("CLAIMED"), "{ran:?}");
}

/// The copy of a site's ledger below `copy`, signed by the site's own key, without the entries of one exchange
/// that `is_dropped` picks.
async fn without(dir: &Path, site: &str, id: &str, is_dropped: fn(&Body) -> bool) -> PathBuf {
    let site = dir.join("sandbox").join(site);
    let from = ledger_of(&site);
    let to = dir.join("copy/data/ledger").join(from.file_name().unwrap());
    rebuild(&from, &to, ledger_key(&site), |_, bytes| {
        let body = Entry::decode(&bytes).unwrap().body;
        let statement = match &body {
            Body::In(entry) => Some(entry.statement.clone()),
            Body::Out(entry) => Some(entry.statement.clone()),
            _ => None,
        };
        let signed = statement.map(|bytes| SignedStatement::parse(bytes).unwrap());
        let is_its = signed.is_some_and(|s| s.statement().message_id.to_string() == id);
        (!is_its || !is_dropped(&body)).then_some(bytes)
    })
    .await;
    to
}

/// A demo's folder, its servers stopped, and the last of its exchanges.
fn demo() -> (tempfile::TempDir, String) {
    let dir = tempfile::tempdir().unwrap();
    let ran = entente(dir.path(), &["demo"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    let show = ["log", "show", "sandbox/pensions", "--kind", "IN"];
    let shown = entente(dir.path(), &[&show[..], &["-o", "ndjson"]].concat());
    let lines = shown.lines();
    let id = lines.last().unwrap()["transaction"].as_str().unwrap();
    let id = id.to_owned();
    (dir, id)
}

const CONFIG: [&str; 2] = ["--config", "sandbox/pensions/member.yaml"];

/// What a comparison lists of exchanges, by their verdicts, and how it ended.
fn compared(dir: &Path, one: &str, other: &str) -> (i32, Vec<(String, String)>) {
    let compare = ["log", "compare", one, other, "-o", "ndjson"];
    let ran = entente(dir, &[&compare[..], &CONFIG].concat());
    let document = ran.lines().remove(0);
    let exchanges = document["exchanges"].as_array().unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let verdict = |item: &Value| (text(&item["transaction"]), text(&item["verdict"]));
    (ran.code, exchanges.iter().map(verdict).collect())
}

#[tokio::test]
async fn a_provider_that_dropped_a_request_it_answered_is_proven_to_have() {
    let (dir, id) = demo();
    let dir = dir.path();
    without(dir, "vital-events", &id, |body| matches!(body, Body::In(_))).await;
    // Whole and signed by its server: only the consumer's answer shows that something is gone.
    let verified = entente(dir, &[&["log", "verify", "copy"][..], &CONFIG].concat());
    assert_eq!(verified.code, 0, "{verified:?}");

    let (code, listed) = compared(dir, "sandbox/pensions", "copy");
    assert_eq!(code, 6);
    assert_eq!(listed, [(id.clone(), "PROVIDER_OMITTED".to_owned())]);

    let prove = ["log", "prove-omission", "sandbox/pensions"];
    let of = ["--transaction", &id, "--peer-ledger", "copy"];
    let proven = entente(dir, &[&prove[..], &of, &["-o", "json"]].concat());
    assert_eq!(proven.code, 0, "{proven:?}");
    let said = proven.json();
    assert_eq!(said["proven"], true);
    assert_eq!(said["server"], "ca-demo/vital-events/@ss1");
    assert_eq!(said["transaction"], id);
    // Whoever gets the file needs neither ledger, and believes their own registry.
    let check = ["log", "prove-omission", "--check", "omission.json"];
    let checked = entente(dir, &[&check[..], &CONFIG].concat());
    assert_eq!(checked.code, 0, "{checked:?}");
    assert!(checked.out.starts_with("PROVEN"), "{checked:?}");
    let french = entente(dir, &[&check[..], &CONFIG, &["--lang", "fr"]].concat());
    assert!(
        french.code == 0 && french.out.starts_with("PROUVÉ"),
        "{french:?}"
    );
}

#[tokio::test]
async fn a_consumer_that_dropped_what_it_asked_is_shown_to_have_by_a_later_entry() {
    let (dir, id) = demo();
    let dir = dir.path();
    let copy = without(dir, "pensions", &id, |_| true).await;
    // It ends at once: what is missing may still have come.
    let (code, listed) = compared(dir, "copy", "sandbox/vital-events");
    assert_eq!(
        (code, &*listed),
        (0, &[(id.clone(), "BEYOND".to_owned())][..])
    );

    let later = SystemClock.now().saturating_add(Duration::from_secs(300));
    let body = Body::Summary(Summary {
        peer: None,
        reason: "PEER_UNKNOWN".to_owned(),
        count: 1,
        first: later,
        last: later,
    });
    let entry = Entry { at: later, body }.encode().unwrap();
    let reader = Reader::open(Arc::new(RealDisk), &copy).unwrap();
    let key = ledger_key(&dir.join("sandbox/pensions"));
    append(&copy, reader.origin().unwrap(), key, vec![entry]).await;
    let (code, listed) = compared(dir, "copy", "sandbox/vital-events");
    assert_eq!(
        (code, &*listed),
        (6, &[(id, "CONSUMER_OMITTED".to_owned())][..])
    );
}

/// The first answer in the ledgers of a server.
fn answer_in(ledgers: &Path) -> SignedStatement {
    let shard = fs::read_dir(ledgers).unwrap().flatten().next().unwrap();
    let mut reader = Reader::open(Arc::new(RealDisk), shard.path()).unwrap();
    let mut answers = reader.entries(0).filter_map(|entry| {
        let (_, bytes) = entry.unwrap();
        match Entry::decode(&bytes).unwrap().body {
            Body::In(entry) => SignedStatement::parse(entry.statement).ok(),
            _ => None,
        }
    });
    answers
        .find(|signed| signed.statement().receipt().is_some())
        .unwrap()
}

/// The same answer, promising the first place in a ledger of our own, which holds something else there.
fn forge(answer: &SignedStatement) -> Omission {
    let mut statement = answer.statement().clone();
    let (Says::Response { receipt, .. } | Says::Fault { receipt, .. }) = &mut statement.body else {
        panic!("an answer");
    };
    receipt.index = 0;
    let origin = receipt.origin.to_string();
    let (server_key, session) = (
        P256Key::generate().unwrap(),
        Ed25519Key::generate().unwrap(),
    );
    let at = statement.issued_at;
    let order = SessionOrder {
        server: &statement.sender_server.clone(),
        mode: Mode::Live,
        key: session.verifying_key(),
        not_before: at.saturating_sub(Duration::from_secs(60)),
        not_after: at.saturating_add(Duration::from_secs(60)),
    };
    let certificate = SessionCertificate::issue(&server_key, &order).unwrap();
    let ledger = Ed25519Key::generate().unwrap();
    let leaf_hash = Digest::of(b"another entry");
    let checkpoint = Checkpoint {
        origin: origin.clone(),
        size: 1,
        root: leaf_hash,
    };
    let checkpoint = SignedCheckpoint::sign(checkpoint, &ledger).unwrap();
    Omission {
        answer: sign_direct(&session, statement).unwrap().bytes().clone(),
        session: certificate.into(),
        server_key: server_key.verifying_key().clone(),
        ledger_key: NoteKey::new(&origin, ledger.verifying_key().clone()).unwrap(),
        checkpoint: checkpoint.note().to_string(),
        shown: Shown::Another {
            leaf_hash,
            path: Vec::new(),
        },
    }
}
