//! COSE receipts (RFC 9942) of single entries: for tools that read COSE and not C2SP.
//!
//! The same tree as the tiles, the same key as the checkpoints: a detached `COSE_Sign1` over the root,
//! issuer the ledger's origin, subject `access-log`, with the entry's inclusion proof beside it.
//!
//! What is signed is the root. Index and size stand outside the signature, and several of them can
//! lead along one path to one root: that the entry is in the ledger is proven by the receipt alone,
//! *where* it is only together with a checkpoint ([`CoseReceipt::is_of`]).

use entente_signing::cbor::{CborError, Reader, Writer};
use entente_signing::cose::{self, Claims, CoseError, Protected, Sign1};
use entente_signing::{Algorithm, Digest, SignError, Signer};

use crate::checkpoint::{Checkpoint, SignedCheckpoint};
use crate::note::NoteKey;
use crate::proof::{InclusionProof, ProofInvalid};

/// A receipt whose signature and path were checked for one entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CoseReceipt {
    /// The ledger that issued it.
    pub origin: String,
    /// Position and size as the receipt states them, unsigned, and the path to the root.
    pub proof: InclusionProof,
    /// The signed root.
    pub root: Digest,
}

/// Why bytes are not a receipt of this entry in this ledger. Variants are alphabetical.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CoseReceiptError {
    /// Not the COSE object a receipt is, or its signature does not verify.
    #[error("failed to verify a receipt")]
    Cose(#[from] CoseError),
    /// Headers that are missing, or of another kind of object.
    #[error("receipt has other headers than a ledger's receipts")]
    Header,
    /// Not an inclusion proof of an entry in a tree.
    #[error("receipt holds no inclusion proof that can be one")]
    Path,
}

/// Why a receipt was not made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SignReceiptError {
    /// The key is not an Ed25519 key.
    #[error("receipts are signed with Ed25519 only")]
    Algorithm,
    /// The proof does not lead to the checkpoint's root.
    #[error("entry is not proven under the checkpoint")]
    Proof(#[from] ProofInvalid),
    /// The key could not be used.
    #[error("failed to sign a receipt")]
    Sign(#[from] SignError),
}

// === impl CoseReceipt ===

impl CoseReceipt {
    /// Longest receipt, in bytes: headers and 63 hashes.
    pub const MAX_LEN: usize = 4 * 1024;

    /// Signs a receipt for the entry with this leaf hash, under a checkpoint the ledger has signed.
    ///
    /// # Errors
    /// When the proof does not lead to the checkpoint's root, or the key could not sign.
    pub fn sign(
        signer: &dyn Signer,
        checkpoint: &SignedCheckpoint,
        proof: &InclusionProof,
        leaf_hash: &Digest,
    ) -> Result<Vec<u8>, SignReceiptError> {
        if signer.verifying_key().algorithm() != Algorithm::Ed25519 {
            return Err(SignReceiptError::Algorithm);
        }
        // Nothing but a root that a checkpoint vouches for is ever signed here.
        if proof.size != checkpoint.size() {
            return Err(ProofInvalid.into());
        }
        let root = checkpoint.root();
        proof.verify(leaf_hash, &root)?;
        let protected = Protected {
            algorithm: Algorithm::Ed25519,
            key_id: signer.verifying_key().key_id(),
            claims: Some(Claims {
                issuer: checkpoint.checkpoint().origin.clone(),
                subject: SUBJECT.to_owned(),
            }),
            typ: None,
            vds: Some(RFC9162_SHA256),
        };
        let signature = cose::sign_detached(signer, &protected, root.as_bytes())?;
        Ok(cose::receipt(&protected, &encode(proof), &signature))
    }

    /// Verifies a receipt for the entry with this leaf hash, issued by the ledger whose key this is.
    ///
    /// # Errors
    /// When anything about it is not as [`CoseReceipt::sign`] makes it.
    pub fn verify(
        bytes: &[u8],
        key: &NoteKey,
        leaf_hash: &Digest,
    ) -> Result<Self, CoseReceiptError> {
        if bytes.len() > Self::MAX_LEN {
            return Err(CoseReceiptError::Path);
        }
        let object = Sign1::parse(bytes)?;
        let protected = object.protected();
        let (Some(claims), None, Some(RFC9162_SHA256), Some(proof), None) = (
            &protected.claims,
            &protected.typ,
            protected.vds,
            object.inclusion_proof(),
            object.payload(),
        ) else {
            return Err(CoseReceiptError::Header);
        };
        if claims.issuer != key.name() || claims.subject != SUBJECT {
            return Err(CoseReceiptError::Header);
        }
        let proof = decode(proof).map_err(|_| CoseReceiptError::Path)?;
        let root = proof.root(leaf_hash).map_err(|_| CoseReceiptError::Path)?;
        object.verify_detached(key.key(), root.as_bytes())?;
        Ok(Self {
            origin: claims.issuer.clone(),
            proof,
            root,
        })
    }

    /// Whether index and size are those of an entry under this checkpoint, which was verified before.
    pub fn is_of(&self, checkpoint: &Checkpoint) -> bool {
        self.origin == checkpoint.origin
            && self.proof.size == checkpoint.size
            && self.root == checkpoint.root
    }
}

/// RFC 9942 §5.2.1: `[tree size, leaf index, [path, leaf to root]]`.
fn encode(proof: &InclusionProof) -> Vec<u8> {
    let mut writer = Writer::with_capacity(24 + 34 * proof.path.len());
    writer
        .array(3)
        .uint(proof.size)
        .uint(proof.index)
        .array(proof.path.len());
    for hash in &proof.path {
        writer.bytes(hash.as_bytes());
    }
    writer.into_vec()
}

fn decode(bytes: &[u8]) -> Result<InclusionProof, CborError> {
    let mut reader = Reader::new(bytes);
    if reader.array()? != 3 {
        return Err(CborError::Unexpected);
    }
    let (size, index) = (reader.uint()?, reader.uint()?);
    let count = reader.array()?;
    if count > MAX_PATH {
        return Err(CborError::Range);
    }
    let mut path = Vec::with_capacity(count);
    for _ in 0..count {
        path.push(Digest::from_bytes(reader.bytes_exact()?));
    }
    reader.finish()?;
    Ok(InclusionProof { index, size, path })
}

/// Claim 2: what the issuer's tree is.
const SUBJECT: &str = "access-log";
/// Header 395: the tree algorithm (RFC 9942 §5.1).
const RFC9162_SHA256: u64 = 1;
/// No tree is deeper.
const MAX_PATH: usize = 63;
