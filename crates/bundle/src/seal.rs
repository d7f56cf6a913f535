//! The seal: a CAdES-B signature (ETSI EN 319 122-1) by a member's P-256 key, detached, with the
//! member's certificate in it.
//!
//! It is the one structure here that tools for courts know by themselves. It has one encoding for given
//! certificate, content, time and signature: reading one takes these out and writes it again.

mod der;

use entente_clock::Timestamp;
use entente_keys::{ChainError, MemberCertificate};
use entente_reason::Reason;
use entente_signing::{Algorithm, Digest, SignError, Signer};

use der::{context, implicit, integer, oid, sequence, set, tlv};

/// A seal that was verified: who put it, and when by their own word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sealed {
    /// The certificate it carries, and whose key made it.
    pub certificate: MemberCertificate,
    /// When, by the word of who sealed.
    pub at: Timestamp,
}

/// Why something was not sealed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SealError {
    /// The key is not the certificate's.
    #[error("the seal's key is not the one its certificate is for")]
    Certificate,
    /// The key did not sign.
    #[error("sealing with the member's key")]
    Sign(#[from] SignError),
}

/// Why a seal is not accepted. Variants are alphabetical.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SealInvalid {
    /// Its certificate is not a member's.
    #[error("the seal's certificate is not a member's")]
    Certificate(#[from] ChainError),
    /// Not a seal as this version writes them over this content.
    #[error("not a seal over this content")]
    Form,
    /// The signature does not verify.
    #[error("the seal's signature does not verify")]
    Signature,
    /// Sealed when its certificate was not valid.
    #[error("the seal's certificate was not valid when it was made")]
    Time,
}

/// Seals `content`. `at` is cut to whole seconds.
///
/// # Errors
/// When the key is not the certificate's, or cannot sign.
pub fn seal(
    content: &[u8],
    key: &dyn Signer,
    certificate: &MemberCertificate,
    at: Timestamp,
) -> Result<Vec<u8>, SealError> {
    let public = key.verifying_key();
    if public != certificate.key() || public.algorithm() != Algorithm::P256 {
        return Err(SealError::Certificate);
    }
    let attributes = attributes(content, certificate, at);
    let signature = key.sign(&set(&[&attributes]))?;
    write(certificate, &attributes, &signature).ok_or(SealError::Certificate)
}

/// Verifies a seal over `content`.
///
/// # Errors
/// When it is anything but what [`seal`] makes, or its certificate was not valid then.
pub fn verify(seal: &[u8], content: &[u8]) -> Result<Sealed, SealInvalid> {
    if seal.len() > MAX_LEN {
        return Err(SealInvalid::Form);
    }
    let found = der::find(seal).ok_or(SealInvalid::Form)?;
    let certificate = MemberCertificate::parse(found.certificate)?;
    let attributes = attributes(content, &certificate, found.at);
    // Whatever else stood in it would be signed by nobody, or read by nobody.
    let rewritten = write(&certificate, &attributes, &found.signature);
    if rewritten.as_deref() != Some(seal) {
        return Err(SealInvalid::Form);
    }
    certificate
        .key()
        .verify(&set(&[&attributes]), &found.signature)
        .map_err(|_| SealInvalid::Signature)?;
    if !certificate.validity().contains(found.at) {
        return Err(SealInvalid::Time);
    }
    Ok(Sealed {
        certificate,
        at: found.at,
    })
}

/// RFC 5652 §5.1: `ContentInfo` with `SignedData` by one signer.
fn write(
    certificate: &MemberCertificate,
    attributes: &[u8],
    signature: &[u8; 64],
) -> Option<Vec<u8>> {
    let sha256 = sequence(&[&oid(SHA256)]);
    let (issuer, serial) = der::issuer_and_serial(certificate.der())?;
    let (r, s) = signature.split_at(32);
    let signer = sequence(&[
        &integer(&[1]),
        &sequence(&[issuer, serial]),
        &sha256,
        &implicit(0, attributes),
        &sequence(&[&oid(ECDSA_WITH_SHA256)]),
        &tlv(0x04, &[&sequence(&[&integer(r), &integer(s)])]),
    ]);
    let signed = sequence(&[
        &integer(&[1]),
        &set(&[&sha256]),
        &sequence(&[&oid(DATA)]),
        &implicit(0, certificate.der()),
        &set(&[&signer]),
    ]);
    Some(sequence(&[&oid(SIGNED_DATA), &context(0, &signed)]))
}

/// The signed attributes, in DER's order.
fn attributes(content: &[u8], certificate: &MemberCertificate, at: Timestamp) -> Vec<u8> {
    let attribute = |kind: &[u8], value: &[u8]| sequence(&[&oid(kind), &set(&[value])]);
    let hash = |bytes: &[u8]| tlv(0x04, &[Digest::of(bytes).as_bytes()]);
    // SigningCertificateV2 with SHA-256, its default (RFC 5035).
    let certificates = sequence(&[&sequence(&[&sequence(&[&hash(certificate.der())])])]);
    let mut attributes = [
        attribute(CONTENT_TYPE, &oid(DATA)),
        attribute(SIGNING_TIME, &der::time(at)),
        attribute(MESSAGE_DIGEST, &hash(content)),
        attribute(SIGNING_CERTIFICATE_V2, &certificates),
    ];
    attributes.sort();
    attributes.concat()
}

// === impl SealError ===

impl SealError {
    /// The refusal this amounts to: always a matter of our own keys.
    pub const fn reason(&self) -> Reason {
        Reason::InternalFault
    }
}

// === impl SealInvalid ===

impl SealInvalid {
    /// Always `SIGNATURE_INVALID`.
    pub const fn reason(&self) -> Reason {
        Reason::SignatureInvalid
    }
}

/// A certificate of at most 4 KiB and a few hundred bytes.
const MAX_LEN: usize = 8 * 1024;
/// 1.2.840.113549.1.7.1 and .2.
const DATA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x01];
const SIGNED_DATA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x02];
/// 1.2.840.113549.1.9.3, .4, .5 and .16.2.47.
const CONTENT_TYPE: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x03];
const MESSAGE_DIGEST: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x04];
const SIGNING_TIME: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x05];
const SIGNING_CERTIFICATE_V2: &[u8] = &[
    0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x10, 0x02, 0x2f,
];
/// 2.16.840.1.101.3.4.2.1.
const SHA256: &[u8] = &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01];
/// 1.2.840.10045.4.3.2.
const ECDSA_WITH_SHA256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02];

#[cfg(test)]
mod tests;
