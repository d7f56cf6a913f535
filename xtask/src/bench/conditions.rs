//! Where and how figures were measured: a figure without this means nothing.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

/// The machine.
#[derive(Clone, Debug)]
pub(crate) struct Conditions {
    cores: usize,
    processor: String,
    kernel: String,
    /// The file system that holds the ledgers.
    disk: String,
    nginx: Option<String>,
    optimised: bool,
}

// === impl Conditions ===

impl Conditions {
    /// Reads the machine; `data` is where the servers keep their ledgers.
    pub(crate) fn read(data: &Path, optimised: bool) -> Self {
        let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let mounts = fs::read_to_string("/proc/mounts").unwrap_or_default();
        let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        Self {
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            processor: processor(&cpuinfo),
            kernel: kernel.trim().to_owned(),
            disk: file_system(&mounts, data),
            nginx: nginx(),
            optimised,
        }
    }

    /// As an object, for every figure.
    pub(crate) fn json(&self) -> Value {
        json!({
            "cores": self.cores,
            "processor": self.processor,
            "kernel": self.kernel,
            "disk": self.disk,
            "nginx": self.nginx,
            "optimised": self.optimised,
            "network": "loopback",
        })
    }

    /// The same where neither a network nor nginx is used.
    pub(crate) fn disk_json(&self) -> Value {
        json!({
            "cores": self.cores,
            "processor": self.processor,
            "kernel": self.kernel,
            "disk": self.disk,
            "optimised": self.optimised,
        })
    }

    /// As lines above a table, where neither a network nor nginx is used.
    pub(crate) fn disk_text(&self) -> String {
        format!(
            "{} cores, {}, Linux {}, ledgers on {}{}",
            self.cores,
            self.processor,
            self.kernel,
            self.disk,
            self.unoptimised(),
        )
    }

    /// As lines above a table.
    pub(crate) fn text(&self) -> String {
        format!(
            "{} cores, {}, Linux {}, ledgers on {}, loopback{}{}",
            self.cores,
            self.processor,
            self.kernel,
            self.disk,
            self.nginx
                .as_ref()
                .map_or_else(String::new, |version| format!(", {version}")),
            self.unoptimised(),
        )
    }

    const fn unoptimised(&self) -> &'static str {
        if self.optimised {
            ""
        } else {
            "\nUNOPTIMISED: these figures say nothing about the product"
        }
    }
}

fn processor(cpuinfo: &str) -> String {
    cpuinfo
        .lines()
        .find_map(|line| line.strip_prefix("model name"))
        .map_or("unknown processor", |rest| {
            rest.trim_start_matches([' ', '\t', ':'])
        })
        .to_owned()
}

/// The type of the deepest mount that holds `path`.
fn file_system(mounts: &str, path: &Path) -> String {
    mounts
        .lines()
        .filter_map(|line| {
            let mut words = line.split(' ');
            let (_, at, kind) = (words.next()?, words.next()?, words.next()?);
            path.starts_with(at).then_some((at.len(), kind))
        })
        // Of two mounts at one place the later one hides the other, and `max_by_key` returns it.
        .max_by_key(|(depth, _)| *depth)
        .map_or_else(|| "unknown".to_owned(), |(_, kind)| kind.to_owned())
}

fn nginx() -> Option<String> {
    let output = Command::new("nginx")
        .arg("-v")
        .env("PATH", crate::needs::path())
        .output()
        .ok()?;
    let text = String::from_utf8_lossy(&output.stderr);
    let version = text.trim().rsplit_once('/')?.1;
    Some(format!("nginx {version}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_deepest_mount_counts() {
        let mounts = "/dev/a / ext4 rw 0 0\ntmpfs /tmp tmpfs rw 0 0\n/dev/b /tmp/x xfs rw 0 0\n";
        assert_eq!(file_system(mounts, Path::new("/srv/u")), "ext4");
        assert_eq!(file_system(mounts, Path::new("/tmp/y")), "tmpfs");
        assert_eq!(file_system(mounts, Path::new("/tmp/x/y")), "xfs");
        assert_eq!(file_system("", Path::new("/")), "unknown");
    }

    #[test]
    fn the_processor_is_named() {
        let name = processor("processor\t: 0\nmodel name\t: A B\nmodel name\t: A B\n");
        assert_eq!(name, "A B");
    }
}
