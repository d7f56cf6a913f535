//! Disks that are full or fail, and recover.

use entente_ledger::log::Log;
use entente_ledger::{AppendError, Ledger, Runner};
use entente_testkit::MemDisk;
use entente_testkit::disk::Fault;

use crate::support::{RecordingSigner, append, appends, check, closed_log, config, publish};

#[test]
fn a_full_disk_refuses_whole_commits_and_uses_no_index() {
    let (disk, signer) = (MemDisk::new(), RecordingSigner::new());
    closed_log(&disk, &signer, 20);
    let mut log = Log::open(config(&disk, &signer)).unwrap();
    for room in 0..200 {
        // Opened again each time, so that the segment has no room of its own.
        drop(log);
        log = Log::open(config(&disk, &signer)).unwrap();
        disk.set_capacity(Some(disk.used() + room));
        let size = log.appender.size();
        // Far more than fits: some of its frames are written before the disk is full.
        assert!(
            log.appender
                .append_batch(&appends(size..size + 90))
                .is_err()
        );
        assert_eq!(log.appender.size(), size);
        assert!(
            log.appender.append_batch(&[append(size)]).is_err(),
            "needs a new segment"
        );
        assert!(log.appender.reopen().is_err(), "there is no room for one");
        assert!(!log.appender.is_open());

        disk.set_capacity(None);
        log.appender.reopen().unwrap();
        let appended = log.appender.append_batch(&[append(size)]).unwrap();
        assert_eq!(appended[0].index, size);
        if room % 20 == 0 {
            publish(&mut log).unwrap();
        }
    }
    let size = log.appender.size();
    publish(&mut log).unwrap();
    drop(log);
    assert_eq!(check(&disk, &signer).findings, []);
    signer.check();
    let log = Log::open(config(&disk.crash(), &signer)).unwrap();
    assert_eq!(log.appender.size(), size);
}

#[test]
fn a_failed_write_or_sync_loses_nothing_that_was_acknowledged() {
    let whole = MemDisk::new();
    let signer = RecordingSigner::new();
    closed_log(&whole, &signer, 300);
    for fault in [Fault::Error, Fault::Torn] {
        for at in 0..whole.operations() {
            let disk = MemDisk::new();
            disk.fail_at(at, fault);
            let Ok(mut log) = Log::open(config(&disk, &signer)) else {
                continue;
            };
            while log.appender.size() < 300 {
                let size = log.appender.size();
                if log
                    .appender
                    .append_batch(&appends(size..size + 50))
                    .is_err()
                {
                    log.appender.reopen().unwrap();
                }
            }
            if publish(&mut log).is_err() {
                publish(&mut log).unwrap();
            }
            assert_eq!(
                log.integrator.checkpoint().unwrap().size(),
                log.appender.size()
            );
            let size = log.appender.size();
            drop(log);
            let image = disk.crash();
            let log = Log::open(config(&image, &signer)).unwrap();
            assert_eq!(log.appender.size(), size, "operation {at}");
            drop(log);
            assert_eq!(check(&image, &signer).findings, [], "operation {at}");
        }
    }
    signer.check();
}

#[test]
fn a_ledger_opens_with_less_room_than_a_segment() {
    let (disk, signer) = (MemDisk::new(), RecordingSigner::new());
    closed_log(&disk, &signer, 20);
    let mut config = config(&disk, &signer);
    config.preallocate = true;
    config.segment_bytes = 1024 * 1024;
    disk.set_capacity(Some(disk.used() + 512 * 1024));
    let mut log = Log::open(config).unwrap();
    assert!(log.appender.is_open());
    log.appender.append_batch(&[append(20)]).unwrap();
}

#[tokio::test(start_paused = true)]
async fn the_handle_is_unwritable_while_the_disk_is_full_and_recovers_by_itself() {
    let (disk, signer) = (MemDisk::new(), RecordingSigner::new());
    let ledger = Ledger::open(config(&disk, &signer), Runner::Task)
        .await
        .unwrap();
    ledger.append(append(0)).await.unwrap();
    let mut writable = ledger.writable();
    assert!(*writable.borrow_and_update());

    disk.set_capacity(Some(disk.used()));
    let refused = ledger.append(append(1)).await;
    assert!(matches!(refused, Err(AppendError::LogUnavailable)));
    assert!(!*writable.borrow_and_update());
    let refused = ledger.append(append(1)).await;
    assert!(matches!(refused, Err(AppendError::LogUnavailable)));

    disk.set_capacity(None);
    writable.changed().await.unwrap();
    assert!(*writable.borrow_and_update());
    assert_eq!(ledger.append(append(1)).await.unwrap().index, 1);
    ledger.shutdown().await.unwrap();
    assert_eq!(check(&disk, &signer).findings, []);
}

#[tokio::test(start_paused = true)]
async fn a_disk_too_full_to_publish_refuses_appends_until_it_can() {
    let (disk, signer) = (MemDisk::new(), RecordingSigner::new());
    let mut config = config(&disk, &signer);
    config.preallocate = true;
    config.segment_bytes = 256 * 1024;
    let ledger = Ledger::open(config, Runner::Task).await.unwrap();
    let mut writable = ledger.writable();
    disk.set_capacity(Some(disk.used()));
    ledger.append(append(1)).await.unwrap();
    // The segment has room, but neither the attachments nor a checkpoint do.
    writable.wait_for(|writable| !*writable).await.unwrap();
    assert!(ledger.append(append(2)).await.is_err());
    disk.set_capacity(None);
    writable.wait_for(|writable| *writable).await.unwrap();
    ledger.append(append(2)).await.unwrap();
    assert_eq!(ledger.size(), 2);
}
