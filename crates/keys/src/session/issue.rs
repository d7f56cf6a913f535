//! Issuing: an X.509 leaf made with rcgen, signed wherever the server's key lives.

use std::time::Duration;

use entente_signing::{Algorithm, Signer, VerifyingKey};
use rcgen::{
    CertificateParams, DistinguishedName, DnType, IsCa, Issuer, KeyUsagePurpose, SanType,
    SerialNumber,
};

use super::{MODE_URI, SERVER_URI, SessionCertificate, SessionIssueError, SessionOrder};
use crate::der;

/// The server's key, as rcgen sees it.
struct ServerKey<'a>(&'a dyn Signer);

/// The session's key, as rcgen sees it.
struct SessionKey<'a>(&'a VerifyingKey);

pub(super) fn issue(
    server_key: &dyn Signer,
    order: &SessionOrder<'_>,
) -> Result<Vec<u8>, SessionIssueError> {
    if server_key.verifying_key().algorithm() != Algorithm::P256
        || order.key.algorithm() != Algorithm::Ed25519
    {
        return Err(SessionIssueError::Algorithm);
    }
    let (not_before, not_after) = (
        order.not_before.as_millis() / 1000,
        order.not_after.as_millis() / 1000,
    );
    match not_after.checked_sub(not_before) {
        Some(1..) if not_after - not_before <= SessionCertificate::MAX_VALIDITY.as_secs() => {}
        _ => return Err(SessionIssueError::Validity),
    }

    let mut params = CertificateParams::default();
    let epoch = rcgen::date_time_ymd(1970, 1, 1);
    params.not_before = epoch + Duration::from_secs(not_before);
    params.not_after = epoch + Duration::from_secs(not_after);
    params.serial_number = Some(serial()?);
    params.distinguished_name = name("session ", order.key);
    params.subject_alt_names = vec![
        uri(SERVER_URI, order.server.as_str())?,
        uri(MODE_URI, order.mode.as_str())?,
    ];
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.use_authority_key_identifier_extension = true;

    let mut issuer = CertificateParams::default();
    issuer.distinguished_name = name("server ", server_key.verifying_key());
    let issuer = Issuer::new(issuer, ServerKey(server_key));
    let certificate = params
        .signed_by(&SessionKey(order.key), &issuer)
        .map_err(SessionIssueError::Sign)?;
    Ok(certificate.der().to_vec())
}

/// A distinguished name from a key id: server ids may be longer than X.509 allows a name to be.
fn name(kind: &str, key: &VerifyingKey) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::OrganizationName, "Entente");
    name.push(DnType::CommonName, format!("{kind}{}", key.key_id()));
    name
}

fn uri(prefix: &str, value: &str) -> Result<SanType, SessionIssueError> {
    [prefix, value]
        .concat()
        .try_into()
        .map(SanType::URI)
        .map_err(SessionIssueError::Sign)
}

/// 127 random bits, positive, as RFC 5280 §4.1.2.2 asks.
fn serial() -> Result<SerialNumber, SessionIssueError> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes)
        .map_err(|_| SessionIssueError::Sign(rcgen::Error::RingUnspecified))?;
    bytes[0] = bytes[0] & 0x7f | 0x40;
    Ok(SerialNumber::from_slice(&bytes))
}

// === impl ServerKey ===

impl rcgen::PublicKeyData for ServerKey<'_> {
    fn der_bytes(&self) -> &[u8] {
        point(self.0.verifying_key())
    }

    fn algorithm(&self) -> &'static rcgen::SignatureAlgorithm {
        &rcgen::PKCS_ECDSA_P256_SHA256
    }
}

impl rcgen::SigningKey for ServerKey<'_> {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        self.0
            .sign(message)
            .map(|raw| der::encode_signature(&raw))
            .map_err(|_| rcgen::Error::RemoteKeyError)
    }
}

// === impl SessionKey ===

impl rcgen::PublicKeyData for SessionKey<'_> {
    fn der_bytes(&self) -> &[u8] {
        point(self.0)
    }

    fn algorithm(&self) -> &'static rcgen::SignatureAlgorithm {
        &rcgen::PKCS_ED25519
    }
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
