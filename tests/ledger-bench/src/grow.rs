//! Appending as a server does: many tasks, each waiting for its own entry, through the handle.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use entente_ledger::disk::RealDisk;
use entente_ledger::{Append, Ledger, Runner};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

use crate::bare::{Bare, Waiting};
use crate::counting::Counting;
use crate::measured::Measured;
use crate::subject::{Source, Subject};
use crate::usage::{Ticks, now, peak_mib};

/// Time and processor time of one side of the comparison.
#[derive(Clone, Copy, Debug, Default)]
struct Spent {
    time: Duration,
    cpu_us: u64,
}

/// Grows the ledger to `size` with `in_flight` appends waiting at any time. In turn, slice by slice, a bare
/// file gets as many bytes, so that both meet the same disk: in the very commits of the ledger; in commits of
/// `in_flight` entries, which nobody waits for; then from as many tasks, each waiting for its own.
pub(crate) async fn grow(
    subject: &Subject,
    size: u64,
    in_flight: u64,
) -> anyhow::Result<Vec<Measured>> {
    let disk = Counting::default();
    let noted = disk.commits();
    let ledger = Ledger::open(subject.config(Arc::new(disk))?, Runner::Thread).await?;
    let first = ledger.size();
    ensure!(first < size, "the ledger has {first} entries already");
    let source = Arc::new(Source::new());
    let mut bare = Bare::start(subject.bare(), subject.segment_bytes())?;
    let [mut appended, mut settled, mut same, mut file, mut waited] = [Spent::default(); 5];
    let (mut commits, mut at) = (0, first);
    while at < size {
        let end = size.min(at + SLICE);
        noted.take();
        let before = (now(), Ticks::read()?);
        append(&ledger, &source, at..end, in_flight).await?;
        appended.add(before)?;
        // Everything to tiles, so that the ledger rests while the file is written.
        ledger.publish_now().await?;
        settled.add(before)?;

        let slice = noted.take();
        let before = (now(), Ticks::read()?);
        bare.write(&slice, &source).context("writing a bare file")?;
        same.add(before)?;

        let groups = (end - at).div_ceil(in_flight) as usize;
        let group = slice.iter().sum::<usize>() / groups;
        let before = (now(), Ticks::read()?);
        let written = bare.write(&vec![group; groups], &source);
        written.context("writing a bare file")?;
        file.add(before)?;

        let before = (now(), Ticks::read()?);
        bare = wait(bare, &source, at..end, in_flight).await?;
        waited.add(before)?;
        commits += slice.len();
        at = end;
    }
    let peak = peak_mib()?;
    ledger.shutdown().await?;
    bare.end()?;

    let entries = (size - first) as f64;
    let rate = |spent: Spent| entries / spent.time.as_secs_f64();
    let cpu = |spent: Spent| spent.cpu_us as f64 / entries;
    let ratio = |peer| rate(appended) / rate(peer);
    let measured = [
        ("same", "entries_per_s", "1/s", rate(same)),
        ("same", "cpu_us_per_entry", "us", cpu(same)),
        ("file", "entries_per_s", "1/s", rate(file)),
        ("file", "cpu_us_per_entry", "us", cpu(file)),
        ("waited", "entries_per_s", "1/s", rate(waited)),
        ("waited", "cpu_us_per_entry", "us", cpu(waited)),
        ("append", "entries_per_s", "1/s", rate(appended)),
        ("append", "settled_per_s", "1/s", rate(settled)),
        ("append", "cpu_us_per_entry", "us", cpu(settled)),
        (
            "append",
            "entries_per_commit",
            "1",
            entries / commits as f64,
        ),
        ("append", "rss_mib", "MiB", peak),
        ("append/same", "entries_per_s", "ratio", ratio(same)),
        ("append/file", "entries_per_s", "ratio", ratio(file)),
        ("append/waited", "entries_per_s", "ratio", ratio(waited)),
    ];
    Ok(measured
        .map(|(case, metric, unit, value)| {
            Measured::new(case, metric, unit, value).with("in_flight", in_flight)
        })
        .into())
}

/// Fills a segment of the write-ahead log, nearly, and integrates nothing of it. The ledger is left
/// open, for the process to be killed.
pub(crate) async fn fill(subject: &Subject) -> anyhow::Result<Ledger> {
    let disk = Counting::default();
    let commits = disk.commits();
    let ledger = Ledger::open(subject.idle_config(Arc::new(disk))?, Runner::Thread).await?;
    let source = Source::new();
    let mut number = ledger.size();
    let mut written = 0;
    // As much again as the last commit must fit, or a new segment would be begun.
    let mut last = 0;
    commits.take();
    while written + 2 * last < subject.segment_bytes() as usize {
        let appends: Vec<Append> = (number..number + STEP).map(|n| source.append(n)).collect();
        ledger.append_all(appends).await?;
        number += STEP;
        last = commits.take().iter().sum();
        written += last;
    }
    Ok(ledger)
}

/// Opens the ledger as a server does, and closes it.
pub(crate) async fn open(subject: &Subject) -> anyhow::Result<Vec<Measured>> {
    let config = subject.config(Arc::new(RealDisk))?;
    let start = now();
    let ledger = Ledger::open(config, Runner::Thread).await?;
    let took = start.elapsed();
    let peak = peak_mib()?;
    let (size, replayed) = (ledger.size(), ledger.recovery().replayed);
    ledger.shutdown().await?;
    let case = if replayed > 0 { "open_killed" } else { "open" };
    let measured = [
        Measured::new(case, "s", "s", took.as_secs_f64()),
        Measured::new(case, "rss_mib", "MiB", peak),
        Measured::new(case, "replayed", "1", replayed as f64),
    ];
    ensure!(size > 0, "an empty ledger was opened");
    Ok(measured.into())
}

// === impl Spent ===

impl Spent {
    /// Adds what was spent since `before`.
    fn add(&mut self, before: (Instant, Ticks)) -> anyhow::Result<()> {
        self.time += before.0.elapsed();
        self.cpu_us += Ticks::read()?.micros_since(before.1);
        Ok(())
    }
}

async fn append(
    ledger: &Ledger,
    source: &Arc<Source>,
    range: std::ops::Range<u64>,
    in_flight: u64,
) -> anyhow::Result<()> {
    let next = Arc::new(AtomicU64::new(range.start));
    let mut tasks = JoinSet::new();
    for _ in 0..in_flight {
        let (ledger, source, next) = (ledger.clone(), Arc::clone(source), Arc::clone(&next));
        tasks.spawn(async move {
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= range.end {
                    return Ok(());
                }
                ledger.append(source.append(number)).await?;
            }
        });
    }
    while let Some(ended) = tasks.join_next().await {
        let ended: Result<(), entente_ledger::AppendError> = ended.context("a task panicked")?;
        ended.context("appending")?;
    }
    ensure!(ledger.size() == range.end, "not as many entries as appends");
    Ok(())
}

/// The same tasks with a bare file: each waits until a thread has synced its entry.
async fn wait(
    bare: Bare,
    source: &Arc<Source>,
    range: std::ops::Range<u64>,
    in_flight: u64,
) -> anyhow::Result<Bare> {
    let (send, waiting) = mpsc::unbounded_channel();
    let (done, mut answers) = mpsc::unbounded_channel::<Vec<Waiting>>();
    let thread = thread::spawn(move || bare.answer(waiting, &done));
    let next = Arc::new(AtomicU64::new(range.start));
    let mut tasks = JoinSet::new();
    for _ in 0..in_flight {
        let (send, source, next) = (send.clone(), Arc::clone(source), Arc::clone(&next));
        tasks.spawn(async move {
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= range.end {
                    return Ok(());
                }
                let (reply, answer) = oneshot::channel();
                send.send((source.append(number), reply))
                    .map_err(|_| anyhow::anyhow!("the file takes no more"))?;
                answer.await.context("the file could not be written")?;
            }
        });
    }
    drop(send);
    // Ends when the thread does: when no task is left to send.
    while let Some(group) = answers.recv().await {
        for (_, reply) in group {
            let _ = reply.send(());
        }
    }
    while let Some(ended) = tasks.join_next().await {
        let ended: anyhow::Result<()> = ended.context("a task panicked")?;
        ended?;
    }
    let written = thread.join();
    let written = written.map_err(|_| anyhow::anyhow!("the writing thread panicked"))?;
    written.context("writing a bare file")
}

/// Entries that are appended before the bare file has its turn: 20 MB with their attachments.
const SLICE: u64 = 20_000;
/// Entries of a commit when a segment is filled.
const STEP: u64 = 16;
