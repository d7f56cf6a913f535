//! The whole benchmark, small: what it measures, not how fast.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::path::Path;
use std::process::Command;

use entente_ledger_bench::Measured;

fn run(words: &[&str], folder: &Path) -> Vec<Measured> {
    let [task, rest @ ..] = words else {
        panic!("no task");
    };
    let output = Command::new(env!("CARGO_BIN_EXE_bench-directory"))
        .arg(task)
        .arg(folder)
        .args(rest)
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let said = String::from_utf8(output.stdout).unwrap();
    said.lines()
        .map(|line| Measured::parse(line).unwrap())
        .collect()
}

#[test]
fn a_small_country_is_applied_and_everything_about_it_measured() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("20");
    assert!(run(&["write", "20"], &folder).is_empty());
    let measured = run(&["apply"], &folder);
    let value = |case: &str, metric: &str| {
        let found = measured
            .iter()
            .find(|m| m.case == case && m.metric == metric);
        found.unwrap_or_else(|| panic!("no {case} {metric}")).value
    };
    // Genesis; of each member its admission, three servers and shards, five services, ten agreements
    // with two acts each.
    assert_eq!(
        value("apply", "changes"),
        f64::from(1 + 20 * (1 + 6 + 5 + 20))
    );
    for (case, metric) in [
        ("apply", "us_per_change"),
        ("apply", "rss_mib"),
        ("MemberAdmit", "us"),
        ("ServerRegister", "us"),
        ("ShardOpen", "us"),
        ("ServicePublish", "us"),
        ("AgreementPropose", "us"),
        ("AgreementAccept", "us"),
    ] {
        assert!(value(case, metric) > 0.0, "{case} {metric}");
    }
    let members = [("members".to_owned(), 20)];
    assert!(measured.iter().all(|m| m.setting == members));
}

#[test]
fn a_small_country_is_followed_from_nothing_and_after_a_thousand_changes() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("20");
    run(&["write", "20"], &folder);
    let measured = run(&["sync", "2"], &folder);
    let values = |case: &str, metric: &str| -> Vec<f64> {
        let of = |m: &&Measured| m.case == case && m.metric == metric;
        measured.iter().filter(of).map(|m| m.value).collect()
    };
    assert_eq!(values("sync", "changes"), [641.0, 641.0]);
    assert_eq!(values("away", "changes"), [1000.0]);
    for metric in ["s", "rss_mib", "received_mib"] {
        for case in ["sync", "away"] {
            assert!(values(case, metric).iter().all(|value| *value > 0.0));
        }
    }
    // Less than the thousand entries twice over: nothing that was held already came again.
    let entries = std::fs::metadata(folder.join("later")).unwrap().len() as f64;
    let received = values("away", "received_mib")[0] * f64::from(1 << 20);
    assert!(received > entries && received < 2.0 * entries, "{received}");
}
