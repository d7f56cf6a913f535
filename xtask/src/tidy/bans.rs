//! Crates that may be named in one place only, and crates that may not be built at all.

use anyhow::{Context as _, bail};

use super::Findings;
use crate::workspace::{self, Package};

/// A crate that only some may name.
struct Ban {
    name: &'static str,
    /// Crates of ours whose manifest may name it.
    ours: &'static [&'static str],
    /// Other people's crates that may bring it.
    wrappers: &'static [&'static str],
    why: &'static str,
}

const BANS: &[Ban] = &[
    Ban {
        name: "sled",
        ours: &["entente-store"],
        wrappers: &[],
        why: "the store is an index; see docs/decisions/001-what-sled-is-for.md",
    },
    Ban {
        name: "ed25519-dalek",
        ours: &["entente-signing"],
        // The independent verifier that the tests hold our ledger against.
        wrappers: &["signed_note"],
        why: "only the strict verification of entente-signing is used",
    },
    Ban {
        name: "rustls",
        ours: &["entente-tls"],
        wrappers: &["tokio-rustls"],
        why: "one place decides versions, groups and trust",
    },
    Ban {
        name: "tokio-rustls",
        ours: &["entente-tls"],
        wrappers: &["tonic"],
        why: "one place decides versions, groups and trust",
    },
    Ban {
        name: "hpke",
        ours: &["entente-evidence"],
        wrappers: &[],
        why: "sealing has one implementation",
    },
];

/// Never built, whatever brings it.
const NEVER: &[&str] = &["ring", "openssl", "openssl-sys", "native-tls"];

/// Who directly brings a package into the build, as `cargo tree` sees it.
pub(crate) trait Tree {
    /// The names of the packages that use `name` at `version` directly, on any target.
    fn users(&self, name: &str, version: &str) -> anyhow::Result<Vec<String>>;
}

/// The real tree.
#[derive(Debug)]
pub(crate) struct CargoTree;

/// Refuses manifests of ours that name a crate they may not.
pub(crate) fn check_declared(packages: &[Package]) -> Findings {
    let mut faults = Vec::new();
    for package in packages.iter().filter(|package| package.member) {
        for dep in &package.deps {
            if let Some(ban) = BANS.iter().find(|ban| ban.name == dep.name)
                && !ban.ours.contains(&package.name.as_str())
            {
                faults.push(format!("{} names {}: {}", package.name, ban.name, ban.why));
            }
            if NEVER.contains(&dep.name.as_str()) {
                faults.push(format!("{} names {}", package.name, dep.name));
            }
        }
    }
    Findings::faults(faults)
}

/// Refuses what is really built: the never-built, and banned crates brought by the wrong others.
pub(crate) fn check_built(packages: &[Package], tree: &dyn Tree) -> anyhow::Result<Findings> {
    let mut faults = Vec::new();
    for package in packages {
        let name = package.name.as_str();
        let ban = BANS.iter().find(|ban| ban.name == name);
        let never = NEVER.contains(&name);
        if ban.is_none() && !never {
            continue;
        }
        for user in tree.users(name, &package.version)? {
            let ours = packages.iter().any(|p| p.member && p.name == user);
            if never {
                // Often in Cargo.lock without being built, so only the tree can tell.
                faults.push(format!("{name} is built, because of {user}"));
            } else if let Some(ban) = ban
                && !ours
                && !ban.wrappers.contains(&user.as_str())
            {
                faults.push(format!("{user} brings {name}: {}", ban.why));
            }
        }
    }
    Ok(Findings::faults(faults))
}

// === impl CargoTree ===

impl Tree for CargoTree {
    fn users(&self, name: &str, version: &str) -> anyhow::Result<Vec<String>> {
        let spec = format!("{name}@{version}");
        let output = workspace::cargo()
            .args(["tree", "--workspace", "--locked", "--target", "all"])
            .args(["--edges", "normal,build,dev", "--depth", "1"])
            .args(["--prefix", "none", "--format", "{p}", "--invert", &spec])
            .output()
            .context("starting cargo tree")?;
        if !output.status.success() {
            bail!(
                "cargo tree --invert {spec}: {}",
                String::from_utf8_lossy(&output.stderr).trim()
            );
        }
        Ok(users_of(&String::from_utf8_lossy(&output.stdout)))
    }
}

/// The users in the output of `cargo tree --invert`: every line after the first.
fn users_of(output: &str) -> Vec<String> {
    let mut users: Vec<String> = output
        .lines()
        .skip(1)
        .filter_map(|line| line.split_whitespace().next())
        .filter(|word| !word.starts_with('['))
        .map(str::to_owned)
        .collect();
    users.sort();
    users.dedup();
    users
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace::Dep;

    struct Planted(&'static str, &'static [&'static str]);

    impl Tree for Planted {
        fn users(&self, name: &str, _: &str) -> anyhow::Result<Vec<String>> {
            let users = if name == self.0 { self.1 } else { &[] };
            Ok(users.iter().map(|&user| user.to_owned()).collect())
        }
    }

    fn package(name: &str, member: bool, uses: &[&str]) -> Package {
        Package {
            name: name.to_owned(),
            version: "1.0.0".to_owned(),
            licence: None,
            member,
            deps: uses
                .iter()
                .map(|&name| Dep {
                    name: name.to_owned(),
                    dev: false,
                })
                .collect(),
        }
    }

    #[test]
    fn only_the_store_names_sled() {
        let ours = [package("entente-store", true, &["sled"])];
        assert_eq!(check_declared(&ours), Findings::default());
        let other = [package("entente-ledger", true, &["sled"])];
        assert_eq!(check_declared(&other).faults.len(), 1);
    }

    #[test]
    fn a_banned_crate_brought_by_another_is_found() {
        let packages = [
            package("entente-tls", true, &["rustls"]),
            package("rustls", false, &[]),
        ];
        let good = Planted("rustls", &["entente-tls", "tokio-rustls"]);
        let found = check_built(&packages, &good).unwrap();
        assert_eq!(found, Findings::default());
        let bad = Planted("rustls", &["some-client"]);
        assert_eq!(check_built(&packages, &bad).unwrap().faults.len(), 1);
    }

    #[test]
    fn ring_counts_only_when_it_is_built() {
        let packages = [package("ring", false, &[])];
        let locked = Planted("ring", &[]);
        let found = check_built(&packages, &locked).unwrap();
        assert_eq!(found, Findings::default());
        let built = Planted("ring", &["rustls-webpki"]);
        assert_eq!(check_built(&packages, &built).unwrap().faults.len(), 1);
    }

    #[test]
    fn the_users_are_read_from_the_tree() {
        let output = "rustls v0.23.46\nentente-tls v0.1.0 (x)\n[dev-dependencies]\ntokio-rustls v0.26.6\nentente-tls v0.1.0 (x)\n";
        assert_eq!(users_of(output), ["entente-tls", "tokio-rustls"]);
        assert!(users_of("").is_empty());
    }
}
