//! The second verifier, `tests/conformance/verify.py`, and ours: the same verdict on the same bytes.
//!
//! Where the two differ, one of them is wrong about what Entente's evidence is.

use std::path::PathBuf;

use bytes::Bytes;
use entente_evidence::commitment::{Field, commit};
use entente_evidence::opening::{Kept, KeptOpening};
use entente_evidence::proof::{SignedStatement, sign_direct};
use entente_evidence::statement::Statement;
use entente_ledger::checkpoint::SignedCheckpoint;
use entente_ledger::proof::TlogProof;
use entente_ledger::tree::leaf_hash;
use entente_ledger::{CoseReceipt, Entry};
use entente_signing::cbor::Writer;
use entente_signing::cose::{Protected, sign1};
use entente_signing::{Ed25519Key, Signer};
use entente_testkit::entries::samples;
use entente_tests::verifiers::{Session, Verifier, vector};

use crate::cose::{STATEMENTS, seed_of};
use crate::ledgers::{Written, entry, pem};

mod folder;

/// Both verifiers, with a folder for the bytes they look at.
struct Judges {
    folder: tempfile::TempDir,
    second: Session,
    /// How often both accepted, and how often both refused.
    agreed: [usize; 2],
}

/// Random numbers from a seed that is printed.
struct Random(u64);

// === impl Judges ===

impl Judges {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            second: Verifier::Second.start().unwrap(),
            agreed: [0; 2],
        }
    }

    fn put(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    }

    /// Fails unless the second verifier comes to the verdict `ours`.
    fn compare(&mut self, ours: bool, words: &[PathBuf], what: &str) {
        let second = self.second.ask(words).unwrap();
        assert_eq!(
            ours,
            second.is_ok(),
            "ours accepts: {ours}; {second:?}: {what}"
        );
        self.agreed[usize::from(!ours)] += 1;
    }

    /// Compares verdicts on `bytes`, which both accept, and on much that is like them.
    fn compare_around(
        &mut self,
        name: &str,
        bytes: &[u8],
        random: &mut Random,
        words: &[PathBuf],
        ours: impl Fn(&[u8]) -> bool,
    ) {
        assert!(ours(bytes), "{name}");
        let object = self.put("object", bytes);
        let words: Vec<_> = words
            .iter()
            .map(|word| match word.to_str() {
                Some("OBJECT") => object.clone(),
                _ => word.clone(),
            })
            .collect();
        self.compare(true, &words, name);
        for at in 0..bytes.len() {
            // Long objects at every third byte, of another seed each time.
            if bytes.len() > 300 && random.below(3) > 0 {
                continue;
            }
            for changed in random.changes(bytes, at) {
                self.put("object", &changed);
                let what = format!("{name} at {at}: {}", hex::encode(&changed));
                self.compare(ours(&changed), &words, &what);
            }
        }
        self.put("object", &[bytes, &[0]].concat());
        self.compare(false, &words, name);
    }
}

// === impl Random ===

impl Random {
    fn new() -> Self {
        let key = Ed25519Key::generate().unwrap();
        let digest = key.verifying_key().spki_digest();
        let fresh = u64::from_be_bytes(*digest.as_bytes().first_chunk().unwrap());
        let again = std::env::var("ENTENTE_SEED").ok();
        let seed = again.map_or(fresh, |seed| seed.parse().unwrap());
        eprintln!("ENTENTE_SEED={seed}");
        Self(seed)
    }

    fn below(&mut self, bound: u64) -> u64 {
        let next = self.0.wrapping_mul(6_364_136_223_846_793_005);
        self.0 = next.wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }

    /// One bit of byte `at` flipped; and now and then the byte gone, doubled, another, or all after it gone.
    fn changes(&mut self, bytes: &[u8], at: usize) -> Vec<Vec<u8>> {
        let mut flipped = bytes.to_vec();
        flipped[at] ^= 1 << self.below(8);
        let other = match self.below(8) {
            0 => [&bytes[..at], &bytes[at + 1..]].concat(),
            1 => [&bytes[..=at], &bytes[at..]].concat(),
            2 => bytes[..at].to_vec(),
            3 => {
                let mut other = bytes.to_vec();
                other[at] = self.below(256) as u8;
                other
            }
            _ => return vec![flipped],
        };
        vec![flipped, other]
    }
}

fn words<const N: usize>(words: [&str; N]) -> [PathBuf; N] {
    words.map(PathBuf::from)
}

#[test]
fn both_judge_statements_and_their_proofs_alike() {
    let (mut judges, mut random) = (Judges::new(), Random::new());
    for name in STATEMENTS {
        let bytes = vector(&format!("evidence/{name}")).unwrap();
        let signed = SignedStatement::parse(bytes.clone().into()).unwrap();
        let key = Ed25519Key::from_seed(&[seed_of(&signed); 32]).unwrap();
        let key_file = judges.put("key.pem", pem(&key).as_bytes());
        let words = ["statement".into(), "OBJECT".into(), key_file];
        judges.compare_around(name, &bytes, &mut random, &words, |bytes| {
            let read = SignedStatement::parse(Bytes::copy_from_slice(bytes));
            read.is_ok_and(|read| read.verify(key.verifying_key()).is_ok())
        });
    }
    eprintln!("both accept, both refuse: {:?}", judges.agreed);
}

#[test]
fn both_judge_statements_alike_that_are_signed_well_and_say_something_else() {
    let (mut judges, mut random) = (Judges::new(), Random::new());
    let key = Ed25519Key::from_seed(&[1; 32]).unwrap();
    let key_file = judges.put("key.pem", pem(&key).as_bytes());
    let words = ["statement".into(), judges.put("object", b""), key_file];
    for name in STATEMENTS
        .iter()
        .filter_map(|name| name.strip_prefix("direct-"))
    {
        let bytes = vector(&format!("evidence/statement-{name}")).unwrap();
        let statement = Statement::decode(&bytes).unwrap();
        let (sender, urn) = (statement.sender.as_str(), statement.message_id.urn());
        let headers = Protected::typed(&key, sender, &urn, "application/entente-stmt+cbor");
        for at in 0..bytes.len() {
            for changed in random.changes(&bytes, at) {
                let signed = sign1(&key, &headers, &changed).unwrap();
                judges.put("object", &signed);
                let read = SignedStatement::parse(signed.into());
                let ours = read.is_ok_and(|read| read.verify(key.verifying_key()).is_ok());
                let what = format!("{name} at {at}: {}", hex::encode(&changed));
                judges.compare(ours, &words, &what);
            }
        }
    }
    // Much of a statement is free to say something else: both verdicts must have come up.
    assert!(
        judges.agreed.iter().all(|count| *count > 500),
        "{:?}",
        judges.agreed
    );
}

#[test]
fn both_judge_entries_of_every_kind_alike() {
    let (mut judges, mut random) = (Judges::new(), Random::new());
    for (name, entry) in samples() {
        let bytes = entry.encode().unwrap();
        let file = format!("ledger/entry-{:02}-{name}", entry.body.kind());
        assert_eq!(vector(&file).unwrap(), bytes);
        let words = words(["entry", "OBJECT"]);
        for _ in 0..2 {
            judges.compare_around(name, &bytes, &mut random, &words, |bytes| {
                Entry::decode(bytes).is_ok()
            });
        }
    }
    assert!(
        judges.agreed.iter().all(|count| *count > 500),
        "{:?}",
        judges.agreed
    );
}

#[test]
fn both_judge_openings_and_tags_alike() {
    let (mut judges, mut random) = (Judges::new(), Random::new());
    let request = vector("evidence/direct-response").unwrap();
    let signed = SignedStatement::parse(request.clone().into()).unwrap();
    // The kept openings are of values that no golden statement commits to: one that does is signed here.
    let kept = Bytes::from(vector("evidence/kept-payload").unwrap());
    let openings = Kept::decode(&kept).unwrap();
    let mut statement = signed.statement().clone();
    statement.commitments = openings
        .as_slice()
        .iter()
        .map(|kept| {
            let value = kept.value.as_deref().unwrap();
            let committed = commit(kept.field, &kept.salt, &[value]);
            (kept.field, committed)
        })
        .collect();
    let commitments = statement.commitments.clone();
    let key = Ed25519Key::from_seed(&[1; 32]).unwrap();
    let signed = sign_direct(&key, statement).unwrap();
    let of = judges.put("statement", signed.bytes());
    let words = ["openings".into(), "OBJECT".into(), of];
    let opened = [
        words[0].clone(),
        judges.put("object", b""),
        words[2].clone(),
    ];
    for name in ["evidence/kept", "evidence/kept-payload"] {
        let bytes = vector(name).unwrap();
        judges.compare_around(name, &bytes, &mut random, &words, |bytes| {
            let kept = Kept::decode(&Bytes::copy_from_slice(bytes));
            kept.is_ok_and(|kept| kept.check(&commitments).is_ok())
        });
    }
    // Well-formed lists of the same openings that say it in another order, twice, or not at all.
    let rows: Vec<_> = openings.as_slice().to_vec();
    let (first, last) = (rows[0].clone(), rows[rows.len() - 1].clone());
    let hidden = KeptOpening {
        value: None,
        ..first.clone()
    };
    let uncommitted = KeptOpening {
        field: Field::new(9).unwrap(),
        ..first.clone()
    };
    for (list, what) in [
        (rows.iter().rev().cloned().collect(), "backwards"),
        (vec![first.clone(), first], "twice"),
        (vec![hidden, last.clone()], "a value that is missing"),
        (vec![uncommitted, last], "a field that nothing commits to"),
        (Vec::new(), "none"),
    ] {
        let bytes = kept_bytes(&list);
        let read = Kept::decode(&bytes);
        let ours = read.is_ok_and(|kept| kept.check(&commitments).is_ok());
        assert_eq!(ours, what == "none", "{what}");
        judges.put("object", &bytes);
        judges.compare(ours, &opened, what);
    }
    let tag = judges.put("tag", &vector("evidence/tag").unwrap());
    judges.compare(true, &["tag".into(), tag.clone()], "the tag");
    let bytes = std::fs::read(&tag).unwrap();
    for at in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[at] ^= 1 << random.below(8);
        judges.put("tag", &changed);
        judges.compare(false, &["tag".into(), tag.clone()], "a tag");
    }
}

#[test]
fn both_judge_checkpoints_proofs_and_receipts_alike() {
    let (mut judges, mut random) = (Judges::new(), Random::new());
    let written = Written::new(&[5, 21]).cosigned();
    let (key, vkey) = (&written.key, written.key.to_string());
    let checkpoint = written.checkpoint();
    let note = checkpoint.note().to_string();
    let words = ["checkpoint".into(), "OBJECT".into(), PathBuf::from(&vkey)];
    judges.compare_around(
        "checkpoint",
        note.as_bytes(),
        &mut random,
        &words,
        |bytes| SignedCheckpoint::verify(bytes, key).is_ok(),
    );
    let note = judges.put("note", note.as_bytes());
    for index in [0, 16, 20] {
        let leaf = leaf_hash(&entry(index));
        let of = judges.put("entry", &entry(index));
        let words = [
            "proof".into(),
            "OBJECT".into(),
            of.clone(),
            PathBuf::from(&vkey),
        ];
        let proof = written.proof(index).to_string();
        judges.compare_around("proof", proof.as_bytes(), &mut random, &words, |bytes| {
            let Ok(text) = std::str::from_utf8(bytes) else {
                return false;
            };
            let Ok(proof) = text.parse::<TlogProof>() else {
                return false;
            };
            let at = SignedCheckpoint::verify(proof.checkpoint.as_bytes(), key);
            at.is_ok_and(|at| proof.inclusion(at.size()).verify(&leaf, &at.root()).is_ok())
        });
        let proof = written.inclusion(index);
        let receipt = CoseReceipt::sign(&*written.signer, &checkpoint, &proof, &leaf).unwrap();
        let words = [
            "receipt".into(),
            "OBJECT".into(),
            of,
            PathBuf::from(&vkey),
            note.clone(),
        ];
        judges.compare_around("receipt", &receipt, &mut random, &words, |bytes| {
            let read = CoseReceipt::verify(bytes, key, &leaf);
            read.is_ok_and(|read| read.is_of(checkpoint.checkpoint()))
        });
    }
}

/// Openings as they are kept, in this order.
fn kept_bytes(list: &[KeptOpening]) -> Bytes {
    let mut writer = Writer::new();
    writer.array(list.len());
    for opening in list {
        let number = u64::from(opening.field.number());
        writer.array(3).uint(number).bytes(opening.salt.as_bytes());
        match &opening.value {
            Some(value) => writer.bytes(value),
            None => writer.null(),
        };
    }
    writer.into_vec().into()
}
