//! How memberships stand.

use std::path::Path;

use super::{PENSIONS, REGISTRAR, at, until};

const TRANSPORT: &str = "ca-demo/transport";

pub(super) fn a_suspended_member_is_refused_until_it_is_resumed(dir: &Path) {
    let act = |args: &[&str]| at(dir, REGISTRAR, args);
    let suspend = [
        "member",
        "suspend",
        PENSIONS,
        "--reason",
        "SAFEGUARD_BREACH",
    ];
    let done = act(&[&suspend[..], &["-o", "json"]].concat());
    assert_eq!(done.code, 0, "{done:?}");
    let json = done.json();
    assert_eq!(json["kind"], "member.suspended");
    assert!(json["changed"] == true && json["index"].is_u64(), "{json}");
    until(dir, Some("MEMBER_SUSPENDED"));

    let again = act(&[&suspend[..], &["-o", "json"]].concat());
    assert_eq!(again.code, 0, "{again:?}");
    let json = again.json();
    assert!(
        json["changed"] == false && json["index"].is_null(),
        "{json}"
    );
    let french = act(&[&suspend[..], &["--lang", "fr"]].concat());
    assert!(french.out.contains("était déjà suspendu"), "{french:?}");

    let resume = ["member", "resume", PENSIONS];
    let done = act(&[&resume[..], &["--lang", "fr"]].concat());
    assert!(done.out.contains("n’est plus suspendu"), "{done:?}");
    until(dir, None);
    let again = act(&resume);
    assert_eq!(again.code, 0, "{again:?}");
    assert!(again.out.contains("was not suspended"), "{again:?}");

    // No code, nobody, and nobody's right.
    let free_text = act(&["member", "suspend", PENSIONS, "--reason", "Mr. Roy did it"]);
    assert!(free_text.code == 2 && free_text.err.contains("SAFEGUARD_BREACH"));
    let unknown = act(&["member", "suspend", "ca-demo/nobody"]);
    assert_eq!(unknown.code, 4, "{unknown:?}");
    assert!(unknown.err.contains("entente member list"), "{unknown:?}");
    let member = at(dir, "sandbox/transport/member.yaml", &suspend);
    assert_eq!(
        member.code, 2,
        "a member's file is no registrar's: {member:?}"
    );
}

pub(super) fn an_ended_membership_stays_ended(dir: &Path) {
    let act = |args: &[&str]| at(dir, REGISTRAR, args);
    let end = ["member", "end", TRANSPORT];
    let asked = act(&end);
    assert_eq!(asked.code, 7, "{asked:?}");
    assert!(asked.err.contains("--yes") && asked.err.contains("servers: 1"));
    let listed = act(&["member", "list", "-o", "json"]).json();
    let standing = |listed: &serde_json::Value| {
        let items = listed["items"].as_array().unwrap().clone();
        let item = items.iter().find(|item| item["member"] == TRANSPORT);
        item.unwrap()["standing"].as_str().unwrap().to_owned()
    };
    assert_eq!(standing(&listed), "active", "nothing was ended");

    let done = act(&["member", "end", TRANSPORT, "--yes", "-o", "json"]);
    assert_eq!(done.json()["kind"], "member.ended", "{done:?}");
    assert_eq!(
        standing(&act(&["member", "list", "-o", "json"]).json()),
        "ended"
    );
    // Again needs no --yes: there is nothing left to end.
    let again = act(&[&end[..], &["--lang", "fr"]].concat());
    assert_eq!(again.code, 0, "{again:?}");
    assert!(again.out.contains("avait déjà pris fin"), "{again:?}");
    let back = act(&["member", "resume", TRANSPORT]);
    assert_eq!(back.code, 3, "{back:?}");
    assert!(back.err.contains("member apply"), "{back:?}");
}
