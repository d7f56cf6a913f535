//! The ledger's files, read by code that shares nothing with ours: the crates `tlog_tiles` and
//! `signed_note`.

#![allow(
    clippy::unwrap_used,
    reason = "a scenario that cannot go on has failed"
)]

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use entente_clock::{ManualClock, Timestamp};
use entente_ledger::disk::Disk;
use entente_ledger::log::Log;
use entente_ledger::note::{NoteKey, NoteSignature, SignedNote};
use entente_ledger::proof::{ConsistencyProof, InclusionProof, TlogProof};
use entente_ledger::tree::leaf_hash;
use entente_ledger::{Append, LedgerConfig, NoCompanion, Reader, Witnessed};
use entente_signing::{Digest, Ed25519Key, Signer};
use entente_testkit::MemDisk;
use signed_note::{Note, StandardVerifier, VerifierList};
use tlog_tiles::{
    Hash, HashReader, Tile, TileHashReader, TileReader, check_record, check_tree, prove_record,
    prove_tree, record_hash, stored_hash_index, tree_hash,
};

const DIR: &str = "/ledger";
const ORIGIN: &str = "ss1.service-ontario.ca-on/access/2026h2.1";

/// Serves our files by their paths, as a plain web server would.
struct Served(MemDisk);

// === impl Served ===

impl TileReader for Served {
    fn height(&self) -> u8 {
        8
    }

    fn read_tiles(&self, tiles: &[Tile]) -> Result<Vec<Vec<u8>>, tlog_tiles::Error> {
        tiles
            .iter()
            .map(|tile| {
                let path = tile.path().replacen("tile/8/", "tile/", 1);
                let path = Path::new(DIR).join("log").join(path);
                let bytes = self.0.read(&path);
                bytes.map_err(|error| tlog_tiles::Error::InvalidInput(error.to_string()))
            })
            .collect()
    }

    fn save_tiles(&self, _: &[Tile], _: &[Vec<u8>]) {}
}

fn entry(index: u64) -> Bytes {
    let mut entry = index.to_be_bytes().to_vec();
    entry.resize(8 + (index % 29) as usize, b'e');
    entry.into()
}

fn theirs(digest: &Digest) -> Hash {
    Hash(*digest.as_bytes())
}

fn ours(hashes: &[Hash]) -> Vec<Digest> {
    hashes
        .iter()
        .map(|hash| Digest::from_bytes(hash.0))
        .collect()
}

/// Sizes on both sides of every boundary, and some between; ascending.
fn sizes() -> Vec<u64> {
    let mut sizes = vec![
        1, 2, 3, 255, 256, 257, 511, 512, 513, 65_535, 65_536, 65_537, 65_792, 70_000,
    ];
    let mut random = [0; 20];
    getrandom_into(&mut random);
    for pair in random.chunks(2) {
        sizes.push(1 + u64::from(u16::from_be_bytes([pair[0], pair[1]])));
    }
    eprintln!("sizes: {sizes:?}");
    sizes.sort_unstable();
    sizes.dedup();
    sizes
}

/// Random bytes; the sizes they give are printed, so that a failure can be seen again.
fn getrandom_into(bytes: &mut [u8]) {
    let key = Ed25519Key::generate().unwrap();
    let digest = key.verifying_key().spki_digest();
    bytes.copy_from_slice(&digest.as_bytes()[..bytes.len()]);
}

fn verify_note(disk: &MemDisk, key: &NoteKey) -> tlog_tiles::Checkpoint {
    let bytes = disk.read(&Path::new(DIR).join("log/checkpoint")).unwrap();
    let verifier = StandardVerifier::new(&key.to_string()).unwrap();
    let known = VerifierList::new(vec![Box::new(verifier)]);
    let note = Note::from_bytes(&bytes).unwrap();
    let (verified, unknown) = note.verify(&known).unwrap();
    assert_eq!((verified.len(), unknown.len()), (1, 0));
    assert_eq!(note.to_bytes(), bytes);

    // A witness's line is carried, and ignored by who does not know the witness.
    let mut cosigned = SignedNote::parse(&bytes).unwrap();
    cosigned.add(NoteSignature {
        name: "w1.example".to_owned(),
        key_id: [1, 2, 3, 4],
        bytes: vec![5; 72],
    });
    cosigned.verify(key).unwrap();
    let note = Note::from_bytes(cosigned.to_string().as_bytes()).unwrap();
    let (verified, unknown) = note.verify(&known).unwrap();
    assert_eq!((verified.len(), unknown.len()), (1, 1));

    let checkpoint = tlog_tiles::Checkpoint::from_bytes(note.text()).unwrap();
    assert_eq!(checkpoint.origin(), ORIGIN);
    assert_eq!(checkpoint.extension(), "");
    checkpoint
}

#[test]
fn other_code_verifies_checkpoints_tiles_and_proofs_of_every_size() {
    let disk = MemDisk::new();
    let signer: Arc<dyn Signer> = Arc::new(Ed25519Key::generate().unwrap());
    let key = NoteKey::new(ORIGIN, signer.verifying_key().clone()).unwrap();
    let shared: Arc<dyn Disk> = Arc::new(disk.clone());
    let mut log = Log::open(LedgerConfig {
        preallocate: false,
        ..LedgerConfig::new(
            DIR,
            ORIGIN,
            signer,
            Arc::clone(&shared),
            Box::new(NoCompanion),
            Arc::new(ManualClock::at(Timestamp::from_millis(1))),
        )
    })
    .unwrap();
    let served = Served(disk.clone());
    let mut before: Vec<(u64, Hash)> = Vec::new();
    for size in sizes() {
        while log.appender.size() < size {
            let at = log.appender.size();
            let appends: Vec<_> = (at..size.min(at + 3_000))
                .map(|index| Append {
                    entry: entry(index),
                    attachment: None,
                })
                .collect();
            log.appender.append_batch(&appends).unwrap();
            log.integrator.integrate().unwrap();
        }
        let signed = log.integrator.prepare_checkpoint().unwrap().unwrap();
        let signed = Witnessed::Short(Arc::new(signed));
        log.integrator.publish(&signed).unwrap();

        let checkpoint = verify_note(&disk, &key);
        assert_eq!(checkpoint.size(), size);
        let root = *checkpoint.hash();
        // Every tile this reads is checked against the root.
        let nodes = TileHashReader::new(size, root, &served);
        assert_eq!(tree_hash(size, &nodes).unwrap(), root);
        let mut reader = Reader::open(Arc::clone(&shared), DIR).unwrap();
        for index in [0, size / 3, size / 2, size - 1] {
            let entry = entry(index);
            let hash = record_hash(&entry);
            assert_eq!(theirs(&leaf_hash(&entry)), hash);
            let stored = nodes.read_hashes(&[stored_hash_index(0, index)]).unwrap();
            assert_eq!(stored, [hash]);
            let proof = prove_record(size, index, &nodes).unwrap();
            let mine = reader.inclusion(index, size).unwrap().unwrap();
            assert_eq!(mine.path, ours(&proof));
            let given: Vec<_> = mine.path.iter().map(theirs).collect();
            check_record(&given, size, root, index, hash).unwrap();
            let built = InclusionProof {
                index,
                size,
                path: ours(&proof),
            };
            built
                .verify(&leaf_hash(&entry), &Digest::from_bytes(root.0))
                .unwrap();
        }
        for (old, old_root) in before.iter().rev().take(4).chain(before.first()) {
            let proof = prove_tree(size, *old, &nodes).unwrap();
            let mine = reader.consistency(*old, size).unwrap().unwrap();
            assert_eq!(mine.path, ours(&proof));
            check_tree(&proof, size, root, *old, *old_root).unwrap();
            let built = ConsistencyProof {
                old_size: *old,
                new_size: size,
                path: ours(&proof),
            };
            let roots = (Digest::from_bytes(old_root.0), Digest::from_bytes(root.0));
            built.verify(&roots.0, &roots.1).unwrap();
        }
        before.push((size, root));
    }
}

#[test]
fn an_empty_ledger_publishes_a_checkpoint_others_accept() {
    let disk = MemDisk::new();
    let signer: Arc<dyn Signer> = Arc::new(Ed25519Key::generate().unwrap());
    let key = NoteKey::new(ORIGIN, signer.verifying_key().clone()).unwrap();
    let log = Log::open(LedgerConfig::new(
        DIR,
        ORIGIN,
        signer,
        Arc::new(disk.clone()),
        Box::new(NoCompanion),
        Arc::new(ManualClock::at(Timestamp::from_millis(1))),
    ))
    .unwrap();
    log.close().unwrap();
    let checkpoint = verify_note(&disk, &key);
    assert_eq!(checkpoint.size(), 0);
    assert_eq!(*checkpoint.hash(), tlog_tiles::EMPTY_HASH);
}

#[test]
fn a_proof_file_reads_back_as_it_was_written() {
    let text = "c2sp.org/tlog-proof@v1\nindex 1\n\
        5PA+efQ8UTjFPlJv4d1DD/p3Z4BJgIucm+L56cRUuCk=\n\
        R7br74NUdwQma0u1ooWZgGp2esWHkDSHxoN9vT6vF+0=\n\
        QJ9fWdgHBUIGjBTrfCixc6qXfutSOTsoD6hkq+cZhXc=\n\n\
        ss1.health.fi.entente.example/access\n5\n\
        577yzIEykcZyFA8re38vwUGnA6VD5kZ6NI5ri7PW6ng=\n\n\
        \u{2014} ss1.health.fi.entente.example/access \
        ul3EYow64S51dd31R1HjvSJLGjxT4vYBaokbo/HRGZZDV6Tl9xEYolil8TFoNKA3clzgG1hl19DjrdKBrJP4FJh3KwU=\n";
    let key = "ss1.health.fi.entente.example/access+ba5dc462\
        +AV+7OMuHyeYzt8Nn6moJ4H/WOhzH0+8/VTZFDgq2Rc6N";
    let proof: TlogProof = text.parse().unwrap();
    assert_eq!(proof.to_string(), text);
    let key: NoteKey = key.parse().unwrap();
    let checkpoint =
        entente_ledger::SignedCheckpoint::verify(proof.checkpoint.as_bytes(), &key).unwrap();
    let proof = proof.inclusion(checkpoint.size());
    assert_eq!((proof.index, proof.size, proof.path.len()), (1, 5, 3));
}
