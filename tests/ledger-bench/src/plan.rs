//! The order of measurements: one ledger that grows, a process for each.

use std::fs;
use std::io::{BufRead as _, BufReader, Lines};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

use anyhow::{Context as _, bail, ensure};

use crate::measured::Measured;
use crate::task::FILLED;
use crate::usage::{Machine, Ticks, now};

/// What to measure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// How often each is measured; at least 1.
    pub rounds: u64,
    /// Proofs of each kind, at each size.
    pub proofs: u64,
    /// Appends waiting at any time, each measured in turn; at least one.
    pub in_flight: Vec<u64>,
    /// The ledger's sizes, ascending. Rates are measured on the way to the last.
    pub sizes: Vec<u64>,
    /// How long a segment of the write-ahead log is.
    pub segment_bytes: u64,
}

/// A plan being followed.
struct Site<'a> {
    plan: &'a Plan,
    folder: &'a Path,
    program: PathBuf,
    told: &'a mut dyn FnMut(&str),
}

/// Follows a plan in `folder`, which must be missing or empty; tells each value as a line.
///
/// # Errors
/// When something could not be measured.
pub fn run(plan: &Plan, folder: &Path, told: &mut dyn FnMut(&str)) -> anyhow::Result<()> {
    ensure!(plan.rounds > 0, "nothing to measure");
    ensure!(!plan.in_flight.is_empty(), "nothing to wait for");
    ensure!(!plan.in_flight.contains(&0), "nothing would ever end");
    ensure!(plan.sizes.is_sorted(), "the sizes do not ascend");
    fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
    let before = (Machine::read()?, Ticks::read()?);
    let mut site = Site {
        plan,
        folder,
        program: std::env::current_exe().context("looking for this program")?,
        told,
    };
    let (last, smaller) = plan.sizes.split_last().context("no size")?;
    let mut size = 0;
    for smaller in smaller {
        site.grow(*smaller)?;
        size = site.measure(*smaller)?;
    }
    let parts = plan.rounds * plan.in_flight.len() as u64;
    let turns = plan.in_flight.iter().cycle();
    for (part, in_flight) in (1..=parts).zip(turns) {
        site.rate(size + (last - size) * part / parts, *in_flight)?;
    }
    site.measure(*last)?;

    let (machine, ticks) = (Machine::read()?, Ticks::read()?);
    let total = (machine.total - before.0.total).max(1) as f64;
    let busy = (machine.busy - before.0.busy) as f64;
    let ours = (ticks.with_children - before.1.with_children) as f64;
    let share = ((busy - ours) / total).max(0.0);
    site.tell(&Measured::new("machine", "not_ours", "share", share));
    Ok(())
}

// === impl Site ===

impl Site<'_> {
    /// Grows the ledger; how fast says nothing when it is this short.
    fn grow(&self, size: u64) -> anyhow::Result<()> {
        self.child("grow", &[&size.to_string(), "64"])?;
        Ok(())
    }

    fn rate(&mut self, size: u64, in_flight: u64) -> anyhow::Result<()> {
        let creating = self.create_files(size)?;
        self.tell(&Measured::new("machine", "create_us", "us", creating));
        for measured in self.child("grow", &[&size.to_string(), &in_flight.to_string()])? {
            self.tell(&measured);
        }
        Ok(())
    }

    /// How long making a small file takes now, in microseconds. A ledger makes two for 256 entries, and the
    /// bare file none: some file systems are slow at it for minutes after many files were removed. So
    /// these are left where they are.
    fn create_files(&self, part: u64) -> anyhow::Result<f64> {
        let folder = self.folder.join(format!("created-{part}"));
        fs::create_dir_all(&folder).with_context(|| format!("making {}", folder.display()))?;
        let began = now();
        for number in 0..CREATED {
            let path = folder.join(number.to_string());
            fs::write(&path, b"x").with_context(|| format!("making {}", path.display()))?;
        }
        Ok(began.elapsed().as_secs_f64() * 1e6 / f64::from(CREATED))
    }

    /// Everything that depends on the size alone. Answers how many entries there are afterwards.
    fn measure(&mut self, size: u64) -> anyhow::Result<u64> {
        let proofs = self.plan.proofs.to_string();
        self.tell_all(size, "space", &[])?;
        self.tell_all(size, "prove", &[&proofs])?;
        for _ in 0..self.plan.rounds {
            self.tell_all(size, "fsck", &[])?;
            self.tell_all(size, "open", &[])?;
        }
        let mut now = size;
        for _ in 0..self.plan.rounds {
            self.kill_full()?;
            now += self.tell_all(size, "open", &[])?;
        }
        Ok(now)
    }

    /// Tells what a child measures; answers how many entries it replayed.
    fn tell_all(&mut self, size: u64, task: &str, words: &[&str]) -> anyhow::Result<u64> {
        let mut replayed = 0;
        for measured in self.child(task, words)? {
            if measured.metric == "replayed" {
                replayed = measured.value as u64;
            }
            self.tell(&measured.with("entries", size));
        }
        Ok(replayed)
    }

    fn tell(&mut self, measured: &Measured) {
        (self.told)(&measured.line());
    }

    /// Runs a child to its end.
    fn child(&self, task: &str, words: &[&str]) -> anyhow::Result<Vec<Measured>> {
        let (mut child, lines) = self.start(task, words)?;
        let mut measured = Vec::new();
        for line in lines {
            let line = line.context("reading what a child says")?;
            let value = Measured::parse(&line);
            measured.push(value.with_context(|| format!("{task} says: {line}"))?);
        }
        let status = child.wait()?;
        ensure!(status.success(), "{task} ended with {status}");
        Ok(measured)
    }

    /// Has a child fill a segment and kills it.
    fn kill_full(&self) -> anyhow::Result<()> {
        let (mut child, mut lines) = self.start("fill", &[])?;
        let said = lines.next().transpose()?;
        let killed = child.kill();
        child.wait()?;
        killed.context("killing a child")?;
        if said.as_deref() != Some(FILLED) {
            bail!("no segment was filled");
        }
        Ok(())
    }

    fn start(
        &self,
        task: &str,
        words: &[&str],
    ) -> anyhow::Result<(Child, Lines<BufReader<ChildStdout>>)> {
        let mut child = Command::new(&self.program)
            .arg(task)
            .arg(self.folder)
            .arg(self.plan.segment_bytes.to_string())
            .args(words)
            // Held open for a child that waits: it ends with us.
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("starting {task}"))?;
        let out = child.stdout.take().context("a child without stdout")?;
        Ok((child, BufReader::new(out).lines()))
    }
}

/// Files made to see how long that takes.
const CREATED: u32 = 64;
