//! `entente doctor` and `entente peer trace` with peers of another jurisdiction.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::doctor::site::Up;
use crate::run::{Ran, entente};

const HEALTH: &str = "sandbox/qc/health/security-server.yaml";
const PENSIONS: &str = "sandbox/pensions/security-server.yaml";
const FEDERAL: &str = "ca-demo/vital-events/registry";

fn trace(dir: &Path, from: &str, to: &str) -> Ran {
    entente(dir, &["peer", "trace", to, "-c", from, "-o", "json"])
}

fn doctor(dir: &Path, of: &str) -> Ran {
    entente(dir, &["doctor", "peers", "-c", of, "-o", "json"])
}

fn trust(dir: &Path, registry: &str, act: &str, other: &str) {
    let config = format!("sandbox/{registry}/registry.yaml");
    let ran = entente(dir, &["trust", act, other, "--config", &config]);
    assert_eq!(ran.code, 0, "{ran:?}");
}

/// The steps of a trace, or the findings of a doctor, of one name.
fn named(ran: &Ran, list: &str, key: &str, name: &str) -> Vec<Value> {
    let json = ran.json();
    let all = json[list].as_array().unwrap();
    let named = all.iter().filter(|item| item[key] == name);
    named.cloned().collect()
}

/// Both say that calls across end here, with this remedy and exit code, and look no further.
#[track_caller]
fn ends(dir: &Path, from: &str, to: &str, remedy: &str, code: i32) {
    let traced = trace(dir, from, to);
    assert_eq!(traced.code, code, "{traced:?}");
    let broken = &named(&traced, "steps", "step", "recognition")[0];
    assert_eq!(broken["end"], "broken", "{broken}");
    assert!(broken["do"].as_str().unwrap().contains(remedy), "{broken}");
    for step in ["name", "tls", "agreement"] {
        let skipped = &named(&traced, "steps", "step", step)[0];
        assert_eq!(skipped["end"], "skipped", "{skipped}");
    }
    let looked = doctor(dir, from);
    let findings = named(&looked, "checks", "check", "peers.recognised");
    let is_it = |found: &&Value| {
        found["verdict"] == "fail" && found["do"].as_str().unwrap().contains(remedy)
    };
    assert!(findings.iter().any(|found| is_it(&found)), "{looked:?}");
}

#[test]
fn peers_of_other_jurisdictions_are_looked_up_and_what_stops_a_call_across_has_a_remedy() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let up = entente(dir, &["sandbox", "up"]);
    let _up = Up(dir.to_owned());
    assert_eq!(up.code, 0, "{up:?}");

    for (from, to, agreement) in [
        (HEALTH, FEDERAL, "DEMO-002#1"),
        (HEALTH, "ca-demo-on/vital-events/@ss1", "DEMO-004#1"),
        (PENSIONS, "ca-demo-on/vital-events/registry", "DEMO-003#1"),
    ] {
        let traced = trace(dir, from, to);
        assert_eq!(traced.code, 0, "{traced:?}");
        let ground = &named(&traced, "steps", "step", "agreement")[0];
        assert!(
            ground["found"].as_str().unwrap().contains(agreement),
            "{ground}"
        );
        let tls = &named(&traced, "steps", "step", "tls")[0];
        assert_eq!(tls["end"], "passed", "{tls}");
    }
    for (of, jurisdictions) in [(HEALTH, 2), (PENSIONS, 1)] {
        let looked = doctor(dir, of);
        assert_eq!(looked.code, 0, "{looked:?}");
        let recognised = named(&looked, "checks", "check", "peers.recognised");
        assert_eq!(recognised.len(), jurisdictions, "{looked:?}");
        let reached = &named(&looked, "checks", "check", "peers.reached")[0];
        let both = reached["found"].as_str().unwrap().contains("2 of 2");
        assert!(both, "one abroad and one more: {reached}");
    }
    let near = trace(dir, HEALTH, "ca-demo/vital-events/registri");
    assert_eq!(near.code, 4, "{near:?}");
    let near = &named(&near, "steps", "step", "name")[0];
    assert!(near["do"].as_str().unwrap().contains(FEDERAL), "{near}");
    let nobody = trace(dir, HEALTH, "ca-demo-bc/vital-events/registry");
    assert_eq!(nobody.code, 3, "{nobody:?}");
    let nobody = &named(&nobody, "steps", "step", "recognition")[0];
    assert!(
        nobody["do"].as_str().unwrap().contains("trust add"),
        "{nobody}"
    );

    // Suspended here is for the own registrar to end, suspended there for the other's.
    trust(dir, "qc/registry", "suspend", "ca-demo");
    ends(dir, HEALTH, FEDERAL, "entente trust resume ca-demo", 3);
    let back = trace(dir, PENSIONS, "ca-demo-qc/health/cards");
    assert_eq!(back.code, 3, "{back:?}");
    let back = &named(&back, "steps", "step", "recognition")[0];
    assert!(
        back["do"]
            .as_str()
            .unwrap()
            .contains("registrar of ca-demo-qc"),
        "{back}"
    );
    trust(dir, "qc/registry", "resume", "ca-demo");
    trust(dir, "registry", "suspend", "ca-demo-qc");
    ends(
        dir,
        HEALTH,
        FEDERAL,
        "the registrar of ca-demo recognises",
        3,
    );
    // The pair that it is not about goes on.
    assert_eq!(trace(dir, HEALTH, "ca-demo-on/vital-events/@ss1").code, 0);
    trust(dir, "registry", "resume", "ca-demo-qc");
    assert_eq!(trace(dir, HEALTH, FEDERAL).code, 0);

    // Without a word of the other registry nothing of it counts.
    assert_eq!(entente(dir, &["sandbox", "down"]).code, 0);
    fs::remove_dir_all(dir.join("sandbox/qc/health/data/abroad")).unwrap();
    ends(dir, HEALTH, FEDERAL, "REGISTRY_STALE", 5);
}
