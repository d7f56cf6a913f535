//! Random statements, openings and answers come back as they were; random bytes never panic.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use entente_clock::Timestamp;
use entente_evidence::answer::Answer;
use entente_evidence::commitment::{Commitments, Field, Salt};
use entente_evidence::opening::{Opening, Openings};
use entente_evidence::proof::{SignedStatement, sign_batch, sign_direct};
use entente_evidence::receipt::Receipt;
use entente_evidence::statement::{
    Actor, Body, Extensions, Failure, Links, LogOrigin, MessageId, Mode, Outcome, Segment,
    Statement, View,
};
use entente_evidence::tag::Tags;
use entente_identity::ElementName;
use entente_signing::Digest;
use proptest::prelude::*;

use crate::fixtures;

fn digest() -> impl Strategy<Value = Digest> {
    any::<[u8; 32]>().prop_map(Digest::from_bytes)
}

fn message_id() -> impl Strategy<Value = MessageId> {
    any::<[u8; 16]>().prop_map(MessageId::from_bytes)
}

fn origin() -> impl Strategy<Value = LogOrigin> {
    "[!-*,-~]{1,60}".prop_map(|text| text.parse().unwrap())
}

fn receipt() -> impl Strategy<Value = Receipt> {
    (origin(), any::<u64>(), digest()).prop_map(|(origin, index, leaf_hash)| Receipt {
        origin,
        index,
        leaf_hash,
    })
}

fn elements() -> impl Strategy<Value = BTreeSet<ElementName>> {
    prop::collection::btree_set("[a-z][a-z0-9_.-]{0,20}", 0..40)
        .prop_map(|names| names.iter().filter_map(|name| name.parse().ok()).collect())
}

fn failure() -> impl Strategy<Value = Failure> {
    ("[A-Z][A-Z0-9_]{0,63}", any::<bool>()).prop_map(|(code, refused)| {
        let code = code.parse().unwrap();
        if refused {
            Failure::Refused(code)
        } else {
            Failure::Failed(code)
        }
    })
}

fn links() -> impl Strategy<Value = Links> {
    let id = || prop::option::of(message_id());
    (id(), id(), prop::option::of("[a-zé]{1,60}")).prop_map(|(retry_of, parent, operation)| Links {
        retry_of,
        parent,
        operation,
    })
}

fn actor() -> impl Strategy<Value = Actor> {
    (0..=4_u8, any::<bool>()).prop_map(|(assurance, automated)| Actor {
        assurance,
        automated,
    })
}

fn body() -> impl Strategy<Value = Body> {
    let request = (
        elements(),
        prop::collection::vec(digest(), 0..=8),
        links(),
        prop::option::of(actor()),
    )
        .prop_map(|(asked, mandate, links, actor)| Body::Request {
            asked,
            mandate,
            links,
            actor,
        });
    let response = (digest(), receipt(), elements()).prop_map(|(request, receipt, permitted)| {
        Body::Response {
            request,
            receipt,
            permitted,
        }
    });
    let fault =
        (digest(), receipt(), failure()).prop_map(|(request, receipt, failure)| Body::Fault {
            request,
            receipt,
            failure,
        });
    let close = (
        digest(),
        prop::option::of(failure()),
        any::<u64>(),
        digest(),
    )
        .prop_map(|(request, failure, last, hash)| Body::Close {
            request,
            outcome: failure.map_or(Outcome::Answered, Outcome::Unanswered),
            stream: Segment {
                first: 0,
                last,
                hash,
            },
        });
    let progress = (digest(), 1..u64::MAX - 256, 0..256_u64, digest()).prop_map(
        |(request, first, more, hash)| Body::Progress {
            request,
            stream: Segment {
                first,
                last: first + more,
                hash,
            },
        },
    );
    prop_oneof![request, response, fault, close, progress]
}

fn statement() -> impl Strategy<Value = Statement> {
    let header = (
        message_id(),
        0..=Timestamp::MAX.as_millis(),
        any::<u64>(),
        any::<bool>(),
    );
    let views = prop::collection::btree_map(
        origin(),
        (any::<u64>(), digest()).prop_map(|(size, root)| View { size, root }),
        1..=16,
    );
    let commitments = prop::collection::btree_map(1..=255_u8, digest(), 0..=8);
    let tags = prop::collection::vec(any::<[u8; 16]>(), 0..=16);
    let extensions = prop::collection::btree_map(64..=u64::MAX, 0..24_u8, 0..4);
    (header, views, commitments, tags, extensions, body()).prop_map(
        |((message_id, issued_at, clause, test), views, commitments, tags, extensions, body)| {
            let mut statement = fixtures::request();
            statement.message_id = message_id;
            statement.issued_at = Timestamp::from_millis(issued_at);
            statement.clause = clause;
            statement.mode = if test { Mode::Test } else { Mode::Live };
            statement.views = views;
            statement.tags = Tags::padded(tags).unwrap();
            statement.commitments = match body {
                Body::Fault { .. } | Body::Progress { .. } => Commitments::new(),
                _ => commitments
                    .into_iter()
                    .map(|(field, digest)| (Field::new(field).unwrap(), digest))
                    .collect(),
            };
            statement.extensions = Extensions::default();
            for (key, item) in extensions {
                statement.extensions.insert(key, &[item]).unwrap();
            }
            statement.body = body;
            statement
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn a_statement_comes_back_as_it_was(statement in statement()) {
        let bytes = statement.encode().unwrap();
        prop_assert!(bytes.len() <= Statement::MAX_LEN);
        let read = Statement::decode(&bytes).unwrap();
        prop_assert_eq!(&read, &statement);
        prop_assert_eq!(read.encode().unwrap(), bytes);
    }

    #[test]
    fn a_signed_statement_comes_back_verified(
        statements in prop::collection::vec(statement(), 1..7),
    ) {
        let key = fixtures::consumer_key();
        let public = fixtures::verifying_key(&key);
        let server = fixtures::request().sender_server;
        let direct = sign_direct(&key, statements[0].clone()).unwrap();
        let batch = sign_batch(&key, &server, fixtures::drafts(statements.clone())).unwrap();
        for (signed, statement) in batch.iter().zip(&statements).chain([(&direct, &statements[0])]) {
            let read = SignedStatement::parse(signed.bytes().clone()).unwrap();
            prop_assert_eq!(read.statement(), statement);
            prop_assert_eq!(read.statement_bytes(), signed.statement_bytes());
            prop_assert_eq!(read.signed_bytes(), signed.signed_bytes());
            prop_assert!(read.verify(&public).is_ok());
        }
    }

    #[test]
    fn one_altered_byte_is_never_another_statement(
        statement in statement(), at in any::<prop::sample::Index>(), flip in 1..=255_u8,
    ) {
        // Decoding may still succeed, with another value; then it is that value's one encoding.
        let mut bytes = statement.encode().unwrap();
        let at = at.index(bytes.len());
        bytes[at] ^= flip;
        if let Ok(other) = Statement::decode(&bytes) {
            prop_assert_ne!(&other, &statement);
            prop_assert_eq!(other.encode().unwrap(), bytes);
        }
    }

    #[test]
    fn random_bytes_are_refused_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let bytes = Bytes::from(bytes);
        let _ = Statement::decode(&bytes);
        prop_assert!(SignedStatement::parse(bytes.clone()).is_err());
        let _ = Openings::decode(&bytes);
        let _ = Answer::decode(&bytes);
    }

    #[test]
    fn openings_come_back_as_they_were(
        values in prop::collection::btree_map(
            1..=255_u8, (any::<[u8; 32]>(), prop::collection::vec(any::<u8>(), 0..400)), 0..=8,
        ),
    ) {
        let openings = Openings::from_openings(values.iter().map(|(field, (salt, value))| {
            let value = Bytes::copy_from_slice(value);
            Opening::new(Field::new(*field).unwrap(), Salt::from_bytes(*salt), value.into())
        }).collect());
        let plaintext = openings.seal_plaintext().freeze();
        let read = Openings::decode(&plaintext).unwrap();
        prop_assert_eq!(read.commitments(), openings.commitments());
        prop_assert_eq!(read.seal_plaintext(), plaintext);
    }

    #[test]
    fn an_answer_comes_back_as_it_was(
        code in 0..=16_u8,
        metadata in prop::collection::btree_map("x-[a-z0-9.]{1,20}", "[ -~]{0,30}", 0..10),
        message in prop::collection::vec(any::<u8>(), 0..600),
    ) {
        let metadata: BTreeMap<String, String> = metadata;
        let answer = Answer { code, reason: None, metadata, message: message.into() };
        let bytes = answer.to_value().unwrap().to_bytes();
        prop_assert_eq!(Answer::decode(&bytes).unwrap(), answer);
    }
}
