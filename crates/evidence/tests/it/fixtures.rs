//! Fixed statements, keys and values. The golden vectors are made of them: do not change one.

use std::collections::BTreeMap;

use entente_clock::Timestamp;
use entente_evidence::commitment::{Field, Salt, commit};
use entente_evidence::proof::{Draft, SignedStatement, sign_direct};
use entente_evidence::receipt::Receipt;
use entente_evidence::statement::{
    Actor, Body, Extensions, Failure, Links, LogOrigin, MessageId, Mode, Outcome, ReasonCode,
    Segment, Statement, View,
};
use entente_evidence::stream::FrameChain;
use entente_evidence::tag::Tags;
use entente_signing::{Digest, Ed25519Key, Signer as _};

/// 2026-11-22T15:00:00Z.
pub(crate) const NOON: u64 = 1_795_359_600_000;

pub(crate) fn now() -> Timestamp {
    Timestamp::from_millis(NOON)
}

/// The session key of the consumer's server.
pub(crate) fn consumer_key() -> Ed25519Key {
    Ed25519Key::from_seed(&[1; 32]).unwrap()
}

/// The session key of the provider's server.
pub(crate) fn provider_key() -> Ed25519Key {
    Ed25519Key::from_seed(&[2; 32]).unwrap()
}

pub(crate) fn message_id() -> MessageId {
    "90ac16783fbc54c3689c63b3ab89b39c".parse().unwrap()
}

fn origin(text: &str) -> LogOrigin {
    text.parse().unwrap()
}

pub(crate) fn consumer_log() -> LogOrigin {
    origin("ss1.pensions.ca-demo/access/2026h2.0")
}

pub(crate) fn provider_log() -> LogOrigin {
    origin("ss1.vital-events.ca-demo/access/2026h2.0")
}

/// A request with nothing that may be left out.
pub(crate) fn request() -> Statement {
    let salt = Salt::from_bytes([0x11; 32]);
    let payload = commit(Field::PAYLOAD, &salt, &[b"\x0a\x0bFI131052308"]);
    let view = View {
        size: 4711,
        root: Digest::of(b"registry root"),
    };
    Statement {
        message_id: message_id(),
        sender: "ca-demo/pensions/benefits".parse().unwrap(),
        receiver: "ca-demo/vital-events/register".parse().unwrap(),
        method: "ca.demo.vital.v1.Register/GetDeath".parse().unwrap(),
        issued_at: now(),
        commitments: [(Field::PAYLOAD, payload)].into(),
        tags: Tags::none(),
        purpose: "PROGRAM_ADMINISTRATION".parse().unwrap(),
        views: [(origin("registry.ca-demo/changes"), view)].into(),
        agreement: Digest::of(b"agreement"),
        clause: 2,
        mode: Mode::Live,
        receiver_server: "ca-demo/vital-events/@ss1".parse().unwrap(),
        sender_server: "ca-demo/pensions/@ss1".parse().unwrap(),
        log: consumer_log(),
        body: Body::Request {
            asked: ["person.number", "death.date"]
                .map(|name| name.parse().unwrap())
                .into(),
            mandate: Vec::new(),
            links: Links::default(),
            actor: None,
        },
        extensions: Extensions::default(),
    }
}

/// A request with everything it may have.
pub(crate) fn full_request() -> Statement {
    let mut request = request();
    let commitment = |field: u8| {
        let field = Field::new(field).unwrap();
        (
            field,
            commit(field, &Salt::from_bytes([field.number(); 32]), &[b"value"]),
        )
    };
    request.commitments = [1, 2, 3, 4, 24].map(commitment).into();
    request.tags = Tags::padded_with(vec![[3; 16], [1; 16]], &[0xee; 256]).unwrap();
    request.mode = Mode::Test;
    request.clause = 300;
    // Text keys sort by length first: the shorter origin comes first although it sorts after.
    request.views = BTreeMap::from([
        (
            origin("registry.ca-demo/changes"),
            View {
                size: 0,
                root: Digest::of(b""),
            },
        ),
        (
            origin("registry.ca-on.sudbury/changes"),
            View {
                size: 1 << 33,
                root: Digest::of(b"b"),
            },
        ),
        (
            origin("z.ca/changes"),
            View {
                size: 24,
                root: Digest::of(b"c"),
            },
        ),
    ]);
    request.body = Body::Request {
        asked: ["a", "death.date", "person.name", "person.number"]
            .map(|name| name.parse().unwrap())
            .into(),
        mandate: vec![Digest::of(b"mandate 1"), Digest::of(b"mandate 2")],
        links: Links {
            retry_of: Some(MessageId::from_bytes([5; 16])),
            parent: Some(MessageId::from_bytes([6; 16])),
            operation: Some("monthly réexamen".into()),
        },
        actor: Some(Actor {
            assurance: 3,
            automated: false,
        }),
    };
    request.extensions.insert(64, &[0xf5]).unwrap();
    request
        .extensions
        .insert(1000, b"\xa1\x01\x82\x02\x63abc")
        .unwrap();
    request
}

pub(crate) fn signed_request() -> SignedStatement {
    sign_direct(&consumer_key(), request()).unwrap()
}

pub(crate) fn receipt() -> Receipt {
    Receipt {
        origin: provider_log(),
        index: 41,
        leaf_hash: Digest::of(b"\0entry"),
    }
}

fn reply(body: Body) -> Statement {
    let request = request();
    let issued_at = Timestamp::from_millis(NOON + 38);
    let mut reply = Statement::answering(&request, issued_at, provider_log(), body);
    reply.views = request.views;
    reply
}

pub(crate) fn response() -> Statement {
    let mut response = reply(Body::Response {
        request: signed_request().hash(),
        receipt: receipt(),
        permitted: ["death.date".parse().unwrap()].into(),
    });
    let salt = Salt::from_bytes([0x22; 32]);
    let payload = commit(Field::PAYLOAD, &salt, &[b"\x84\x00\xf6\xa0\x40"]);
    response.commitments = [(Field::PAYLOAD, payload)].into();
    response
}

pub(crate) fn refused() -> Statement {
    reply(Body::Fault {
        request: signed_request().hash(),
        receipt: receipt(),
        failure: Failure::Refused("PURPOSE_NOT_AGREED".parse().unwrap()),
    })
}

pub(crate) fn failed() -> Statement {
    reply(Body::Fault {
        request: signed_request().hash(),
        receipt: receipt(),
        failure: Failure::Failed("SOURCE_DOWN".parse().unwrap()),
    })
}

pub(crate) fn chain() -> FrameChain {
    let opening = sign_direct(&provider_key(), response()).unwrap().hash();
    FrameChain::open(opening)
        .then(&Digest::of(b"C1"))
        .then(&Digest::of(b"C2"))
}

pub(crate) fn progress() -> Statement {
    let segment = chain()
        .progress(&FrameChain::open(Digest::of(b"")))
        .unwrap();
    assert_eq!((segment.first, segment.last), (1, 2));
    reply(Body::Progress {
        request: signed_request().hash(),
        stream: segment,
    })
}

pub(crate) fn close() -> Statement {
    reply(Body::Close {
        request: signed_request().hash(),
        outcome: Outcome::Answered,
        stream: chain().close(),
    })
}

/// A Close that tells of an abort, without views.
pub(crate) fn aborted() -> Statement {
    let mut aborted = reply(Body::Close {
        request: signed_request().hash(),
        outcome: Outcome::Unanswered(Failure::Failed(ReasonCode::from(
            entente_reason::Reason::DeadlinePassed,
        ))),
        stream: Segment {
            first: 0,
            last: 0,
            hash: Digest::of(b"h0"),
        },
    });
    aborted.views.clear();
    aborted
}

/// Every fixture, by the name of its vector.
pub(crate) fn statements() -> Vec<(&'static str, Statement)> {
    vec![
        ("request", request()),
        ("request-full", full_request()),
        ("response", response()),
        ("fault-refused", refused()),
        ("fault-failed", failed()),
        ("progress", progress()),
        ("close", close()),
        ("close-aborted", aborted()),
    ]
}

/// The key that signs a fixture: that of its sender's server.
pub(crate) fn signer_of(statement: &Statement) -> Ed25519Key {
    if statement.sender_server == request().sender_server {
        consumer_key()
    } else {
        provider_key()
    }
}

/// One statement of every kind, all sent by the provider's server, as a batch holds them.
pub(crate) fn batch() -> Vec<Statement> {
    let mut onward = request();
    std::mem::swap(&mut onward.sender, &mut onward.receiver);
    std::mem::swap(&mut onward.sender_server, &mut onward.receiver_server);
    onward.log = provider_log();
    vec![onward, response(), refused(), close(), progress()]
}

pub(crate) fn verifying_key(key: &Ed25519Key) -> entente_signing::VerifyingKey {
    key.verifying_key().clone()
}

/// The statements, written out to be signed.
pub(crate) fn drafts(statements: impl IntoIterator<Item = Statement>) -> Vec<Draft> {
    let drafts = statements.into_iter().map(Draft::new);
    drafts.collect::<Result<_, _>>().unwrap()
}
