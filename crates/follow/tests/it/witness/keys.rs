//! A log whose key is replaced: both keys named, one tree, and never back.

use std::sync::Arc;

use entente_clock::ManualClock;
use entente_follow::witness::{AddError, KnownLogs, Witness, WitnessConfig};
use entente_ledger::note::{NoteKey, NoteSignature};
use entente_ledger::witness::{AddCheckpoint, Refused};
use entente_signing::Signer as _;
use entente_testkit::MemDisk;

use super::{LOG, NAME, NOW, ORIGIN, Tree, WITNESS, key};

const NEXT: u8 = 5;

/// What an operator named for one origin, in this order.
#[derive(Debug)]
struct Named(Vec<u8>);

impl KnownLogs for Named {
    fn keys(&self, origin: &str, _size: u64) -> Vec<NoteKey> {
        let keys = self.0.iter().filter(|_| origin == ORIGIN);
        let public = |seed: &u8| key(*seed).verifying_key().clone();
        keys.map(|seed| NoteKey::new(ORIGIN, public(seed)).unwrap())
            .collect()
    }
}

fn witness(disk: &MemDisk, keys: &[u8]) -> Witness {
    Witness::open(WitnessConfig {
        name: NAME.to_owned(),
        signer: Arc::new(key(WITNESS)),
        dir: "/witness".into(),
        disk: Arc::new(disk.clone()),
        clock: Arc::new(ManualClock::at(NOW)),
        logs: Arc::new(Named(keys.to_vec())),
    })
    .unwrap()
}

/// Submits a tree that the log signed with this key, after one of `old` leaves.
fn submit(witness: &Witness, tree: &Tree, seed: u8, old: u64) -> Result<NoteSignature, Refused> {
    let request = AddCheckpoint {
        note: tree.signed_with(seed).note().clone(),
        ..tree.request(old)
    };
    let added = witness.add(request.to_string().as_bytes());
    added.map_err(|error| match error {
        AddError::Refused(refused) => refused,
        error => panic!("{error}"),
    })
}

#[test]
fn a_witness_that_was_told_both_keys_never_goes_back_to_the_old_one() {
    let disk = MemDisk::new();
    let told = witness(&disk, &[LOG, NEXT]);
    submit(&told, &Tree::of(1, 4), LOG, 0).unwrap();
    submit(&told, &Tree::of(1, 6), LOG, 4).unwrap();
    submit(&told, &Tree::of(1, 8), NEXT, 6).unwrap();
    let back = submit(&told, &Tree::of(1, 9), LOG, 8);
    assert_eq!(back, Err(Refused::Unsigned));
    // Nor at the size it cosigned, nor after it was started again.
    let same = submit(&told, &Tree::of(1, 8), LOG, 8);
    assert_eq!(same, Err(Refused::Unsigned));
    drop(told);
    let again = witness(&disk, &[LOG, NEXT]);
    let back = submit(&again, &Tree::of(1, 9), LOG, 8);
    assert_eq!(back, Err(Refused::Unsigned));
    submit(&again, &Tree::of(1, 9), NEXT, 8).unwrap();
}

#[test]
fn two_keys_of_one_origin_sign_one_tree() {
    for seed in [LOG, NEXT] {
        let witness = witness(&MemDisk::new(), &[LOG, NEXT]);
        submit(&witness, &Tree::of(1, 6), LOG, 0).unwrap();
        // Another root of a size, and a tree that does not continue the one it cosigned.
        let other = submit(&witness, &Tree::of(2, 6), seed, 6);
        assert_eq!(other, Err(Refused::OtherRoot));
        let other = submit(&witness, &Tree::of(2, 8), seed, 6);
        assert_eq!(other, Err(Refused::Inconsistent));
        submit(&witness, &Tree::of(1, 8), NEXT, 6).unwrap();
    }
}

#[test]
fn a_key_that_nobody_named_signs_nothing() {
    let disk = MemDisk::new();
    let old = witness(&disk, &[LOG]);
    submit(&old, &Tree::of(1, 6), LOG, 0).unwrap();
    let unknown = submit(&old, &Tree::of(1, 8), NEXT, 6);
    assert_eq!(unknown, Err(Refused::Unsigned));
    drop(old);
    // Its operator names the new key in the old one's place: the tree goes on.
    let new = witness(&disk, &[NEXT]);
    submit(&new, &Tree::of(1, 8), NEXT, 6).unwrap();
}
