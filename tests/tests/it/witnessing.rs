//! Witnesses: what they cosign, what they refuse, and what a server does without them.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use anyhow::ensure;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use entente_clock::{Clock as _, ManualClock, SystemClock};
use entente_ledger::SignedCheckpoint;
use entente_ledger::note::{NoteKey, WitnessKey};
use entente_proto::status::Told;
use entente_signing::{Ed25519Key, Signer as _};
use entente_tests::events::Events;
use entente_tests::town::{Town, at};
use entente_tests::walk::until;
use entente_tests::world::{World, fork, policy_of};

use crate::shards::{checkpoint_in, is_sound, opening, previous};
use crate::time::metric;

async fn both_publish(town: &Town) {
    for server in [&town.provider, &town.consumer] {
        server.publish_checkpoint().await.unwrap();
    }
}

/// Waits until both servers say so.
async fn age_is(town: &Town, seconds: Range<u32>) {
    let expected = f64::from(seconds.start)..f64::from(seconds.end);
    for server in [&town.provider, &town.consumer] {
        let looked = until(|| async {
            let age = metric(server, "entente_log_cosigned_age_seconds").await;
            let is_expected = age.is_some_and(|age| expected.contains(&age));
            ensure!(is_expected, "{age:?}");
            Ok(())
        });
        looked.await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn exchange_goes_on_while_a_quorum_cosigns_stops_when_it_does_not_and_recovers() {
    let events = Events::of_this_process().unwrap();
    let clock = ManualClock::at(SystemClock.now());
    let (town, witness) = Town::witnessed(&at(&clock)).await.unwrap();
    let listen = witness.endpoint().to_string();
    // Cosigned at their start, before anybody called.
    town.ask().await.unwrap();

    witness.shutdown().await;
    clock.advance(Duration::from_secs(4 * 60));
    age_is(&town, 240..300).await;
    assert_eq!(events.count("log.unwitnessed"), 0);
    // Long before it stops, whoever runs it is told, once for each server.
    clock.advance(Duration::from_secs(2 * 60));
    age_is(&town, 360..420).await;
    assert_eq!(events.count("log.unwitnessed"), 2);
    clock.advance(Duration::from_secs(8 * 60));
    both_publish(&town).await;
    town.ask().await.unwrap();
    clock.advance(Duration::from_secs(2 * 60));
    let refused = town.ask().await.unwrap_err();
    let told = Told::from_status(&refused).unwrap();
    assert_eq!(told.reason, "LOG_UNWITNESSED");
    assert_eq!(town.source.asked(), 2);

    let witness = town.world.commissioner(&listen).await.unwrap();
    both_publish(&town).await;
    town.ask().await.unwrap();
    assert_eq!(town.source.asked(), 3);
    age_is(&town, 0..60).await;
    assert_eq!(events.count("log.unwitnessed"), 2);
    assert_eq!(events.count("log.witnessed"), 2);
    town.stop().await;
    witness.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_registry_is_a_witness_and_any_of_two_suffices() {
    let clock = ManualClock::at(SystemClock.now());
    let dir = tempfile::tempdir().unwrap();
    let mut world = World::build_at(dir.path(), Arc::new(clock.clone()))
        .await
        .unwrap();
    let witness = world.commissioner("127.0.0.1:0").await.unwrap();
    let registry = world.registry.take().unwrap();
    let (listen, key) = registry.witness().unwrap();
    let policy = policy_of(&witness, "")
        + &format!("witness registry {key} http://{listen}\n")
        + "group any-of-two any commissioner registry\nquorum any-of-two\n";
    let policy = policy.parse().unwrap();
    world
        .change_policy(|held| held.witnesses = policy)
        .await
        .unwrap();
    let provider = world.start(&world.provider, at(&clock)).await.unwrap();
    let lines = |note: &str| {
        note.lines()
            .filter(|line| line.starts_with('\u{2014}'))
            .count()
    };
    let published = || {
        let folder = world.provider.ledger_dir().unwrap();
        std::fs::read_to_string(folder.join("log/checkpoint")).unwrap()
    };
    assert_eq!(lines(&published()), 3, "{}", published());
    witness.shutdown().await;
    registry.shutdown().await.unwrap();
    clock.advance(Duration::from_secs(6 * 60));
    provider.publish_checkpoint().await.unwrap();
    provider.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn exchange_stops_when_no_checkpoint_of_the_registry_is_cosigned_and_recovers() {
    let clock = ManualClock::at(SystemClock.now());
    let dir = tempfile::tempdir().unwrap();
    let world = World::build_at(dir.path(), Arc::new(clock.clone()))
        .await
        .unwrap();
    let witness = world.commissioner("127.0.0.1:0").await.unwrap();
    let listen = witness.endpoint().to_string();
    let policy = policy_of(&witness, "quorum commissioner\n")
        .parse()
        .unwrap();
    let changed = world.change_policy(|held| held.registry_witnesses = policy);
    changed.await.unwrap();
    let town = Town::of(world, dir, &at(&clock)).await.unwrap();
    town.ask().await.unwrap();

    // The registry is there, says each second that there is nothing newer, and that is all.
    witness.shutdown().await;
    clock.advance(Duration::from_secs(14 * 60));
    town.ask().await.unwrap();
    clock.advance(Duration::from_secs(2 * 60));
    let stale = until(|| async {
        let refused = town.ask().await.err();
        let refused = refused.and_then(|refused| Told::from_status(&refused));
        let reason = refused.map(|told| told.reason);
        ensure!(reason.as_deref() == Some("REGISTRY_STALE"), "{reason:?}");
        Ok(())
    });
    stale.await.unwrap();

    let witness = town.world.commissioner(&listen).await.unwrap();
    until(|| async { town.ask().await.map(drop).map_err(anyhow::Error::from) })
        .await
        .unwrap();
    town.stop().await;
    witness.shutdown().await;
}

/// What anybody can answer over plain HTTP: that it has seen more, or another tree. It shows nothing.
async fn liar(status: StatusCode, body: &'static str) -> String {
    let app = axum::Router::new().route(
        "/add-checkpoint",
        axum::routing::post(move || async move {
            let kind = [(CONTENT_TYPE, "text/x.tlog.size")];
            (status, kind, body)
        }),
    );
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    format!("http://{at}")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_witness_that_says_there_is_more_and_does_not_show_it_stops_nobody() {
    let clock = ManualClock::at(SystemClock.now());
    let dir = tempfile::tempdir().unwrap();
    let world = World::build_at(dir.path(), Arc::new(clock.clone()))
        .await
        .unwrap();
    let witness = world.commissioner("127.0.0.1:0").await.unwrap();
    let ahead = liar(StatusCode::CONFLICT, "18446744073709551615\n").await;
    let other = liar(StatusCode::UNPROCESSABLE_ENTITY, "").await;
    let key = |seed, name: &str| {
        let key = Ed25519Key::from_seed(&[seed; 32]).unwrap();
        WitnessKey::new(name, key.verifying_key().clone()).unwrap()
    };
    let policy = policy_of(&witness, "")
        + &format!("witness ahead {} {ahead}\n", key(3, "ahead.example"))
        + &format!("witness other {} {other}\n", key(4, "other.example"))
        + "group two any commissioner ahead other\nquorum two\n";
    let policy = policy.parse().unwrap();
    let changed = world.change_policy(|held| held.witnesses = policy);
    changed.await.unwrap();
    let town = Town::of(world, dir, &at(&clock)).await.unwrap();
    for _ in 0..2 {
        town.ask().await.unwrap();
        both_publish(&town).await;
    }
    town.stop().await;
    witness.shutdown().await;
}

/// A copy of the server runs elsewhere, say, and has had its tree cosigned.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_hears_of_another_tree_stops_at_once_and_goes_on_in_a_new_shard() {
    let clock = ManualClock::at(SystemClock.now());
    let (town, witness) = Town::witnessed(&at(&clock)).await.unwrap();
    town.ask().await.unwrap();
    let site = &town.world.provider;
    let (origin, first) = (site.origin().unwrap(), site.ledger_dir().unwrap());
    let other = fork(site, &witness).await.unwrap();
    let is_over = tokio::select! {
        biased;
        () = town.provider.shard_over() => true,
        () = std::future::ready(()) => false,
    };
    assert!(!is_over);

    // It hears of it with its next checkpoint, which this one or its own clock may bring.
    let _ = town.ask().await;
    town.provider.publish_checkpoint().await.unwrap();
    let asked = town.source.asked();
    let refused = town.ask().await.unwrap_err();
    assert_eq!(Told::from_status(&refused).unwrap().reason, "LOG_FORKED");
    assert_eq!(town.source.asked(), asked);
    town.provider.shard_over().await;
    let ledger = site.server_keys().unwrap().ledger;
    let key = NoteKey::new(&origin, ledger.verifying_key().clone()).unwrap();
    let mark = || {
        let note = std::fs::read(site.dir.join("keys/newest-checkpoint")).unwrap();
        SignedCheckpoint::verify(&note, &key).unwrap()
    };
    assert_eq!(mark().checkpoint(), other.checkpoint());
    town.provider.shutdown().await;
    // Nor is it forgotten over what was signed last.
    assert_eq!(mark().checkpoint(), other.checkpoint());

    clock.advance(Duration::from_secs(5));
    let provider = town.world.start(site, at(&clock)).await.unwrap();
    let second = site.ledger_dir().unwrap();
    assert_ne!(first, second);
    let boot = opening(&second);
    assert!(boot.note.as_ref().unwrap().starts_with("incident: follows"));
    let (last, hash) = checkpoint_in(site, &boot, &origin);
    assert_eq!(last.checkpoint(), other.checkpoint());
    let shard = second.file_name().unwrap().to_str().unwrap();
    assert_eq!(previous(&town.world, site, shard), hash);
    // Signed, and cosigned.
    provider.publish_checkpoint().await.unwrap();
    town.system.look_up().await.unwrap();
    assert_eq!(town.source.asked(), 3);
    provider.shutdown().await;
    assert!(is_sound(site, shard));
    town.consumer.shutdown().await;
    witness.shutdown().await;
}
