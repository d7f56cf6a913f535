//! Real servers whose data folder is a small file system of its own, which runs full and is freed.
//!
//! What stops first on a full disk is moving entries out of the write-ahead log, whose segments are
//! filled ahead of use; the ledger then refuses at once. What happens when the write-ahead log itself
//! has no room is shown by the ledger's own tests.

mod small;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, ensure};
use entente_ledger::disk::{Disk, RealDisk};
use entente_proto::status::Told;
use entente_tests::walk::{Gate, Got, Launch, Log, ServerProcess, Side, check_pair, until};
use entente_tests::world::{Consumer, Site, World, answer, lookup};
use tonic::{Response, Status};

use small::SmallDisk;

/// Two servers, one of them on a small disk.
struct Scene {
    world: World,
    gate: Gate,
    full: Side,
    disk: SmallDisk,
    consumer: Option<ServerProcess>,
    provider: Option<ServerProcess>,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_provider_whose_disk_is_full_refuses_untouched_and_serves_again_by_itself() {
    let dir = tempfile::tempdir().unwrap();
    let mut scene = Scene::begin(dir.path(), Side::Provider).await.unwrap();
    let (answered, unknown) = scene.refuses_and_recovers().await.unwrap();
    let logs = scene.end().await.unwrap();
    let consumer = [
        ("OUT request", answered + unknown + 4),
        ("IN response", answered),
        ("OUTCOME invalid answer", unknown + 4),
    ];
    assert_eq!(counts(&logs.0), expected(&consumer));
    let provider = [
        ("IN request", answered + unknown),
        ("OUT response", answered),
        ("OUT fault OUTCOME_UNKNOWN", unknown),
    ];
    assert_eq!(counts(&logs.1), expected(&provider));
    assert_eq!(logs.1.summaries(0)["LOG_UNAVAILABLE"], 4);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_provider_whose_disk_runs_full_at_work_owes_the_fault_and_writes_it_when_it_can() {
    let dir = tempfile::tempdir().unwrap();
    let mut scene = Scene::begin(dir.path(), Side::Provider).await.unwrap();
    scene.answers().await.unwrap();
    let accepted = "IN request";
    let fault = "OUT fault OUTCOME_UNKNOWN";

    // Freed while it runs.
    let started = scene.log(Side::Provider).unwrap().len();
    scene.fills_at_work("provider_server").await.unwrap();
    let calls = scene.counts(started, accepted).unwrap();
    assert_eq!(scene.counts(started, fault).unwrap(), 0);
    scene.frees().await.unwrap();
    let owed = [[accepted].repeat(calls), [fault].repeat(calls)].concat();
    scene.has(started, &owed).await.unwrap();
    scene.answers().await.unwrap();

    // Freed after it was stopped.
    let started = scene.log(Side::Provider).unwrap().len();
    scene.fills_at_work("provider_server").await.unwrap();
    let calls = scene.counts(started, accepted).unwrap();
    assert_eq!(scene.counts(started, fault).unwrap(), 0);
    scene.restarts_after_freeing().await.unwrap();
    let owed = [[accepted].repeat(calls), [fault].repeat(calls)].concat();
    scene.has(started, &owed).await.unwrap();
    scene.answers().await.unwrap();
    scene.end().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_consumer_whose_disk_is_full_sends_nothing_and_serves_again_by_itself() {
    let dir = tempfile::tempdir().unwrap();
    let mut scene = Scene::begin(dir.path(), Side::Consumer).await.unwrap();
    let (answered, unknown) = scene.refuses_and_recovers().await.unwrap();
    let logs = scene.end().await.unwrap();
    let consumer = [
        ("OUT request", answered + unknown),
        ("IN response", answered),
        ("OUTCOME crashed", unknown),
    ];
    assert_eq!(counts(&logs.0), expected(&consumer));
    let provider = [
        ("IN request", answered + unknown),
        ("OUT response", answered + unknown),
    ];
    assert_eq!(counts(&logs.1), expected(&provider));
    assert_eq!(logs.0.summaries(0)["LOG_UNAVAILABLE"], 4);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_consumer_whose_disk_runs_full_before_the_answer_does_not_hand_it_over() {
    let dir = tempfile::tempdir().unwrap();
    let mut scene = Scene::begin(dir.path(), Side::Consumer).await.unwrap();
    scene.fills_at_work("caller_server").await.unwrap();
    let calls = scene.counts(0, "OUT request").unwrap();
    assert_eq!(scene.counts(0, "OUTCOME crashed").unwrap(), 0);
    scene.frees().await.unwrap();
    let unused = [
        ["OUT request"].repeat(calls),
        ["OUTCOME crashed"].repeat(calls),
    ]
    .concat();
    scene.has(0, &unused).await.unwrap();
    scene.answers().await.unwrap();
    let logs = scene.end().await.unwrap();
    let answers = logs
        .1
        .lines(0)
        .iter()
        .filter(|line| *line == "OUT response")
        .count();
    assert_eq!(answers, calls + 1);
}

// === impl Scene ===

impl Scene {
    async fn begin(dir: &Path, full: Side) -> anyhow::Result<Self> {
        let world = World::build(dir).await?;
        let gate = Gate::answering(answer("2026-03-04", "unknown"));
        gate.serve(&world.provider.source_socket()).await?;
        let site = match full {
            Side::Consumer => &world.consumer,
            Side::Provider => &world.provider,
        };
        let disk = SmallDisk::mount(&site.dir.join("data")).await?;
        let mut scene = Self {
            world,
            gate,
            full,
            disk,
            consumer: None,
            provider: None,
        };
        scene.start(Side::Provider).await?;
        scene.start(Side::Consumer).await?;
        Ok(scene)
    }

    /// Answers until the full disk is noticed; then four refusals that reach nobody's system; then an
    /// answer again. How many answers that were, and how many calls the disk overtook at work.
    async fn refuses_and_recovers(&self) -> anyhow::Result<(usize, usize)> {
        self.answers().await?;
        self.disk.fill()?;
        let (mut answered, mut unknown) = (1, 0);
        let first = loop {
            // What the write-ahead log has room for is durable, so it may be answered.
            let called = self.call().await;
            match Got::of(&called) {
                Got::Answered => answered += 1,
                got if got.is_refused("OUTCOME_UNKNOWN") => unknown += 1,
                _ => break called,
            }
        };
        let asked = self.gate.asked();
        ensure!(asked == answered + unknown, "asked {asked} times");
        ensure!(unknown <= 1, "noticed {unknown} times");
        self.refuses(first)?;
        for _ in 0..3 {
            self.refuses(self.call().await)?;
        }
        self.is_ready(false).await?;
        ensure!(self.gate.asked() == asked, "the system was asked");
        self.frees().await?;
        self.answers().await?;
        Ok((answered + 1, unknown))
    }

    fn refuses(&self, called: Result<Response<bytes::Bytes>, Status>) -> anyhow::Result<()> {
        let expected = match self.full {
            Side::Consumer => "caller_server",
            Side::Provider => "provider_server",
        };
        ensure!(Got::of(&called).is_refused("LOG_UNAVAILABLE"), "{called:?}");
        ensure!(at(&called) == expected, "{called:?}");
        Ok(())
    }

    /// The disk runs full while the provider's system works; then it answers. `must_act` is whom the
    /// refusal names.
    async fn fills_at_work(&self, must_act: &str) -> anyhow::Result<()> {
        let arrival = self.gate.asked() + 1;
        self.gate.close();
        let call = || {
            let caller = Consumer::of(&self.world.consumer);
            let patient = [("grpc-timeout", "60S")];
            tokio::spawn(async move { caller.ask(lookup("046454286"), &patient).await })
        };
        let first = call();
        self.gate.arrival(arrival).await?;
        self.disk.fill()?;
        // The first may have left the write-ahead log before, and a few more find room in pages begun.
        let more: Vec<_> = (0..32).map(|_| call()).collect();
        self.is_ready(false).await?;
        self.gate.open();
        let first = first.await?;
        ensure!(Got::of(&first).is_refused("OUTCOME_UNKNOWN"), "{first:?}");
        ensure!(at(&first) == must_act, "{first:?}");
        for call in more {
            let got = Got::of(&call.await?);
            let is_known = got.is_refused("OUTCOME_UNKNOWN") || got.is_refused("LOG_UNAVAILABLE");
            ensure!(is_known, "another call gets {got}");
        }
        Ok(())
    }

    async fn frees(&self) -> anyhow::Result<()> {
        self.disk.free()?;
        self.is_ready(true).await
    }

    /// Waits until the server whose disk is small says that it is ready, or that it is not.
    async fn is_ready(&self, expected: bool) -> anyhow::Result<()> {
        let look = async || {
            let is_ready = self.server().is_ready().await?;
            ensure!(is_ready == expected, "/readyz says {is_ready}");
            Ok(())
        };
        until(look).await
    }

    async fn restarts_after_freeing(&mut self) -> anyhow::Result<()> {
        let full = self.full;
        self.slot(full).take().context("it runs")?.stop().await?;
        self.disk.free()?;
        self.start(full).await
    }

    async fn answers(&self) -> anyhow::Result<()> {
        let called = self.call().await;
        ensure!(called.is_ok(), "{called:?}");
        Ok(())
    }

    async fn call(&self) -> Result<Response<bytes::Bytes>, Status> {
        let caller = Consumer::of(&self.world.consumer);
        caller.look_up().await
    }

    /// How often a line is in the ledger on the small disk from `start` on.
    fn counts(&self, start: usize, line: &str) -> anyhow::Result<usize> {
        let lines = self.log(self.full)?.lines(start);
        Ok(lines.iter().filter(|found| *found == line).count())
    }

    /// Waits until the ledger on the small disk has just these lines from `start` on.
    async fn has(&self, start: usize, lines: &[&str]) -> anyhow::Result<()> {
        let look = async || {
            let found = self.log(self.full)?.lines(start);
            ensure!(found == lines, "the ledger has {found:?}");
            Ok(())
        };
        until(look).await
    }

    /// Stops both well, and checks every byte they leave.
    async fn end(&mut self) -> anyhow::Result<(Log, Log)> {
        for side in [Side::Consumer, Side::Provider] {
            let server = self.slot(side).take().context("it runs")?;
            server.stop().await?;
            Log::verify(&real(), &self.data(side), self.site(side))?;
        }
        let logs = (self.log(Side::Consumer)?, self.log(Side::Provider)?);
        check_pair(&logs.0, &logs.1, self.gate.asked(), &[])?;
        Ok(logs)
    }

    async fn start(&mut self, side: Side) -> anyhow::Result<()> {
        let mut launch = Launch::of(Path::new(env!("CARGO_BIN_EXE_walk-server")));
        if side == self.full {
            launch.through = self.disk.way_in();
        }
        *self.slot(side) = Some(launch.start(self.site(side)).await?);
        Ok(())
    }

    fn log(&self, side: Side) -> anyhow::Result<Log> {
        Log::read(&real(), &self.data(side))
    }

    /// Where a side's data folder is seen from here.
    fn data(&self, side: Side) -> std::path::PathBuf {
        if side == self.full {
            self.disk.seen_at()
        } else {
            self.site(side).dir.join("data")
        }
    }

    /// The server whose disk is small.
    fn server(&self) -> &ServerProcess {
        let server = match self.full {
            Side::Consumer => self.consumer.as_ref(),
            Side::Provider => self.provider.as_ref(),
        };
        server.unwrap()
    }

    const fn site(&self, side: Side) -> &Site {
        match side {
            Side::Consumer => &self.world.consumer,
            Side::Provider => &self.world.provider,
        }
    }

    const fn slot(&mut self, side: Side) -> &mut Option<ServerProcess> {
        match side {
            Side::Consumer => &mut self.consumer,
            Side::Provider => &mut self.provider,
        }
    }
}

/// How often each line is in a ledger.
fn counts(log: &Log) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for line in log.lines(0) {
        *counts.entry(line).or_default() += 1;
    }
    counts
}

/// The same, of lines that are there at all.
fn expected(lines: &[(&str, usize)]) -> BTreeMap<String, usize> {
    let lines = lines.iter().filter(|(_, count)| *count > 0);
    lines
        .map(|(line, count)| ((*line).to_owned(), *count))
        .collect()
}

/// Who must act, as a refusal says.
fn at<T>(called: &Result<T, Status>) -> String {
    let told = called.as_ref().err().and_then(Told::from_status);
    let at = told.and_then(|told| told.metadata.get("at").cloned());
    at.unwrap_or_default()
}

fn real() -> Arc<dyn Disk> {
    Arc::new(RealDisk)
}
