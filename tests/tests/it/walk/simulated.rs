//! The same walk on a simulated disk, which loses what was not synced: every prefix of it, and other
//! parts.
//!
//! At each step of the table the machine is frozen and its disk dies; between the steps the disk dies at
//! each of its operations, through the exchange and the checkpoint after it. From what such a disk may
//! hold, the server starts again, and both ledgers must agree with the table, with each other, and with
//! what was published before.
//!
//! At the steps themselves every such disk is tried. Between them there are some 300 for each side, of
//! which about 110 are tried, the same in every run: for each operation the disk that kept nothing, the
//! one that kept all, and one in between. The ledger's own tests try all of a story of theirs, through two
//! checkpoints and the end of a segment (`no_prefix_of_what_was_not_synced_…` in its `crash.rs`), and every
//! other one of a longer story.

mod machine;

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, ensure};
use entente_ledger::disk::Disk;
use entente_ledger::note::SignedNote;
use entente_ledger::{Checkpoint, Reader};
use entente_security_server::NoProbe;
use entente_testkit::MemDisk;
use entente_testkit::disk::Fault;
use entente_tests::walk::{
    Acknowledged, Gate, Got, Log, Row, Side, TABLE, When, check_pair, until,
};
use entente_tests::world::{Consumer, Site, World, answer};

use machine::{Freeze, Machine};

/// A federation with one exchange behind it, to begin again from as often as wanted.
struct Stage {
    world: World,
    gate: Gate,
    /// Both disks, after both servers were stopped well.
    disks: (MemDisk, MemDisk),
    held: (usize, usize),
    acknowledged: Vec<Acknowledged>,
}

/// One exchange that a machine did not survive.
struct Wreck {
    side: Side,
    disk: MemDisk,
    /// The ledger of the side that lived on.
    other: Log,
    got: Got,
    acknowledged: Vec<Acknowledged>,
    /// How often the system was asked since the stage was set, and in all.
    asked: (usize, usize),
    published: Option<Checkpoint>,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn at_each_step_whatever_a_disk_lost_leaves_what_the_table_says() {
    let dir = tempfile::tempdir().unwrap();
    let stage = Stage::set(dir.path()).await.unwrap();
    for row in &TABLE {
        let taken = stage.freeze(row).await;
        taken.with_context(|| format!("the {row}")).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_consumers_disk_that_dies_at_any_operation_contradicts_nobody() {
    die_at_each_operation(Side::Consumer).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_providers_disk_that_dies_at_any_operation_contradicts_nobody() {
    die_at_each_operation(Side::Provider).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_that_forgets_what_it_synced_is_found_out() {
    let dir = tempfile::tempdir().unwrap();
    let stage = Stage::set(dir.path()).await.unwrap();
    for side in [Side::Consumer, Side::Provider] {
        let (wreck, is_over) = stage.exchange(side, u64::from(u32::MAX)).await.unwrap();
        assert!(is_over && wreck.got == Got::Answered);
        let allowed: [&[&str]; 2] = [
            &["OUT request", "IN response"],
            &["IN request", "OUT response"],
        ];
        let kept = wreck.disk.crash();
        stage.rises(&wreck, &kept, &allowed, 1).await.unwrap();

        // The disk as it was before the call.
        let forgot = stage.disk(side).restart();
        let risen = stage.rises(&wreck, &forgot, &[&[]], 1).await;
        assert!(risen.is_err(), "an answer without an entry of the {side}'s");
        let kept = stage.keeps(&forgot, stage.site(side), wreck.published.as_ref());
        assert!(kept.is_err(), "a checkpoint over what is not there");
    }
}

async fn die_at_each_operation(side: Side) {
    let dir = tempfile::tempdir().unwrap();
    let stage = Stage::set(dir.path()).await.unwrap();
    let (mut at, mut images) = (0, 0);
    loop {
        let died = stage.dies(side, at).await;
        let (more, is_over) = died.with_context(|| format!("operation {at}")).unwrap();
        images += more;
        if is_over {
            break;
        }
        at += 1;
    }
    // Both entries of an exchange alone are four operations; the checkpoint is many more.
    assert!(at > 20 && images > at, "{at} operations, {images} disks");
}

// === impl Stage ===

impl Stage {
    async fn set(dir: &Path) -> anyhow::Result<Self> {
        let world = World::build(dir).await?;
        let gate = Gate::answering(answer("2026-03-04", "unknown"));
        gate.serve(&world.provider.source_socket()).await?;
        let disks = (MemDisk::new(), MemDisk::new());
        let provider = Machine::start(&world.provider, &disks.1, Arc::new(NoProbe)).await?;
        let consumer = Machine::start(&world.consumer, &disks.0, Arc::new(NoProbe)).await?;
        let system = Consumer::of(&world.consumer);
        let answered = system.look_up().await?;
        consumer.stop().await?;
        provider.stop().await?;
        let mut stage = Self {
            world,
            gate,
            disks,
            held: (0, 0),
            acknowledged: vec![Acknowledged::by(&answered)?],
        };
        stage.held.0 = stage.log(Side::Consumer, &stage.disks.0)?.len();
        stage.held.1 = stage.log(Side::Provider, &stage.disks.1)?.len();
        Ok(stage)
    }

    /// One row of the table.
    async fn freeze(&self, row: &Row) -> anyhow::Result<()> {
        let When::Step(step) = row.when else {
            // To a disk, being killed at work is the same as stopping just before or after.
            return Ok(());
        };
        let disk = self.disk(row.side).restart();
        let freeze = Freeze::at(step, &disk);
        let asked = self.gate.asked();
        let (frozen, other, other_disk) = self.both(row.side, &disk, freeze.clone()).await?;
        let call = self.call();
        freeze.reached().await?;
        let cut = frozen.cut();
        let got = Got::of(&call.await?);
        freeze.release();
        cut.await?;
        ensure!(got == row.got, "the caller gets {got}");
        let asked = self.gate.asked() - asked;
        ensure!(asked == row.asked, "the system was asked {asked} times");
        let (dead, alive) = match row.side {
            Side::Consumer => (row.consumer, row.provider),
            Side::Provider => (row.provider, row.consumer),
        };
        until(async || self.has(row.side.other(), &other_disk, alive)).await?;
        other.stop().await?;

        let wreck = self.wreck(row.side, disk, &other_disk, got, asked, Vec::new())?;
        for (number, image) in wreck.disk.crash_images(SEED).enumerate() {
            let risen = self.rises(&wreck, &image, &[dead], 2).await;
            risen.with_context(|| format!("image {number}"))?;
        }
        Ok(())
    }

    /// An exchange and a checkpoint, while `side`'s disk dies at its `at`th operation since the call;
    /// and whether there was no such operation any more.
    async fn exchange(&self, side: Side, at: u64) -> anyhow::Result<(Wreck, bool)> {
        let disk = self.disk(side).restart();
        let asked = self.gate.asked();
        let (dying, other, other_disk) = self.both(side, &disk, Arc::new(NoProbe)).await?;
        let first = disk.operations();
        disk.fail_at(first + at, Fault::Crash);
        let called = self.call().await?;
        // What a checkpoint needs is part of it: bundles, tiles, state, and the note itself.
        let _ = dying.publish().await;
        let is_over = disk.operations() <= first + at;
        dying.cut().await?;
        other.stop().await?;
        let acknowledged = called.iter().map(Acknowledged::by);
        let acknowledged = acknowledged.collect::<Result<_, _>>()?;
        let asked = self.gate.asked() - asked;
        let got = Got::of(&called);
        if got.is_refused("LOG_UNAVAILABLE") {
            ensure!(asked == 0, "refused, and the system was asked");
        }
        let wreck = self.wreck(side, disk, &other_disk, got, asked, acknowledged)?;
        Ok((wreck, is_over))
    }

    /// Starts from what the disk may hold that died at its `at`th operation. How many such disks were
    /// tried, and whether the disk lived.
    async fn dies(&self, side: Side, at: u64) -> anyhow::Result<(u64, bool)> {
        let (wreck, is_over) = self.exchange(side, at).await?;
        let allowed: &[&[&str]] = match side {
            Side::Consumer => &[
                &[],
                &["OUT request", "OUTCOME crashed"],
                &["OUT request", "IN response"],
            ],
            Side::Provider => &[
                &[],
                &["IN request", "OUT fault OUTCOME_UNKNOWN"],
                &["IN request", "OUT response"],
            ],
        };
        let mut tried = 0;
        let images = || wreck.disk.crash_images(SEED + at).enumerate();
        let count = images().count();
        let between = (at as usize).wrapping_mul(31) % count.max(1);
        for (number, image) in images() {
            if number == 0 || number == between || number + 1 == count {
                let starts = if number == between { 2 } else { 1 };
                let risen = self.rises(&wreck, &image, allowed, starts).await;
                risen.with_context(|| format!("image {number} of {count}, {}", wreck.got))?;
                tried += 1;
            }
        }
        Ok((tried, is_over))
    }

    /// Starts from an image, some times, and compares what is there with all that is known.
    async fn rises(
        &self,
        wreck: &Wreck,
        image: &MemDisk,
        allowed: &[&[&str]],
        starts: usize,
    ) -> anyhow::Result<()> {
        let Wreck { side, other, .. } = wreck;
        let site = self.site(*side);
        let mut lines = Vec::new();
        for start in 0..starts {
            let machine = Machine::start(site, image, Arc::new(NoProbe)).await?;
            machine.stop().await?;
            let log = self.log(*side, image)?;
            Log::verify(
                &(Arc::new(image.clone()) as _),
                &site.dir.join("data"),
                site,
            )?;
            let found = log.lines(self.held(*side));
            ensure!(
                allowed.iter().any(|lines| found == *lines),
                "the ledger has {found:?}"
            );
            if start == 0 {
                lines = found;
            } else {
                ensure!(
                    lines == found,
                    "a second start adds to {lines:?}: {found:?}"
                );
            }
            let (consumer, provider) = match side {
                Side::Consumer => (&log, other),
                Side::Provider => (other, &log),
            };
            let acknowledged = [&self.acknowledged[..], &wreck.acknowledged].concat();
            check_pair(consumer, provider, wreck.asked.1, &acknowledged)?;
            self.keeps(image, site, wreck.published.as_ref())?;
        }
        Ok(())
    }

    /// Whether the ledger is still the one of a checkpoint that was out.
    fn keeps(
        &self,
        disk: &MemDisk,
        site: &Site,
        published: Option<&Checkpoint>,
    ) -> anyhow::Result<()> {
        let Some(published) = published else {
            return Ok(());
        };
        let disk: Arc<dyn Disk> = Arc::new(disk.clone());
        let shards = site.dir.join("data/ledger");
        let shard = disk.list(&shards)?.pop().context("no ledger")?;
        let mut reader = Reader::open(disk, shards.join(shard.name))?;
        let root = reader.root(published.size)?;
        ensure!(
            root == Some(published.root),
            "another root at size {}",
            published.size
        );
        Ok(())
    }

    /// Both servers, `side` on `disk`; the other one on a disk that nothing happens to.
    async fn both(
        &self,
        side: Side,
        disk: &MemDisk,
        probe: Arc<dyn entente_security_server::Probe>,
    ) -> anyhow::Result<(Machine, Machine, MemDisk)> {
        let other_disk = self.disk(side.other()).restart();
        let other = self.site(side.other());
        let other = Machine::start(other, &other_disk, Arc::new(NoProbe)).await?;
        let machine = Machine::start(self.site(side), disk, probe).await?;
        Ok((machine, other, other_disk))
    }

    fn wreck(
        &self,
        side: Side,
        disk: MemDisk,
        other_disk: &MemDisk,
        got: Got,
        asked: usize,
        acknowledged: Vec<Acknowledged>,
    ) -> anyhow::Result<Wreck> {
        Ok(Wreck {
            side,
            other: self.log(side.other(), other_disk)?,
            published: newest_checkpoint(&disk)?,
            disk,
            got,
            // The stage was set with one call.
            asked: (asked, asked + 1),
            acknowledged,
        })
    }

    fn call(
        &self,
    ) -> tokio::task::JoinHandle<Result<tonic::Response<bytes::Bytes>, tonic::Status>> {
        let system = Consumer::of(&self.world.consumer);
        tokio::spawn(async move { system.look_up().await })
    }

    fn has(&self, side: Side, disk: &MemDisk, lines: &[&str]) -> anyhow::Result<()> {
        let found = self.log(side, disk)?.lines(self.held(side));
        ensure!(found == lines, "the {side}'s ledger has {found:?}");
        Ok(())
    }

    fn log(&self, side: Side, disk: &MemDisk) -> anyhow::Result<Log> {
        let disk: Arc<dyn Disk> = Arc::new(disk.clone());
        Log::read(&disk, &self.site(side).dir.join("data"))
    }

    const fn site(&self, side: Side) -> &Site {
        match side {
            Side::Consumer => &self.world.consumer,
            Side::Provider => &self.world.provider,
        }
    }

    const fn disk(&self, side: Side) -> &MemDisk {
        match side {
            Side::Consumer => &self.disks.0,
            Side::Provider => &self.disks.1,
        }
    }

    const fn held(&self, side: Side) -> usize {
        match side {
            Side::Consumer => self.held.0,
            Side::Provider => self.held.1,
        }
    }
}

/// The newest checkpoint that the disk showed, durable or not: somebody may have read it.
fn newest_checkpoint(disk: &MemDisk) -> anyhow::Result<Option<Checkpoint>> {
    let notes = disk
        .files()
        .into_iter()
        .filter(|(path, _)| path.ends_with("checkpoint"));
    let notes = notes.map(|(_, bytes)| Ok(SignedNote::parse(&bytes)?.text().parse()?));
    notes
        .collect::<anyhow::Result<Vec<_>>>()
        .map(|mut notes| notes.pop())
}

/// Picks the arbitrary images.
const SEED: u64 = 20_261_122;
