//! Services that are retired.

use std::path::Path;
use std::time::Duration;

use entente_clock::Timestamp;

use super::{at, until};
use crate::run::entente;

const SERVICE: &str = "entente.demo.vitalevents.v1.VitalEvents";

pub(super) fn a_retired_service_is_refused_until_it_is_published_again(dir: &Path) {
    let act = |args: &[&str]| at(dir, "sandbox/vital-events/member.yaml", args);
    let retire = ["service", "retire", SERVICE];
    let done = act(&[&retire[..], &["-o", "json"]].concat());
    assert_eq!(done.code, 0, "{done:?}");
    let json = done.json();
    assert!(json["changed"] == true && json["index"].is_u64(), "{json}");
    until(dir, Some("UNKNOWN_SERVICE"));
    let again = act(&[&retire[..], &["--lang", "fr"]].concat());
    assert_eq!(again.code, 0, "{again:?}");
    assert!(again.out.contains("était déjà retiré"), "{again:?}");
    let listed = act(&["service", "list", "-o", "json"]).json();
    assert!(listed["items"][0]["retired"].is_string(), "{listed}");
    let over = act(&["service", "retire", SERVICE, "--from", "2099-04-01"]);
    assert_eq!(over.code, 3, "{over:?}");
    assert!(over.err.contains("service publish"), "{over:?}");
    let not_theirs = at(dir, "sandbox/pensions/member.yaml", &retire);
    assert_eq!(not_theirs.code, 4, "{not_theirs:?}");
    assert!(not_theirs.err.contains("service list"), "{not_theirs:?}");

    // The agreement names the contract by its hash: published again, it is the one that was agreed.
    let contract = "sandbox/vital-events/adapter/vital-events.binpb";
    let system = ["--system", "ca-demo/vital-events/registry"];
    let published = act(&[&["service", "publish", SERVICE, contract][..], &system].concat());
    assert_eq!(published.code, 0, "{published:?}");
    until(dir, None);
    announced(dir);
}

/// A sunset is seen coming, moved and taken back; until it has come calls go on.
fn announced(dir: &Path) {
    let act = |args: &[&str]| at(dir, "sandbox/vital-events/member.yaml", args);
    let retire = |args: &[&str]| act(&[&["service", "retire", SERVICE], args].concat());
    let json = retire(&["--from", "2099-04-01", "-o", "json"]).json();
    assert_eq!(json["retired"], "2099-04-01T00:00:00.000Z", "{json}");
    let again = retire(&["--from", "2099-04-01", "--lang", "fr"]);
    assert_eq!(again.code, 0, "{again:?}");
    assert!(again.out.contains("rien n’a été changé"), "{again:?}");
    let agreement = act(&["agreement", "show", "DEMO-001", "-o", "json"]).json();
    let ends = agreement["document"]["not_after"].as_str().unwrap();
    let ends: Timestamp = ends.parse().unwrap();
    let sunset = ends.saturating_sub(Duration::from_secs(1)).to_string();
    let moved = retire(&["--from", &sunset]);
    assert!(moved.out.contains(&sunset), "{moved:?}");
    let shown = act(&["service", "show", SERVICE]);
    assert!(shown.out.contains(&sunset), "{shown:?}");
    until(dir, None);
    super::wait("a caller's status that says when", || {
        let file = "sandbox/pensions/security-server.yaml";
        let status = entente(dir, &["status", "-c", file, "-o", "json"]).json();
        let ending = &status["agreements"]["services_ending"][0];
        ending["service"] == SERVICE && ending["ends"] == sunset.as_str()
    });
    let bad = retire(&["--from", "soon"]);
    assert_eq!(bad.code, 2, "{bad:?}");
    let kept = retire(&["--cancel", "-o", "json"]).json();
    assert!(
        kept["changed"] == true && kept["retired"].is_null(),
        "{kept}"
    );
    let again = retire(&["--cancel", "-o", "json"]).json();
    assert_eq!(again["changed"], false, "{again}");
}
