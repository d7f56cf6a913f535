//! A change as it is signed: `COSE_Sign1` with P-256 over one deterministic map.

use bytes::Bytes;
use entente_clock::Timestamp;
use entente_reason::Reason;
use entente_signing::cbor::{CborError, Reader, Writer};
use entente_signing::cose::{self, CoseError, Protected, Sign1};
use entente_signing::{
    Algorithm, Digest, KeyId, SignError, SignatureInvalid, SignatureValid, Signer, VerifyingKey,
};

use super::{Author, Change, Kind};
use crate::codec::{self, BodyError, Fields, Map};

/// Who says it, and where it stands among what that author said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangeHeader {
    /// The origin of the registry's ledger it is for.
    pub registry: String,
    /// Who signs.
    pub author: Author,
    /// Counts this author's changes in this registry, from 1.
    pub sequence: u64,
    /// Hash of this author's change before; absent for the first.
    pub previous: Option<Digest>,
    /// The last moment at which the registry may log it.
    pub not_after: Timestamp,
}

/// A change with its signature, parsed strictly and not yet verified.
///
/// The payload is the map `{1 version, 2 registry, 3 author, 4 key id, 5 sequence, 6 previous,
/// 7 not-after, 8 kind, 9 body}`; the *change hash* is SHA-256 of the payload.
#[derive(Clone, Debug)]
pub struct SignedChange {
    bytes: Bytes,
    hash: Digest,
    header: ChangeHeader,
    key_id: KeyId,
    change: Change,
}

/// Why bytes are not a change. Variants are alphabetical.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MalformedChange {
    /// Not the deterministic CBOR of a change.
    #[error("change is malformed")]
    Cbor(#[source] CborError),
    /// Not the `COSE_Sign1` a change is.
    #[error("change is not signed as changes are")]
    Cose(#[source] CoseError),
    /// More than [`MAX_CHANGE`].
    #[error("change is larger than 16 KiB")]
    TooLarge,
    /// A kind this version does not know.
    #[error("change is of an unknown kind")]
    UnknownKind,
    /// It brings a key anybody could sign for.
    #[error("change brings a weak key")]
    WeakKey,
}

/// Why a change could not be signed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SignChangeError {
    /// It does not hold together: too large, or a list too long.
    #[error("encoding a change")]
    Malformed(#[source] MalformedChange),
    /// The key could not sign.
    #[error("signing a change")]
    Sign(#[source] SignError),
}

// === impl SignedChange ===

impl SignedChange {
    /// Signs a change with one of its author's P-256 keys.
    ///
    /// # Errors
    /// When the key cannot be used, or the change is out of bounds.
    pub fn sign(
        signer: &dyn Signer,
        header: &ChangeHeader,
        change: &Change,
    ) -> Result<Self, SignChangeError> {
        let key_id = signer.verifying_key().key_id();
        let protected = Protected {
            algorithm: signer.verifying_key().algorithm(),
            key_id,
            claims: None,
            typ: Some(TYP.into()),
            vds: None,
        };
        let payload = encode(header, key_id, change);
        let bytes = cose::sign1(signer, &protected, &payload).map_err(SignChangeError::Sign)?;
        Self::parse(bytes.into()).map_err(SignChangeError::Malformed)
    }

    /// Reads a change, strictly. The signature is not verified here: [`crate::apply()`] knows the key.
    ///
    /// # Errors
    /// When the bytes are not the one encoding of a change.
    pub fn parse(bytes: Bytes) -> Result<Self, MalformedChange> {
        if bytes.len() > MAX_CHANGE {
            return Err(MalformedChange::TooLarge);
        }
        let cose = Sign1::parse(&bytes).map_err(MalformedChange::Cose)?;
        let protected = cose.protected();
        let typed = protected.algorithm == Algorithm::P256
            && protected.typ.as_deref() == Some(TYP)
            && protected.claims.is_none()
            && protected.vds.is_none()
            && cose.inclusion_proof().is_none();
        let payload = match cose.payload() {
            Some(payload) if typed => payload,
            _ => return Err(MalformedChange::Cbor(CborError::Unexpected)),
        };
        let key_id = protected.key_id;
        let (header, named, change) = decode(payload)?;
        // Belt and braces: whatever decodes must encode to what was signed.
        if named != key_id || encode(&header, key_id, &change) != payload {
            return Err(MalformedChange::Cbor(CborError::Undeterministic));
        }
        let hash = Digest::of(payload);
        Ok(Self {
            bytes,
            hash,
            header,
            key_id,
            change,
        })
    }

    /// The bytes, as they were signed.
    pub const fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// The change's name: SHA-256 of its payload.
    pub const fn hash(&self) -> Digest {
        self.hash
    }

    /// Who says it.
    pub const fn header(&self) -> &ChangeHeader {
        &self.header
    }

    /// The key that signed it.
    pub const fn key_id(&self) -> KeyId {
        self.key_id
    }

    /// What it says.
    pub const fn change(&self) -> &Change {
        &self.change
    }

    /// What kind of change it is.
    pub const fn kind(&self) -> Kind {
        self.change.kind()
    }

    /// The blob it rests on, if any.
    pub const fn blob(&self) -> Option<Digest> {
        match &self.change {
            Change::ServicePublish(body) => Some(body.descriptor_set),
            Change::AgreementPropose(body) => Some(body.agreement),
            _ => None,
        }
    }

    /// Verifies the signature.
    ///
    /// # Errors
    /// When another key signed it, or it was altered.
    pub fn verify(&self, key: &VerifyingKey) -> Result<SignatureValid, SignatureInvalid> {
        Sign1::parse(&self.bytes)
            .and_then(|cose| cose.verify(key))
            .map_err(|_| SignatureInvalid)
    }
}

impl PartialEq for SignedChange {
    fn eq(&self, other: &Self) -> bool {
        self.bytes == other.bytes
    }
}

impl Eq for SignedChange {}

fn encode(header: &ChangeHeader, key_id: KeyId, change: &Change) -> Vec<u8> {
    let mut fields = Fields::new();
    fields
        .uint(1, VERSION)
        .text(2, &header.registry)
        .text(3, &header.author.to_string())
        .bytes(4, &key_id.0)
        .uint(5, header.sequence);
    if let Some(previous) = &header.previous {
        fields.digest(6, previous);
    }
    fields
        .time(7, header.not_after)
        .uint(8, change.kind().number());
    let mut body = Writer::with_capacity(256);
    change.write(&mut body);
    fields.key(9).raw(body.as_slice());
    fields.into_vec()
}

fn decode(payload: &[u8]) -> Result<(ChangeHeader, KeyId, Change), MalformedChange> {
    let mut reader = Reader::new(payload);
    let mut map = Map::open(&mut reader)?;
    map.required(1, |r| match r.uint()? {
        VERSION => Ok(()),
        _ => Err(CborError::Range),
    })?;
    let registry = map.required(2, codec::short_text)?;
    let author = map.required(3, codec::parsed)?;
    let key_id = KeyId(map.required(4, |r| r.bytes_exact())?);
    let sequence = map.required(5, |r| r.uint())?;
    let previous = map.optional(6, codec::digest)?;
    let not_after = map.required(7, codec::time)?;
    let kind = map.required(8, |r| r.uint())?;
    let kind = Kind::from_number(kind).ok_or(MalformedChange::UnknownKind)?;
    let change = map.required(9, |r| Change::read(kind, r))?;
    map.end()?;
    reader.finish()?;
    let header = ChangeHeader {
        registry,
        author,
        sequence,
        previous,
        not_after,
    };
    Ok((header, key_id, change))
}

// === impl MalformedChange ===

impl MalformedChange {
    /// What the author is told.
    pub const fn reason(&self) -> Reason {
        match self {
            Self::Cbor(_) | Self::Cose(_) | Self::UnknownKind => Reason::ChangeMalformed,
            Self::TooLarge => Reason::ChangeTooLarge,
            Self::WeakKey => Reason::KeyWeak,
        }
    }
}

impl From<CborError> for MalformedChange {
    fn from(error: CborError) -> Self {
        Self::Cbor(error)
    }
}

impl From<BodyError> for MalformedChange {
    fn from(error: BodyError) -> Self {
        match error {
            BodyError::Cbor(error) => Self::Cbor(error),
            BodyError::WeakKey => Self::WeakKey,
        }
    }
}

/// The largest signed change, in bytes.
pub const MAX_CHANGE: usize = 16 << 10;

const VERSION: u64 = 1;
const TYP: &str = "application/entente-change+cbor";
