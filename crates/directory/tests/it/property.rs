//! Whatever is tried, in whatever order: the state is a function of the log alone, and what is
//! refused leaves no trace.

use std::time::Duration;

use entente_directory::{
    Author, Change, Keep, KeyRevoke, LedgerKey, MandateEnd, MandateGrant, MemberAct, Policy,
    ServerUpdate, ServicePublish, ServiceRetire, SessionRevoke, SignedChange, State, Sunset, apply,
};
use entente_signing::{Ed25519Key, P256Key, Signer};
use proptest::prelude::*;

use crate::mandates::over_vital_events;
use crate::world::{Member, Step, World, hpke, key};

/// What one turn tries: what is done, to whom, by whom.
#[derive(Clone, Copy, Debug)]
struct Op {
    what: u8,
    whom: u8,
    who: u8,
    early: bool,
}

fn op() -> impl Strategy<Value = Op> {
    (0u8..17, 0u8..3, 0u8..13, any::<bool>()).prop_map(|(what, whom, who, early)| Op {
        what,
        whom,
        who,
        early,
    })
}

fn member(world: &World, n: u8) -> &Member {
    [&world.vital, &world.pensions, &world.transport][usize::from(n % 3)]
}

fn signer(world: &World, n: u8) -> (Author, &P256Key) {
    if n == 0 {
        return (Author::Registrar, &world.registrar);
    }
    let who = member(world, n);
    match (n - 1) / 3 {
        0 => (who.author(), &who.recovery),
        1 => (who.author(), &who.officer),
        2 => (who.author(), &who.member),
        _ => (who.server_author(), &who.server_key),
    }
}

fn change(world: &World, op: Op, turn: u8) -> Change {
    let whom = member(world, op.whom);
    let act = MemberAct {
        member: whom.id.clone(),
        reason: None,
    };
    let service = || "entente.demo.vitalevents.v1.VitalEvents".parse().unwrap();
    match op.what {
        0 => Change::MemberSuspend(act),
        1 => Change::MemberResume(act),
        2 => Change::AgreementRevoke(world.next_act()),
        3 => Change::AgreementSuspend(world.next_act()),
        4 => Change::AgreementResume(world.next_act()),
        5 => Change::AgreementAccept(world.next_act()),
        6 => whom.shard(u32::from(turn) + 2, Some(world.agreement)),
        7 => Change::ServerRegister(whom.registration()),
        8 => {
            let mut body = ServerUpdate::of(whom.server.clone());
            body.hpke = Some(vec![hpke(0x80 + turn)]);
            body.tls = Some(vec![key(0x80 + turn).verifying_key().clone()]);
            Change::ServerUpdate(body)
        }
        9 => Change::SessionRevoke(SessionRevoke {
            server: whom.server.clone(),
            issued_before: world.at,
        }),
        10 => Change::ServiceRetire(ServiceRetire {
            service: service(),
            sunset: match turn % 4 {
                0 => Sunset::Now,
                1 => Sunset::Never,
                // Some of them come within the turns that are left.
                _ => {
                    let left = Duration::from_secs(u64::from(turn.wrapping_mul(37) % 12));
                    Sunset::At(world.at.saturating_add(left))
                }
            },
        }),
        11 => Change::ServicePublish(ServicePublish {
            service: service(),
            systems: ["ca-demo/vital-events/register".parse().unwrap()].into(),
            descriptor_set: world.descriptor_set,
            version: u32::from(turn % 4) + 1,
        }),
        12 => Change::KeyRevoke(KeyRevoke {
            member: whom.id.clone(),
            key: whom.officer.verifying_key().spki_digest(),
        }),
        13 => {
            // Some were used before, and some turns prove nothing.
            let next = Ed25519Key::from_seed(&[turn % 8 + 1; 32]).unwrap();
            let mut registry = world.state.registry().unwrap().clone();
            if op.whom == 2 {
                registry.ledger = next.verifying_key().clone();
            }
            Change::LedgerKey(LedgerKey::prove(&registry, &next, None).unwrap())
        }
        14 => Change::Policy(Policy::usual()),
        15 => Change::MandateGrant(MandateGrant {
            body: whom.id.clone(),
            // Now and then it would be over itself, and is refused.
            members: [world.vital.id.clone()].into(),
            ..over_vital_events(world)
        }),
        _ => Change::MandateEnd(MandateEnd {
            body: whom.id.clone(),
            from: turn.is_multiple_of(2).then_some(world.at),
            reason: None,
        }),
    }
}

/// The same change to the world, which keeps every document, and to states that do not.
fn try_on_all(world: &mut World, others: &mut [State], signed: &SignedChange) {
    let at = world.at.saturating_add(Duration::from_secs(1));
    let told = |result: Result<(), _>| result.map_err(|refusal| format!("{refusal:?}"));
    let ours = told(world.apply(signed.clone()));
    for other in others {
        let applied = apply(other, signed, at, &world.blobs).map(|state| *other = state);
        assert_eq!(told(applied), ours);
        assert_eq!(other.state_hash(), world.state.state_hash());
    }
}

fn sign(world: &World, step: &Step) -> SignedChange {
    let mut change = step.change.clone();
    if let Change::AgreementAccept(act) = &mut change {
        let record = world.state.agreement(&act.agreement);
        act.previous = record.map(|record| record.last_act);
    }
    world.sign(step.author.clone(), &step.signer, &change)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn no_rule_needs_a_document_that_is_kept(
        untold in 0usize..4,
        ops in prop::collection::vec(op(), 1..40),
    ) {
        let mut world = World::before();
        let vital = Keep::OfParty(world.vital.id.clone());
        let mut others = [Keep::None, vital].map(State::keeping);
        // Much is tried before the service, the proposal or the signature that it would need.
        let story = world.story();
        let (told, later) = story.split_at(story.len() - untold);
        for step in told {
            let signed = sign(&world, step);
            try_on_all(&mut world, &mut others, &signed);
        }
        for (turn, op) in ops.into_iter().enumerate() {
            if world.state.agreement(&world.agreement).is_none() && (2..6).contains(&op.what) {
                continue;
            }
            let change = change(&world, op, turn as u8);
            let (author, signer) = signer(&world, op.who);
            let signed = world.sign(author, signer, &change);
            try_on_all(&mut world, &mut others, &signed);
        }
        for step in later {
            let signed = sign(&world, step);
            try_on_all(&mut world, &mut others, &signed);
        }
        let is_proposed = world.state.agreement(&world.agreement).is_some();
        let kept = |state: &State| state.document(&world.agreement).is_some();
        prop_assert_eq!(kept(&world.state), is_proposed);
        prop_assert_eq!(others.each_ref().map(kept), [false, is_proposed]);
    }

    #[test]
    fn state_is_a_function_of_the_log_alone(ops in prop::collection::vec(op(), 1..40)) {
        let mut world = World::demo();
        for (turn, op) in ops.into_iter().enumerate() {
            let change = change(&world, op, turn as u8);
            let (author, signer) = signer(&world, op.who);
            let signed = world.sign(author, signer, &change);
            let (size, hash) = (world.state.size(), world.state.state_hash());
            if op.early && let Ok(denied) = world.state.deny(&signed, world.at) {
                prop_assert!(change.kind().denies());
                prop_assert_eq!(denied.state_hash(), hash);
                world.state = denied;
            }
            match world.apply(signed.clone()) {
                Ok(()) => {
                    prop_assert_eq!(world.state.size(), size + 1);
                    prop_assert!(world.apply(signed).is_err(), "logged twice");
                }
                Err(_) => prop_assert_eq!(world.state.state_hash(), hash),
            }
        }
        let mut replayed = State::empty();
        for (at, change) in &world.log {
            replayed = apply(&replayed, change, *at, &world.blobs).unwrap();
        }
        prop_assert_eq!(replayed.state_hash(), world.state.state_hash());
        prop_assert_eq!(replayed.size(), world.log.len() as u64);
    }
}
