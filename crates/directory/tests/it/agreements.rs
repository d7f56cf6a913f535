//! Agreements: proposed, signed by every party, halted, ended, replaced.

use std::time::Duration;

use entente_agreement::lifecycle::State as Lifecycle;
use entente_agreement::{Agreement, Document};
use entente_clock::Timestamp;
use entente_directory::{AgreementAct, Change, Refusal, ServiceRetire, Sunset};
use entente_reason::Reason;
use entente_signing::Digest;

use crate::world::{Member, World, document};

type Make = Box<dyn Fn(&mut Document)>;

/// The demo before anybody proposed anything.
fn world() -> World {
    let mut world = World::before();
    let mut story = world.story();
    story.truncate(story.len() - 2);
    for step in story {
        world.push(step).unwrap();
    }
    world
}

fn officer(
    world: &mut World,
    who: impl Fn(&World) -> &Member,
    change: Change,
) -> Result<(), Refusal> {
    let member = who(world);
    let signed = world.sign(member.author(), &member.officer, &change);
    world.apply(signed)
}

fn vital(world: &World) -> &Member {
    &world.vital
}

fn pensions(world: &World) -> &Member {
    &world.pensions
}

fn transport(world: &World) -> &Member {
    &world.transport
}

fn propose(world: &mut World, change: impl FnOnce(&mut Document)) -> Result<Digest, Refusal> {
    let mut document = document(world.descriptor_set);
    change(&mut document);
    let agreement = Agreement::of(&document).unwrap();
    let id = world
        .blobs
        .insert(agreement.document().canonical().into_bytes());
    let act = AgreementAct {
        agreement: id,
        sequence: 1,
        previous: None,
        reason: None,
    };
    officer(world, vital, Change::AgreementPropose(act)).map(|()| id)
}

fn state(world: &World) -> Lifecycle {
    state_at(world, world.agreement, world.at)
}

fn state_at(world: &World, agreement: Digest, at: Timestamp) -> Lifecycle {
    let record = world.state.agreement(&agreement).unwrap();
    world.state.agreement_state(record, at)
}

#[test]
fn is_in_force_when_every_party_signed_and_in_its_dates_only() {
    let mut world = world();
    let id = propose(&mut world, |_| {}).unwrap();
    assert_eq!(id, world.agreement);
    assert_eq!(state(&world), Lifecycle::Proposed);
    let (consumer, provider) = (
        "ca-demo/pensions/benefits".parse().unwrap(),
        "ca-demo/vital-events/register".parse().unwrap(),
    );
    assert_eq!(
        world.state.agreements_between(&consumer, &provider).count(),
        0
    );
    let accept = Change::AgreementAccept(world.next_act());
    officer(&mut world, pensions, accept).unwrap();
    assert_eq!(state(&world), Lifecycle::Active);
    assert_eq!(
        world.state.agreements_between(&consumer, &provider).count(),
        1
    );
    assert_eq!(
        world.state.agreements_between(&provider, &consumer).count(),
        0
    );
    let at = |text: &str| text.parse().unwrap();
    assert_eq!(
        state_at(&world, id, at("2025-12-31T23:59:59.999Z")),
        Lifecycle::Filed
    );
    assert_eq!(
        state_at(&world, id, at("2026-01-01T00:00:00Z")),
        Lifecycle::Active
    );
    assert_eq!(
        state_at(&world, id, at("2028-12-30T23:59:59.999Z")),
        Lifecycle::Active
    );
    assert_eq!(
        state_at(&world, id, at("2028-12-31T00:00:00Z")),
        Lifecycle::Expired
    );
}

#[test]
fn nobody_signs_twice_or_for_another() {
    let mut world = world();
    propose(&mut world, |_| {}).unwrap();
    let accept = Change::AgreementAccept(world.next_act());
    let own = officer(&mut world, vital, accept.clone()).unwrap_err();
    assert_eq!(own.reason(), Reason::AgreementActRefused);
    let stranger = officer(&mut world, transport, accept.clone()).unwrap_err();
    assert_eq!(stranger.reason(), Reason::AuthorNotAllowed);
    assert!(propose(&mut world, |_| {}).is_err(), "proposed already");
    officer(&mut world, pensions, accept).unwrap();
    let again = Change::AgreementAccept(world.next_act());
    assert!(officer(&mut world, pensions, again).is_err());
}

#[test]
fn acts_continue_one_another() {
    let mut world = World::demo();
    let next = world.next_act();
    let others = [
        AgreementAct {
            sequence: next.sequence + 1,
            ..next.clone()
        },
        AgreementAct {
            sequence: next.sequence - 1,
            ..next.clone()
        },
        AgreementAct {
            previous: None,
            ..next.clone()
        },
        AgreementAct {
            previous: Some(Digest::of(b"")),
            ..next.clone()
        },
    ];
    for other in others {
        let refused = officer(&mut world, vital, Change::AgreementRevoke(other)).unwrap_err();
        assert_eq!(refused.reason(), Reason::AgreementActRefused);
    }
    let unknown = AgreementAct {
        agreement: Digest::of(b""),
        ..next.clone()
    };
    let refused = officer(&mut world, vital, Change::AgreementRevoke(unknown)).unwrap_err();
    assert_eq!(refused.reason(), Reason::NoAgreement);
    officer(&mut world, pensions, Change::AgreementRevoke(next)).unwrap();
    assert_eq!(state(&world), Lifecycle::Revoked);
    let after = Change::AgreementRevoke(world.next_act());
    assert!(
        officer(&mut world, vital, after).is_err(),
        "nothing follows"
    );
}

#[test]
fn is_halted_while_anybody_halts_it() {
    let mut world = World::demo();
    for who in [vital, pensions] {
        let act = Change::AgreementSuspend(world.next_act());
        officer(&mut world, who, act).unwrap();
        let again = Change::AgreementSuspend(world.next_act());
        assert!(officer(&mut world, who, again).is_err());
        assert_eq!(state(&world), Lifecycle::Suspended);
    }
    let stranger = Change::AgreementResume(world.next_act());
    assert!(officer(&mut world, transport, stranger).is_err());
    let act = Change::AgreementResume(world.next_act());
    officer(&mut world, vital, act).unwrap();
    assert_eq!(
        state(&world),
        Lifecycle::Suspended,
        "the other one still halts it"
    );
    let act = Change::AgreementResume(world.next_act());
    assert!(officer(&mut world, vital, act.clone()).is_err());
    officer(&mut world, pensions, act).unwrap();
    assert_eq!(state(&world), Lifecycle::Active);
}

#[test]
fn an_oversight_body_named_in_it_may_halt_it_and_not_end_it() {
    let mut world = world();
    let body = world.transport.id.clone();
    let id = propose(&mut world, |d| d.oversight[0].member = Some(body)).unwrap();
    world.agreement = id;
    let accept = Change::AgreementAccept(world.next_act());
    officer(&mut world, pensions, accept).unwrap();
    let revoke = Change::AgreementRevoke(world.next_act());
    assert!(officer(&mut world, transport, revoke).is_err());
    let suspend = Change::AgreementSuspend(world.next_act());
    officer(&mut world, transport, suspend).unwrap();
    assert_eq!(state(&world), Lifecycle::Suspended);
}

#[test]
fn revoking_a_proposal_withdraws_or_rejects_it() {
    for (who, expected) in [
        (vital as fn(&World) -> &Member, Lifecycle::Withdrawn),
        (pensions, Lifecycle::Rejected),
    ] {
        let mut world = world();
        propose(&mut world, |_| {}).unwrap();
        let act = Change::AgreementRevoke(world.next_act());
        officer(&mut world, who, act).unwrap();
        assert_eq!(state(&world), expected);
        let accept = Change::AgreementAccept(world.next_act());
        assert!(officer(&mut world, pensions, accept).is_err());
    }
}

#[test]
fn a_successor_takes_over_at_its_first_instant() {
    let mut world = World::demo();
    let old = world.agreement;
    let begins: Timestamp = "2027-01-01T00:00:00Z".parse().unwrap();
    let new = propose(&mut world, |d| {
        d.version = 2;
        d.supersedes = Some(old);
        d.not_before = begins;
    })
    .unwrap();
    world.agreement = new;
    assert_eq!(
        state_at(&world, old, begins),
        Lifecycle::Active,
        "until all have signed"
    );
    let accept = Change::AgreementAccept(world.next_act());
    officer(&mut world, pensions, accept).unwrap();
    let before = begins.saturating_sub(Duration::from_millis(1));
    assert_eq!(state_at(&world, old, before), Lifecycle::Active);
    assert_eq!(state_at(&world, new, before), Lifecycle::Filed);
    assert_eq!(state_at(&world, old, begins), Lifecycle::Superseded);
    assert_eq!(state_at(&world, new, begins), Lifecycle::Active);
}

#[test]
fn a_proposal_fits_the_directory_and_the_contract() {
    let mut world = world();
    let cases: [(Reason, Make); 9] = [
        (Reason::AgreementInvalid, Box::new(|d| d.audit = None)),
        (
            Reason::AgreementInvalid,
            Box::new(|d| d.clauses[0].descriptor_set = Digest::of(b"")),
        ),
        (
            Reason::AgreementInvalid,
            Box::new(|d| {
                let terms = d.clauses[0].methods.remove("LookupDeath").unwrap();
                d.clauses[0].methods.insert("LookUpDeath".into(), terms);
            }),
        ),
        (
            Reason::AgreementInvalid,
            Box::new(|d| {
                let terms = d.clauses[0].methods.get_mut("LookupDeath").unwrap();
                terms.release.insert("person.income".parse().unwrap());
            }),
        ),
        (
            Reason::AgreementInvalid,
            Box::new(|d| {
                let terms = d.clauses[0].methods.get_mut("LookupDeath").unwrap();
                // An element of the answer is none of the request.
                terms.request.insert("death.cause".parse().unwrap());
            }),
        ),
        (
            Reason::AgreementInvalid,
            Box::new(|d| {
                d.purposes[0].code = "FISHING".parse().unwrap();
                for clause in &mut d.clauses {
                    clause.purposes = ["FISHING".parse().unwrap()].into();
                }
            }),
        ),
        (
            Reason::UnknownService,
            Box::new(|d| {
                d.clauses[0].service = "a.v1.Other".parse().unwrap();
            }),
        ),
        (
            Reason::UnknownSystem,
            Box::new(|d| {
                d.clauses[0].providers = ["ca-demo/vital-events/other".parse().unwrap()].into();
            }),
        ),
        (
            Reason::AgreementInvalid,
            Box::new(|d| d.supersedes = Some(Digest::of(b""))),
        ),
    ];
    for (index, (reason, change)) in cases.iter().enumerate() {
        let refused = propose(&mut world, change).unwrap_err();
        assert_eq!(refused.reason(), *reason, "case {index}: {refused}");
    }
    let late = |d: &mut Document| {
        d.not_after = "2026-06-01T00:00:00Z".parse().unwrap();
        d.review_by = None;
    };
    assert!(propose(&mut world, late).is_err());
    let rubbish = world.blobs.insert(&b"{}"[..]);
    let act = AgreementAct {
        agreement: rubbish,
        sequence: 1,
        previous: None,
        reason: None,
    };
    let refused = officer(&mut world, vital, Change::AgreementPropose(act)).unwrap_err();
    assert_eq!(refused.reason(), Reason::AgreementInvalid);
}

#[test]
fn what_was_overtaken_is_not_signed() {
    let mut world = world();
    propose(&mut world, |_| {}).unwrap();
    let service = "entente.demo.vitalevents.v1.VitalEvents".parse().unwrap();
    let sunset = world.at.saturating_add(Duration::from_secs(3600));
    let sunset = Sunset::At(sunset);
    let retire = Change::ServiceRetire(ServiceRetire { service, sunset });
    let signed = world.sign(world.vital.author(), &world.vital.member, &retire);
    world.apply(signed).unwrap();
    let accept = Change::AgreementAccept(world.next_act());
    let signed = world.sign(world.pensions.author(), &world.pensions.officer, &accept);
    let in_time = entente_directory::apply(&world.state, &signed, world.at, &world.blobs);
    assert!(in_time.is_ok(), "it is offered yet: {:?}", in_time.err());
    world.at = world.at.saturating_add(Duration::from_secs(3600));
    let refused = officer(&mut world, pensions, accept).unwrap_err();
    assert_eq!(refused.reason(), Reason::UnknownService);
}
