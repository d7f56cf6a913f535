//! What two registrars decide together, each at a desk of their own.

use std::fs;
use std::path::Path;

use crate::doctor::site::Serving;
use crate::run::{Ran, entente};
use crate::two::address;

/// A desk whose key folder is its own, of a registry that runs elsewhere.
pub(crate) fn desk(dir: &Path, listen: &str) {
    fs::create_dir_all(dir).unwrap();
    let yaml = format!(
        "jurisdiction: ca-demo-on\nlisten: {listen}\ndata: ./none\nkeys: ./keys\n\
         anchor: ../registry/anchor.yaml\n"
    );
    fs::write(dir.join("registry.yaml"), yaml).unwrap();
}

#[test]
fn two_registrars_decide_together_and_what_weakens_has_notice() {
    let dir = tempfile::tempdir().unwrap();
    let (first, second) = (dir.path().join("registry"), dir.path().join("second"));
    let listen = address();
    fs::create_dir_all(&first).unwrap();
    desk(&second, &listen);
    let run =
        |at: &Path, args: &[&str]| entente(at, &[args, &["--config", "registry.yaml"]].concat());
    let does = |at: &Path, args: &[&str]| {
        let ran = run(at, &[args, &["-o", "json"]].concat());
        assert_eq!(ran.code, 0, "{args:?}: {ran:?}");
        ran.json()
    };
    let own = does(&second, &["registry", "registrars", "--own"]);
    let key = own["key"].as_str().unwrap();
    let init = [
        "registry",
        "init",
        "--jurisdiction",
        "ca-demo-on",
        "--listen",
        &listen,
    ];
    let both = ["--registrar", key, "--quorum", "2"];
    does(&first, &[&init[..], &both].concat());
    let serving = Serving::start(&first, &["registry", "--config", "registry.yaml"]);
    serving.hears("registry.started");
    let shown = does(&first, &["registry", "registrars"]);
    assert_eq!(shown["items"][1]["key"], key, "{shown}");

    // To ask for more takes one; what the policy names, both.
    let policy = does(&first, &["registry", "policy", "--quorum-act", "Recognise"]);
    assert!(policy["proposal"].is_null(), "{policy}");
    let other = dir.path().join("other");
    fs::create_dir_all(&other).unwrap();
    let elsewhere = [
        "registry",
        "init",
        "--jurisdiction",
        "ca-demo-qc",
        "--listen",
        "127.0.0.1:9",
    ];
    let other_genesis = does(&other, &elsewhere)["genesis"]
        .as_str()
        .unwrap()
        .to_owned();
    let trust = [
        "trust",
        "add",
        "../other/anchor.yaml",
        "--fingerprint",
        &other_genesis,
    ];
    let added = does(&first, &trust);
    let proposal = added["proposal"].as_str().unwrap().to_owned();
    let standing = || {
        does(&first, &["trust", "list"])["items"]
            .as_array()
            .unwrap()
            .len()
    };
    assert_eq!(standing(), 0, "one is not two");
    let listed = does(&second, &["registry", "proposals"]);
    assert_eq!(listed["items"][0]["what"], "Recognise", "{listed}");
    assert_eq!(listed["items"][0]["agreed"], "1/2", "{listed}");
    let again = run(&first, &["registry", "approve", &proposal]);
    assert!(
        again.code == 0 && again.out.contains("had agreed already"),
        "{again:?}"
    );
    let agreed = does(&second, &["registry", "approve", &proposal]);
    assert!(agreed["in_effect"] == true, "{agreed}");
    assert_eq!(standing(), 1);
    let gone = run(&second, &["registry", "approve", &proposal]);
    assert_eq!(gone.code, 4, "{gone:?}");
    assert!(gone.err.contains("entente registry proposals"), "{gone:?}");

    // Asking less is proposed on purpose, and has notice even when all agree.
    let weaker = ["registry", "policy", "--validity", "48h"];
    let refused: Ran = run(&first, &weaker);
    assert!(
        refused.code == 3 && refused.err.contains("--propose"),
        "{refused:?}"
    );
    let proposed = does(&first, &[&weaker[..], &["--propose"]].concat());
    let proposal = proposed["proposal"].as_str().unwrap().to_owned();
    let agreed = does(&second, &["registry", "approve", &proposal]);
    assert!(
        agreed["in_effect"] == false && agreed["effective"].is_string(),
        "{agreed}"
    );
    let shown = does(&second, &["registry", "policy"]);
    assert_eq!(shown["validity_hours"], 24, "{shown}");
    let french = run(
        &second,
        &["registry", "withdraw", &proposal, "--lang", "fr"],
    );
    assert!(
        french.code == 0 && french.out.contains("est retirée"),
        "{french:?}"
    );
    let none = run(&first, &["registry", "proposals"]);
    assert!(none.err.contains("Nothing is proposed"), "{none:?}");

    // The key that lies on the server is no registrar's.
    let keys = first.join("keys");
    fs::rename(
        keys.join("registrar.operator.pem"),
        dir.path().join("away.pem"),
    )
    .unwrap();
    fs::copy(
        keys.join("registrar.state.pem"),
        keys.join("registrar.operator.pem"),
    )
    .unwrap();
    let thief = run(&first, &["trust", "suspend", "ca-demo-qc", "-o", "json"]);
    assert_eq!(thief.code, 3, "{thief:?}");
    assert_eq!(thief.json()["error"]["reason"], "AUTHOR_NOT_ALLOWED");
}
