//! Another key for the registry's checkpoints: who decides on it, and from which tree on it signs.

use entente_directory::{
    Author, Change, Genesis, Kind, LedgerKey, Policy, ProposalAct, Refusal, State, apply,
};
use entente_reason::Reason;
use entente_signing::{Digest, Ed25519Key, Signer as _, VerifyingKey};

use crate::world::{World, key};

/// Three registrars, of whom two are a quorum.
fn town() -> World {
    let mut world = World::before();
    let Change::Genesis(genesis) = world.genesis() else {
        unreachable!()
    };
    let public = |n: u8| key(n).verifying_key().clone();
    let genesis = Genesis {
        registrars: vec![public(1), public(2), public(3)],
        quorum: 2,
        policy: Policy::usual(),
        clerk: Some(public(4)),
        ..genesis
    };
    world.by_registrar(Change::Genesis(genesis)).unwrap();
    world
}

fn ledger_key(n: u8) -> Ed25519Key {
    Ed25519Key::from_seed(&[n; 32]).unwrap()
}

fn public(n: u8) -> VerifyingKey {
    ledger_key(n).verifying_key().clone()
}

fn pivot(world: &World, n: u8) -> Change {
    let registry = world.state.registry().unwrap();
    Change::LedgerKey(LedgerKey::prove(registry, &ledger_key(n), None).unwrap())
}

/// Proposes as the first registrar; the hash.
fn propose(world: &mut World, change: Change) -> Digest {
    world.by_registrar(change).unwrap();
    world.log.last().unwrap().1.hash()
}

fn approve(world: &mut World, registrar: u8, proposal: Digest) -> Result<(), Refusal> {
    let act = Change::ProposalApprove(ProposalAct { change: proposal });
    world.by(Author::Registrar, &key(registrar), act)
}

fn current(world: &World) -> VerifyingKey {
    world.state.registry().unwrap().ledger.clone()
}

#[test]
fn a_quorum_puts_another_ledger_key_in_the_place_of_the_present_one_at_once() {
    let mut world = town();
    assert!(world.state.policy().unwrap().quorum_acts.is_empty());
    let change = pivot(&world, 0x70);
    let proposal = propose(&mut world, change);
    assert_eq!(current(&world), public(2), "one registrar alone cannot");
    let again = approve(&mut world, 1, proposal).unwrap_err();
    assert!(matches!(again, Refusal::ProposalAgreed(_)));
    assert_eq!(current(&world), public(2), "nor by agreeing with himself");
    approve(&mut world, 3, proposal).unwrap();
    assert_eq!(current(&world), public(0x70));

    // Each tree has one key: those before the entry that completed the quorum the old one, for ever.
    let completed = world.state.size();
    let registry = world.state.registry().unwrap();
    assert_eq!(*registry.ledger_at(completed - 1), public(2));
    assert_eq!(*registry.ledger_at(completed), public(0x70));
    assert_eq!(*registry.ledger_at(u64::MAX), public(0x70));
    assert!(registry.knows_ledger(&public(2)) && registry.knows_ledger(&public(0x70)));
    assert!(!registry.knows_ledger(&public(0x71)));

    let change = pivot(&world, 0x71);
    let proposal = propose(&mut world, change);
    approve(&mut world, 2, proposal).unwrap();
    let registry = world.state.registry().unwrap();
    let keys = [1, completed - 1, completed, completed + 1, completed + 2];
    let keys = keys.map(|size| registry.ledger_at(size).clone());
    let expected = [2, 2, 0x70, 0x70, 0x71].map(public);
    assert_eq!(keys, expected);
}

#[test]
fn one_who_is_the_whole_quorum_acts_at_once() {
    let mut world = World::demo();
    let change = pivot(&world, 0x70);
    world.by_registrar(change).unwrap();
    assert_eq!(current(&world), public(0x70));
    assert_eq!(world.state.proposals().count(), 0);
}

#[test]
fn a_key_that_could_not_sign_is_never_put_on_the_table() {
    let mut world = town();
    let registry = world.state.registry().unwrap().clone();
    let of = |key: VerifyingKey, proof| LedgerKey {
        key,
        proof,
        reason: None,
    };
    let prove = |n: u8| LedgerKey::prove(&registry, &ledger_key(n), None).unwrap();
    let mut elsewhere = registry.clone();
    elsewhere.genesis = Digest::of(b"another registry of that name");
    let mut later = registry.clone();
    later.ledger = public(0x72);
    let copied = |registry| LedgerKey::prove(registry, &ledger_key(0x70), None).unwrap();
    let cases = [
        (
            "not held",
            of(public(0x70), prove(0x71).proof),
            Reason::SignatureInvalid,
        ),
        (
            "for another ledger",
            copied(&elsewhere),
            Reason::SignatureInvalid,
        ),
        (
            "for another key's place",
            copied(&later),
            Reason::SignatureInvalid,
        ),
        ("the present one", prove(2), Reason::KeyReused),
        (
            "of another kind",
            of(key(0x73).verifying_key().clone(), [0; 64]),
            Reason::KeyWeak,
        ),
    ];
    for (what, body, reason) in cases {
        let refused = world.by_registrar(Change::LedgerKey(body)).unwrap_err();
        assert_eq!(refused.reason(), reason, "{what}");
    }
    // A member's, or a server's, and one that the registry had before.
    let change = pivot(&world, 0x70);
    let proposal = propose(&mut world, change);
    approve(&mut world, 2, proposal).unwrap();
    let back = pivot(&world, 2);
    let refused = world.by_registrar(back).unwrap_err();
    assert_eq!(refused.reason(), Reason::KeyReused);
}

#[test]
fn nobody_but_registrars_may_and_the_clerk_is_none() {
    let mut world = town();
    let change = pivot(&world, 0x70);
    let clerk = world.by(Author::Registrar, &key(4), change.clone());
    assert_eq!(clerk.unwrap_err().reason(), Reason::AuthorNotAllowed);
    let proposal = propose(&mut world, change);
    let refused = approve(&mut world, 4, proposal).unwrap_err();
    assert_eq!(refused.reason(), Reason::AuthorNotAllowed);
    assert!(!Kind::LedgerKey.denies(), "never on sight");
}

#[test]
fn of_two_keys_on_the_table_the_second_falls_with_the_first() {
    let mut world = town();
    let (one, other) = (pivot(&world, 0x70), pivot(&world, 0x71));
    let one = propose(&mut world, one);
    let other = propose(&mut world, other);
    approve(&mut world, 2, other).unwrap();
    assert_eq!(current(&world), public(0x71));
    assert_eq!(world.state.proposals().count(), 0);
    let gone = approve(&mut world, 2, one).unwrap_err();
    assert!(matches!(gone, Refusal::UnknownProposal(_)));
}

#[test]
fn the_state_is_the_same_for_whoever_replays_it_and_another_with_another_key() {
    let told = |n: u8| {
        let mut world = town();
        let change = pivot(&world, n);
        let proposal = propose(&mut world, change);
        approve(&mut world, 2, proposal).unwrap();
        let mut replayed = State::empty();
        for (at, change) in &world.log {
            replayed = apply(&replayed, change, *at, &world.blobs).unwrap();
        }
        assert_eq!(replayed.state_hash(), world.state.state_hash());
        world.state.state_hash()
    };
    assert_ne!(told(0x70), told(0x71));
}
