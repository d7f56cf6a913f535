//! A ledger with its sidecar: what was acknowledged opens after any crash and any fault.

use std::sync::Arc;

use entente_ledger::Reader;
use entente_ledger::disk::Disk;
use entente_ledger::log::Log;
use entente_sidecar::Sidecar;
use entente_signing::Digest;
use entente_testkit::MemDisk;
use entente_testkit::disk::Fault;

use crate::support::{
    append, day, holds_no_canary, ledger, message_id, of, plaintext, sidecar, standard,
};

/// Seals, appends and integrates until the first failure; answers with how many were acknowledged.
fn run(disk: &MemDisk) -> u64 {
    let shared: Arc<dyn Disk> = Arc::new(disk.clone());
    let Ok(sidecar) = Sidecar::open(shared, "/data/sidecar", "/keys/kek") else {
        return 0;
    };
    let Ok(mut log) = Log::open(ledger(disk, &sidecar)) else {
        return 0;
    };
    for step in 0..8 {
        // Records of the day before come after midnight too.
        let date = if step % 3 == 2 {
            "2026-11-23"
        } else {
            "2026-11-22"
        };
        let first = log.appender.size();
        let mut appends = Vec::new();
        for index in first..first + 3 {
            let id = message_id(index);
            let Ok(sealed) = sidecar.seal(&standard(), day(date), &of(&id), &plaintext(index))
            else {
                return first;
            };
            appends.push(append(&sealed));
        }
        if log.appender.append_batch(&appends).is_err() {
            return first;
        }
        if step % 2 == 1 && log.integrator.integrate().is_err() {
            return first + 3;
        }
    }
    let size = log.appender.size();
    let _ = log.close();
    size
}

/// Everything acknowledged opens, once the next start has moved it.
fn opens(image: &MemDisk, acknowledged: u64) {
    let kept = sidecar(image);
    let log = Log::open(ledger(image, &kept)).unwrap();
    let size = log.appender.size();
    assert!(size >= acknowledged);
    log.close().unwrap();
    let disk: Arc<dyn Disk> = Arc::new(image.clone());
    let mut reader = Reader::open(disk, "/data/ledger").unwrap();
    for index in 0..size {
        let hash = Digest::from_slice(&reader.entry(index).unwrap().unwrap()).unwrap();
        let opened = kept.open_record(&hash, &of(&message_id(index))).unwrap();
        assert_eq!(*opened, plaintext(index), "record {index}");
    }
    holds_no_canary(image);
}

#[test]
fn no_crash_loses_a_record_that_was_acknowledged() {
    let whole = MemDisk::new();
    assert_eq!(run(&whole), 24);
    for at in 0..whole.operations() {
        let disk = MemDisk::new();
        disk.fail_at(at, Fault::Crash);
        let acknowledged = run(&disk);
        for image in disk.crash_images(at) {
            opens(&image, acknowledged);
        }
    }
}

#[test]
fn no_process_that_dies_alone_leaves_a_record_half_durable() {
    let whole = MemDisk::new();
    run(&whole);
    for at in 0..whole.operations() {
        let disk = MemDisk::new();
        disk.fail_at(at, Fault::Crash);
        let acknowledged = run(&disk);
        // Seen by the next process, then the machine dies: what it took for durable must be.
        let next = disk.restart();
        opens(&next, acknowledged);
        opens(&next.crash(), acknowledged);
    }
}

#[test]
fn a_failed_write_or_sync_is_made_good() {
    let whole = MemDisk::new();
    run(&whole);
    for fault in [Fault::Error, Fault::Torn] {
        for at in 0..whole.operations() {
            let disk = MemDisk::new();
            disk.fail_at(at, fault);
            let acknowledged = run(&disk);
            opens(&disk.crash(), acknowledged);
        }
    }
}

#[test]
fn records_stored_after_a_failure_are_durable_in_the_same_run() {
    let whole = MemDisk::new();
    run(&whole);
    for at in 0..whole.operations() {
        let disk = MemDisk::new();
        let kept = sidecar(&disk);
        let mut log = Log::open(ledger(&disk, &kept)).unwrap();
        disk.fail_at(disk.operations() + at, Fault::Torn);
        let mut size = 0;
        while size < 24 {
            let id = message_id(size);
            let Ok(sealed) = kept.seal(&standard(), day("2026-11-22"), &of(&id), &plaintext(size))
            else {
                continue;
            };
            if log.appender.append_batch(&[append(&sealed)]).is_ok() {
                size += 1;
            } else {
                log.appender.reopen().unwrap();
            }
            let _ = log.integrator.integrate();
        }
        log.integrator.integrate().unwrap();
        drop(log);
        opens(&disk.crash(), size);
    }
}
