//! Promises that were kept, and proofs that anybody could have made.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use entente_bundle::omission::Omission;
use entente_evidence::proof::{SignedStatement, sign_direct};
use entente_evidence::statement::Body as Says;
use entente_keys::{Mode, SessionCertificate, SessionOrder};
use entente_ledger::disk::RealDisk;
use entente_ledger::entry::{Body, Entry};
use entente_ledger::note::NoteKey;
use entente_ledger::{Checkpoint, Reader, SignedCheckpoint};
use entente_signing::{Digest, Ed25519Key, P256Key, Signer as _};

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
        leaf_hash,
        path: Vec::new(),
    }
}
