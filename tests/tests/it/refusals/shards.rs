//! What a provider remembers when its ledger goes on in another shard.

use std::time::Duration;

use entente_clock::{ManualClock, Timestamp};
use entente_tests::town::at;

use super::support::Gate;

/// A minute before 2027 begins.
const YEARS_END: Timestamp = Timestamp::from_millis(1_798_761_600_000 - 60_000);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_accepted_in_one_shard_is_a_replay_in_the_next() {
    let clock = ManualClock::at(YEARS_END);
    let gate = Gate::open_with(at(&clock), "").await;
    let envelope = gate.seal(gate.draft());
    gate.answered(&envelope).await;
    clock.advance(Duration::from_secs(70));
    let gate = gate.restart().await;
    let dir = gate.world.provider.ledger_dir().unwrap();
    assert!(dir.ends_with("2027h1.1"), "{}", dir.display());
    assert_eq!(gate.refused(&envelope.open).await, "REPLAYED");
    // Once more: what the first start found is found by the next one too.
    let gate = gate.restart().await;
    assert_eq!(gate.refused(&envelope.open).await, "REPLAYED");
    gate.answered(&gate.seal(gate.draft())).await;
    assert_eq!(gate.close().await.asked, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_an_incident_nothing_older_is_accepted() {
    let clock = ManualClock::at(YEARS_END);
    let gate = Gate::open_with(at(&clock), "").await;
    let early = gate.seal(gate.draft());
    gate.answered(&early).await;
    clock.advance(Duration::from_secs(1));
    // The newest entries are gone, and with them the memory of what was accepted.
    let wal = gate.world.provider.shard_dir("2026h2.1").join("wal");
    let gate = gate
        .restart_after(|| {
            for file in std::fs::read_dir(&wal).unwrap().flatten() {
                std::fs::remove_file(file.path()).unwrap();
            }
        })
        .await;
    let dir = gate.world.provider.ledger_dir().unwrap();
    assert!(dir.ends_with("2026h2.2"), "{}", dir.display());
    assert_eq!(gate.refused(&early.open).await, "STATEMENT_STALE");
    clock.advance(Duration::from_secs(1));
    gate.answered(&gate.seal(gate.draft())).await;
    assert_eq!(gate.close().await.asked, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_unreadable_shard_may_have_accepted_is_not_accepted_in_the_next() {
    let clock = ManualClock::at(YEARS_END);
    let gate = Gate::open_with(at(&clock), "").await;
    let early = gate.seal(gate.draft());
    gate.answered(&early).await;
    clock.advance(Duration::from_secs(70));
    let gate = gate.restart().await;
    // Closed, and then lost: with it goes the memory of what was accepted just before.
    let closed = gate.world.provider.shard_dir("2026h2.1");
    let gate = gate
        .restart_after(|| std::fs::remove_dir_all(closed).unwrap())
        .await;
    assert_eq!(gate.refused(&early.open).await, "STATEMENT_STALE");
    gate.answered(&gate.seal(gate.draft())).await;
    assert_eq!(gate.close().await.asked, 2);
}
