//! Openings open exactly what was committed to.

use bytes::Bytes;
use entente_evidence::answer::{Answer, AnswerError};
use entente_evidence::commitment::{Field, Salt, Subject, commit};
use entente_evidence::opening::{
    BuildError, KeepPayload, Kept, Opening, OpeningError, Openings, Value,
};
use entente_reason::Reason;
use entente_signing::Digest;
use entente_signing::cbor::{CborError, Writer};

fn hex32(text: &str) -> [u8; 32] {
    hex::decode(text).unwrap().try_into().unwrap()
}

#[test]
fn a_commitment_is_what_a_shell_computes() {
    // { printf 'entente/commit/v1\0\001'; cat payload.salt payload.bin; } | sha256sum
    let salt = "9dcf437d7249383719b0c5319fa27b8ee5e4eab7d237d5f531c0f79aaa393b5e";
    let payload = hex::decode("0a0b4649313331303532333038").unwrap();
    let expected = "851224f842f51aaba0ff49f0a1d211cbcd5d6f43cafe2edb74709ec4af8f5700";
    let salt = Salt::from_bytes(hex32(salt));
    assert_eq!(
        commit(Field::PAYLOAD, &salt, &[&payload]).to_string(),
        expected
    );
    let (one, two) = payload.split_at(5);
    assert_eq!(
        commit(Field::PAYLOAD, &salt, &[one, b"", two]).to_string(),
        expected
    );
    assert_ne!(
        commit(Field::CASE, &salt, &[&payload]).to_string(),
        expected
    );
}

fn subject() -> Subject {
    Subject::new("ca.sin", "046454286").unwrap()
}

fn built() -> Openings {
    Openings::builder()
        .payload(Bytes::from_static(b"payload"))
        .user("user")
        .subjects(&[Subject::new("ca.sin", "9").unwrap(), subject(), subject()])
        .case("case")
        .build()
        .unwrap()
}

#[test]
fn openings_travel_with_the_payload_last_and_open_what_was_committed() {
    let openings = built();
    let commitments = openings.commitments();
    let plaintext = openings.seal_plaintext().freeze();
    assert!(plaintext.ends_with(b"\x47payload"));
    let read = Openings::decode(&plaintext).unwrap();
    let fields: Vec<u8> = read.as_slice().iter().map(|o| o.field().number()).collect();
    assert_eq!(fields, [2, 3, 4, 1]);
    let opened = read.check(&commitments).unwrap();
    assert_eq!(opened.payload().unwrap(), &b"payload"[..]);
    // A slice of what was opened, not a copy.
    assert!(
        plaintext
            .as_ptr_range()
            .contains(&opened.payload().unwrap().as_ptr())
    );
    assert_eq!(
        opened.subjects(),
        [subject(), Subject::new("ca.sin", "9").unwrap()]
    );
    assert_eq!((opened.user(), opened.case()), (Some("user"), Some("case")));
}

#[test]
fn salts_are_fresh_each_time() {
    let (one, two) = (built().commitments(), built().commitments());
    for (field, commitment) in one {
        assert_ne!(two[&field], commitment);
    }
}

#[test]
fn refuses_openings_that_are_not_the_commitments_one_for_one() {
    let openings = built();
    let commitments = openings.commitments();
    for field in [Field::PAYLOAD, Field::SUBJECTS, Field::USER, Field::CASE] {
        let without = |keep: fn(Field, Field) -> bool| {
            let kept = openings
                .as_slice()
                .iter()
                .filter(|o| keep(o.field(), field));
            Openings::from_openings(kept.cloned().collect())
        };
        let missing = without(|known, field| known != field)
            .check(&commitments)
            .unwrap_err();
        assert_eq!(missing, OpeningError::Missing { field });
        assert_eq!(missing.reason(), Reason::CommitmentMismatch);

        let mut fewer = commitments.clone();
        fewer.remove(&field);
        let added = openings.clone().check(&fewer).unwrap_err();
        assert_eq!(added, OpeningError::Uncommitted { field });

        let mut other = commitments.clone();
        other.insert(field, Digest::of(b"something else"));
        let mismatch = openings.clone().check(&other).unwrap_err();
        assert_eq!(mismatch, OpeningError::Mismatch { field });
    }
    let none = Openings::default().check(&Default::default()).unwrap();
    assert_eq!(
        none.payload(),
        Err(OpeningError::Missing {
            field: Field::PAYLOAD
        })
    );
    assert_eq!(Openings::default().seal_plaintext(), &[0x80][..]);
}

#[test]
fn refuses_a_plaintext_that_is_not_in_its_one_form() {
    let list = |items: &[(u64, usize)]| {
        let mut writer = Writer::new();
        writer.array(items.len());
        for (field, salt) in items {
            writer
                .array(3)
                .uint(*field)
                .bytes(&vec![0; *salt])
                .bytes(b"");
        }
        Openings::decode(&writer.into_vec().into()).map(|_| ())
    };
    let order = Err(OpeningError::Cbor(CborError::KeyOrder));
    assert_eq!(list(&[(2, 32), (9, 32), (1, 32)]), Ok(()));
    assert_eq!(list(&[(1, 32), (2, 32)]), order);
    assert_eq!(list(&[(3, 32), (2, 32)]), order);
    assert_eq!(list(&[(2, 32), (2, 32)]), order);
    assert_eq!(list(&[(0, 32)]), Err(CborError::Range.into()));
    assert_eq!(list(&[(256, 32)]), Err(CborError::Range.into()));
    assert_eq!(list(&[(2, 31)]), Err(CborError::Range.into()));
    let many: Vec<_> = (2..=10).map(|field| (field, 32)).collect();
    assert_eq!(list(&many), Err(OpeningError::TooLarge));
    let trailing = [built().seal_plaintext().as_ref(), &[0]].concat();
    assert!(Openings::decode(&trailing.into()).is_err());
}

#[test]
fn refuses_opened_values_that_are_not_of_their_form() {
    let opens = |field: Field, value: &[u8]| {
        let value = Value::from(Bytes::copy_from_slice(value));
        let salt = Salt::from_bytes([1; 32]);
        let openings = Openings::from_openings(vec![Opening::new(field, salt, value)]);
        let commitments = openings.commitments();
        openings.check(&commitments).is_ok()
    };
    assert!(opens(Field::SUBJECTS, b"\x82\x43a\x00b\x43a\x00c"));
    assert!(!opens(Field::SUBJECTS, b"\x82\x43a\x00c\x43a\x00b"));
    assert!(!opens(Field::SUBJECTS, b"\x82\x43a\x00b\x43a\x00b"));
    assert!(!opens(Field::SUBJECTS, b"\x80"));
    assert!(!opens(Field::SUBJECTS, b"\x81\x42ab"));
    assert!(!opens(Field::SUBJECTS, b"\x81\x43a\x00b\x00"));
    assert!(!opens(Field::USER, b"\xff"));
    assert!(!opens(Field::USER, b""));
    assert!(!opens(Field::CASE, &[b'x'; 1025]));
    // A field of a later version is opened, and nothing more.
    assert!(opens(Field::new(9).unwrap(), b"\xff"));
}

#[test]
fn commits_to_nothing_a_receiver_would_refuse() {
    let too_large = |result: Result<Openings, BuildError>| {
        let error = result.unwrap_err();
        assert!(matches!(error, BuildError::TooLarge { .. }));
        error.reason()
    };
    let user = Openings::builder().user(&"x".repeat(1025)).build();
    assert_eq!(too_large(user), Reason::MetadataInvalid);
    let payload = Bytes::from(vec![0; Openings::MAX_PAYLOAD + 1]);
    let payload = Openings::builder().payload(payload).build();
    assert_eq!(too_large(payload), Reason::MessageTooLarge);
    let many: Vec<_> = (0..=Openings::MAX_SUBJECTS)
        .map(|n| Subject::new("s", &n.to_string()).unwrap())
        .collect();
    assert_eq!(
        too_large(Openings::builder().subjects(&many).build()),
        Reason::MetadataInvalid
    );
    assert!(Openings::builder().subjects(&many[1..]).build().is_ok());
    assert!(Subject::new("", "x").is_err() && Subject::new("x", "").is_err());
    assert!(Subject::new("x", "a\0b").is_err() && Subject::new("x", &"9".repeat(255)).is_err());
}

#[test]
fn nothing_personal_is_printed() {
    let openings = Openings::builder()
        .payload(Bytes::from_static(b"canary"))
        .user("canary")
        .subjects(&[Subject::new("canary", "canary").unwrap()])
        .case("canary");
    assert!(!format!("{openings:?}").contains("canary"));
    let openings = openings.build().unwrap();
    let opened = openings.clone().check(&openings.commitments()).unwrap();
    let kept = Kept::decode(&openings.encode_kept(KeepPayload::Yes).into()).unwrap();
    let answer = Answer::ok(Bytes::from_static(b"canary"));
    let printed = format!(
        "{openings:?}{opened:?}{kept:?}{answer:?}{:?}",
        opened.subjects()
    );
    assert!(
        !printed.contains("canary") && !printed.contains("99, 97, 110"),
        "{printed}"
    );
}

#[test]
fn the_sidecar_keeps_the_payload_only_when_told_to() {
    let openings = built();
    let commitments = openings.commitments();
    for (keep, value) in [
        (KeepPayload::No, None),
        (KeepPayload::Yes, Some(b"payload")),
    ] {
        let kept = Kept::decode(&openings.encode_kept(keep).into()).unwrap();
        assert_eq!(kept.check(&commitments), Ok(()));
        let payload = kept.as_slice().last().unwrap();
        assert_eq!(payload.field, Field::PAYLOAD);
        assert_eq!(
            payload.value.as_deref(),
            value.map(|value| value.as_slice())
        );
        assert!(kept.check(&built().commitments()).is_err());
    }
    let mut absent = Writer::new();
    absent.array(1).array(3).uint(3).bytes(&[0; 32]).null();
    assert!(Kept::decode(&absent.into_vec().into()).is_err());
}

#[test]
fn an_answer_keeps_its_bounds_and_shares_its_message() {
    let answer = Answer::ok(Bytes::from(vec![7; 300]));
    let bytes = answer.to_value().unwrap().to_bytes();
    let read = Answer::decode(&bytes).unwrap();
    assert_eq!(read, answer);
    assert!(bytes.as_ptr_range().contains(&read.message.as_ptr()));

    let with = |key: &str, value: &str| {
        let mut answer = Answer::ok(Bytes::new());
        answer.metadata.insert(key.into(), value.into());
        answer.to_value().map(|value| value.to_bytes())
    };
    assert!(with("x-page", "2 of 3").is_ok());
    for key in [
        "",
        "X-Page",
        "entente-receipt",
        "grpc-status",
        "x-bin",
        "é",
        "a b",
    ] {
        assert_eq!(with(key, "v").unwrap_err(), AnswerError::Metadata, "{key}");
    }
    for value in ["é", "a\nb", &"x".repeat(16 * 1024)] {
        assert_eq!(
            with("k", value).unwrap_err().reason(),
            Reason::InvalidAnswer
        );
    }
    let mut code = Answer::ok(Bytes::new());
    code.code = 17;
    assert_eq!(code.to_value().unwrap_err(), AnswerError::Code);
    for bytes in [
        &b"\x84\x11\xf6\xa0\x40"[..],
        b"\x84\x19\x01\x00\xf6\xa0\x40",
        b"\x84\x00\x63abc\xa0\x40",
        b"\x84\x00\xf6\xa1\x66grpc-x\x61v\x40",
        b"\x84\x00\xf6\xa2\x61b\x61v\x61a\x61v\x40",
        b"\x84\x00\xf6\xa0\x40\x00",
        b"\x83\x00\xf6\xa0",
    ] {
        assert!(
            Answer::decode(&Bytes::from_static(bytes)).is_err(),
            "{bytes:02x?}"
        );
    }
}
