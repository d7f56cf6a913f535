//! From nothing to an agreement in force, and on without the registry.

use entente_agreement::lifecycle;
use entente_directory::{Author, Change, Mode};
use entente_follow::author::next_shard;
use entente_follow::{Anchor, ApplicationStanding, Follower};
use entente_signing::{Ed25519Key, Signer as _};

use crate::town::{Member, Town, caught_up};

#[tokio::test(flavor = "multi_thread")]
async fn an_institution_joins_registers_publishes_and_agrees_and_a_follower_sees_it_all() {
    let mut town = Town::found().await;
    let follower = town.follow("follower").await;
    let directory = follower.directory();
    let (vital, pensions) = (Member::vital(), Member::pensions());

    let client = town.client();
    let applied = client.apply(vital.application()).await.unwrap();
    let standing = client.check_application(&applied.id).await.unwrap();
    assert_eq!(standing, ApplicationStanding::Pending);
    let accepted = town.approve(&directory, &applied.id).await;
    let standing = client.check_application(&applied.id).await.unwrap();
    assert_eq!(
        standing,
        ApplicationStanding::Admitted {
            index: accepted.index
        }
    );
    assert!(client.applications(None).await.unwrap().is_empty());
    town.admit(&directory, &pensions).await;

    let register = vital.registration();
    town.submit(&directory, vital.author(), &vital.member, &register, vec![])
        .await
        .unwrap();
    let key = Ed25519Key::generate().unwrap();
    let Change::ServerRegister(registered) = &register else {
        unreachable!()
    };
    let server = vital.server_id();
    let state = &directory.view().state;
    let shard = next_shard(
        state,
        &server,
        Mode::Live,
        registered.ledger.clone(),
        None,
        town.now(),
    );
    assert_eq!(shard.origin, "ss1.vital-events.ca-demo/access/2026h2.1");
    assert_ne!(shard.key, *key.verifying_key());
    let author = Author::Server(server.clone());
    let open = Change::ShardOpen(shard);
    town.submit(&directory, author, &vital.server, &open, vec![])
        .await
        .unwrap();
    let agreement = town.agree(&directory, &vital, &pensions).await;

    let now = town.now();
    let seen = |directory: &entente_follow::Directory| {
        let view = directory.view();
        let record = view.state.agreement(&agreement).expect("the agreement");
        assert_eq!(
            view.state.agreement_state(record, now),
            lifecycle::State::Active
        );
        assert!(view.state.server(&server).is_some());
        assert!(view.state.shard(&server, Mode::Live).is_some());
        assert_eq!(view.root_at(view.size), Some(view.root));
        assert!(directory.root_at(view.size + 1).is_none());
        (view.size, view.root, view.state.state_hash())
    };
    let before = seen(&directory);
    assert!(directory.is_connected());
    assert!(directory.alarms().borrow().is_none());

    // The registry is gone, and the server starts again from its own copy.
    follower.shutdown().await;
    town.stop().await;
    let follower = town.follow("follower").await;
    assert_eq!(seen(&follower.directory()), before);
    assert!(!follower.directory().is_connected());
    assert!(!follower.directory().is_stale());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_was_set_back_makes_no_view_fresher() {
    let mut town = Town::found().await;
    let follower = town.follow("follower").await;
    let directory = follower.directory();
    caught_up(&directory, 1).await;
    town.stop().await;
    assert!(!directory.is_stale());
    // As if to make a day last for ever.
    let hour = std::time::Duration::from_secs(3600);
    town.clock.set(town.now().saturating_sub(hour));
    assert!(directory.is_stale());
    town.clock.set(town.now().saturating_add(hour));
    assert!(!directory.is_stale());
    follower.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_view_grows_stale_without_the_registry_and_says_so() {
    let mut town = Town::found().await;
    let follower = town.follow("follower").await;
    let directory = follower.directory();
    assert!(directory.is_stale(), "nothing was ever heard");
    caught_up(&directory, 1).await;
    let hour = std::time::Duration::from_secs(3600);
    assert_eq!(directory.validity(), 24 * hour);
    assert!(!directory.is_stale());
    follower.shutdown().await;
    town.stop().await;

    town.clock.advance(23 * hour);
    let follower = town.follow("follower").await;
    assert!(!follower.directory().is_stale());
    assert!(follower.directory().age() >= 23 * hour);
    town.clock.advance(2 * hour);
    assert!(follower.directory().is_stale());
    follower.shutdown().await;

    // What the anchor says is the most, whatever the policy allows.
    let mut config = town.follower_config("follower");
    config.anchor.floors.validity = hour;
    let follower = Follower::open(config).await.unwrap();
    assert_eq!(follower.directory().validity(), hour);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_anchor_file_is_what_a_follower_starts_from() {
    let town = Town::found().await;
    let written = Anchor::load(town.config.anchor.as_path()).unwrap();
    assert_eq!(written.genesis, town.anchor.genesis);
    assert_eq!(written.ledger, town.anchor.ledger);
    assert_eq!(written.tls_keys, town.anchor.tls_keys);
}

#[tokio::test(flavor = "multi_thread")]
async fn waits_no_longer_than_asked_for_a_size_that_does_not_come() {
    let town = Town::found().await;
    let follower = town.follow("follower").await;
    let directory = follower.directory();
    caught_up(&directory, 1).await;
    let behind = directory
        .catch_up(2, std::time::Duration::from_millis(50))
        .await
        .unwrap_err();
    assert_eq!(behind.reason(), entente_reason::Reason::RegistryBehind);
    assert_eq!(
        directory
            .catch_up(1, std::time::Duration::ZERO)
            .await
            .unwrap()
            .size,
        1
    );
}
