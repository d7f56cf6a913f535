//! `entente peer trace`: what would happen to a call, and every step at which one would end.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::doctor::site::{Serving, Site, Up};
use crate::run::{Ran, entente};

const TARGET: &str = "ca-demo/vital-events/registry";
const STEPS: [&str; 8] = [
    "registry",
    "name",
    "server",
    "address",
    "tcp",
    "tls",
    "protocol",
    "agreement",
];

fn trace(dir: &Path, file: &str, target: &str, more: &[&str]) -> Ran {
    let trace = ["peer", "trace", target, "-c", file, "-o", "json"];
    entente(dir, &[&trace[..], more].concat())
}

fn step(ran: &Ran, name: &str) -> Value {
    let json = ran.json();
    let steps = json["steps"].as_array().unwrap();
    let found = steps.iter().find(|step| step["step"] == name);
    found.cloned().unwrap_or_else(|| panic!("{name}: {json:#}"))
}

/// This step is broken, its remedy says this, and the ones after it on the network were not reached.
#[track_caller]
fn ends(ran: &Ran, name: &str, code: i32, remedy: &str, skipped: &[&str]) {
    let broken = step(ran, name);
    assert_eq!(broken["end"], "broken", "{broken}");
    assert!(broken["do"].as_str().unwrap().contains(remedy), "{broken}");
    assert_eq!(ran.code, code, "{ran:?}");
    assert_eq!(ran.json()["passes"], false);
    for name in skipped {
        let step = step(ran, name);
        assert!(
            step["end"] == "skipped" && step["took_ms"].is_null(),
            "{step}"
        );
    }
}

#[test]
fn a_way_is_followed_to_the_system_and_no_call_is_made() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let up = entente(dir, &["sandbox", "up"]);
    let _up = Up(dir.to_owned());
    assert_eq!(up.code, 0, "{up:?}");
    let server = "sandbox/pensions/security-server.yaml";
    let asked = || {
        let show = [
            "log",
            "show",
            "sandbox/vital-events",
            "-o",
            "ndjson",
            "--limit",
            "0",
        ];
        let lines = entente(dir, &show).lines();
        let calls = ["IN", "OUT", "DENIED"];
        lines
            .iter()
            .filter(|line| calls.contains(&line["kind"].as_str().unwrap()))
            .count()
    };
    let before = asked();
    for target in [TARGET, "ca-demo/vital-events/@ss1"] {
        let ran = trace(dir, server, target, &[]);
        assert_eq!(ran.code, 0, "{ran:?}");
        for name in STEPS {
            let step = step(&ran, name);
            assert_eq!(step["end"], "passed", "{step}");
            assert!(step["took_ms"].as_f64() < Some(5_000.0), "{step}");
        }
        let found = |name: &str| step(&ran, name)["found"].as_str().unwrap().to_owned();
        assert!(
            found("tls").starts_with("X25519MLKEM768, key "),
            "{}",
            found("tls")
        );
        assert_eq!(found("protocol"), "version 1, X-Wing");
        assert!(found("agreement").contains("DEMO-001#1: ca-demo/pensions/benefits →"));
    }
    assert_eq!(asked(), before);
    let french = ["peer", "trace", TARGET, "-c", server, "--lang", "fr"];
    let french = entente(dir, &french);
    assert!(french.out.contains("telle qu’inscrite"), "{french:?}");
    names_and_agreements(dir, server);
    the_network(dir, server);
}

fn names_and_agreements(dir: &Path, server: &str) {
    let rest = &STEPS[2..];
    let mistyped = trace(dir, server, "ca-demo/vital-events/registri", &[]);
    ends(&mistyped, "name", 4, TARGET, rest);
    let nobody = trace(dir, server, "ca-demo/fisheries-and-oceans/licences", &[]);
    ends(&nobody, "name", 4, "entente member list", rest);
    let no_server = trace(dir, server, "ca-demo/vital-events/@quite-another", &[]);
    ends(&no_server, "name", 4, "entente", rest);
    assert_eq!(
        entente(dir, &["peer", "trace", "no name", "-c", server]).code,
        2
    );

    let transport = "sandbox/transport/security-server.yaml";
    let none = trace(dir, transport, TARGET, &[]);
    ends(&none, "agreement", 3, "entente agreement list", &[]);
    assert_eq!(
        step(&none, "tls")["end"],
        "passed",
        "it is reached all the same"
    );
    let service = "entente.demo.vitalevents.v1.VitalEvents";
    let method = |name: &str| format!("{service}/{name}");
    let right = trace(dir, server, TARGET, &["--method", &method("LookupDeath")]);
    assert_eq!(right.code, 0, "{right:?}");
    let other = trace(dir, server, TARGET, &["--method", &method("ListEverybody")]);
    ends(&other, "agreement", 3, "entente agreement sign", &[]);
    let why = step(&other, "agreement")["found"]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(
        why.contains("DEMO-001#1: permits only") && why.contains("LookupDeath"),
        "{why}"
    );
    let desk = ["--config", "sandbox/pensions/member.yaml"];
    let suspend = [
        "agreement",
        "suspend",
        "DEMO-001",
        "--reason",
        "SAFEGUARD_BREACH",
    ];
    assert_eq!(entente(dir, &[&suspend[..], &desk].concat()).code, 0);
    let halted = trace(dir, server, TARGET, &[]);
    ends(&halted, "agreement", 3, "entente agreement list", &[]);
    let why = step(&halted, "agreement")["found"]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(why.contains("DEMO-001#1: SUSPENDED"), "{why}");
    let resume = ["agreement", "resume", "DEMO-001"];
    assert_eq!(entente(dir, &[&resume[..], &desk].concat()).code, 0);
    // Signed by one party only.
    let text = fs::read_to_string(dir.join("sandbox/agreement-v1.yaml")).unwrap();
    fs::write(
        dir.join("more.yaml"),
        text.replace("id: DEMO-001", "id: MORE-001"),
    )
    .unwrap();
    let sign = ["agreement", "sign", "more.yaml"];
    assert_eq!(entente(dir, &[&sign[..], &desk].concat()).code, 0);
    let half = trace(dir, server, TARGET, &[]);
    let found = step(&half, "agreement")["found"]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(
        found.contains("MORE-001#1: not signed by ca-demo/vital-events"),
        "{found}"
    );
    assert_eq!(half.code, 0, "the other permits it");
    // A server that the registry does not know has no protocol in common with anybody.
    let site = Site::of(dir, "pensions", "trace");
    site.write(&site.yaml().replace("pensions/@ss1", "pensions/@ss9"));
    let unknown = trace(dir, site.file(), TARGET, &[]);
    ends(&unknown, "protocol", 3, "entente server register", &[]);
    let registrar = ["--config", "sandbox/registry/registry.yaml"];
    let suspend = [
        "member",
        "suspend",
        "ca-demo/vital-events",
        "--reason",
        "SAFEGUARD_BREACH",
    ];
    assert_eq!(entente(dir, &[&suspend[..], &registrar].concat()).code, 0);
    ends(
        &trace(dir, server, TARGET, &[]),
        "name",
        4,
        "registrar",
        rest,
    );
    let resume = ["member", "resume", "ca-demo/vital-events"];
    assert_eq!(entente(dir, &[&resume[..], &registrar].concat()).code, 0);
}

fn the_network(dir: &Path, server: &str) {
    let member = ["--config", "sandbox/vital-events/member.yaml"];
    let at = |address: &str| {
        let update = [
            "server",
            "update",
            "ca-demo/vital-events/@ss1",
            "--address",
            address,
        ];
        let done = entente(dir, &[&update[..], &member].concat());
        assert_eq!(done.code, 0, "{done:?}");
        trace(dir, server, TARGET, &[])
    };
    let tail = ["tcp", "tls"];
    ends(
        &at("no-such-host.invalid:7443"),
        "address",
        5,
        "resolver",
        &tail,
    );
    ends(
        &at("127.0.0.2:1"),
        "tcp",
        5,
        "ask ca-demo/vital-events",
        &tail[1..],
    );
    // Somebody else answers there: the registry, and then a port that speaks no TLS.
    let anchor = fs::read_to_string(dir.join("sandbox/registry/anchor.yaml")).unwrap();
    let registry = anchor
        .lines()
        .find(|line| line.contains("127.0.0.1:"))
        .unwrap();
    let other = at(registry.trim_start_matches("  - ").trim_matches('"'));
    ends(&other, "tls", 3, "somebody stands in between", &[]);
    let yaml = "name: witness.commissioner.example\nlisten: 127.0.0.1:0\ndata: ./w/data\n\
                keys: ./w/keys\nanchors: [./sandbox/registry/anchor.yaml]\n";
    fs::create_dir_all(dir.join("w")).unwrap();
    fs::write(dir.join("witness.yaml"), yaml).unwrap();
    let witness = Serving::start(dir, &["witness", "--config", "witness.yaml"]);
    let plain = at(&witness.heard("witness.listening", "endpoint"));
    ends(&plain, "tls", 5, "ask ca-demo/vital-events", &[]);
    // Without any registry there is nothing to follow a name in.
    let site = Site::of(dir, "pensions", "alone");
    fs::remove_dir_all(site.path().join("data/directory")).unwrap();
    site.anchor(|anchor| anchor.replace("127.0.0.1:", "127.0.0.2:"));
    let alone = trace(dir, site.file(), TARGET, &[]);
    assert_eq!(alone.code, 5, "{alone:?}");
    assert_eq!(alone.json()["error"]["reason"], "REGISTRY_UNREACHABLE");
}
