use std::process::Command;
use std::time::Duration;

use entente_keys::Validity;
use entente_signing::P256Key;

use super::*;

const CONTENT: &[u8] = b"a manifest";

fn at() -> Timestamp {
    "2026-11-26T17:03:14Z".parse().unwrap()
}

fn member(key: &P256Key) -> MemberCertificate {
    let begins = at().saturating_sub(Duration::from_secs(60));
    let validity = Validity::lasting(begins, Validity::USUAL).unwrap();
    MemberCertificate::issue(key, &"ca-demo/pensions".parse().unwrap(), validity).unwrap()
}

#[test]
fn a_seal_verifies_and_no_byte_of_it_can_be_another() {
    let key = P256Key::generate().unwrap();
    let certificate = member(&key);
    let made = seal(CONTENT, &key, &certificate, at()).unwrap();
    let sealed = verify(&made, CONTENT).unwrap();
    assert_eq!((sealed.at, &sealed.certificate), (at(), &certificate));
    assert!(verify(&made, b"another").is_err());
    for index in 0..made.len() {
        let mut altered = made.clone();
        altered[index] ^= 1;
        assert!(verify(&altered, CONTENT).is_err(), "byte {index}");
        assert!(verify(&made[..index], CONTENT).is_err(), "cut at {index}");
    }
}

#[test]
fn a_key_seals_under_its_own_certificate_and_in_its_time_alone() {
    let key = P256Key::generate().unwrap();
    let other = member(&P256Key::generate().unwrap());
    let refused = seal(CONTENT, &key, &other, at());
    assert!(matches!(refused, Err(SealError::Certificate)));
    let early = at().saturating_sub(Duration::from_secs(3600));
    let made = seal(CONTENT, &key, &member(&key), early).unwrap();
    assert_eq!(verify(&made, CONTENT), Err(SealInvalid::Time));
}

#[test]
fn times_of_both_forms_are_read_back() {
    let key = P256Key::generate().unwrap();
    for text in [
        "2026-11-26T17:03:14Z",
        "2049-12-31T23:59:59Z",
        "2050-01-01T00:00:00Z",
    ] {
        let at: Timestamp = text.parse().unwrap();
        let validity = Validity::lasting(at, Duration::from_secs(60)).unwrap();
        let id = "ca-demo/pensions".parse().unwrap();
        let certificate = MemberCertificate::issue(&key, &id, validity).unwrap();
        let made = seal(CONTENT, &key, &certificate, at).unwrap();
        assert_eq!(verify(&made, CONTENT).unwrap().at, at);
    }
}

#[test]
fn openssl_accepts_a_seal_and_refuses_it_over_anything_else() {
    let folder = tempfile::tempdir().unwrap();
    let key = P256Key::generate().unwrap();
    // However many leading zeros and high bits the two numbers of a signature have.
    for turn in 0..20 {
        let certificate = member(&key);
        let made = seal(CONTENT, &key, &certificate, at()).unwrap();
        let write = |name: &str, bytes: &[u8]| {
            std::fs::write(folder.path().join(name), bytes).unwrap();
        };
        write("seal.p7s", &made);
        write("content", if turn == 19 { b"another" } else { CONTENT });
        write("member.pem", certificate.to_pem().as_bytes());
        let output = Command::new("openssl")
            .args(["cms", "-verify", "-cades", "-binary", "-inform", "DER"])
            .args([
                "-in",
                "seal.p7s",
                "-content",
                "content",
                "-CAfile",
                "member.pem",
            ])
            .args([
                "-purpose",
                "any",
                "-attime",
                "1795712594",
                "-out",
                "/dev/null",
            ])
            .current_dir(folder.path())
            .output()
            .expect("openssl is among what the tests need");
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.success(), turn != 19, "{said}");
    }
}
