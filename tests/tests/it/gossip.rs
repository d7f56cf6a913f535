//! What servers note of each other's checkpoints: seldom, and nothing more once nobody calls.

use std::time::Duration;

use anyhow::ensure;
use entente_clock::{Clock as _, ManualClock, SystemClock, Timestamp};
use entente_ledger::entry::Body;
use entente_tests::town::{Town, at};
use entente_tests::walk::until;
use entente_tests::world::Site;

/// When a site noted the other's checkpoints.
fn noted(site: &Site) -> Vec<Timestamp> {
    let entries = site.dated_entries().unwrap().into_iter();
    let notes = entries.filter(|entry| matches!(entry.body, Body::PeerCheckpoint(_)));
    notes.map(|entry| entry.at).collect()
}

async fn both_publish(town: &Town) {
    for server in [&town.provider, &town.consumer] {
        server.publish_checkpoint().await.unwrap();
    }
}

async fn both_noted(town: &Town, times: usize) {
    for site in [&town.world.provider, &town.world.consumer] {
        let noted = until(|| async {
            let found = noted(site).len();
            ensure!(found == times, "{} noted {found}", site.server);
            Ok(())
        });
        noted.await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peers_checkpoint_is_logged_once_in_ten_minutes_however_often_it_changes() {
    let clock = ManualClock::at(SystemClock.now());
    let begun = clock.now();
    let town = Town::start_with(&at(&clock)).await.unwrap();
    town.ask().await.unwrap();
    both_noted(&town, 1).await;
    for seconds in [300, 299, 1] {
        clock.advance(Duration::from_secs(seconds));
        both_publish(&town).await;
        town.ask().await.unwrap();
    }
    both_noted(&town, 2).await;
    let (world, _dir) = town.stop().await;
    let again = begun.saturating_add(Duration::from_secs(600));
    for site in [&world.provider, &world.consumer] {
        assert_eq!(noted(site), [begun, again], "{}", site.server);
    }
}

/// That a peer's checkpoint was noted makes a ledger longer, and its own checkpoint another, which tells the
/// peer nothing that it would have to note.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn once_nobody_calls_both_ledgers_come_to_rest() {
    let clock = ManualClock::at(SystemClock.now());
    let (town, witness) = Town::witnessed(&at(&clock)).await.unwrap();
    town.ask().await.unwrap();
    let mut sizes = Vec::new();
    for _ in 0..8 {
        clock.advance(Duration::from_secs(11 * 60));
        both_publish(&town).await;
        for server in [&town.provider, &town.consumer] {
            server.check_receipts().await.unwrap();
        }
        sizes.push((town.consumer.ledger_size(), town.provider.ledger_size()));
    }
    assert_eq!(sizes[2..], [sizes[2]; 6], "{sizes:?}");
    let noted = [&town.world.provider, &town.world.consumer].map(noted);
    assert!(noted.iter().all(|times| times.len() <= 2), "{noted:?}");
    // At rest, not stopped.
    town.ask().await.unwrap();
    town.stop().await;
    witness.shutdown().await;
}
