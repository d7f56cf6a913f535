//! What changes of a registered server.

use std::path::Path;

use super::{Ran, at, entente, until, wait};

const PENSIONS: &str = "ca-demo/pensions/@ss1";
const SOURCE: &str = "ca-demo/vital-events/@ss1";

fn source(dir: &Path, args: &[&str]) -> Ran {
    at(dir, "sandbox/vital-events/member.yaml", args)
}

pub(super) fn what_is_registered_of_a_server_changes_and_the_rest_stays(dir: &Path) {
    let listed = source(dir, &["server", "list", "-o", "json"]).json();
    let items = listed["items"].as_array().unwrap();
    let before = items.iter().find(|item| item["server"] == SOURCE).unwrap();
    let systems = |systems: &[&str]| {
        let update = ["server", "update", SOURCE, "-o", "json"];
        let systems = systems.iter().flat_map(|system| ["--system", system]);
        let ran = source(dir, &update.into_iter().chain(systems).collect::<Vec<_>>());
        assert_eq!(ran.code, 0, "{ran:?}");
        ran.json()
    };
    // Nobody signs for the system any more: it is asked nothing.
    let json = systems(&["ca-demo/vital-events/archive"]);
    assert!(json["changed"] == true && json["index"].is_u64(), "{json}");
    assert_eq!(json["addresses"], before["addresses"], "absent stays");
    until(dir, Some("UNKNOWN_SYSTEM"));
    systems(&[
        "ca-demo/vital-events/registry",
        "ca-demo/vital-events/archive",
    ]);
    until(dir, None);
    let again = systems(&[
        "ca-demo/vital-events/archive",
        "ca-demo/vital-events/registry",
    ]);
    assert_eq!(again["changed"], false, "{again}");

    let address = before["addresses"][0].as_str().unwrap();
    let both = ["--address", address, "--address", "ss1.example.ca:7443"];
    let update = ["server", "update", SOURCE];
    let moved = source(dir, &[&update[..], &both, &["-o", "json"]].concat()).json();
    assert_eq!(moved["addresses"][1], "ss1.example.ca:7443", "{moved}");
    assert_eq!(
        moved["systems"].as_array().map(Vec::len),
        Some(2),
        "{moved}"
    );
    let french = source(dir, &[&update[..], &both, &["--lang", "fr"]].concat());
    assert!(french.out.contains("déjà inscrit ainsi"), "{french:?}");
    until(dir, None);

    assert_eq!(source(dir, &update).code, 2, "something must change");
    let others = source(dir, &["server", "update", PENSIONS, "--address", address]);
    assert_eq!(others.code, 3, "{others:?}");
    let unknown = ["server", "update", "ca-demo/vital-events/@ss9"];
    let unknown = source(dir, &[&unknown[..], &both].concat());
    assert_eq!(unknown.code, 4, "{unknown:?}");
    assert!(unknown.err.contains("server list"), "{unknown:?}");
}

pub(super) fn a_server_whose_sessions_are_revoked_begins_another(dir: &Path) {
    let member = "sandbox/pensions/member.yaml";
    let sessions = || {
        let show = ["log", "show", "sandbox/pensions", "--kind", "SESSION"];
        let shown = entente(
            dir,
            &[&show[..], &["--limit", "0", "-o", "ndjson"]].concat(),
        );
        shown.lines().len()
    };
    let revoke = |args: &[&str]| {
        let revoke = ["server", "sessions-revoke", PENSIONS];
        at(dir, member, &[&revoke[..], args].concat())
    };
    let ahead = revoke(&["--before", "2999-01-01T00:00:00Z"]);
    assert_eq!(ahead.code, 2, "{ahead:?}");
    assert!(ahead.err.contains("leave --before away"), "{ahead:?}");

    let begun = sessions();
    let done = revoke(&["-o", "json"]);
    assert_eq!(done.code, 0, "{done:?}");
    let json = done.json();
    assert!(json["changed"] == true && json["index"].is_u64(), "{json}");
    wait("another session", || sessions() > begun);
    until(dir, None);
    let before = ["--before", json["before"].as_str().unwrap(), "--lang", "fr"];
    let again = revoke(&before);
    assert_eq!(again.code, 0, "{again:?}");
    assert!(again.out.contains("étaient déjà révoquées"), "{again:?}");
    let others = ["server", "sessions-revoke", SOURCE];
    assert_eq!(at(dir, member, &others).code, 3);
}
