//! The whole benchmark, once: what it measures, not how fast.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::process::Command;

use entente_ledger_bench::Measured;

#[test]
fn each_kind_of_revocation_is_measured_and_taken_back() {
    let dir = tempfile::tempdir().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_bench-revocation"))
        .arg(dir.path().join("sandbox"))
        .arg("2")
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let said = String::from_utf8(output.stdout).unwrap();
    let measured = said.lines().map(|line| Measured::parse(line).unwrap());
    let measured: Vec<_> = measured.collect();
    for (case, metric) in [
        ("exchange", "ms"),
        ("member", "held_ms"),
        ("member", "refused_ms"),
        ("agreement", "held_ms"),
        ("agreement", "refused_ms"),
        ("recognition", "held_ms"),
        ("recognition", "refused_ms"),
        ("session", "held_ms"),
    ] {
        let of = measured
            .iter()
            .filter(|m| m.case == case && m.metric == metric);
        assert_eq!(of.filter(|m| m.value > 0.0).count(), 2, "{case} {metric}");
    }
}
