//! What a process and the machine used, read from `/proc`.

use std::fs;

use anyhow::{Context as _, bail};

/// Ticks per second in `/proc`: fixed at 100 for programs on Linux, whatever the kernel's own.
pub const USER_HZ: u64 = 100;

/// What one server used so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Server {
    /// Processor time in user and system mode, all threads, in ticks of [`USER_HZ`].
    pub ticks: u64,
    /// Resident memory now, in KiB.
    pub rss_kib: u64,
    /// The most it ever was, in KiB.
    pub peak_kib: u64,
}

/// What all processors did so far, in ticks of [`USER_HZ`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Machine {
    /// Not idle and not waiting for a disk.
    pub busy: u64,
    /// Taken away by the host. Part of `busy`: somebody used it, and it was not us.
    pub stolen: u64,
    /// Everything, idle time included.
    pub total: u64,
}

// === impl Server ===

impl Server {
    /// Reads process `pid`.
    ///
    /// # Errors
    /// When it is gone.
    pub fn read(pid: u32) -> anyhow::Result<Self> {
        let read = |file: &str| {
            let path = format!("/proc/{pid}/{file}");
            fs::read_to_string(&path).with_context(|| format!("reading {path}"))
        };
        Self::parse(&read("stat")?, &read("status")?)
            .with_context(|| format!("understanding what /proc says of {pid}"))
    }

    fn parse(stat: &str, status: &str) -> anyhow::Result<Self> {
        // The command's name, in parentheses, may hold anything, parentheses included.
        let Some((_, rest)) = stat.rsplit_once(") ") else {
            bail!("no command in stat");
        };
        // `rest` begins with field 3; utime and stime are fields 14 and 15.
        let mut times = rest.split(' ').skip(11).map(str::parse::<u64>);
        let (Some(Ok(user)), Some(Ok(system))) = (times.next(), times.next()) else {
            bail!("no times in stat");
        };
        let kib = |key: &str| {
            status
                .lines()
                .find_map(|line| line.strip_prefix(key))
                .and_then(|value| value.trim().strip_suffix(" kB"))
                .and_then(|value| value.parse().ok())
                .with_context(|| format!("no {key} in status"))
        };
        Ok(Self {
            ticks: user + system,
            rss_kib: kib("VmRSS:")?,
            peak_kib: kib("VmHWM:")?,
        })
    }
}

// === impl Machine ===

impl Machine {
    /// Reads the machine's counters.
    ///
    /// # Errors
    /// When there is no `/proc`.
    pub fn read() -> anyhow::Result<Self> {
        let text = fs::read_to_string("/proc/stat").context("reading /proc/stat")?;
        Self::parse(&text)
    }

    fn parse(text: &str) -> anyhow::Result<Self> {
        let numbers: Vec<u64> = text
            .lines()
            .next()
            .and_then(|line| line.strip_prefix("cpu "))
            .context("no cpu line in /proc/stat")?
            .split_whitespace()
            .map_while(|number| number.parse().ok())
            .collect();
        // user nice system idle iowait irq softirq steal; guest times are in user already.
        let [user, nice, system, idle, waiting, irq, soft, stolen, ..] = numbers[..] else {
            bail!("too few numbers in /proc/stat");
        };
        let busy = user + nice + system + irq + soft + stolen;
        Ok(Self {
            busy,
            stolen,
            total: busy + idle + waiting,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_read_whatever_its_name() {
        let stat = "12 (a) b) (c) S 1 2 3 4 5 6 7 8 9 10 250 50 0 0 20 0 3 0 100";
        let status = "Name:\ta\nVmHWM:\t   2048 kB\nVmRSS:\t   1024 kB\n";
        let server = Server::parse(stat, status).unwrap();
        assert_eq!(
            (server.ticks, server.rss_kib, server.peak_kib),
            (300, 1024, 2048)
        );
        assert!(Server::parse("12 (a", status).is_err());
        assert!(Server::parse(stat, "Name:\ta\n").is_err());
    }

    #[test]
    fn this_process_has_used_memory() {
        let own = Server::read(std::process::id()).unwrap();
        assert!(own.rss_kib > 0 && own.peak_kib >= own.rss_kib);
    }

    #[test]
    fn time_taken_by_the_host_is_busy() {
        let machine = Machine::parse("cpu  10 1 5 100 4 1 2 7 0 0\ncpu0 1\n").unwrap();
        assert_eq!((machine.busy, machine.stolen, machine.total), (26, 7, 130));
        assert!(Machine::parse("cpu  1 2\n").is_err());
    }
}
