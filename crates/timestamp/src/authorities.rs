//! Whose time is believed: the roots under which an authority's certificate must stand, and what that
//! certificate must be for.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use der::asn1::ObjectIdentifier;
use entente_clock::Timestamp;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, SignatureVerificationAlgorithm, TrustAnchor, UnixTime};
use webpki::aws_lc_rs as algorithms;
use webpki::{EndEntityCert, KeyUsage};
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer as _;

use crate::token::TokenError;

/// The roots of the authorities that are believed, and the policy their tokens must state.
///
/// A root is believed for as long as it is configured, its own dates notwithstanding: whoever no longer
/// believes it takes it out.
#[derive(Clone)]
pub struct Authorities {
    anchors: Vec<TrustAnchor<'static>>,
    policy: Option<Policy>,
}

/// A time-stamping policy: an object identifier, as in `1.2.3.4.1`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Policy(ObjectIdentifier);

/// A text that is not an object identifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an object identifier such as 1.2.3.4.1")]
pub struct InvalidPolicy;

/// Why a file does not name authorities. Variants are alphabetical.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AuthoritiesError {
    /// A certificate that cannot be a root.
    #[error("certificate {number} of the authorities' roots cannot be a root")]
    Certificate {
        /// Which, from 1.
        number: usize,
        /// Why.
        #[source]
        source: webpki::Error,
    },
    /// No certificate, or more than 32.
    #[error("the authorities' roots must be 1 to 32 certificates in PEM")]
    Count,
    /// Not PEM.
    #[error("the authorities' roots are not PEM")]
    Pem,
}

// === impl Authorities ===

impl Authorities {
    /// Reads roots: certificates in PEM, one after the other.
    ///
    /// # Errors
    /// When there is none, or one cannot be a root.
    pub fn parse(pem: &[u8]) -> Result<Self, AuthoritiesError> {
        let certificates = CertificateDer::pem_slice_iter(pem).take(MAX_ROOTS + 1);
        let certificates: Vec<_> = certificates
            .collect::<Result<_, _>>()
            .map_err(|_| AuthoritiesError::Pem)?;
        if certificates.is_empty() || certificates.len() > MAX_ROOTS {
            return Err(AuthoritiesError::Count);
        }
        let anchors = (1..).zip(&certificates).map(|(number, certificate)| {
            let anchor = webpki::anchor_from_trusted_cert(certificate);
            anchor
                .map(|anchor| anchor.to_owned())
                .map_err(|source| AuthoritiesError::Certificate { number, source })
        });
        Ok(Self {
            anchors: anchors.collect::<Result<_, _>>()?,
            policy: None,
        })
    }

    /// Asks for tokens under this policy, and accepts no others.
    #[must_use]
    pub const fn with_policy(mut self, policy: Option<Policy>) -> Self {
        self.policy = policy;
        self
    }

    /// The policy that tokens must state, if any.
    pub const fn policy(&self) -> Option<Policy> {
        self.policy
    }

    /// Checks that `signer` is a time-stamping certificate under one of the roots, at the time it
    /// states itself, and that its key made `signature` over `signed`.
    pub(crate) fn verify(
        &self,
        signer: &[u8],
        others: &[&[u8]],
        at: Timestamp,
        made: &Signature<'_>,
    ) -> Result<(), TokenError> {
        check_purpose(signer)?;
        let signer = CertificateDer::from(signer);
        let certificate = EndEntityCert::try_from(&signer).map_err(TokenError::Authority)?;
        let others: Vec<_> = others
            .iter()
            .map(|der| CertificateDer::from(*der))
            .collect();
        let at = UnixTime::since_unix_epoch(Duration::from_millis(at.as_millis()));
        let usage = KeyUsage::required(TIME_STAMPING);
        certificate
            .verify_for_usage(IN_CHAINS, &self.anchors, &others, at, usage, None, None)
            .map_err(|error| match error {
                webpki::Error::CertExpired { .. } | webpki::Error::CertNotValidYet { .. } => {
                    TokenError::Expired(error)
                }
                error => TokenError::Authority(error),
            })?;
        let tried = made.algorithms.iter().any(|algorithm| {
            let verified = certificate.verify_signature(*algorithm, &made.signed, made.bytes);
            verified.is_ok()
        });
        tried.then_some(()).ok_or(TokenError::Signature)
    }
}

/// A signature, and what it is said to be over.
#[derive(Debug)]
pub(crate) struct Signature<'a> {
    pub(crate) algorithms: Algorithms,
    pub(crate) signed: Vec<u8>,
    pub(crate) bytes: &'a [u8],
}

/// The kinds of signature that the identifiers in a token stand for, one for each size of key.
pub(crate) fn signature_algorithms(signature: &[u8], hash: Hash) -> Option<Algorithms> {
    let implied = match signature {
        RSA => hash,
        ECDSA_WITH_SHA256 | RSA_WITH_SHA256 => Hash::Sha256,
        ECDSA_WITH_SHA384 | RSA_WITH_SHA384 => Hash::Sha384,
        ECDSA_WITH_SHA512 | RSA_WITH_SHA512 => Hash::Sha512,
        _ => return None,
    };
    let is_ecdsa = matches!(
        signature,
        ECDSA_WITH_SHA256 | ECDSA_WITH_SHA384 | ECDSA_WITH_SHA512
    );
    // RFC 5652 §5.3: one hash for the content and for what is signed.
    if implied != hash {
        return None;
    }
    Some(match (is_ecdsa, hash) {
        (true, Hash::Sha256) => BY_ECDSA_WITH_SHA256,
        (true, Hash::Sha384) => BY_ECDSA_WITH_SHA384,
        (true, Hash::Sha512) => BY_ECDSA_WITH_SHA512,
        (false, Hash::Sha256) => BY_RSA_WITH_SHA256,
        (false, Hash::Sha384) => BY_RSA_WITH_SHA384,
        (false, Hash::Sha512) => BY_RSA_WITH_SHA512,
    })
}

/// The hashes a token may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hash {
    Sha256,
    Sha384,
    Sha512,
}

/// RFC 3161 §2.3: the purpose is time stamping, nothing else, and the extension is critical.
fn check_purpose(certificate: &[u8]) -> Result<(), TokenError> {
    let (_, certificate) = X509Certificate::from_der(certificate)
        .map_err(|_| TokenError::Malformed("signer's certificate"))?;
    let malformed = |_| TokenError::Malformed("signer's certificate");
    let purposes = certificate.extended_key_usage().map_err(malformed)?;
    let purposes = purposes.ok_or(TokenError::Purpose)?;
    let value = purposes.value;
    let others = value.any
        || value.server_auth
        || value.client_auth
        || value.code_signing
        || value.email_protection
        || value.ocsp_signing
        || !value.other.is_empty();
    if !purposes.critical || !value.time_stamping || others {
        return Err(TokenError::Purpose);
    }
    let usage = certificate.key_usage().map_err(malformed)?;
    let signs = |usage: &x509_parser::extensions::KeyUsage| {
        usage.digital_signature() || usage.non_repudiation()
    };
    if usage.is_some_and(|usage| !signs(usage.value)) {
        return Err(TokenError::Purpose);
    }
    Ok(())
}

impl fmt::Debug for Authorities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Authorities({})", self.anchors.len())
    }
}

// === impl Hash ===

impl Hash {
    /// By the content of its identifier.
    pub(crate) fn of(oid: &[u8]) -> Option<Self> {
        match oid {
            SHA256 => Some(Self::Sha256),
            SHA384 => Some(Self::Sha384),
            SHA512 => Some(Self::Sha512),
            _ => None,
        }
    }

    pub(crate) fn digest(self, bytes: &[u8]) -> aws_lc_rs::digest::Digest {
        let algorithm = match self {
            Self::Sha256 => &aws_lc_rs::digest::SHA256,
            Self::Sha384 => &aws_lc_rs::digest::SHA384,
            Self::Sha512 => &aws_lc_rs::digest::SHA512,
        };
        aws_lc_rs::digest::digest(algorithm, bytes)
    }
}

// === impl Policy ===

impl Policy {
    /// The identifier's content in DER.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }

    pub(crate) fn from_der_content(content: &[u8]) -> Option<Self> {
        ObjectIdentifier::from_bytes(content).ok().map(Self)
    }
}

impl FromStr for Policy {
    type Err = InvalidPolicy;

    fn from_str(text: &str) -> Result<Self, InvalidPolicy> {
        ObjectIdentifier::new(text)
            .map(Self)
            .map_err(|_| InvalidPolicy)
    }
}

impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Debug for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

const MAX_ROOTS: usize = 32;

/// 1.3.6.1.5.5.7.3.8.
const TIME_STAMPING: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x08];

/// 2.16.840.1.101.3.4.2.1, .2 and .3.
pub(crate) const SHA256: &[u8] = &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01];
const SHA384: &[u8] = &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x02];
const SHA512: &[u8] = &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x03];
/// 1.2.840.10045.4.3.2, .3 and .4.
const ECDSA_WITH_SHA256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02];
const ECDSA_WITH_SHA384: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x03];
const ECDSA_WITH_SHA512: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x04];
/// 1.2.840.113549.1.1.1, .11, .12 and .13; in CMS the first leaves the hash to `digestAlgorithm`.
const RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];
const RSA_WITH_SHA256: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0b];
const RSA_WITH_SHA384: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0c];
const RSA_WITH_SHA512: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0d];

/// Signature schemes, one for each size of key.
type Algorithms = &'static [&'static dyn SignatureVerificationAlgorithm];

static BY_ECDSA_WITH_SHA256: Algorithms =
    &[algorithms::ECDSA_P256_SHA256, algorithms::ECDSA_P384_SHA256];
static BY_ECDSA_WITH_SHA384: Algorithms =
    &[algorithms::ECDSA_P256_SHA384, algorithms::ECDSA_P384_SHA384];
static BY_ECDSA_WITH_SHA512: Algorithms =
    &[algorithms::ECDSA_P256_SHA512, algorithms::ECDSA_P384_SHA512];
static BY_RSA_WITH_SHA256: Algorithms = &[algorithms::RSA_PKCS1_2048_8192_SHA256];
static BY_RSA_WITH_SHA384: Algorithms = &[algorithms::RSA_PKCS1_2048_8192_SHA384];
static BY_RSA_WITH_SHA512: Algorithms = &[algorithms::RSA_PKCS1_2048_8192_SHA512];

/// How certificates of a chain may be signed.
static IN_CHAINS: Algorithms = &[
    algorithms::ECDSA_P256_SHA256,
    algorithms::ECDSA_P256_SHA384,
    algorithms::ECDSA_P384_SHA256,
    algorithms::ECDSA_P384_SHA384,
    algorithms::ED25519,
    algorithms::RSA_PKCS1_2048_8192_SHA256,
    algorithms::RSA_PKCS1_2048_8192_SHA384,
    algorithms::RSA_PKCS1_2048_8192_SHA512,
];
