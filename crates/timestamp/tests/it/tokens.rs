//! What a real authority answers is accepted, and by OpenSSL too.

use std::time::Duration;

use entente_signing::Digest;
use entente_testkit::Authority;
use entente_testkit::authority::Keys;
use entente_timestamp::{Authorities, AuthoritiesError, Policy, Query, verify};

const NOTE: &[u8] = b"ss1.example/access/2026h2.1\n7\nAAAA\n";

#[test]
fn accepts_a_stamp_of_p256_and_of_rsa() {
    for keys in [Keys::P256, Keys::Rsa] {
        let dir = tempfile::tempdir().unwrap();
        let authority = Authority::create(dir.path(), keys);
        let authorities = Authorities::parse(&authority.root()).unwrap();
        let query = Query::new(Digest::of(NOTE), &authorities);
        let reply = authority.reply(&query.encode());
        let (token, stamp) = query.open(&reply, &authorities).unwrap();
        assert_eq!(stamp.accuracy(), Duration::from_millis(1_500));
        assert_eq!(stamp.policy().to_string(), Authority::POLICY);
        assert_eq!(stamp.latest().since(stamp.at()), stamp.accuracy());
        // Kept, and verified by whoever did not ask.
        assert_eq!(verify(token, Digest::of(NOTE), &authorities), Ok(stamp));
        assert!(authority.accepts(token, NOTE));
        assert_eq!(token, authority.token_of(&reply));
    }
}

#[test]
fn asks_for_a_policy_and_is_answered_under_it() {
    let dir = tempfile::tempdir().unwrap();
    let authority = Authority::create(dir.path(), Keys::P256);
    let policy: Policy = Authority::OTHER_POLICY.parse().unwrap();
    let authorities = Authorities::parse(&authority.root()).unwrap();
    let authorities = authorities.with_policy(Some(policy));
    let query = Query::new(Digest::of(NOTE), &authorities);
    let reply = authority.reply(&query.encode());
    let (_, stamp) = query.open(&reply, &authorities).unwrap();
    assert_eq!(stamp.policy(), policy);
}

#[test]
fn roots_are_certificates_in_pem() {
    let dir = tempfile::tempdir().unwrap();
    let authority = Authority::create(dir.path(), Keys::P256);
    let root = authority.root();
    assert!(Authorities::parse(&root).is_ok());
    let refused = |pem: &[u8]| Authorities::parse(pem).unwrap_err();
    assert_eq!(refused(b""), AuthoritiesError::Count);
    assert_eq!(refused(&root.repeat(33)), AuthoritiesError::Count);
    assert_eq!(refused(&root[..root.len() / 2]), AuthoritiesError::Pem);
    let empty = b"-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n";
    let found = refused(empty);
    assert!(
        matches!(found, AuthoritiesError::Certificate { number: 1, .. }),
        "{found:?}"
    );
    for text in ["", "1", "9.9.9", "1.2.x", "1..2"] {
        assert!(text.parse::<Policy>().is_err(), "{text}");
    }
}
