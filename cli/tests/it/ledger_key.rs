//! Another ledger key for a registry, by registrars at desks of their own.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::doctor::site::Serving;
use crate::registrars::desk;
use crate::run::{Ran, entente};
use crate::two::address;

const CONFIG: [&str; 2] = ["--config", "registry.yaml"];

fn run(at: &Path, args: &[&str]) -> Ran {
    entente(at, &[args, &CONFIG].concat())
}

fn does(at: &Path, args: &[&str]) -> Value {
    let ran = run(at, &[args, &["-o", "json"]].concat());
    assert_eq!(ran.code, 0, "{args:?}: {ran:?}");
    ran.json()
}

fn ledger_key(at: &Path, args: &[&str]) -> Value {
    does(at, &[&["registry", "ledger-key"], args].concat())
}

/// The one of the listed keys that stands so.
fn standing(at: &Path, standing: &str) -> Option<Value> {
    let shown = ledger_key(at, &["show"]);
    let items = shown["items"].as_array().unwrap();
    let mut found = items.iter().filter(|item| item["standing"] == standing);
    found.next_back().cloned()
}

#[test]
fn a_planned_pivot_and_a_lost_key_are_decided_by_two_registrars() {
    let dir = tempfile::tempdir().unwrap();
    let (first, second) = (dir.path().join("registry"), dir.path().join("second"));
    let listen = address();
    fs::create_dir_all(&first).unwrap();
    desk(&second, &listen);
    let own = does(&second, &["registry", "registrars", "--own"]);
    let key = own["key"].as_str().unwrap();
    let init = ["registry", "init", "--jurisdiction", "ca-demo-on"];
    let both = ["--listen", &listen, "--registrar", key, "--quorum", "2"];
    does(&first, &[&init[..], &both].concat());
    let serving = Serving::start(&first, &["registry", "--config", "registry.yaml"]);
    serving.hears("registry.started");
    let old = standing(&second, "in_office").unwrap();
    assert!(old["here"] == false, "a registrar's desk holds none");
    assert!(standing(&first, "in_office").unwrap()["here"] == true);

    // Nothing to propose yet; then the next key, the same however often it is asked for.
    let none = run(&first, &["registry", "ledger-key", "propose"]);
    assert_eq!(none.code, 4, "{none:?}");
    assert!(none.err.contains("ledger-key new"), "{none:?}");
    let made = ledger_key(&first, &["new"]);
    let fingerprint = made["fingerprint"].as_str().unwrap();
    assert_eq!(made["label"], "changes-2", "{made}");
    assert_eq!(ledger_key(&first, &["new"])["fingerprint"], fingerprint);
    assert_eq!(
        standing(&first, "next").unwrap()["fingerprint"],
        fingerprint
    );

    // Proposed at the second desk, by what the registry's server printed; agreed to at the first.
    let offer = ledger_key(&first, &["offer"])["offer"]
        .as_str()
        .unwrap()
        .to_owned();
    let torn = run(
        &second,
        &["registry", "ledger-key", "propose", "--offer", &offer[1..]],
    );
    assert_eq!(torn.code, 2, "{torn:?}");
    let proposed = ledger_key(
        &second,
        &["propose", "--offer", &offer, "--reason", "YEARLY"],
    );
    assert!(proposed["in_effect"] == false, "{proposed}");
    let again = ledger_key(&second, &["propose", "--offer", &offer]);
    assert!(again["changed"] == false, "{again}");
    let tabled = standing(&first, "proposed").unwrap();
    assert_eq!(tabled["fingerprint"], fingerprint);
    assert_eq!(tabled["agreed"], "1/2");
    assert_eq!(tabled["proposal"], proposed["proposal"]);
    let agreed = ledger_key(&first, &["propose"]);
    assert!(agreed["in_effect"] == true, "{agreed}");
    assert_eq!(
        standing(&second, "in_office").unwrap()["fingerprint"],
        fingerprint
    );
    assert_eq!(
        standing(&second, "former").unwrap()["fingerprint"],
        old["fingerprint"]
    );
    let french = run(
        &first,
        &["registry", "ledger-key", "propose", "--lang", "fr"],
    );
    assert_eq!(french.code, 4, "{french:?}");
    assert!(french.err.contains("aucune clé"), "{french:?}");

    // Newcomers get an anchor that names it.
    let anchor = ledger_key(&first, &["anchor", "--to", "new.yaml"]);
    let shown = does(&first, &["registry", "show"]);
    assert_eq!(anchor["ledger"], shown["ledger"]);
    let (old_anchor, new_anchor) = ("anchor.yaml", "new.yaml");
    let read = |name: &str| fs::read_to_string(first.join(name)).unwrap();
    assert_ne!(read(old_anchor), read(new_anchor));
    let sound = run(&first, &["log", "verify", "data/ledger"]);
    assert_eq!(sound.code, 0, "{sound:?}");

    // The key is lost: the registry starts with the next one and signs nothing.
    drop(serving);
    fs::remove_file(first.join("keys/ledger.changes-2.pem")).unwrap();
    let refused = run(&first, &["serve", "registry"]);
    assert!(
        refused.code != 0 && refused.err.contains("LEDGER_KEY_MISSING"),
        "{refused:?}"
    );
    let made = ledger_key(&first, &["new"]);
    assert_eq!(made["label"], "changes-3", "{made}");
    let serving = Serving::start(&first, &["registry", "--config", "registry.yaml"]);
    serving.hears("ledger.key_missing");
    serving.hears("registry.started");
    let refused = run(
        &first,
        &["registry", "policy", "--validity", "12h", "-o", "json"],
    );
    assert_eq!(
        refused.json()["error"]["reason"],
        "LEDGER_KEY_MISSING",
        "{refused:?}"
    );
    let french = ["registry", "policy", "--validity", "12h", "--lang", "fr"];
    let french = run(&first, &french);
    assert!(french.err.contains("clé du journal"), "{french:?}");
    let proposed = ledger_key(&first, &["propose", "--reason", "KEY_LOST"]);
    let proposal = proposed["proposal"].as_str().unwrap().to_owned();
    let listed = does(&second, &["registry", "proposals"]);
    assert_eq!(
        listed["items"][0]["proposal"],
        proposal.as_str(),
        "{listed}"
    );
    assert_eq!(
        standing(&second, "proposed").unwrap()["fingerprint"],
        made["fingerprint"]
    );
    let agreed = does(&second, &["registry", "approve", &proposal]);
    assert!(agreed["in_effect"] == true, "{agreed}");
    let policy = does(&first, &["registry", "policy", "--validity", "12h"]);
    assert!(policy["index"].is_number(), "{policy}");
    let shown = standing(&second, "in_office").unwrap();
    assert_eq!(shown["fingerprint"], made["fingerprint"]);
    let doctor = run(&first, &["doctor", "keys", "-o", "json"]);
    assert!(!doctor.out.contains("DoctorKeyUnlisted"), "{doctor:?}");
}
