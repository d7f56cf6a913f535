//! CMS `SignedData` (RFC 5652), as RFC 3161 narrows it: one signer, its certificate inside, signed
//! attributes always.
//!
//! Reading proves nothing; `Authorities::verify` does.

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use der::Tag;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::ParsedExtension;
use x509_parser::prelude::FromDer as _;

use super::TokenError;
use crate::authorities::{Hash, Signature, signature_algorithms};
use crate::fields::{Field, Fields, Unreadable, context, context_primitive, only};

/// A token's parts, as received.
#[derive(Debug)]
pub(crate) struct SignedData<'a> {
    /// The `TSTInfo`.
    pub(crate) content: &'a [u8],
    certificates: Vec<&'a [u8]>,
    sid: Sid<'a>,
    hash: &'a [u8],
    attributes: Option<Field<'a>>,
    algorithm: &'a [u8],
    signature: &'a [u8],
}

/// How the signer is named.
#[derive(Clone, Copy, Debug)]
enum Sid<'a> {
    IssuerAndSerial { issuer: &'a [u8], serial: &'a [u8] },
    KeyId(&'a [u8]),
}

/// What names the signer's certificate within the signed attributes.
#[derive(Clone, Copy, Debug)]
struct SigningCertificate<'a> {
    /// `None`: SHA-1, of RFC 2634.
    hash: Option<Hash>,
    value: &'a [u8],
}

// === impl SignedData ===

impl<'a> SignedData<'a> {
    pub(crate) fn parse(token: &'a [u8]) -> Result<Self, Unreadable> {
        let mut token = Fields::of(only(token, Tag::Sequence)?)?;
        if token.oid()? != SIGNED_DATA {
            return Err(Unreadable);
        }
        let signed = token.take(context(0))?.content;
        token.end()?;
        let mut fields = Fields::of(only(signed, Tag::Sequence)?)?;
        // Nobody signs the versions and the list of hashes; they have one form all the same.
        if fields.small()? != 3 {
            return Err(Unreadable);
        }
        let mut hashes = Fields::of(fields.take(Tag::Set)?.content)?;
        let listed = hashes.algorithm()?;
        hashes.end()?;
        let mut encapsulated = fields.sequence()?;
        if encapsulated.oid()? != TST_INFO {
            return Err(Unreadable);
        }
        let content = encapsulated.take(context(0))?.content;
        encapsulated.end()?;
        let certificates = match fields.take_optional(context(0))? {
            Some(certificates) => certificates_in(certificates.content)?,
            None => Vec::new(),
        };
        fields.take_optional(context(1))?;
        let signers = fields.take(Tag::Set)?.content;
        fields.end()?;
        let mut signer = Fields::of(only(signers, Tag::Sequence)?)?;
        let version = signer.small()?;
        let sid = Sid::parse(&mut signer)?;
        let hash = signer.algorithm()?;
        if version != sid.version() || hash != listed {
            return Err(Unreadable);
        }
        let attributes = signer.take_optional(context(0))?;
        let algorithm = signer.algorithm()?;
        let signature = signer.take(Tag::OctetString)?.content;
        // What is not signed, says nothing.
        signer.take_optional(context(1))?;
        signer.end()?;
        Ok(Self {
            content: only(content, Tag::OctetString)?,
            certificates,
            sid,
            hash,
            attributes,
            algorithm,
            signature,
        })
    }

    /// Checks that the signed attributes are of this content, and answers what is signed.
    pub(crate) fn check_attributes(&self) -> Result<Signature<'a>, TokenError> {
        let attributes = Attributes::parse(self.attributes)?;
        let hash = Hash::of(self.hash).ok_or(TokenError::Signature)?;
        if attributes.content_type != TST_INFO {
            return Err(TokenError::Attributes("content type"));
        }
        if attributes.message_digest != hash.digest(self.content).as_ref() {
            return Err(TokenError::Attributes("message digest"));
        }
        let algorithms = signature_algorithms(self.algorithm, hash);
        let mut signed = attributes.whole.to_vec();
        // RFC 5652 §5.4: what is signed is the SET, not the [0] it is carried as.
        signed[0] = 0x31;
        Ok(Signature {
            algorithms: algorithms.ok_or(TokenError::Signature)?,
            signed,
            bytes: self.signature,
        })
    }

    /// The signer's certificate and the others: the one that the signed attributes name by its hash.
    pub(crate) fn signer(&self) -> Result<(&'a [u8], Vec<&'a [u8]>), TokenError> {
        let attributes = Attributes::parse(self.attributes)?;
        let named = |certificate: &[u8]| attributes.signers.iter().all(|s| s.names(certificate));
        let signer = self.certificates.iter().copied().find(|der| named(der));
        let signer = signer.ok_or(TokenError::Attributes("signing certificate"))?;
        if !self.sid.names(signer) {
            return Err(TokenError::Attributes("signer"));
        }
        let others = self.certificates.iter().copied().filter(|c| *c != signer);
        Ok((signer, others.collect()))
    }
}

/// Certificates in the order they came in. Other kinds of certificate are passed over.
fn certificates_in(content: &[u8]) -> Result<Vec<&[u8]>, Unreadable> {
    let mut fields = Fields::of(content)?;
    let mut certificates = Vec::new();
    while !fields.is_at_end() {
        let (tag, field) = fields.any()?;
        if tag == Tag::Sequence {
            certificates.push(field.whole);
        }
        if certificates.len() > MAX_CERTIFICATES {
            return Err(Unreadable);
        }
    }
    Ok(certificates)
}

/// The signed attributes that matter. Each must be there once.
#[derive(Debug)]
struct Attributes<'a> {
    whole: &'a [u8],
    content_type: &'a [u8],
    message_digest: &'a [u8],
    /// By SHA-1, by another hash, or both.
    signers: Vec<SigningCertificate<'a>>,
}

// === impl Attributes ===

impl<'a> Attributes<'a> {
    fn parse(attributes: Option<Field<'a>>) -> Result<Self, TokenError> {
        let attributes = attributes.ok_or(TokenError::Attributes("none"))?;
        let unreadable = |_: Unreadable| TokenError::Attributes("unreadable");
        let mut fields = Fields::of(attributes.content).map_err(unreadable)?;
        let (mut content_type, mut message_digest) = (None, None);
        let (mut by_sha1, mut by_hash) = (None, None);
        let mut count = 0;
        while !fields.is_at_end() {
            count += 1;
            let (oid, value) = attribute(&mut fields).map_err(unreadable)?;
            let place = match oid {
                CONTENT_TYPE => &mut content_type,
                MESSAGE_DIGEST => &mut message_digest,
                SIGNING_CERTIFICATE => &mut by_sha1,
                SIGNING_CERTIFICATE_V2 => &mut by_hash,
                _ => continue,
            };
            if place.replace(value).is_some() || count > MAX_ATTRIBUTES {
                return Err(TokenError::Attributes("repeated"));
            }
        }
        let missing = TokenError::Attributes("missing");
        let content_type = content_type.ok_or_else(|| missing.clone())?;
        let message_digest = message_digest.ok_or_else(|| missing.clone())?;
        let mut signers = Vec::new();
        if let Some(value) = by_sha1 {
            signers.push(SigningCertificate::parse(value, false).map_err(unreadable)?);
        }
        if let Some(value) = by_hash {
            signers.push(SigningCertificate::parse(value, true).map_err(unreadable)?);
        }
        if signers.is_empty() {
            return Err(missing);
        }
        Ok(Self {
            whole: attributes.whole,
            content_type: only(content_type, Tag::ObjectIdentifier).map_err(unreadable)?,
            message_digest: only(message_digest, Tag::OctetString).map_err(unreadable)?,
            signers,
        })
    }
}

/// An attribute's type and its one value.
fn attribute<'a>(fields: &mut Fields<'a>) -> Result<(&'a [u8], &'a [u8]), Unreadable> {
    let mut attribute = fields.sequence()?;
    let oid = attribute.oid()?;
    let values = attribute.take(Tag::Set)?.content;
    attribute.end()?;
    Ok((oid, values))
}

// === impl SigningCertificate ===

impl<'a> SigningCertificate<'a> {
    /// `SigningCertificate` (RFC 2634) or `SigningCertificateV2` (RFC 5035). The first certificate named
    /// is the signer's; what else is named narrows the chain, and chains are judged by our own roots.
    fn parse(value: &'a [u8], is_v2: bool) -> Result<Self, Unreadable> {
        let mut fields = Fields::of(only(value, Tag::Sequence)?)?;
        let mut certificates = fields.sequence()?;
        let mut first = certificates.sequence()?;
        let hash = match is_v2 {
            false => None,
            true => match first.take_optional(Tag::Sequence)? {
                None => Some(Hash::Sha256),
                Some(algorithm) => {
                    let mut algorithm = Fields::of(algorithm.content)?;
                    Some(Hash::of(algorithm.oid()?).ok_or(Unreadable)?)
                }
            },
        };
        let value = first.take(Tag::OctetString)?.content;
        Ok(Self { hash, value })
    }

    fn names(&self, certificate: &[u8]) -> bool {
        match self.hash {
            Some(hash) => hash.digest(certificate).as_ref() == self.value,
            // It only names a certificate, whose key then has to verify the signature.
            None => digest(&SHA1_FOR_LEGACY_USE_ONLY, certificate).as_ref() == self.value,
        }
    }
}

// === impl Sid ===

impl<'a> Sid<'a> {
    fn parse(signer: &mut Fields<'a>) -> Result<Self, Unreadable> {
        if let Some(id) = signer.take_optional(context_primitive(0))? {
            return Ok(Self::KeyId(id.content));
        }
        let mut named = signer.sequence()?;
        let issuer = named.take(Tag::Sequence)?.whole;
        let serial = named.take(Tag::Integer)?.content;
        named.end()?;
        Ok(Self::IssuerAndSerial { issuer, serial })
    }

    /// The version that goes with it.
    const fn version(&self) -> u8 {
        match self {
            Self::IssuerAndSerial { .. } => 1,
            Self::KeyId(_) => 3,
        }
    }

    fn names(&self, certificate: &[u8]) -> bool {
        let Ok((_, certificate)) = X509Certificate::from_der(certificate) else {
            return false;
        };
        match self {
            Self::IssuerAndSerial { issuer, serial } => {
                certificate.issuer().as_raw() == *issuer && certificate.raw_serial() == *serial
            }
            Self::KeyId(id) => certificate.extensions().iter().any(|extension| {
                matches!(
                    extension.parsed_extension(),
                    ParsedExtension::SubjectKeyIdentifier(key) if key.0 == *id
                )
            }),
        }
    }
}

const MAX_CERTIFICATES: usize = 8;
const MAX_ATTRIBUTES: usize = 16;

/// 1.2.840.113549.1.7.2.
const SIGNED_DATA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x02];
/// 1.2.840.113549.1.9.16.1.4.
const TST_INFO: &[u8] = &[
    0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x10, 0x01, 0x04,
];
/// 1.2.840.113549.1.9.3 and .4.
const CONTENT_TYPE: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x03];
const MESSAGE_DIGEST: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x04];
/// 1.2.840.113549.1.9.16.2.12 and .47.
const SIGNING_CERTIFICATE: &[u8] = &[
    0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x10, 0x02, 0x0c,
];
const SIGNING_CERTIFICATE_V2: &[u8] = &[
    0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x10, 0x02, 0x2f,
];
