//! Our own witness: what it answers over HTTP, and what it never forgets.

mod asked;
mod forks;
mod keys;
mod service;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use entente_clock::{ManualClock, Timestamp};
use entente_follow::witness::{AddError, KnownLogs, Witness, WitnessConfig, WitnessError};
use entente_ledger::note::{NoteKey, NoteSignature};
use entente_ledger::proof::{ConsistencyProof, Nodes};
use entente_ledger::tree::{empty_root, leaf_hash, root_of};
use entente_ledger::witness::{AddCheckpoint, Refused};
use entente_ledger::{Checkpoint, SignedCheckpoint, cosignature};
use entente_signing::{Digest, Ed25519Key, Signer};
use entente_testkit::MemDisk;

const ORIGIN: &str = "ss1.pensions.ca-demo/access/2026h2.1";
const NAME: &str = "witness.example";
const NOW: Timestamp = Timestamp::from_millis(1_795_305_600_000);
const LOG: u8 = 1;
const WITNESS: u8 = 2;
/// How many leaves all forks have in common.
const COMMON: u64 = 3;

/// A tree of the log; trees of different forks are the same up to [`COMMON`].
#[derive(Clone, Debug)]
struct Tree(Vec<Digest>);

/// Knows the one log.
#[derive(Debug)]
struct OneLog;

/// What was cosigned, of each size.
#[derive(Clone, Debug, Default)]
struct Cosigned(BTreeMap<u64, Digest>);

fn key(seed: u8) -> Ed25519Key {
    Ed25519Key::from_seed(&[seed; 32]).unwrap()
}

fn log_key() -> NoteKey {
    NoteKey::new(ORIGIN, key(LOG).verifying_key().clone()).unwrap()
}

fn origin() -> Digest {
    Digest::of(ORIGIN.as_bytes())
}

fn witness_with(disk: &MemDisk, signer: Arc<dyn Signer>) -> Result<Witness, WitnessError> {
    Witness::open(WitnessConfig {
        name: NAME.to_owned(),
        signer,
        dir: "/witness".into(),
        disk: Arc::new(disk.clone()),
        clock: Arc::new(ManualClock::at(NOW)),
        logs: Arc::new(OneLog),
    })
}

fn witness(disk: &MemDisk) -> Result<Witness, WitnessError> {
    witness_with(disk, Arc::new(key(WITNESS)))
}

/// What it keeps as evidence.
fn evidence(disk: &MemDisk) -> Vec<Vec<u8>> {
    let files = disk.files().into_iter();
    let files = files.filter(|(path, _)| path.starts_with(Path::new("/witness/evidence")));
    files.map(|(_, content)| content).collect()
}

/// Submits a tree as a log does that lost count: it learns from refusals what the witness has seen.
fn submit(witness: &Witness, tree: &Tree) -> Result<NoteSignature, AddError> {
    let mut old = 0;
    loop {
        match witness.add(tree.request(old).to_string().as_bytes()) {
            Err(AddError::Refused(Refused::Conflict(seen))) => old = seen,
            answered => return answered,
        }
    }
}

// === impl Tree ===

impl Tree {
    fn of(fork: u64, size: u64) -> Self {
        let leaf = |at: u64| {
            let fork = if at < COMMON { 0 } else { fork };
            leaf_hash(&[at.to_be_bytes(), fork.to_be_bytes()].concat())
        };
        Self((0..size).map(leaf).collect())
    }

    fn size(&self) -> u64 {
        self.0.len() as u64
    }

    fn root(&self) -> Digest {
        root_of(&self.0)
    }

    fn signed_with(&self, seed: u8) -> SignedCheckpoint {
        let checkpoint = Checkpoint {
            origin: ORIGIN.to_owned(),
            size: self.size(),
            root: self.root(),
        };
        SignedCheckpoint::sign(checkpoint, &key(seed)).unwrap()
    }

    fn signed(&self) -> SignedCheckpoint {
        self.signed_with(LOG)
    }

    /// With the proof from `old`, which is empty where there can be none.
    fn request(&self, old: u64) -> AddCheckpoint {
        let proof = ConsistencyProof::build(&mut self.clone(), old, self.size()).unwrap();
        AddCheckpoint {
            old_size: old,
            proof: proof.map_or_else(Vec::new, |proof| proof.path),
            note: self.signed().note().clone(),
        }
    }
}

impl Nodes for Tree {
    type Error = std::convert::Infallible;

    fn node(&mut self, level: u8, index: u64) -> Result<Digest, Self::Error> {
        let leaves = (index << level) as usize..((index + 1) << level) as usize;
        Ok(root_of(&self.0[leaves]))
    }
}

// === impl OneLog ===

impl KnownLogs for OneLog {
    fn keys(&self, origin: &str, _size: u64) -> Vec<NoteKey> {
        let known = (origin == ORIGIN).then(log_key);
        known.into_iter().collect()
    }
}

// === impl Cosigned ===

impl Cosigned {
    /// Submits a tree, and looks at what is shown then; fails when another of that size was cosigned.
    fn submit(&mut self, witness: &Witness, tree: &Tree) {
        if let Ok(line) = submit(witness, tree) {
            let mut checkpoint = tree.signed();
            checkpoint.add(line);
            self.learn(witness, &checkpoint);
        }
        self.look(witness);
    }

    /// What it shows to anybody is out.
    fn look(&mut self, witness: &Witness) {
        if let Ok(Some(shown)) = witness.latest(&origin()) {
            let shown = SignedCheckpoint::verify(&shown, &log_key()).unwrap();
            self.learn(witness, &shown);
        }
    }

    fn learn(&mut self, witness: &Witness, checkpoint: &SignedCheckpoint) {
        cosignature::verify(checkpoint, witness.key()).unwrap();
        let (size, root) = (checkpoint.size(), checkpoint.root());
        let first = *self.0.entry(size).or_insert(root);
        assert_eq!(first, root, "two roots of size {size}");
    }
}

#[test]
fn trees_of_different_forks_begin_alike() {
    let root = |fork, size| Tree::of(fork, size).root();
    assert_eq!(root(1, 0), empty_root());
    assert_eq!(root(1, COMMON), root(2, COMMON));
    assert_ne!(root(1, COMMON + 1), root(2, COMMON + 1));
}
