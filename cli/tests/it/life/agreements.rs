//! Agreements that are halted.

use std::path::Path;

use super::{at, until};

pub(super) fn a_suspended_agreement_passes_nothing_until_all_who_halted_it_resume(dir: &Path) {
    let recipient = |args: &[&str]| at(dir, "sandbox/pensions/member.yaml", args);
    let source = |args: &[&str]| at(dir, "sandbox/vital-events/member.yaml", args);
    let suspend = [
        "agreement",
        "suspend",
        "DEMO-001",
        "--reason",
        "SAFEGUARD_BREACH",
    ];
    let resume = ["agreement", "resume", "DEMO-001"];
    // Not the next version, which is only proposed.
    let done = recipient(&[&suspend[..], &["-o", "json"]].concat());
    assert_eq!(done.code, 0, "{done:?}");
    let json = done.json();
    assert!(json["changed"] == true && json["version"] == 1, "{json}");
    assert_eq!(json["state"], "SUSPENDED", "{json}");
    until(dir, Some("AGREEMENT_SUSPENDED"));
    let again = recipient(&[&suspend[..], &["--lang", "fr"]].concat());
    assert_eq!(again.code, 0, "{again:?}");
    assert!(again.out.contains("avait déjà suspendu"), "{again:?}");

    // The other party lifts nothing that is not its own; it may halt it as well.
    let others = source(&[&resume[..], &["--lang", "fr"]].concat());
    assert_eq!(others.code, 3, "{others:?}");
    assert!(
        others.err.contains("adressez-vous à ca-demo/pensions"),
        "{others:?}"
    );
    assert_eq!(source(&suspend).code, 0);
    let half = recipient(&resume);
    assert_eq!(half.code, 0, "{half:?}");
    assert!(
        half.out.contains("still suspended by ca-demo/vital-events"),
        "{half:?}"
    );
    until(dir, Some("AGREEMENT_SUSPENDED"));
    let whole = source(&[&resume[..], &["-o", "json"]].concat()).json();
    assert_eq!(whole["state"], "ACTIVE", "{whole}");
    until(dir, None);
    let again = source(&[&resume[..], &["-o", "json"]].concat());
    assert!(
        again.code == 0 && again.json()["changed"] == false,
        "{again:?}"
    );

    let missing = recipient(&["agreement", "suspend", "DEMO-999"]);
    assert_eq!(missing.code, 4, "{missing:?}");
    let outsider = at(dir, "sandbox/transport/member.yaml", &suspend);
    assert_eq!(outsider.code, 3, "{outsider:?}");
}
