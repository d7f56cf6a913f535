//! Every changed, cut or added byte is found.

use std::path::Path;

use entente_ledger::Reader;
use entente_ledger::disk::Disk;
use entente_ledger::fsck::Fault;
use entente_ledger::log::Log;
use entente_testkit::MemDisk;
use std::sync::Arc;

use crate::support::{
    DIR, Random, RecordingSigner, appends, check, closed_log, config, entries, publish,
};

/// Whether a damage is found, or what it left is just a torn tail: then every entry that another file
/// confirms is there, and those that are read are the ones that were written.
fn is_found_or_torn(image: &MemDisk, signer: &RecordingSigner, size: u64) -> bool {
    let disk: Arc<dyn Disk> = Arc::new(image.clone());
    let Ok(report) = entente_ledger::fsck::fsck(
        Arc::clone(&disk),
        DIR,
        entente_signing::Signer::verifying_key(signer),
        &mut |_, _| {},
    ) else {
        return true;
    };
    if !report.is_sound() {
        return true;
    }
    let Ok(mut reader) = Reader::open(disk, DIR) else {
        return false;
    };
    let read: Vec<_> = reader
        .entries(0)
        .map_while(|read| Some(read.ok()?.1))
        .collect();
    let is_prefix = read[..] == entries(size)[..read.len()];
    let is_torn = report.torn_bytes > 0 || (read.len() as u64) < size;
    is_prefix && is_torn && report.checkpoint.is_none_or(|at| at <= read.len() as u64)
}

fn mutations(content: &[u8], at: usize) -> [Vec<u8>; 4] {
    let mut flipped = content.to_vec();
    flipped[at] ^= 1 << (at % 8);
    let mut added = content.to_vec();
    added.insert(at, content[at] ^ 0x55);
    let mut taken = content.to_vec();
    taken.remove(at);
    [flipped, added, taken, content[..at].to_vec()]
}

/// Damages files of `disk` at the offsets `pick` chooses, and checks that each damage is found.
fn damage(
    disk: &MemDisk,
    signer: &RecordingSigner,
    size: u64,
    mut pick: impl FnMut(&Path, usize) -> bool,
) {
    let mut tried = 0;
    for (path, content) in disk.files() {
        if !path.starts_with(DIR) {
            continue;
        }
        // At least one byte is put at the end of every file, empty ones too.
        let appended = [&content[..], b"x"].concat();
        let of_byte = (0..content.len())
            .filter(|at| pick(&path, *at))
            .flat_map(|at| mutations(&content, at))
            .collect::<Vec<_>>();
        for mutation in of_byte.into_iter().chain([appended]) {
            let image = disk.restart();
            image.overwrite(&path, &mutation);
            assert!(
                is_found_or_torn(&image, signer, size),
                "{} of {} bytes, now {}",
                path.display(),
                content.len(),
                mutation.len()
            );
            tried += 1;
        }
        // A crash before the first checkpoint was published leaves none, nor a final one, a lock is made anew,
        // tiles of older checkpoints are not known to have been there, and the first segment is in the tiles.
        let may_go = [
            "lock",
            "checkpoint",
            "final",
            "log/tile/1/000.p/2",
            "wal/000000.wal",
        ];
        if !may_go.iter().any(|name| path.ends_with(name)) {
            let image = disk.restart();
            image.remove(&path).unwrap();
            assert!(
                is_found_or_torn(&image, signer, size),
                "{} removed",
                path.display()
            );
        }
    }
    assert!(tried > 1_000, "only {tried} damages");
}

#[test]
fn every_damage_to_every_byte_of_a_small_ledger_is_found() {
    let (disk, signer) = (MemDisk::new(), RecordingSigner::new());
    closed_log(&disk, &signer, 3);
    let mut log = Log::open(config(&disk, &signer)).unwrap();
    log.appender.append_batch(&appends(3..5)).unwrap();
    log.appender.append_batch(&appends(5..6)).unwrap();
    drop(log);
    assert_eq!(check(&disk, &signer).findings, []);
    damage(&disk, &signer, 6, |_, _| true);
}

#[test]
fn damage_anywhere_in_a_larger_ledger_is_found() {
    let (disk, signer) = (MemDisk::new(), RecordingSigner::new());
    closed_log(&disk, &signer, 700);
    let mut log = Log::open(config(&disk, &signer)).unwrap();
    log.appender.append_batch(&appends(700..790)).unwrap();
    log.integrator.integrate().unwrap();
    publish(&mut log).unwrap();
    log.appender.append_batch(&appends(790..800)).unwrap();
    drop(log);
    assert_eq!(check(&disk, &signer).findings, []);
    let mut random = Random(5);
    damage(&disk, &signer, 800, |_, at| {
        at == 0 || random.below(97) == 0
    });
}

#[test]
fn a_damaged_entry_is_blamed_on_its_bundle_and_on_nothing_else() {
    for size in [5, 300, 700] {
        let (disk, signer) = (MemDisk::new(), RecordingSigner::new());
        closed_log(&disk, &signer, size);
        for (path, mut content) in disk.files() {
            let name = path.strip_prefix(DIR).unwrap_or(&path);
            if !name.starts_with("log/tile/entries") {
                continue;
            }
            *content.last_mut().unwrap() ^= 1;
            let image = disk.restart();
            image.overwrite(&path, &content);
            let report = check(&image, &signer);
            let found: Vec<_> = report
                .findings
                .iter()
                .map(|f| (Path::new(&f.path), f.fault))
                .collect();
            assert_eq!(found, [(name, Fault::Differs)]);
            content.pop();
            image.overwrite(&path, &content);
            let report = check(&image, &signer);
            let found: Vec<_> = report
                .findings
                .iter()
                .map(|f| (Path::new(&f.path), f.fault))
                .collect();
            assert_eq!(found, [(name, Fault::Differs)]);
        }
    }
}

#[test]
fn files_that_nothing_writes_are_found() {
    let (disk, signer) = (MemDisk::new(), RecordingSigner::new());
    closed_log(&disk, &signer, 300);
    for name in [
        "stray",
        "log/index.html",
        "log/tile/0/002",
        "log/tile/0/001.p/45",
        "log/tile/entries/001.p/45",
        "log/tile/1/000.p/2",
        "log/tile/3/000",
        "log/.state/other",
        "wal/1.wal",
        "wal/note",
    ] {
        let image = disk.restart();
        let path = Path::new(DIR).join(name);
        image.create_dir_all(path.parent().unwrap()).unwrap();
        image.overwrite(&path, &[0; 32]);
        let report = check(&image, &signer);
        assert!(
            report.findings.iter().any(|finding| finding.path == name),
            "{name}"
        );
    }
    // The narrower tile of an earlier checkpoint is what it must be, and may stay.
    let tile = disk.read(&Path::new(DIR).join("log/tile/0/000")).unwrap();
    let image = disk.restart();
    let narrow = Path::new(DIR).join("log/tile/0/000.p/9");
    image.create_dir_all(narrow.parent().unwrap()).unwrap();
    image.overwrite(&narrow, &tile[..9 * 32]);
    assert_eq!(check(&image, &signer).findings, []);
}

#[test]
fn a_checkpoint_signed_by_another_key_is_found() {
    let (disk, signer) = (MemDisk::new(), RecordingSigner::new());
    closed_log(&disk, &signer, 10);
    let other = entente_signing::Ed25519Key::from_seed(&[9; 32]).unwrap();
    let disk: Arc<dyn Disk> = Arc::new(disk);
    let key = entente_signing::Signer::verifying_key(&other);
    let report = entente_ledger::fsck::fsck(disk, DIR, key, &mut |_, _| {}).unwrap();
    assert_eq!(report.findings.len(), 1);
    assert_eq!(report.findings[0].fault, Fault::Signature);
}

#[test]
fn a_ledger_whose_checkpoint_is_gone_is_whole_and_not_signed() {
    let (disk, signer) = (MemDisk::new(), RecordingSigner::new());
    drop(Log::open(config(&disk, &signer)).unwrap());
    assert!(!check(&disk, &signer).is_unsigned(), "nothing to sign yet");
    closed_log(&disk, &signer, 10);
    assert!(!check(&disk, &signer).is_unsigned());
    let checkpoint = Path::new(DIR).join("log/checkpoint");
    disk.remove(&checkpoint).unwrap();
    let report = check(&disk, &signer);
    assert!(report.is_sound() && report.is_unsigned(), "{report:?}");
}
