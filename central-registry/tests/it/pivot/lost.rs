//! A registry that has its ledger key no more.

use std::sync::Arc;

use entente_central_registry::{CentralRegistry, StartError, Takeover, backup, take_over};
use entente_directory::{Standing, State};
use entente_follow::Directory;
use entente_reason::Reason;

use super::{Three, caught_up, key_file};
use crate::town::{LONG, Member, admission};
use crate::witnessed::{suspend, until};

/// What the registry logged that nobody signed, once the follower was told.
async fn unproven(directory: &Directory, size: u64) -> Arc<State> {
    let reached = || {
        let state = directory.unproven();
        state.is_some_and(|state| state.size() >= size)
    };
    until("what no checkpoint covers", reached).await;
    directory.unproven().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_or_damaged_ledger_key_is_replaced_by_the_quorum_and_everything_goes_on() {
    for is_damaged in [false, true] {
        let mut three = Three::found().await;
        let follower = three.town.follow("follower").await;
        let directory = follower.directory();
        let vital = Member::vital();
        three.town.admit(&directory, &vital).await;
        let held = directory.view();
        three.town.stop().await;
        let file = key_file(&three.town, 1);
        match is_damaged {
            true => std::fs::write(&file, "-----BEGIN PRIVATE KEY-----\ntorn").unwrap(),
            false => std::fs::remove_file(&file).unwrap(),
        }
        let refused = CentralRegistry::start(three.town.config.clone(), three.town.deps()).await;
        let refused = refused.expect_err("no key at all");
        assert!(matches!(refused, StartError::Keys(_)), "{refused:?}");

        // With the next key it starts, and signs nothing.
        let next = three.prepare(&held.state);
        let port = three.town.anchor.addresses[0].to_string();
        three.town.config.listen = port.parse().unwrap();
        three.town.start().await;
        until("the follower to be back", || directory.is_connected()).await;
        let policy = three.pivot_to(&held.state, &*next);
        let proposed = three
            .act(&held.state, &*three.town.registrar, &policy)
            .await;
        let (proposal, accepted) = proposed.unwrap();
        let state = unproven(&directory, accepted.size).await;
        assert_eq!(directory.view().size, held.size);
        assert_eq!(three.town.client().latest().await.unwrap().len(), {
            let note = held.checkpoint.as_ref().unwrap().note().to_string();
            note.len()
        });
        // Nothing that permits is taken meanwhile; what denies is, and is in effect on sight.
        let admit = admission(&Member::pensions().application());
        let refused = three.act(&state, &*three.town.registrar, &admit).await;
        assert_eq!(refused.unwrap_err().reason(), Reason::LedgerKeyMissing);
        let ready = three.town.running().health().watch_ready();
        assert!(!*ready.borrow());

        let agreed = three.approve(&state, &three.third, proposal).await.unwrap();
        let view = caught_up(&directory, agreed.size).await;
        assert_eq!(view.ledger_key().unwrap().key(), next.verifying_key());
        assert_eq!(view.root_at(held.size), Some(held.root));
        three.town.admit(&directory, &Member::pensions()).await;
        assert!(directory.alarms().borrow().is_none());
        let mut ready = three.town.running().health().watch_ready();
        let ready = ready.wait_for(|ready| *ready);
        tokio::time::timeout(LONG, ready).await.unwrap().unwrap();
        // And at the next start, without the old file.
        three.town.stop().await;
        three.town.start().await;
        until("the follower to be back", || directory.is_connected()).await;
        suspend(&three.town, &directory, &vital).await.unwrap();
        follower.shutdown().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_denies_is_taken_and_in_effect_while_nothing_can_be_signed() {
    let mut three = Three::found().await;
    let follower = three.town.follow("follower").await;
    let directory = follower.directory();
    let vital = Member::vital();
    three.town.admit(&directory, &vital).await;
    let state = directory.view().state.clone();
    three.town.stop().await;
    std::fs::remove_file(key_file(&three.town, 1)).unwrap();
    three.prepare(&state);
    let port = three.town.anchor.addresses[0].to_string();
    three.town.config.listen = port.parse().unwrap();
    three.town.start().await;
    suspend(&three.town, &directory, &vital).await.unwrap();
    until("the suspension", || {
        directory.view().state.standing(&vital.id) == Some(Standing::Suspended)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_ledger_key_is_no_successor() {
    let mut three = Three::found().await;
    three.town.stop().await;
    let file = key_file(&three.town, 1);
    std::fs::remove_file(&file).unwrap();
    three
        .store()
        .generate(entente_keys::KeyUse::Ledger, "changes")
        .unwrap();
    let refused = CentralRegistry::start(three.town.config.clone(), three.town.deps()).await;
    let refused = refused.expect_err("another registry's key");
    assert!(
        matches!(refused, StartError::LedgerKey { .. }),
        "{refused:?}"
    );
    assert_eq!(refused.reason(), Reason::LedgerKeyMissing);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_whose_machine_is_gone_with_its_key_is_restored_and_goes_on() {
    let mut three = Three::found().await;
    let follower = three.town.follow("follower").await;
    let directory = follower.directory();
    three.town.admit(&directory, &Member::vital()).await;
    let held = directory.view();
    let to = three.town.folder("backup");
    let mut config = three.town.config.clone();
    let anchor = three.town.folder("here.yaml");
    std::fs::write(&anchor, three.town.anchor.to_string()).unwrap();
    config.anchor = anchor.into();
    backup(&config, &to, LONG, three.town.deps()).await.unwrap();
    three.town.stop().await;
    std::fs::remove_dir_all(config.data.as_path()).unwrap();
    std::fs::remove_file(key_file(&three.town, 1)).unwrap();
    let next = three.prepare(&held.state);
    let restore = Takeover {
        backup: Some(to),
        accepts_loss: true,
        ..Takeover::default()
    };
    let taken = take_over(&config, &restore, three.town.deps()).await;
    let taken = taken.unwrap().size;
    let port = three.town.anchor.addresses[0].to_string();
    three.town.config.listen = port.parse().unwrap();
    three.town.start().await;
    let refused = three.town.client().latest().await.unwrap_err();
    assert_eq!(refused.reason(), Reason::LedgerKeyMissing);
    let state = unproven(&directory, taken).await;
    let change = three.pivot_to(&state, &*next);
    let (proposal, accepted) = three.act(&state, &three.second, &change).await.unwrap();
    let state = unproven(&directory, accepted.size).await;
    let agreed = three.approve(&state, &three.third, proposal).await.unwrap();
    let view = caught_up(&directory, agreed.size).await;
    assert_eq!(view.root_at(held.size), Some(held.root));
    assert!(directory.alarms().borrow().is_none());
    three.town.admit(&directory, &Member::pensions()).await;
    follower.shutdown().await;
}
