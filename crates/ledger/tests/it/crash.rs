//! A crash at every step, with any part of what was not synced lost.

use std::collections::BTreeMap;
use std::sync::Arc;

use entente_ledger::disk::Disk;
use entente_ledger::log::Log;
use entente_ledger::tree::leaf_hash;
use entente_ledger::{Appended, Ledger, Reader, Runner};
use entente_testkit::MemDisk;
use entente_testkit::disk::Fault;
use tokio::task::JoinSet;

use crate::support::{
    DIR, FileCompanion, RecordingSigner, append, appends, check, config, entries, entry, publish,
};

/// How many entries are appended at once, and whether a checkpoint is published then.
type Story = [(u64, bool)];

/// Crosses the end of a bundle, several segments, and three checkpoints.
const LONG: &Story = &[
    (3, false),
    (40, true),
    (90, false),
    (1, true),
    (110, false),
    (30, false),
    (1, true),
    (60, false),
];
/// Crosses the end of a segment, and two checkpoints.
const SHORT: &Story = &[(2, false), (100, true), (60, false), (1, true)];

/// Runs the long story until the first failure, and answers with how many entries were acknowledged.
fn run(disk: &MemDisk, signer: &RecordingSigner, preallocate: bool, start: u64) -> u64 {
    tell(LONG, disk, signer, preallocate, start)
}

/// Runs a story until the first failure, and answers with how many entries were acknowledged.
fn tell(
    story: &Story,
    disk: &MemDisk,
    signer: &RecordingSigner,
    preallocate: bool,
    start: u64,
) -> u64 {
    let mut config = config(disk, signer);
    config.preallocate = preallocate;
    let Ok(mut log) = Log::open(config) else {
        return start;
    };
    let mut acknowledged = log.appender.size();
    assert!(acknowledged >= start, "acknowledged entries were lost");
    for &(count, is_published) in story {
        let next = acknowledged + count;
        if log
            .appender
            .append_batch(&appends(acknowledged..next))
            .is_err()
        {
            return acknowledged;
        }
        acknowledged = next;
        let moved = if is_published {
            publish(&mut log)
        } else {
            log.integrator.integrate()
        };
        if moved.and_then(|()| log.integrator.prepare_spare()).is_err() {
            return acknowledged;
        }
    }
    // Only tried: what was acknowledged is durable whether or not this works.
    let _ = log.close();
    acknowledged
}

/// Everything that must hold on a disk after a crash.
fn recovers(image: &MemDisk, signer: &RecordingSigner, acknowledged: u64) {
    let mut log =
        Log::open(config(image, signer)).expect("a crash never keeps a ledger from opening");
    let size = log.appender.size();
    assert!(
        size >= acknowledged,
        "{acknowledged} acknowledged, {size} left"
    );
    log.appender.append_batch(&[append(size)]).unwrap();
    publish(&mut log).unwrap();
    let checkpoint = log.integrator.checkpoint().unwrap();
    assert_eq!(checkpoint.size(), size + 1);
    drop(log);
    let entries = entries(size + 1);
    signer.check();
    let report = check(image, signer);
    assert_eq!(report.findings, []);
    assert_eq!((report.size, report.waiting), (size + 1, 0));
    let disk: Arc<dyn Disk> = Arc::new(image.clone());
    let mut reader = Reader::open(Arc::clone(&disk), DIR).unwrap();
    let read: Vec<_> = reader.entries(0).map(|read| read.unwrap().1).collect();
    assert!(read == entries, "entries differ from what was appended");
    for index in (0..=size).step_by(5) {
        let kept = disk.read(&FileCompanion::path(index)).unwrap();
        assert_eq!(kept, entry(index + 1_000_000), "attachment of {index}");
    }
}

/// Crashes at every `stride`-th operation.
fn crash_everywhere(preallocate: bool, stride: usize) {
    let signer = RecordingSigner::new();
    let whole = MemDisk::new();
    run(&whole, &signer, preallocate, 0);
    let mut images = 0;
    for at in (0..whole.operations()).step_by(stride) {
        let disk = MemDisk::new();
        disk.fail_at(at, Fault::Crash);
        let acknowledged = run(&disk, &signer, preallocate, 0);
        // Every other image, the others at the next operation: what is pending changes little between.
        for image in disk.crash_images(at).skip(at as usize % 2).step_by(2) {
            recovers(&image, &signer, acknowledged);
            images += 1;
        }
    }
    assert!(images > 500, "only {images} images");
}

/// Crashes a short story at every operation, and tries every image of each: every prefix of what was not
/// synced, and the rest.
fn crash_everywhere_into_everything(preallocate: bool) {
    let signer = RecordingSigner::new();
    let whole = MemDisk::new();
    tell(SHORT, &whole, &signer, preallocate, 0);
    let mut images = 0;
    for at in 0..whole.operations() {
        let disk = MemDisk::new();
        disk.fail_at(at, Fault::Crash);
        let acknowledged = tell(SHORT, &disk, &signer, preallocate, 0);
        for image in disk.crash_images(at) {
            recovers(&image, &signer, acknowledged);
            images += 1;
        }
    }
    assert!(images > 2_000, "only {images} images");
}

#[test]
fn no_prefix_of_what_was_not_synced_loses_an_acknowledged_entry_or_forks_the_tree() {
    crash_everywhere_into_everything(false);
}

#[test]
fn no_prefix_does_so_with_segments_filled_ahead_of_use() {
    crash_everywhere_into_everything(true);
}

#[test]
fn no_crash_loses_an_acknowledged_entry_or_forks_the_tree() {
    crash_everywhere(false, 1);
}

#[test]
fn no_crash_does_so_with_segments_filled_ahead_of_use() {
    crash_everywhere(true, 4);
}

#[test]
fn a_crash_while_recovering_from_a_crash_is_no_worse() {
    let signer = RecordingSigner::new();
    let whole = MemDisk::new();
    run(&whole, &signer, false, 0);
    for at in (5..whole.operations()).step_by(13) {
        let disk = MemDisk::new();
        disk.fail_at(at, Fault::Crash);
        let acknowledged = run(&disk, &signer, false, 0);
        for then in 0..12 {
            for image in disk.crash_images(at).step_by(7) {
                image.fail_at(then, Fault::Crash);
                let acknowledged = run(&image, &signer, false, acknowledged);
                for image in image.crash_images(then).step_by(5) {
                    recovers(&image, &signer, acknowledged);
                }
            }
        }
    }
}

#[test]
fn a_process_that_dies_alone_loses_nothing_and_what_it_left_becomes_durable() {
    let signer = RecordingSigner::new();
    let whole = MemDisk::new();
    run(&whole, &signer, false, 0);
    for at in 0..whole.operations() {
        let disk = MemDisk::new();
        disk.fail_at(at, Fault::Crash);
        run(&disk, &signer, false, 0);
        // The next process sees what was written and not synced; then the machine dies too.
        let next = disk.restart();
        let Ok(log) = Log::open(config(&next, &signer)) else {
            panic!("a process's death keeps the ledger from opening");
        };
        let seen = log.appender.size();
        drop(log);
        recovers(&next.crash(), &signer, seen);
    }
}

/// Has 80 tasks append through the handle's threads, more than one commit takes, until they are done or
/// the disk is; answers with what they were told.
async fn answers(disk: &MemDisk, signer: &RecordingSigner) -> Vec<Appended> {
    let Ok(ledger) = Ledger::open(config(disk, signer), Runner::Thread).await else {
        return Vec::new();
    };
    let mut tasks = JoinSet::new();
    for task in 0..80 {
        let (ledger, disk) = (ledger.clone(), disk.clone());
        tasks.spawn(async move {
            let mut told = Vec::new();
            for number in task * 3..task * 3 + 3 {
                let Ok(appended) = ledger.append(append(number)).await else {
                    break;
                };
                told.push((appended, disk.crash()));
            }
            told
        });
    }
    let mut told = Vec::new();
    for (appended, image) in tasks.join_all().await.into_iter().flatten() {
        if appended.index % 8 == 0 {
            let log = Log::open(config(&image, signer)).unwrap();
            assert!(log.appender.size() > appended.index, "told too early");
        }
        told.push(appended);
    }
    // Fails when the disk did.
    let _ = ledger.shutdown().await;
    told
}

#[tokio::test]
async fn no_crash_loses_an_entry_that_a_thread_answered_for() {
    let whole = MemDisk::new();
    assert_eq!(answers(&whole, &RecordingSigner::new()).await.len(), 240);
    let mut answered = 0;
    for at in (0..whole.operations()).step_by(9) {
        let (disk, signer) = (MemDisk::new(), RecordingSigner::new());
        disk.fail_at(at, Fault::Crash);
        let told = answers(&disk, &signer).await;
        answered += told.len();
        let told: BTreeMap<_, _> = told.iter().map(|one| (one.index, one.leaf_hash)).collect();
        for image in disk.crash_images(at).step_by(5) {
            let mut log = Log::open(config(&image, &signer)).unwrap();
            publish(&mut log).unwrap();
            drop(log);
            let image: Arc<dyn Disk> = Arc::new(image);
            let mut reader = Reader::open(Arc::clone(&image), DIR).unwrap();
            let read: BTreeMap<_, _> = reader.entries(0).map(|read| read.unwrap()).collect();
            for (index, leaf) in &told {
                let bytes = &read[index];
                assert_eq!(leaf_hash(bytes), *leaf, "entry {index}");
                let number = u64::from_be_bytes(bytes[..8].try_into().unwrap());
                if number.is_multiple_of(5) {
                    let kept = image.read(&FileCompanion::path(*index)).unwrap();
                    assert_eq!(kept, entry(number + 1_000_000), "attachment of {index}");
                }
            }
        }
    }
    assert!(answered > 500, "only {answered} answers");
}
