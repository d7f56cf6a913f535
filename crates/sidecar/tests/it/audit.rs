//! Telling what was destroyed by rule from what is missing against it.

use std::path::Path;
use std::sync::Arc;

use entente_clock::Timestamp;
use entente_ledger::Companion;
use entente_ledger::disk::Disk;
use entente_sidecar::{Audit, Plan, Sealed, Shredding, Standing, Target, Violation};
use entente_testkit::{MemDisk, tamper};

use crate::support::{NOW, ORIGIN, day, message_id, of, plaintext, sidecar, standard};

/// Two records of one day.
fn stored(disk: &MemDisk) -> Vec<Sealed> {
    let mut kept = sidecar(disk);
    let mut all = Vec::new();
    for index in 0..2 {
        let id = message_id(index);
        let sealed = kept
            .seal(&standard(), NOW.day(), &of(&id), &plaintext(index))
            .unwrap();
        kept.store(index, &sealed.attachment).unwrap();
        all.push(sealed);
    }
    kept.sync().unwrap();
    all
}

fn key() -> Target {
    let name = format!("standard.730d/{}/1", NOW.day());
    Target::Key(name.parse().unwrap())
}

fn plan(target: Target) -> Plan {
    Plan {
        authority: "retention of 730 days".to_owned(),
        origin: ORIGIN.to_owned(),
        since: 2,
        targets: vec![target],
    }
}

fn logged(plan: &Plan, at: Timestamp) -> Vec<Shredding> {
    let shreds = plan.shreds().zip(2..);
    let entry = |(shred, index)| Shredding {
        origin: ORIGIN.to_owned(),
        index,
        at,
        shred,
    };
    shreds.map(entry).collect()
}

fn standing(disk: &MemDisk, shreds: &[Shredding], record: &Sealed) -> Standing {
    let disk: Arc<dyn Disk> = Arc::new(disk.clone());
    let keys = Some(Path::new("/keys/kek"));
    let mut audit = Audit::open(disk, "/data/sidecar", keys).unwrap();
    for shred in shreds {
        audit.note_shred(shred.clone());
    }
    audit
        .standing(&record.hash, NOW, Some(&standard()))
        .unwrap()
}

/// When the term is over.
fn due() -> Timestamp {
    let Target::Key(name) = key() else {
        panic!("it is a key");
    };
    name.period.due()
}

#[test]
fn a_period_destroyed_by_rule_is_told_from_one_whose_key_is_just_gone() {
    let disk = MemDisk::new();
    let records = stored(&disk);
    assert_eq!(standing(&disk, &[], &records[0]), Standing::Present);

    let order = plan(key());
    let shreds = logged(&order, due());
    // Logged, and not destroyed yet: the server did not finish.
    let unfinished = Violation::NotDestroyed(shreds[0].clone());
    assert_eq!(
        standing(&disk, &shreds, &records[0]),
        Standing::Violation(unfinished)
    );
    let kept = sidecar(&disk);
    kept.plan(&order).unwrap();
    kept.carry_out().unwrap();
    for record in &records {
        let by_rule = Standing::Shredded(shreds[0].clone());
        assert_eq!(standing(&disk, &shreds, record), by_rule);
        let gone = Standing::Violation(Violation::KeyGone);
        assert_eq!(standing(&disk, &[], record), gone);
        let moment_before = Timestamp::from_millis(due().as_millis() - 1);
        let early = logged(&order, moment_before);
        let violation = Violation::Early(early[0].clone());
        assert_eq!(
            standing(&disk, &early, record),
            Standing::Violation(violation)
        );
    }
}

#[test]
fn one_erased_record_is_told_from_its_neighbours() {
    let disk = MemDisk::new();
    let records = stored(&disk);
    let order = plan(Target::Record {
        hash: records[0].hash,
        retention: standard(),
        day: NOW.day(),
    });
    let shreds = logged(&order, NOW);
    let unfinished = Violation::NotDestroyed(shreds[0].clone());
    assert_eq!(
        standing(&disk, &shreds, &records[0]),
        Standing::Violation(unfinished)
    );
    let kept = sidecar(&disk);
    kept.plan(&order).unwrap();
    kept.carry_out().unwrap();
    assert_eq!(
        standing(&disk, &shreds, &records[0]),
        Standing::Shredded(shreds[0].clone())
    );
    assert_eq!(standing(&disk, &shreds, &records[1]), Standing::Present);
    // Without its entry, what is erased is missing.
    assert_eq!(
        standing(&disk, &[], &records[0]),
        Standing::Violation(Violation::Absent)
    );
    // And later the whole day goes, with the key that took the first one's place.
    let second = format!("standard.730d/{}/2", NOW.day());
    let order = plan(Target::Key(second.parse().unwrap()));
    kept.plan(&order).unwrap();
    kept.carry_out().unwrap();
    let all = [shreds.clone(), logged(&order, due())].concat();
    assert_eq!(
        standing(&disk, &all, &records[1]),
        Standing::Shredded(all[1].clone())
    );
    assert_eq!(
        standing(&disk, &all, &records[0]),
        Standing::Shredded(all[0].clone())
    );
}

/// The class and term of a record stand where its owner can write them.
#[test]
fn a_record_relabelled_so_that_its_term_is_over_is_a_violation() {
    let disk = MemDisk::new();
    let records = stored(&disk);
    relabel(&disk, "short.1d", 0);
    let name = format!("short.1d/{}/1", NOW.day());
    let order = plan(Target::Key(name.parse().unwrap()));
    let shreds = logged(&order, due());
    let (held, agreed) = ("short.1d".parse().unwrap(), standard());
    let relabelled = Standing::Violation(Violation::OtherRetention { held, agreed });
    assert_eq!(standing(&disk, &shreds, &records[0]), relabelled);
    assert_eq!(standing(&disk, &[], &records[0]), relabelled);
    assert_eq!(standing(&disk, &shreds, &records[1]), Standing::Present);
}

#[test]
fn a_record_that_was_taken_away_is_missing_also_when_its_day_was_shredded() {
    let disk = MemDisk::new();
    let records = stored(&disk);
    let order = plan(key());
    let shreds = logged(&order, due());
    let kept = sidecar(&disk);
    kept.plan(&order).unwrap();
    kept.carry_out().unwrap();
    let by_rule = Standing::Shredded(shreds[0].clone());
    assert_eq!(standing(&disk, &shreds, &records[0]), by_rule);
    let segment = Path::new("/data/sidecar").join(NOW.day().to_string());
    disk.remove(&segment.join("000.seg")).unwrap();
    let absent = Standing::Violation(Violation::Absent);
    assert_eq!(standing(&disk, &shreds, &records[0]), absent);
}

#[test]
fn a_record_logged_as_erased_alone_and_with_its_day_is_there_while_its_key_is() {
    let disk = MemDisk::new();
    let records = stored(&disk);
    let alone = plan(Target::Record {
        hash: records[0].hash,
        retention: standard(),
        day: NOW.day(),
    });
    let day = plan(key());
    let shreds = [logged(&alone, due()), logged(&day, due())].concat();
    let unfinished = Violation::NotDestroyed(shreds[0].clone());
    assert_eq!(
        standing(&disk, &shreds, &records[0]),
        Standing::Violation(unfinished)
    );
    let kept = sidecar(&disk);
    kept.plan(&day).unwrap();
    kept.carry_out().unwrap();
    let erased = Standing::Shredded(shreds[0].clone());
    assert_eq!(standing(&disk, &shreds, &records[0]), erased);
}

/// Writes another retention into the wrapped key of one record of the day, as a whole frame.
fn relabel(disk: &MemDisk, retention: &str, number: usize) {
    let path = Path::new("/data/sidecar").join(NOW.day().to_string());
    let path = path.join("wrapped");
    let content = disk.read(&path).unwrap();
    disk.overwrite(&path, &tamper::relabelled(&content, number, retention));
}

#[test]
fn a_record_file_that_somebody_deleted_or_changed_is_a_violation() {
    let disk = MemDisk::new();
    let records = stored(&disk);
    let folder = Path::new("/data/sidecar").join(NOW.day().to_string());
    for name in ["000.seg", "wrapped"] {
        let image = disk.restart();
        image.remove(&folder.join(name)).unwrap();
        for record in &records {
            let absent = Standing::Violation(Violation::Absent);
            assert_eq!(standing(&image, &[], record), absent, "{name}");
        }
        let content = disk.read(&folder.join(name)).unwrap();
        for at in 0..content.len() {
            let image = disk.restart();
            let mut changed = content.clone();
            changed[at] ^= 1;
            image.overwrite(folder.join(name), &changed);
            let both = records.iter().map(|record| standing(&image, &[], record));
            let present = both.filter(|standing| *standing == Standing::Present);
            assert!(present.count() < 2, "{name} at {at}");
        }
    }
}

#[test]
fn a_copy_without_keys_is_whole_and_opens_nothing() {
    let disk = MemDisk::new();
    let records = stored(&disk);
    let copy = MemDisk::new();
    copy.create_dir_all(&Path::new("/data/sidecar").join(NOW.day().to_string()))
        .unwrap();
    for (path, content) in disk.files() {
        if path.starts_with("/data") {
            copy.create(&path).unwrap();
            copy.overwrite(&path, &content);
        }
    }
    let disk: Arc<dyn Disk> = Arc::new(copy.clone());
    let mut audit = Audit::open(disk, "/data/sidecar", None).unwrap();
    assert!(!audit.has_keys());
    for record in &records {
        let standing = audit
            .standing(&record.hash, NOW, Some(&standard()))
            .unwrap();
        assert_eq!(standing, Standing::Present);
    }
    let restored = sidecar(&copy);
    for (index, record) in (0..).zip(&records) {
        assert!(
            restored
                .open_record(&record.hash, &of(&message_id(index)))
                .is_err()
        );
    }
    // Once there is a key folder, it says that the keys are gone.
    let gone = Standing::Violation(Violation::KeyGone);
    assert_eq!(standing(&copy, &[], &records[0]), gone);
}

#[test]
fn what_waits_in_the_write_ahead_log_is_not_missing() {
    let disk = MemDisk::new();
    let kept = sidecar(&disk);
    let id = message_id(0);
    let sealed = kept
        .seal(&standard(), day("2026-11-21"), &of(&id), &plaintext(0))
        .unwrap();
    let shared: Arc<dyn Disk> = Arc::new(disk);
    let mut audit = Audit::open(shared, "/data/sidecar", Some(Path::new("/keys/kek"))).unwrap();
    let absent = Standing::Violation(Violation::Absent);
    assert_eq!(audit.standing(&sealed.hash, NOW, None).unwrap(), absent);
    audit.note_waiting(&sealed.attachment);
    let standing = audit.standing(&sealed.hash, NOW, None).unwrap();
    assert_eq!(standing, Standing::Present);
}
