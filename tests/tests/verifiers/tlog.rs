//! Checkpoints, tiles, bundles and proofs, by Go's checksum database and by aics-tlog.

use std::ffi::OsString;
use std::path::Path;

use entente_tests::verifiers::{Session, Verifier};

use crate::ledgers::{Written, entry};

/// Both, ready to be asked.
fn both() -> [(Verifier, Session); 2] {
    [Verifier::Go, Verifier::AicsTlog].map(|verifier| (verifier, verifier.start().unwrap()))
}

/// The words to check all that is served, against every older checkpoint.
fn ledger(verifier: Verifier, written: &Written) -> Vec<OsString> {
    let mut words: Vec<OsString> = vec!["ledger".into(), written.served().into()];
    words.push(written.key.to_string().into());
    if verifier == Verifier::AicsTlog {
        let witnesses = written.witnesses.iter();
        words.extend(witnesses.flat_map(|key| ["--witness".into(), key.into()]));
    }
    for older in &written.older {
        if verifier == Verifier::AicsTlog {
            words.push("--older".into());
        }
        words.push(older.into());
    }
    words
}

fn proof(file: &Path, of: &Path, written: &Written) -> Vec<OsString> {
    let key = written.key.to_string();
    vec!["proof".into(), file.into(), of.into(), key.into()]
}

#[test]
fn others_verify_a_ledger_of_every_shape() {
    // On both sides of a full tile, with tiles of two levels, and with nothing in it.
    for sizes in [&[0][..], &[1], &[1, 255, 256, 257], &[5, 300, 511, 700]] {
        let written = Written::new(sizes).cosigned();
        for (verifier, session) in &mut both() {
            let accepted = session.accepts(&ledger(*verifier, &written));
            assert!(accepted.is_ok(), "{sizes:?}: {accepted:?}");
        }
    }
}

#[test]
fn others_refuse_a_ledger_with_one_byte_changed_in_any_file() {
    let written = Written::new(&[5, 300, 700]).cosigned();
    let served = written.served();
    let mut asked =
        both().map(|(verifier, session)| (verifier, session, ledger(verifier, &written)));
    for name in [
        "checkpoint",
        "tile/0/000",
        "tile/0/002.p/188",
        "tile/1/000.p/2",
        "tile/entries/000",
        "tile/entries/001",
        "tile/entries/002.p/188",
    ] {
        let path = served.join(name);
        let whole = std::fs::read(&path).unwrap();
        for at in [0, whole.len() / 3, whole.len() - 2] {
            let mut changed = whole.clone();
            // A capital letter for a small one in text: the form stays, the meaning changes.
            changed[at] ^= 0x20;
            std::fs::write(&path, &changed).unwrap();
            for (verifier, session, words) in &mut asked {
                // A line of a witness that Go was not told of is no business of its.
                let is_unknown = name == "checkpoint" && at > 0;
                if is_unknown && *verifier == Verifier::Go {
                    continue;
                }
                // The last line is of a witness nobody knows.
                if name == "checkpoint" && at == whole.len() - 2 {
                    continue;
                }
                let refused = session.refuses(words);
                assert!(refused.is_ok(), "{name} at {at}: {refused:?}");
            }
        }
        std::fs::remove_file(&path).unwrap();
        for (_, session, words) in &mut asked {
            let refused = session.refuses(words);
            assert!(refused.is_ok(), "{name} removed: {refused:?}");
        }
        std::fs::write(&path, &whole).unwrap();
    }
    for (_, session, words) in &mut asked {
        session.accepts(words).unwrap();
    }
}

#[test]
fn others_refuse_two_entries_swapped_and_a_checkpoint_of_another_tree() {
    let written = Written::new(&[5, 40]);
    let other = Written::new(&[6, 40]);
    let bundle = written.served().join("tile/entries/000.p/40");
    let whole = std::fs::read(&bundle).unwrap();
    let (first, second) = (entry(0), entry(1));
    let sized = |entry: &[u8]| [&(entry.len() as u16).to_be_bytes()[..], entry].concat();
    let mut swapped = [sized(&second), sized(&first)].concat();
    swapped.extend_from_slice(&whole[swapped.len()..]);
    assert_ne!(swapped, whole);
    std::fs::write(&bundle, &swapped).unwrap();
    let mut both = both();
    for (verifier, session) in &mut both {
        let refused = session.refuses(&ledger(*verifier, &written));
        assert!(refused.is_ok(), "{refused:?}");
    }
    std::fs::write(&bundle, &whole).unwrap();

    // Signed by the same key, of a tree that this one does not continue.
    let text = written.checkpoint().note().text().to_owned();
    let root = text.lines().nth(2).unwrap();
    let forked = entente_ledger::checkpoint::Checkpoint {
        root: entente_signing::Digest::of(b"another"),
        size: 6,
        ..written.checkpoint().checkpoint().clone()
    };
    assert!(!forked.to_string().contains(root));
    let forked =
        entente_ledger::checkpoint::SignedCheckpoint::sign(forked, &*other.signer).unwrap();
    let forked = written.keep("forked", forked.note().to_string().as_bytes());
    for (verifier, session) in &mut both {
        let mut words = ledger(*verifier, &written);
        session.accepts(&words).unwrap();
        if *verifier == Verifier::AicsTlog {
            words.push("--older".into());
        }
        words.push(forked.clone().into());
        let refused = session.refuses(&words);
        assert!(refused.is_ok(), "{refused:?}");
    }
}

#[test]
fn others_verify_proof_files_and_refuse_them_for_anything_else() {
    let written = Written::new(&[5, 700]).cosigned();
    let mut both = both();
    for index in [0, 3, 255, 256, 699] {
        let text = written.proof(index).to_string();
        let file = written.keep("right.tlog-proof", text.as_bytes());
        let right = written.keep("entry", &entry(index));
        let wrong = written.keep("wrong", &[&entry(index)[..], b"x"].concat());
        let lines: Vec<&str> = text.lines().collect();
        let alter = |at: usize, line: &str| {
            let mut lines = lines.clone();
            lines[at] = line;
            lines.join("\n") + "\n"
        };
        let a_hash = crate::ledgers::base64(&[9; 32]);
        let signed = lines
            .iter()
            .position(|line| line.starts_with('\u{2014}'))
            .unwrap();
        let another = lines[signed].replacen('A', "B", 2);
        let altered = [
            alter(1, &format!("index {}", index ^ 1)),
            alter(2, &a_hash),
            // The root: the third line of the checkpoint, after the size.
            alter(signed - 2, &a_hash),
            alter(signed - 3, "699"),
            alter(signed, &another),
        ];
        for (_, session) in &mut both {
            session.accepts(&proof(&file, &right, &written)).unwrap();
            let refused = session.refuses(&proof(&file, &wrong, &written));
            assert!(refused.is_ok(), "{index}: {refused:?}");
            for altered in &altered {
                assert_ne!(*altered, text);
                let file = written.keep("altered.tlog-proof", altered.as_bytes());
                let refused = session.refuses(&proof(&file, &right, &written));
                assert!(refused.is_ok(), "{index}: {refused:?}\n{altered}");
            }
        }
    }
}
