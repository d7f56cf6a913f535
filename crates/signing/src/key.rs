//! Keys that sign and keys that verify.
//!
//! Signing and P-256 are done by aws-lc-rs; Ed25519 is verified by ed25519-dalek's `verify_strict`,
//! whose rules (no weak keys, no non-canonical encodings, no cofactor) are part of our formats. The
//! low s of P-256 is, too: one signature has one spelling.

mod low_s;

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair,
    KeyPair as _, ParsedPublicKey, UnparsedPublicKey,
};
use zeroize::Zeroizing;

use crate::Digest;

pub use low_s::lower_s;

/// A signature scheme, as COSE numbers it (RFC 9053).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// Ed25519 under the COSE number −8 (EdDSA), pinned to this curve by the registered key.
    Ed25519,
    /// ECDSA with P-256 and SHA-256, COSE number −7; signatures are r ‖ s, 64 bytes, s ≤ n / 2.
    P256,
}

/// The first 8 bytes of the SHA-256 of a key's SubjectPublicKeyInfo.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId(pub [u8; 8]);

/// A public key that was checked: on its curve, in its one encoding, not weak. A clone shares it.
///
/// Directories hold hundreds of thousands: a P-256 key is kept as its bytes, a tenth of what it is once
/// parsed, and parsed again for each signature, which makes verifying a few per cent slower.
#[derive(Clone)]
pub struct VerifyingKey {
    id: KeyId,
    point: Point,
}

#[derive(Clone)]
enum Point {
    Ed25519(Arc<EdwardsKey>),
    P256(Arc<P256Spki>),
}

struct EdwardsKey {
    spki: [u8; ED25519_SPKI.len() + 32],
    key: ed25519_dalek::VerifyingKey,
}

type P256Spki = [u8; P256_SPKI.len() + 65];

/// Proof that one signature was verified. Only [`VerifyingKey::verify`] makes one.
#[derive(Debug)]
pub struct SignatureValid(());

/// A signature that does not verify.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("signature does not verify")]
pub struct SignatureInvalid;

/// A public or private key that may not be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidKey {
    /// Not the one DER encoding of an Ed25519 or P-256 key.
    #[error("key is not the DER of an Ed25519 or P-256 key")]
    Encoding,
    /// A point of small order: anybody could sign for it.
    #[error("key is weak")]
    Weak,
}

/// A key that could not sign, for instance because its token is gone.
#[derive(Debug, thiserror::Error)]
#[error("signing with key {key_id} failed")]
pub struct SignError {
    /// The key.
    pub key_id: KeyId,
    /// What its custody said, when it said anything.
    #[source]
    pub source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// A private key, wherever it is kept.
pub trait Signer: fmt::Debug + Send + Sync {
    /// The public half.
    fn verifying_key(&self) -> &VerifyingKey;

    /// Signs a message: 64 bytes for either algorithm. Of P-256's s and n − s, the lower: a token
    /// that gives either is to be lowered by the signer that drives it.
    ///
    /// # Errors
    /// When the key cannot be used.
    fn sign(&self, message: &[u8]) -> Result<[u8; 64], SignError>;

    /// Whether signing may wait for a device: then it does not belong on a thread that serves others.
    fn waits(&self) -> bool {
        false
    }
}

/// An Ed25519 private key in memory.
pub struct Ed25519Key {
    pair: Ed25519KeyPair,
    public: VerifyingKey,
}

/// A P-256 private key in memory.
pub struct P256Key {
    pair: EcdsaKeyPair,
    public: VerifyingKey,
}

// === impl Algorithm ===

impl Algorithm {
    /// The COSE algorithm number.
    pub const fn cose(self) -> i64 {
        match self {
            Self::Ed25519 => -8,
            Self::P256 => -7,
        }
    }

    /// From the COSE algorithm number.
    pub const fn from_cose(number: i64) -> Option<Self> {
        match number {
            -8 => Some(Self::Ed25519),
            -7 => Some(Self::P256),
            _ => None,
        }
    }
}

// === impl KeyId ===

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

// === impl VerifyingKey ===

impl VerifyingKey {
    /// Reads a SubjectPublicKeyInfo (RFC 8410 for Ed25519, RFC 5480 for P-256, uncompressed point).
    ///
    /// # Errors
    /// When it is not exactly that, or the key is weak.
    pub fn from_spki_der(spki: &[u8]) -> Result<Self, InvalidKey> {
        if let Some(raw) = spki.strip_prefix(ED25519_SPKI) {
            return Self::from_ed25519_bytes(raw.try_into().map_err(|_| InvalidKey::Encoding)?);
        }
        let whole: P256Spki = spki.try_into().map_err(|_| InvalidKey::Encoding)?;
        let point = whole
            .strip_prefix(P256_SPKI)
            .filter(|point| point[0] == 4)
            .ok_or(InvalidKey::Encoding)?;
        ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).map_err(|_| InvalidKey::Encoding)?;
        Ok(Self::new(Point::P256(Arc::new(whole))))
    }

    /// Reads the 32 bytes of an Ed25519 public key (RFC 8032 §5.1.2).
    ///
    /// # Errors
    /// When they are no point, not in canonical form, or weak.
    pub fn from_ed25519_bytes(raw: &[u8; 32]) -> Result<Self, InvalidKey> {
        let key = ed25519_dalek::VerifyingKey::from_bytes(raw).map_err(|_| InvalidKey::Encoding)?;
        // Decompression accepts a y that is not reduced; one key must have one spelling.
        if key.to_edwards().compress().as_bytes() != raw {
            return Err(InvalidKey::Encoding);
        }
        if key.is_weak() {
            return Err(InvalidKey::Weak);
        }
        let mut spki = [0; ED25519_SPKI.len() + 32];
        spki[..ED25519_SPKI.len()].copy_from_slice(ED25519_SPKI);
        spki[ED25519_SPKI.len()..].copy_from_slice(raw);
        Ok(Self::new(Point::Ed25519(Arc::new(EdwardsKey {
            spki,
            key,
        }))))
    }

    /// Reads a point of P-256: 04 ‖ x ‖ y, as tokens give it.
    ///
    /// # Errors
    /// When it is not exactly that, on the curve.
    pub fn from_p256_point(point: &[u8]) -> Result<Self, InvalidKey> {
        Self::from_spki_der(&[P256_SPKI, point].concat())
    }

    fn new(point: Point) -> Self {
        let mut id = KeyId([0; 8]);
        id.0.copy_from_slice(&Digest::of(point.spki()).as_bytes()[..8]);
        Self { id, point }
    }

    /// The SubjectPublicKeyInfo in DER.
    pub fn spki_der(&self) -> &[u8] {
        self.point.spki()
    }

    /// The SHA-256 of the SubjectPublicKeyInfo.
    pub fn spki_digest(&self) -> Digest {
        Digest::of(self.spki_der())
    }

    /// The key's short name in COSE headers.
    pub const fn key_id(&self) -> KeyId {
        self.id
    }

    /// The signature scheme.
    pub const fn algorithm(&self) -> Algorithm {
        match self.point {
            Point::Ed25519(_) => Algorithm::Ed25519,
            Point::P256(_) => Algorithm::P256,
        }
    }

    /// The 32 raw bytes, when this is an Ed25519 key.
    pub fn raw_ed25519(&self) -> Option<[u8; 32]> {
        match &self.point {
            Point::Ed25519(point) => Some(point.key.to_bytes()),
            Point::P256(_) => None,
        }
    }

    /// Verifies one signature, strictly.
    ///
    /// # Errors
    /// When it does not verify.
    pub fn verify(
        &self,
        message: &[u8],
        signature: &[u8; 64],
    ) -> Result<SignatureValid, SignatureInvalid> {
        match &self.point {
            Point::Ed25519(point) => point
                .key
                .verify_strict(message, &ed25519_dalek::Signature::from_bytes(signature))
                .map_err(|_| SignatureInvalid)?,
            Point::P256(_) if !low_s::is_low(signature) => return Err(SignatureInvalid),
            Point::P256(spki) => {
                let point = &spki[P256_SPKI.len()..];
                UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point)
                    .verify(message, signature)
                    .map_err(|_| SignatureInvalid)?;
            }
        }
        Ok(SignatureValid(()))
    }
}

impl PartialEq for VerifyingKey {
    fn eq(&self, other: &Self) -> bool {
        self.spki_der() == other.spki_der()
    }
}

impl Eq for VerifyingKey {}

impl fmt::Debug for VerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} key {}", self.algorithm(), self.id)
    }
}

// === impl Point ===

impl Point {
    fn spki(&self) -> &[u8] {
        match self {
            Self::Ed25519(point) => &point.spki,
            Self::P256(spki) => &spki[..],
        }
    }
}

// === impl Ed25519Key ===

impl Ed25519Key {
    /// A new random key.
    ///
    /// # Errors
    /// When the machine has no randomness to give.
    pub fn generate() -> Result<Self, InvalidKey> {
        Ed25519KeyPair::generate()
            .map_err(|_| InvalidKey::Encoding)
            .and_then(Self::new)
    }

    /// The key with this seed (RFC 8032 §5.1.5).
    ///
    /// # Errors
    /// Never for 32 bytes; the type says so for the sake of its kin.
    pub fn from_seed(seed: &[u8; 32]) -> Result<Self, InvalidKey> {
        Ed25519KeyPair::from_seed_unchecked(seed)
            .map_err(|_| InvalidKey::Encoding)
            .and_then(Self::new)
    }

    /// Reads PKCS#8 (RFC 8410).
    ///
    /// # Errors
    /// When it is not an Ed25519 key.
    pub fn from_pkcs8_der(der: &[u8]) -> Result<Self, InvalidKey> {
        Ed25519KeyPair::from_pkcs8_maybe_unchecked(der)
            .map_err(|_| InvalidKey::Encoding)
            .and_then(Self::new)
    }

    /// Writes PKCS#8.
    ///
    /// # Errors
    /// When the key does not let itself be written.
    pub fn to_pkcs8_der(&self) -> Result<Zeroizing<Vec<u8>>, InvalidKey> {
        let der = self.pair.to_pkcs8v1().map_err(|_| InvalidKey::Encoding)?;
        Ok(Zeroizing::new(der.as_ref().to_vec()))
    }

    fn new(pair: Ed25519KeyPair) -> Result<Self, InvalidKey> {
        let raw = pair.public_key().as_ref().try_into();
        let public = VerifyingKey::from_ed25519_bytes(raw.map_err(|_| InvalidKey::Encoding)?)?;
        Ok(Self { pair, public })
    }
}

impl Signer for Ed25519Key {
    fn verifying_key(&self) -> &VerifyingKey {
        &self.public
    }

    fn sign(&self, message: &[u8]) -> Result<[u8; 64], SignError> {
        let key_id = self.public.key_id();
        let signature = self
            .pair
            .try_sign(message)
            .map_err(|_| unexplained(key_id))?;
        signature
            .as_ref()
            .try_into()
            .map_err(|_| unexplained(key_id))
    }
}

impl fmt::Debug for Ed25519Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "private half of {:?}", self.public)
    }
}

// === impl P256Key ===

impl P256Key {
    /// A new random key.
    ///
    /// # Errors
    /// When the machine has no randomness to give.
    pub fn generate() -> Result<Self, InvalidKey> {
        EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING)
            .map_err(|_| InvalidKey::Encoding)
            .and_then(Self::new)
    }

    /// Reads PKCS#8 (RFC 5958 with RFC 5915 inside).
    ///
    /// # Errors
    /// When it is not a P-256 key.
    pub fn from_pkcs8_der(der: &[u8]) -> Result<Self, InvalidKey> {
        EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der)
            .map_err(|_| InvalidKey::Encoding)
            .and_then(Self::new)
    }

    /// Writes PKCS#8.
    ///
    /// # Errors
    /// When the key does not let itself be written.
    pub fn to_pkcs8_der(&self) -> Result<Zeroizing<Vec<u8>>, InvalidKey> {
        let der = self.pair.to_pkcs8v1().map_err(|_| InvalidKey::Encoding)?;
        Ok(Zeroizing::new(der.as_ref().to_vec()))
    }

    fn new(pair: EcdsaKeyPair) -> Result<Self, InvalidKey> {
        let spki = [P256_SPKI, pair.public_key().as_ref()].concat();
        let public = VerifyingKey::from_spki_der(&spki)?;
        Ok(Self { pair, public })
    }
}

impl Signer for P256Key {
    fn verifying_key(&self) -> &VerifyingKey {
        &self.public
    }

    fn sign(&self, message: &[u8]) -> Result<[u8; 64], SignError> {
        let key_id = self.public.key_id();
        let signature = self
            .pair
            .sign(&SystemRandom::new(), message)
            .map_err(|_| unexplained(key_id))?;
        signature
            .as_ref()
            .try_into()
            .map(lower_s)
            .map_err(|_| unexplained(key_id))
    }
}

impl fmt::Debug for P256Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "private half of {:?}", self.public)
    }
}

fn unexplained(key_id: KeyId) -> SignError {
    SignError {
        key_id,
        source: None,
    }
}

/// SEQUENCE { SEQUENCE { OID 1.3.101.112 }, BIT STRING, … } up to the 32 key bytes (RFC 8410 §4).
const ED25519_SPKI: &[u8] = &[
    0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0,
];

/// SEQUENCE { SEQUENCE { ecPublicKey, prime256v1 }, BIT STRING, … } up to the point (RFC 5480 §2).
const P256_SPKI: &[u8] = &[
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a,
    0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0,
];

#[cfg(test)]
mod tests;
