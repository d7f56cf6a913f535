//! The asynchronous handle, with both runners.

use std::sync::Arc;
use std::time::Duration;

use entente_clock::{ManualClock, Timestamp};
use entente_ledger::companion::NoCompanion;
use entente_ledger::disk::RealDisk;
use entente_ledger::entry::{Body, Boot};
use entente_ledger::log::{Log, LogAppendError};
use entente_ledger::tree::{leaf_hash, root_of};
use entente_ledger::{Append, AppendError, Entry, Ledger, LedgerConfig, LedgerError, Runner};
use entente_testkit::MemDisk;

use crate::support::{
    ORIGIN, RecordingSigner, append, appends, check, config, entries, entry, root_at,
};

#[tokio::test]
async fn a_thread_on_a_real_disk_appends_for_many_publishes_and_reopens() {
    let dir = tempfile::tempdir().unwrap();
    let signer = RecordingSigner::new();
    let config = || LedgerConfig {
        segment_bytes: 64 * 1024,
        ..LedgerConfig::new(
            dir.path().join("shard"),
            ORIGIN,
            Arc::new(signer.clone()),
            Arc::new(RealDisk),
            Box::new(NoCompanion),
            Arc::new(ManualClock::at(Timestamp::from_millis(1))),
        )
    };
    let ledger = Ledger::open(config(), Runner::Thread).await.unwrap();
    let mut tasks = tokio::task::JoinSet::new();
    for task in 0..64_u64 {
        let ledger = ledger.clone();
        tasks.spawn(async move {
            for number in 0..20 {
                let entry = entry(task * 1_000 + number);
                let append = Append {
                    entry: entry.clone(),
                    attachment: None,
                };
                let appended = ledger.append(append).await.unwrap();
                assert_eq!(appended.leaf_hash, leaf_hash(&entry));
                assert_eq!(ledger.read(appended.index).await.unwrap(), entry);
            }
        });
    }
    while let Some(joined) = tasks.join_next().await {
        joined.unwrap();
    }
    assert_eq!(ledger.size(), 1_280);
    let checkpoint = ledger.publish_now().await.unwrap();
    assert_eq!(checkpoint.size(), 1_280);
    let all = {
        let mut all = Vec::new();
        while all.len() < 1_280 {
            all.extend(ledger.entries(all.len() as u64, 500).await.unwrap());
        }
        all
    };
    assert_eq!(
        checkpoint.root(),
        root_of(&all.iter().map(|entry| leaf_hash(entry)).collect::<Vec<_>>())
    );
    for index in [0, 255, 256, 1_279] {
        let proof = ledger.inclusion(index, 1_280).await.unwrap();
        proof
            .verify(&leaf_hash(&all[index as usize]), &checkpoint.root())
            .unwrap();
    }
    assert!(ledger.inclusion(0, 1_281).await.is_err());
    ledger.shutdown().await.unwrap();
    assert!(matches!(ledger.shutdown().await, Err(LedgerError::Closed)));
    let refused = ledger
        .append(Append {
            entry: entry(0),
            attachment: None,
        })
        .await;
    assert!(matches!(refused, Err(AppendError::LogUnavailable)));

    let again = Ledger::open(config(), Runner::Thread).await.unwrap();
    assert_eq!((again.size(), again.recovery().torn_bytes), (1_280, 0));
    assert_eq!(again.checkpoint().borrow().as_ref().unwrap().size(), 1_280);
    again.shutdown().await.unwrap();
    let key = entente_signing::Signer::verifying_key(&signer);
    let report = entente_ledger::fsck::fsck(
        Arc::new(RealDisk),
        dir.path().join("shard"),
        key,
        &mut |_, _| {},
    );
    assert_eq!(report.unwrap().findings, []);
}

#[tokio::test]
async fn checkpoints_published_while_entries_come_in_are_of_whole_trees() {
    let dir = tempfile::tempdir().unwrap();
    let signer = RecordingSigner::new();
    let config = LedgerConfig {
        segment_bytes: 64 * 1024,
        ..LedgerConfig::new(
            dir.path(),
            ORIGIN,
            Arc::new(signer.clone()),
            Arc::new(RealDisk),
            Box::new(NoCompanion),
            Arc::new(ManualClock::at(Timestamp::from_millis(1))),
        )
    };
    let ledger = Ledger::open(config, Runner::Thread).await.unwrap();
    let appending = ledger.clone();
    let appends = tokio::spawn(async move {
        for batch in 0..50_u64 {
            let batch = (batch * 100..batch * 100 + 100).map(|index| Append {
                entry: entry(index),
                attachment: None,
            });
            appending.append_all(batch.collect()).await.unwrap();
        }
    });
    while !appends.is_finished() {
        let checkpoint = ledger.publish_now().await.unwrap();
        assert_eq!(checkpoint.root(), root_at(checkpoint.size()));
    }
    appends.await.unwrap();
    ledger.shutdown().await.unwrap();
    signer.check();
    let key = entente_signing::Signer::verifying_key(&signer);
    let report =
        entente_ledger::fsck::fsck(Arc::new(RealDisk), dir.path(), key, &mut |_, _| {}).unwrap();
    assert_eq!((report.size, report.findings), (5_000, Vec::new()));
}

#[tokio::test(start_paused = true)]
async fn a_task_integrates_and_publishes_when_time_passes() {
    let (disk, signer) = (MemDisk::new(), RecordingSigner::new());
    let ledger = Ledger::open(config(&disk, &signer), Runner::Task)
        .await
        .unwrap();
    let appended = ledger.append_all(appends(0..300)).await.unwrap();
    assert_eq!(appended.len(), 300);
    assert_eq!(appended[299].index, 299);
    let mut checkpoint = ledger.checkpoint();
    assert!(checkpoint.borrow_and_update().is_none());
    tokio::time::timeout(Duration::from_secs(11), checkpoint.changed())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(checkpoint.borrow().as_ref().unwrap().size(), 300);
    assert_eq!(
        ledger.entries(100, 1_000).await.unwrap(),
        entries(300)[100..]
    );
    assert_eq!(ledger.read(299).await.unwrap(), entry(299));
    assert!(ledger.read(300).await.is_err());
    let proof = ledger.consistency(7, 300).await.unwrap();
    let root = checkpoint.borrow().as_ref().unwrap().root();
    proof.verify(&root_at(7), &root).unwrap();
    ledger.shutdown().await.unwrap();
    assert_eq!(check(&disk, &signer).findings, []);
}

#[tokio::test(start_paused = true)]
async fn what_is_out_of_bounds_is_refused_alone() {
    let (disk, signer) = (MemDisk::new(), RecordingSigner::new());
    let ledger = Ledger::open(config(&disk, &signer), Runner::Task)
        .await
        .unwrap();
    let bare = |entry: Vec<u8>| Append {
        entry: entry.into(),
        attachment: None,
    };
    let (empty, long, longest, good) = tokio::join!(
        ledger.append(bare(Vec::new())),
        ledger.append(bare(vec![1; 65_536])),
        ledger.append(bare(vec![1; 65_535])),
        ledger.append(append(1)),
    );
    assert!(matches!(empty, Err(AppendError::Size)));
    assert!(matches!(long, Err(AppendError::Size)));
    assert_eq!((longest.unwrap().index, good.unwrap().index), (0, 1));
    assert!(matches!(
        ledger.append_all(appends(0..1_025)).await,
        Err(AppendError::Size)
    ));
    assert_eq!(ledger.append_all(Vec::new()).await.unwrap(), []);
}

#[test]
fn nothing_is_written_while_the_clock_is_behind_the_newest_entry() {
    let (disk, signer) = (MemDisk::new(), RecordingSigner::new());
    let now = Timestamp::from_millis(1_795_305_600_000);
    let clock = ManualClock::at(now);
    let boot = Entry {
        at: now,
        body: Body::Boot(Boot {
            version: "0.1.0".to_owned(),
            last_size: 0,
            note: None,
        }),
    };
    let append = [Append {
        entry: boot.encode().unwrap(),
        attachment: None,
    }];
    let config = || LedgerConfig {
        clock: Arc::new(clock.clone()),
        ..config(&disk, &signer)
    };
    let mut log = Log::open(config()).unwrap();
    log.appender.append_batch(&append).unwrap();
    for reopened in [false, true] {
        clock.set(now.saturating_sub(Duration::from_secs(60)));
        log.appender.append_batch(&append).unwrap();
        clock.set(now.saturating_sub(Duration::from_millis(60_001)));
        assert!(
            matches!(
                log.appender.append_batch(&append),
                Err(LogAppendError::Refused(AppendError::ClockOff))
            ),
            "{reopened}"
        );
        log.close().unwrap();
        clock.set(now);
        log = Log::open(config()).unwrap();
    }
}

#[tokio::test]
async fn the_lock_is_free_again_after_shutdown_and_held_before() {
    let dir = tempfile::tempdir().unwrap();
    let signer = RecordingSigner::new();
    let config = || {
        LedgerConfig::new(
            dir.path(),
            ORIGIN,
            Arc::new(signer.clone()),
            Arc::new(RealDisk),
            Box::new(NoCompanion),
            Arc::new(ManualClock::at(Timestamp::from_millis(1))),
        )
    };
    let ledger = Ledger::open(config(), Runner::Thread).await.unwrap();
    assert!(Ledger::open(config(), Runner::Thread).await.is_err());
    let attached = ledger.append(append(0)).await;
    assert!(
        matches!(attached, Err(AppendError::Size)),
        "nothing keeps attachments here"
    );
    ledger.shutdown().await.unwrap();
    let ledger = Ledger::open(config(), Runner::Thread).await.unwrap();
    ledger.shutdown().await.unwrap();
}

#[test]
fn folders_are_made_for_their_owner_alone() {
    use std::os::unix::fs::PermissionsExt as _;

    use entente_ledger::disk::Disk as _;

    let dir = tempfile::tempdir().unwrap();
    RealDisk
        .create_dir_all(&dir.path().join("data/ledger"))
        .unwrap();
    for made in ["data", "data/ledger"] {
        let made = std::fs::metadata(dir.path().join(made)).unwrap();
        assert_eq!(made.permissions().mode() & 0o777, 0o700);
    }
}
