//! How tests are written: none is skipped, none sleeps, none expects a panic; nothing is left open.

use super::Findings;
use super::source::{Source, holds};

/// Refused anywhere.
const NEVER: &[(&str, &str)] = &[
    ("todo!", "finish it"),
    ("unimplemented!", "finish it"),
    ("#[ignore", "a test runs or is deleted"),
    ("#[should_panic", "assert on the error instead"),
];
/// Refused in tests: time is a `Clock`, or `tokio::time::pause`.
const SLEEPS: &[&str] = &["thread::sleep", "time::sleep", "sleep_until"];
/// What marks a file whose tokio time is simulated, where sleeping costs nothing.
const PAUSED: &[&str] = &["start_paused", "time::pause", "turmoil"];

/// Refuses skipped, sleeping and unfinished tests and code.
pub(crate) fn check(sources: &[Source]) -> Findings {
    let mut faults = Vec::new();
    for source in sources {
        for (number, line) in source.numbered() {
            // Attributes hold `=` and spaces in free order; what is searched has none before it.
            for (planted, remedy) in NEVER {
                if line.contains(planted) {
                    let path = &source.path;
                    faults.push(format!("{path}:{number}: `{planted}`; {remedy}"));
                }
            }
        }
        let paused = source
            .code
            .iter()
            .any(|line| PAUSED.iter().any(|word| line.contains(word)));
        for (number, line) in source.tests() {
            let sleeps = SLEEPS.iter().any(|word| holds(line, word));
            if sleeps && (!paused || line.contains("thread::sleep")) {
                let path = &source.path;
                faults.push(format!("{path}:{number}: a test that sleeps"));
            }
        }
    }
    Findings::faults(faults)
}

#[cfg(test)]
mod tests {
    use super::super::source::tests::source;
    use super::*;

    #[test]
    fn skipped_sleeping_and_open_code_is_found() {
        for planted in [
            "fn a() { todo!() }",
            "#[ignore = \"slow\"]\nfn a() {}",
            "#[should_panic(expected = \"x\")]\nfn a() {}",
            "#[cfg(test)]\nmod tests {\n std::thread::sleep(x);\n}",
            "#[cfg(test)]\nmod tests {\n tokio::time::sleep(x).await;\n}",
            "#[cfg(test)]\nmod tests {\n #[tokio::test(start_paused = true)]\n std::thread::sleep(x);\n}",
        ] {
            let found = check(&[source("crates/x/src/a.rs", planted)]);
            assert_eq!(found.faults.len(), 1, "{planted}");
        }
    }

    #[test]
    fn simulated_time_and_shipped_waits_pass() {
        for good in [
            "fn a() { tokio::time::sleep(x).await }",
            "#[cfg(test)]\nmod tests {\n #[tokio::test(start_paused = true)]\n tokio::time::sleep(x).await;\n}",
            "// todo! is only a word here\nfn a() {}",
        ] {
            let found = check(&[source("crates/x/src/a.rs", good)]);
            assert_eq!(found, Findings::default(), "{good}");
        }
    }
}
