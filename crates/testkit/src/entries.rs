//! One sample of each kind of ledger entry, and of each shape a kind has: the source of golden bytes.

use bytes::Bytes;
use entente_clock::Timestamp;
use entente_identity::ServerId;
use entente_ledger::Entry;
use entente_ledger::entry::{
    Attempt, Body, Boot, Denied, DeniedCall, In, LateTags, Out, Outcome, OutcomeKind,
    PeerCheckpoint, Read, Reconcile, Session, Shred, Summary, TimeStamp, View,
};
use entente_signing::Digest;

/// Named samples, in the order of their kinds. Their bytes never change.
pub fn samples() -> Vec<(&'static str, Entry)> {
    let statement = Bytes::from_static(b"\xd2\x84statement");
    let hash = |text: &str| Digest::of(text.as_bytes());
    let server = || -> ServerId {
        "ca-on/service-ontario/@ss1"
            .parse()
            .expect("a valid server id")
    };
    let at = Timestamp::from_millis(1_795_305_600_000);
    let full = Attempt {
        system: Some("ca-on/service-ontario/portal".to_owned()),
        to: Some("ca/pensions/benefits".to_owned()),
        method: Some("pensions.v1.Benefits/Lookup".to_owned()),
        purpose: Some("BENEFIT_ELIGIBILITY".to_owned()),
        agreement: Some(hash("agreement")),
        elements: vec!["person.name".to_owned(), "person.number".to_owned()],
    };
    let denied = |call, peer| {
        Body::Denied(Denied {
            reason: "NO_AGREEMENT".to_owned(),
            peer,
            call,
            sidecar: None,
            view: Some(1),
            tags: Vec::new(),
        })
    };
    let outcome = |kind| {
        Body::Outcome(Outcome {
            request: hash("request"),
            kind,
        })
    };
    let bodies = vec![
        (
            "in",
            Body::In(In {
                statement: statement.clone(),
                sidecar: Some(hash("sidecar")),
                view: Some(7),
                tags: vec![[1; 16], [2; 16]],
            }),
        ),
        (
            "in-bare",
            Body::In(In {
                statement: statement.clone(),
                sidecar: None,
                view: None,
                tags: Vec::new(),
            }),
        ),
        (
            "out",
            Body::Out(Out {
                statement: statement.clone(),
                sidecar: Some(hash("sidecar")),
                view: Some(7),
            }),
        ),
        (
            "denied-statement",
            denied(DeniedCall::Statement(statement), Some(server())),
        ),
        ("denied-attempt", denied(DeniedCall::Attempt(full), None)),
        (
            "denied-attempt-bare",
            denied(DeniedCall::Attempt(Attempt::default()), None),
        ),
        (
            "session",
            Body::Session(Session {
                server: server(),
                chain: vec![
                    Bytes::from_static(b"\x30leaf"),
                    Bytes::from_static(b"\x30ca"),
                ],
            }),
        ),
        (
            "timestamp",
            Body::TimeStamp(TimeStamp {
                size: 70_000,
                root: hash("root"),
                token: Bytes::from_static(b"\x30token"),
            }),
        ),
        (
            "shred",
            Body::Shred(Shred {
                class: "standard".to_owned(),
                period: "2026-11-22".to_owned(),
                key_hash: hash("key"),
                authority: "agreement retention".to_owned(),
            }),
        ),
        (
            "read",
            Body::Read(Read {
                query: Bytes::from_static(b"\xd2\x84query"),
            }),
        ),
        (
            "view",
            Body::View(View {
                origin: "registry.ca-on/changes".to_owned(),
                size: 42,
                root: hash("registry"),
            }),
        ),
        (
            "boot",
            Body::Boot(Boot {
                version: "0.1.0".to_owned(),
                last_size: 0,
                note: None,
            }),
        ),
        (
            "boot-incident",
            Body::Boot(Boot {
                version: "0.1.0".to_owned(),
                last_size: 300,
                note: Some("torn tail: 17 bytes".to_owned()),
            }),
        ),
        (
            "peer-checkpoint",
            Body::PeerCheckpoint(PeerCheckpoint {
                note: Bytes::from_static(b"origin\n1\nroot\n\nsignature\n"),
            }),
        ),
        (
            "reconcile",
            Body::Reconcile(Reconcile {
                peer: server(),
                period: "2026-11-22".to_owned(),
                counts: vec![10, 10, 10],
                digests: vec![hash("here"), hash("there")],
                verdict: "EQUAL".to_owned(),
            }),
        ),
        ("outcome-timeout", outcome(OutcomeKind::Timeout)),
        ("outcome-cancelled", outcome(OutcomeKind::Cancelled)),
        ("outcome-crashed", outcome(OutcomeKind::Crashed)),
        (
            "outcome-invalid-answer",
            outcome(OutcomeKind::InvalidAnswer),
        ),
        (
            "tags",
            Body::Tags(LateTags {
                statement: hash("statement"),
                tags: vec![[3; 16]; 64],
            }),
        ),
        (
            "summary",
            Body::Summary(Summary {
                peer: Some("ca-on/service-ontario/@ss1".to_owned()),
                reason: "SIGNATURE_INVALID".to_owned(),
                count: 12,
                first: Timestamp::from_millis(1_795_305_540_000),
                last: at,
            }),
        ),
        (
            "summary-noise",
            Body::Summary(Summary {
                peer: None,
                reason: "OVERLOADED".to_owned(),
                count: 1,
                first: at,
                last: at,
            }),
        ),
    ];
    bodies
        .into_iter()
        .map(|(name, body)| (name, Entry { at, body }))
        .collect()
}
