//! Golden bytes: one change of every kind, an entry, an application and a state hash.

use std::path::PathBuf;

use bytes::Bytes;
use entente_directory::{
    Application, Author, Blobs, Change, ChangeHeader, KeyAdd, KeyRevoke, KeyRole, Kind, LedgerKey,
    MandateEnd, MemberAct, MemoryBlobs, NewKey, Policy, ProposalAct, ReadQuery, RecognitionAct,
    RecognitionLimits, Registrars, RegistryEntry, ServerUpdate, ServicePublish, ServiceRetire,
    SessionRevoke, SignedChange, SignedQuery, State, StateClaim, Sunset, apply,
};
use entente_signing::cbor::Writer;
use entente_signing::{Digest, Ed25519Key, Signer};

use crate::annotate::{annotate, strip};
use crate::mandates::over_vital_events;
use crate::two::{act as act_on_recognition, recognise};
use crate::world::{World, hpke, key};

fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../../tests/conformance/vectors/directory")
        .join(format!("{name}.hex"))
}

/// The published bytes. With `ENTENTE_NEW_VECTORS` set, a vector that is not there yet is written;
/// one that is there is never touched.
fn published(name: &str, bytes: impl FnOnce() -> Vec<u8>) -> Vec<u8> {
    if std::env::var_os("ENTENTE_NEW_VECTORS").is_some() && !path(name).exists() {
        std::fs::write(path(name), annotate(&bytes())).unwrap();
    }
    let text = std::fs::read_to_string(path(name));
    strip(&text.unwrap_or_else(|_| panic!("no vector {name}")))
}

/// One change of each kind, every optional field present in one of them.
fn changes() -> Vec<Change> {
    let world = World::before();
    let (vital, hash) = (&world.vital, Digest::of(b"golden"));
    let act = || MemberAct {
        member: vital.id.clone(),
        reason: Some("AUDIT".into()),
    };
    let agreement = |sequence, previous| {
        let mut act = world.act(sequence, previous);
        act.agreement = hash;
        act
    };
    let new = NewKey {
        role: KeyRole::Officer,
        key: key(0x51).verifying_key().clone(),
    };
    let mut update = ServerUpdate::of(vital.server.clone());
    update.systems = Some(["ca-demo/vital-events/register".parse().unwrap()].into());
    update.addresses = Some(vec![
        "[::1]:7443".parse().unwrap(),
        "peer.example:1".parse().unwrap(),
    ]);
    update.key = Some(key(0x52).verifying_key().clone());
    update.tls = Some(vec![key(0x53).verifying_key().clone()]);
    update.hpke = Some(vec![hpke(0x54)]);
    update.ledger = Some(world.pensions.ledger.verifying_key().clone());
    update.protocols = Some([1, 2].into());
    let service = || "entente.demo.vitalevents.v1.VitalEvents".parse().unwrap();
    let mut register = vital.registration();
    register.proof = [0x5a; 64];
    let mut admission = vital.admission();
    if let Change::MemberAdmit(body) = &mut admission {
        body.application = b"the application".to_vec();
    }
    let mut revoke = agreement(3, Some(hash));
    revoke.reason = Some("PURPOSE_ENDED".into());
    vec![
        world.genesis(),
        admission,
        Change::MemberSuspend(act()),
        Change::MemberResume(MemberAct {
            reason: None,
            ..act()
        }),
        Change::MemberEnd(act()),
        Change::KeyAdd(KeyAdd {
            member: vital.id.clone(),
            key: new,
            proof: [0x5b; 64],
        }),
        Change::KeyRevoke(KeyRevoke {
            member: vital.id.clone(),
            key: hash,
        }),
        Change::ServerRegister(register),
        Change::ServerUpdate(update),
        vital.shard(2, Some(hash)),
        Change::SessionRevoke(SessionRevoke {
            server: vital.server.clone(),
            issued_before: world.at,
        }),
        Change::ServicePublish(ServicePublish {
            service: service(),
            systems: ["ca-demo/vital-events/register".parse().unwrap()].into(),
            descriptor_set: hash,
            version: 1,
        }),
        Change::ServiceRetire(ServiceRetire {
            service: service(),
            sunset: Sunset::Now,
        }),
        Change::AgreementPropose(agreement(1, None)),
        Change::AgreementAccept(agreement(2, Some(hash))),
        Change::AgreementRevoke(revoke),
        Change::AgreementSuspend(agreement(3, Some(hash))),
        Change::AgreementResume(agreement(4, Some(hash))),
        Change::Policy(Policy::usual()),
        Change::State(StateClaim { hash, rules: 1 }),
        recognise_within_limits(),
        Change::RecognitionSuspend(act_on_recognition("ca-demo-qc")),
        Change::RecognitionResume(RecognitionAct {
            reason: None,
            ..act_on_recognition("ca-demo-qc")
        }),
        Change::RecognitionRevoke(act_on_recognition("ca-demo-qc")),
        Change::ProposalApprove(ProposalAct { change: hash }),
        Change::ProposalWithdraw(ProposalAct { change: hash }),
        Change::Registrars(Registrars {
            keys: vec![
                key(0x61).verifying_key().clone(),
                key(0x62).verifying_key().clone(),
            ],
            quorum: 2,
            clerk: Some(key(0x63).verifying_key().clone()),
        }),
        Change::LedgerKey(LedgerKey {
            key: Ed25519Key::from_seed(&[0x64; 32])
                .unwrap()
                .verifying_key()
                .clone(),
            proof: [0x5c; 64],
            reason: Some("KEY_LOST".into()),
        }),
        Change::MandateGrant(over_vital_events(&world)),
        Change::MandateEnd(MandateEnd {
            body: world.transport.id.clone(),
            from: Some(world.at),
            reason: Some("INQUIRY_CLOSED".into()),
        }),
    ]
}

fn recognise_within_limits() -> Change {
    let limits = RecognitionLimits {
        classes: ["ministry".parse().unwrap()].into(),
        members: ["ca-demo-qc/pensions".parse().unwrap()].into(),
        services: ["entente.demo.vitalevents.v1.VitalEvents".parse().unwrap()].into(),
    };
    let mut change = recognise("ca-demo-qc", Digest::of(b"genesis"), limits);
    if let Change::Recognise(body) = &mut change {
        body.anchor.witnesses = WITNESSES.parse().unwrap();
        body.anchor.witness_quorum = 2;
    }
    change
}

const WITNESSES: &str = "\
witness reg w1.registry.entente.example+8875b09f+BPo1B0Opgr7GsgkxWeTGObMvt/urHXsqTZhtAuRB+NdU
witness dpa w1.dpa.fi.example+68ba0357+BIDAyFTPWM7X9qMPh0tQoJi9/lc7sad638wJaSbawvYD
group both all reg dpa
quorum both
";

/// Authors differ in form, so each form signs some.
fn header(kind: Kind) -> ChangeHeader {
    let (author, sequence, previous) = match kind {
        Kind::Genesis => (Author::Registrar, 1, None),
        Kind::ShardOpen | Kind::ServerUpdate => {
            let server = "ca-demo/vital-events/@ss1".parse().unwrap();
            (Author::Server(server), 300, Some(Digest::of(b"before")))
        }
        _ => {
            let member = "ca-demo/vital-events".parse().unwrap();
            (Author::Member(member), 24, Some(Digest::of(b"before")))
        }
    };
    ChangeHeader {
        registry: "registry.ca-demo/changes".into(),
        author,
        sequence,
        previous,
        not_after: "2026-11-22T03:00:00Z".parse().unwrap(),
    }
}

#[test]
fn every_kind_of_change_is_the_published_bytes_both_ways() {
    let changes = changes();
    let kinds: Vec<_> = changes.iter().map(Change::kind).collect();
    assert_eq!(
        kinds,
        Kind::ALL,
        "one of each, in the order of their numbers"
    );
    for change in changes {
        let kind = change.kind();
        let name = format!("change-{:02}-{}", kind.number(), kind.as_str());
        both_ways(&name, &change);
    }
}

fn both_ways(name: &str, change: &Change) {
    let (signer, kind) = (key(1), change.kind());
    // ECDSA signatures differ each time; what is signed does not.
    let written = SignedChange::sign(&signer, &header(kind), change).unwrap();
    let bytes = Bytes::from(published(name, || written.bytes().to_vec()));
    let read = SignedChange::parse(bytes.clone()).unwrap();
    assert_eq!(read.change(), change, "{name}");
    assert_eq!(read.header(), &header(kind), "{name}");
    assert_eq!(read.hash(), written.hash(), "{name}");
    assert_eq!(read.bytes(), &bytes, "{name}");
    read.verify(signer.verifying_key()).unwrap();
    let tail = bytes.len() - 64;
    assert_eq!(
        bytes[..tail],
        written.bytes()[..tail],
        "{name}: all but the signature"
    );
}

#[test]
fn a_service_s_end_in_time_and_one_taken_back_are_the_published_bytes() {
    let at = "2027-03-31T04:00:00Z".parse().unwrap();
    for (name, sunset) in [("at", Sunset::At(at)), ("never", Sunset::Never)] {
        let change = Change::ServiceRetire(ServiceRetire {
            service: "entente.demo.vitalevents.v1.VitalEvents".parse().unwrap(),
            sunset,
        });
        both_ways(&format!("change-13-ServiceRetire-{name}"), &change);
    }
}

#[test]
fn a_query_to_read_is_the_published_bytes() {
    let world = World::before();
    let query = ReadQuery {
        origin: "ss1.vital-events.ca-demo/access/2026h2.1".into(),
        reader: world.transport.server.clone(),
        mandate: Digest::of(b"mandate"),
        issued: world.at,
        about: Some(Digest::of(b"about")),
    };
    let signer = &world.transport.server_key;
    let written = SignedQuery::sign(signer, &query).unwrap();
    let bytes = published("read-query", || written.bytes().to_vec());
    let tail = bytes.len() - 64;
    assert_eq!(
        bytes[..tail],
        written.bytes()[..tail],
        "all but the signature"
    );
    let read = SignedQuery::parse(bytes.into()).unwrap();
    assert_eq!(read.query(), &query);
}

#[test]
fn an_entry_is_the_published_bytes() {
    let world = World::demo();
    let (at, change) = &world.log[0];
    let written = RegistryEntry {
        at: *at,
        change: change.clone(),
    };
    let bytes = Bytes::from(published("entry", || written.encode()));
    let read = RegistryEntry::parse(&bytes).unwrap();
    assert_eq!((read.at, read.change.hash()), (*at, change.hash()));
    assert_eq!(read.encode(), bytes);
    assert_eq!(
        RegistryEntry::encode_parts(read.at, read.change.bytes()),
        bytes
    );
}

#[test]
fn an_application_is_the_published_bytes() {
    let (application, bytes) = World::before().vital.application();
    let bytes = published("application", || bytes);
    assert_eq!(Application::parse(&bytes).unwrap(), application);
    assert_eq!(Application::fingerprint(&bytes).len(), 79);
}

/// What two servers must agree on: a change of rules or of encoding shows here.
#[test]
fn the_story_adds_up_to_the_published_state_hash() {
    // The signatures of the story differ each time, and member records hold the application's hash,
    // so the published log is replayed over its published blobs, not a new one.
    let world = World::demo();
    let write = || {
        let mut out = Writer::new();
        out.array(3).array(world.log.len());
        for (at, change) in &world.log {
            out.bytes(&RegistryEntry::encode_parts(*at, change.bytes()));
        }
        out.array(2);
        for blob in [world.descriptor_set, world.agreement] {
            out.bytes(&world.blobs.blob(&blob).unwrap());
        }
        out.bytes(world.state.state_hash().as_bytes());
        out.into_vec()
    };
    let bytes = published("story", write);
    let mut reader = entente_signing::cbor::Reader::new(&bytes);
    assert_eq!(reader.array().unwrap(), 3);
    let entries = (0..reader.array().unwrap())
        .map(|_| Bytes::copy_from_slice(reader.bytes().unwrap()))
        .collect::<Vec<_>>();
    let mut blobs = MemoryBlobs::new();
    for _ in 0..reader.array().unwrap() {
        blobs.insert(Bytes::copy_from_slice(reader.bytes().unwrap()));
    }
    let mut state = State::empty();
    for entry in entries {
        let entry = RegistryEntry::parse(&entry).unwrap();
        state = apply(&state, &entry.change, entry.at, &blobs).unwrap();
    }
    let hash: [u8; 32] = reader.bytes_exact().unwrap();
    assert_eq!(state.state_hash(), Digest::from_bytes(hash));
}
