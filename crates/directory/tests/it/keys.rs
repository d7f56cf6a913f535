//! A public key appears once, ever; one key, one use. Weak keys are refused.

use entente_directory::{
    Change, MalformedChange, Refusal, ServerRegister, ServerUpdate, SignedChange,
};
use entente_reason::Reason;
use entente_signing::{Ed25519Key, Signer, VerifyingKey};

use crate::world::{Member, World, hpke, key};

fn register(world: &mut World, change: impl FnOnce(&mut ServerRegister)) -> Result<(), Refusal> {
    let mut body = world.transport.registration();
    change(&mut body);
    body.prove(&world.transport.server_key).unwrap();
    let body = Change::ServerRegister(body);
    let signed = world.sign(world.transport.author(), &world.transport.member, &body);
    world.apply(signed)
}

fn update(
    world: &mut World,
    by_member: bool,
    change: impl FnOnce(&mut ServerUpdate),
) -> Result<(), Refusal> {
    let vital = &world.vital;
    let mut body = ServerUpdate::of(vital.server.clone());
    change(&mut body);
    let (author, signer) = match by_member {
        true => (vital.author(), &vital.member),
        false => (vital.server_author(), &vital.server_key),
    };
    let signed = world.sign(author, signer, &Change::ServerUpdate(body));
    world.apply(signed)
}

fn public(key: &dyn Signer) -> VerifyingKey {
    key.verifying_key().clone()
}

#[test]
fn refuses_a_key_that_was_registered_before_for_anything() {
    let mut world = World::demo();
    let vital: Vec<VerifyingKey> = {
        let Member {
            recovery,
            officer,
            member,
            server_key,
            tls,
            ..
        } = &world.vital;
        [recovery, officer, member, server_key, tls]
            .map(|key| public(key))
            .into()
    };
    for used in vital
        .into_iter()
        .chain([public(&key(1)), public(&world.transport.officer)])
    {
        let refused = register(&mut world, |body| body.tls.push(used)).unwrap_err();
        assert_eq!(refused.reason(), Reason::KeyReused);
    }
    let ledger = public(&world.pensions.ledger);
    assert!(register(&mut world, |body| body.ledger = ledger).is_err());
    let sealed = hpke(world.pensions.hpke);
    assert!(register(&mut world, |body| body.hpke = vec![sealed]).is_err());
    // Twice in one change, for two uses or for one.
    let tls = public(&world.transport.tls);
    assert!(register(&mut world, |body| body.tls.push(tls)).is_err());
    let own = public(&world.transport.server_key);
    assert!(register(&mut world, |body| body.tls.push(own)).is_err());
    register(&mut world, |_| {}).unwrap();
}

#[test]
fn a_key_that_was_retired_does_not_come_back() {
    let mut world = World::demo();
    let old = public(&world.vital.tls);
    let new = public(&key(0x72));
    update(&mut world, false, |body| {
        body.tls = Some(vec![old.clone(), new.clone()])
    })
    .unwrap();
    let found = world.state.server_by_tls_spki(&new.spki_digest()).unwrap();
    assert_eq!(found.id, world.vital.server);
    update(&mut world, false, |body| body.tls = Some(vec![new.clone()])).unwrap();
    assert!(world.state.server_by_tls_spki(&old.spki_digest()).is_none());
    let back = update(&mut world, false, |body| {
        body.tls = Some(vec![new, old.clone()])
    });
    assert_eq!(back.unwrap_err().reason(), Reason::KeyReused);
    // Evidence of the past is still checked against it.
    let record = world.state.server(&world.vital.server).unwrap();
    assert!(
        record
            .tls
            .iter()
            .any(|key| key.value == old && !key.is_current())
    );
    assert!(world.state.key_known(&old.spki_digest()));
}

#[test]
fn seal_keys_rotate_with_an_overlap_and_the_newest_is_sealed_to() {
    let mut world = World::demo();
    let (old, new) = (hpke(world.vital.hpke), hpke(0x73));
    update(&mut world, false, |body| {
        body.hpke = Some(vec![old.clone(), new.clone()])
    })
    .unwrap();
    let record = world.state.server(&world.vital.server).unwrap();
    assert_eq!(record.hpke_newest(), Some(&new));
    assert_eq!(record.hpke_keys().count(), 2);
    update(&mut world, false, |body| {
        body.hpke = Some(vec![new.clone()])
    })
    .unwrap();
    let record = world.state.server(&world.vital.server).unwrap();
    assert_eq!(record.hpke_keys().collect::<Vec<_>>(), [&new]);
}

#[test]
fn a_server_may_not_widen_its_own_right_and_its_member_may() {
    let mut world = World::demo();
    let systems = || Some(["ca-demo/vital-events/other".parse().unwrap()].into());
    let own = update(&mut world, false, |body| body.systems = systems());
    assert_eq!(own.unwrap_err().reason(), Reason::AuthorNotAllowed);
    let own = update(&mut world, false, |body| {
        body.key = Some(public(&key(0x74)))
    });
    assert_eq!(own.unwrap_err().reason(), Reason::AuthorNotAllowed);
    let before = "ca-demo/vital-events/register".parse().unwrap();
    let after = "ca-demo/vital-events/other".parse().unwrap();
    assert!(world.state.may_sign_for(&world.vital.server, &before));
    let replaced_at = world.at;
    update(&mut world, true, |body| {
        body.systems = systems();
        body.key = Some(public(&key(0x74)));
    })
    .unwrap();
    assert!(!world.state.may_sign_for(&world.vital.server, &before));
    assert_eq!(world.state.servers_for(&before).count(), 0);
    assert_eq!(world.state.servers_for(&after).count(), 1);
    let record = world.state.server(&world.vital.server).unwrap();
    assert_eq!(record.key(), Some(&public(&key(0x74))));
    // A session of yesterday is judged by yesterday's key.
    assert_eq!(
        record.key_at(replaced_at),
        Some(&public(&world.vital.server_key))
    );
    // Another member's system is nobody's to give.
    let foreign = update(&mut world, true, |body| {
        body.systems = Some(["ca-demo/pensions/benefits".parse().unwrap()].into());
    });
    assert_eq!(foreign.unwrap_err().reason(), Reason::NameNotOurs);
}

#[test]
fn whoever_registers_a_server_key_holds_it() {
    let mut world = World::demo();
    let mut body = world.transport.registration();
    body.proof[5] ^= 1;
    let body = Change::ServerRegister(body);
    let signed = world.sign(world.transport.author(), &world.transport.member, &body);
    assert!(matches!(world.apply(signed), Err(Refusal::Proof)));
    let mut other = world.transport.registration();
    other.addresses = vec!["elsewhere.example:7443".parse().unwrap()];
    let body = Change::ServerRegister(other);
    let signed = world.sign(world.transport.author(), &world.transport.member, &body);
    assert!(matches!(world.apply(signed), Err(Refusal::Proof)));
}

#[test]
fn each_use_takes_its_own_kind_of_key() {
    let mut world = World::demo();
    let ed25519 = public(&Ed25519Key::from_seed(&[0x75; 32]).unwrap());
    let refused = register(&mut world, |body| body.ledger = public(&key(0x76)));
    assert_eq!(refused.unwrap_err().reason(), Reason::KeyWeak);
    let refused = update(&mut world, true, |body| body.key = Some(ed25519.clone()));
    assert_eq!(refused.unwrap_err().reason(), Reason::KeyWeak);
    let zero = update(&mut world, true, |body| body.protocols = Some([0].into()));
    assert!(matches!(zero, Err(Refusal::PolicyWeaker)));
}

#[test]
fn a_weak_key_is_refused_as_such_before_anything_else() {
    let world = World::demo();
    let mut body = ServerUpdate::of(world.vital.server.clone());
    body.ledger = Some(public(&Ed25519Key::from_seed(&[0x77; 32]).unwrap()));
    let good = world.sign(
        world.vital.server_author(),
        &world.vital.server_key,
        &Change::ServerUpdate(body.clone()),
    );
    let raw = body.ledger.unwrap().raw_ed25519().unwrap();
    let at = good.bytes().windows(32).position(|w| w == raw).unwrap();
    let mut bytes = good.bytes().to_vec();
    // The point of order 1: every signature by it verifies for anybody.
    bytes[at..at + 32].fill(0);
    bytes[at] = 1;
    let refused = SignedChange::parse(bytes.into()).unwrap_err();
    assert_eq!(refused, MalformedChange::WeakKey);
    assert_eq!(refused.reason(), Reason::KeyWeak);
}
