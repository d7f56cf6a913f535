//! Issuing: an X.509 leaf made with rcgen, signed wherever the server's key lives.

use std::cell::OnceCell;
use std::time::Duration;

use entente_signing::{Algorithm, Signer};
use rcgen::{CertificateParams, IsCa, Issuer, KeyUsagePurpose, SerialNumber};

use super::{MODE_URI, SessionCertificate, SessionIssueError, SessionOrder};
use crate::x509::{IssuerKey, SERVER, SERVER_URI, SubjectKey, name, uri};

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
    params.distinguished_name = name("session", order.key);
    params.subject_alt_names = vec![
        uri(SERVER_URI, order.server.as_str()).map_err(SessionIssueError::Sign)?,
        uri(MODE_URI, order.mode.as_str()).map_err(SessionIssueError::Sign)?,
    ];
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.use_authority_key_identifier_extension = true;

    let mut issuer = CertificateParams::default();
    issuer.distinguished_name = name(SERVER, server_key.verifying_key());
    let failure = OnceCell::new();
    let issuer = Issuer::new(issuer, IssuerKey::new(server_key, &failure));
    let certificate = params
        .signed_by(&SubjectKey(order.key), &issuer)
        .map_err(SessionIssueError::Sign);
    drop(issuer);
    match failure.into_inner() {
        Some(error) => Err(SessionIssueError::Key(error)),
        None => Ok(certificate?.der().to_vec()),
    }
}

/// 127 random bits, positive, as RFC 5280 §4.1.2.2 asks.
fn serial() -> Result<SerialNumber, SessionIssueError> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes)
        .map_err(|_| SessionIssueError::Sign(rcgen::Error::RingUnspecified))?;
    bytes[0] = bytes[0] & 0x7f | 0x40;
    Ok(SerialNumber::from_slice(&bytes))
}
