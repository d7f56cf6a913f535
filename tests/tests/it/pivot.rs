//! The registry's ledger key is replaced under load, and no exchange notices.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use entente_ledger::cosignature;
use entente_security_server::Deps;
use entente_tests::town::Town;
use entente_tests::world::{World, policy_of};
use tokio::task::JoinSet;

/// Callers at once.
const CALLERS: usize = 4;

/// Looks again and again until it is so.
async fn until(reached: impl Fn() -> bool) {
    let mut tick = tokio::time::interval(Duration::from_millis(5));
    let waiting = async {
        while !reached() {
            tick.tick().await;
        }
    };
    let waited = tokio::time::timeout(Duration::from_secs(60), waiting).await;
    waited.expect("what is waited for comes");
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_go_on_while_two_of_three_registrars_replace_the_key_of_the_registry() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::build_of_three(dir.path()).await.unwrap();
    let mut town = Town::of(world, dir, &Deps::real()).await.unwrap();
    let (stop, answered) = (Arc::<AtomicBool>::default(), Arc::<AtomicUsize>::default());
    let mut callers = JoinSet::new();
    for _ in 0..CALLERS {
        let (system, stop) = (town.system.clone(), Arc::clone(&stop));
        let answered = Arc::clone(&answered);
        callers.spawn(async move {
            while !stop.load(Ordering::SeqCst) {
                system
                    .look_up()
                    .await
                    .map_err(|status| status.to_string())?;
                answered.fetch_add(1, Ordering::SeqCst);
            }
            Ok::<_, String>(())
        });
    }
    let goes_on = async || {
        let reached = answered.load(Ordering::SeqCst) + 2 * CALLERS;
        until(|| answered.load(Ordering::SeqCst) >= reached).await;
    };
    goes_on().await;
    let old = town.consumer.directory().load().ledger_key().unwrap();
    let mut new = old.clone();
    for _ in 0..2 {
        new = town.world.replace_ledger_key().await.unwrap();
        for server in [&town.consumer, &town.provider] {
            let directory = server.directory();
            until(|| directory.load().ledger_key().as_ref() == Some(&new)).await;
            assert!(directory.is_connected());
            assert!(directory.alarms().borrow().is_none());
        }
        goes_on().await;
    }
    assert_ne!(new, old);
    stop.store(true, Ordering::SeqCst);
    let failed = callers.join_all().await;
    assert!(failed.iter().all(Result::is_ok), "{failed:?}");

    // A server that starts again goes on from its own copy, by the anchor it always had.
    town.consumer.shutdown().await;
    let deps = Deps::real();
    town.consumer = town.world.start(&town.world.consumer, deps).await.unwrap();
    assert_eq!(town.consumer.directory().load().ledger_key(), Some(new));
    town.ask().await.unwrap();
    town.stop().await;
}

/// The commissioner's witness follows the registry, whose policy asks for its cosignature.
#[tokio::test(flavor = "multi_thread")]
async fn an_oversight_bodys_witness_cosigns_on_under_the_next_key() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::build_of_three(dir.path()).await.unwrap();
    let commissioner = world.commissioner("127.0.0.1:0").await.unwrap();
    let policy = policy_of(&commissioner, "quorum commissioner\n");
    let policy = policy.parse().unwrap();
    world
        .change_policy(|held| held.registry_witnesses = policy)
        .await
        .unwrap();
    for _ in 0..2 {
        let new = world.replace_ledger_key().await.unwrap();
        let view = world.view();
        assert_eq!(view.ledger_key(), Some(new));
        let checkpoint = view.checkpoint.as_ref().unwrap();
        cosignature::verify(checkpoint, commissioner.key()).unwrap();
    }
    commissioner.shutdown().await;
}
