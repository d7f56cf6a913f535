//! Real servers whose data folder is a small file system of its own, which runs full and is freed.
//!
//! What stops first on a full disk is moving entries out of the write-ahead log, whose segments are
//! filled ahead of use; the ledger then refuses at once. What happens when the write-ahead log itself
//! has no room is shown by the ledger's own tests.

mod small;

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
    scene.refuses_and_recovers().await.unwrap();
    let logs = scene.end().await.unwrap();
    let pair = ["OUT request", "IN response"];
    let refused = ["OUT request", "OUTCOME invalid answer"];
    let lines = [&pair[..], &refused, &refused, &refused, &pair].concat();
    assert_eq!(logs.0.lines(0), lines);
    let pair = ["IN request", "OUT response"];
    assert_eq!(logs.1.lines(0), [pair, pair].concat());
    assert_eq!(logs.1.summaries(0)["LOG_UNAVAILABLE"], 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_provider_whose_disk_runs_full_at_work_owes_the_fault_and_writes_it_when_it_can() {
    let dir = tempfile::tempdir().unwrap();
    let mut scene = Scene::begin(dir.path(), Side::Provider).await.unwrap();
    scene.answers().await.unwrap();
    let started = scene.log(Side::Provider).unwrap().len();
    let fault = ["IN request", "OUT fault OUTCOME_UNKNOWN"];

    // Freed while it runs.
    let (got, at) = scene.fills_at_work().await.unwrap();
    assert_eq!(
        (got.to_string(), &*at),
        ("`OUTCOME_UNKNOWN`".to_owned(), "provider_server")
    );
    assert_eq!(
        scene.log(Side::Provider).unwrap().lines(started),
        fault[..1]
    );
    scene.frees().await.unwrap();
    scene.has(started, &fault).await.unwrap();
    scene.answers().await.unwrap();

    // Freed after it was stopped.
    let started = scene.log(Side::Provider).unwrap().len();
    let (got, _) = scene.fills_at_work().await.unwrap();
    assert!(got.is_refused("OUTCOME_UNKNOWN"));
    scene.restarts_after_freeing().await.unwrap();
    scene.has(started, &fault).await.unwrap();
    scene.answers().await.unwrap();
    scene.end().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_consumer_whose_disk_is_full_sends_nothing_and_serves_again_by_itself() {
    let dir = tempfile::tempdir().unwrap();
    let mut scene = Scene::begin(dir.path(), Side::Consumer).await.unwrap();
    scene.refuses_and_recovers().await.unwrap();
    let logs = scene.end().await.unwrap();
    let pair = ["OUT request", "IN response"];
    assert_eq!(logs.0.lines(0), [pair, pair].concat());
    let pair = ["IN request", "OUT response"];
    assert_eq!(logs.1.lines(0), [pair, pair].concat());
    assert_eq!(logs.0.summaries(0)["LOG_UNAVAILABLE"], 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_consumer_whose_disk_runs_full_before_the_answer_does_not_hand_it_over() {
    let dir = tempfile::tempdir().unwrap();
    let mut scene = Scene::begin(dir.path(), Side::Consumer).await.unwrap();
    let (got, at) = scene.fills_at_work().await.unwrap();
    assert_eq!(
        (got.to_string(), &*at),
        ("`OUTCOME_UNKNOWN`".to_owned(), "caller_server")
    );
    let unused = ["OUT request", "OUTCOME crashed"];
    assert_eq!(scene.log(Side::Consumer).unwrap().lines(0), unused[..1]);
    scene.frees().await.unwrap();
    scene.has(0, &unused).await.unwrap();
    scene.answers().await.unwrap();
    let logs = scene.end().await.unwrap();
    assert_eq!(
        logs.0.lines(0),
        [unused, ["OUT request", "IN response"]].concat()
    );
    let pair = ["IN request", "OUT response"];
    assert_eq!(logs.1.lines(0), [pair, pair].concat());
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

    /// An answer; then three refusals that reach nobody's system; then an answer again.
    async fn refuses_and_recovers(&mut self) -> anyhow::Result<()> {
        self.answers().await?;
        let asked = self.gate.asked();
        self.fills().await?;
        for _ in 0..3 {
            let called = self.call().await;
            ensure!(Got::of(&called).is_refused("LOG_UNAVAILABLE"), "{called:?}");
            ensure!(
                at(&called) == format!("{}_server", self.full_as_seen()),
                "{called:?}"
            );
        }
        ensure!(
            !self.server().is_ready().await?,
            "it is ready with a full disk"
        );
        ensure!(self.gate.asked() == asked, "the system was asked");
        self.frees().await?;
        self.answers().await
    }

    /// The disk runs full while the provider's system works on a call. What the caller gets, and
    /// who must act.
    async fn fills_at_work(&mut self) -> anyhow::Result<(Got, String)> {
        let arrival = self.gate.asked() + 1;
        self.gate.close();
        let caller = Consumer::at(&self.world.consumer.caller_socket());
        let call = tokio::spawn(async move { caller.ask(lookup("046454286"), &[]).await });
        self.gate.arrival(arrival).await?;
        self.fills().await?;
        self.gate.open();
        let called = call.await?;
        Ok((Got::of(&called), at(&called)))
    }

    async fn fills(&self) -> anyhow::Result<()> {
        self.disk.fill()?;
        let not_ready = async || Ok(ensure!(!self.server().is_ready().await?, "it stays ready"));
        until(not_ready).await
    }

    async fn frees(&self) -> anyhow::Result<()> {
        self.disk.free()?;
        let ready = async || {
            Ok(ensure!(
                self.server().is_ready().await?,
                "it is not ready again"
            ))
        };
        until(ready).await
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
        let caller = Consumer::at(&self.world.consumer.caller_socket());
        caller.ask(lookup("046454286"), &[]).await
    }

    /// Waits until the ledger on the small disk has just these lines from `start` on.
    async fn has(&self, start: usize, lines: &[&str]) -> anyhow::Result<()> {
        let look = async || {
            let found = self.log(self.full)?.lines(start);
            Ok(ensure!(found == lines, "the ledger has {found:?}"))
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

    /// What the side is called in a refusal's `at`.
    const fn full_as_seen(&self) -> &'static str {
        match self.full {
            Side::Consumer => "caller",
            Side::Provider => "provider",
        }
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

/// Who must act, as a refusal says.
fn at<T>(called: &Result<T, Status>) -> String {
    let told = called.as_ref().err().and_then(Told::from_status);
    let at = told.and_then(|told| told.metadata.get("at").cloned());
    at.unwrap_or_default()
}

fn real() -> Arc<dyn Disk> {
    Arc::new(RealDisk)
}
