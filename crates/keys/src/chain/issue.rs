//! Issuing the certificates of members and servers.

use std::cell::OnceCell;
use std::time::Duration;

use entente_clock::Timestamp;
use entente_identity::{MemberId, ServerId};
use entente_signing::{Algorithm, Digest, Signer, VerifyingKey};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, IsCa, Issuer, KeyUsagePurpose,
    SerialNumber,
};

use super::{
    BELOW_MEMBER, BELOW_SERVER, Chain, ChainIssueError, MEMBER, MEMBER_URI, MemberCertificate,
    Validity,
};
use crate::x509::{IssuerKey, SERVER, SERVER_URI, SubjectKey, name, uri};

/// One certificate to be issued.
struct Order<'a> {
    subject: DistinguishedName,
    key: &'a VerifyingKey,
    /// Its one subject alternative name: prefix and value.
    named: (&'static str, &'a str),
    path: u8,
    usages: Vec<KeyUsagePurpose>,
    validity: Validity,
}

pub(super) fn member(
    key: &dyn Signer,
    member: &MemberId,
    validity: Validity,
) -> Result<MemberCertificate, ChainIssueError> {
    let order = Order {
        subject: name(MEMBER, key.verifying_key()),
        key: key.verifying_key(),
        named: (MEMBER_URI, member.as_str()),
        path: BELOW_MEMBER,
        // The member's key seals exports too: whoever verifies a seal asks for these.
        usages: vec![
            KeyUsagePurpose::DigitalSignature,
            KeyUsagePurpose::ContentCommitment,
            KeyUsagePurpose::KeyCertSign,
        ],
        validity,
    };
    Ok(MemberCertificate {
        der: sign(&order, key, None)?,
        member: member.clone(),
        key: key.verifying_key().clone(),
        validity,
    })
}

pub(super) fn server(
    issuer: &MemberCertificate,
    key: &dyn Signer,
    server: &ServerId,
    server_key: &VerifyingKey,
    validity: Validity,
) -> Result<Chain, ChainIssueError> {
    if *key.verifying_key() != issuer.key {
        return Err(ChainIssueError::Issuer);
    }
    if server.member() != issuer.member {
        return Err(ChainIssueError::Stranger {
            server: server.clone(),
            member: issuer.member.clone(),
        });
    }
    if !issuer.validity.covers(validity) {
        return Err(ChainIssueError::Validity);
    }
    let order = Order {
        subject: name(SERVER, server_key),
        key: server_key,
        named: (SERVER_URI, server.as_str()),
        path: BELOW_SERVER,
        usages: vec![KeyUsagePurpose::KeyCertSign],
        validity,
    };
    Ok(Chain {
        der: sign(&order, key, Some(issuer))?,
        server: server.clone(),
        key: server_key.clone(),
        validity,
        member: issuer.clone(),
    })
}

fn sign(
    order: &Order<'_>,
    key: &dyn Signer,
    issuer: Option<&MemberCertificate>,
) -> Result<Vec<u8>, ChainIssueError> {
    let algorithms = [order.key, key.verifying_key()].map(VerifyingKey::algorithm);
    if algorithms != [Algorithm::P256; 2] {
        return Err(ChainIssueError::Key);
    }
    let (prefix, value) = order.named;
    let mut params = CertificateParams::default();
    let epoch = rcgen::date_time_ymd(1970, 1, 1);
    params.not_before = epoch + seconds(order.validity.not_before());
    params.not_after = epoch + seconds(order.validity.not_after());
    params.serial_number = Some(serial(order, key.verifying_key()));
    params.distinguished_name = order.subject.clone();
    params.subject_alt_names = vec![uri(prefix, value).map_err(ChainIssueError::Sign)?];
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(order.path));
    params.key_usages.clone_from(&order.usages);
    // RFC 5280 §4.2.1.1: only a self-signed certificate goes without.
    params.use_authority_key_identifier_extension = issuer.is_some();

    let mut above = CertificateParams::default();
    above.distinguished_name = match issuer {
        Some(issuer) => name(MEMBER, &issuer.key),
        None => order.subject.clone(),
    };
    let failure = OnceCell::new();
    let issuer = Issuer::new(above, IssuerKey::new(key, &failure));
    let certificate = params
        .signed_by(&SubjectKey(order.key), &issuer)
        .map_err(ChainIssueError::Sign);
    drop(issuer);
    match failure.into_inner() {
        Some(error) => Err(ChainIssueError::Away(error)),
        None => Ok(certificate?.der().to_vec()),
    }
}

/// Positive, and another for every other content (RFC 5280 §4.1.2.2): what is issued again is the
/// same certificate.
fn serial(order: &Order<'_>, issuer: &VerifyingKey) -> SerialNumber {
    let (prefix, value) = order.named;
    // The keys have one length each, and the name is last: no two contents give the same bytes.
    let content = [
        SERIAL_DOMAIN,
        issuer.spki_der(),
        order.key.spki_der(),
        &order.validity.not_before().as_millis().to_be_bytes(),
        &order.validity.not_after().as_millis().to_be_bytes(),
        prefix.as_bytes(),
        value.as_bytes(),
    ];
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&Digest::of(&content.concat()).as_bytes()[..16]);
    bytes[0] = bytes[0] & 0x7f | 0x40;
    SerialNumber::from_slice(&bytes)
}

fn seconds(at: Timestamp) -> Duration {
    Duration::from_secs(at.as_millis() / 1000)
}

const SERIAL_DOMAIN: &[u8] = b"entente/certificate-serial/v1\0";
