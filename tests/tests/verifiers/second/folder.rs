//! Whole ledgers, with any byte, entry or file of them changed.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use entente_ledger::disk::RealDisk;
use entente_ledger::fsck::fsck;

use super::{Judges, Random};
use crate::ledgers::{Written, entry, files};

/// Whether a replay of the folder finds a sound ledger with a checkpoint.
fn is_sound(written: &Written, dir: &Path) -> bool {
    let key = written.signer.verifying_key();
    let report = fsck(Arc::new(RealDisk), dir, key, &mut |_, _| {});
    report.is_ok_and(|report| report.is_sound() && report.checkpoint.is_some())
}

#[test]
fn both_judge_a_ledger_alike_whatever_byte_or_file_of_it_is_changed() {
    let (mut judges, mut random) = (Judges::new(), Random::new());
    for sizes in [&[3, 7][..], &[256, 258]] {
        let written = Written::new(sizes).cosigned();
        let served = written.served();
        let words = [
            "ledger".into(),
            served.clone(),
            written.key.to_string().into(),
        ];
        judges.compare(is_sound(&written, &written.dir()), &words, "the ledger");
        for (name, whole) in files(&served) {
            if name.starts_with(".state") {
                continue;
            }
            let path = served.join(&name);
            // Every byte of a small ledger; of a larger one every file, at some of its bytes.
            let step = 1 + whole.len() as u64 / 400;
            let mut at = 0;
            while at < whole.len() as u64 {
                for changed in random.changes(&whole, at as usize) {
                    std::fs::write(&path, &changed).unwrap();
                    let ours = is_sound(&written, &written.dir());
                    judges.compare(ours, &words, &format!("{} at {at}", name.display()));
                }
                at += 1 + random.below(2 * step - 1);
            }
            std::fs::remove_file(&path).unwrap();
            let ours = is_sound(&written, &written.dir());
            judges.compare(ours, &words, &format!("{} removed", name.display()));
            std::fs::write(&path, &whole).unwrap();
        }
        for more in [
            "index.html",
            "tile/0/001",
            "tile/1/000.p/9",
            "tile/entries/x001/000",
        ] {
            let path = served.join(more);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, [7; 32]).unwrap();
            let ours = is_sound(&written, &written.dir());
            assert!(!ours, "{more}");
            judges.compare(ours, &words, more);
            std::fs::remove_file(&path).unwrap();
        }
        judges.compare(true, &words, "the ledger again");
    }
    eprintln!("both accept, both refuse: {:?}", judges.agreed);
}

#[test]
fn both_refuse_entries_that_were_swapped_dropped_or_doubled() {
    let mut judges = Judges::new();
    let written = Written::new(&[9]);
    let served = written.served();
    let words = [
        "ledger".into(),
        served.clone(),
        written.key.to_string().into(),
    ];
    let bundle = served.join("tile/entries/000.p/9");
    let whole = std::fs::read(&bundle).unwrap();
    let entries: Vec<Bytes> = (0..9).map(entry).collect();
    let bytes = |entries: &[Bytes]| -> Vec<u8> {
        let sized = entries.iter();
        sized
            .flat_map(|entry| [&(entry.len() as u16).to_be_bytes()[..], entry].concat())
            .collect()
    };
    assert_eq!(bytes(&entries), whole);
    let mut refused = |entries: &[Bytes], what: String| {
        std::fs::write(&bundle, bytes(entries)).unwrap();
        assert!(!is_sound(&written, &written.dir()), "{what}");
        judges.compare(false, &words, &what);
    };
    for one in 0..9 {
        for other in one + 1..9 {
            let mut swapped = entries.clone();
            swapped.swap(one, other);
            refused(&swapped, format!("{one} and {other} swapped"));
        }
        let mut dropped = entries.clone();
        let entry = dropped.remove(one);
        refused(&dropped, format!("{one} dropped"));
        let mut doubled = entries.clone();
        doubled.insert(one, entry);
        refused(&doubled, format!("{one} doubled"));
    }
}

#[test]
fn both_refuse_files_that_changed_places() {
    let mut judges = Judges::new();
    let written = Written::new(&[256, 258]);
    let served = written.served();
    let words = [
        "ledger".into(),
        served.clone(),
        written.key.to_string().into(),
    ];
    let mut there = files(&served);
    there.retain(|(name, _)| !name.starts_with(".state"));
    for (one, mine) in &there {
        for (other, its) in &there {
            if one >= other || mine == its {
                continue;
            }
            std::fs::write(served.join(one), its).unwrap();
            std::fs::write(served.join(other), mine).unwrap();
            let what = format!("{} and {}", one.display(), other.display());
            assert!(!is_sound(&written, &written.dir()), "{what}");
            judges.compare(false, &words, &what);
            std::fs::write(served.join(one), mine).unwrap();
            std::fs::write(served.join(other), its).unwrap();
        }
    }
    judges.compare(true, &words, "all in their places");
}
