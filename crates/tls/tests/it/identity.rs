//! Identities from keys and files.

use std::fs;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use entente_signing::{Ed25519Key, P256Key, Signer};
use entente_tls::{Identity, IdentityError};

use crate::p256;

fn pem(label: &str, der: &[u8]) -> String {
    let body = STANDARD.encode(der);
    format!("-----BEGIN {label}-----\n{body}\n-----END {label}-----\n")
}

fn write(folder: &Path, name: &str, content: impl AsRef<[u8]>) -> std::path::PathBuf {
    let path = folder.join(name);
    fs::write(&path, content).unwrap();
    path
}

#[test]
fn reads_certificate_and_key_as_pem_or_der() {
    let folder = tempfile::tempdir().unwrap();
    let key = P256Key::generate().unwrap();
    let pkcs8 = key.to_pkcs8_der().unwrap();
    let key = std::sync::Arc::new(key);
    let identity = Identity::self_signed(key.clone(), &["ss1.example"]).unwrap();

    let certificates = [
        write(folder.path(), "c.der", identity.certificate()),
        write(
            folder.path(),
            "c.pem",
            pem("CERTIFICATE", identity.certificate()),
        ),
    ];
    let keys = [
        write(folder.path(), "k.der", &pkcs8[..]),
        write(folder.path(), "k.pem", pem("PRIVATE KEY", &pkcs8)),
    ];
    for certificate in &certificates {
        for file in &keys {
            let read = Identity::from_files(certificate, file).unwrap();
            assert_eq!(read.spki(), key.verifying_key().spki_digest());
        }
    }
}

#[test]
fn refuses_a_key_that_is_not_the_certificates() {
    let folder = tempfile::tempdir().unwrap();
    let certificate = write(folder.path(), "c.der", p256().certificate());
    let other = Ed25519Key::generate().unwrap().to_pkcs8_der().unwrap();
    let key = write(folder.path(), "k.der", &other[..]);
    assert!(matches!(
        Identity::from_files(&certificate, &key),
        Err(IdentityError::Mismatch)
    ));
}

#[test]
fn refuses_every_damaged_certificate_without_a_panic() {
    let key = std::sync::Arc::new(P256Key::generate().unwrap());
    let good = Identity::self_signed(key.clone(), &[]).unwrap();
    let good = good.certificate();
    for length in 0..good.len() {
        assert!(Identity::from_der(&good[..length], key.clone()).is_err());
    }
    let mut accepted = 0;
    for index in 0..good.len() {
        for flip in [0x01, 0x80, 0xff] {
            let mut bad = good.to_vec();
            bad[index] ^= flip;
            // Damage outside the key is harmless: the certificate is a carrier, the key is pinned.
            if let Ok(identity) = Identity::from_der(&bad, key.clone()) {
                assert_eq!(identity.spki(), key.verifying_key().spki_digest());
                accepted += 1;
            }
        }
    }
    assert!(accepted > 0);
}

#[test]
fn refuses_files_that_hold_neither() {
    let folder = tempfile::tempdir().unwrap();
    let empty = write(folder.path(), "empty", b"");
    let large = write(folder.path(), "large", vec![b'x'; Identity::MAX_FILE + 1]);
    let identity = p256();
    let certificate = write(folder.path(), "c.der", identity.certificate());
    let chain = pem("CERTIFICATE", identity.certificate()).repeat(Identity::MAX_CHAIN + 1);
    let chain = write(folder.path(), "chain.pem", chain);
    for (c, k) in [
        (&empty, &empty),
        (&certificate, &empty),
        (&certificate, &large),
        (&large, &certificate),
        (&chain, &certificate),
        (&certificate, &folder.path().join("absent")),
    ] {
        assert!(Identity::from_files(c, k).is_err());
    }
}
