//! Session certificates: what is issued verifies, and nothing else does.

use std::process::{Command, Stdio};
use std::time::Duration;

use entente_clock::Timestamp;
use entente_identity::ServerId;
use entente_keys::{Mode, SessionCertificate, SessionError, SessionIssueError, SessionOrder};
use entente_reason::Reason;
use entente_signing::{Digest, Ed25519Key, P256Key, Signer};

const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);

struct Issued {
    server_key: P256Key,
    session_key: Ed25519Key,
    from: Timestamp,
    der: Vec<u8>,
}

fn server() -> ServerId {
    "ca-on/service-ontario/@ss1".parse().unwrap()
}

fn noon() -> Timestamp {
    "2026-11-22T12:00:00Z".parse().unwrap()
}

fn issue() -> Issued {
    let server_key = P256Key::generate().unwrap();
    let session_key = Ed25519Key::generate().unwrap();
    let order = SessionOrder {
        server: &server(),
        mode: Mode::Live,
        key: session_key.verifying_key(),
        not_before: noon(),
        not_after: noon().saturating_add(DAY),
    };
    let der = SessionCertificate::issue(&server_key, &order).unwrap();
    Issued {
        from: noon(),
        server_key,
        session_key,
        der,
    }
}

/// The certificate with its TBS changed by `change` and signed again by the rightful key.
fn signed_again(issued: &Issued, change: impl Fn(&mut rcgen::CertificateParams)) -> Vec<u8> {
    // Another rcgen issuer over the same key bytes: only this test needs the keys in rcgen's form.
    let key = key_pair(
        &issued.server_key.to_pkcs8_der().unwrap(),
        &rcgen::PKCS_ECDSA_P256_SHA256,
    );
    let mut params = rcgen::CertificateParams::default();
    let epoch = rcgen::date_time_ymd(1970, 1, 1);
    let from = Duration::from_millis(issued.from.as_millis());
    params.not_before = epoch + from;
    params.not_after = epoch + from + HOUR;
    params.subject_alt_names = vec![
        uri("entente:server:ca-on/service-ontario/@ss1"),
        uri("entente:mode:live"),
    ];
    change(&mut params);
    let subject = key_pair(
        &issued.session_key.to_pkcs8_der().unwrap(),
        &rcgen::PKCS_ED25519,
    );
    let issuer = rcgen::Issuer::new(rcgen::CertificateParams::default(), key);
    // rcgen's own signer gives a high s, which never verifies, half of the time.
    (0..64)
        .map(|_| params.signed_by(&subject, &issuer).unwrap().der().to_vec())
        .find(|der| verify(issued, der, noon()) != Err(SessionError::Signature))
        .unwrap()
}

fn key_pair(pkcs8: &[u8], algorithm: &'static rcgen::SignatureAlgorithm) -> rcgen::KeyPair {
    rcgen::KeyPair::from_pkcs8_der_and_sign_algo(&pkcs8.into(), algorithm).unwrap()
}

fn uri(text: &str) -> rcgen::SanType {
    rcgen::SanType::URI(text.try_into().unwrap())
}

fn verify(issued: &Issued, der: &[u8], now: Timestamp) -> Result<(), SessionError> {
    SessionCertificate::verify(der, issued.server_key.verifying_key(), now).map(|_| ())
}

#[test]
fn names_its_server_mode_key_and_time() {
    let issued = issue();
    let now = noon().saturating_add(HOUR);
    let key = issued.server_key.verifying_key();
    let session = SessionCertificate::verify(&issued.der, key, now).unwrap();
    assert_eq!(session.server(), &server());
    assert_eq!(session.mode(), Mode::Live);
    assert_eq!(session.key(), issued.session_key.verifying_key());
    assert_eq!(session.issued_at(), noon());
    assert_eq!(session.not_after(), noon().saturating_add(DAY));
    assert_eq!(session.digest(), Digest::of(&issued.der));
    assert!(issued.der.len() < 700, "{}", issued.der.len());
}

#[test]
fn is_valid_from_its_first_second_less_skew_to_its_last() {
    let issued = issue();
    let second = Duration::from_secs(1);
    let end = noon().saturating_add(DAY);
    for (now, expected) in [
        (
            noon().saturating_sub(61 * second),
            Err(SessionError::NotYetValid),
        ),
        (noon().saturating_sub(60 * second), Ok(())),
        (noon(), Ok(())),
        (end, Ok(())),
        (end.saturating_add(second / 2), Ok(())),
        (end.saturating_add(second), Err(SessionError::Expired)),
        (Timestamp::MAX, Err(SessionError::Expired)),
        (Timestamp::default(), Err(SessionError::NotYetValid)),
    ] {
        assert_eq!(verify(&issued, &issued.der, now), expected, "{now}");
    }
    assert_eq!(SessionError::Expired.reason(), Reason::SessionExpired);
    assert_eq!(SessionError::NotYetValid.reason(), Reason::SessionInvalid);
}

#[test]
fn refuses_every_changed_or_cut_byte() {
    let issued = issue();
    let now = noon();
    for length in 0..issued.der.len() {
        assert!(verify(&issued, &issued.der[..length], now).is_err());
    }
    for index in 0..issued.der.len() {
        for flip in [0x01, 0x20, 0x80] {
            let mut bad = issued.der.clone();
            bad[index] ^= flip;
            assert!(verify(&issued, &bad, now).is_err(), "byte {index}");
        }
    }
    let mut longer = issued.der.clone();
    longer.push(0);
    assert_eq!(verify(&issued, &longer, now), Err(SessionError::Malformed));
    let huge = vec![0x30; SessionCertificate::MAX_BYTES + 1];
    assert_eq!(verify(&issued, &huge, now), Err(SessionError::Malformed));
}

#[test]
fn refuses_another_servers_signature() {
    let (issued, other) = (issue(), issue());
    assert_eq!(
        verify(&issued, &other.der, noon()),
        Err(SessionError::Signature)
    );
    // A key of the wrong kind cannot have signed it either.
    let key = other.session_key.verifying_key();
    let refused = SessionCertificate::verify(&issued.der, key, noon());
    assert_eq!(refused.unwrap_err(), SessionError::Signature);
}

#[test]
fn refuses_what_its_rightful_issuer_should_not_have_signed() {
    let issued = issue();
    let verify_changed = |change: &dyn Fn(&mut rcgen::CertificateParams)| {
        verify(&issued, &signed_again(&issued, change), noon())
    };
    assert_eq!(verify_changed(&|_| {}), Ok(()));
    assert_eq!(
        verify_changed(&|p| p.not_after = p.not_before + DAY + Duration::from_secs(1)),
        Err(SessionError::Validity)
    );
    assert_eq!(
        verify_changed(&|p| p.not_after = p.not_before),
        Err(SessionError::Validity)
    );
    assert_eq!(
        verify_changed(&|p| p.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained)),
        Err(SessionError::Extension)
    );
    assert_eq!(
        verify_changed(&|p| {
            let mut unknown =
                rcgen::CustomExtension::from_oid_content(&[1, 3, 6, 1, 4, 1, 99999, 1], vec![5, 0]);
            unknown.set_criticality(true);
            p.custom_extensions = vec![unknown];
        }),
        Err(SessionError::Extension)
    );
    assert_eq!(
        verify_changed(&|p| {
            p.custom_extensions = vec![rcgen::CustomExtension::from_oid_content(
                &[1, 3, 6, 1, 4, 1, 99999, 1],
                vec![5, 0],
            )];
        }),
        Ok(())
    );
}

#[test]
fn refuses_names_other_than_one_server_and_one_mode() {
    let issued = issue();
    let server = "entente:server:ca-on/service-ontario/@ss1";
    for names in [
        vec![],
        vec![uri(server)],
        vec![uri("entente:mode:live")],
        vec![uri("entente:mode:live"), uri(server)],
        vec![
            uri(server),
            uri("entente:mode:live"),
            uri("entente:mode:test"),
        ],
        vec![uri(server), uri("entente:mode:both")],
        vec![uri("entente:server:nobody"), uri("entente:mode:live")],
        vec![
            uri(server),
            rcgen::SanType::DnsName("live".try_into().unwrap()),
        ],
    ] {
        let der = signed_again(&issued, |params| params.subject_alt_names = names.clone());
        assert_eq!(verify(&issued, &der, noon()), Err(SessionError::Names));
    }
}

#[test]
fn issues_only_what_it_would_accept() {
    let server_key = P256Key::generate().unwrap();
    let session_key = Ed25519Key::generate().unwrap();
    let id = server();
    let order = SessionOrder {
        server: &id,
        mode: Mode::Test,
        key: session_key.verifying_key(),
        not_before: noon(),
        not_after: noon().saturating_add(DAY),
    };
    for not_after in [
        noon(),
        noon().saturating_sub(HOUR),
        noon().saturating_add(DAY + Duration::from_secs(1)),
    ] {
        let order = SessionOrder {
            not_after,
            ..order.clone()
        };
        assert!(matches!(
            SessionCertificate::issue(&server_key, &order),
            Err(SessionIssueError::Validity)
        ));
    }
    let p256 = SessionOrder {
        key: server_key.verifying_key(),
        ..order.clone()
    };
    for refused in [
        SessionCertificate::issue(&server_key, &p256),
        SessionCertificate::issue(&session_key, &order),
    ] {
        assert!(matches!(refused, Err(SessionIssueError::Algorithm)));
    }
}

/// Any X.509 tool reads it. Says so and passes where openssl is not installed.
#[test]
fn openssl_reads_names_and_verifies_the_certificate() {
    let issued = issue();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("session.der");
    std::fs::write(&path, &issued.der).unwrap();
    let output = Command::new("openssl")
        .args(["x509", "-inform", "DER", "-noout", "-text", "-in"])
        .arg(&path)
        .stdin(Stdio::null())
        .output();
    let Ok(output) = output else {
        println!("openssl is not installed: nothing compared");
        return;
    };
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}");
    for expected in [
        "Version: 3",
        "ecdsa-with-SHA256",
        "ED25519",
        "URI:entente:server:ca-on/service-ontario/@ss1, URI:entente:mode:live",
        "CA:FALSE",
        "Digital Signature",
        "Not After : Nov 23 12:00:00 2026 GMT",
    ] {
        assert!(text.contains(expected), "{expected} not in {text}");
    }
}
