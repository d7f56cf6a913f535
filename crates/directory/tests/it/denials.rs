//! Deny early, allow late.

use std::time::Duration;

use entente_agreement::lifecycle::State as Lifecycle;
use entente_directory::{
    Change, Kind, MemberAct, Policy, Refusal, ServiceRetire, SessionRevoke, SignedChange, Standing,
    State, Sunset,
};
use entente_reason::Reason;

use crate::world::{World, key};

fn revocation(world: &World) -> SignedChange {
    let revoke = Change::AgreementRevoke(world.next_act());
    world.sign(world.pensions.author(), &world.pensions.officer, &revoke)
}

fn state(world: &World, state: &State) -> Lifecycle {
    let record = state.agreement(&world.agreement).unwrap();
    state.agreement_state(record, world.at)
}

#[test]
fn a_revocation_takes_effect_on_sight_and_changes_no_hash() {
    let mut world = World::demo();
    let revoke = revocation(&world);
    let denied = world.state.deny(&revoke, world.at).unwrap();
    assert_eq!(state(&world, &denied), Lifecycle::Revoked);
    assert_eq!(state(&world, &world.state), Lifecycle::Active);
    assert_eq!(denied.state_hash(), world.state.state_hash());
    assert_eq!(denied.size(), world.state.size());
    // Seen twice, it is one; brought by the ledger, it is none.
    let twice = denied.deny(&revoke, world.at).unwrap();
    assert_eq!(twice.denied().count(), 1);
    world.state = twice;
    world.apply(revoke).unwrap();
    assert_eq!(world.state.denied().count(), 0);
    assert_eq!(state(&world, &world.state), Lifecycle::Revoked);
}

#[test]
fn a_denial_outlives_other_changes_until_the_ledger_brings_it() {
    let mut world = World::demo();
    let revoke = revocation(&world);
    world.state = world.state.deny(&revoke, world.at).unwrap();
    world.by_registrar(Change::Policy(Policy::usual())).unwrap();
    assert_eq!(state(&world, &world.state), Lifecycle::Revoked);
}

#[test]
fn members_sessions_and_services_are_denied_on_sight() {
    let world = World::demo();
    let vital = &world.vital;
    let member = MemberAct {
        member: vital.id.clone(),
        reason: None,
    };
    let suspend = world.sign(
        entente_directory::Author::Registrar,
        &key(1),
        &Change::MemberSuspend(member),
    );
    let denied = world.state.deny(&suspend, world.at).unwrap();
    assert_eq!(denied.standing(&vital.id), Some(Standing::Suspended));
    let hour = world.at.saturating_add(Duration::from_secs(3600));
    let sessions = SessionRevoke {
        server: vital.server.clone(),
        issued_before: hour,
    };
    let sessions = world.sign(
        vital.server_author(),
        &vital.server_key,
        &Change::SessionRevoke(sessions),
    );
    let denied = world.state.deny(&sessions, world.at).unwrap();
    assert!(denied.session_revoked(&vital.server, world.at));
    assert!(!denied.session_revoked(&vital.server, hour));
    let service: entente_identity::ServiceName =
        "entente.demo.vitalevents.v1.VitalEvents".parse().unwrap();
    let retire = Change::ServiceRetire(ServiceRetire {
        service: service.clone(),
        sunset: Sunset::Now,
    });
    let retire = world.sign(vital.author(), &vital.member, &retire);
    let denied = world.state.deny(&retire, world.at).unwrap();
    assert!(!denied.offered(&service, &vital.id, world.at));
    assert!(world.state.offered(&service, &vital.id, world.at));
}

#[test]
fn nothing_permissive_is_believed_early() {
    let world = World::demo();
    for (_, change) in &world.log {
        assert!(world.state.deny(change, world.at).is_err());
    }
    let policy = world.sign(
        entente_directory::Author::Registrar,
        &key(1),
        &Change::Policy(Policy::usual()),
    );
    let refused = world.state.deny(&policy, world.at).unwrap_err();
    assert_eq!(refused.reason(), Reason::AuthorNotAllowed);
    let denying = Kind::ALL.iter().filter(|kind| kind.denies()).count();
    assert_eq!(denying, 10);
}

#[test]
fn a_denial_is_believed_from_its_author_only_and_in_time() {
    let world = World::demo();
    let revoke = Change::AgreementRevoke(world.next_act());
    let forged = world.sign(world.pensions.author(), &world.transport.officer, &revoke);
    assert!(matches!(
        world.state.deny(&forged, world.at),
        Err(Refusal::KeyUnknown(_))
    ));
    let stranger = world.sign(world.transport.author(), &world.transport.officer, &revoke);
    let refused = world.state.deny(&stranger, world.at).unwrap_err();
    assert_eq!(refused.reason(), Reason::AuthorNotAllowed);
    let wrong_key = world.sign(world.pensions.author(), &world.pensions.member, &revoke);
    assert!(world.state.deny(&wrong_key, world.at).is_err());
    let late = world.at.saturating_add(Duration::from_secs(3601));
    assert!(matches!(
        world.state.deny(&revocation(&world), late),
        Err(Refusal::Expired { .. })
    ));
}

#[test]
fn a_suspension_that_was_lifted_does_not_come_back() {
    let mut world = World::demo();
    let suspend = Change::AgreementSuspend(world.next_act());
    let suspend = world.sign(world.vital.author(), &world.vital.officer, &suspend);
    world.apply(suspend.clone()).unwrap();
    let resume = Change::AgreementResume(world.next_act());
    let resume = world.sign(world.vital.author(), &world.vital.officer, &resume);
    world.apply(resume).unwrap();
    let refused = world.state.deny(&suspend, world.at).unwrap_err();
    assert_eq!(refused.reason(), Reason::ChangeOutOfOrder);
    assert_eq!(state(&world, &world.state), Lifecycle::Active);
}
