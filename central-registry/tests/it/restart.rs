//! The registry starts again from its ledger, and says the same things twice.

use std::time::Duration;

use bytes::Bytes;
use entente_central_registry::{CentralRegistry, InitError, StartError, init};
use entente_directory::{Author, Change, Kind, Policy, RegistryEntry};
use entente_follow::author::Pen;
use entente_ledger::Runner;

use crate::town::{Member, Town, caught_up};

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_that_restarts_goes_on_where_it_was_and_its_followers_with_it() {
    let mut town = Town::found().await;
    let follower = town.follow("follower").await;
    let directory = follower.directory();
    let (vital, pensions) = (Member::vital(), Member::pensions());
    town.admit(&directory, &vital).await;
    let pending = town.client().apply(pensions.application()).await.unwrap();
    let before = directory.view();
    // The same port again, so that the follower finds it by itself.
    town.config.listen = town.running().endpoint().to_string().parse().unwrap();
    town.stop().await;
    town.start().await;
    assert_eq!(town.running().size(), before.size);
    town.approve(&directory, &pending.id).await;
    let view = directory.view();
    assert_eq!(view.size, before.size + 1);
    assert_eq!(view.root_at(before.size), Some(before.root));
    assert!(directory.alarms().borrow().is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_change_twice_gets_the_same_answer_also_after_a_restart() {
    let mut town = Town::found().await;
    let follower = town.follow("follower").await;
    let directory = follower.directory();
    let view = caught_up(&directory, 1).await;
    let mut pen = town.registrar_pen(&view);
    let change = pen
        .sign(&Change::Policy(Policy::usual()))
        .unwrap()
        .bytes()
        .clone();
    let first = town.client().submit(change.clone(), vec![]).await.unwrap();
    assert_eq!(
        town.client().submit(change.clone(), vec![]).await.unwrap(),
        first
    );
    // Even when it could no longer be logged.
    town.clock.advance(Duration::from_secs(7200));
    town.stop().await;
    town.start().await;
    assert_eq!(town.client().submit(change, vec![]).await.unwrap(), first);
    assert_eq!(town.running().size(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn states_its_hash_after_so_many_changes_and_followers_agree() {
    let town = Town::found_with(|config| config.limits.state_every = 4).await;
    let follower = town.follow("follower").await;
    let directory = follower.directory();
    for _ in 0..7 {
        let policy = Change::Policy(Policy::usual());
        let registrar = &*town.registrar;
        town.submit(&directory, Author::Registrar, registrar, &policy, vec![])
            .await
            .unwrap();
    }
    let size = town.running().size();
    caught_up(&directory, size).await;
    follower.shutdown().await;
    let bytes = std::fs::read(town.folder("follower").join("entries")).unwrap();
    let stated = kinds(bytes.into())
        .iter()
        .enumerate()
        .filter(|(_, kind)| **kind == Kind::State)
        .map(|(index, _)| index)
        .collect::<Vec<_>>();
    assert_eq!(stated, [3, 7], "every fourth entry");
    assert_eq!(size, 10);
}

fn kinds(mut bytes: Bytes) -> Vec<Kind> {
    let mut kinds = Vec::new();
    while !bytes.is_empty() {
        let head = bytes.split_to(8);
        let length = u32::from_be_bytes(head[..4].try_into().unwrap());
        let entry = RegistryEntry::parse(&bytes.split_to(length as usize)).unwrap();
        kinds.push(entry.change.kind());
    }
    kinds
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_is_made_once_and_not_started_before() {
    let mut town = Town::found().await;
    town.stop().await;
    let deps = town.deps();
    let again = || {
        init(
            &town.config,
            Policy::usual(),
            deps.clock.clone(),
            deps.disk.clone(),
            Runner::Thread,
        )
    };
    assert!(matches!(again().await, Err(InitError::Exists)));
    // Cut short before the anchor was written: the rest is made again, the same.
    std::fs::remove_file(town.config.anchor.as_path()).unwrap();
    let made = again().await.unwrap();
    assert_eq!(made.anchor.genesis, town.anchor.genesis);
    assert!(town.config.anchor.as_path().exists());

    let mut elsewhere = town.config.clone();
    elsewhere.data = town.folder("empty").into();
    let unmade = CentralRegistry::start(elsewhere, town.deps())
        .await
        .unwrap_err();
    assert!(matches!(unmade, StartError::Uninitialised));
    let mut newer = town.config.clone();
    newer.data = town.folder("newer").into();
    std::fs::create_dir(newer.data.as_path()).unwrap();
    std::fs::write(newer.data.as_path().join("FORMAT"), "entente-registry 2\n").unwrap();
    let unknown = CentralRegistry::start(newer, town.deps())
        .await
        .unwrap_err();
    assert!(matches!(unknown, StartError::Format));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pen_signs_changes_in_a_row_before_any_is_seen() {
    let town = Town::found().await;
    let follower = town.follow("follower").await;
    let view = caught_up(&follower.directory(), 1).await;
    let registrar = &*town.registrar;
    let mut pen = Pen::new(&view.state, Author::Registrar, registrar, town.now()).unwrap();
    for index in 1..4 {
        let policy = Change::Policy(Policy::usual());
        let accepted = pen.submit(&policy, vec![], &town.client()).await.unwrap();
        assert_eq!(accepted.index, index);
    }
}
