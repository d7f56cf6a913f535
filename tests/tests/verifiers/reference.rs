//! Vectors by another hand, written before this code: a ledger, its proofs, a receipt, a commitment and
//! tags. `tests/conformance/vectors/reference` says what they are.

use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use entente_clock::{ManualClock, Timestamp};
use entente_evidence::commitment::{Field, Salt, commit};
use entente_evidence::proof::SignedStatement;
use entente_evidence::statement::MessageId;
use entente_evidence::tag::{SubjectKey, TagKey};
use entente_keys::pem;
use entente_ledger::checkpoint::SignedCheckpoint;
use entente_ledger::cosignature;
use entente_ledger::disk::RealDisk;
use entente_ledger::log::Log;
use entente_ledger::note::{NoteKey, WitnessKey};
use entente_ledger::proof::TlogProof;
use entente_ledger::tile::decode_bundle;
use entente_ledger::tree::{empty_root, leaf_hash};
use entente_ledger::witness::WitnessPolicy;
use entente_ledger::{Append, CoseReceipt, LedgerConfig, NoCompanion, Reader};
use entente_signing::cose::Sign1;
use entente_signing::{Digest, Ed25519Key, Signer, VerifyingKey};
use entente_tests::verifiers::{Verifier, conformance};

use crate::ledgers::files;

fn path(name: &str) -> PathBuf {
    conformance().join("vectors/reference").join(name)
}

fn bytes(name: &str) -> Vec<u8> {
    std::fs::read(path(name)).unwrap()
}

fn text(name: &str) -> String {
    String::from_utf8(bytes(name)).unwrap()
}

/// A value of `vectors.json`, from its hexadecimal.
fn value(name: &str) -> Vec<u8> {
    let all: serde_json::Value = serde_json::from_str(&text("vectors.json")).unwrap();
    hex::decode(all[name].as_str().unwrap()).unwrap()
}

fn key() -> NoteKey {
    text("logB.vkey").trim().parse().unwrap()
}

fn checkpoint() -> SignedCheckpoint {
    SignedCheckpoint::verify(&bytes("checkpoint"), &key()).unwrap()
}

/// Keys there are made from names.
fn named_key(name: &str) -> Ed25519Key {
    let seed = Digest::of(format!("entente-test {name}").as_bytes());
    Ed25519Key::from_seed(seed.as_bytes()).unwrap()
}

#[test]
fn the_reference_ledger_is_what_our_writer_writes() {
    let bundle = Bytes::from(bytes("logB/tile/entries/000.p/5"));
    let entries = decode_bundle(&bundle, 5).unwrap();
    assert_eq!(entries[1], bytes("entry1.bin"));
    let folder = tempfile::tempdir().unwrap();
    let signer: Arc<dyn Signer> = Arc::new(named_key("log B"));
    let mut log = Log::open(LedgerConfig {
        preallocate: false,
        ..LedgerConfig::new(
            folder.path(),
            key().name(),
            signer,
            Arc::new(RealDisk),
            Box::new(NoCompanion),
            Arc::new(ManualClock::at(Timestamp::from_millis(1_800_000_000_000))),
        )
    })
    .unwrap();
    let append = |entry: &Bytes| Append {
        entry: entry.clone(),
        attachment: None,
    };
    let appends: Vec<_> = entries.iter().map(append).collect();
    log.appender.append_batch(&appends).unwrap();
    log.close().unwrap();

    let tiles = |dir: PathBuf| -> Vec<_> {
        let files = files(&dir).into_iter();
        files.filter(|(path, _)| path.starts_with("tile")).collect()
    };
    assert_eq!(tiles(folder.path().join("log")), tiles(path("logB")));
    // Ed25519 signs the same bytes the same way, so even the log's own line is equal.
    let ours = std::fs::read_to_string(folder.path().join("log/checkpoint")).unwrap();
    assert!(text("checkpoint").starts_with(&ours));
    assert_eq!(checkpoint().note().to_string(), text("checkpoint"));
    for (witness, seconds) in text("witness.vkeys")
        .lines()
        .zip([1_795_305_661, 1_795_305_662])
    {
        let witness: WitnessKey = witness.parse().unwrap();
        let at = cosignature::verify(&checkpoint(), &witness).unwrap();
        assert_eq!(at, Timestamp::from_millis(1000 * seconds));
    }
    let policy: WitnessPolicy = text("policy").parse().unwrap();
    assert!(
        policy
            .judge(&Arc::new(checkpoint()), Timestamp::MAX)
            .is_some()
    );
    assert_eq!(checkpoint().root().as_bytes()[..], value("root"));
    assert_eq!(empty_root().as_bytes()[..], value("empty_tree_root"));
}

#[test]
fn the_reference_proof_and_receipt_verify_and_are_what_we_write() {
    let entry = bytes("entry1.bin");
    let leaf = leaf_hash(&entry);
    assert_eq!(leaf.as_bytes()[..], value("leaf_hash_entry1"));
    let proof: TlogProof = text("entry1.tlog-proof").parse().unwrap();
    assert_eq!(proof.to_string(), text("entry1.tlog-proof"));
    let at = SignedCheckpoint::verify(proof.checkpoint.as_bytes(), &key()).unwrap();
    let inclusion = proof.inclusion(at.size());
    inclusion.verify(&leaf, &at.root()).unwrap();
    assert!(
        inclusion
            .verify(&leaf_hash(b"another"), &at.root())
            .is_err()
    );

    let receipt = bytes("entry1.receipt.cose");
    let read = CoseReceipt::verify(&receipt, &key(), &leaf).unwrap();
    assert!(read.is_of(checkpoint().checkpoint()));
    let signer = named_key("log B");
    let ours = CoseReceipt::sign(&signer, &checkpoint(), &inclusion, &leaf).unwrap();
    assert_eq!(hex::encode(ours), hex::encode(receipt));
}

#[test]
fn the_reference_commitment_and_tags_are_what_we_compute() {
    let salt = Salt::from_bytes(bytes("payload.salt").try_into().unwrap());
    let payload = bytes("payload.bin");
    let committed = commit(Field::PAYLOAD, &salt, &[&payload]);
    assert_eq!(committed.as_bytes()[..], value("commit_payload"));
    let all: serde_json::Value = serde_json::from_str(&text("vectors.json")).unwrap();
    let subject = all["subject"].as_str().unwrap().as_bytes();
    let message = MessageId::from_slice(&value("mid")).unwrap();
    for (side, origin) in [
        ("A", "ss1.pop.ee.entente.example/access"),
        ("B", "ss1.health.fi.entente.example/access"),
    ] {
        let secret = value(&format!("K_tag_{side}_hex")).try_into().unwrap();
        let of_subject = TagKey::new(&secret).subject_key_of_bytes(subject);
        let expected = value(&format!("subject_key_{side}_hex"));
        assert_eq!(of_subject.expose()[..], expected);
        let given = SubjectKey::new(expected.try_into().unwrap());
        let tag = given.tag(&origin.parse().unwrap(), &message);
        assert_eq!(tag[..], value(&format!("tag_in_{side}")));
    }
}

#[test]
fn the_reference_signatures_verify_and_their_older_statements_are_refused() {
    for (name, signer) in [("request", "session A"), ("response", "session B")] {
        let object = bytes(&format!("{name}.cose"));
        let read = Sign1::parse(&object).unwrap();
        let payload = read.payload().unwrap();
        let signed = bytes(&format!("{name}.sigstruct"));
        assert_eq!(read.signed_bytes(payload), signed);
        let signer = named_key(signer);
        let key: &VerifyingKey = signer.verifying_key();
        read.verify(key).unwrap();
        let signature: [u8; 64] = bytes(&format!("{name}.sig")).try_into().unwrap();
        key.verify(&signed, &signature).unwrap();
        // They lack keys that a statement must have by now.
        assert!(SignedStatement::parse(object.into()).is_err());
    }
    let request = Digest::of(&bytes("request.cose"));
    assert_eq!(request.as_bytes()[..], value("req_statement_hash"));
    for (file, name) in [("sessionA", "session A"), ("sessionB", "session B")] {
        let pem = pem::decode(pem::PUBLIC_KEY, &bytes(&format!("{file}.pub.pem"))).unwrap();
        assert_eq!(pem, named_key(name).verifying_key().spki_der());
    }
}

#[test]
fn every_other_verifier_accepts_the_reference_ledger() {
    let key = key().to_string();
    let [ledger, proof, entry] = ["logB", "entry1.tlog-proof", "entry1.bin"].map(path);
    for verifier in [Verifier::Go, Verifier::AicsTlog, Verifier::Second] {
        let mut session = verifier.start().unwrap();
        let words = ["ledger".into(), ledger.clone(), key.clone().into()];
        session.accepts(&words).unwrap();
        let proof = [
            "proof".into(),
            proof.clone(),
            entry.clone(),
            key.clone().into(),
        ];
        session.accepts(&proof).unwrap();
    }
    let [receipt, pem] = ["entry1.receipt.cose", "logB.pub.pem"].map(path);
    let words = ["receipt".into(), receipt.clone(), entry.clone(), pem];
    Verifier::Cose.start().unwrap().accepts(&words).unwrap();
    let words = [
        "receipt".into(),
        receipt,
        entry,
        key.into(),
        path("checkpoint"),
    ];
    Verifier::Second.start().unwrap().accepts(&words).unwrap();
    assert!(Reader::open(Arc::new(RealDisk), ledger).is_err());
}
