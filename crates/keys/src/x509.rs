//! What every certificate here has in common: how it is signed, how it names keys, and how it is read
//! again, strictly.

use std::cell::OnceCell;

use entente_signing::{Algorithm, SignError, Signer, VerifyingKey};
use rcgen::{DistinguishedName, DnType, SanType};
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;
use x509_parser::x509::{X509Name, X509Version};

use crate::der;

/// The key that signs a certificate, as rcgen sees it. rcgen's error has no room for what the key's
/// custody said, so it is kept here.
pub(crate) struct IssuerKey<'a> {
    key: &'a dyn Signer,
    failure: &'a OnceCell<SignError>,
}

/// The key a certificate is for, as rcgen sees it.
pub(crate) struct SubjectKey<'a>(pub(crate) &'a VerifyingKey);

/// Why bytes are no certificate by a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unreadable {
    /// Too large, or not the one DER encoding of a version 3 certificate.
    Malformed,
    /// Not signed by the key.
    Signature,
}

/// Reads a certificate and verifies it by its issuer's P-256 key, before anything in it is believed.
pub(crate) fn read<'a>(
    der: &'a [u8],
    issuer_key: &VerifyingKey,
) -> Result<X509Certificate<'a>, Unreadable> {
    let certificate = parse(der)?;
    let signature = verify_signature(&certificate, issuer_key)?;
    // What the signature does not cover has one encoding only: the parser is kinder than DER.
    if der != der::certificate(certificate.tbs_certificate.as_ref(), &signature) {
        return Err(Unreadable::Malformed);
    }
    Ok(certificate)
}

/// Reads a certificate without believing it.
pub(crate) fn parse(der: &[u8]) -> Result<X509Certificate<'_>, Unreadable> {
    if der.len() > MAX_BYTES {
        return Err(Unreadable::Malformed);
    }
    match X509Certificate::from_der(der) {
        Ok(([], certificate)) if certificate.version() == X509Version::V3 => Ok(certificate),
        _ => Err(Unreadable::Malformed),
    }
}

fn verify_signature(
    certificate: &X509Certificate<'_>,
    issuer_key: &VerifyingKey,
) -> Result<[u8; 64], Unreadable> {
    let outer = &certificate.signature_algorithm;
    let inner = &certificate.tbs_certificate.signature;
    // Both copies say the same (RFC 5280 §4.1.1.2).
    if issuer_key.algorithm() != Algorithm::P256
        || outer != inner
        || outer.algorithm.as_bytes() != der::ECDSA_WITH_SHA256
    {
        return Err(Unreadable::Signature);
    }
    let signature =
        der::decode_signature(&certificate.signature_value.data).ok_or(Unreadable::Signature)?;
    issuer_key
        .verify(certificate.tbs_certificate.as_ref(), &signature)
        .map_err(|_| Unreadable::Signature)?;
    Ok(signature)
}

/// A distinguished name from a key id: our ids may be longer than X.509 allows a name to be.
pub(crate) fn name(kind: &str, key: &VerifyingKey) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::OrganizationName, ORGANISATION);
    name.push(DnType::CommonName, common_name(kind, key));
    name
}

/// Whether `name` is what [`name`] makes.
pub(crate) fn is_named(found: &X509Name<'_>, kind: &str, key: &VerifyingKey) -> bool {
    let mut organisations = found.iter_organization();
    let mut common_names = found.iter_common_name();
    let organisation = organisations.next().and_then(|part| part.as_str().ok());
    let common = common_names.next().and_then(|part| part.as_str().ok());
    found.iter_attributes().count() == 2
        && organisation == Some(ORGANISATION)
        && common == Some(&common_name(kind, key))
}

/// A subject alternative name of ours.
pub(crate) fn uri(prefix: &str, value: &str) -> Result<SanType, rcgen::Error> {
    [prefix, value].concat().try_into().map(SanType::URI)
}

fn common_name(kind: &str, key: &VerifyingKey) -> String {
    format!("{kind} {}", key.key_id())
}

/// The bare point: a key has exactly one encoding here, so it is the known tail of the SPKI.
fn point(key: &VerifyingKey) -> &[u8] {
    let length = match key.algorithm() {
        Algorithm::Ed25519 => 32,
        Algorithm::P256 => 65,
    };
    let spki = key.spki_der();
    &spki[spki.len().saturating_sub(length)..]
}

const fn algorithm(key: &VerifyingKey) -> &'static rcgen::SignatureAlgorithm {
    match key.algorithm() {
        Algorithm::Ed25519 => &rcgen::PKCS_ED25519,
        Algorithm::P256 => &rcgen::PKCS_ECDSA_P256_SHA256,
    }
}

// === impl IssuerKey ===

impl<'a> IssuerKey<'a> {
    pub(crate) const fn new(key: &'a dyn Signer, failure: &'a OnceCell<SignError>) -> Self {
        Self { key, failure }
    }
}

impl rcgen::PublicKeyData for IssuerKey<'_> {
    fn der_bytes(&self) -> &[u8] {
        point(self.key.verifying_key())
    }

    fn algorithm(&self) -> &'static rcgen::SignatureAlgorithm {
        algorithm(self.key.verifying_key())
    }
}

impl rcgen::SigningKey for IssuerKey<'_> {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        match self.key.sign(message) {
            Ok(raw) => Ok(der::encode_signature(&raw)),
            Err(error) => {
                let _ = self.failure.set(error);
                Err(rcgen::Error::RemoteKeyError)
            }
        }
    }
}

// === impl SubjectKey ===

impl rcgen::PublicKeyData for SubjectKey<'_> {
    fn der_bytes(&self) -> &[u8] {
        point(self.0)
    }

    fn algorithm(&self) -> &'static rcgen::SignatureAlgorithm {
        algorithm(self.0)
    }
}

/// The largest certificate read, in bytes.
pub(crate) const MAX_BYTES: usize = 4096;
/// The most extensions looked at.
pub(crate) const MAX_EXTENSIONS: usize = 16;
/// Before a server's name in a certificate.
pub(crate) const SERVER_URI: &str = "entente:server:";
/// The kind of a server's distinguished name.
pub(crate) const SERVER: &str = "server";

const ORGANISATION: &str = "Entente";
