//! Sealing, opening, and what is refused.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;

use entente_ledger::Companion;
use entente_ledger::disk::{Disk, RealDisk};
use entente_sidecar::{RecordOf, Retention, Sidecar, SidecarError};
use entente_signing::Digest;
use entente_testkit::MemDisk;

use crate::support::{CANARY, day, holds_no_canary, message_id, of, plaintext, sidecar, standard};

#[test]
fn a_record_opens_for_what_it_was_sealed_for_and_nothing_else() {
    let disk = MemDisk::new();
    let mut sidecar = sidecar(&disk);
    let id = message_id(1);
    let sealed = sidecar
        .seal(&standard(), day("2026-11-22"), &of(&id), &plaintext(1))
        .unwrap();
    assert!(matches!(
        sidecar.open_record(&sealed.hash, &of(&id)),
        Err(SidecarError::Missing)
    ));
    sidecar.store(0, &sealed.attachment).unwrap();
    sidecar.sync().unwrap();
    assert_eq!(
        *sidecar.open_record(&sealed.hash, &of(&id)).unwrap(),
        plaintext(1)
    );

    let other = message_id(2);
    for wrong in [
        RecordOf {
            message_id: &other,
            ..of(&id)
        },
        RecordOf { kind: 2, ..of(&id) },
        RecordOf {
            origin: "ss2.service-ontario.ca-on/access/2026h2.1",
            ..of(&id)
        },
    ] {
        assert!(sidecar.open_record(&sealed.hash, &wrong).is_err());
    }
    assert!(matches!(
        sidecar.open_record(&Digest::of(b"other"), &of(&id)),
        Err(SidecarError::Missing)
    ));
}

#[test]
fn records_of_many_days_and_classes_open_after_a_restart() {
    let disk = MemDisk::new();
    let mut first = sidecar(&disk);
    let days = [
        "2026-11-20",
        "2026-11-21",
        "2026-11-22",
        "2026-11-23",
        "2026-11-24",
        "2026-11-20",
    ];
    let mut sealed = Vec::new();
    for (index, (date, class)) in (0..).zip(
        days.iter()
            .flat_map(|d| [(d, "standard.730d"), (d, "long.2557d")]),
    ) {
        let id = message_id(index);
        let record = first
            .seal(
                &class.parse().unwrap(),
                day(date),
                &of(&id),
                &plaintext(index),
            )
            .unwrap();
        first.store(index, &record.attachment).unwrap();
        sealed.push(record.hash);
    }
    first.sync().unwrap();
    drop(first);
    let disk = disk.crash();
    let again = sidecar(&disk);
    for (index, hash) in (0..).zip(&sealed) {
        let id = message_id(index);
        assert_eq!(
            *again.open_record(hash, &of(&id)).unwrap(),
            plaintext(index)
        );
    }
    holds_no_canary(&disk);
    assert_eq!(sealed.len(), 12);
}

#[test]
fn the_canary_test_finds_one_that_was_planted() {
    let disk = MemDisk::new();
    disk.overwrite("/planted", CANARY.as_bytes());
    let caught = std::panic::catch_unwind(|| holds_no_canary(&disk));
    assert!(caught.is_err());
}

#[test]
fn storing_again_changes_nothing() {
    let disk = MemDisk::new();
    let mut sidecar = sidecar(&disk);
    let mut attachments = Vec::new();
    for index in 0..5 {
        let id = message_id(index);
        let sealed = sidecar.seal(&standard(), day("2026-11-22"), &of(&id), &plaintext(index));
        attachments.push(sealed.unwrap().attachment);
    }
    for (index, attachment) in (0..).zip(&attachments) {
        sidecar.store(index, attachment).unwrap();
    }
    sidecar.sync().unwrap();
    let before = disk.files();
    let restarted = disk.restart();
    for (mut sidecar, disk) in [
        (sidecar, disk),
        (super::support::sidecar(&restarted), restarted),
    ] {
        for (index, attachment) in (0..).zip(&attachments) {
            sidecar.store(index, attachment).unwrap();
        }
        sidecar.sync().unwrap();
        assert_eq!(disk.files(), before);
    }
}

#[test]
fn a_key_folder_has_one_owner_at_a_time() {
    let disk = MemDisk::new();
    let owner = sidecar(&disk);
    let second = || {
        let disk: Arc<dyn Disk> = Arc::new(disk.clone());
        Sidecar::open(disk, "/data/sidecar", "/keys/kek")
    };
    assert!(matches!(second(), Err(SidecarError::Disk(_))));
    drop(owner);
    assert!(second().is_ok());
}

#[test]
fn a_key_folder_that_is_damaged_is_not_taken_for_an_empty_one() {
    let disk = MemDisk::new();
    let mut sidecar = sidecar(&disk);
    let id = message_id(1);
    let sealed = sidecar
        .seal(&standard(), day("2026-11-22"), &of(&id), &plaintext(1))
        .unwrap();
    sidecar.store(0, &sealed.attachment).unwrap();
    sidecar.sync().unwrap();
    let reopen = |disk: &MemDisk| {
        let disk: Arc<dyn Disk> = Arc::new(disk.clone());
        Sidecar::open(disk, "/data/sidecar", "/keys/kek")
    };
    let keys = Path::new("/keys/kek");
    for name in ["keys.1", "master.1"] {
        let image = disk.restart();
        image.remove(&keys.join(name)).unwrap();
        let refused = reopen(&image);
        assert!(
            matches!(refused, Err(SidecarError::Damaged { .. })),
            "{name}"
        );
    }
    let content = disk.read(&keys.join("keys.1")).unwrap();
    for at in 0..content.len() {
        let image = disk.restart();
        let mut changed = content.clone();
        changed[at] ^= 1;
        image.overwrite(keys.join("keys.1"), &changed);
        let refused = reopen(&image);
        assert!(matches!(refused, Err(SidecarError::Damaged { .. })), "{at}");
    }
    // Without a format it is still a folder of keys, and stays one.
    let image = disk.restart();
    image.remove(&keys.join("FORMAT")).unwrap();
    let again = reopen(&image).unwrap();
    assert!(again.open_record(&sealed.hash, &of(&id)).is_ok());
}

#[test]
fn a_changed_byte_of_a_stored_record_never_opens() {
    let disk = MemDisk::new();
    let mut sidecar = sidecar(&disk);
    let id = message_id(1);
    let sealed = sidecar
        .seal(&standard(), day("2026-11-22"), &of(&id), &plaintext(1))
        .unwrap();
    sidecar.store(0, &sealed.attachment).unwrap();
    sidecar.sync().unwrap();
    for name in ["000.seg", "wrapped"] {
        let path = Path::new("/data/sidecar/2026-11-22").join(name);
        let content = disk.read(&path).unwrap();
        for at in 0..content.len() {
            let image = disk.restart();
            let mut changed = content.clone();
            changed[at] ^= 4;
            image.overwrite(&path, &changed);
            let again = super::support::sidecar(&image);
            assert!(
                again.open_record(&sealed.hash, &of(&id)).is_err(),
                "{name} at {at}"
            );
        }
    }
}

#[test]
fn a_changed_byte_costs_no_record_but_its_own() {
    let disk = MemDisk::new();
    let mut first = sidecar(&disk);
    let seal = |sidecar: &Sidecar, index: u64| {
        let id = message_id(index);
        sidecar
            .seal(&standard(), day("2026-11-22"), &of(&id), &plaintext(index))
            .unwrap()
    };
    let sealed: Vec<_> = (0..4).map(|index| seal(&first, index)).collect();
    for (index, record) in (0..).zip(&sealed[..3]) {
        first.store(index, &record.attachment).unwrap();
    }
    first.sync().unwrap();
    let path = Path::new("/data/sidecar/2026-11-22/wrapped");
    let content = disk.read(path).unwrap();
    let damaged = content.len() / 3;
    for at in 0..damaged {
        let image = disk.restart();
        let mut changed = content.clone();
        changed[at] ^= 4;
        image.overwrite(path, &changed);
        let mut again = sidecar(&image);
        // Storing opens the folder again, and cuts what a crash left.
        again.store(3, &sealed[3].attachment).unwrap();
        again.sync().unwrap();
        let opens = |index: u64| {
            let id = message_id(index);
            let hash = &sealed[usize::try_from(index).unwrap()].hash;
            again.open_record(hash, &of(&id)).is_ok()
        };
        assert!(!opens(0), "{at}");
        assert!(opens(1) && opens(2) && opens(3), "{at}");
    }
}

#[test]
fn classes_and_lengths_are_bounded_and_other_formats_refused() {
    let disk = MemDisk::new();
    let sidecar = sidecar(&disk);
    let id = message_id(1);
    for class in ["", "Standard", "a/b", "..", &"a".repeat(33)] {
        assert!(Retention::new(class, 730).is_err(), "{class}");
    }
    assert!(Retention::new("standard", 0).is_err());
    assert!(Retention::new("standard", 36_526).is_err());
    let long = vec![0; 17 * 1024 * 1024 + 1];
    assert!(
        sidecar
            .seal(&standard(), day("2026-11-22"), &of(&id), &long)
            .is_err()
    );
    assert!(sidecar.clone().store(0, &b"no record"[..].into()).is_err());
    for folder in ["/data/sidecar", "/keys/kek"] {
        let image = disk.restart();
        image.overwrite(Path::new(folder).join("FORMAT"), b"entente-sidecar 1\n");
        let image: Arc<dyn Disk> = Arc::new(image);
        let refused = Sidecar::open(image, "/data/sidecar", "/keys/kek");
        assert!(
            matches!(refused, Err(SidecarError::Format { .. })),
            "{folder}"
        );
    }
}

#[test]
fn keys_are_private_down_to_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let keys = dir.path().join("keys/kek");
    let disk = Arc::new(RealDisk);
    let kept = Sidecar::open(disk, dir.path().join("sidecar"), &keys).unwrap();
    let id = message_id(0);
    kept.seal(&standard(), day("2026-11-22"), &of(&id), &plaintext(0))
        .unwrap();
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&keys), 0o700);
    for name in ["master.1", "keys.1"] {
        assert_eq!(mode(&keys.join(name)), 0o600, "{name}");
    }
}
