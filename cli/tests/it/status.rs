//! `entente status`, of the roles of a sandbox.

use std::fs;
use std::path::Path;
use std::time::Duration;

use entente_clock::{Clock as _, SystemClock};

use serde_json::Value;

use crate::doctor::site::Up;
use crate::run::{Ran, entente};

const SERVER: &str = "sandbox/pensions/security-server.yaml";
const REGISTRY: &str = "sandbox/registry/registry.yaml";

fn status(dir: &Path, file: &str, args: &[&str]) -> Ran {
    entente(dir, &[&["status", "-c", file][..], args].concat())
}

fn call(dir: &Path, purpose: &str) -> i32 {
    let question = [
        "call",
        "ca-demo/vital-events/registry",
        "entente.demo.vitalevents.v1.VitalEvents/LookupDeath",
        "-d",
        r#"{"person_number": "046454286"}"#,
        "--purpose",
        purpose,
    ];
    entente(dir, &question).code
}

/// The gauges are looked at each second, and a registry that was just recognised is heard soon.
#[track_caller]
fn hears_of_the_provinces(dir: &Path) {
    let mut last = Value::Null;
    for _ in 0..100 {
        last = status(dir, SERVER, &["-o", "json"]).json();
        let recognised = last["recognised"].as_array().unwrap();
        let is_heard = |item: &&Value| item["age_seconds"].as_f64().is_some_and(|age| age < 600.0);
        let heard = recognised.iter().filter(is_heard);
        let heard = heard.filter_map(|item| item["jurisdiction"].as_str());
        // Gauges come in no order.
        let heard: std::collections::BTreeSet<_> = heard.collect();
        if heard.into_iter().collect::<Vec<_>>() == ["ca-demo-on", "ca-demo-qc"] {
            return;
        }
        std::thread::park_timeout(Duration::from_millis(100));
    }
    let log = fs::read_to_string(dir.join("sandbox/sandbox.log")).unwrap();
    panic!("never heard of both: {last:#}\n{log}");
}

/// Both parties sign an agreement that ends in ten days.
fn sign_a_short_one(dir: &Path) {
    let text = fs::read_to_string(dir.join("sandbox/agreement-v1.yaml")).unwrap();
    let ends = SystemClock
        .now()
        .saturating_add(Duration::from_secs(10 * 86_400));
    let lines = text.lines().map(|line| match line.split_once(": ") {
        Some(("not_after", _)) => format!("not_after: {}", ends.day()),
        Some(("id", _)) => "id: SHORT-001".to_owned(),
        _ => line.to_owned(),
    });
    let short = lines.collect::<Vec<_>>().join("\n");
    fs::write(dir.join("short.yaml"), short).unwrap();
    for member in ["vital-events", "pensions"] {
        let desk = format!("sandbox/{member}/member.yaml");
        let signed = entente(dir, &["agreement", "sign", "short.yaml", "--config", &desk]);
        assert_eq!(signed.code, 0, "{signed:?}");
    }
}

#[test]
fn a_role_that_runs_is_on_one_screen_and_one_that_does_not_has_a_remedy() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let up = entente(dir, &["sandbox", "up"]);
    let _up = Up(dir.to_owned());
    assert_eq!(up.code, 0, "{up:?}");
    assert_eq!(call(dir, "PROGRAM_ADMINISTRATION"), 0);
    assert_eq!(call(dir, "RESEARCH"), 3);
    hears_of_the_provinces(dir);
    sign_a_short_one(dir);
    // Until the server has heard of the agreement.
    let ending = || {
        let json = status(dir, SERVER, &["-o", "json"]).json();
        json["agreements"]["ending_soon"].as_array().unwrap().len()
    };
    let heard = (0..150).any(|_| {
        ending() == 1 || {
            std::thread::park_timeout(Duration::from_millis(100));
            false
        }
    });
    assert!(heard);
    let ran = status(dir, SERVER, &["-o", "json"]);
    let json = ran.json();
    assert_eq!(ran.code, 0, "{json:#}");
    assert_eq!(json["name"], "ca-demo/pensions/@ss1");
    assert_eq!(json["version"], env!("CARGO_PKG_VERSION"));
    assert!(
        json["ready"] == true && json["since"].is_string(),
        "{json:#}"
    );
    let conditions = json["conditions"].as_array().unwrap();
    assert!(conditions.len() >= 6 && conditions.iter().all(|c| c["ok"] == true));
    assert!(json["registry"]["size"].as_u64() > Some(10), "{json:#}");
    assert_eq!(json["registry"]["validity_seconds"], 86_400);
    assert!(json["registry"]["left_seconds"].as_f64() > Some(86_000.0));
    assert!(json["ledger"]["size"].as_u64() >= Some(5), "{json:#}");
    assert_eq!(json["agreements"]["active"], 3);
    assert_eq!(
        json["agreements"]["ending_soon"][0]["agreement"],
        "SHORT-001"
    );
    assert_eq!(json["calls"]["in_flight"], 0);
    assert_eq!(json["calls"]["answered"], 1, "{json:#}");
    assert_eq!(json["calls"]["refused"], 1, "{json:#}");
    let french = status(dir, SERVER, &["--lang", "fr"]);
    for words in ["prêt", "SHORT-001 prend fin", "1 répondus, 1 refusés"] {
        assert!(french.out.contains(words), "{words}: {french:?}");
    }

    // A registry without an admin port, and a port where somebody else answers.
    let none = status(dir, REGISTRY, &[]);
    assert!(none.code == 2 && none.err.contains("admin:"), "{none:?}");
    let server = fs::read_to_string(dir.join(SERVER)).unwrap();
    let port = server.rsplit_once("listen: ").unwrap().1;
    let port = port.lines().next().unwrap();
    let yaml = fs::read_to_string(dir.join(REGISTRY)).unwrap();
    fs::write(
        dir.join("sandbox/registry/other.yaml"),
        format!("{yaml}admin: {port}\n"),
    )
    .unwrap();
    let other = status(dir, "sandbox/registry/other.yaml", &[]);
    assert!(
        other.code == 5 && other.err.contains("another role"),
        "{other:?}"
    );

    assert_eq!(entente(dir, &["sandbox", "down"]).code, 0);
    let down = status(dir, SERVER, &[]);
    assert_eq!(down.code, 5, "{down:?}");
    for words in [
        "not running",
        "entente serve security-server",
        "entente doctor -c",
    ] {
        assert!(down.err.contains(words), "{words}: {down:?}");
    }
}
