//! Whatever happened to its files, the store opens: as it was, or empty.

use std::fs;
use std::path::Path;

use entente_store::{RUN, RebuildCause, Store, StoreError};

use crate::{assert_reflects, fill, journal, open};

const SIZE: u64 = RUN as u64 + 40;

/// A closed store that reflects `SIZE` entries.
fn filled(folder: &Path) {
    fill(&open(folder, 0).store, 0, SIZE);
}

/// Opens and completes the index as a server would; it is then whole.
fn recover(folder: &Path) -> Option<RebuildCause> {
    let opened = open(folder, SIZE);
    fill(&opened.store, opened.replay_from, SIZE);
    assert_reflects(&opened.store, SIZE);
    assert!(opened.store.is_writable());
    opened.rebuild
}

#[test]
fn a_crash_while_opening_sets_the_index_aside() {
    let folder = tempfile::tempdir().unwrap();
    filled(folder.path());
    fs::write(folder.path().join("OPENING"), b"").unwrap();
    assert_eq!(recover(folder.path()), Some(RebuildCause::CrashedOpening));
    assert!(folder.path().join("aside-1/db").exists());
    assert!(!folder.path().join("OPENING").exists());
}

#[test]
fn after_an_unclean_stop_a_sound_index_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    filled(folder.path());
    fs::write(folder.path().join("RUNNING"), b"").unwrap();
    assert_eq!(recover(folder.path()), None);
}

#[test]
fn an_index_without_a_position_is_set_aside() {
    let folder = tempfile::tempdir().unwrap();
    let index = folder.path().join("index");
    drop(sled::open(&index).unwrap());
    assert_eq!(recover(folder.path()), Some(RebuildCause::PositionMissing));
}

#[test]
fn damaged_files_are_kept_only_if_nothing_is_lost() {
    for file in ["db", "conf"] {
        let folder = tempfile::tempdir().unwrap();
        filled(folder.path());
        let path = folder.path().join("index").join(file);
        let good = fs::read(&path).unwrap();
        let mut rebuilt = 0;
        let half = good.len() / 2;
        let mut versions = vec![
            vec![],
            b"not a database".to_vec(),
            vec![0xff; good.len()],
            good[..half].to_vec(),
            good[..good.len() - 1].to_vec(),
        ];
        for step in 0..12 {
            let mut bad = good.clone();
            let at = step * 97 % good.len();
            bad[at] ^= 0x41;
            versions.push(bad);
        }
        for version in versions {
            fs::write(&path, version).unwrap();
            // The server was killed: every byte is read again.
            fs::write(folder.path().join("RUNNING"), b"").unwrap();
            rebuilt += u32::from(recover(folder.path()).is_some());
        }
        assert!(rebuilt >= 3, "{file}: {rebuilt}");
    }
}

#[test]
fn keeps_the_newest_three_of_what_was_set_aside() {
    let folder = tempfile::tempdir().unwrap();
    for _ in 0..6 {
        filled(folder.path());
        fs::write(folder.path().join("OPENING"), b"").unwrap();
        recover(folder.path());
    }
    let mut asides: Vec<_> = fs::read_dir(folder.path())
        .unwrap()
        .filter_map(|entry| entry.unwrap().file_name().into_string().ok())
        .filter(|name| name.starts_with("aside-"))
        .collect();
    asides.sort();
    assert_eq!(asides.len(), 3, "{asides:?}");
}

#[test]
fn an_index_of_an_older_format_is_set_aside() {
    let folder = tempfile::tempdir().unwrap();
    filled(folder.path());
    fs::write(folder.path().join("FORMAT"), "entente-store 1\n").unwrap();
    assert_eq!(recover(folder.path()), Some(RebuildCause::New));
    assert!(folder.path().join("aside-1/db").exists());
    let format = fs::read_to_string(folder.path().join("FORMAT")).unwrap();
    assert_eq!(format, "entente-store 2\n");
}

#[test]
fn refuses_a_folder_of_a_newer_format_and_touches_nothing() {
    let folder = tempfile::tempdir().unwrap();
    filled(folder.path());
    fs::write(folder.path().join("FORMAT"), "entente-store 3\n").unwrap();
    assert!(matches!(
        Store::open(folder.path(), journal(SIZE)),
        Err(StoreError::Format { .. })
    ));
    assert!(folder.path().join("index/db").exists());
    // Cut short while it was first written: completed.
    fs::write(folder.path().join("FORMAT"), "entente-st").unwrap();
    assert_eq!(recover(folder.path()), None);
}
