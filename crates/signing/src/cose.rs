//! `COSE_Sign1` (RFC 9052 §4.2, tag 18) with exactly the headers our formats use.
//!
//! Protected: 1 algorithm, 4 key id, 15 CWT claims {1 issuer, 2 subject}, 16 typ, 395 verifiable
//! data structure (RFC 9942). Unprotected: empty, or 396 with one inclusion proof. Anything else is
//! refused: an unread header would be a signed thing nobody checked.

use crate::cbor::{CborError, KeyOrder, Reader, Writer};
use crate::{Algorithm, KeyId, SignError, SignatureInvalid, SignatureValid, Signer, VerifyingKey};

/// The header parameters a signature covers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Protected {
    /// Header 1.
    pub algorithm: Algorithm,
    /// Header 4.
    pub key_id: KeyId,
    /// Header 15: who says it, about what.
    pub claims: Option<Claims>,
    /// Header 16: the media type of the whole object.
    pub typ: Option<String>,
    /// Header 395: the verifiable data structure of a receipt (1 is RFC 9162 with SHA-256).
    pub vds: Option<u64>,
}

/// CWT claims (RFC 9597) carried in header 15.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claims {
    /// Claim 1.
    pub issuer: String,
    /// Claim 2.
    pub subject: String,
}

/// A parsed `COSE_Sign1`, not yet verified.
#[derive(Clone, Debug)]
pub struct Sign1<'a> {
    protected: Protected,
    protected_bytes: &'a [u8],
    payload: Option<&'a [u8]>,
    inclusion_proof: Option<&'a [u8]>,
    signature: [u8; 64],
}

/// Why an object was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CoseError {
    /// Signed for another algorithm or key than the one offered.
    #[error("cose object names another key")]
    Key,
    /// Not the COSE_Sign1 our formats allow.
    #[error("cose object is malformed")]
    Malformed(#[from] CborError),
    /// The payload is detached and was not given, or is attached and should not be.
    #[error("cose payload is missing or unexpected")]
    Payload,
    /// The signature does not verify.
    #[error("cose signature does not verify")]
    Signature(#[from] SignatureInvalid),
}

// === impl Protected ===

impl Protected {
    /// Headers for what `signer` signs, with claims and a type.
    pub fn typed(signer: &dyn Signer, issuer: &str, subject: &str, typ: &str) -> Self {
        Self {
            algorithm: signer.verifying_key().algorithm(),
            key_id: signer.verifying_key().key_id(),
            claims: Some(Claims {
                issuer: issuer.into(),
                subject: subject.into(),
            }),
            typ: Some(typ.into()),
            vds: None,
        }
    }

    /// The encoded header map.
    pub fn encode(&self) -> Vec<u8> {
        let optional = [
            self.claims.is_some(),
            self.typ.is_some(),
            self.vds.is_some(),
        ];
        let mut writer = Writer::with_capacity(128);
        writer.map(2 + optional.into_iter().filter(|present| *present).count());
        writer.uint(1).int(self.algorithm.cose());
        writer.uint(4).bytes(&self.key_id.0);
        if let Some(claims) = &self.claims {
            writer.uint(15).map(2);
            writer.uint(1).text(&claims.issuer);
            writer.uint(2).text(&claims.subject);
        }
        if let Some(typ) = &self.typ {
            writer.uint(16).text(typ);
        }
        if let Some(vds) = self.vds {
            writer.uint(395).uint(vds);
        }
        writer.into_vec()
    }

    fn decode(bytes: &[u8]) -> Result<Self, CborError> {
        let mut reader = Reader::new(bytes);
        let (mut algorithm, mut key_id, mut claims, mut typ, mut vds) =
            (None, None, None, None, None);
        let mut order = KeyOrder::default();
        for _ in 0..reader.map()? {
            match reader.key(&mut order)?.uint()? {
                1 => algorithm = Some(Algorithm::from_cose(reader.int()?).ok_or(CborError::Range)?),
                4 => key_id = Some(KeyId(reader.bytes_exact()?)),
                15 => claims = Some(Claims::decode(&mut reader)?),
                16 => typ = Some(bounded(reader.text()?)?),
                395 => vds = Some(reader.uint()?),
                _ => return Err(CborError::Unexpected),
            }
        }
        reader.finish()?;
        Ok(Self {
            algorithm: algorithm.ok_or(CborError::Unexpected)?,
            key_id: key_id.ok_or(CborError::Unexpected)?,
            claims,
            typ,
            vds,
        })
    }
}

// === impl Claims ===

impl Claims {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, CborError> {
        if reader.map()? != 2 || reader.uint()? != 1 {
            return Err(CborError::Unexpected);
        }
        let issuer = bounded(reader.text()?)?;
        if reader.uint()? != 2 {
            return Err(CborError::Unexpected);
        }
        let subject = bounded(reader.text()?)?;
        Ok(Self { issuer, subject })
    }
}

// === impl Sign1 ===

impl<'a> Sign1<'a> {
    /// Reads one object, to the last byte.
    ///
    /// # Errors
    /// When it is not deterministic CBOR of exactly this shape.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, CoseError> {
        let mut reader = Reader::new(bytes);
        if reader.tag()? != 18 || reader.array()? != 4 {
            return Err(CborError::Unexpected.into());
        }
        let protected_bytes = reader.bytes()?;
        let protected = Protected::decode(protected_bytes)?;
        let inclusion_proof = match reader.map()? {
            0 => None,
            1 => Some(read_inclusion_proof(&mut reader)?),
            _ => return Err(CborError::Unexpected.into()),
        };
        let payload = reader.optional(Reader::bytes)?;
        let signature = reader.bytes_exact()?;
        reader.finish()?;
        Ok(Self {
            protected,
            protected_bytes,
            payload,
            inclusion_proof,
            signature,
        })
    }

    /// The header the signature covers.
    pub const fn protected(&self) -> &Protected {
        &self.protected
    }

    /// The attached payload.
    pub const fn payload(&self) -> Option<&'a [u8]> {
        self.payload
    }

    /// The inclusion proof of a receipt (RFC 9942 §5.2): the bytes inside its byte string.
    pub const fn inclusion_proof(&self) -> Option<&'a [u8]> {
        self.inclusion_proof
    }

    /// Verifies the signature over the attached payload.
    ///
    /// # Errors
    /// When another key is named, nothing is attached, or the signature does not verify.
    pub fn verify(&self, key: &VerifyingKey) -> Result<SignatureValid, CoseError> {
        self.verify_over(key, self.payload.ok_or(CoseError::Payload)?)
    }

    /// Verifies the signature over a payload carried elsewhere.
    ///
    /// # Errors
    /// As [`Sign1::verify`]; also when a payload is attached.
    pub fn verify_detached(
        &self,
        key: &VerifyingKey,
        payload: &[u8],
    ) -> Result<SignatureValid, CoseError> {
        if self.payload.is_some() {
            return Err(CoseError::Payload);
        }
        self.verify_over(key, payload)
    }

    /// The bytes the signature covers: the `Sig_structure` of RFC 9052 §4.4.
    pub fn signed_bytes(&self, payload: &[u8]) -> Vec<u8> {
        sig_structure(self.protected_bytes, payload)
    }

    fn verify_over(&self, key: &VerifyingKey, payload: &[u8]) -> Result<SignatureValid, CoseError> {
        if self.protected.key_id != key.key_id() || self.protected.algorithm != key.algorithm() {
            return Err(CoseError::Key);
        }
        Ok(key.verify(&self.signed_bytes(payload), &self.signature)?)
    }
}

/// Signs a payload and attaches it.
///
/// # Errors
/// When the key cannot be used.
pub fn sign1(
    signer: &dyn Signer,
    protected: &Protected,
    payload: &[u8],
) -> Result<Vec<u8>, SignError> {
    let protected = protected.encode();
    let signature = signer.sign(&sig_structure(&protected, payload))?;
    let mut writer = Writer::with_capacity(protected.len() + payload.len() + 80);
    writer
        .tag(18)
        .array(4)
        .bytes(&protected)
        .map(0)
        .bytes(payload)
        .bytes(&signature);
    Ok(writer.into_vec())
}

/// Signs a payload that travels elsewhere; returns what [`receipt`] needs.
///
/// # Errors
/// When the key cannot be used.
pub fn sign_detached(
    signer: &dyn Signer,
    protected: &Protected,
    payload: &[u8],
) -> Result<[u8; 64], SignError> {
    signer.sign(&sig_structure(&protected.encode(), payload))
}

/// A COSE receipt (RFC 9942): a detached signature over a tree's root, with one inclusion proof.
pub fn receipt(protected: &Protected, inclusion_proof: &[u8], signature: &[u8; 64]) -> Vec<u8> {
    let protected = protected.encode();
    let mut writer = Writer::with_capacity(protected.len() + inclusion_proof.len() + 96);
    writer.tag(18).array(4).bytes(&protected);
    writer
        .map(1)
        .uint(396)
        .map(1)
        .int(-1)
        .array(1)
        .bytes(inclusion_proof);
    writer.null().bytes(signature);
    writer.into_vec()
}

fn read_inclusion_proof<'a>(reader: &mut Reader<'a>) -> Result<&'a [u8], CborError> {
    if reader.uint()? != 396 || reader.map()? != 1 || reader.int()? != -1 || reader.array()? != 1 {
        return Err(CborError::Unexpected);
    }
    reader.bytes()
}

fn sig_structure(protected: &[u8], payload: &[u8]) -> Vec<u8> {
    let mut writer = Writer::with_capacity(protected.len() + payload.len() + 32);
    writer
        .array(4)
        .text("Signature1")
        .bytes(protected)
        .bytes(b"")
        .bytes(payload);
    writer.into_vec()
}

fn bounded(text: &str) -> Result<String, CborError> {
    if text.len() > MAX_HEADER_TEXT {
        return Err(CborError::Range);
    }
    Ok(text.into())
}

/// The longest text a header may hold, in bytes.
const MAX_HEADER_TEXT: usize = 512;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Ed25519Key, P256Key};

    #[test]
    fn signs_parses_and_verifies_and_nothing_altered_passes() {
        let signers: [Box<dyn Signer>; 2] = [
            Box::new(Ed25519Key::from_seed(&[1; 32]).unwrap()),
            Box::new(P256Key::generate().unwrap()),
        ];
        for signer in signers {
            let protected = Protected::typed(&*signer, "ca/a/b", "urn:x", "application/x+cbor");
            let bytes = sign1(&*signer, &protected, b"payload").unwrap();
            let parsed = Sign1::parse(&bytes).unwrap();
            assert_eq!(parsed.protected(), &protected);
            assert_eq!(parsed.payload(), Some(&b"payload"[..]));
            assert!(parsed.verify(signer.verifying_key()).is_ok());
            for at in 0..bytes.len() {
                let mut altered = bytes.clone();
                altered[at] ^= 1;
                let accepted = Sign1::parse(&altered)
                    .is_ok_and(|object| object.verify(signer.verifying_key()).is_ok());
                assert!(!accepted, "byte {at}");
            }
        }
    }

    #[test]
    fn a_receipt_carries_its_proof_and_verifies_over_the_root() {
        let signer = Ed25519Key::from_seed(&[2; 32]).unwrap();
        let mut protected = Protected::typed(&signer, "ca/a/@s", "urn:b", "x");
        protected.typ = None;
        protected.vds = Some(1);
        let signature = sign_detached(&signer, &protected, &[9; 32]).unwrap();
        let bytes = receipt(&protected, b"proof", &signature);
        let parsed = Sign1::parse(&bytes).unwrap();
        assert_eq!(parsed.inclusion_proof(), Some(&b"proof"[..]));
        assert!(
            parsed
                .verify_detached(signer.verifying_key(), &[9; 32])
                .is_ok()
        );
        assert!(
            parsed
                .verify_detached(signer.verifying_key(), &[8; 32])
                .is_err()
        );
        assert_eq!(
            parsed.verify(signer.verifying_key()).err(),
            Some(CoseError::Payload)
        );
    }

    #[test]
    fn refuses_a_header_it_does_not_know() {
        let signer = Ed25519Key::from_seed(&[3; 32]).unwrap();
        let mut protected = Writer::new();
        protected
            .map(3)
            .uint(1)
            .int(-8)
            .uint(2)
            .array(0)
            .uint(4)
            .bytes(&[0; 8]);
        let mut object = Writer::new();
        object
            .tag(18)
            .array(4)
            .bytes(protected.as_slice())
            .map(0)
            .bytes(b"")
            .bytes(&[0; 64]);
        assert!(Sign1::parse(object.as_slice()).is_err());
        let other = Ed25519Key::from_seed(&[4; 32]).unwrap();
        let headers = Protected::typed(&signer, "a", "b", "c");
        let bytes = sign1(&signer, &headers, b"").unwrap();
        let wrong_key = Sign1::parse(&bytes).unwrap().verify(other.verifying_key());
        assert_eq!(wrong_key.err(), Some(CoseError::Key));
    }
}
