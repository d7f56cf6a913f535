//! Mandates of bodies of oversight: whose ledgers they may read, and until when.

use std::time::Duration;

use entente_clock::Timestamp;
use entente_directory::{
    Change, MandateEnd, MandateGrant, MandateRecord, MemberAct, Name, ReadQuery, Reading, Refusal,
    SignedQuery, State,
};
use entente_identity::MemberId;
use entente_reason::Reason;
use entente_signing::{Digest, P256Key};

use crate::world::{World, key};

const DAY: Duration = Duration::from_secs(24 * 3600);

/// Transport is the body; its mandate is over vital events, for thirty days from now.
pub(crate) fn over_vital_events(world: &World) -> MandateGrant {
    MandateGrant {
        body: world.transport.id.clone(),
        members: [world.vital.id.clone()].into(),
        reads: [Reading::Ledgers].into(),
        from: world.at,
        until: world.at.saturating_add(DAY * 30),
        basis: Name {
            en: "Privacy Act, s. 37".into(),
            fr: "Loi sur la vie privée, art. 37".into(),
        },
    }
}

fn grant(world: &mut World, change: impl FnOnce(&mut MandateGrant)) -> Result<(), Refusal> {
    let mut body = over_vital_events(world);
    change(&mut body);
    world.by_registrar(Change::MandateGrant(body))
}

pub(crate) fn end(world: &World, from: Option<Timestamp>) -> Change {
    Change::MandateEnd(MandateEnd {
        body: world.transport.id.clone(),
        from,
        reason: Some("INQUIRY_CLOSED".into()),
    })
}

fn held<'a>(world: &'a World, over: &MemberId, at: Timestamp) -> Option<&'a MandateRecord> {
    world.state.mandate(&world.transport.id, over, at)
}

#[test]
fn a_mandate_holds_over_its_members_from_its_first_moment_to_its_last() {
    let mut world = World::demo();
    let (from, until) = (
        world.at.saturating_add(DAY),
        world.at.saturating_add(DAY * 2),
    );
    grant(&mut world, |body| (body.from, body.until) = (from, until)).unwrap();
    let vital = world.vital.id.clone();
    let before = |at: Timestamp| Timestamp::from_millis(at.as_millis() - 1);
    assert!(held(&world, &vital, before(from)).is_none());
    assert!(held(&world, &vital, from).is_some());
    assert!(held(&world, &vital, before(until)).is_some());
    assert!(held(&world, &vital, until).is_none());
    assert!(held(&world, &world.pensions.id, from).is_none(), "another");
    assert!(
        world.state.mandate(&vital, &vital, from).is_none(),
        "another body"
    );
}

#[test]
fn a_mandate_over_all_is_over_the_members_of_its_own_registry_and_not_over_its_body() {
    let mut world = World::demo();
    grant(&mut world, |body| body.members.clear()).unwrap();
    for member in [&world.vital.id, &world.pensions.id] {
        assert!(held(&world, member, world.at).is_some(), "{member}");
    }
    assert!(held(&world, &world.transport.id, world.at).is_none());
    for stranger in ["ca-demo/nobody", "ca-demo-qc/health"] {
        let stranger: MemberId = stranger.parse().unwrap();
        assert!(held(&world, &stranger, world.at).is_none(), "{stranger}");
    }
}

#[test]
fn refuses_a_mandate_that_could_not_hold() {
    type Wrong = fn(&mut MandateGrant);
    let cases: [(Wrong, Reason); 6] = [
        (
            |body| body.body = "ca-demo/nobody".parse().unwrap(),
            Reason::UnknownMember,
        ),
        (
            |body| body.members = ["ca-demo/nobody".parse().unwrap()].into(),
            Reason::UnknownMember,
        ),
        (
            |body| body.members = ["ca-demo-qc/health".parse().unwrap()].into(),
            Reason::NameNotOurs,
        ),
        (
            |body| body.body = "ca-demo-qc/health".parse().unwrap(),
            Reason::UnknownMember,
        ),
        (
            |body| body.members = [body.body.clone()].into(),
            Reason::ChangeMalformed,
        ),
        (
            |body| (body.from, body.until) = (Timestamp::from_millis(1), Timestamp::from_millis(2)),
            Reason::ChangeMalformed,
        ),
    ];
    for (index, (wrong, reason)) in cases.into_iter().enumerate() {
        let mut world = World::demo();
        let refused = grant(&mut world, wrong).unwrap_err();
        assert_eq!(refused.reason(), reason, "case {index}: {refused}");
        assert_eq!(world.state.mandates().count(), 0);
    }
}

#[test]
fn a_mandate_said_again_takes_the_place_of_what_was_said_before() {
    let mut world = World::demo();
    grant(&mut world, |_| {}).unwrap();
    let first = held(&world, &world.vital.id, world.at).unwrap().change;
    let pensions = world.pensions.id.clone();
    grant(&mut world, |body| body.members = [pensions.clone()].into()).unwrap();
    assert!(held(&world, &world.vital.id, world.at).is_none());
    assert_ne!(held(&world, &pensions, world.at).unwrap().change, first);
    assert_eq!(world.state.mandates().count(), 1);
}

#[test]
fn a_mandate_ends_at_once_or_from_a_day_on_and_never_later_than_it_would_have() {
    let mut world = World::demo();
    let refused = world.by_registrar(end(&world, None)).unwrap_err();
    assert_eq!(refused.reason(), Reason::NoMandate);
    grant(&mut world, |_| {}).unwrap();
    let until = |world: &World| world.state.mandate_of(&world.transport.id).unwrap().until;
    let (near, late) = (
        world.at.saturating_add(DAY),
        world.at.saturating_add(DAY * 31),
    );
    assert!(world.by_registrar(end(&world, Some(late))).is_err());
    world.by_registrar(end(&world, Some(near))).unwrap();
    assert_eq!(until(&world), near);
    assert!(held(&world, &world.vital.id, world.at).is_some());
    world.by_registrar(end(&world, None)).unwrap();
    assert_eq!(until(&world), world.at);
    assert!(held(&world, &world.vital.id, world.at).is_none());
    let record = world.state.mandate_of(&world.transport.id).unwrap();
    assert_eq!(record.reason.as_deref(), Some("INQUIRY_CLOSED"));
    let again = world.by_registrar(end(&world, None)).unwrap_err();
    assert_eq!(again.reason(), Reason::NoMandate);
    grant(&mut world, |_| {}).unwrap();
    assert!(held(&world, &world.vital.id, world.at).is_some(), "anew");
}

#[test]
fn an_end_counts_on_sight_and_a_grant_only_from_the_ledger() {
    let mut world = World::demo();
    let author = entente_directory::Author::Registrar;
    let early = Change::MandateGrant(over_vital_events(&world));
    let early = world.sign(author.clone(), &key(1), &early);
    let refused = world.state.deny(&early, world.at).unwrap_err();
    assert_eq!(refused.reason(), Reason::AuthorNotAllowed);
    let unheld = world.sign(author.clone(), &key(1), &end(&world, None));
    assert!(world.state.deny(&unheld, world.at).is_err());
    grant(&mut world, |_| {}).unwrap();
    let ended = world.sign(author, &key(1), &end(&world, None));
    let denied = world.state.deny(&ended, world.at).unwrap();
    let (body, over) = (&world.transport.id, &world.vital.id);
    assert!(denied.mandate(body, over, world.at).is_none());
    assert!(world.state.mandate(body, over, world.at).is_some());
    assert_eq!(denied.state_hash(), world.state.state_hash());
}

#[test]
fn a_body_that_is_suspended_reads_nothing_until_it_is_resumed() {
    let mut world = World::demo();
    grant(&mut world, |_| {}).unwrap();
    let act = |world: &World| MemberAct {
        member: world.transport.id.clone(),
        reason: None,
    };
    let suspend = Change::MemberSuspend(act(&world));
    world.by_registrar(suspend).unwrap();
    assert!(held(&world, &world.vital.id, world.at).is_none());
    let refused = grant(&mut world, |_| {}).unwrap_err();
    assert_eq!(refused.reason(), Reason::MemberSuspended);
    let resume = Change::MemberResume(act(&world));
    world.by_registrar(resume).unwrap();
    assert!(held(&world, &world.vital.id, world.at).is_some());
}

fn query(world: &World) -> ReadQuery {
    let record = world.state.mandate_of(&world.transport.id).unwrap();
    ReadQuery {
        origin: "ss1.vital-events.ca-demo/access/2026h2.1".into(),
        reader: world.transport.server.clone(),
        mandate: record.change,
        issued: world.at,
        about: Some(Digest::of(b"salt and case")),
    }
}

/// A body with a server, and a mandate.
fn overseen() -> World {
    let mut world = World::demo();
    let register = Change::ServerRegister(world.transport.registration());
    let signed = world.sign(world.transport.author(), &world.transport.member, &register);
    world.apply(signed).unwrap();
    grant(&mut world, |_| {}).unwrap();
    world
}

fn check(world: &World, state: &State, query: &ReadQuery, signer: &P256Key) -> Result<(), Refusal> {
    let signed = SignedQuery::sign(signer, query).unwrap();
    state.check_reading(&signed, &world.vital.id, world.at)
}

#[test]
fn a_query_is_read_under_when_its_server_signed_it_its_mandate_is_in_force_and_it_is_of_now() {
    let world = overseen();
    let (good, own) = (query(&world), &world.transport.server_key);
    check(&world, &world.state, &good, own).unwrap();
    let other_key = check(&world, &world.state, &good, &world.transport.member);
    assert_eq!(other_key.unwrap_err().reason(), Reason::PeerUnknown);
    let forged = ReadQuery {
        reader: world.pensions.server.clone(),
        ..good.clone()
    };
    let refused = check(&world, &world.state, &forged, own).unwrap_err();
    assert_eq!(refused.reason(), Reason::NoMandate, "pensions has none");
    let another = ReadQuery {
        mandate: Digest::of(b"another"),
        ..good.clone()
    };
    let refused = check(&world, &world.state, &another, own).unwrap_err();
    assert_eq!(refused.reason(), Reason::NoMandate);
    for issued in [
        world.at.saturating_sub(SignedQuery::VALID + DAY),
        world.at.saturating_add(DAY),
    ] {
        let stale = ReadQuery {
            issued,
            ..good.clone()
        };
        let refused = check(&world, &world.state, &stale, own).unwrap_err();
        assert_eq!(refused.reason(), Reason::ChangeExpired);
    }
    let author = entente_directory::Author::Registrar;
    let ended = world.sign(author, &key(1), &end(&world, None));
    let denied = world.state.deny(&ended, world.at).unwrap();
    let refused = check(&world, &denied, &good, own).unwrap_err();
    assert_eq!(refused.reason(), Reason::NoMandate);
}

#[test]
fn a_query_that_was_altered_by_a_bit_is_not_read_under() {
    let world = overseen();
    let own = &world.transport.server_key;
    let signed = SignedQuery::sign(own, &query(&world)).unwrap();
    assert_eq!(signed.query(), &query(&world));
    for at in 0..signed.bytes().len() {
        let mut bytes = signed.bytes().to_vec();
        bytes[at] ^= 1;
        if let Ok(altered) = SignedQuery::parse(bytes.into()) {
            let checked = world
                .state
                .check_reading(&altered, &world.vital.id, world.at);
            assert!(checked.is_err(), "byte {at}");
        }
    }
    for cut in 0..signed.bytes().len() {
        assert!(SignedQuery::parse(signed.bytes().slice(..cut)).is_err());
    }
    let large = vec![0; SignedQuery::MAX + 1];
    assert!(SignedQuery::parse(large.into()).is_err());
}
