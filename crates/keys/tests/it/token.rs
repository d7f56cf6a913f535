//! Tokens of local systems.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

use entente_keys::{LocalToken, TokenError};

#[test]
fn a_token_file_is_private_and_proves_its_holder() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("payments.token");
    let made = LocalToken::create(&path).unwrap();
    let mode = fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let loaded = LocalToken::load(&path).unwrap();
    assert!(loaded.matches(made.expose()));
    assert_eq!(made.expose().len(), "entente_".len() + 64);
    for wrong in [
        "",
        "entente_",
        &made.expose()[1..],
        &made.expose().to_uppercase(),
    ] {
        assert!(!loaded.matches(wrong));
    }
    assert!(LocalToken::create(&path).is_err());
    assert_eq!(format!("{made:?}"), "LocalToken(..)");
}

#[test]
fn refuses_a_token_file_open_to_others_or_holding_something_else() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t");
    LocalToken::create(&path).unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
    assert!(matches!(
        LocalToken::load(&path),
        Err(TokenError::NotPrivate { .. })
    ));
    fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
    for content in [
        "",
        "secret",
        "entente_00",
        &format!("entente_{}", "g".repeat(64)),
    ] {
        fs::write(&path, content).unwrap();
        let refused = LocalToken::load(&path);
        assert!(matches!(refused, Err(TokenError::Malformed { .. })));
    }
}
