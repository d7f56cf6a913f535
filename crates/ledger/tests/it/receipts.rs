//! COSE receipts of entries.

use entente_ledger::CoseReceipt;
use entente_ledger::checkpoint::{Checkpoint, SignedCheckpoint};
use entente_ledger::note::NoteKey;
use entente_ledger::proof::{InclusionProof, Nodes};
use entente_ledger::tree::{leaf_hash, root_of};
use entente_signing::{Digest, Ed25519Key, Signer};

use crate::support::{ORIGIN, entry};

/// A tree held whole.
struct Leaves(Vec<Digest>);

// === impl Leaves ===

impl Nodes for Leaves {
    type Error = std::convert::Infallible;

    fn node(&mut self, level: u8, index: u64) -> Result<Digest, Self::Error> {
        let start = (index << level) as usize;
        Ok(root_of(&self.0[start..start + (1 << level)]))
    }
}

#[test]
fn every_entry_of_every_small_ledger_has_a_receipt_that_is_its_own() {
    let signer = Ed25519Key::from_seed(&[7; 32]).unwrap();
    let key = NoteKey::new(ORIGIN, signer.verifying_key().clone()).unwrap();
    for size in 1..=34 {
        let leaves: Vec<_> = (0..size).map(|index| leaf_hash(&entry(index))).collect();
        let checkpoint = Checkpoint {
            origin: ORIGIN.to_owned(),
            size,
            root: root_of(&leaves),
        };
        let checkpoint = SignedCheckpoint::sign(checkpoint, &signer).unwrap();
        for index in 0..size {
            let leaf = leaves[index as usize];
            let mut nodes = Leaves(leaves.clone());
            let Ok(proof) = InclusionProof::build(&mut nodes, index, size);
            let proof = proof.unwrap();
            let bytes = CoseReceipt::sign(&signer, &checkpoint, &proof, &leaf).unwrap();
            let receipt = CoseReceipt::verify(&bytes, &key, &leaf).unwrap();
            assert_eq!((&receipt.proof, receipt.root), (&proof, checkpoint.root()));
            assert!(receipt.is_of(checkpoint.checkpoint()));
            let other = leaf_hash(&entry(index + 1));
            assert!(CoseReceipt::verify(&bytes, &key, &other).is_err());
        }
    }
}

#[test]
fn a_receipt_of_another_ledger_or_key_is_refused() {
    let signer = Ed25519Key::from_seed(&[7; 32]).unwrap();
    let leaf = leaf_hash(&entry(0));
    let proof = InclusionProof {
        index: 0,
        size: 1,
        path: Vec::new(),
    };
    let checkpoint = Checkpoint {
        origin: ORIGIN.to_owned(),
        size: 1,
        root: leaf,
    };
    let checkpoint = SignedCheckpoint::sign(checkpoint, &signer).unwrap();
    let bytes = CoseReceipt::sign(&signer, &checkpoint, &proof, &leaf).unwrap();
    let other = Ed25519Key::from_seed(&[8; 32]).unwrap();
    for (name, key, is_its) in [
        (ORIGIN, &signer, true),
        ("another.ledger/access", &signer, false),
        (ORIGIN, &other, false),
    ] {
        let key = NoteKey::new(name, key.verifying_key().clone()).unwrap();
        let read = CoseReceipt::verify(&bytes, &key, &leaf);
        assert_eq!(read.is_ok(), is_its, "{name}");
    }
}
