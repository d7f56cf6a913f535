//! The key folder.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use entente_keys::{KeyKind, KeyStore, KeyStoreError, KeyUse, Secret};
use entente_reason::Reason;
use entente_signing::{Algorithm, P256Key, Signer};

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn open(folder: &Path) -> KeyStore {
    KeyStore::open(folder.join("keys")).unwrap()
}

#[test]
fn keeps_each_key_under_its_use_and_gives_it_back() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    for key_use in KeyUse::ALL {
        match key_use.algorithm() {
            Some(algorithm) => {
                let made = store.generate(key_use, "one").unwrap();
                assert_eq!(made.verifying_key().algorithm(), algorithm);
                let loaded = open(folder.path()).load(key_use, "one").unwrap();
                assert_eq!(loaded.verifying_key(), made.verifying_key());
                let signature = loaded.sign(b"message").unwrap();
                made.verifying_key().verify(b"message", &signature).unwrap();
            }
            None => {
                let made = store.generate_secret(key_use, "one").unwrap();
                assert_eq!(store.load_secret(key_use, "one").unwrap(), made);
            }
        }
    }
    let listed = store.list().unwrap();
    assert_eq!(listed.len(), KeyUse::ALL.len());
    assert!(listed.iter().all(|entry| entry.label == "one"));
}

#[test]
fn is_private_down_to_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    store.generate(KeyUse::Server, "ss1").unwrap();
    assert_eq!(mode(store.folder()), 0o700);
    for file in fs::read_dir(store.folder()).unwrap() {
        assert_eq!(mode(&file.unwrap().path()), 0o600);
    }
}

#[test]
fn refuses_a_key_or_folder_open_to_others() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    store.generate(KeyUse::Server, "ss1").unwrap();
    let file = store.folder().join("server.ss1.pem");
    fs::set_permissions(&file, Permissions::from_mode(0o640)).unwrap();
    assert!(matches!(
        store.load(KeyUse::Server, "ss1"),
        Err(KeyStoreError::NotPrivate { .. })
    ));
    fs::set_permissions(store.folder(), Permissions::from_mode(0o755)).unwrap();
    assert!(matches!(
        KeyStore::open(store.folder()),
        Err(KeyStoreError::NotPrivate { .. })
    ));
}

#[test]
fn refuses_a_folder_of_others_in_it_that_is_open_to_others() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let kek = store.within("kek").unwrap();
    fs::create_dir(&kek).unwrap();
    for (mode, is_refused) in [(0o700, false), (0o750, true), (0o701, true)] {
        fs::set_permissions(&kek, Permissions::from_mode(mode)).unwrap();
        let looked = store.within("kek");
        let refused = matches!(looked, Err(KeyStoreError::NotPrivate { .. }));
        assert_eq!(refused, is_refused, "{mode:o}");
    }
}

#[test]
fn never_replaces_a_key_in_place() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let first = store.generate(KeyUse::Ledger, "2026h2").unwrap();
    assert!(matches!(
        store.generate(KeyUse::Ledger, "2026h2"),
        Err(KeyStoreError::Exists { .. })
    ));
    let again = store.load_or_generate(KeyUse::Ledger, "2026h2").unwrap();
    assert_eq!(again.verifying_key(), first.verifying_key());
}

#[test]
fn one_key_has_one_use() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let pkcs8 = P256Key::generate().unwrap().to_pkcs8_der().unwrap();
    store.import(KeyUse::Member, "m", &pkcs8).unwrap();
    let error = store.import(KeyUse::Officer, "o", &pkcs8).unwrap_err();
    assert!(matches!(&error, KeyStoreError::Reused { name } if name == "member.m"));
    assert_eq!(error.reason(), Reason::KeyReused);
}

#[test]
fn refuses_a_key_of_another_kind_than_its_use() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let p256 = P256Key::generate().unwrap();
    assert_eq!(p256.verifying_key().algorithm(), Algorithm::P256);
    let pkcs8 = p256.to_pkcs8_der().unwrap();
    for refused in [
        store.import(KeyUse::Ledger, "l", &pkcs8).map(|_| ()),
        store.import(KeyUse::Hpke, "h", &pkcs8).map(|_| ()),
        store.generate(KeyUse::Kek, "k").map(|_| ()),
        store.generate_secret(KeyUse::Server, "s").map(|_| ()),
        store.load_secret(KeyUse::Server, "s").map(|_| ()),
        store
            .import_secret(KeyUse::Kek, "k", Secret::new(vec![1; 8].into()))
            .map(|_| ()),
    ] {
        assert!(matches!(refused, Err(KeyStoreError::WrongKind(_))));
    }
    // A file renamed into another use is no key of that use.
    store.import(KeyUse::Tls, "t", &pkcs8).unwrap();
    let renamed = store.folder().join("ledger.t.pem");
    fs::rename(store.folder().join("tls.t.pem"), renamed).unwrap();
    assert!(matches!(
        store.load(KeyUse::Ledger, "t"),
        Err(KeyStoreError::Malformed { .. })
    ));
}

#[test]
fn labels_cannot_leave_the_folder() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    for label in ["", "..", "a/b", "a.b", "A", "é", &"x".repeat(64)] {
        assert!(matches!(
            store.generate(KeyUse::Tls, label),
            Err(KeyStoreError::Label)
        ));
    }
}

#[test]
fn a_destroyed_key_is_gone_from_the_folder() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    store.generate_secret(KeyUse::Hpke, "2026-47").unwrap();
    store.destroy(KeyUse::Hpke, "2026-47").unwrap();
    let error = store.load_secret(KeyUse::Hpke, "2026-47").unwrap_err();
    assert!(matches!(error, KeyStoreError::Missing { .. }));
    assert_eq!(error.reason(), Reason::KeyUnknown);
    assert!(matches!(
        store.destroy(KeyUse::Hpke, "2026-47"),
        Err(KeyStoreError::Missing { .. })
    ));
    assert!(store.list().unwrap().is_empty());
}

#[test]
fn an_interrupted_destruction_leaves_no_usable_key() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    store.generate_secret(KeyUse::Kek, "a").unwrap();
    store.generate(KeyUse::Tls, "b").unwrap();
    for name in ["kek.a.secret", "tls.b.pem"] {
        let path = store.folder().join(name);
        let length = fs::metadata(&path).unwrap().len() as usize;
        fs::write(&path, vec![0; length]).unwrap();
    }
    assert!(store.load_secret(KeyUse::Kek, "a").is_err());
    assert!(store.load(KeyUse::Tls, "b").is_err());
}

#[test]
fn makes_keys_while_others_open_the_folder() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let (made, opened) = (AtomicBool::new(false), AtomicUsize::new(0));
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !made.load(Ordering::Relaxed) {
                    open(folder.path());
                    opened.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        let make = || {
            (0..100).try_for_each(|number| {
                let made = store.generate_secret(KeyUse::Tag, &number.to_string());
                made.map(drop)
            })
        };
        let all = make();
        made.store(true, Ordering::Relaxed);
        all.unwrap();
    });
    assert!(opened.into_inner() > 0);
}

#[test]
fn sweeps_what_a_crash_left_and_passes_over_other_files() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    fs::write(store.folder().join(".tmp-00"), b"half a key").unwrap();
    fs::write(store.folder().join("README"), b"mine").unwrap();
    let store = open(folder.path());
    assert!(!store.folder().join(".tmp-00").exists());
    assert!(store.list().unwrap().is_empty());
}

#[test]
fn refuses_a_folder_of_a_newer_format() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    fs::write(store.folder().join("FORMAT"), "entente-keys 2\n").unwrap();
    assert!(matches!(
        KeyStore::open(store.folder()),
        Err(KeyStoreError::Format { .. })
    ));
}

#[test]
fn refuses_damaged_key_files_without_a_panic() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let key = store.generate(KeyUse::Server, "ss1").unwrap();
    let path = store.folder().join("server.ss1.pem");
    let good = fs::read(&path).unwrap();
    for length in 0..good.len() - 1 {
        fs::write(&path, &good[..length]).unwrap();
        assert!(store.load(KeyUse::Server, "ss1").is_err());
    }
    for index in 0..good.len() {
        let mut bad = good.clone();
        bad[index] ^= 1;
        fs::write(&path, &bad).unwrap();
        // Where a changed byte still parses, it is the same key pair or none.
        if let Ok(loaded) = store.load(KeyUse::Server, "ss1") {
            assert_eq!(loaded.verifying_key(), key.verifying_key());
        }
    }
}

#[test]
fn nothing_prints_a_secret() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let secret = store.generate_secret(KeyUse::Tag, "t").unwrap();
    assert_eq!(format!("{secret:?}"), "Secret(..)");
    store.generate(KeyUse::Server, "ss1").unwrap();
    let pem = fs::read_to_string(store.folder().join("server.ss1.pem")).unwrap();
    let body = pem.lines().nth(1).unwrap();
    let shown = format!(
        "{store:?} {:?} {:?}",
        store.list().unwrap(),
        store.load(KeyUse::Server, "ss1").unwrap()
    );
    assert!(!shown.contains(body));
    let listed = store.list().unwrap();
    assert!(listed.iter().any(|e| e.kind == KeyKind::Secret));
}
