//! The rows of ARCHITECTURE.md: a crate uses only crates of lower rows.

use super::Findings;
use crate::workspace::Package;

/// Every crate of the workspace and its row. A new crate takes its place here first.
const ROWS: &[(&str, u8)] = &[
    ("entente-identity", 0),
    ("entente-clock", 0),
    ("entente-reason", 0),
    ("entente-proto", 0),
    ("entente-signing", 1),
    ("entente-contract", 1),
    ("entente-config", 1),
    ("entente-store", 1),
    ("entente-agreement", 2),
    ("entente-evidence", 2),
    ("entente-ledger", 2),
    ("entente-keys", 2),
    ("entente-tls", 2),
    ("entente-timestamp", 2),
    ("entente-directory", 3),
    ("entente-sidecar", 3),
    ("entente-telemetry", 3),
    ("entente-policy", 4),
    ("entente-follow", 4),
    ("entente-bundle", 4),
    ("entente-security-server", 5),
    ("entente-central-registry", 5),
    ("entente-oversight", 5),
    ("entente-adapter-sdk", 5),
    ("entente-adapter-sql", 6),
    ("entente-sandbox", 6),
    ("entente-cli", 7),
    ("entente-testkit", DEV),
    ("entente-tests", DEV),
    ("entente-directory-bench", DEV),
    ("entente-ledger-bench", DEV),
    ("entente-revocation-bench", DEV),
    ("xtask", DEV),
];

/// Developers' crates: they may use anything, and nothing that ships may use them.
const DEV: u8 = 8;
/// Where adapters stand, and the sandbox above them.
const ADAPTERS: u8 = 6;
/// The highest row an adapter may use besides the SDK.
const ADAPTERS_USE: u8 = 2;

/// Refuses every dependency that points upwards or sideways.
pub(crate) fn check(packages: &[Package]) -> Findings {
    let mut faults = Vec::new();
    for package in packages.iter().filter(|package| package.member) {
        let Some(row) = row(&package.name) else {
            faults.push(format!(
                "{} has no row; add it to the table in xtask and to ARCHITECTURE.md",
                package.name
            ));
            continue;
        };
        for dep in &package.deps {
            let Some(used) = self::row(&dep.name) else {
                continue;
            };
            if !allowed(&package.name, row, &dep.name, used, dep.dev) {
                faults.push(format!(
                    "{} (row {row}) may not use {} (row {used})",
                    package.name, dep.name
                ));
            }
        }
    }
    Findings::faults(faults)
}

fn row(name: &str) -> Option<u8> {
    ROWS.iter()
        .find(|(known, _)| *known == name)
        .map(|(_, row)| *row)
}

fn allowed(user: &str, row: u8, name: &str, used: u8, dev: bool) -> bool {
    if row == DEV {
        return true;
    }
    if used == DEV {
        // The whole product's tests may use the scenarios' tools.
        return dev
            && (name == "entente-testkit" || (user, name) == ("entente-cli", "entente-tests"));
    }
    match user {
        "entente-sandbox" => used <= ADAPTERS,
        _ if row == ADAPTERS => used <= ADAPTERS_USE || name == "entente-adapter-sdk",
        _ => used < row,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace::Dep;

    fn member(name: &str, uses: &str, dev: bool) -> Package {
        Package {
            name: name.to_owned(),
            version: "0".to_owned(),
            licence: None,
            member: true,
            deps: vec![Dep {
                name: uses.to_owned(),
                dev,
            }],
        }
    }

    #[test]
    fn a_dependency_upwards_or_sideways_is_refused() {
        for (user, used) in [
            ("entente-ledger", "entente-directory"),
            ("entente-evidence", "entente-ledger"),
            ("entente-security-server", "entente-central-registry"),
            ("entente-adapter-sql", "entente-policy"),
            ("entente-adapter-sql", "entente-sandbox"),
            ("entente-cli", "xtask"),
            ("entente-cli", "entente-testkit"),
            ("entente-cli", "entente-tests"),
            ("entente-somewhere-new", "entente-identity"),
        ] {
            let found = check(&[member(user, used, false)]);
            assert_eq!(found.faults.len(), 1, "{user} using {used}");
        }
    }

    #[test]
    fn a_dependency_downwards_is_allowed() {
        for (user, used, dev) in [
            ("entente-ledger", "entente-signing", false),
            ("entente-adapter-sql", "entente-adapter-sdk", false),
            ("entente-sandbox", "entente-adapter-sql", false),
            ("entente-ledger", "entente-testkit", true),
            ("entente-cli", "entente-tests", true),
            ("entente-tests", "entente-cli", false),
            ("entente-ledger", "serde", false),
        ] {
            let found = check(&[member(user, used, dev)]);
            assert_eq!(found, Findings::default(), "{user} using {used}");
        }
    }
}
