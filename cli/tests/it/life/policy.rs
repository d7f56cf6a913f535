//! What the registry asks of everybody.

use std::path::Path;

use super::{REGISTRAR, at, until};

pub(super) fn a_policy_is_shown_and_only_ever_asks_more(dir: &Path) {
    let policy =
        |desk: &str, args: &[&str]| at(dir, desk, &[&["registry", "policy"], args].concat());
    let shown = policy(REGISTRAR, &["-o", "json"]).json();
    assert_eq!(shown["kind"], "registry.policy");
    assert_eq!(shown["validity_hours"], 24, "{shown}");
    assert!(shown["stamped_within_hours"].is_null(), "{shown}");
    let in_words = policy(REGISTRAR, &[]);
    for word in [
        "24 h",
        "15m",
        "128 subjects",
        "X-Wing",
        "AUDIT",
        "No witnesses",
    ] {
        assert!(in_words.out.contains(word), "{word}: {in_words:?}");
    }

    let more = ["--validity", "12h", "--tagged-subjects", "200"];
    let set = policy(REGISTRAR, &[&more[..], &["-o", "json"]].concat());
    assert_eq!(set.code, 0, "{set:?}");
    assert!(set.json()["changed"] == true && set.json()["index"].is_u64());
    // Anybody's verified copy says so; what was not named is as before.
    let shown = policy("sandbox/pensions/member.yaml", &["-o", "json"]).json();
    assert_eq!(shown["validity_hours"], 12, "{shown}");
    assert_eq!(shown["tagged_subjects"], 200, "{shown}");
    assert_eq!(shown["freshness_seconds"], 900, "{shown}");
    let again = policy(REGISTRAR, &more);
    assert_eq!(again.code, 0, "{again:?}");
    assert!(again.out.contains("already"), "{again:?}");
    let french = [
        "--freshness",
        "10m",
        "--stamped-within",
        "24h",
        "--lang",
        "fr",
    ];
    let set = policy(REGISTRAR, &french);
    assert!(
        set.out.contains("la politique est en vigueur") && set.out.contains("horodatage"),
        "{set:?}"
    );

    let less = [
        "--validity",
        "48h",
        "--stamped-within",
        "never",
        "--freshness",
        "1m",
    ];
    let refused = policy(REGISTRAR, &less);
    assert_eq!(refused.code, 3, "{refused:?}");
    let told = "ask less than the one in force: validity, stamped-within;";
    assert!(refused.err.contains(told), "{refused:?}");
    assert!(
        refused.err.contains("quorum of the registrars"),
        "{refused:?}"
    );
    let machine = policy(REGISTRAR, &[&less[..], &["-o", "json"]].concat()).json();
    assert_eq!(machine["error"]["reason"], "AUTHOR_NOT_ALLOWED");
    let french = policy(REGISTRAR, &[&less[..], &["--lang", "fr"]].concat());
    assert!(french.err.contains("demanderait moins"), "{french:?}");

    for (option, value) in [
        ("--validity", "90m"),
        ("--validity", "169h"),
        ("--freshness", "1s"),
        ("--tagged-subjects", "127"),
        ("--stamped-within", "0h"),
        ("--cosigned-within", "2d"),
    ] {
        let refused = policy(REGISTRAR, &[option, value]);
        assert!(
            refused.code == 2 && refused.err.contains("expected"),
            "{refused:?}"
        );
    }
    let no_registrar = policy("sandbox/pensions/member.yaml", &["--validity", "1h"]);
    assert_eq!(no_registrar.code, 2, "{no_registrar:?}");
    until(dir, None);
}
