//! A member's keys.

use std::fs;
use std::path::Path;

use serde_json::Value;

use super::{PENSIONS, REGISTRAR, at, call, until, wait};

const MEMBER: &str = "sandbox/pensions/member.yaml";
const KEYS: &str = "sandbox/pensions/member-keys";

/// The id of a member's newest key of a role, and how many it ever had.
fn newest(dir: &Path, role: &str) -> (String, usize) {
    let listed = at(dir, MEMBER, &["member", "keys", "list", "-o", "json"]).json();
    let items = listed["items"].as_array().unwrap().clone();
    let of_role: Vec<&Value> = items.iter().filter(|key| key["role"] == role).collect();
    let id = of_role.last().unwrap()["key"].as_str().unwrap();
    (id.to_owned(), of_role.len())
}

fn move_key(dir: &Path, from: &str, to: &str) {
    fs::rename(dir.join(from), dir.join(to)).unwrap();
}

pub(super) fn a_member_adds_a_key_works_with_it_and_revokes_the_old_one(dir: &Path) {
    let act = |args: &[&str]| at(dir, MEMBER, args);
    let (old, count) = newest(dir, "officer");
    assert_eq!(count, 1);
    let others = ["member", "keys", "list", PENSIONS, "--lang", "fr"];
    let listed = at(dir, REGISTRAR, &others);
    assert!(
        listed.out.contains("en vigueur") && listed.out.contains(&old),
        "{listed:?}"
    );
    assert_eq!(at(dir, REGISTRAR, &["member", "keys", "list"]).code, 2);

    let add = [
        "member", "keys", "add", "--role", "officer", "--key", "new-keys",
    ];
    let added = act(&[&add[..], &["-o", "json"]].concat());
    assert_eq!(added.code, 0, "{added:?}");
    let json = added.json();
    assert!(json["changed"] == true && json["index"].is_u64(), "{json}");
    assert_eq!(json["file"], "new-keys/officer.2.pem");
    let again = act(&[&add[..], &["--lang", "fr"]].concat());
    assert_eq!(again.code, 0, "{again:?}");
    assert!(again.out.contains("est déjà la clé"), "{again:?}");
    let (new, count) = newest(dir, "officer");
    assert!(count == 2 && json["key"] == new && new != old, "{json}");

    move_key(
        dir,
        "new-keys/officer.2.pem",
        &format!("{KEYS}/officer.2.pem"),
    );
    let revoke = ["member", "keys", "revoke", &old];
    let revoked = act(&[&revoke[..], &["-o", "json"]].concat());
    assert_eq!(revoked.code, 0, "{revoked:?}");
    assert_eq!(revoked.json()["role"], "officer");
    let again = act(&[&revoke[..], &["--lang", "fr"]].concat());
    assert_eq!(again.code, 0, "{again:?}");
    assert!(again.out.contains("était déjà révoquée"), "{again:?}");

    // The old key signs nothing; the new one, beside it in the folder, is taken by itself.
    let v1 = fs::read_to_string(dir.join("sandbox/agreement-v1.yaml")).unwrap();
    assert!(v1.contains("version: 1\n"));
    fs::write(
        dir.join("next.yaml"),
        v1.replace("version: 1\n", "version: 2\n"),
    )
    .unwrap();
    let sign = ["agreement", "sign", "next.yaml"];
    move_key(
        dir,
        &format!("{KEYS}/officer.2.pem"),
        "new-keys/officer.2.pem",
    );
    let refused = act(&[&sign[..], &["-o", "json"]].concat());
    assert_eq!(refused.code, 3, "{refused:?}");
    assert_eq!(refused.json()["error"]["reason"], "KEY_UNKNOWN");
    move_key(
        dir,
        "new-keys/officer.2.pem",
        &format!("{KEYS}/officer.2.pem"),
    );
    let signed = act(&sign);
    assert_eq!(signed.code, 0, "{signed:?}");
    until(dir, None);
}

pub(super) fn a_key_revokes_itself_and_the_last_one_only_by_a_persons_word(dir: &Path) {
    let act = |args: &[&str]| at(dir, MEMBER, args);
    let (old, _) = newest(dir, "member");
    let last = act(&["member", "keys", "revoke", &old]);
    assert_eq!(last.code, 7, "{last:?}");
    assert!(
        last.err.contains("member keys add") && last.err.contains("--yes"),
        "{last:?}"
    );
    let unknown = act(&["member", "keys", "revoke", "0000000000000000"]);
    assert_eq!(unknown.code, 4, "{unknown:?}");
    assert!(unknown.err.contains("member keys list"), "{unknown:?}");
    let add = [
        "member",
        "keys",
        "add",
        "--role",
        "member",
        "--key",
        "more-keys",
    ];

    // Nobody adds a key without the recovery key; whoever holds a key can end it.
    move_key(dir, &format!("{KEYS}/recovery.1.pem"), "recovery.1.pem");
    let refused = act(&add);
    assert_eq!(refused.code, 2, "{refused:?}");
    assert!(refused.err.contains("recovery key"), "{refused:?}");
    move_key(dir, "recovery.1.pem", &format!("{KEYS}/recovery.1.pem"));
    let added = act(&[&add[..], &["-o", "json"]].concat());
    assert_eq!(added.code, 0, "{added:?}");
    move_key(dir, &format!("{KEYS}/recovery.1.pem"), "recovery.1.pem");
    let revoked = act(&["member", "keys", "revoke", &old]);
    assert_eq!(revoked.code, 0, "{revoked:?}");
    let (new, _) = newest(dir, "member");
    let away = act(&["member", "keys", "revoke", &new, "--yes", "--lang", "fr"]);
    assert_eq!(away.code, 2, "{away:?}");
    assert!(away.err.contains("clé de recouvrement"), "{away:?}");
    move_key(dir, "recovery.1.pem", &format!("{KEYS}/recovery.1.pem"));
    move_key(
        dir,
        "more-keys/member.2.pem",
        &format!("{KEYS}/member.2.pem"),
    );

    // What is sealed from now on is sealed by the new key, though the old one lies beside it.
    let asked = call(dir).json();
    let id = asked["transaction"].as_str().unwrap();
    let export = ["log", "export", id, "--ledger", "sandbox/pensions"];
    let sealed = [
        "--seal-key",
        KEYS,
        "--no-timestamp",
        "--out",
        "by-new.asice",
    ];
    wait("a checkpoint that reaches the exchange", || {
        let made = act(&[&export[..], &sealed].concat());
        assert!(
            made.code == 0 || made.err.contains("checkpoint"),
            "{made:?}"
        );
        made.code == 0
    });
    let verified = act(&["log", "verify", "by-new.asice", "-o", "json"]);
    assert_eq!(verified.code, 0, "{verified:?}");
    let json = verified.json();
    let mut proven = json["proven"].as_array().unwrap().iter();
    let bound = proven.find(|item| item["what"] == "seal-bound").unwrap();
    assert_eq!(bound["registry_index"], added.json()["index"], "{json}");
}
