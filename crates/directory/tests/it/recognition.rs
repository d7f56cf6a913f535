//! Other jurisdictions: what a recognition says, who gives it, and what stands in its way.

use entente_directory::{Change, RecognitionLimits, Standing};
use entente_reason::Reason;
use entente_signing::Digest;

use crate::two::{act, recognise};
use crate::world::World;

fn recognising() -> World {
    let mut world = World::demo();
    let change = recognise(
        "ca-demo-qc",
        Digest::of(b"genesis"),
        RecognitionLimits::default(),
    );
    world.by_registrar(change).unwrap();
    world
}

#[test]
fn a_recognition_is_given_suspended_resumed_and_ended() {
    let mut world = recognising();
    let qc = "ca-demo-qc".parse().unwrap();
    let standing = |world: &World| world.state.recognition(&qc).unwrap().standing;
    assert!(world.state.recognised(&qc).is_some());
    world
        .by_registrar(Change::RecognitionSuspend(act("ca-demo-qc")))
        .unwrap();
    assert_eq!(standing(&world), Standing::Suspended);
    assert!(world.state.recognised(&qc).is_none());
    world
        .by_registrar(Change::RecognitionResume(act("ca-demo-qc")))
        .unwrap();
    assert!(world.state.recognised(&qc).is_some());
    world
        .by_registrar(Change::RecognitionRevoke(act("ca-demo-qc")))
        .unwrap();
    assert_eq!(standing(&world), Standing::Ended);
    let again = world.by_registrar(Change::RecognitionResume(act("ca-demo-qc")));
    let reason = again.unwrap_err().reason();
    assert_eq!(reason, Reason::JurisdictionNotRecognised);
    // It may be given anew.
    let anew = recognise(
        "ca-demo-qc",
        Digest::of(b"another"),
        RecognitionLimits::default(),
    );
    world.by_registrar(anew).unwrap();
    assert!(world.state.recognised(&qc).is_some());
}

#[test]
fn nothing_is_done_to_a_recognition_that_was_never_given() {
    let mut world = World::demo();
    for change in [
        Change::RecognitionSuspend(act("ca-demo-qc")),
        Change::RecognitionResume(act("ca-demo-qc")),
        Change::RecognitionRevoke(act("ca-demo-qc")),
    ] {
        let refusal = world.by_registrar(change).unwrap_err();
        assert_eq!(refusal.reason(), Reason::JurisdictionNotRecognised);
    }
}

#[test]
fn a_registry_does_not_recognise_itself() {
    let mut world = World::demo();
    let change = recognise(
        "ca-demo",
        Digest::of(b"genesis"),
        RecognitionLimits::default(),
    );
    let refusal = world.by_registrar(change).unwrap_err();
    assert_eq!(refusal.reason(), Reason::NameTaken);
}

#[test]
fn a_limit_names_members_of_the_recognised_jurisdiction_only() {
    let mut world = World::demo();
    let limits = RecognitionLimits {
        members: ["ca-on/health".parse().unwrap()].into(),
        ..RecognitionLimits::default()
    };
    let change = recognise("ca-demo-qc", Digest::of(b"genesis"), limits);
    let refusal = world.by_registrar(change).unwrap_err();
    assert_eq!(refusal.reason(), Reason::NameNotOurs);
}

#[test]
fn a_suspension_takes_effect_before_the_ledger_brings_it() {
    let world = recognising();
    let qc = "ca-demo-qc".parse().unwrap();
    for change in [
        Change::RecognitionSuspend(act("ca-demo-qc")),
        Change::RecognitionRevoke(act("ca-demo-qc")),
    ] {
        let signed = world.sign(
            entente_directory::Author::Registrar,
            &world.registrar,
            &change,
        );
        let denied = world.state.deny(&signed, world.at).unwrap();
        assert!(denied.recognised(&qc).is_none());
        assert_eq!(denied.state_hash(), world.state.state_hash());
    }
    // Giving it back early would permit.
    let resume = Change::RecognitionResume(act("ca-demo-qc"));
    let signed = world.sign(
        entente_directory::Author::Registrar,
        &world.registrar,
        &resume,
    );
    assert!(world.state.deny(&signed, world.at).is_err());
}
