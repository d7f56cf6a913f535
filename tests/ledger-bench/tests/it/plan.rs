//! The whole benchmark, small: what it measures, not how fast.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use entente_ledger_bench::Measured;

fn run(folder: &Path, words: &[&str]) -> (bool, Vec<Measured>, String) {
    let [task, rest @ ..] = words else {
        panic!("no task");
    };
    let output = Command::new(env!("CARGO_BIN_EXE_bench-ledger"))
        .arg(task)
        .arg(folder)
        .args(rest)
        .output()
        .unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    let measured = said.lines().map(|line| Measured::parse(line).unwrap());
    let errors = String::from_utf8(output.stderr).unwrap();
    (output.status.success(), measured.collect(), errors)
}

fn values(measured: &[Measured], case: &str, metric: &str, size: Option<u64>) -> Vec<f64> {
    let is_wanted = |m: &&Measured| {
        let at = m.setting.iter().find(|(name, _)| name == "entries");
        m.case == case && m.metric == metric && at.map(|(_, size)| *size) == size
    };
    measured.iter().filter(is_wanted).map(|m| m.value).collect()
}

#[test]
fn a_small_plan_measures_everything_at_each_size() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("bench");
    let plan = ["plan", "65536", "2", "20", "4,16", "500", "2000"];
    let (ended, measured, errors) = run(&folder, &plan);
    assert!(ended, "{errors}");

    for case in [
        "same",
        "file",
        "waited",
        "append",
        "append/same",
        "append/file",
        "append/waited",
    ] {
        let rates = values(&measured, case, "entries_per_s", None);
        assert_eq!(rates.len(), 4, "{case}");
        assert!(rates.iter().all(|rate| *rate > 0.0), "{case}");
    }
    // At most sixteen tasks wait, and so a commit holds at most as many entries.
    for per_commit in values(&measured, "append", "entries_per_commit", None) {
        assert!((1.0..=16.0).contains(&per_commit), "{per_commit}");
    }
    for size in [Some(500), Some(2_000)] {
        for (case, metric, times) in [
            ("growth", "bytes_per_entry", 1),
            ("growth", "disk_bytes_per_entry", 1),
            ("inclusion", "p50_us", 1),
            ("inclusion", "max_text_bytes", 1),
            ("consistency", "p99_us", 1),
            ("fsck", "s", 2),
            ("fsck", "rss_mib", 2),
            ("open", "s", 2),
            ("open_killed", "s", 2),
        ] {
            let found = values(&measured, case, metric, size);
            assert_eq!(found.len(), times, "{case} {metric} {size:?}");
            assert!(found.iter().all(|v| *v > 0.0), "{case} {metric} {size:?}");
        }
        // A killed ledger had a segment, nearly full, that was in no tile.
        for replayed in values(&measured, "open_killed", "replayed", size) {
            assert!((16.0..=65_536.0 / 960.0).contains(&replayed), "{replayed}");
        }
        // An entry is in a bundle, and its hash in a tile: 560 + 2 + 32 bytes, and little more.
        let bytes = values(&measured, "growth", "bytes_per_entry", size)[0];
        assert!((594.0..800.0).contains(&bytes), "{bytes}");
    }
    // 2,000 leaves: eleven hashes, or fewer where the tree is not full.
    let hashes = values(&measured, "inclusion", "max_bytes", Some(2_000))[0] / 32.0;
    assert!((10.0..=11.0).contains(&hashes), "{hashes}");
    let cases: BTreeSet<_> = measured.iter().map(|m| m.case.as_str()).collect();
    assert!(cases.contains("machine"));
}

#[test]
fn a_damaged_ledger_is_not_measured() {
    let dir = tempfile::tempdir().unwrap();
    let (ended, _, errors) = run(dir.path(), &["grow", "65536", "600", "8"]);
    assert!(ended, "{errors}");
    let (ended, measured, errors) = run(dir.path(), &["fsck", "65536"]);
    assert!(ended && !measured.is_empty(), "{errors}");

    for tile in ["entries/001", "0/001"] {
        let path = dir.path().join("ledger/log/tile").join(tile);
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[100] ^= 1;
        std::fs::write(&path, bytes).unwrap();
    }
    for task in ["fsck", "prove"] {
        let mut words = vec![task, "65536"];
        words.extend((task == "prove").then_some("20"));
        let (ended, measured, errors) = run(dir.path(), &words);
        assert!(!ended && measured.is_empty(), "{task}: {errors}");
    }
}
