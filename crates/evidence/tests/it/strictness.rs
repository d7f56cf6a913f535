//! Statements that are not in their one encoding, or say what their kind may not.

use entente_evidence::statement::{
    Body, Extensions, Links, Outcome, Segment, Statement, StatementError,
};
use entente_reason::Reason;
use entente_signing::Digest;
use entente_signing::cbor::{CborError, Reader, Writer};

use crate::fixtures;

/// The pairs of a statement's map, to write it again otherwise.
fn pairs(statement: &Statement) -> Vec<(u64, Vec<u8>)> {
    let bytes = statement.encode().unwrap();
    let mut reader = Reader::new(&bytes);
    (0..reader.map().unwrap())
        .map(|_| (reader.uint().unwrap(), reader.raw_item().unwrap().to_vec()))
        .collect()
}

fn map(pairs: &[(u64, Vec<u8>)]) -> Vec<u8> {
    let mut writer = Writer::new();
    writer.map(pairs.len());
    for (key, value) in pairs {
        writer.uint(*key).raw(value);
    }
    writer.into_vec()
}

/// The statement with one key's value replaced, added or taken out.
fn with(
    statement: &Statement,
    key: u64,
    value: Option<&[u8]>,
) -> Result<Statement, StatementError> {
    let mut pairs = pairs(statement);
    pairs.retain(|(known, _)| *known != key);
    pairs.extend(value.map(|value| (key, value.to_vec())));
    pairs.sort_by_key(|(key, _)| *key);
    Statement::decode(&map(&pairs))
}

#[test]
fn refuses_every_missing_key_of_every_kind() {
    // What the table calls optional; everything else a fixture has is required.
    let optional = [9, 22, 23, 24, 64, 1000];
    for (name, statement) in fixtures::statements() {
        for (key, _) in pairs(&statement) {
            let result = with(&statement, key, None);
            let may_lack =
                optional.contains(&key) || (key == 13 && ["close", "progress"].contains(&name));
            if may_lack {
                assert!(result.is_ok(), "{name} without {key}");
            } else {
                assert_eq!(result, Err(StatementError::Missing { key }), "{name}");
            }
        }
    }
}

#[test]
fn refuses_keys_that_belong_to_another_kind() {
    let full = pairs(&fixtures::full_request());
    let close = pairs(&fixtures::close());
    let response = pairs(&fixtures::response());
    let value = |from: &[(u64, Vec<u8>)], key: u64| {
        from.iter()
            .find(|(known, _)| *known == key)
            .unwrap()
            .1
            .clone()
    };
    let cases = [
        (
            fixtures::request(),
            vec![
                (11, &response),
                (12, &response),
                (19, &response),
                (25, &close),
            ],
        ),
        (
            fixtures::response(),
            vec![(22, &full), (23, &full), (24, &full), (25, &close)],
        ),
        (
            fixtures::refused(),
            vec![
                (17, &full),
                (22, &full),
                (23, &full),
                (24, &full),
                (25, &close),
            ],
        ),
        (
            fixtures::close(),
            vec![(12, &response), (17, &full), (22, &full), (24, &full)],
        ),
        (
            fixtures::progress(),
            vec![(12, &response), (17, &full), (19, &close), (23, &full)],
        ),
    ];
    for (statement, keys) in cases {
        for (key, from) in keys {
            let result = with(&statement, key, Some(&value(from, key)));
            assert_eq!(
                result,
                Err(StatementError::Forbidden { key }),
                "{:?}",
                statement.kind()
            );
        }
    }
}

#[test]
fn refuses_unknown_critical_keys_and_keeps_the_others() {
    let request = fixtures::request();
    for key in [0, 26, 40, 63] {
        let result = with(&request, key, Some(&[0xf6]));
        assert_eq!(result, Err(StatementError::UnknownKey { key }));
    }
    let read = with(&request, 64, Some(b"\xa1\x01\x82\x02\xf6")).unwrap();
    assert_eq!(
        read.extensions.iter().collect::<Vec<_>>(),
        [(64, &b"\xa1\x01\x82\x02\xf6"[..])]
    );
    assert_eq!(
        with(&request, 64, Some(b"\xa1\x01\x82\x02\xf6"))
            .unwrap()
            .encode(),
        read.encode()
    );
    // Kept is not unchecked: what is inside is deterministic too.
    assert!(with(&request, 64, Some(b"\x18\x01")).is_err());
    assert!(with(&request, 64, Some(b"\xa2\x02\xf6\x01\xf6")).is_err());
}

#[test]
fn refuses_cbor_that_is_not_deterministic() {
    let bytes = fixtures::request().encode().unwrap();
    let pairs = pairs(&fixtures::request());
    // A long integer for a short one: key 1's value, version 1.
    assert_eq!(bytes[1..3], [1, 1]);
    let long = [&bytes[..2], &[0x18, 1], &bytes[3..]].concat();
    assert_eq!(
        Statement::decode(&long),
        Err(CborError::Undeterministic.into())
    );
    // A long integer for a short key.
    let long = [&bytes[..1], &[0x18, 1], &bytes[2..]].concat();
    assert_eq!(
        Statement::decode(&long),
        Err(CborError::Undeterministic.into())
    );
    // A map of indefinite length.
    let indefinite = [&[0xbf], &bytes[1..], &[0xff]].concat();
    assert_eq!(
        Statement::decode(&indefinite),
        Err(CborError::Undeterministic.into())
    );
    // Keys out of order, and twice.
    let mut unsorted = pairs.clone();
    unsorted.swap(3, 4);
    assert_eq!(
        Statement::decode(&map(&unsorted)),
        Err(CborError::KeyOrder.into())
    );
    let mut twice = pairs.clone();
    twice.insert(3, pairs[3].clone());
    assert_eq!(
        Statement::decode(&map(&twice)),
        Err(CborError::KeyOrder.into())
    );
    // Bytes after the map; a map that is cut; something that is no map.
    let longer = [bytes.as_slice(), &[0]].concat();
    assert_eq!(Statement::decode(&longer), Err(CborError::Trailing.into()));
    assert_eq!(
        Statement::decode(&bytes[..bytes.len() - 1]),
        Err(CborError::Truncated.into())
    );
    assert_eq!(
        Statement::decode(&[0x80]),
        Err(CborError::Unexpected.into())
    );
    assert!(Statement::decode(&[]).is_err());
    // Keys that are no unsigned integers.
    let mut text = Writer::new();
    text.map(1).text("1").uint(1);
    assert_eq!(
        Statement::decode(text.as_slice()),
        Err(CborError::Unexpected.into())
    );
}

#[test]
fn refuses_values_out_of_their_bounds() {
    let request = fixtures::full_request();
    let refused = |key: u64, value: &[u8]| {
        let error = with(&request, key, Some(value)).unwrap_err();
        assert_eq!(error.reason(), Reason::StatementMalformed);
        assert_eq!(
            error,
            StatementError::Value { key },
            "key {key}: {value:02x?}"
        );
    };
    refused(2, &[6]);
    refused(4, b"\x67ca-demo");
    refused(6, b"\x63a b");
    refused(7, b"\x1b\x01\x00\x00\x00\x00\x00\x00\x00");
    refused(8, &[&[0xa1, 0][..], &[0x58, 32], &[0; 32]].concat());
    refused(
        8,
        &[&[0xa1, 0x19, 1, 0][..], &[0x58, 32], &[0; 32]].concat(),
    );
    refused(10, b"\x63abc");
    refused(13, &[0xa0]);
    refused(16, &[3]);
    refused(17, b"\x82\x61b\x61a");
    refused(17, b"\x82\x61a\x61a");
    refused(17, b"\x81\x61A");
    refused(21, b"\x60");
    refused(21, b"\x63a b");
    refused(22, &[0x80]);
    refused(23, &[0xa0]);
    refused(23, b"\xa1\x03\x60");
    refused(23, b"\xa1\x03\x61\x07");
    refused(23, b"\xa1\x04\x61a");
    refused(24, &[0x82, 5, 0xf4]);
    refused(24, &[0x81, 3]);
    for count in [0, 2, 3, 5, 15, 17] {
        let mut tags = Writer::new();
        tags.array(count);
        for _ in 0..count {
            tags.bytes(&[1; 16]);
        }
        refused(9, tags.as_slice());
    }
    let mut views = Writer::new();
    views.map(17);
    for n in 0..17 {
        let item = views.text(&format!("r{n:02}")).array(2);
        item.uint(1).bytes(&[0; 32]);
    }
    refused(13, views.as_slice());
    let mut elements = Writer::new();
    elements.array(257);
    for n in 0..257 {
        elements.text(&format!("e{n:03}"));
    }
    refused(17, elements.as_slice());
    let mut commitments = Writer::new();
    commitments.map(9);
    for n in 1..10 {
        commitments.uint(n).bytes(&[0; 32]);
    }
    refused(8, commitments.as_slice());
    let mut mandate = Writer::new();
    mandate.array(9);
    for _ in 0..9 {
        mandate.bytes(&[0; 32]);
    }
    refused(22, mandate.as_slice());
}

#[test]
fn refuses_outcomes_and_commitments_their_kind_may_not_have() {
    let value = |key| Err(StatementError::Value { key });
    let refusal = b"\x82\x01\x63ABC";
    assert_eq!(with(&fixtures::response(), 19, Some(refusal)), value(19));
    assert_eq!(with(&fixtures::refused(), 19, Some(&[0x81, 0])), value(19));
    assert_eq!(
        with(&fixtures::close(), 19, Some(b"\x82\x00\x63ABC")),
        value(19)
    );
    assert_eq!(with(&fixtures::close(), 19, Some(&[0x81, 1])), value(19));
    assert_eq!(
        with(&fixtures::close(), 19, Some(b"\x82\x02\x63abc")),
        value(19)
    );
    assert!(with(&fixtures::close(), 19, Some(refusal)).is_ok());
    let commitment = [&[0xa1, 1, 0x58, 32][..], &[0; 32]].concat();
    assert_eq!(with(&fixtures::refused(), 8, Some(&commitment)), value(8));
    assert_eq!(with(&fixtures::progress(), 8, Some(&commitment)), value(8));
    let stream = |first: u64, last: u64| {
        let mut writer = Writer::new();
        writer.array(3).uint(first).uint(last).bytes(&[0; 32]);
        writer.into_vec()
    };
    assert!(with(&fixtures::progress(), 25, Some(&stream(1, 256))).is_ok());
    for (first, last) in [(0, 1), (2, 1), (1, 257)] {
        assert_eq!(
            with(&fixtures::progress(), 25, Some(&stream(first, last))),
            value(25)
        );
    }
    assert_eq!(with(&fixtures::close(), 25, Some(&stream(1, 2))), value(25));
}

#[test]
fn names_the_reason_a_caller_gets() {
    let version = with(&fixtures::request(), 1, Some(&[2])).unwrap_err();
    assert_eq!(version, StatementError::Version { found: 2 });
    assert_eq!(version.reason(), Reason::PeerVersion);
    let receipt = with(&fixtures::response(), 12, None).unwrap_err();
    assert_eq!(receipt.reason(), Reason::ReceiptMissing);
}

#[test]
fn writes_nothing_it_would_not_read() {
    let mut unviewed = fixtures::request();
    unviewed.views.clear();
    assert_eq!(unviewed.encode(), Err(StatementError::Missing { key: 13 }));

    let mut large = fixtures::request();
    let padding = [&[0x59, 0x20, 0][..], &[0; 0x2000]].concat();
    large.extensions.insert(64, &padding).unwrap();
    assert!(matches!(
        large.encode(),
        Err(StatementError::TooLarge { .. })
    ));
    assert!(matches!(
        Statement::decode(&[0; Statement::MAX_LEN + 1]),
        Err(StatementError::TooLarge { .. })
    ));

    let mut linked = fixtures::request();
    if let Body::Request { links, .. } = &mut linked.body {
        *links = Links {
            operation: Some("x".repeat(129)),
            ..Links::default()
        };
    }
    assert_eq!(linked.encode(), Err(StatementError::Value { key: 23 }));

    let mut committed = fixtures::refused();
    committed.commitments = fixtures::request().commitments;
    assert_eq!(committed.encode(), Err(StatementError::Value { key: 8 }));

    let mut closed = fixtures::close();
    closed.body = Body::Close {
        request: Digest::of(b""),
        outcome: Outcome::Answered,
        stream: Segment {
            first: 1,
            last: 1,
            hash: Digest::of(b""),
        },
    };
    assert_eq!(closed.encode(), Err(StatementError::Value { key: 25 }));

    let mut extensions = Extensions::default();
    assert!(extensions.insert(63, &[0xf6]).is_err());
    assert!(extensions.insert(64, &[0xf6, 0xf6]).is_err());
    assert!(extensions.insert(64, &[]).is_err());
    assert!(extensions.insert(64, &[0xf6]).is_ok());
    assert!(extensions.insert(64, &[0xf6]).is_err());
}
