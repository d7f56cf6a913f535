//! Who we are on a connection: a certificate and the key that proves it.

use std::fs;
use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use entente_reason::Reason;
use entente_signing::{Digest, Ed25519Key, P256Key, Signer, VerifyingKey};
use rcgen::{CertificateParams, DistinguishedName, DnType, IsCa, KeyUsagePurpose, SanType};
use rustls::SignatureScheme;
use rustls::client::ResolvesClientCert;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use crate::signer::{CarrierKey, HandshakeKey};
use crate::verifier::leaf_key;

/// A certificate chain and its leaf's private key, which is P-256 or Ed25519.
#[derive(Clone, Debug)]
pub struct Identity {
    certified: Arc<CertifiedKey>,
    key: VerifyingKey,
}

/// The identity in use, replaceable without closing a connection. Clones share the same slot.
#[derive(Clone, Debug)]
pub struct IdentitySlot(Arc<ArcSwap<Identity>>);

/// Why an identity could not be made or loaded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IdentityError {
    /// The certificate is not well-formed X.509 v3 with a P-256 or Ed25519 key.
    #[error("reading the certificate")]
    Certificate(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The certificate could not be made.
    #[error("making a certificate")]
    Issue(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The private key is not PKCS#8 of a P-256 or Ed25519 key.
    #[error("reading the private key")]
    Key,
    /// The certificate is for another key.
    #[error("certificate is not for this key")]
    Mismatch,
    /// A file cannot be read.
    #[error("reading {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

// === impl Identity ===

impl Identity {
    /// The most certificates a chain may hold.
    pub const MAX_CHAIN: usize = 4;
    /// The largest certificate or key file, in bytes.
    pub const MAX_FILE: usize = 64 * 1024;

    /// An identity from a key and a self-signed leaf made for it. `names` (DNS names or IP
    /// addresses) are only for tools that insist on one: no Entente server looks at them.
    ///
    /// # Errors
    /// When a name is not ASCII, or the key cannot sign.
    pub fn self_signed(key: Arc<dyn Signer>, names: &[&str]) -> Result<Self, IdentityError> {
        let issue = |error: rcgen::Error| IdentityError::Issue(Box::new(error));
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params
            .distinguished_name
            .push(DnType::CommonName, key.verifying_key().key_id().to_string());
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        for name in names {
            params.subject_alt_names.push(match name.parse::<IpAddr>() {
                Ok(address) => SanType::IpAddress(address),
                Err(_) => SanType::DnsName((*name).try_into().map_err(issue)?),
            });
        }
        let leaf = params.self_signed(&CarrierKey(&*key)).map_err(issue)?;
        Self::from_chain(vec![leaf.der().clone()], key)
    }

    /// An identity from a DER certificate and its key.
    ///
    /// # Errors
    /// When the certificate is malformed or for another key.
    pub fn from_der(certificate: &[u8], key: Arc<dyn Signer>) -> Result<Self, IdentityError> {
        Self::from_chain(vec![CertificateDer::from(certificate.to_vec())], key)
    }

    /// An identity from two files, each PEM or DER: a chain, leaf first (DER: the leaf alone), and
    /// a PKCS#8 private key.
    ///
    /// # Errors
    /// When a file cannot be read or parsed, or the two do not belong together.
    pub fn from_files(certificate: &Path, key: &Path) -> Result<Self, IdentityError> {
        let text = read(certificate)?;
        let chain = if is_pem(&text) {
            CertificateDer::pem_slice_iter(&text)
                .take(Self::MAX_CHAIN + 1)
                .collect::<Result<Vec<_>, _>>()
                .map_err(|error| IdentityError::Certificate(Box::new(error)))?
        } else {
            vec![CertificateDer::from(text)]
        };
        let text = read(key)?;
        let key = if is_pem(&text) {
            PrivatePkcs8KeyDer::from_pem_slice(&text).map_err(|_| IdentityError::Key)?
        } else {
            PrivatePkcs8KeyDer::from(text)
        };
        Self::from_chain(chain, signer(key.secret_pkcs8_der())?)
    }

    fn from_chain(
        chain: Vec<CertificateDer<'static>>,
        key: Arc<dyn Signer>,
    ) -> Result<Self, IdentityError> {
        let leaf = match chain.first() {
            Some(leaf) if chain.len() <= Self::MAX_CHAIN => leaf,
            _ => {
                return Err(IdentityError::Certificate(
                    "no leaf, or a long chain".into(),
                ));
            }
        };
        let certified =
            leaf_key(leaf).map_err(|error| IdentityError::Certificate(Box::new(error)))?;
        if certified != *key.verifying_key() {
            return Err(IdentityError::Mismatch);
        }
        Ok(Self {
            certified: Arc::new(CertifiedKey::new(chain, Arc::new(HandshakeKey(key)))),
            key: certified,
        })
    }

    /// SHA-256 of the SubjectPublicKeyInfo: what the other side pins.
    pub fn spki(&self) -> Digest {
        self.key.spki_digest()
    }

    /// The public key.
    pub const fn key(&self) -> &VerifyingKey {
        &self.key
    }

    /// The leaf certificate, DER.
    pub fn certificate(&self) -> &[u8] {
        self.certified.cert.first().map_or(&[], |leaf| leaf)
    }
}

// === impl IdentitySlot ===

impl IdentitySlot {
    /// A slot holding `identity`.
    pub fn new(identity: Identity) -> Self {
        Self(Arc::new(ArcSwap::from_pointee(identity)))
    }

    /// Uses `identity` for every handshake from now on.
    pub fn replace(&self, identity: Identity) {
        self.0.store(Arc::new(identity));
    }

    /// The identity in use.
    pub fn current(&self) -> Arc<Identity> {
        self.0.load_full()
    }
}

impl From<Identity> for IdentitySlot {
    fn from(identity: Identity) -> Self {
        Self::new(identity)
    }
}

impl ResolvesServerCert for IdentitySlot {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.load().certified.clone())
    }
}

impl ResolvesClientCert for IdentitySlot {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        Some(self.0.load().certified.clone())
    }

    fn has_certs(&self) -> bool {
        true
    }
}

// === impl IdentityError ===

impl IdentityError {
    /// The refusal this amounts to: always a matter of our own configuration.
    pub const fn reason(&self) -> Reason {
        Reason::InternalFault
    }
}

fn signer(pkcs8: &[u8]) -> Result<Arc<dyn Signer>, IdentityError> {
    if let Ok(key) = P256Key::from_pkcs8_der(pkcs8) {
        return Ok(Arc::new(key));
    }
    match Ed25519Key::from_pkcs8_der(pkcs8) {
        Ok(key) => Ok(Arc::new(key)),
        Err(_) => Err(IdentityError::Key),
    }
}

fn read(path: &Path) -> Result<Vec<u8>, IdentityError> {
    let failed = |source| IdentityError::Read {
        path: path.to_owned(),
        source,
    };
    let length = fs::metadata(path).map_err(failed)?.len();
    if length > Identity::MAX_FILE as u64 {
        return Err(failed(io::ErrorKind::FileTooLarge.into()));
    }
    fs::read(path).map_err(failed)
}

fn is_pem(text: &[u8]) -> bool {
    text.windows(11).any(|part| part == b"-----BEGIN ")
}
