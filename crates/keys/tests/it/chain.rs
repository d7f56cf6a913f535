//! The court path: what we issue, `openssl verify` accepts, at its time and unaltered.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use entente_clock::Timestamp;
use entente_identity::{MemberId, ServerId};
use entente_keys::{
    Chain, ChainError, ChainIssueError, MemberCertificate, Mode, SessionCertificate, SessionOrder,
    Validity, pem,
};
use entente_signing::{Ed25519Key, P256Key, Signer};

const DAY: Duration = Duration::from_secs(24 * 3600);
const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);

/// A member, a server and one session of it, from noon for a day.
struct Case {
    member_key: P256Key,
    server_key: P256Key,
    chain: Chain,
    session: Vec<u8>,
}

fn member() -> MemberId {
    "ca-on/service-ontario".parse().unwrap()
}

fn server() -> ServerId {
    "ca-on/service-ontario/@ss1".parse().unwrap()
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn noon() -> Timestamp {
    at("2026-11-22T12:00:00Z")
}

fn decade() -> Validity {
    Validity::lasting(at("2026-01-01T00:00:00Z"), Validity::USUAL).unwrap()
}

fn case() -> Case {
    let member_key = P256Key::generate().unwrap();
    let server_key = P256Key::generate().unwrap();
    let root = MemberCertificate::issue(&member_key, &member(), decade()).unwrap();
    let chain = root
        .certify(&member_key, &server(), server_key.verifying_key(), decade())
        .unwrap();
    Case {
        session: session(&server_key),
        member_key,
        server_key,
        chain,
    }
}

/// In PEM.
fn certificate(der: &[u8]) -> String {
    pem::encode(pem::CERTIFICATE, der)
}

fn session(server_key: &P256Key) -> Vec<u8> {
    let session_key = Ed25519Key::generate().unwrap();
    let order = SessionOrder {
        server: &server(),
        mode: Mode::Live,
        key: session_key.verifying_key(),
        not_before: noon(),
        not_after: noon().saturating_add(DAY),
    };
    SessionCertificate::issue(server_key, &order).unwrap()
}

/// The files a court would be given, and the one command it needs.
struct Court {
    folder: tempfile::TempDir,
}

impl Court {
    fn given(root: &str, between: &str, session: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in [("member", root), ("server", between), ("session", session)] {
            std::fs::write(folder.path().join(format!("{name}.pem")), text).unwrap();
        }
        Self { folder }
    }

    fn of(case: &Case) -> Self {
        Self::given(
            &case.chain.member().to_pem(),
            &case.chain.server_pem(),
            &certificate(&case.session),
        )
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Whether openssl accepts it at a moment, and what it says.
    fn verdict(&self, when: Timestamp) -> (bool, String) {
        let seconds = (when.as_millis() / 1000).to_string();
        openssl(
            ["verify", "-x509_strict", "-attime", &seconds, "-CAfile"],
            &[
                self.file("member.pem").as_path(),
                Path::new("-untrusted"),
                self.file("server.pem").as_path(),
                self.file("session.pem").as_path(),
            ],
        )
    }

    fn refuses(&self, when: Timestamp, why: &str) {
        let (accepted, said) = self.verdict(when);
        assert!(!accepted && said.contains(why), "{said}");
    }

    fn accepts(&self, when: Timestamp) {
        let (accepted, said) = self.verdict(when);
        assert!(accepted, "{said}");
    }
}

fn openssl<const N: usize>(words: [&str; N], files: &[&Path]) -> (bool, String) {
    let output = Command::new("openssl")
        .args(words)
        .args(files)
        .stdin(Stdio::null())
        .output()
        .expect("openssl is among what the tests need");
    let said = [output.stdout, output.stderr].concat();
    (
        output.status.success(),
        String::from_utf8_lossy(&said).into_owned(),
    )
}

#[test]
fn openssl_accepts_the_chain_from_the_first_second_of_the_session_to_its_last() {
    let court = Court::of(&case());
    let second = Duration::from_secs(1);
    let end = noon().saturating_add(DAY);
    court.refuses(noon().saturating_sub(second), "not yet valid");
    court.accepts(noon());
    // openssl ends a second before RFC 5280 does: it takes the last one for over.
    court.accepts(end.saturating_sub(second));
    court.refuses(end.saturating_add(second), "expired");
}

#[test]
fn openssl_refuses_a_member_or_server_out_of_its_time() {
    let case = case();
    let early = Validity::lasting(noon().saturating_sub(YEAR), YEAR - DAY).unwrap();
    let root = MemberCertificate::issue(&case.member_key, &member(), early).unwrap();
    let chain = root
        .certify(
            &case.member_key,
            &server(),
            case.server_key.verifying_key(),
            early,
        )
        .unwrap();
    let session = certificate(&case.session);
    let member = case.chain.member();
    Court::given(&root.to_pem(), &case.chain.server_pem(), &session).refuses(noon(), "expired");
    Court::given(&member.to_pem(), &chain.server_pem(), &session).refuses(noon(), "expired");
}

#[test]
fn openssl_refuses_another_members_root_and_another_servers_session() {
    let (case, other) = (case(), case());
    let session = certificate(&case.session);
    let root = case.chain.member().to_pem();
    Court::given(
        &other.chain.member().to_pem(),
        &case.chain.server_pem(),
        &session,
    )
    .refuses(noon(), "unable to get");
    Court::given(&root, &other.chain.server_pem(), &session).refuses(noon(), "unable to get");
    // The server in between left out: the session was not issued by the member.
    Court::given(&root, &root, &session).refuses(noon(), "unable to get");
}

#[test]
fn openssl_refuses_a_session_with_any_part_altered() {
    let case = case();
    // Not the serial, names or encoding alone: a byte of each eighth, wherever it falls.
    let length = case.session.len();
    for index in (0..8).map(|eighth| length * eighth / 8 + length / 16) {
        let mut altered = case.session.clone();
        altered[index] ^= 1;
        let court = Court::given(
            &case.chain.member().to_pem(),
            &case.chain.server_pem(),
            &certificate(&altered),
        );
        let (accepted, said) = court.verdict(noon());
        assert!(!accepted, "byte {index}: {said}");
    }
}

/// A session key certifies nobody, and a server no further server: the path lengths hold.
#[test]
fn openssl_refuses_a_server_below_a_server() {
    let case = case();
    let lower_key = P256Key::generate().unwrap();
    // As the rightful server could misuse its key: it acts as if it were a member.
    let mut params = rcgen::CertificateParams::default();
    params.distinguished_name = name(&format!("server {}", lower_key.verifying_key().key_id()));
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Constrained(0));
    params.key_usages = vec![rcgen::KeyUsagePurpose::KeyCertSign];
    params.use_authority_key_identifier_extension = true;
    let mut above = rcgen::CertificateParams::default();
    let server_id = case.server_key.verifying_key().key_id();
    above.distinguished_name = name(&format!("server {server_id}"));
    let issuer = rcgen::Issuer::new(above, key_pair(&case.server_key));
    let lower = params.signed_by(&key_pair(&lower_key), &issuer).unwrap();
    let between = case.chain.server_pem() + &certificate(lower.der());
    let session = certificate(&session(&lower_key));
    Court::given(&case.chain.member().to_pem(), &between, &session)
        .refuses(noon(), "path length constraint exceeded");
}

fn name(common: &str) -> rcgen::DistinguishedName {
    let mut name = rcgen::DistinguishedName::new();
    name.push(rcgen::DnType::OrganizationName, "Entente");
    name.push(rcgen::DnType::CommonName, common);
    name
}

fn key_pair(key: &P256Key) -> rcgen::KeyPair {
    let pkcs8 = key.to_pkcs8_der().unwrap();
    let pkcs8 = pkcs8.as_slice().into();
    rcgen::KeyPair::from_pkcs8_der_and_sign_algo(&pkcs8, &rcgen::PKCS_ECDSA_P256_SHA256).unwrap()
}

#[test]
fn openssl_reads_what_each_certificate_is_for() {
    let court = Court::of(&case());
    let text = |file: &str| {
        let (read, text) = openssl(
            ["x509", "-noout", "-text", "-in"],
            &[court.file(file).as_path()],
        );
        assert!(read, "{text}");
        text
    };
    let (member, server) = (text("member.pem"), text("server.pem"));
    for (text, expected) in [
        (&member, "CA:TRUE, pathlen:1"),
        (
            &member,
            "Digital Signature, Non Repudiation, Certificate Sign",
        ),
        (&member, "URI:entente:member:ca-on/service-ontario"),
        (&server, "CA:TRUE, pathlen:0"),
        (&server, "URI:entente:server:ca-on/service-ontario/@ss1"),
        (&server, "X509v3 Authority Key Identifier"),
        (&server, "Not After : Dec 30 00:00:00 2035 GMT"),
    ] {
        assert!(text.contains(expected), "{expected} not in {text}");
    }
}

/// What the member's key seals, its own certificate verifies.
#[test]
fn openssl_verifies_a_seal_of_the_members_key_by_its_certificate() {
    let case = case();
    let court = Court::of(&case);
    let folder = court.folder.path();
    let pkcs8 = key_pair(&case.member_key).serialize_pem();
    std::fs::write(folder.join("key.pem"), pkcs8).unwrap();
    std::fs::write(folder.join("content"), "sealed").unwrap();
    let run = |words: &str| {
        let output = Command::new("openssl")
            .current_dir(folder)
            .args(words.split(' '))
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        (output.status.success(), said)
    };
    let (sealed, said) = run(
        "cms -sign -cades -binary -md sha256 -in content -signer member.pem -inkey key.pem \
         -outform DER -out seal.p7s",
    );
    assert!(sealed, "{said}");
    let verify = "cms -verify -cades -binary -inform DER -in seal.p7s -content content \
                  -CAfile member.pem -attime 1795348800 -out seen";
    let (verified, said) = run(verify);
    assert!(verified, "{said}");
    std::fs::write(folder.join("content"), "Sealed").unwrap();
    assert!(!run(verify).0);
}

#[test]
fn a_chain_is_read_again_from_its_certificates_and_from_pem() {
    let Case { chain, .. } = case();
    assert_eq!(Chain::parse(&chain.certificates()).unwrap(), chain);
    assert_eq!(Chain::from_pem(&chain.to_pem()).unwrap(), chain);
    let member = chain.member();
    assert_eq!(
        &MemberCertificate::from_pem(&member.to_pem()).unwrap(),
        member
    );
    assert_eq!(
        (chain.server(), member.member()),
        (&server(), &self::member())
    );
    assert_eq!(chain.validity(), decade());
    let longest = chain.certificates().map(<[u8]>::len);
    assert!(
        longest.into_iter().all(|length| length < 600),
        "{longest:?}"
    );
}

#[test]
fn refuses_every_changed_or_cut_byte_of_a_chain() {
    let Case { chain, .. } = case();
    let [server, member] = chain.certificates();
    for (changed, other, is_server) in [(server, member, true), (member, server, false)] {
        let parse = |changed: &[u8]| match is_server {
            true => Chain::parse(&[changed, other]),
            false => Chain::parse(&[other, changed]),
        };
        for index in 0..changed.len() {
            assert!(parse(&changed[..index]).is_err());
            for flip in [0x01, 0x20, 0x80] {
                let mut bad = changed.to_vec();
                bad[index] ^= flip;
                assert!(parse(&bad).is_err(), "byte {index}");
            }
        }
        assert!(parse(&[changed, &[0]].concat()).is_err());
    }
}

#[test]
fn refuses_a_chain_out_of_order_too_long_or_of_two_members() {
    let (case, other) = (case(), case());
    let ([server, member], [_, stranger]) = (case.chain.certificates(), other.chain.certificates());
    assert_eq!(Chain::parse::<&[u8]>(&[]), Err(ChainError::Count));
    assert_eq!(Chain::parse(&[server]), Err(ChainError::Count));
    assert_eq!(
        Chain::parse(&[server, member, member]),
        Err(ChainError::Count)
    );
    assert_eq!(
        Chain::parse(&[server, stranger]),
        Err(ChainError::Signature)
    );
    assert!(Chain::parse(&[member, server]).is_err());
    assert_eq!(Chain::parse(&[member, member]), Err(ChainError::Names));
    assert_eq!(
        Chain::parse(&[case.session.as_slice(), server]),
        Err(ChainError::Signature)
    );
    let huge = vec![0x30; SessionCertificate::MAX_BYTES + 1];
    assert_eq!(Chain::parse(&[&huge, &huge]), Err(ChainError::Malformed));
    assert_eq!(
        Chain::from_pem(&case.chain.to_pem().repeat(3)),
        Err(ChainError::Malformed)
    );
}

#[test]
fn the_same_order_gives_the_same_signed_part_and_another_order_another_serial() {
    let Case { member_key, .. } = case();
    let issue = |validity| {
        let issued = MemberCertificate::issue(&member_key, &member(), validity).unwrap();
        let (_, parsed) = x509_parser::parse_x509_certificate(issued.der()).unwrap();
        let signed = parsed.tbs_certificate.as_ref().to_vec();
        (parsed.raw_serial().to_vec(), signed)
    };
    assert_eq!(issue(decade()), issue(decade()));
    let year = Validity::lasting(noon(), YEAR).unwrap();
    assert_ne!(issue(decade()).0, issue(year).0);
}

#[test]
fn issues_only_for_its_own_servers_by_its_own_key_and_within_its_time() {
    let case = case();
    let root = case.chain.member();
    let key = case.server_key.verifying_key();
    let stranger: ServerId = "ca-on/registrar/@ss1".parse().unwrap();
    let certify =
        |by: &P256Key, server: &ServerId, time| root.certify(by, server, key, time).map(drop);
    assert!(matches!(
        certify(&case.server_key, &server(), decade()),
        Err(ChainIssueError::Issuer)
    ));
    assert!(matches!(
        certify(&case.member_key, &stranger, decade()),
        Err(ChainIssueError::Stranger { .. })
    ));
    let later = Validity::lasting(noon(), Validity::USUAL).unwrap();
    assert!(matches!(
        certify(&case.member_key, &server(), later),
        Err(ChainIssueError::Validity)
    ));
    let session_key = Ed25519Key::generate().unwrap();
    assert!(matches!(
        MemberCertificate::issue(&session_key, &member(), decade()),
        Err(ChainIssueError::Key)
    ));
    assert_eq!(Validity::new(noon(), noon()), None);
    assert_eq!(Validity::lasting(noon(), Validity::MAX + DAY), None);
    assert!(Validity::lasting(noon(), Validity::MAX).is_some());
}
