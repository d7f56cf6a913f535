//! The same message once more, after the provider's server stopped at each step and started again.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, ensure};
use entente_ledger::disk::{Disk, RealDisk};
use entente_proto::status::Told;
use entente_tests::hostile::Forger;
use entente_tests::walk::{Again, Gate, Launch, Log, Row, Side, TABLE, When};
use entente_tests::world::{World, answer};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_once_accepted_is_a_replay_after_any_stop_and_one_not_accepted_is_not() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::build(dir.path()).await.unwrap();
    let gate = Gate::answering(answer("2026-03-04", "unknown"));
    gate.serve(&world.provider.source_socket()).await.unwrap();
    let sender = Forger::of(&world, &world.consumer).unwrap();
    let launch = Launch::of(Path::new(env!("CARGO_BIN_EXE_walk-server")));
    let opened = launch.start(&world.provider).await.unwrap();
    opened.stop().await.unwrap();
    for row in TABLE.iter().filter(|row| row.side == Side::Provider) {
        let sent = send_twice(&world, &gate, &sender, &launch, row).await;
        sent.with_context(|| format!("the {row}")).unwrap();
    }
}

async fn send_twice(
    world: &World,
    gate: &Gate,
    sender: &Forger,
    launch: &Launch<'_>,
    row: &Row,
) -> anyhow::Result<()> {
    let held = log(world)?.len();
    let asked = gate.asked();
    let abort_at = match row.when {
        When::Step(step) => Some(step),
        When::Working => None,
    };
    let stopping = Launch {
        abort_at,
        ..launch.clone()
    };
    let provider = stopping.start(&world.provider).await?;
    let draft = sender.draft(world, &world.provider)?;
    let envelope = draft.seal(world.now())?;
    let wire = sender.dial(&world.provider)?;
    let open = envelope.open.clone();
    if row.when == When::Working {
        gate.close();
    }
    let first = tokio::spawn(async move { wire.send(open).await });
    match row.when {
        When::Step(_) => provider.aborted().await?,
        When::Working => {
            gate.arrival(asked + 1).await?;
            provider.kill().await?;
        }
    }
    let first = first.await?;
    ensure!(first.is_err(), "it was answered");
    gate.open();

    let provider = launch.start(&world.provider).await?;
    let again = sender.dial(&world.provider)?;
    let again = again.send(envelope.open.clone()).await;
    let mut lines = row.provider.to_vec();
    match (row.again, again) {
        (Again::Accepted, Ok(open)) => {
            ensure!(envelope.answer(&open)?.code == 0, "another answer");
            lines.extend(["IN request", "OUT response"]);
        }
        (Again::Replayed, Err(status)) => {
            let told = Told::from_status(&status).context("it names no reason")?;
            ensure!(told.reason == "REPLAYED", "refused as {}", told.reason);
            ensure!(
                gate.asked() == asked + row.asked,
                "the system was asked again"
            );
        }
        (_, again) => anyhow::bail!("it comes to {again:?}"),
    }
    provider.stop().await?;
    let log = log(world)?;
    ensure!(
        log.lines(held) == lines,
        "the ledger has {:?}",
        log.lines(held)
    );
    let replays = log.summaries(held).get("REPLAYED").copied();
    let expected = (row.again == Again::Replayed).then_some(1);
    ensure!(replays == expected, "{replays:?} replays are summarised");
    Log::verify(&real(), &world.provider.dir.join("data"), &world.provider)?;
    log.check_ends()
}

fn log(world: &World) -> anyhow::Result<Log> {
    Log::read(&real(), &world.provider.dir.join("data"))
}

fn real() -> Arc<dyn Disk> {
    Arc::new(RealDisk)
}
