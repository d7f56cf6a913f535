//! What several registrars decide together: proposals, agreement, notice, and who is in office.

use std::time::Duration;

use entente_clock::Timestamp;
use entente_directory::{
    Author, Change, Genesis, Kind, MemberAct, Policy, ProposalAct, Recognise, RecognitionLimits,
    Refusal, Registrars, Standing, StateClaim, apply,
};
use entente_reason::Reason;
use entente_signing::{Digest, P256Key, Signer as _};

use crate::two::recognise;
use crate::world::{World, key};

const NOTICE: Duration = Duration::from_secs(7 * 24 * 3600);

/// Three registrars, of whom two are a quorum, and a clerk; the policy puts recognitions under it.
fn town() -> World {
    let mut world = World::before();
    let Change::Genesis(genesis) = world.genesis() else {
        unreachable!()
    };
    let public = |n: u8| key(n).verifying_key().clone();
    let genesis = Genesis {
        registrars: vec![public(1), public(2), public(3)],
        quorum: 2,
        policy: Policy {
            quorum_acts: [Kind::Recognise].into(),
            ..Policy::usual()
        },
        clerk: Some(public(4)),
        ..genesis
    };
    world.by_registrar(Change::Genesis(genesis)).unwrap();
    for member in [world.vital.admission(), world.pensions.admission()] {
        world.by_registrar(member).unwrap();
    }
    world
}

fn by(world: &mut World, registrar: &P256Key, change: Change) -> Result<(), Refusal> {
    world.by(Author::Registrar, registrar, change)
}

fn approve(world: &mut World, registrar: u8, proposal: Digest) -> Result<(), Refusal> {
    let act = ProposalAct { change: proposal };
    by(world, &key(registrar), Change::ProposalApprove(act))
}

/// Proposes as the first registrar; the hash.
fn propose(world: &mut World, change: Change) -> Digest {
    world.by_registrar(change).unwrap();
    world.log.last().unwrap().1.hash()
}

/// Something is logged at this moment.
fn log_at(world: &mut World, at: Timestamp) {
    world.at = at;
    let act = MemberAct {
        member: world.pensions.id.clone(),
        reason: None,
    };
    world.by_registrar(Change::MemberSuspend(act)).unwrap();
}

fn weaker(world: &World) -> Change {
    Change::Policy(Policy {
        validity_hours: 48,
        ..world.state.policy().unwrap().clone()
    })
}

fn quebec() -> Change {
    recognise(
        "ca-demo-qc",
        Digest::of(b"genesis"),
        RecognitionLimits::default(),
    )
}

fn validity(world: &World) -> u32 {
    world.state.policy().unwrap().validity_hours
}

#[test]
fn what_the_policy_names_takes_effect_with_the_last_agreement_that_it_needs() {
    let mut world = town();
    let qc = "ca-demo-qc".parse().unwrap();
    let proposal = propose(&mut world, quebec());
    assert!(world.state.recognition(&qc).is_none());
    let again = approve(&mut world, 1, proposal).unwrap_err();
    assert!(
        matches!(again, Refusal::ProposalAgreed(_)),
        "one is not two"
    );
    approve(&mut world, 3, proposal).unwrap();
    assert!(world.state.recognised(&qc).is_some());
    assert_eq!(world.state.proposals().count(), 0);
    let late = approve(&mut world, 2, proposal).unwrap_err();
    assert!(matches!(late, Refusal::UnknownProposal(_)));
}

#[test]
fn what_takes_away_needs_one_registrar_only() {
    let mut world = town();
    let proposal = propose(&mut world, quebec());
    approve(&mut world, 2, proposal).unwrap();
    let act = crate::two::act("ca-demo-qc");
    by(&mut world, &key(3), Change::RecognitionRevoke(act)).unwrap();
    let qc = "ca-demo-qc".parse().unwrap();
    assert_eq!(
        world.state.recognition(&qc).unwrap().standing,
        Standing::Ended
    );
}

#[test]
fn asking_less_takes_a_quorum_and_seven_days() {
    let mut world = town();
    let change = weaker(&world);
    let proposal = propose(&mut world, change);
    let at = world.at;
    log_at(&mut world, at.saturating_add(NOTICE * 2));
    assert_eq!(validity(&world), 24, "without the others, never");
    approve(&mut world, 2, proposal).unwrap();
    let agreed = world.at;
    let effective = agreed.saturating_add(NOTICE);
    let record = world.state.proposals().next().unwrap();
    assert_eq!(record.effective, Some(effective));
    // The change that is logged comes a second after the moment given.
    let before = effective.saturating_sub(Duration::from_millis(1_001));
    log_at(&mut world, before);
    assert_eq!(validity(&world), 24);
    log_at(&mut world, effective.saturating_sub(Duration::from_secs(1)));
    assert_eq!(validity(&world), 48);
    assert_eq!(world.state.proposals().count(), 0);
}

#[test]
fn any_registrar_may_object_until_the_notice_is_over() {
    let mut world = town();
    let change = weaker(&world);
    let proposal = propose(&mut world, change);
    approve(&mut world, 2, proposal).unwrap();
    let act = ProposalAct { change: proposal };
    by(&mut world, &key(3), Change::ProposalWithdraw(act)).unwrap();
    let at = world.at;
    log_at(&mut world, at.saturating_add(NOTICE * 2));
    assert_eq!(validity(&world), 24);
}

#[test]
fn other_registrars_come_into_office_after_notice_and_the_old_ones_leave() {
    let mut world = town();
    let keys = [key(3), key(5)];
    let change = Change::Registrars(Registrars {
        keys: keys.iter().map(|key| key.verifying_key().clone()).collect(),
        quorum: 2,
        clerk: None,
    });
    let proposal = propose(&mut world, change);
    approve(&mut world, 2, proposal).unwrap();
    // What the old ones left on the table goes with them.
    let tabled = propose(&mut world, quebec());
    world.at = world.at.saturating_add(NOTICE);
    let act = MemberAct {
        member: world.vital.id.clone(),
        reason: None,
    };
    by(&mut world, &key(5), Change::MemberSuspend(act)).unwrap();
    let registry = world.state.registry().unwrap();
    assert_eq!((registry.registrars.len(), registry.quorum), (2, 2));
    assert!(world.state.key_known(&key(5).verifying_key().spki_digest()));
    let gone = by(&mut world, &key(1), quebec()).unwrap_err();
    assert_eq!(gone.reason(), Reason::KeyUnknown);
    let tabled = ProposalAct { change: tabled };
    let gone = by(&mut world, &key(5), Change::ProposalApprove(tabled)).unwrap_err();
    assert!(matches!(gone, Refusal::UnknownProposal(_)));
    by(&mut world, &key(5), quebec()).unwrap();
}

#[test]
fn registrars_that_could_not_act_are_never_put_on_the_table() {
    let mut world = town();
    let public = |n: u8| key(n).verifying_key().clone();
    let cases = [
        (vec![public(5)], 0, Reason::ChangeMalformed),
        (vec![public(5)], 2, Reason::ChangeMalformed),
        (vec![public(5), public(5)], 1, Reason::KeyReused),
        // A member's officer.
        (vec![public(0x12)], 1, Reason::KeyReused),
    ];
    for (keys, quorum, reason) in cases {
        let body = Registrars {
            keys,
            quorum,
            clerk: None,
        };
        let refused = world.by_registrar(Change::Registrars(body)).unwrap_err();
        assert_eq!(refused.reason(), reason);
    }
}

#[test]
fn the_clerk_states_the_hash_and_can_do_nothing_else() {
    let mut world = town();
    let state = StateClaim {
        hash: world.state.state_hash(),
        rules: entente_directory::RULES_VERSION,
    };
    by(&mut world, &key(4), Change::State(state)).unwrap();
    let proposal = propose(&mut world, quebec());
    let act = MemberAct {
        member: world.vital.id.clone(),
        reason: None,
    };
    for change in [
        Change::ProposalApprove(ProposalAct { change: proposal }),
        Change::ProposalWithdraw(ProposalAct { change: proposal }),
        Change::MemberSuspend(act),
        quebec(),
    ] {
        let refused = by(&mut world, &key(4), change).unwrap_err();
        assert_eq!(refused.reason(), Reason::AuthorNotAllowed);
    }
}

#[test]
fn a_proposal_that_does_not_fit_any_more_is_dropped_when_its_day_comes() {
    let mut world = town();
    // Two replacements at once: the second finds others in office.
    let public = |n: u8| key(n).verifying_key().clone();
    let body = |n| Registrars {
        keys: vec![public(n)],
        quorum: 1,
        clerk: None,
    };
    for n in [5, 6] {
        let proposal = propose(&mut world, Change::Registrars(body(n)));
        approve(&mut world, 2, proposal).unwrap();
    }
    let at = world.at;
    world.at = at.saturating_add(NOTICE * 2);
    let state = StateClaim {
        hash: Digest::of(b"another"),
        rules: entente_directory::RULES_VERSION,
    };
    // Whoever is in office now, it is one of the two, and the table is empty.
    let signed = world.sign(Author::Registrar, &key(5), &Change::State(state));
    let refused = apply(&world.state, &signed, world.at, &world.blobs).unwrap_err();
    assert!(matches!(refused, Refusal::StateMismatch), "{refused}");
    let act = MemberAct {
        member: world.vital.id.clone(),
        reason: None,
    };
    by(&mut world, &key(5), Change::MemberSuspend(act)).unwrap();
    let registry = world.state.registry().unwrap();
    assert_eq!(registry.registrars, [public(5)]);
    assert_eq!(world.state.proposals().count(), 0);
}

#[test]
fn the_table_is_bounded() {
    let mut world = town();
    let mut refused = None;
    for n in 0..80_u32 {
        let Change::Recognise(body) = quebec() else {
            unreachable!()
        };
        let body = Recognise {
            jurisdiction: format!("ca-demo.t{n}").parse().unwrap(),
            ..body
        };
        if let Err(refusal) = world.by_registrar(Change::Recognise(body)) {
            refused = Some((n, refusal.reason()));
            break;
        }
    }
    assert_eq!(refused, Some((64, Reason::ChangeMalformed)));
}

#[test]
fn a_policy_names_acts_that_permit_and_no_others() {
    for kind in Kind::ALL {
        assert!(!(kind.may_take_quorum() && kind.denies()), "{kind:?}");
    }
    let mut world = World::demo();
    let policy = Policy {
        quorum_acts: [Kind::MemberSuspend].into(),
        ..Policy::usual()
    };
    let signed = std::panic::catch_unwind(|| {
        world.sign(Author::Registrar, &key(1), &Change::Policy(policy))
    });
    assert!(signed.is_err(), "no such change can be made");
    // One registrar who is the whole quorum needs nobody.
    let policy = Policy {
        quorum_acts: [Kind::Recognise].into(),
        ..Policy::usual()
    };
    world.by_registrar(Change::Policy(policy)).unwrap();
    world.by_registrar(quebec()).unwrap();
    assert!(
        world
            .state
            .recognised(&"ca-demo-qc".parse().unwrap())
            .is_some()
    );
}
