//! What this process and the machine used, read from `/proc`, and how long things take.

use std::fs;
use std::time::Instant;

use anyhow::Context as _;

/// Processor time, in ticks of 10 ms: fixed for programs on Linux, whatever the kernel's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ticks {
    /// Of this process.
    pub(crate) own: u64,
    /// Of this process and the children it has waited for.
    pub(crate) with_children: u64,
}

/// What all processors did so far, in ticks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Machine {
    /// Not idle and not waiting for a disk. What the host took away is part of it.
    pub(crate) busy: u64,
    /// Everything.
    pub(crate) total: u64,
}

// === impl Ticks ===

impl Ticks {
    pub(crate) fn read() -> anyhow::Result<Self> {
        let stat = fs::read_to_string("/proc/self/stat").context("reading /proc/self/stat")?;
        Self::parse(&stat).context("understanding /proc/self/stat")
    }

    fn parse(stat: &str) -> Option<Self> {
        // The name, in parentheses, may hold anything; then come field 3 and, from 14 on, the times.
        let (_, rest) = stat.rsplit_once(") ")?;
        let times = rest.split(' ').skip(11).map_while(|time| time.parse().ok());
        let [user, system, waited_user, waited_system] = times.take(4).collect::<Vec<u64>>()[..]
        else {
            return None;
        };
        let own = user + system;
        Some(Self {
            own,
            with_children: own + waited_user + waited_system,
        })
    }

    /// Microseconds of this process's own since `before`.
    pub(crate) const fn micros_since(self, before: Self) -> u64 {
        (self.own - before.own) * 10_000
    }
}

// === impl Machine ===

impl Machine {
    pub(crate) fn read() -> anyhow::Result<Self> {
        let stat = fs::read_to_string("/proc/stat").context("reading /proc/stat")?;
        Self::parse(&stat).context("understanding /proc/stat")
    }

    fn parse(stat: &str) -> Option<Self> {
        let words = stat.lines().next()?.strip_prefix("cpu ")?;
        let numbers: Vec<u64> = words.split_whitespace().flat_map(str::parse).collect();
        // Guest times, further on, are in user already.
        let [user, nice, system, idle, waiting, irq, soft, stolen, ..] = numbers[..] else {
            return None;
        };
        let busy = user + nice + system + irq + soft + stolen;
        Some(Self {
            busy,
            total: busy + idle + waiting,
        })
    }
}

/// Processor time this process used so far, in seconds.
///
/// # Errors
/// When `/proc` does not say.
pub fn processor_s() -> anyhow::Result<f64> {
    Ok(Ticks::read()?.own as f64 / 100.0)
}

/// The most memory this process ever held, in MiB.
///
/// # Errors
/// When `/proc` does not say.
pub fn peak_mib() -> anyhow::Result<f64> {
    memory_mib("VmHWM:")
}

/// The memory this process holds now, in MiB.
///
/// # Errors
/// When `/proc` does not say.
pub fn held_mib() -> anyhow::Result<f64> {
    memory_mib("VmRSS:")
}

fn memory_mib(name: &str) -> anyhow::Result<f64> {
    let status = fs::read_to_string("/proc/self/status").context("reading /proc/self/status")?;
    let value = status.lines().find_map(|line| line.strip_prefix(name));
    let value = value.and_then(|value| value.trim().strip_suffix(" kB"));
    let kib: f64 = value.context("no such line in status")?.parse()?;
    Ok(kib / 1024.0)
}

/// The moment, to measure from.
#[allow(clippy::disallowed_methods, reason = "measures how long things take")]
pub fn now() -> Instant {
    Instant::now()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processor_time_is_read_whatever_the_name() {
        let stat = "12 (a) b) (c) S 1 2 3 4 5 6 7 8 9 10 250 50 7 3 20 0 3 0 100";
        let ticks = Ticks::parse(stat).unwrap();
        assert_eq!((ticks.own, ticks.with_children), (300, 310));
        assert!(Ticks::parse("12 (a").is_none());
        assert!(Ticks::read().is_ok() && peak_mib().unwrap() > 0.0);
    }

    #[test]
    fn time_taken_by_the_host_is_busy() {
        let machine = Machine::parse("cpu  10 1 5 100 4 1 2 7 0 0\ncpu0 1\n").unwrap();
        assert_eq!((machine.busy, machine.total), (26, 130));
        assert!(Machine::parse("cpu  1 2\n").is_none());
    }
}
