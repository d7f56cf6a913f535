//! Licences: every package must be usable under one of the allowed ones.

use super::Findings;
use crate::workspace::Package;

/// What Entente's own licence (Apache-2.0) can be shipped with, by SPDX name.
const ALLOWED: &[&str] = &[
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-1-Clause",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "CDLA-Permissive-2.0",
    "ISC",
    "MIT",
    "MIT-0",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];

/// Refuses packages without a licence, or with none that is allowed.
pub(crate) fn check(packages: &[Package]) -> Findings {
    let faults = packages
        .iter()
        .filter_map(|package| {
            let name = format!("{} {}", package.name, package.version);
            match &package.licence {
                None => Some(format!("{name} states no licence")),
                Some(licence) if !permits(licence) => {
                    Some(format!("{name} is under {licence}, which is not allowed"))
                }
                Some(_) => None,
            }
        })
        .collect();
    Findings::faults(faults)
}

/// Whether an SPDX expression can be met with allowed licences alone. Unreadable: no.
fn permits(expression: &str) -> bool {
    // Old manifests write `MIT/Apache-2.0` for OR.
    let spaced = expression
        .replace('/', " OR ")
        .replace('(', " ( ")
        .replace(')', " ) ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut at = 0;
    let met = any(&words, &mut at);
    met.unwrap_or(false) && at == words.len()
}

fn any(words: &[&str], at: &mut usize) -> Option<bool> {
    let mut met = all(words, at)?;
    while words.get(*at) == Some(&"OR") {
        *at += 1;
        met |= all(words, at)?;
    }
    Some(met)
}

fn all(words: &[&str], at: &mut usize) -> Option<bool> {
    let mut met = one(words, at)?;
    while words.get(*at) == Some(&"AND") {
        *at += 1;
        met &= one(words, at)?;
    }
    Some(met)
}

fn one(words: &[&str], at: &mut usize) -> Option<bool> {
    let word = *words.get(*at)?;
    *at += 1;
    match word {
        "(" => {
            let met = any(words, at)?;
            let close = words.get(*at) == Some(&")");
            *at += 1;
            close.then_some(met)
        }
        ")" | "AND" | "OR" | "WITH" => None,
        name if words.get(*at) == Some(&"WITH") => {
            let exception = words.get(*at + 1)?;
            *at += 2;
            Some(ALLOWED.contains(&format!("{name} WITH {exception}").as_str()))
        }
        name => Some(ALLOWED.contains(&name)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_allowed_choice_is_enough() {
        for good in [
            "MIT",
            "MIT/Apache-2.0",
            "Apache-2.0 / MIT",
            "MIT OR Apache-2.0 OR LGPL-2.1-or-later",
            "(MIT OR GPL-3.0) AND Unicode-3.0",
            "Apache-2.0 WITH LLVM-exception OR GPL-2.0",
            "ISC AND (Apache-2.0 OR ISC)",
        ] {
            assert!(permits(good), "{good}");
        }
    }

    #[test]
    fn what_is_not_allowed_or_not_readable_is_refused() {
        for bad in [
            "GPL-3.0",
            "MIT AND AGPL-3.0",
            "Apache-2.0 WITH Other-exception",
            "",
            "MIT OR",
            "(MIT",
            "MIT) OR MIT",
            "MIT MIT",
        ] {
            assert!(!permits(bad), "{bad}");
        }
    }

    #[test]
    fn a_package_without_a_licence_is_found() {
        let package = Package {
            name: "x".to_owned(),
            version: "1".to_owned(),
            licence: None,
            member: false,
            deps: Vec::new(),
        };
        assert_eq!(check(&[package]).faults, ["x 1 states no licence"]);
    }
}
