//! Services that are retired.

use std::path::Path;

use super::{at, until};

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
    let not_theirs = at(dir, "sandbox/pensions/member.yaml", &retire);
    assert_eq!(not_theirs.code, 4, "{not_theirs:?}");
    assert!(not_theirs.err.contains("service list"), "{not_theirs:?}");

    // The agreement names the contract by its hash: published again, it is the one that was agreed.
    let contract = "sandbox/vital-events/adapter/vital-events.binpb";
    let system = ["--system", "ca-demo/vital-events/registry"];
    let published = act(&[&["service", "publish", SERVICE, contract][..], &system].concat());
    assert_eq!(published.code, 0, "{published:?}");
    until(dir, None);
}
