//! What is asked of the other side's certificate: that it parses, that its key is of a kind we
//! allow and pinned where pins are given, and that the handshake was signed with that key.
//!
//! Deliberately not asked, in either direction: a chain to a CA, a host name, a validity period.
//! The directory says which key belongs to whom and until when.

use std::sync::Arc;

use entente_signing::{Digest, VerifyingKey};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, OtherError,
    PeerIncompatible, SignatureScheme,
};

use crate::pins::Pins;

/// Checks certificates of either side.
#[derive(Debug)]
pub(crate) struct PinVerifier {
    provider: Arc<CryptoProvider>,
    /// `None` admits any proven key.
    pins: Option<Pins>,
}

/// A certificate whose key is not among the expected ones.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("key {spki} is not one we expect here")]
struct NotPinned {
    spki: Digest,
}

// === impl PinVerifier ===

impl PinVerifier {
    pub(crate) const fn new(provider: Arc<CryptoProvider>, pins: Option<Pins>) -> Self {
        Self { provider, pins }
    }

    fn admit(&self, leaf: &CertificateDer<'_>) -> Result<(), Error> {
        let spki = leaf_key(leaf)?.spki_digest();
        match &self.pins {
            Some(pins) if !pins.contains(&spki) => Err(Error::InvalidCertificate(
                CertificateError::Other(OtherError(Arc::new(NotPinned { spki }))),
            )),
            _ => Ok(()),
        }
    }

    fn verify_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        if !SCHEMES.contains(&signature.scheme) {
            return Err(PeerIncompatible::NoSignatureSchemesInCommon.into());
        }
        verify_tls13_signature(
            message,
            leaf,
            signature,
            &self.provider.signature_verification_algorithms,
        )
    }
}

impl ServerCertVerifier for PinVerifier {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.admit(leaf)?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(PeerIncompatible::Tls12NotOffered.into())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verify_signature(message, leaf, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        SCHEMES.to_vec()
    }
}

impl ClientCertVerifier for PinVerifier {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        leaf: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        self.admit(leaf)?;
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(PeerIncompatible::Tls12NotOffered.into())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verify_signature(message, leaf, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        SCHEMES.to_vec()
    }
}

/// The key of a leaf certificate: well-formed X.509 v3 without a critical extension nobody knows,
/// and a key that is Ed25519 or P-256, in its one encoding, not weak.
pub(crate) fn leaf_key(leaf: &CertificateDer<'_>) -> Result<VerifyingKey, Error> {
    if leaf.len() > MAX_LEAF {
        return Err(CertificateError::BadEncoding.into());
    }
    let spki = ParsedCertificate::try_from(leaf)?.subject_public_key_info();
    VerifyingKey::from_spki_der(&spki)
        .map_err(|error| CertificateError::Other(OtherError(Arc::new(error))).into())
}

/// The handshake signatures we make and accept.
const SCHEMES: [SignatureScheme; 2] = [
    SignatureScheme::ED25519,
    SignatureScheme::ECDSA_NISTP256_SHA256,
];

/// The largest leaf certificate, in bytes.
const MAX_LEAF: usize = 16 * 1024;
