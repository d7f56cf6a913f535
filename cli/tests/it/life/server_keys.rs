//! Another TLS key and another HPKE key of a server, by hand.

use std::path::Path;

use super::{Ran, at, entente, until};

const SOURCE: &str = "ca-demo/vital-events/@ss1";
const CONFIG: &str = "sandbox/vital-events/security-server.yaml";

fn new(dir: &Path, key_use: &str, more: &[&str]) -> Ran {
    let new = ["server", "keys", "new", "--use", key_use, "-c", CONFIG];
    let ran = entente(dir, &[&new[..], more].concat());
    assert_eq!(ran.code, 0, "{ran:?}");
    ran
}

fn update(dir: &Path, more: &[&str]) -> Ran {
    let update = ["server", "update", SOURCE, "--keys-of", CONFIG];
    let desk = "sandbox/vital-events/member.yaml";
    at(dir, desk, &[&update[..], more].concat())
}

pub(super) fn keys_of_a_server_follow_others_while_calls_go_on(dir: &Path) {
    let made = ["tls", "hpke"].map(|key_use| {
        let made = new(dir, key_use, &["-o", "json"]).json();
        assert_eq!(made["made"], true, "{made}");
        let again = new(dir, key_use, &["-o", "json"]).json();
        assert_eq!(again["made"], false, "not registered yet: {again}");
        assert_eq!(again["fingerprint"], made["fingerprint"]);
        made
    });
    assert_eq!(made[0]["file"], "tls.2.pem");
    assert_eq!(made[1]["file"], "hpke.2.secret");

    // What is not registered is all that would be left.
    let early = update(dir, &["--drop-old-keys"]);
    assert_eq!(early.code, 3, "{early:?}");

    let registered = update(dir, &["-o", "json"]);
    assert_eq!(registered.code, 0, "{registered:?}");
    let registered = registered.json();
    for (key_use, made) in ["tls", "hpke"].into_iter().zip(&made) {
        let listed = registered[key_use].as_array().unwrap();
        assert_eq!(listed.len(), 2, "{registered}");
        assert_eq!(listed[1], made["fingerprint"], "the newest is last");
    }
    let again = update(dir, &["--lang", "fr"]);
    assert!(again.out.contains("déjà inscrit ainsi"), "{again:?}");
    until(dir, None);

    // The server shows its old key still: without it, peers would refuse it.
    let shown = update(dir, &["--drop-old-keys"]);
    assert_eq!(shown.code, 3, "{shown:?}");
    assert!(shown.err.contains("systemctl restart"), "{shown:?}");
    let french = update(dir, &["--drop-old-keys", "--lang", "fr"]);
    assert!(french.err.contains("redémarrer le serveur"), "{french:?}");

    assert_eq!(entente(dir, &["sandbox", "down"]).code, 0);
    assert_eq!(entente(dir, &["sandbox", "up"]).code, 0);
    until(dir, None);
    let dropped = update(dir, &["--drop-old-keys", "-o", "json"]);
    assert_eq!(dropped.code, 0, "{dropped:?}");
    let dropped = dropped.json();
    for (key_use, made) in ["tls", "hpke"].into_iter().zip(&made) {
        let left = dropped[key_use].as_array().unwrap();
        assert_eq!(left, &[made["fingerprint"].clone()], "{dropped}");
    }
    until(dir, None);
    let again = update(dir, &["--drop-old-keys", "-o", "json"]).json();
    assert_eq!(again["changed"], false, "{again}");
    let kept = update(dir, &["-o", "json"]).json();
    assert_eq!(kept["changed"], false, "what was dropped does not return");
    let doctor = entente(dir, &["doctor", "keys", "-c", CONFIG]);
    assert_eq!(doctor.code, 0, "{doctor:?}");
    assert!(doctor.out.contains("tls.2.pem"), "{doctor:?}");

    let desk = "sandbox/pensions/member.yaml";
    let others = ["server", "update", "ca-demo/pensions/@ss1"];
    let others = at(dir, desk, &[&others[..], &["--keys-of", CONFIG]].concat());
    assert_eq!(others.code, 2, "{others:?}");
    assert!(others.err.contains(SOURCE), "{others:?}");
}
