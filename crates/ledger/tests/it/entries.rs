//! Entries: bytes to types to the same bytes, and nothing else.

use entente_ledger::Entry;
use entente_ledger::entry::{Body, Boot, Denied, DeniedCall, EntryError, LateTags};
use entente_testkit::entries::samples;
use proptest::prelude::*;

#[test]
fn every_sample_decodes_to_itself_and_every_kind_has_one() {
    let mut kinds = Vec::new();
    for (name, entry) in samples() {
        let bytes = entry.encode().unwrap();
        assert_eq!(Entry::decode(&bytes).as_ref(), Ok(&entry), "{name}");
        assert_eq!(Entry::time_of(&bytes), Some(entry.at));
        kinds.push(entry.body.kind());
    }
    kinds.dedup();
    assert_eq!(kinds, (1..=14).collect::<Vec<_>>());
}

#[test]
fn a_changed_byte_never_decodes_to_the_same_entry() {
    for (name, entry) in samples() {
        let bytes = entry.encode().unwrap();
        for at in 0..bytes.len() {
            for bit in 0..8 {
                let mut flipped = bytes.to_vec();
                flipped[at] ^= 1 << bit;
                if let Ok(other) = Entry::decode(&flipped) {
                    assert_ne!(other, entry, "{name} at {at}");
                    assert_eq!(other.encode().unwrap(), flipped, "{name} at {at}");
                }
            }
            assert!(Entry::decode(&bytes[..at]).is_err(), "{name} cut at {at}");
        }
        assert!(
            Entry::decode(&[&bytes[..], &[0]].concat()).is_err(),
            "{name}"
        );
    }
}

#[test]
fn bounds_hold_when_writing_and_reading() {
    let (_, mut entry) = samples().remove(0);
    entry.body = Body::Tags(LateTags {
        statement: entente_signing::Digest::of(b""),
        tags: vec![[0; 16]; 1_025],
    });
    assert_eq!(entry.encode(), Err(EntryError::Field("tags")));
    entry.body = Body::Boot(Boot {
        version: String::new(),
        last_size: 0,
        note: None,
    });
    assert_eq!(entry.encode(), Err(EntryError::Field("version")));
    entry.body = Body::Denied(Denied {
        reason: "no agreement".to_owned(),
        peer: None,
        call: DeniedCall::Statement(vec![0; 70_000].into()),
        sidecar: None,
        view: None,
        tags: Vec::new(),
    });
    assert_eq!(entry.encode(), Err(EntryError::Field("reason")));
    if let Body::Denied(denied) = &mut entry.body {
        denied.reason = "NO_AGREEMENT".to_owned();
    }
    assert_eq!(entry.encode(), Err(EntryError::TooLong));
    assert_eq!(
        Entry::decode(&[0x83, 2, 1, 0]),
        Err(EntryError::UnknownVersion(2))
    );
    assert_eq!(
        Entry::decode(&[0x83, 1, 15, 0]),
        Err(EntryError::UnknownKind(15))
    );
}

proptest! {
    #[test]
    fn bytes_that_decode_encode_to_themselves(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let mut bytes = bytes;
        // Most arbitrary bytes fail at once; these get as far as a kind.
        if bytes.len() > 3 {
            bytes[0] = 0x83 + bytes[0] % 7;
            bytes[1] = 1;
            bytes[2] = 1 + bytes[2] % 14;
        }
        if let Ok(entry) = Entry::decode(&bytes) {
            prop_assert_eq!(entry.encode().unwrap(), bytes);
        }
    }
}
