//! Mandates of bodies of oversight.

use std::path::Path;
use std::time::Duration;

use entente_clock::{Clock as _, SystemClock};

use super::{REGISTRAR, at};

const BODY: &str = "ca-demo/vital-events";

pub(super) fn a_mandate_is_granted_listed_and_ended(dir: &Path) {
    let act = |args: &[&str]| at(dir, REGISTRAR, args);
    let day = |days: u64| {
        let later = Duration::from_secs(days * 24 * 3600);
        SystemClock.now().saturating_add(later).day().to_string()
    };
    let (begins, ends, beyond) = (SystemClock.now().day().to_string(), day(400), day(2000));
    let law = ["--basis-en", "Privacy Act", "--basis-fr", "Loi"];
    let grant = |until: &str, more: &[&str]| {
        let args = ["mandate", "grant", BODY, "--member", "ca-demo/pensions"];
        act(&[&args[..], &["--until", until], &law, more].concat())
    };
    let none = act(&["mandate", "end", BODY]);
    assert_eq!(none.code, 4, "{none:?}");
    assert!(none.err.contains("mandate list"), "{none:?}");
    let from = ["--from", &begins, "-o", "json"];
    let done = grant(&ends, &from);
    assert_eq!(done.code, 0, "{done:?}");
    assert_eq!(done.json()["changed"], true, "{done:?}");
    let again = grant(&ends, &["--from", &begins, "--lang", "fr"]);
    assert!(again.out.contains("a déjà ce mandat"), "{again:?}");
    let listed = act(&["mandate", "list", "-o", "json"]).json();
    let item = &listed["items"][0];
    assert_eq!(item["body"], BODY, "{listed}");
    assert_eq!(item["standing"], "active", "{listed}");
    assert_eq!(item["members"][0], "ca-demo/pensions", "{listed}");
    assert_eq!(item["basis"]["fr"], "Loi", "{listed}");

    // Longer than five years; a stranger; a text that would break a line.
    assert_ne!(grant(&beyond, &from).code, 0);
    let stranger = ["mandate", "grant", "ca-demo/nobody", "--until", &ends];
    let stranger = act(&[&stranger[..], &law].concat());
    assert_eq!(stranger.code, 4, "{stranger:?}");
    let broken = ["mandate", "grant", BODY, "--until", &ends];
    let broken = act(&[&broken[..], &["--basis-en", "a\nb", "--basis-fr", "Loi"]].concat());
    assert_eq!(broken.code, 2, "{broken:?}");

    let end = ["mandate", "end", BODY, "--reason", "INQUIRY_CLOSED"];
    let ended = act(&[&end[..], &["-o", "json"]].concat()).json();
    assert_eq!(ended["changed"], true, "{ended}");
    let again = act(&[&end[..], &["-o", "json"]].concat()).json();
    assert_eq!(again["changed"], false, "{again}");
    let listed = act(&["mandate", "list", "-o", "json"]).json();
    assert_eq!(listed["items"][0]["standing"], "ended", "{listed}");
    assert_eq!(listed["items"][0]["reason"], "INQUIRY_CLOSED", "{listed}");
}
