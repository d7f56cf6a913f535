//! Two independent writers against ours: the same entries must give the same bytes.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use entente_tests::verifiers::Verifier;

use crate::ledgers::{Written, entry, files};

/// Sizes on both sides of the boundaries and some between, from a seed that is printed.
fn sizes() -> Vec<u64> {
    let key = entente_signing::Ed25519Key::generate().unwrap();
    let digest = entente_signing::Signer::verifying_key(&key).spki_digest();
    let random = digest.as_bytes()[..12].chunks(3).map(|three| {
        let number = three
            .iter()
            .fold(0, |all, byte| all << 8 | u64::from(*byte));
        number % 70_001
    });
    let mut sizes = vec![0, 1, 255, 256, 257, 65_536, 65_537, 70_000];
    sizes.extend(random);
    sizes.sort_unstable();
    sizes.dedup();
    eprintln!("sizes: {sizes:?}");
    sizes
}

/// What is served, but for the checkpoint and our own state.
fn tiles(served: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let tiles = files(served).into_iter();
    tiles.filter(|(path, _)| path.starts_with("tile")).collect()
}

#[test]
fn two_other_writers_write_the_same_bytes() {
    let sizes = sizes();
    let mut ours = BTreeMap::new();
    let written = Written::watched(&sizes, |written| {
        ours.insert(written.size, tiles(&written.served()));
    });
    let all: Vec<u8> = (0..written.size)
        .flat_map(|index| {
            let entry = entry(index);
            [&(entry.len() as u16).to_be_bytes()[..], &entry].concat()
        })
        .collect();
    let entries = written.keep("entries", &all);
    for verifier in [Verifier::Go, Verifier::AicsTlog] {
        let folder = tempfile::tempdir().unwrap();
        let mut words = vec!["write".into(), entries.clone(), folder.path().to_owned()];
        words.extend(sizes.iter().map(|size| PathBuf::from(size.to_string())));
        verifier.start().unwrap().accepts(&words).unwrap();
        let mut ever = BTreeMap::new();
        for size in &sizes {
            let mine = &ours[size];
            let theirs = tiles(&folder.path().join(size.to_string()));
            for (path, bytes) in &theirs {
                let is_same = mine.get(path) == Some(bytes);
                assert!(is_same, "{verifier:?} at {size}: {path:?}");
            }
            ever.extend(theirs);
            // Besides, only the narrower tiles of earlier checkpoints are still there.
            for (path, bytes) in mine {
                let is_known = ever.get(path) == Some(bytes);
                assert!(is_known, "{verifier:?} at {size}: {path:?} is more");
            }
        }
    }
}
