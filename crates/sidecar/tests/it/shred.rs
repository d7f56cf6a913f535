//! Destroying keys: what goes never opens again, what stays always does, wherever it was interrupted.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use entente_clock::Timestamp;
use entente_ledger::Companion;
use entente_ledger::disk::Disk;
use entente_sidecar::{KeyName, Period, Plan, Retention, Sidecar, SidecarError, Target};
use entente_signing::Digest;
use entente_testkit::MemDisk;
use entente_testkit::disk::Fault;

use crate::support::{ORIGIN, day, holds_no_canary, message_id, of, plaintext, sidecar, standard};

/// Records by number: their hash, retention and day.
type Records = BTreeMap<u64, (Digest, Retention, &'static str)>;

const DAYS: [&str; 3] = ["2026-11-20", "2026-11-21", "2026-11-22"];

fn long() -> Retention {
    "long.2557d".parse().unwrap()
}

/// A sidecar with two records of each of two retentions on three days, and a tag key.
fn stored(disk: &MemDisk) -> Records {
    let mut kept = sidecar(disk);
    let mut records = Records::new();
    for date in DAYS {
        for retention in [standard(), long(), standard(), long()] {
            let index = records.len() as u64;
            let id = message_id(index);
            let sealed = kept
                .seal(&retention, day(date), &of(&id), &plaintext(index))
                .unwrap();
            kept.store(index, &sealed.attachment).unwrap();
            records.insert(index, (sealed.hash, retention, date));
        }
    }
    kept.sync().unwrap();
    kept.tag_key(&tags()).unwrap();
    records
}

fn tags() -> Period {
    Period::of_tags(standard(), "2026-11", "immediate").unwrap()
}

fn key(name: &str) -> Target {
    Target::Key(name.parse().unwrap())
}

fn record(records: &Records, index: u64) -> Target {
    let (hash, retention, date) = &records[&index];
    Target::Record {
        hash: *hash,
        retention: retention.clone(),
        day: day(date),
    }
}

fn plan(targets: Vec<Target>) -> Plan {
    Plan {
        authority: "a test".to_owned(),
        origin: ORIGIN.to_owned(),
        since: 0,
        targets,
    }
}

fn goes(records: &Records, targets: &[Target], index: u64) -> bool {
    let (hash, retention, date) = &records[&index];
    targets.iter().any(|target| match target {
        Target::Key(name) => name.period == Period::of_day(retention.clone(), day(date)),
        Target::Record { hash: erased, .. } => erased == hash,
    })
}

/// What stays opens; what goes does not, once nothing is planned any more.
fn check(kept: &Sidecar, records: &Records, targets: &[Target]) {
    for (index, (hash, ..)) in records {
        let opened = kept.open_record(hash, &of(&message_id(*index)));
        if goes(records, targets, *index) {
            assert!(
                matches!(opened, Err(SidecarError::Shredded)),
                "record {index}"
            );
        } else {
            assert_eq!(*opened.unwrap(), plaintext(*index), "record {index}");
        }
    }
}

/// The secret of every generation of a key folder.
fn masters(disk: &MemDisk) -> Vec<(PathBuf, Vec<u8>)> {
    let mut files = disk.files();
    files.retain(|(path, _)| path.starts_with("/keys/kek"));
    files.retain(|(path, _)| path.to_string_lossy().contains("master"));
    files
}

fn holds(disk: &MemDisk, secret: &[u8]) -> bool {
    let files = disk.files();
    let mut contents = files.iter().map(|(_, content)| content);
    contents.any(|content| content.windows(secret.len()).any(|w| w == secret))
}

/// Every kind of destruction that a plan can hold.
fn orders(records: &Records) -> Vec<Vec<Target>> {
    vec![
        vec![key("standard.730d/2026-11-21/1")],
        vec![
            key("standard.730d/2026-11-20/1"),
            key("standard.730d/2026-11-21/1"),
            key("long.2557d/2026-11-22/1"),
        ],
        vec![record(records, 4)],
        vec![record(records, 4), record(records, 6), record(records, 1)],
        // The last of a day: what the write-ahead log repeats must not bring it back.
        vec![record(records, 11)],
        vec![key("long.2557d/2026-11-20/1"), record(records, 8)],
    ]
}

#[test]
fn what_is_destroyed_never_opens_again_and_all_else_still_does() {
    let before = MemDisk::new();
    let records = stored(&before);
    let old = masters(&before);
    assert_eq!(old.len(), 1);
    for targets in orders(&records) {
        let disk = before.restart();
        let kept = sidecar(&disk);
        kept.plan(&plan(targets.clone())).unwrap();
        check(&kept, &records, &[]);
        kept.carry_out().unwrap();
        check(&kept, &records, &targets);
        assert_eq!(kept.planned().unwrap(), None);
        for image in [disk.restart(), disk.crash()] {
            check(&sidecar(&image), &records, &targets);
            assert!(
                !holds(&image, &old[0].1),
                "the old master key is still there"
            );
            holds_no_canary(&image);
        }
    }
}

#[test]
fn copies_of_the_old_files_open_nothing_that_was_destroyed() {
    let before = MemDisk::new();
    let records = stored(&before);
    for targets in orders(&records) {
        let disk = before.restart();
        let kept = sidecar(&disk);
        kept.plan(&plan(targets.clone())).unwrap();
        kept.carry_out().unwrap();
        // Somebody kept everything but the master key, and puts it back.
        for (path, content) in before.files() {
            if path.starts_with("/data/sidecar") {
                disk.overwrite(&path, &content);
            }
        }
        let (master, _) = masters(&disk).remove(0);
        let number = master.extension().unwrap().to_str().unwrap().to_owned();
        let table = Path::new("/keys/kek").join(format!("keys.{number}"));
        let today = disk.read(&table).unwrap();
        let old = before.read(Path::new("/keys/kek/keys.1")).unwrap();
        for content in [today, as_generation(old, number.parse().unwrap())] {
            disk.overwrite(&table, &content);
            let again = sidecar(&disk.restart());
            for (index, (hash, ..)) in &records {
                if goes(&records, &targets, *index) {
                    let opened = again.open_record(hash, &of(&message_id(*index)));
                    assert!(opened.is_err(), "record {index}");
                }
            }
        }
    }
}

/// A table of keys that says it is of another generation: so that it is refused for its keys alone.
fn as_generation(mut table: Vec<u8>, number: u8) -> Vec<u8> {
    assert_eq!(table[8..11], [0x84, 1, 1]);
    table[10] = number;
    let crc = crc32c::crc32c(&table[8..]);
    table[4..8].copy_from_slice(&crc.to_be_bytes());
    table
}

#[test]
fn storing_an_erased_record_again_does_not_bring_it_back() {
    let disk = MemDisk::new();
    let mut kept = sidecar(&disk);
    let id = message_id(0);
    let date = "2026-11-22";
    let sealed = kept
        .seal(&standard(), day(date), &of(&id), &plaintext(0))
        .unwrap();
    kept.store(0, &sealed.attachment).unwrap();
    kept.sync().unwrap();
    let records = Records::from([(0, (sealed.hash, standard(), date))]);
    let targets = vec![record(&records, 0)];
    kept.plan(&plan(targets.clone())).unwrap();
    kept.carry_out().unwrap();
    // As the write-ahead log does at the next start, when it still has the frame.
    for mut kept in [kept, sidecar(&disk.crash())] {
        kept.store(0, &sealed.attachment).unwrap();
        kept.sync().unwrap();
        check(&kept, &records, &targets);
    }
}

#[test]
fn no_crash_loses_a_key_that_stays_and_the_next_start_finishes_what_was_begun() {
    let before = MemDisk::new();
    let records = stored(&before);
    let (_, old) = masters(&before).remove(0);
    for targets in orders(&records) {
        let whole = before.restart();
        let kept = sidecar(&whole);
        let from = whole.operations();
        kept.plan(&plan(targets.clone())).unwrap();
        kept.carry_out().unwrap();
        let steps = whole.operations() - from;
        for at in 0..steps {
            let disk = before.restart();
            let kept = sidecar(&disk);
            disk.fail_at(disk.operations() + at, Fault::Crash);
            let planned = kept.plan(&plan(targets.clone()));
            let done = planned.and_then(|()| kept.carry_out());
            assert!(done.is_err(), "step {at} is not reached");
            for image in disk.crash_images(at).chain([disk.restart()]) {
                let again = sidecar(&image);
                // The plan is there, or nothing has happened yet, or all of it has.
                let begun = again.planned().unwrap().is_some();
                again.carry_out().unwrap();
                let opens = |index: u64| {
                    let hash = &records[&index].0;
                    again.open_record(hash, &of(&message_id(index))).is_ok()
                };
                let first = (0..12).find(|i| goes(&records, &targets, *i)).unwrap();
                if !begun && opens(first) {
                    check(&again, &records, &[]);
                    continue;
                }
                check(&again, &records, &targets);
                for image in [image.restart(), image.crash()] {
                    check(&sidecar(&image), &records, &targets);
                    assert!(!holds(&image, &old), "step {at}");
                }
            }
        }
    }
}

#[test]
fn a_failed_write_or_sync_is_made_good_in_the_same_run() {
    let before = MemDisk::new();
    let records = stored(&before);
    let (_, old) = masters(&before).remove(0);
    for targets in orders(&records) {
        for fault in [Fault::Error, Fault::Torn] {
            for at in 0.. {
                let disk = before.restart();
                let kept = sidecar(&disk);
                disk.fail_at(disk.operations() + at, fault);
                let order = plan(targets.clone());
                let planned = kept.plan(&order);
                if planned.is_err() && kept.planned().unwrap().is_none() {
                    kept.plan(&order).unwrap();
                }
                if kept.carry_out().is_ok() && planned.is_ok() {
                    break;
                }
                // Sealing goes on in between, under keys that stay.
                let id = message_id(99);
                let date = day("2026-11-23");
                let sealed = kept
                    .seal(&standard(), date, &of(&id), &plaintext(99))
                    .unwrap();
                kept.clone().store(99, &sealed.attachment).unwrap();
                kept.clone().sync().unwrap();
                kept.carry_out().unwrap();
                let image = disk.crash();
                let again = sidecar(&image);
                check(&again, &records, &targets);
                assert_eq!(
                    *again.open_record(&sealed.hash, &of(&id)).unwrap(),
                    plaintext(99)
                );
                assert!(!holds(&image, &old), "{fault:?} at {at}");
            }
        }
    }
}

#[test]
fn a_destroyed_period_gets_no_key_again_nor_does_an_earlier_one() {
    let disk = MemDisk::new();
    stored(&disk);
    let kept = sidecar(&disk);
    let target = key("standard.730d/2026-11-21/1");
    let tag_key: KeyName = "standard.730d/2026-11/immediate/1".parse().unwrap();
    kept.plan(&plan(vec![target, Target::Key(tag_key)]))
        .unwrap();
    kept.carry_out().unwrap();
    let seal = |kept: &Sidecar, retention: &Retention, date: &str| {
        let id = message_id(50);
        kept.seal(retention, day(date), &of(&id), b"x").map(|_| ())
    };
    for kept in [kept, sidecar(&disk.crash())] {
        for date in ["2026-11-21", "2026-11-19"] {
            let refused = seal(&kept, &standard(), date);
            assert!(matches!(refused, Err(SidecarError::Shredded)), "{date}");
        }
        assert!(
            seal(&kept, &standard(), "2026-11-20").is_ok(),
            "it still has its key"
        );
        assert!(seal(&kept, &standard(), "2026-11-22").is_ok());
        assert!(
            seal(&kept, &long(), "2026-11-19").is_ok(),
            "another retention"
        );
        assert!(matches!(kept.tag_key(&tags()), Err(SidecarError::Shredded)));
        let other = Period::of_tags(standard(), "2026-11", "withheld").unwrap();
        assert!(kept.tag_key(&other).is_ok());
    }
}

#[test]
fn many_keys_that_are_due_go_in_one_change_of_the_master_key() {
    let disk = MemDisk::new();
    let records = stored(&disk);
    let kept = sidecar(&disk);
    let at = |text: &str| text.parse::<Timestamp>().unwrap();
    assert_eq!(kept.due(at("2028-11-19T23:59:59.999Z")).unwrap(), []);
    // 730 days after the end of 20 November 2026: 2028 has a leap day.
    let due = kept.due(at("2028-11-21T00:00:00Z")).unwrap();
    let names: Vec<String> = due.iter().map(ToString::to_string).collect();
    assert_eq!(
        names,
        ["standard.730d/2026-11-20/1", "standard.730d/2026-11-21/1"]
    );
    let targets: Vec<Target> = due.into_iter().map(Target::Key).collect();
    kept.plan(&plan(targets.clone())).unwrap();
    kept.carry_out().unwrap();
    check(&kept, &records, &targets);
    let paths: Vec<PathBuf> = masters(&disk).into_iter().map(|(path, _)| path).collect();
    assert_eq!(paths, [Path::new("/keys/kek/master.2")]);
    let all = kept.due(Timestamp::MAX).unwrap();
    assert_eq!(
        all.len(),
        1 + 3 + 1,
        "one day, three days, one month of tags"
    );
}

#[test]
fn one_plan_at_a_time_and_within_bounds() {
    let disk = MemDisk::new();
    stored(&disk);
    let kept = sidecar(&disk);
    let target = key("standard.730d/2026-11-20/1");
    for refused in [
        plan(Vec::new()),
        plan(vec![target.clone(); Plan::MAX_TARGETS + 1]),
        Plan {
            authority: String::new(),
            ..plan(vec![target.clone()])
        },
        Plan {
            authority: "x".repeat(256),
            ..plan(vec![target.clone()])
        },
    ] {
        assert!(matches!(kept.plan(&refused), Err(SidecarError::Size)));
    }
    let order = plan(vec![target]);
    kept.plan(&order).unwrap();
    assert!(matches!(kept.plan(&order), Err(SidecarError::Planned)));
    assert_eq!(kept.planned().unwrap(), Some(order));
}
