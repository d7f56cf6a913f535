//! Pure code reads no clock, socket or file; and few crates name a cipher.

use super::Findings;
use super::source::{Source, holds};

/// Folders and files whose shipped code decides and computes, and does nothing else.
const PURE: &[&str] = &[
    "crates/agreement/src/",
    "crates/contract/src/",
    "crates/directory/src/",
    "crates/evidence/src/",
    "crates/policy/src/",
    "crates/timestamp/src/",
    "crates/ledger/src/checkpoint",
    "crates/ledger/src/note",
    "crates/ledger/src/proof",
    "crates/ledger/src/receipt",
    "crates/ledger/src/tile",
    "crates/ledger/src/tree",
];
/// What reaches outside. Not `std::net` as such: an address is a value.
const OUTSIDE: &[&str] = &[
    "std::fs",
    "std::env",
    "std::process",
    "std::thread",
    "std::os",
    "tokio",
    "SystemTime",
    "Instant",
    "SystemClock",
    "TcpListener",
    "TcpStream",
    "ToSocketAddrs",
    "UdpSocket",
    "UnixStream",
];
/// The same, inside the braces of `use std::{…}`.
const OUTSIDE_STD: &[&str] = &["fs", "env", "process", "thread", "os"];

/// Folders whose code may name a cipher.
const CIPHERS_IN: &[&str] = &[
    "crates/tls/",
    "crates/evidence/",
    "crates/sidecar/",
    "crates/testkit/",
    "tests/",
    "xtask/",
];
/// What names one.
const CIPHERS: &[&str] = &[
    "aws_lc_rs::aead",
    "aws_lc_rs::cipher",
    "aead::",
    "hpke::",
    "AES_256_GCM",
];

/// Refuses clocks, sockets and files in pure code.
pub(crate) fn check(sources: &[Source]) -> Findings {
    let mut faults = Vec::new();
    for source in sources.iter().filter(|source| under(source, PURE)) {
        for (number, line) in source.shipped() {
            let named = OUTSIDE.iter().find(|word| holds(line, word));
            let grouped = line
                .split_once("use std::{")
                .and_then(|(_, rest)| OUTSIDE_STD.iter().find(|word| holds(rest, word)));
            if let Some(word) = named.or(grouped) {
                let path = &source.path;
                faults.push(format!("{path}:{number}: pure code names {word}"));
            }
        }
    }
    Findings::faults(faults)
}

/// Refuses ciphers outside the crates that seal.
pub(crate) fn check_ciphers(sources: &[Source]) -> Findings {
    let mut faults = Vec::new();
    for source in sources.iter().filter(|source| !under(source, CIPHERS_IN)) {
        for (number, line) in source.shipped() {
            if let Some(word) = CIPHERS.iter().find(|word| line.contains(**word)) {
                let path = &source.path;
                faults.push(format!("{path}:{number}: names the cipher {word}"));
            }
        }
    }
    Findings::faults(faults)
}

fn under(source: &Source, starts: &[&str]) -> bool {
    starts.iter().any(|start| source.path.starts_with(start))
}

#[cfg(test)]
mod tests {
    use super::super::source::tests::source;
    use super::*;

    #[test]
    fn a_clock_a_socket_or_a_file_in_pure_code_is_found() {
        for planted in [
            "use std::fs;",
            "use std::{collections::BTreeMap, fs::File};",
            "let listener = TcpListener::bind(address);",
            "let now = std::time::SystemTime::now();",
            "tokio::spawn(x);",
            "let clock = entente_clock::SystemClock;",
        ] {
            for path in ["crates/policy/src/a.rs", "crates/ledger/src/tree.rs"] {
                let found = check(&[source(path, planted)]);
                assert_eq!(found.faults.len(), 1, "{path}: {planted}");
            }
            let elsewhere = check(&[source("crates/store/src/a.rs", planted)]);
            assert_eq!(elsewhere, Findings::default());
        }
    }

    #[test]
    fn the_tests_of_pure_code_may_read_files() {
        let text = "fn a() {}\n#[cfg(test)]\nmod tests {\n    use std::fs;\n}\n";
        let found = check(&[source("crates/policy/src/a.rs", text)]);
        assert_eq!(found, Findings::default());
    }

    #[test]
    fn a_cipher_outside_the_crates_that_seal_is_found() {
        let planted = "use aws_lc_rs::aead::LessSafeKey;";
        let found = check_ciphers(&[source("security-server/src/a.rs", planted)]);
        assert_eq!(found.faults.len(), 1);
        let sealed = check_ciphers(&[source("crates/evidence/src/a.rs", planted)]);
        assert_eq!(sealed, Findings::default());
    }
}
