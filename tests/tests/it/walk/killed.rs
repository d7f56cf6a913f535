//! Real processes killed under load, wherever they happen to be.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context as _, ensure};
use entente_ledger::disk::{Disk, RealDisk};
use entente_tests::walk::{Acknowledged, Gate, Launch, Log, ServerProcess, check_pair};
use entente_tests::world::{Consumer, World, answer};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// Who is killed, and after how many answers.
const ROUNDS: [(Killed, usize); 5] = [
    (Killed::Provider, 17),
    (Killed::Consumer, 5),
    (Killed::Both, 41),
    (Killed::Consumer, 29),
    (Killed::Provider, 3),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Killed {
    Both,
    Consumer,
    Provider,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn servers_killed_under_load_keep_every_answer_they_gave_and_end_every_request_once() {
    rounds().await.unwrap();
}

async fn rounds() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let world = World::build(dir.path()).await?;
    let gate = Gate::answering(answer("2026-03-04", "unknown"));
    gate.serve(&world.provider.source_socket()).await?;
    let launch = Launch::of(Path::new(env!("CARGO_BIN_EXE_walk-server")));
    let mut acknowledged = Vec::new();
    for (killed, after) in ROUNDS {
        let provider = launch.start(&world.provider).await?;
        let consumer = launch.start(&world.consumer).await?;
        let load = Load::start(&world.consumer.caller_socket());
        load.answered(after).await?;
        let (consumer, provider) = kill(killed, consumer, provider).await?;
        let answers = load.stop().await?;
        ensure!(
            answers.len() >= after,
            "{killed:?}: {} answers",
            answers.len()
        );
        acknowledged.extend(answers);

        // Whoever was killed closes what it left open as it starts.
        let provider = match provider {
            Some(provider) => provider,
            None => launch.start(&world.provider).await?,
        };
        let consumer = match consumer {
            Some(consumer) => consumer,
            None => launch.start(&world.consumer).await?,
        };
        let again = Consumer::of(&world.consumer);
        let again = again.look_up().await;
        acknowledged.push(Acknowledged::by(&again.context("the call after it")?)?);
        consumer.stop().await?;
        provider.stop().await?;

        let disk: Arc<dyn Disk> = Arc::new(RealDisk);
        let mut logs = Vec::new();
        for site in [&world.consumer, &world.provider] {
            let data = site.dir.join("data");
            Log::verify(&disk, &data, site)?;
            logs.push(Log::read(&disk, &data)?);
        }
        let held = check_pair(&logs[0], &logs[1], gate.asked(), &acknowledged);
        held.with_context(|| format!("after {killed:?} killed at {after} answers"))?;
    }
    Ok(())
}

/// Kills one or both, and gives back whom it let live.
async fn kill(
    killed: Killed,
    consumer: ServerProcess,
    provider: ServerProcess,
) -> anyhow::Result<(Option<ServerProcess>, Option<ServerProcess>)> {
    Ok(match killed {
        Killed::Both => {
            tokio::try_join!(consumer.kill(), provider.kill())?;
            (None, None)
        }
        Killed::Consumer => {
            consumer.kill().await?;
            (None, Some(provider))
        }
        Killed::Provider => {
            provider.kill().await?;
            (Some(consumer), None)
        }
    })
}

/// Eight callers that call again as soon as they are answered.
struct Load {
    callers: JoinSet<Vec<anyhow::Result<Acknowledged>>>,
    answered: watch::Receiver<usize>,
    over: Arc<AtomicBool>,
}

// === impl Load ===

impl Load {
    fn start(socket: &Path) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let (count, answered) = watch::channel(0);
        let count = Arc::new(count);
        let mut callers = JoinSet::new();
        for _ in 0..8 {
            let (caller, over, count) = (Consumer::at(socket), over.clone(), count.clone());
            callers.spawn(async move {
                let mut answers = Vec::new();
                while !over.load(Ordering::SeqCst) {
                    if let Ok(answer) = caller.look_up().await {
                        answers.push(Acknowledged::by(&answer));
                        count.send_modify(|count| *count += 1);
                    }
                }
                answers
            });
        }
        Self {
            callers,
            answered,
            over,
        }
    }

    async fn answered(&self, times: usize) -> anyhow::Result<()> {
        let mut answered = self.answered.clone();
        let reached = answered.wait_for(|answered| *answered >= times);
        let waited = tokio::time::timeout(std::time::Duration::from_secs(30), reached).await;
        waited.context("too few answers")??;
        Ok(())
    }

    async fn stop(mut self) -> anyhow::Result<Vec<Acknowledged>> {
        self.over.store(true, Ordering::SeqCst);
        let mut answers = Vec::new();
        while let Some(caller) = self.callers.join_next().await {
            answers.extend(caller?);
        }
        answers.into_iter().collect()
    }
}
