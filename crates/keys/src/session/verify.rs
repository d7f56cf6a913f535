//! Verifying: strict, bounded, and by the directory's key alone.

use std::time::Duration;

use entente_clock::Timestamp;
use entente_identity::ServerId;
use entente_signing::{Algorithm, Digest, VerifyingKey};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::{GeneralName, ParsedExtension, SubjectAlternativeName};
use x509_parser::time::ASN1Time;

use super::{MODE_URI, Mode, SessionCertificate, SessionError, VerifiedSession};
use crate::x509::{self, MAX_EXTENSIONS, SERVER_URI, Unreadable};

pub(super) fn verify(
    der: &[u8],
    server_key: &VerifyingKey,
    now: Timestamp,
) -> Result<VerifiedSession, SessionError> {
    let certificate = x509::read(der, server_key)?;
    let key =
        VerifyingKey::from_spki_der(certificate.public_key().raw).map_err(|_| SessionError::Key)?;
    if key.algorithm() != Algorithm::Ed25519 {
        return Err(SessionError::Key);
    }
    let (server, mode) = verify_extensions(&certificate)?;
    let not_before = timestamp(certificate.validity().not_before)?;
    let not_after = timestamp(certificate.validity().not_after)?;
    if not_after <= not_before || not_after.since(not_before) > SessionCertificate::MAX_VALIDITY {
        return Err(SessionError::Validity);
    }
    let session = VerifiedSession {
        server,
        mode,
        key,
        not_before,
        not_after,
        digest: Digest::of(der),
    };
    session.check_time(now)?;
    Ok(session)
}

fn verify_extensions(certificate: &X509Certificate<'_>) -> Result<(ServerId, Mode), SessionError> {
    let extensions = certificate.extensions();
    if extensions.len() > MAX_EXTENSIONS {
        return Err(SessionError::Extension);
    }
    let mut names = None;
    for (index, extension) in extensions.iter().enumerate() {
        if extensions[..index].iter().any(|e| e.oid == extension.oid) {
            return Err(SessionError::Extension);
        }
        match extension.parsed_extension() {
            ParsedExtension::SubjectAlternativeName(san) => names = Some(named(san)?),
            ParsedExtension::BasicConstraints(constraints) if !constraints.ca => {}
            ParsedExtension::KeyUsage(usage) if usage.digital_signature() => {}
            ParsedExtension::AuthorityKeyIdentifier(_)
            | ParsedExtension::SubjectKeyIdentifier(_) => {}
            ParsedExtension::BasicConstraints(_)
            | ParsedExtension::KeyUsage(_)
            | ParsedExtension::ParseError { .. } => return Err(SessionError::Extension),
            _ if extension.critical => return Err(SessionError::Extension),
            _ => {}
        }
    }
    names.ok_or(SessionError::Names)
}

/// Exactly one server and one mode, and nothing else.
fn named(san: &SubjectAlternativeName<'_>) -> Result<(ServerId, Mode), SessionError> {
    let [GeneralName::URI(server), GeneralName::URI(mode)] = san.general_names[..] else {
        return Err(SessionError::Names);
    };
    let server = server
        .strip_prefix(SERVER_URI)
        .and_then(|name| name.parse().ok())
        .ok_or(SessionError::Names)?;
    let mode = mode.strip_prefix(MODE_URI).ok_or(SessionError::Names)?;
    Ok((server, mode.parse()?))
}

fn timestamp(time: ASN1Time) -> Result<Timestamp, SessionError> {
    let seconds = u64::try_from(time.timestamp()).map_err(|_| SessionError::Validity)?;
    Ok(Timestamp::default().saturating_add(Duration::from_secs(seconds)))
}

impl From<Unreadable> for SessionError {
    fn from(unreadable: Unreadable) -> Self {
        match unreadable {
            Unreadable::Malformed => Self::Malformed,
            Unreadable::Signature => Self::Signature,
        }
    }
}
