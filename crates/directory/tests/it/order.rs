//! Sequence, previous hash, registry and dates: what a change must continue.

use std::time::Duration;

use entente_directory::{
    Author, Change, ChangeHeader, Policy, PolicyField, RULES_VERSION, Refusal, RegistryEntry,
    SignedChange, State, apply,
};
use entente_ledger::note::WitnessKey;
use entente_ledger::witness::WitnessPolicy;
use entente_reason::Reason;
use entente_signing::{Digest, Ed25519Key, Signer as _};

use crate::world::{World, key};

fn header(world: &World) -> ChangeHeader {
    let not_after = world.at.saturating_add(Duration::from_secs(60));
    world
        .state
        .next_header(Author::Registrar, not_after)
        .unwrap()
}

fn try_header(world: &World, header: &ChangeHeader) -> Result<State, Refusal> {
    let signed = SignedChange::sign(&key(1), header, &Change::Policy(Policy::usual())).unwrap();
    apply(&world.state, &signed, world.at, &world.blobs)
}

#[test]
fn refuses_gaps_repeats_and_other_histories() {
    let world = World::demo();
    let next = header(&world);
    assert!(try_header(&world, &next).is_ok());
    let others = [
        ChangeHeader {
            sequence: next.sequence + 1,
            ..next.clone()
        },
        ChangeHeader {
            sequence: next.sequence - 1,
            ..next.clone()
        },
        ChangeHeader {
            sequence: 0,
            ..next.clone()
        },
        ChangeHeader {
            sequence: u64::MAX,
            ..next.clone()
        },
        ChangeHeader {
            previous: None,
            ..next.clone()
        },
        ChangeHeader {
            previous: Some(Digest::of(b"")),
            ..next.clone()
        },
    ];
    for other in others {
        let refusal = try_header(&world, &other).unwrap_err();
        assert_eq!(refusal.reason(), Reason::ChangeOutOfOrder, "{other:?}");
    }
}

#[test]
fn refuses_a_change_logged_before_already() {
    let world = World::demo();
    for (at, change) in &world.log {
        let late = world.at.saturating_add(Duration::from_secs(1));
        assert!(apply(&world.state, change, late, &world.blobs).is_err());
        assert!(apply(&world.state, change, *at, &world.blobs).is_err());
    }
}

#[test]
fn refuses_another_registry_and_what_came_too_late_or_before_its_time() {
    let world = World::demo();
    let next = header(&world);
    let elsewhere = ChangeHeader {
        registry: "registry.ca-on/changes".into(),
        ..next.clone()
    };
    assert!(matches!(
        try_header(&world, &elsewhere),
        Err(Refusal::WrongRegistry)
    ));
    let just_then = ChangeHeader {
        not_after: world.at,
        ..next.clone()
    };
    assert!(try_header(&world, &just_then).is_ok());
    let past = world.at.saturating_sub(Duration::from_millis(1));
    let late = ChangeHeader {
        not_after: past,
        ..next.clone()
    };
    assert_eq!(
        try_header(&world, &late).unwrap_err().reason(),
        Reason::ChangeExpired
    );
    let signed = SignedChange::sign(&key(1), &next, &Change::Policy(Policy::usual())).unwrap();
    let backwards = apply(&world.state, &signed, past, &world.blobs).unwrap_err();
    assert_eq!(backwards.reason(), Reason::ClockOff);
}

#[test]
fn begins_with_one_genesis_and_no_other() {
    let mut world = World::before();
    let early = world.by_registrar(Change::Policy(Policy::usual()));
    assert!(matches!(early, Err(Refusal::WrongRegistry)));
    // A genesis by a key it does not name itself.
    let stranger = world.sign(Author::Registrar, &key(9), &world.genesis());
    assert!(matches!(world.apply(stranger), Err(Refusal::KeyUnknown(_))));
    world.by_registrar(world.genesis()).unwrap();
    let again = world.by_registrar(world.genesis());
    assert!(matches!(again, Err(Refusal::WrongRegistry)));
}

#[test]
fn a_genesis_speaks_for_the_origin_of_its_jurisdiction() {
    let mut world = World::before();
    let Change::Genesis(mut genesis) = world.genesis() else {
        unreachable!()
    };
    genesis.jurisdiction = "ca-on".parse().unwrap();
    let refused = world.by_registrar(Change::Genesis(genesis.clone()));
    assert!(matches!(refused, Err(Refusal::NameNotOurs(_))));
    genesis.jurisdiction = "ca-demo".parse().unwrap();
    genesis.quorum = 2;
    assert!(world.by_registrar(Change::Genesis(genesis)).is_err());
}

#[test]
fn any_prefix_of_the_log_replays_to_the_same_state() {
    let mut world = World::before();
    let mut hashes = vec![world.state.state_hash()];
    for step in world.story() {
        world.push(step).unwrap();
        hashes.push(world.state.state_hash());
    }
    // From bytes, as a follower gets them.
    let entries: Vec<_> = world
        .log
        .iter()
        .map(|(at, change)| {
            RegistryEntry {
                at: *at,
                change: change.clone(),
            }
            .encode()
        })
        .collect();
    let mut state = State::empty();
    for (index, entry) in entries.into_iter().enumerate() {
        let entry = RegistryEntry::parse(&entry.into()).unwrap();
        assert_eq!(state.state_hash(), hashes[index]);
        state = apply(&state, &entry.change, entry.at, &world.blobs).unwrap();
        assert_eq!(state.size(), index as u64 + 1);
    }
    assert_eq!(state.state_hash(), world.state.state_hash());
    let distinct: std::collections::BTreeSet<_> = hashes.iter().collect();
    assert_eq!(
        distinct.len(),
        hashes.len(),
        "every change changes the hash"
    );
}

fn witnesses() -> WitnessPolicy {
    let key = Ed25519Key::from_seed(&[1; 32]).unwrap();
    let key = WitnessKey::new("witness.example", key.verifying_key().clone()).unwrap();
    let text = format!("witness one {key} http://witness.example:7200\nquorum one\n");
    text.parse().unwrap()
}

#[test]
fn a_policy_may_be_tightened_at_once_and_not_weakened() {
    let mut world = World::demo();
    let mut tighter = Policy::usual();
    tighter.validity_hours = 12;
    tighter.witness_quorum = 1;
    tighter.tagged_subjects = 129;
    tighter.stamped_within_hours = Some(24);
    tighter.registry_witnesses = witnesses();
    world.by_registrar(Change::Policy(tighter.clone())).unwrap();
    assert_eq!(world.state.policy(), Some(&tighter));
    type Weaken = fn(&mut Policy);
    let weaker: [(PolicyField, Weaken); 7] = [
        (PolicyField::Validity, |policy| policy.validity_hours = 13),
        (PolicyField::WitnessQuorum, |policy| {
            policy.witness_quorum = 0;
        }),
        (PolicyField::RegistryWitnesses, |policy| {
            policy.registry_witnesses = WitnessPolicy::default();
        }),
        (PolicyField::TaggedSubjects, |policy| {
            policy.tagged_subjects = 128;
        }),
        (PolicyField::Freshness, |policy| {
            policy.freshness_seconds = 901;
        }),
        (PolicyField::CosignedWithin, |policy| {
            policy.cosigned_within_seconds = 901;
        }),
        (PolicyField::StampedWithin, |policy| {
            policy.stamped_within_hours = None;
        }),
    ];
    for (field, weaken) in weaker {
        let mut policy = tighter.clone();
        weaken(&mut policy);
        assert_eq!(tighter.weaker_in(&policy), [field], "and is named");
        // It is on the table, and has notice; nothing is weaker for that.
        let tabled = world.state.proposals().count();
        world.by_registrar(Change::Policy(policy)).unwrap();
        assert_eq!(world.state.proposals().count(), tabled + 1);
        assert_eq!(world.state.policy(), Some(&tighter));
    }
}

#[test]
fn how_many_subjects_are_named_is_bounded_and_the_usual_is_not_written() {
    let change = |tagged_subjects| {
        let policy = Policy {
            tagged_subjects,
            ..Policy::usual()
        };
        let mut world = World::demo();
        world.by_registrar(Change::Policy(policy))
    };
    assert!(change(129).is_ok() && change(500).is_ok());
    // Below, and above what one entry holds the tags of, no such change can be made.
    for refused in [0, 127, 501, u32::MAX] {
        assert!(
            std::panic::catch_unwind(|| change(refused)).is_err(),
            "{refused}"
        );
    }
}

#[test]
fn a_wrong_claim_about_the_state_is_refused() {
    let mut world = World::demo();
    let claim = |hash, rules| Change::State(entente_directory::StateClaim { hash, rules });
    let wrong = world
        .by_registrar(claim(Digest::of(b""), RULES_VERSION))
        .unwrap_err();
    assert_eq!(wrong.reason(), Reason::RegistrySplit);
    let right = world.state.state_hash();
    assert!(matches!(
        world.by_registrar(claim(right, 1)),
        Err(Refusal::RulesUnknown(1))
    ));
    let newer = claim(right, RULES_VERSION + 1);
    assert!(world.by_registrar(newer).is_err());
    // What a registry stated under the rules before adds up to the same.
    for rules in 2..=RULES_VERSION {
        let right = world.state.state_hash();
        world.by_registrar(claim(right, rules)).unwrap();
    }
}
