//! What is cut off as torn, and what is refused as damaged.

use std::path::PathBuf;

use entente_ledger::log::{Log, LogError};
use entente_testkit::MemDisk;

use crate::support::{DIR, RecordingSigner, appends, check, config};

/// A log with two commits of three entries in its write-ahead log, and where each frame starts.
fn two_commits() -> (MemDisk, RecordingSigner, PathBuf, Vec<u8>) {
    let (disk, signer) = (MemDisk::new(), RecordingSigner::new());
    let mut log = Log::open(config(&disk, &signer)).unwrap();
    log.appender.append_batch(&appends(0..3)).unwrap();
    log.appender.append_batch(&appends(3..6)).unwrap();
    drop(log);
    let path = PathBuf::from(DIR).join("wal/000000.wal");
    let bytes = disk
        .files()
        .into_iter()
        .find_map(|(found, bytes)| (found == path).then_some(bytes))
        .unwrap();
    (disk, signer, path, bytes)
}

/// Where each frame starts; the header is the first.
fn frames(bytes: &[u8]) -> Vec<usize> {
    let (mut starts, mut at) = (Vec::new(), 0);
    while at < bytes.len() {
        starts.push(at);
        let len = u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap());
        at += 8 + len as usize;
    }
    starts
}

#[test]
fn a_torn_last_commit_is_cut_off_and_counted() {
    let (disk, signer, path, bytes) = two_commits();
    let starts = frames(&bytes);
    for cut in starts[4] + 1..bytes.len() {
        let image = disk.restart();
        image.overwrite(&path, &bytes[..cut]);
        let log = Log::open(config(&image, &signer)).unwrap();
        let whole = starts.iter().filter(|start| **start <= cut).count() as u64 - 2;
        assert_eq!(log.appender.size(), whole);
        assert_eq!(log.recovery().size, whole);
        let torn = cut - starts[whole as usize + 1];
        assert!(log.recovery().torn_bytes <= torn as u64);
    }
}

#[test]
fn pages_of_the_last_commit_that_came_in_another_order_are_torn_not_damaged() {
    let (disk, signer, path, mut bytes) = two_commits();
    let starts = frames(&bytes);
    bytes[starts[4]..starts[5]].fill(0);
    disk.overwrite(&path, &bytes);
    let log = Log::open(config(&disk, &signer)).unwrap();
    assert_eq!(log.appender.size(), 3);
    assert!(log.recovery().torn_bytes > 0);
}

#[test]
fn a_hole_before_a_later_commit_is_damage_and_refused() {
    let (disk, signer, path, bytes) = two_commits();
    let starts = frames(&bytes);
    for at in starts[0]..starts[4] {
        let image = disk.restart();
        let mut flipped = bytes.clone();
        flipped[at] ^= 0x20;
        image.overwrite(&path, &flipped);
        assert!(!check(&image, &signer).is_sound(), "byte {at}");
        let refused = Log::open(config(&image, &signer)).unwrap_err();
        assert!(
            matches!(refused, LogError::Damaged { .. } | LogError::Lost { .. }),
            "byte {at}: {refused}"
        );
    }
}

#[test]
fn a_byte_put_in_or_taken_out_between_durable_frames_is_damage() {
    let (disk, signer, path, bytes) = two_commits();
    let starts = frames(&bytes);
    for start in &starts[..4] {
        let image = disk.restart();
        image.overwrite(&path, &[&bytes[..*start], b"x", &bytes[*start..]].concat());
        assert!(Log::open(config(&image, &signer)).is_err());
        let image = disk.restart();
        image.overwrite(&path, &[&bytes[..*start], &bytes[*start + 1..]].concat());
        assert!(Log::open(config(&image, &signer)).is_err());
    }
}

#[test]
fn a_ledger_without_its_write_ahead_log_is_refused() {
    let (disk, signer) = (MemDisk::new(), RecordingSigner::new());
    crate::support::closed_log(&disk, &signer, 300);
    for (path, _) in disk.files() {
        if path.starts_with(PathBuf::from(DIR).join("wal")) {
            entente_ledger::disk::Disk::remove(&disk, &path).unwrap();
        }
    }
    assert!(!check(&disk, &signer).is_sound());
    assert!(matches!(
        Log::open(config(&disk, &signer)),
        Err(LogError::Lost { .. })
    ));
}

#[test]
fn another_format_another_origin_and_a_second_writer_are_refused() {
    let (disk, signer) = (MemDisk::new(), RecordingSigner::new());
    let log = Log::open(config(&disk, &signer)).unwrap();
    assert!(matches!(
        Log::open(config(&disk, &signer)),
        Err(LogError::Disk(_))
    ));
    log.close().unwrap();

    let mut other = config(&disk, &signer);
    other.origin = "ss2.service-ontario.ca-on/access/2026h2.1".to_owned();
    assert!(matches!(Log::open(other), Err(LogError::Origin { .. })));

    disk.overwrite(PathBuf::from(DIR).join("FORMAT"), b"entente-ledger 2\n");
    let newer = Log::open(config(&disk, &signer)).unwrap_err();
    assert!(
        newer.to_string().contains("\"entente-ledger 2\""),
        "{newer}"
    );
}
