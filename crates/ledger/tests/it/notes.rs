//! Signed notes, checkpoints, keys and proof files: read one way only.

use entente_ledger::SignedCheckpoint;
use entente_ledger::checkpoint::{Checkpoint, CheckpointError};
use entente_ledger::note::{NoteError, NoteKey, NoteSignature, SignedNote};
use entente_ledger::proof::TlogProof;
use entente_signing::{Digest, Ed25519Key, P256Key, Signer};

const ORIGIN: &str = "ss1.service-ontario.ca-on/access/2026h2.1";

fn signed() -> (SignedCheckpoint, NoteKey) {
    let signer = Ed25519Key::from_seed(&[3; 32]).unwrap();
    let key = NoteKey::new(ORIGIN, signer.verifying_key().clone()).unwrap();
    let checkpoint = Checkpoint {
        origin: ORIGIN.to_owned(),
        size: 42,
        root: Digest::of(b"root"),
    };
    (SignedCheckpoint::sign(checkpoint, &signer).unwrap(), key)
}

#[test]
fn a_checkpoint_reads_back_and_no_changed_byte_of_it_verifies() {
    let (signed, key) = signed();
    let bytes = signed.note().to_string().into_bytes();
    assert_eq!(SignedCheckpoint::verify(&bytes, &key).unwrap(), signed);
    for at in 0..bytes.len() {
        for bit in 0..8 {
            let mut flipped = bytes.clone();
            flipped[at] ^= 1 << bit;
            assert!(
                SignedCheckpoint::verify(&flipped, &key).is_err(),
                "byte {at}"
            );
        }
        assert!(SignedCheckpoint::verify(&bytes[..at], &key).is_err());
    }
}

#[test]
fn lines_of_unknown_keys_are_kept_and_count_for_nothing() {
    let (mut signed, key) = signed();
    signed.add(NoteSignature {
        name: "w1.example".to_owned(),
        key_id: [0; 4],
        bytes: vec![1; 72],
    });
    let text = signed.note().to_string();
    let read = SignedCheckpoint::verify(text.as_bytes(), &key).unwrap();
    assert_eq!(read.note().signatures().len(), 2);
    let other = Ed25519Key::from_seed(&[4; 32]).unwrap();
    let other = NoteKey::new(ORIGIN, other.verifying_key().clone()).unwrap();
    assert_eq!(read.note().verify(&other), Err(NoteError::Unsigned));
    let elsewhere = NoteKey::new("elsewhere", key.key().clone()).unwrap();
    assert_eq!(
        SignedCheckpoint::verify(text.as_bytes(), &elsewhere),
        Err(CheckpointError::Note(NoteError::Unsigned))
    );
}

#[test]
fn what_is_not_a_note_or_a_checkpoint_is_refused() {
    for note in [
        "",
        "text\n",
        "text\n\n",
        "text\n\nsignature\n",
        "text\n\n\u{2014} name AAAA\n",
        "text\n\n\u{2014} name AAAAAAA=",
        "te\rxt\n\n\u{2014} name AAAAAAA=\n",
        "text\n\n\u{2014} na+me AAAAAAA=\n",
        "text\n\n\u{2014} name AAAAAAB=\n",
    ] {
        assert_eq!(
            SignedNote::parse(note.as_bytes()),
            Err(NoteError::Form),
            "{note:?}"
        );
    }
    let root = "577yzIEykcZyFA8re38vwUGnA6VD5kZ6NI5ri7PW6ng=";
    assert!(format!("o\n5\n{root}\n").parse::<Checkpoint>().is_ok());
    for text in [
        format!("o\n05\n{root}\n"),
        format!("o\n+5\n{root}\n"),
        format!("o\n5\n{root}"),
        format!("o\n5\n{root}\nextension\n"),
        format!("\n5\n{root}\n"),
        "o\n5\nAAAA\n".to_owned(),
        format!("o\n18446744073709551616\n{root}\n"),
    ] {
        assert_eq!(
            text.parse::<Checkpoint>(),
            Err(CheckpointError::Form),
            "{text:?}"
        );
    }
}

#[test]
fn keys_print_and_parse_one_way_only() {
    let (_, key) = signed();
    let text = key.to_string();
    assert_eq!(text.parse(), Ok(key));
    for at in 0..text.len() {
        let mut changed = text.clone().into_bytes();
        changed[at] ^= 1;
        let parsed = String::from_utf8(changed).map(|text| text.parse::<NoteKey>());
        assert!(!matches!(parsed, Ok(Ok(_))), "byte {at}");
    }
    let p256 = P256Key::generate().unwrap();
    let refused = NoteKey::new(ORIGIN, p256.verifying_key().clone());
    assert_eq!(refused, Err(NoteError::Key));
}

#[test]
fn proof_files_keep_what_they_hold_and_refuse_other_forms() {
    let (signed, _) = signed();
    let proof = TlogProof {
        extra: Some(vec![1, 2, 3]),
        index: 7,
        path: vec![Digest::of(b"a"), Digest::of(b"b")],
        checkpoint: signed.note().to_string(),
    };
    let text = proof.to_string();
    assert_eq!(text.parse(), Ok(proof.clone()));
    let bare = TlogProof {
        extra: None,
        path: Vec::new(),
        ..proof
    };
    assert_eq!(bare.to_string().parse(), Ok(bare));
    for changed in [
        text.replacen("v1", "v2", 1),
        text.replacen("index 7", "index 07", 1),
        text.replacen("index 7\n", "", 1),
        text.replacen("extra AQID", "extra AQI", 1),
        text.replacen('=', "", 1),
        text.replacen("\n\n", "\n", 1),
    ] {
        assert!(changed.parse::<TlogProof>().is_err(), "{changed}");
    }
}
