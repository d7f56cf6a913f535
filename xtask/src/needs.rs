//! What the tests need from the machine besides Rust, and how to get it.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::bail;

use crate::stages::{shown, succeeds};

/// Something that tests use, and where it comes from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Need {
    /// What it is for, in words.
    name: &'static str,
    /// The programs that must be on PATH.
    programs: &'static [&'static str],
    /// What shows that it is there, besides the programs.
    sign: Sign,
    /// The Debian package that brings it.
    package: &'static str,
}

/// What shows that something is installed.
#[derive(Clone, Copy, Debug)]
enum Sign {
    /// Its programs alone.
    Programs,
    /// This file below [`GO_CODE`].
    File(&'static str),
    /// Its first program, run with these words, ends with 0.
    Runs(&'static [&'static str]),
}

/// What the tests start: sources for the adapters. A C compiler builds the cryptography.
pub(crate) const TESTS: &[Need] = &[
    Need {
        name: "a C compiler",
        programs: &["cc"],
        sign: Sign::Programs,
        package: "gcc",
    },
    Need {
        name: "OpenSSL's program, the time-stamping authority of the tests",
        programs: &["openssl"],
        sign: Sign::Programs,
        package: "openssl",
    },
    Need {
        name: "PostgreSQL, a source for the SQL adapter",
        programs: &["initdb", "postgres"],
        sign: Sign::Programs,
        package: "postgresql",
    },
    Need {
        name: "setpriv, to run PostgreSQL as an unprivileged user",
        programs: &["setpriv"],
        sign: Sign::Programs,
        package: "util-linux",
    },
    Need {
        name: "Go, for verifiers that are not ours",
        programs: &["go"],
        sign: Sign::Programs,
        package: "golang-go",
    },
    Need {
        name: "the code of Go's checksum database, which verifies ledgers",
        programs: &[],
        sign: Sign::File("src/golang.org/x/mod/sumdb/tlog/tlog.go"),
        package: "golang-golang-x-mod-dev",
    },
    Need {
        name: "Python, for verifiers that are not ours",
        programs: &["python3"],
        sign: Sign::Programs,
        package: "python3",
    },
    Need {
        name: "Python's virtual environments",
        programs: &["python3"],
        sign: Sign::Runs(&["-c", "import venv, ensurepip"]),
        package: "python3-venv",
    },
    Need {
        name: "SoftHSM2, a PKCS#11 token in files",
        programs: &["softhsm2-util"],
        sign: Sign::Programs,
        package: "softhsm2",
    },
    Need {
        name: "OpenSC, which makes keys in that token",
        programs: &["pkcs11-tool"],
        sign: Sign::Programs,
        package: "opensc",
    },
    Need {
        name: "systemd's programs that read units and accounts, of version 250 or later",
        programs: &["systemd-analyze", "systemd-sysusers"],
        sign: Sign::Runs(&["--offline=true", "--help"]),
        package: "systemd",
    },
    NGINX,
];

/// The web server of mirrors, and the proxy that the exchange is compared with.
const NGINX: Need = Need {
    name: "nginx, which mirrors a registry's ledger",
    programs: &["nginx"],
    sign: Sign::Programs,
    package: "nginx",
};

/// Where Debian keeps Go code: a `GOPATH`.
pub(crate) const GO_CODE: &str = "/usr/share/gocode";

/// What the benchmarks compare with.
pub(crate) const BENCH: &[Need] = &[NGINX];

// === impl Need ===

impl Need {
    fn is_met(&self, folders: &[PathBuf]) -> bool {
        let find = |program: &&str| {
            let mut places = folders.iter().map(|folder| folder.join(program));
            places.find(|place| place.is_file())
        };
        let Some(programs) = self
            .programs
            .iter()
            .map(find)
            .collect::<Option<Vec<PathBuf>>>()
        else {
            return false;
        };
        match self.sign {
            Sign::Programs => true,
            Sign::File(file) => Path::new(GO_CODE).join(file).is_file(),
            Sign::Runs(words) => programs
                .first()
                .is_some_and(|program| succeeds(Command::new(program).args(words))),
        }
    }
}

/// Installs what is missing where that is possible, else says exactly what to install and fails.
pub(crate) fn provide(needs: &[Need]) -> anyhow::Result<()> {
    let missing = missing(needs, &folders());
    if missing.is_empty() {
        return Ok(());
    }
    let packages: Vec<&str> = missing.iter().map(|need| need.package).collect();
    for need in &missing {
        println!("   missing: {}", need.name);
    }
    if !is_root() || !succeeds(Command::new("apt-get").arg("--version")) {
        bail!("{}", instructions(&missing));
    }
    println!("   installing from Debian: {}", packages.join(" "));
    shown(Command::new("apt-get").args(["update", "-qq"]))?;
    shown(
        Command::new("apt-get")
            .args(["install", "-y", "-qq", "--no-install-recommends"])
            .args(&packages)
            .env("DEBIAN_FRONTEND", "noninteractive"),
    )?;
    let still = self::missing(needs, &folders());
    if still.is_empty() {
        Ok(())
    } else {
        bail!("{}", instructions(&still));
    }
}

/// Whether nothing of `needs` is missing.
pub(crate) fn present(needs: &[Need]) -> bool {
    missing(needs, &folders()).is_empty()
}

/// `PATH` with the folders added where Debian keeps what it does not put there.
pub(crate) fn path() -> OsString {
    // The entries come from PATH and from folder names without `:`, so they can be joined.
    std::env::join_paths(folders()).unwrap_or_default()
}

fn instructions(missing: &[Need]) -> String {
    let names: Vec<&str> = missing.iter().map(|need| need.name).collect();
    let packages: Vec<&str> = missing.iter().map(|need| need.package).collect();
    format!(
        "needed: {}. On Debian or Ubuntu: sudo apt-get install {}. Elsewhere, put these on PATH: {}",
        names.join("; "),
        packages.join(" "),
        missing
            .iter()
            .flat_map(|need| need.programs)
            .copied()
            .collect::<Vec<_>>()
            .join(" "),
    )
}

fn missing(needs: &[Need], folders: &[PathBuf]) -> Vec<Need> {
    needs
        .iter()
        .copied()
        .filter(|need| !need.is_met(folders))
        .collect()
}

fn folders() -> Vec<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    folders.push(PathBuf::from("/usr/sbin"));
    // Debian: one folder per major version, off PATH; the newest first.
    let mut versions: Vec<PathBuf> = std::fs::read_dir(Path::new("/usr/lib/postgresql"))
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path().join("bin"))
        .collect();
    versions.sort();
    folders.extend(versions.into_iter().rev());
    folders
}

fn is_root() -> bool {
    Command::new("id")
        .arg("-u")
        .output()
        .is_ok_and(|output| output.stdout.trim_ascii() == b"0")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_named_with_its_package() {
        let missing = missing(TESTS, &[PathBuf::from("/nonexistent")]);
        // What is known by a file is there or not, whatever PATH says.
        let named = TESTS.iter().filter(|need| !need.programs.is_empty());
        assert!(missing.len() >= named.count());
        let text = instructions(TESTS);
        for need in TESTS {
            assert!(text.contains(need.package) && text.contains(need.name));
        }
    }

    #[test]
    fn the_path_keeps_what_it_had() {
        let before = std::env::var_os("PATH").unwrap_or_default();
        let now: Vec<PathBuf> = std::env::split_paths(&path()).collect();
        assert!(std::env::split_paths(&before).all(|folder| now.contains(&folder)));
    }
}
