//! Admission, standing, and the keys of members.

use entente_directory::{
    Application, Author, Change, KeyAdd, KeyRevoke, KeyRole, MemberAct, MemberAdmit, NewKey,
    Refusal, ServiceRetire, Standing, Sunset,
};
use entente_reason::Reason;
use entente_signing::Signer;

use crate::world::{World, key};

fn admission(world: &World) -> MemberAdmit {
    match world.transport.admission() {
        Change::MemberAdmit(body) => body,
        _ => unreachable!(),
    }
}

fn world() -> World {
    let mut world = World::before();
    for step in world.story().into_iter().take(2) {
        world.push(step).unwrap();
    }
    world
}

#[test]
fn admits_what_was_applied_for_and_nothing_else() {
    let mut world = world();
    let good = admission(&world);
    let mut class = good.clone();
    class.class = "hospital".parse().unwrap();
    let mut name = good.clone();
    name.name.en.push('!');
    let mut keys = good.clone();
    keys.keys.swap(0, 1);
    let mut member = good.clone();
    member.member = "ca-demo/other".parse().unwrap();
    let mut fewer = good.clone();
    fewer.keys.pop();
    for other in [class, name, keys, member, fewer] {
        let refused = world.by_registrar(Change::MemberAdmit(other));
        assert!(matches!(refused, Err(Refusal::ApplicationDiffers)));
    }
    world
        .by_registrar(Change::MemberAdmit(good.clone()))
        .unwrap();
    let again = world.by_registrar(Change::MemberAdmit(good)).unwrap_err();
    assert_eq!(again.reason(), Reason::NameTaken);
}

#[test]
fn an_application_proves_every_key_and_is_for_one_registry() {
    let mut world = world();
    let good = admission(&world);
    for at in 0..good.application.len() {
        let mut altered = good.clone();
        altered.application[at] ^= 1;
        assert!(
            Application::parse(&altered.application).is_err(),
            "byte {at}"
        );
    }
    let (application, _) = world.transport.application();
    // Somebody else signs for the last key; or nobody does.
    let stranger = key(0x55);
    let forgeries = {
        let (recovery, officer) = (&world.transport.recovery, &world.transport.officer);
        let signers: [Vec<&dyn Signer>; 2] =
            [vec![recovery, officer, &stranger], vec![recovery, officer]];
        signers.map(|signers| application.sign(&signers).unwrap())
    };
    for forgery in forgeries {
        let mut forged = good.clone();
        forged.application = forgery;
        let refused = world.by_registrar(Change::MemberAdmit(forged)).unwrap_err();
        assert_eq!(refused.reason(), Reason::SignatureInvalid);
    }
    let elsewhere = Application {
        registry: "registry.ca-on/changes".into(),
        ..application
    };
    let mut other = admission(&world);
    other.application = elsewhere
        .sign(&[
            &world.transport.recovery,
            &world.transport.officer,
            &world.transport.member,
        ])
        .unwrap();
    let refused = world.by_registrar(Change::MemberAdmit(other));
    assert!(matches!(refused, Err(Refusal::ApplicationDiffers)));
}

#[test]
fn a_registry_speaks_for_names_of_its_own_jurisdiction_only() {
    let mut world = world();
    for name in ["ca-on/transport", "ca/transport", "ca-demo.city/transport"] {
        let mut body = admission(&world);
        body.member = name.parse().unwrap();
        let refused = world.by_registrar(Change::MemberAdmit(body)).unwrap_err();
        assert_eq!(refused.reason(), Reason::NameNotOurs, "{name}");
    }
}

#[test]
fn a_suspended_member_may_only_take_away_and_a_former_one_nothing() {
    let mut world = World::demo();
    let vital = MemberAct {
        member: world.vital.id.clone(),
        reason: Some("AUDIT".into()),
    };
    world
        .by_registrar(Change::MemberSuspend(vital.clone()))
        .unwrap();
    assert_eq!(
        world.state.standing(&world.vital.id),
        Some(Standing::Suspended)
    );
    let permissive = world.sign(
        world.vital.server_author(),
        &world.vital.server_key,
        &world.vital.shard(2, Some(world.agreement)),
    );
    assert_eq!(
        world.apply(permissive).unwrap_err().reason(),
        Reason::MemberSuspended
    );
    let service = "entente.demo.vitalevents.v1.VitalEvents".parse().unwrap();
    let sunset = Sunset::Now;
    let retire = Change::ServiceRetire(ServiceRetire { service, sunset });
    let retire = world.sign(world.vital.author(), &world.vital.member, &retire);
    world.apply(retire).unwrap();
    world
        .by_registrar(Change::MemberResume(vital.clone()))
        .unwrap();
    assert_eq!(
        world.state.standing(&world.vital.id),
        Some(Standing::Active)
    );
    world
        .by_registrar(Change::MemberEnd(vital.clone()))
        .unwrap();
    assert!(world.by_registrar(Change::MemberResume(vital)).is_err());
    let revoke = Change::AgreementRevoke(world.next_act());
    let revoke = world.sign(world.vital.author(), &world.vital.officer, &revoke);
    assert_eq!(
        world.apply(revoke).unwrap_err().reason(),
        Reason::MemberSuspended
    );
}

#[test]
fn a_revoked_key_signs_no_more_and_what_it_signed_stands() {
    let mut world = World::demo();
    let author = world.pensions.author();
    let spki = world.pensions.officer.verifying_key().spki_digest();
    let revoke = KeyRevoke {
        member: world.pensions.id.clone(),
        key: spki,
    };
    let signed = world.sign(
        author.clone(),
        &world.pensions.recovery,
        &Change::KeyRevoke(revoke.clone()),
    );
    world.apply(signed).unwrap();
    let act = Change::AgreementRevoke(world.next_act());
    let signed = world.sign(author.clone(), &world.pensions.officer, &act);
    assert_eq!(
        world.apply(signed).unwrap_err().reason(),
        Reason::KeyUnknown
    );
    // The agreement binds the name, not the key: it is in force still.
    let record = world.state.agreement(&world.agreement).unwrap();
    let state = world.state.agreement_state(record, world.at);
    assert_eq!(state, entente_agreement::lifecycle::State::Active);

    // A new officer key, proven and added by recovery, may end it.
    let officer = key(0x61);
    let new = NewKey {
        role: KeyRole::Officer,
        key: officer.verifying_key().clone(),
    };
    let member = world.pensions.id.clone();
    let unproven = KeyAdd {
        member: member.clone(),
        key: new.clone(),
        proof: [1; 64],
    };
    let signed = world.sign(
        author.clone(),
        &world.pensions.recovery,
        &Change::KeyAdd(unproven),
    );
    assert!(matches!(world.apply(signed), Err(Refusal::Proof)));
    let proof = officer.sign(&KeyAdd::proof_message(&member, &new)).unwrap();
    let add = Change::KeyAdd(KeyAdd {
        member,
        key: new,
        proof,
    });
    let signed = world.sign(author.clone(), &world.pensions.recovery, &add);
    world.apply(signed).unwrap();
    let act = Change::AgreementRevoke(world.next_act());
    world.by(author, &officer, act).unwrap();
    assert!(world.state.member(&world.pensions.id).unwrap().keys.len() == 4);
    let _: Author = world.pensions.author();
}
