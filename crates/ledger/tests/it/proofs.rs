//! Proofs and reading, at sizes on both sides of every boundary.

use std::sync::Arc;

use entente_ledger::Reader;
use entente_ledger::disk::Disk;
use entente_ledger::log::Log;
use entente_ledger::note::NoteKey;
use entente_ledger::tree::leaf_hash;
use entente_signing::Signer;
use entente_testkit::MemDisk;

use crate::support::{
    DIR, ORIGIN, Random, RecordingSigner, appends, check, config, entry, publish, root_at,
};

fn reader(disk: &MemDisk) -> Reader {
    let disk: Arc<dyn Disk> = Arc::new(disk.clone());
    Reader::open(disk, DIR).unwrap()
}

#[test]
fn ledgers_of_any_size_read_back_prove_and_check() {
    let mut random = Random(11);
    let mut sizes = vec![0, 1, 2, 255, 256, 257, 511, 512, 513, 5_000];
    sizes.extend((0..6).map(|_| random.below(3_000)));
    for size in sizes {
        let (disk, signer) = (MemDisk::new(), RecordingSigner::new());
        let mut log = Log::open(config(&disk, &signer)).unwrap();
        let mut published = Vec::new();
        while log.appender.size() < size {
            let at = log.appender.size();
            let next = size.min(at + 1 + random.below(300));
            log.appender.append_batch(&appends(at..next)).unwrap();
            match random.below(3) {
                0 => publish(&mut log).unwrap(),
                1 => log.integrator.integrate().unwrap(),
                _ => {}
            }
            published.extend(log.integrator.checkpoint().map(|c| c.size()));
        }
        log.close().unwrap();
        signer.check();
        let report = check(&disk, &signer);
        assert_eq!(report.findings, [], "size {size}");
        assert_eq!((report.size, report.checkpoint), (size, Some(size)));
        assert_eq!(report.root, root_at(size));

        let mut reader = reader(&disk);
        let key = NoteKey::new(ORIGIN, signer.verifying_key().clone()).unwrap();
        let checkpoint = reader.checkpoint(&key).unwrap().unwrap();
        assert_eq!(checkpoint.size(), size);
        assert_eq!(reader.size(), size);
        assert_eq!(reader.entry(size).unwrap(), None);
        for _ in 0..20_u64.min(size) {
            let index = random.below(size);
            assert_eq!(reader.entry(index).unwrap(), Some(entry(index)));
            let smaller = index + 1 + random.below(size - index);
            let root = root_at(smaller);
            let proof = reader.inclusion(index, smaller).unwrap().unwrap();
            proof.verify(&leaf_hash(&entry(index)), &root).unwrap();
            let proof = reader.consistency(smaller, size).unwrap().unwrap();
            proof.verify(&root, &checkpoint.root()).unwrap();
        }
        for old in published.into_iter().filter(|old| *old > 0) {
            let proof = reader.consistency(old, size).unwrap().unwrap();
            proof.verify(&root_at(old), &checkpoint.root()).unwrap();
        }
        assert_eq!(reader.inclusion(0, size + 1).unwrap(), None);
    }
}

#[test]
fn a_reader_sees_what_is_only_in_the_write_ahead_log() {
    let (disk, signer) = (MemDisk::new(), RecordingSigner::new());
    let mut log = Log::open(config(&disk, &signer)).unwrap();
    log.appender.append_batch(&appends(0..40)).unwrap();
    assert_eq!((reader(&disk).size(), reader(&disk).waiting()), (40, 40));
    publish(&mut log).unwrap();
    log.appender.append_batch(&appends(40..300)).unwrap();
    log.integrator.integrate().unwrap();
    // While the writer still has it open.
    let mut reader = reader(&disk);
    assert_eq!((reader.size(), reader.waiting()), (300, 44));
    assert_eq!(reader.origin(), Some(ORIGIN));
    let read: Vec<_> = reader.entries(250).map(|read| read.unwrap()).collect();
    assert_eq!(
        read,
        (250..300)
            .map(|index| (index, entry(index)))
            .collect::<Vec<_>>()
    );
    assert_eq!(check(&disk, &signer).findings, []);
}

#[test]
fn a_folder_that_is_no_ledger_is_not_read() {
    let disk: Arc<dyn Disk> = Arc::new(MemDisk::new());
    assert!(Reader::open(disk, "/nothing").is_err());
}
