//! Verifying: each certificate by the key above it, and exactly as it is issued.

use std::time::Duration;

use entente_clock::Timestamp;
use entente_identity::{MemberId, ServerId};
use entente_signing::{Algorithm, Digest, VerifyingKey};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::{GeneralName, KeyUsage, ParsedExtension};
use x509_parser::time::ASN1Time;

use super::{
    BELOW_MEMBER, BELOW_SERVER, Chain, ChainError, MEMBER, MEMBER_URI, MemberCertificate, Validity,
};
use crate::x509::{self, MAX_EXTENSIONS, SERVER, SERVER_URI, Unreadable, is_named};

pub(super) fn member(der: &[u8]) -> Result<MemberCertificate, ChainError> {
    // The key is read before it is believed, to verify by it: it signed itself.
    let key = key(&x509::parse(der)?)?;
    let certificate = x509::read(der, &key)?;
    if !is_named(certificate.issuer(), MEMBER, &key)
        || !is_named(certificate.subject(), MEMBER, &key)
    {
        return Err(ChainError::Names);
    }
    let name = verify_extensions(&certificate, &key, &key, BELOW_MEMBER, |usage| {
        usage.digital_signature() && usage.non_repudiation()
    })?;
    Ok(MemberCertificate {
        der: der.to_vec(),
        member: named::<MemberId>(name, MEMBER_URI)?,
        validity: validity(&certificate)?,
        key,
    })
}

pub(super) fn server(der: &[u8], member: MemberCertificate) -> Result<Chain, ChainError> {
    let certificate = x509::read(der, &member.key)?;
    let key = key(&certificate)?;
    if !is_named(certificate.issuer(), MEMBER, &member.key)
        || !is_named(certificate.subject(), SERVER, &key)
    {
        return Err(ChainError::Names);
    }
    let name = verify_extensions(&certificate, &key, &member.key, BELOW_SERVER, |_| true)?;
    let server = named::<ServerId>(name, SERVER_URI)?;
    if server.member() != member.member {
        return Err(ChainError::Names);
    }
    let validity = validity(&certificate)?;
    if !member.validity.covers(validity) {
        return Err(ChainError::Validity);
    }
    Ok(Chain {
        der: der.to_vec(),
        server,
        key,
        validity,
        member,
    })
}

fn key(certificate: &X509Certificate<'_>) -> Result<VerifyingKey, ChainError> {
    VerifyingKey::from_spki_der(certificate.public_key().raw)
        .ok()
        .filter(|key| key.algorithm() == Algorithm::P256)
        .ok_or(ChainError::Key)
}

/// The one URI, when everything else is as it is issued.
fn verify_extensions<'a>(
    certificate: &'a X509Certificate<'_>,
    key: &VerifyingKey,
    issuer: &VerifyingKey,
    path: u8,
    uses: impl Fn(&KeyUsage) -> bool,
) -> Result<&'a str, ChainError> {
    let extensions = certificate.extensions();
    if extensions.len() > MAX_EXTENSIONS {
        return Err(ChainError::Extension);
    }
    let (mut authority, mut used, mut identified, mut name) = (false, false, false, None);
    for (index, extension) in extensions.iter().enumerate() {
        if extensions[..index].iter().any(|e| e.oid == extension.oid) {
            return Err(ChainError::Extension);
        }
        match extension.parsed_extension() {
            ParsedExtension::BasicConstraints(constraints)
                if constraints.ca && constraints.path_len_constraint == Some(u32::from(path)) =>
            {
                authority = extension.critical;
            }
            ParsedExtension::KeyUsage(usage) if usage.key_cert_sign() && uses(usage) => {
                used = extension.critical;
            }
            ParsedExtension::SubjectKeyIdentifier(found) if found.0 == key_identifier(key) => {
                identified = true;
            }
            ParsedExtension::AuthorityKeyIdentifier(found)
                if found
                    .key_identifier
                    .as_ref()
                    .is_some_and(|found| found.0 == key_identifier(issuer)) => {}
            ParsedExtension::SubjectAlternativeName(names) => match names.general_names[..] {
                [GeneralName::URI(uri)] => name = Some(uri),
                _ => return Err(ChainError::Names),
            },
            _ => return Err(ChainError::Extension),
        }
    }
    if authority && used && identified {
        name.ok_or(ChainError::Names)
    } else {
        Err(ChainError::Extension)
    }
}

/// The first 160 bits of the SHA-256 of the SubjectPublicKeyInfo (RFC 7093 §2, method 4).
fn key_identifier(key: &VerifyingKey) -> Vec<u8> {
    Digest::of(key.spki_der()).as_bytes()[..20].to_vec()
}

fn named<T: std::str::FromStr>(uri: &str, prefix: &str) -> Result<T, ChainError> {
    uri.strip_prefix(prefix)
        .and_then(|name| name.parse().ok())
        .ok_or(ChainError::Names)
}

fn validity(certificate: &X509Certificate<'_>) -> Result<Validity, ChainError> {
    let validity = certificate.validity();
    Validity::new(
        timestamp(validity.not_before)?,
        timestamp(validity.not_after)?,
    )
    .ok_or(ChainError::Validity)
}

fn timestamp(time: ASN1Time) -> Result<Timestamp, ChainError> {
    let seconds = u64::try_from(time.timestamp()).map_err(|_| ChainError::Validity)?;
    Ok(Timestamp::default().saturating_add(Duration::from_secs(seconds)))
}

impl From<Unreadable> for ChainError {
    fn from(unreadable: Unreadable) -> Self {
        match unreadable {
            Unreadable::Malformed => Self::Malformed,
            Unreadable::Signature => Self::Signature,
        }
    }
}
