//! The registry is gone: exchange goes on by what every server verified before.

use std::sync::Arc;

use anyhow::{Context as _, ensure};
use entente_tests::town::Town;
use tokio::task::JoinSet;

/// Systems that ask at once, and how often each does.
const SYSTEMS: usize = 8;
const EACH: usize = 40;

#[tokio::test(flavor = "multi_thread")]
async fn killing_the_registry_for_a_whole_load_run_loses_no_exchange() -> anyhow::Result<()> {
    let mut town = Town::start().await?;
    town.ask().await.context("while the registry is there")?;
    // Killed, and not asked to stop: nobody is told.
    drop(town.world.registry.take());
    let logged = || [&town.consumer, &town.provider].map(|server| server.ledger_size());
    let (before, asked) = (logged(), town.source.asked());
    let system = Arc::new(town.system.clone());
    let mut load = JoinSet::new();
    for _ in 0..SYSTEMS {
        let system = Arc::clone(&system);
        load.spawn(async move {
            for _ in 0..EACH {
                system.look_up().await?;
            }
            Ok::<_, tonic::Status>(())
        });
    }
    while let Some(ended) = load.join_next().await {
        ended?.context("without the registry")?;
    }
    let exchanges = SYSTEMS * EACH;
    ensure!(town.source.asked() - asked == exchanges);
    for (after, before) in logged().into_iter().zip(before) {
        // A request and an answer on either side, and no more than a few entries of other kinds.
        let grown = usize::try_from(after - before)?;
        ensure!(
            grown >= 2 * exchanges,
            "{grown} entries of {exchanges} exchanges"
        );
    }
    for server in [&town.consumer, &town.provider] {
        ensure!(!server.directory().is_connected(), "the registry is gone");
        ensure!(!server.directory().is_stale());
    }
    town.stop().await;
    Ok(())
}
