//! Vectors for whoever writes a verifier: a ledger as it is served, and what must be refused.
//!
//! As with all vectors: one is never edited, and new ones are written by running this with
//! `ENTENTE_NEW_VECTORS=1`, which touches no file that is there.

mod edit;

use std::path::{Path, PathBuf};

use entente_evidence::proof::SignedStatement;
use entente_ledger::checkpoint::SignedCheckpoint;
use entente_ledger::proof::TlogProof;
use entente_ledger::tree::leaf_hash;
use entente_ledger::{CoseReceipt, Entry};
use entente_signing::{Ed25519Key, Signer};
use entente_tests::verifiers::{Session, Verifier, conformance, vector};

use crate::ledgers::{Written, entry, files, pem};

/// Fails unless the vector has these bytes.
fn assert_published(path: &Path, bytes: &[u8]) {
    let path = conformance().join("vectors").join(path);
    if std::env::var_os("ENTENTE_NEW_VECTORS").is_some() && !path.exists() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, bytes).unwrap();
    }
    let published = std::fs::read(&path).unwrap_or_else(|_| panic!("no vector {path:?}"));
    assert!(published == bytes, "{}", path.display());
}

/// The ledger of the vectors: every sample of an entry, published at 5 and at its end, cosigned.
fn ledger() -> Written {
    Written::new(&[5, 22]).cosigned()
}

#[test]
fn a_ledger_with_its_proofs_is_the_published_bytes() {
    let written = ledger();
    let mut expected: Vec<(PathBuf, Vec<u8>)> = files(&written.served())
        .into_iter()
        .filter(|(name, _)| !name.starts_with(".state"))
        .map(|(name, bytes)| (Path::new("log").join(name), bytes))
        .collect();
    let mut add = |name: &str, bytes: Vec<u8>| expected.push((name.into(), bytes));
    add("log.vkey", format!("{}\n", written.key).into());
    add("log.pub.pem", pem(&*written.signer).into());
    add(
        "witness.vkeys",
        (written.witnesses.join("\n") + "\n").into(),
    );
    let older = std::fs::read(&written.older[0]).unwrap();
    add("checkpoint-5", older);
    for index in [0, 15, 21] {
        add(&format!("entry-{index}.bin"), entry(index).to_vec());
        let proof = written.proof(index).to_string();
        add(&format!("entry-{index}.tlog-proof"), proof.into());
        let leaf = leaf_hash(&entry(index));
        let proof = written.inclusion(index);
        let receipt = CoseReceipt::sign(&*written.signer, &written.checkpoint(), &proof, &leaf);
        add(&format!("entry-{index}.receipt.cose"), receipt.unwrap());
    }
    for (name, bytes) in &expected {
        assert_published(&Path::new("served").join(name), bytes);
    }
    // Nothing besides lies there: a stray file would be taken for a vector.
    let there = files(&conformance().join("vectors/served"));
    assert_eq!(there.len(), expected.len());
}

/// What our verifier makes of an object of this kind.
fn ours(kind: &str, bytes: &[u8], written: &Written) -> bool {
    let session = Ed25519Key::from_seed(&[1; 32]).unwrap();
    match kind {
        "statement" => SignedStatement::parse(bytes.to_vec().into())
            .is_ok_and(|read| read.verify(session.verifying_key()).is_ok()),
        "entry" => Entry::decode(bytes).is_ok(),
        "checkpoint" => SignedCheckpoint::verify(bytes, &written.key).is_ok(),
        "proof" => {
            let text = String::from_utf8(bytes.to_vec()).unwrap();
            text.parse().is_ok_and(|proof: TlogProof| {
                let at = SignedCheckpoint::verify(proof.checkpoint.as_bytes(), &written.key);
                let leaf = leaf_hash(&entry(15));
                at.is_ok_and(|at| proof.inclusion(at.size()).verify(&leaf, &at.root()).is_ok())
            })
        }
        _ => CoseReceipt::verify(bytes, &written.key, &leaf_hash(&entry(15)))
            .is_ok_and(|read| read.is_of(written.checkpoint().checkpoint())),
    }
}

/// What the second verifier makes of it.
fn second(kind: &str, bytes: &[u8], written: &Written, session: &mut Session) -> bool {
    let object = written.keep("object", bytes);
    let mut words = vec![PathBuf::from(kind), object];
    if matches!(kind, "proof" | "receipt") {
        words.push(written.keep("entry", &entry(15)));
    }
    match kind {
        "statement" => {
            let key = Ed25519Key::from_seed(&[1; 32]).unwrap();
            words.push(written.keep("key.pem", pem(&key).as_bytes()));
        }
        "entry" => {}
        _ => words.push(written.key.to_string().into()),
    }
    if kind == "receipt" {
        words.push(written.served().join("checkpoint"));
    }
    session.ask(&words).unwrap().is_ok()
}

#[test]
fn what_must_be_refused_is_refused_by_both_verifiers() {
    let written = ledger();
    let mut session = Verifier::Second.start().unwrap();
    for (kind, name, why, bytes) in edit::refused(&written) {
        let file = format!("{kind}-{name}");
        let rows: Vec<_> = bytes.chunks(48).map(hex::encode).collect();
        let text = format!("# {why}\n{}\n", rows.join("\n"));
        let path = format!("refused/{file}.hex");
        assert_published(Path::new(&path), text.as_bytes());
        assert_eq!(vector(&format!("refused/{file}")).unwrap(), bytes);
        assert!(!ours(kind, &bytes, &written), "{file}: {why}");
        assert!(
            !second(kind, &bytes, &written, &mut session),
            "{file}: {why}"
        );
    }
    // What they were made from is accepted, so it is the change that is refused.
    for (kind, bytes) in edit::accepted(&written) {
        assert!(
            ours(kind, &bytes, &written),
            "{kind}: {}",
            hex::encode(&bytes)
        );
        assert!(second(kind, &bytes, &written, &mut session), "{kind}");
    }
    let there = files(&conformance().join("vectors/refused"));
    assert_eq!(there.len(), edit::refused(&written).len());
}
