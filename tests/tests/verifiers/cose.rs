//! Statements of both forms, and receipts of entries, by scitt-cose and pycose.

use std::path::{Path, PathBuf};

use entente_evidence::proof::SignedStatement;
use entente_ledger::CoseReceipt;
use entente_ledger::receipt::CoseReceiptError;
use entente_ledger::tree::leaf_hash;
use entente_signing::{Ed25519Key, Signer};
use entente_tests::verifiers::{Session, Verifier, vector};
use tempfile::TempDir;

use crate::ledgers::{Written, entry, pem};

/// A folder with the keys of both servers.
struct Desk {
    folder: TempDir,
    session: Session,
}

// === impl Desk ===

impl Desk {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            session: Verifier::Cose.start().unwrap(),
        }
    }

    fn put(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    }

    /// What both tools make of a statement, under the key of this seed.
    fn ask(&mut self, form: &str, bytes: &[u8], seed: u8) -> Result<(), String> {
        let key = Ed25519Key::from_seed(&[seed; 32]).unwrap();
        let key = self.put("key.pem", pem(&key).as_bytes());
        let words = [form.into(), self.put("object", bytes), key];
        self.session.ask(&words).unwrap()
    }
}

/// The golden vectors' keys: `ca-demo/pensions/@ss1` has one, `ca-demo/vital-events/@ss1` the other.
pub(crate) fn seed_of(statement: &SignedStatement) -> u8 {
    match statement.statement().sender_server.as_str() {
        "ca-demo/pensions/@ss1" => 1,
        _ => 2,
    }
}

#[test]
fn others_verify_statements_of_every_kind_signed_alone_and_together() {
    let mut desk = Desk::new();
    for name in STATEMENTS {
        let bytes = vector(&format!("evidence/{name}")).unwrap();
        let signed = SignedStatement::parse(bytes.clone().into()).unwrap();
        let form = if name.starts_with("direct") {
            "direct"
        } else {
            "batch"
        };
        let asked = desk.ask(form, &bytes, seed_of(&signed));
        assert_eq!(asked, Ok(()), "{name}");
    }
}

#[test]
fn others_refuse_a_statement_that_was_changed_or_signed_by_another() {
    let mut desk = Desk::new();
    for form in ["direct", "batch"] {
        let bytes = vector(&format!("evidence/{form}-request")).unwrap();
        let seed = seed_of(&SignedStatement::parse(bytes.clone().into()).unwrap());
        for at in (0..bytes.len()).step_by(3) {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            // The receipt's key id is for whoever looks a key up; these tools are given the key.
            let refused = desk.ask(form, &changed, seed);
            assert!(refused.is_err(), "{form} at {at}");
        }
        assert!(desk.ask(form, &bytes, 3 - seed).is_err(), "{form}");
    }
}

#[test]
fn others_refuse_the_receipt_of_another_statement_of_the_same_batch() {
    let mut desk = Desk::new();
    let (one, other) = ("evidence/batch-request", "evidence/batch-close");
    let (one, other) = (vector(one).unwrap(), vector(other).unwrap());
    let signed = |bytes: &[u8]| SignedStatement::parse(bytes.to_vec().into()).unwrap();
    // The statement of one and the receipt of the other: `[statement, receipt]`, each with its head.
    let statement = 1 + 3 + signed(&one).statement_bytes().len();
    let receipt = 1 + 3 + signed(&other).statement_bytes().len();
    let swapped = [&one[..statement], &other[receipt..]].concat();
    let seed = seed_of(&signed(&one));
    assert_eq!(desk.ask("batch", &one, seed), Ok(()));
    assert!(desk.ask("batch", &swapped, seed).is_err());
}

#[test]
fn others_verify_a_receipt_of_a_ledger_entry_and_nothing_like_it() {
    let written = Written::new(&[5, 700]);
    let mut session = Verifier::Cose.start().unwrap();
    let key = written.keep("ledger.pem", pem(&*written.signer).as_bytes());
    let other = Ed25519Key::from_seed(&[9; 32]).unwrap();
    let wrong_key = written.keep("other.pem", pem(&other).as_bytes());
    let check = |receipt: &[u8], of: &[u8], key: &Path| {
        let (receipt, of) = (written.keep("receipt", receipt), written.keep("of", of));
        ["receipt".into(), receipt, of, key.to_owned()]
    };
    for index in [0, 255, 256, 699] {
        let leaf = leaf_hash(&entry(index));
        let checkpoint = written.checkpoint();
        let proof = written.inclusion(index);
        let receipt = CoseReceipt::sign(&*written.signer, &checkpoint, &proof, &leaf).unwrap();
        let ours = CoseReceipt::verify(&receipt, &written.key, &leaf).unwrap();
        assert_eq!(ours.proof, proof);
        assert!(ours.is_of(checkpoint.checkpoint()));
        let words = check(&receipt, &entry(index), &key);
        session.accepts(&words).unwrap();

        let neighbour = entry(index ^ 1);
        let mut wrong_path = receipt.clone();
        let signature = receipt.len() - 64;
        wrong_path[signature - 20] ^= 1;
        let mut wrong_signature = receipt.clone();
        wrong_signature[signature + 5] ^= 1;
        for (receipt, of, key, why) in [
            (&receipt, &neighbour, &key, "leaf"),
            (&wrong_path, &entry(index), &key, "path"),
            (&wrong_signature, &entry(index), &key, "signature"),
            (&receipt, &entry(index), &wrong_key, "key"),
        ] {
            let refused = session.refuses(&check(receipt, of, key));
            assert!(refused.is_ok(), "{index}, another {why}: {refused:?}");
            if why != "key" {
                let ours = CoseReceipt::verify(receipt, &written.key, &leaf_hash(of));
                assert!(ours.is_err(), "{index}, another {why}");
            }
        }
    }
}

#[test]
fn a_receipt_says_where_an_entry_is_only_together_with_a_checkpoint() {
    let written = Written::new(&[5]);
    let (checkpoint, proof) = (written.checkpoint(), written.inclusion(1));
    let leaf = leaf_hash(&entry(1));
    let receipt = CoseReceipt::sign(&*written.signer, &checkpoint, &proof, &leaf).unwrap();
    // `[5, 1, …]` becomes `[6, 1, …]`: the path leads to the same root, so the signature holds.
    let at = receipt.windows(3).position(|w| w == [0x83, 5, 1]).unwrap();
    let mut moved = receipt.clone();
    moved[at + 1] = 6;
    let read = CoseReceipt::verify(&moved, &written.key, &leaf).unwrap();
    assert!(!read.is_of(checkpoint.checkpoint()));
    // Of every other changed byte, nothing is left standing.
    for at in 0..receipt.len() {
        let mut changed = receipt.clone();
        changed[at] ^= 1;
        let read = CoseReceipt::verify(&changed, &written.key, &leaf);
        let stands = read.is_ok_and(|read| read.is_of(checkpoint.checkpoint()));
        assert!(!stands, "byte {at}");
    }
    let long = vec![0; CoseReceipt::MAX_LEN + 1];
    let read = CoseReceipt::verify(&long, &written.key, &leaf);
    assert_eq!(read, Err(CoseReceiptError::Path));
}

#[test]
fn a_receipt_is_signed_for_nothing_that_a_checkpoint_does_not_vouch_for() {
    let written = Written::new(&[5]);
    let (checkpoint, proof) = (written.checkpoint(), written.inclusion(1));
    let another = leaf_hash(&entry(2));
    assert!(CoseReceipt::sign(&*written.signer, &checkpoint, &proof, &another).is_err());
    let leaf = leaf_hash(&entry(1));
    let smaller = entente_ledger::proof::InclusionProof { size: 6, ..proof };
    assert!(CoseReceipt::sign(&*written.signer, &checkpoint, &smaller, &leaf).is_err());
    let p256 = entente_signing::P256Key::generate().unwrap();
    let signer: &dyn Signer = &p256;
    let proof = written.inclusion(1);
    assert!(CoseReceipt::sign(signer, &checkpoint, &proof, &leaf).is_err());
}

/// Golden vectors of every kind, in both forms.
pub(crate) const STATEMENTS: [&str; 13] = [
    "direct-request",
    "direct-request-full",
    "direct-response",
    "direct-fault-refused",
    "direct-fault-failed",
    "direct-close",
    "direct-close-aborted",
    "direct-progress",
    "batch-request",
    "batch-response",
    "batch-fault",
    "batch-close",
    "batch-progress",
];
