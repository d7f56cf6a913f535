//! Whatever is tried, in whatever order: the state is a function of the log alone, and what is
//! refused leaves no trace.

use entente_directory::{
    Author, Change, KeyRevoke, MemberAct, Policy, ServerUpdate, ServicePublish, ServiceRetire,
    SessionRevoke, State, apply,
};
use entente_signing::{P256Key, Signer};
use proptest::prelude::*;

use crate::world::{Member, World, hpke, key};

/// What one turn tries: what is done, to whom, by whom.
#[derive(Clone, Copy, Debug)]
struct Op {
    what: u8,
    whom: u8,
    who: u8,
    early: bool,
}

fn op() -> impl Strategy<Value = Op> {
    (0u8..14, 0u8..3, 0u8..13, any::<bool>()).prop_map(|(what, whom, who, early)| Op {
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
        10 => Change::ServiceRetire(ServiceRetire { service: service() }),
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
        _ => Change::Policy(Policy::usual()),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
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
