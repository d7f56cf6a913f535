//! Deny early, allow late.

use bytes::Bytes;
use entente_agreement::lifecycle;
use entente_directory::{Author, Change, MemberAct, Standing};
use entente_follow::author::{Pen, next_act};
use entente_signing::Digest;

use crate::fake::{Fake, entry};
use crate::faults::entries_of;
use crate::town::{LONG, Member, Town, admission, agreement, caught_up};
use crate::witnessed::until;

#[tokio::test(flavor = "multi_thread")]
async fn a_revocation_is_in_effect_before_its_checkpoint_and_after_a_restart_without_the_registry()
{
    let mut town = Town::found().await;
    let follower = town.follow("follower").await;
    let directory = follower.directory();
    let (vital, pensions) = (Member::vital(), Member::pensions());
    town.admit(&directory, &vital).await;
    town.admit(&directory, &pensions).await;
    let agreement = town.agree(&directory, &vital, &pensions).await;
    let held = directory.view();
    follower.shutdown().await;
    town.stop().await;

    let mut fake = Fake::of(&town).await;
    town.anchor.addresses = vec![fake.endpoint.clone()];
    let follower = town.follow("follower").await;
    let directory = follower.directory();
    let (_, said) = fake.next().await;

    // A permissive change and a denial, and no checkpoint over either.
    let admit = admission(&Member::new("ca-demo/transport", "licences").application());
    let admit = town.registrar_pen(&held).sign(&admit).unwrap();
    let mut pen = Pen::new(
        &held.state,
        pensions.author(),
        &pensions.officer,
        town.now(),
    )
    .unwrap();
    let act = next_act(&held.state, agreement, Some("SAFEGUARD_BREACH".into()));
    let revoke = pen.sign(&Change::AgreementRevoke(act)).unwrap();
    said.entries(held.size, &[entry(&town, &admit), entry(&town, &revoke)])
        .await;

    let in_force = |view: &entente_follow::View| {
        let record = view.state.agreement(&agreement).unwrap();
        view.state.agreement_state(record, town.now()) == lifecycle::State::Active
    };
    let mut views = directory.views();
    let denied = views.wait_for(|view| !in_force(view));
    let denied = tokio::time::timeout(LONG, denied)
        .await
        .expect("the denial")
        .unwrap()
        .clone();
    assert_eq!(
        (denied.size, denied.root),
        (held.size, held.root),
        "nothing else is believed"
    );
    assert!(
        denied
            .state
            .member(&"ca-demo/transport".parse().unwrap())
            .is_none()
    );
    assert_eq!(directory.counts().denied_early, 1);
    // It is written down right after it took effect.
    let early = town.folder("follower").join("early");
    let written = async {
        while std::fs::metadata(&early).map_or(0, |file| file.len()) == 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(LONG, written)
        .await
        .expect("the denial on disk");
    follower.shutdown().await;
    drop(fake);

    // A day is longer than the change itself could still be logged.
    town.clock
        .advance(std::time::Duration::from_secs(20 * 3600));
    let follower = town.follow("follower").await;
    assert!(!in_force(&follower.directory().view()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_denial_nobody_may_make_has_no_effect_early() {
    let mut town = Town::found().await;
    let follower = town.follow("follower").await;
    let (vital, pensions) = (Member::vital(), Member::pensions());
    town.admit(&follower.directory(), &vital).await;
    town.admit(&follower.directory(), &pensions).await;
    let held = follower.directory().view();
    follower.shutdown().await;
    town.stop().await;
    let mut fake = Fake::of(&town).await;
    town.anchor.addresses = vec![fake.endpoint.clone()];
    let follower = town.follow("follower").await;
    let directory = follower.directory();
    let (_, said) = fake.next().await;

    let suspend = |member: &Member| {
        Change::MemberSuspend(MemberAct {
            member: member.id.clone(),
            reason: None,
        })
    };
    // A member suspends another one; then the registrar does.
    let mut pen = Pen::new(&held.state, vital.author(), &vital.officer, town.now()).unwrap();
    let forbidden = pen.sign(&suspend(&pensions)).unwrap();
    let mut pen = Pen::new(&held.state, Author::Registrar, &*town.registrar, town.now()).unwrap();
    let allowed = pen.sign(&suspend(&vital)).unwrap();
    said.entries(
        held.size,
        &[entry(&town, &forbidden), entry(&town, &allowed)],
    )
    .await;
    let mut views = directory.views();
    let denied = views.wait_for(|view| view.state.standing(&vital.id) == Some(Standing::Suspended));
    let view = tokio::time::timeout(LONG, denied)
        .await
        .expect("the denial")
        .unwrap()
        .clone();
    assert_eq!(view.state.standing(&pensions.id), Some(Standing::Active));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_denial_seen_early_is_settled_by_the_ledger_and_can_be_lifted_there() {
    let town = Town::found().await;
    let follower = town.follow("follower").await;
    let directory = follower.directory();
    let vital = Member::vital();
    town.admit(&directory, &vital).await;
    let act = || MemberAct {
        member: vital.id.clone(),
        reason: None,
    };
    for (change, standing) in [
        (Change::MemberSuspend(act()), Standing::Suspended),
        (Change::MemberResume(act()), Standing::Active),
    ] {
        let registrar = &*town.registrar;
        let accepted = town
            .submit(&directory, Author::Registrar, registrar, &change, vec![])
            .await
            .unwrap();
        let view = caught_up(&directory, accepted.size).await;
        assert_eq!(view.state.standing(&vital.id), Some(standing));
        assert_eq!(view.state.denied().count(), 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_comes_while_a_document_is_on_its_way_is_heard_and_a_suspension_is_in_effect() {
    let mut town = Town::found().await;
    let follower = town.follow("first").await;
    let directory = follower.directory();
    let (vital, pensions) = (Member::vital(), Member::pensions());
    town.admit(&directory, &vital).await;
    town.admit(&directory, &pensions).await;
    let admitted = directory.view().size as usize;
    town.agree(&directory, &vital, &pensions).await;
    let agreed = directory.view().size as usize;
    let act = MemberAct {
        member: pensions.id.clone(),
        reason: None,
    };
    let suspend = Change::MemberSuspend(act);
    let registrar = town.registrar.clone();
    town.submit(&directory, Author::Registrar, &*registrar, &suspend, vec![])
        .await
        .unwrap();
    let entries = entries_of(&town, "first");
    follower.shutdown().await;
    town.stop().await;

    let mut fake = Fake::of(&town).await;
    let set = Bytes::from_static(entente_proto::VITAL_EVENTS_DESCRIPTOR_SET);
    let agreement = agreement(Digest::of(&set));
    fake.hold(set);
    fake.hold(Bytes::from(agreement.document().canonical().into_bytes()));
    fake.withhold();
    town.anchor.addresses = vec![fake.endpoint.clone()];
    let newcomer = town.follow("newcomer").await;
    let directory = newcomer.directory();
    let (_, said) = fake.next().await;
    said.entries(0, &entries[..admitted]).await;
    said.checkpoint(fake.checkpoint(&entries[..admitted])).await;
    caught_up(&directory, admitted as u64).await;
    said.entries(admitted as u64, &entries[admitted..agreed])
        .await;
    said.checkpoint(fake.checkpoint(&entries[..agreed])).await;
    fake.asked().await;
    // The only one, before the suspension: no other says later that there is nothing newer.
    said.heartbeat(agreed as u64).await;
    said.entries(agreed as u64, &entries[agreed..]).await;
    let suspended = || directory.view().state.standing(&pensions.id) == Some(Standing::Suspended);
    until("the suspension", suspended).await;
    assert_eq!(directory.view().size, admitted as u64, "the document waits");
    assert!(!directory.is_confirmed());
    fake.let_go();
    until("the heartbeat", || directory.is_confirmed()).await;
    assert_eq!(directory.view().size, agreed as u64);
    assert!(suspended());
    newcomer.shutdown().await;
}
