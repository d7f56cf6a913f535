//! A member's key in a PKCS#11 token, SoftHSM2, that seals bundles.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use crate::run::{entente, entente_with};

const PIN: &str = "83152647";
/// Where Debian puts it.
const MODULE: &str = "/usr/lib/softhsm/libsofthsm2.so";

fn softhsm(dir: &Path, args: &[&str]) {
    let done = Command::new("softhsm2-util")
        .args(args)
        .current_dir(dir)
        .env("SOFTHSM2_CONF", dir.join("softhsm.conf"))
        .output()
        .expect("softhsm2-util is among what the tests need");
    assert!(done.status.success(), "{done:?}");
}

#[test]
fn a_members_key_in_a_token_seals_a_bundle() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    assert_eq!(entente(dir, &["demo"]).code, 0);
    fs::create_dir(dir.join("tokens")).unwrap();
    let conf = format!(
        "directories.tokendir = {}\nobjectstore.backend = file\n",
        dir.join("tokens").display()
    );
    fs::write(dir.join("softhsm.conf"), conf).unwrap();
    let pins = ["--pin", PIN, "--so-pin", PIN];
    let init = ["--init-token", "--free", "--label", "entente"];
    softhsm(dir, &[&init[..], &pins].concat());
    // The same key: its owner moves it into the token.
    let file = "sandbox/pensions/member-keys/member.1.pem";
    let import = ["--import", file, "--token", "entente", "--label", "member"];
    softhsm(dir, &[&import[..], &["--id", "01", "--pin", PIN]].concat());
    fs::remove_file(dir.join(file)).unwrap();
    let pin = dir.join("pin");
    fs::write(&pin, format!("{PIN}\n")).unwrap();
    fs::set_permissions(&pin, fs::Permissions::from_mode(0o600)).unwrap();

    let site = "sandbox/pensions";
    let shown = entente(dir, &["log", "show", site, "--kind", "IN", "-o", "ndjson"]);
    let id = shown.lines()[0]["transaction"].as_str().unwrap().to_owned();
    let key = format!(
        "pkcs11:token=entente;object=member?module-path={MODULE}&pin-source={}",
        pin.display()
    );
    let export = ["log", "export", &id, "--ledger", site, "--seal-key", &key];
    let conf = dir.join("softhsm.conf");
    let environment = [("SOFTHSM2_CONF", conf.to_str().unwrap())];
    let out = ["--out", "sealed.asice", "-o", "json"];
    let made = entente_with(dir, &[&export[..], &out].concat(), &environment);
    assert_eq!(made.code, 0, "{made:?}");
    assert_eq!(made.json()["sealed_by"], "ca-demo/pensions");
    assert!(!format!("{made:?}").contains(PIN));
    let config = ["--config", "sandbox/pensions/member.yaml"];
    let verified = entente(
        dir,
        &[&["log", "verify", "sealed.asice"][..], &config].concat(),
    );
    assert_eq!(verified.code, 0, "{verified:?}");
    assert!(
        verified.out.contains("ca-demo/pensions sealed"),
        "{verified:?}"
    );
    // Without its token there is no seal, and nothing is written.
    let away = entente(dir, &[&export[..], &["--out", "none.asice"]].concat());
    assert!(
        away.code != 0 && !dir.join("none.asice").exists(),
        "{away:?}"
    );
}
