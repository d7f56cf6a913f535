//! Writing and reading, in order and within bounds.

use std::fs;
use std::ops::ControlFlow;

use entente_store::{
    Batch, MAX_KEY, MAX_VALUE, RUN, RebuildCause, Store, StoreError, Tree, retire,
};

use crate::{assert_reflects, fill, journal, message, open, settle};

const SIZE: u64 = RUN as u64 + 5;

#[test]
fn remembers_whole_runs_across_a_clean_stop_and_asks_for_the_rest_again() {
    let folder = tempfile::tempdir().unwrap();
    let opened = open(folder.path(), 0);
    assert_eq!(opened.rebuild, Some(RebuildCause::New));
    assert_eq!((opened.replay_from, opened.set_aside), (0, None));
    fill(&opened.store, 0, SIZE);
    assert_reflects(&opened.store, SIZE);
    drop(opened.store);
    assert!(!folder.path().join("RUNNING").exists());

    // The ledger went on by two entries meanwhile.
    let opened = open(folder.path(), SIZE + 2);
    assert_eq!((opened.replay_from, opened.rebuild), (RUN as u64, None));
    fill(&opened.store, opened.replay_from, SIZE + 2);
    assert_reflects(&opened.store, SIZE + 2);
}

#[test]
fn queued_batches_are_written_before_it_closes() {
    let folder = tempfile::tempdir().unwrap();
    let opened = open(folder.path(), 0);
    for position in 1..=500 {
        let mut batch = Batch::new();
        batch.cursor("last", position).unwrap();
        batch.position(position);
        opened.store.submit(batch).unwrap();
    }
    drop(opened.store);
    let opened = open(folder.path(), 500);
    assert_eq!((opened.replay_from, opened.rebuild), (500, None));
    assert_eq!(opened.store.cursor("last").unwrap(), Some(500));
}

#[test]
fn deleting_the_folder_is_harmless() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    fill(&open(&path, 0).store, 0, SIZE);
    fs::remove_dir_all(&path).unwrap();
    let opened = open(&path, SIZE);
    assert_eq!(
        (opened.replay_from, opened.rebuild),
        (0, Some(RebuildCause::New))
    );
    fill(&opened.store, 0, SIZE);
    assert_reflects(&opened.store, SIZE);
}

#[test]
fn keeps_trees_apart_and_ranges_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path(), 0).store;
    let mut batch = Batch::new();
    for key in [&b"b"[..], b"a", b"", b"c", &[0xff; 4]] {
        batch.put(Tree::Directory, key, b"directory").unwrap();
        batch.put(Tree::Cursors, key, b"cursor").unwrap();
    }
    batch.remove(Tree::Cursors, b"b");
    store.apply(batch).unwrap();

    let keys = |tree, from: &[u8], to: Option<&[u8]>| {
        let mut keys = Vec::new();
        store
            .range(tree, from, to, |key, _| {
                keys.push(key.to_vec());
                ControlFlow::Continue(())
            })
            .unwrap();
        keys
    };
    let all: [&[u8]; 5] = [b"", b"a", b"b", b"c", &[0xff; 4]];
    assert_eq!(keys(Tree::Directory, b"", None), all);
    assert_eq!(keys(Tree::Directory, b"a", Some(b"c")), [b"a", b"b"]);
    assert_eq!(
        keys(Tree::Cursors, b"a", None),
        [&b"a"[..], b"c", &[0xff; 4]]
    );
    assert!(keys(Tree::Cursors, b"c", Some(b"a")).is_empty());
    assert!(keys(Tree::Messages, b"", None).is_empty());
    assert_eq!(
        store.read(Tree::Cursors, b"a").unwrap().as_deref(),
        Some(&b"cursor"[..])
    );
    assert_eq!(store.read(Tree::Cursors, b"b").unwrap(), None);
}

#[test]
fn refuses_keys_and_values_that_are_too_large() {
    let mut batch = Batch::new();
    assert!(
        batch
            .put(Tree::Directory, &[0; MAX_KEY], &[0; MAX_VALUE])
            .is_ok()
    );
    for (key, value) in [(MAX_KEY + 1, 0), (0, MAX_VALUE + 1)] {
        let refused = batch.put(Tree::Directory, &vec![0; key], &vec![0; value]);
        assert!(matches!(refused, Err(StoreError::TooLarge)));
    }
    assert_eq!(batch.len(), 1);
}

#[test]
fn finds_every_entry_of_a_message_in_memory_in_one_block_and_in_many() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path(), 0).store;
    let run = RUN as u64;
    // In three runs of three: one message in each, with neighbours on either side; one that fills
    // several blocks; the smallest and the greatest id.
    let (often, low, high) = ([7; 16], [0; 16], [0xff; 16]);
    let mut expected = Vec::new();
    for index in 0..3 * run + 9 {
        let id = match index % run {
            0 => low,
            1 => high,
            2..=3_000 => often,
            _ => message(index),
        };
        if id == often {
            expected.push(index);
        }
        store.note(&id, index).unwrap();
    }
    settle(&store, 3 * run + 9);
    let found = |id, limit| store.messages(&id, limit).unwrap();
    assert_eq!(found(often, usize::MAX), expected);
    assert_eq!(found(often, 2), [2, 3]);
    assert_eq!(found(low, 9), [0, run, 2 * run, 3 * run]);
    assert_eq!(found(high, 9), [1, run + 1, 2 * run + 1, 3 * run + 1]);
    assert_eq!(found(message(4_000), 9), [4_000, 4_001]);
    assert!(found(often, 0).is_empty());
    assert!(found([9; 16], 9).is_empty());
}

#[test]
fn belongs_to_one_process_and_one_ledger() {
    let folder = tempfile::tempdir().unwrap();
    let opened = open(folder.path(), 0);
    fill(&opened.store, 0, SIZE);
    assert!(matches!(
        Store::open(folder.path(), journal(SIZE)),
        Err(StoreError::InUse)
    ));
    drop(opened);

    let opened = open(folder.path(), 4);
    assert_eq!(opened.rebuild, Some(RebuildCause::Ahead));
    assert!(opened.set_aside.unwrap().is_dir());
    fill(&opened.store, 0, SIZE);
    drop(opened.store);

    let mut other = journal(2 * SIZE);
    other.origin = "ss2.service-ontario.ca-on/access/2026h2.1";
    let opened = Store::open(folder.path(), other).unwrap();
    assert_eq!(opened.rebuild, Some(RebuildCause::OtherJournal));
    assert_eq!(opened.replay_from, 0);
}

#[test]
fn old_epochs_are_deleted_whole_and_other_folders_left_alone() {
    let root = tempfile::tempdir().unwrap();
    for epoch in ["2026-09", "2026-10", "2026-11"] {
        drop(open(&root.path().join(epoch), 0));
    }
    fs::create_dir(root.path().join("mine")).unwrap();
    assert_eq!(retire(root.path(), &["2026-11"]).unwrap(), 2);
    let mut left: Vec<_> = fs::read_dir(root.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    left.sort();
    assert_eq!(left, ["2026-11", "mine"]);

    let _in_use = open(&root.path().join("2026-11"), 0);
    assert!(retire(root.path(), &[]).is_err());
}
