//! The batch form: one signature over the root of a tree of statements (RFC 9162 §2.1, RFC 9942).
//!
//! The root alone does not fix the size of its tree, so a receipt with another size could verify as
//! well. The signed subject names the size, `urn:entente:batch:<size>`: then size, index and path
//! can each be nothing but what they were, and a batch proof has one encoding, as a direct one has.

use std::sync::Arc;

use bytes::Bytes;
use entente_identity::ServerId;
use entente_signing::cbor::{CborError, Reader, Writer};
use entente_signing::cose::{self, Claims, CoseError, Protected, Sign1};
use entente_signing::{Algorithm, Digest, KeyId, Signer, VerifyingKey};

use super::roots::{RootCache, VerifiedRoot};
use super::{Draft, Inner, ParseError, Proof, ProofError, SignedStatement, merkle, sign_alone};
use crate::statement::Statement;

/// Signs the statements one server has in flight with one signature. Each carries its own proof and
/// can be verified alone. A batch of one is signed directly.
///
/// # Errors
/// When there are more than 4,096, one has another sender server, or the key cannot sign.
pub fn sign_batch(
    signer: &dyn Signer,
    server: &ServerId,
    mut drafts: Vec<Draft>,
) -> Result<Vec<SignedStatement>, ProofError> {
    if signer.verifying_key().algorithm() != Algorithm::Ed25519 {
        return Err(ProofError::Algorithm);
    }
    let ours = |draft: &Draft| draft.statement.sender_server == *server;
    if drafts.len() > merkle::MAX_SIZE || !drafts.iter().all(ours) {
        return Err(ProofError::Batch);
    }
    if drafts.len() < 2 {
        let single = drafts.pop().map(|one| sign_alone(signer, one));
        return single.into_iter().collect();
    }
    let leaves = drafts.iter().map(|draft| merkle::leaf_hash(&draft.bytes));
    let tree = merkle::Tree::of(leaves.collect());
    let root = tree.root();
    let protected = receipt_header(signer.verifying_key().key_id(), server, tree.len() as u64);
    let signature = cose::sign_detached(signer, &protected, root.as_bytes())?;
    let sign = |(index, draft): (usize, Draft)| {
        let Draft {
            statement,
            bytes: payload,
        } = draft;
        let proof = encode_proof(tree.len(), index, &tree.path(index));
        let receipt = cose::receipt(&protected, &proof, &signature);
        let mut writer = Writer::with_capacity(payload.len() + receipt.len() + 8);
        writer.array(2).bytes(&payload).bytes(&receipt);
        let bytes = Bytes::from(writer.into_vec());
        // The receipt is the array's last item; the statement ends before the receipt's own head.
        let receipt_at = bytes.len() - receipt.len();
        let payload_end = receipt_at - bytes_head_len(receipt.len());
        SignedStatement(Arc::new(Inner {
            statement_bytes: bytes.slice(payload_end - payload.len()..payload_end),
            hash: Digest::of(&payload),
            key_id: protected.key_id,
            statement,
            proof: Proof::Batch {
                receipt: bytes.slice(receipt_at..),
                root,
            },
            bytes,
        }))
    };
    Ok(drafts.into_iter().enumerate().map(sign).collect())
}

pub(super) fn parse(bytes: Bytes) -> Result<SignedStatement, ParseError> {
    let mut reader = Reader::new(&bytes);
    if reader.array()? != 2 {
        return Err(CborError::Unexpected.into());
    }
    let (payload, receipt) = (reader.bytes()?, reader.bytes()?);
    reader.finish()?;
    let object = Sign1::parse(receipt).map_err(ParseError::Cose)?;
    let protected = object.protected();
    if protected.algorithm != Algorithm::Ed25519 {
        return Err(ParseError::Algorithm);
    }
    let (Some(claims), None, Some(RFC9162_SHA256), Some(proof), None) = (
        &protected.claims,
        &protected.typ,
        protected.vds,
        object.inclusion_proof(),
        object.payload(),
    ) else {
        return Err(ParseError::Header);
    };
    let statement = Statement::decode(payload)?;
    if claims.issuer != statement.sender_server.as_str() {
        return Err(ParseError::Issuer);
    }
    let (size, root) = read_root(proof, merkle::leaf_hash(payload))?;
    if claims.subject != subject(size) {
        return Err(ParseError::Subject);
    }
    Ok(SignedStatement(Arc::new(Inner {
        statement_bytes: bytes.slice_ref(payload),
        hash: Digest::of(payload),
        key_id: protected.key_id,
        statement,
        proof: Proof::Batch {
            receipt: bytes.slice_ref(receipt),
            root,
        },
        bytes: bytes.clone(),
    })))
}

/// Verifies the signature over a root, unless `roots` saw the same one verify.
pub(super) fn verify_root(
    key: &VerifyingKey,
    receipt: &[u8],
    root: &Digest,
    roots: Option<&RootCache>,
) -> Result<(), CoseError> {
    let object = Sign1::parse(receipt)?;
    let seen = VerifiedRoot::new(key, &object.signed_bytes(root.as_bytes()), receipt);
    if roots.is_some_and(|roots| roots.contains(&seen)) {
        return Ok(());
    }
    object.verify_detached(key, root.as_bytes())?;
    if let Some(roots) = roots {
        roots.insert(seen);
    }
    Ok(())
}

/// Claim 2 of a batch receipt.
fn subject(size: u64) -> String {
    format!("urn:entente:batch:{size}")
}

/// Length of the head of a CBOR byte string.
const fn bytes_head_len(len: usize) -> usize {
    match len {
        0..=23 => 1,
        24..=0xff => 2,
        0x100..=0xffff => 3,
        _ => 5,
    }
}

fn receipt_header(key_id: KeyId, server: &ServerId, size: u64) -> Protected {
    Protected {
        algorithm: Algorithm::Ed25519,
        key_id,
        claims: Some(Claims {
            issuer: server.as_str().into(),
            subject: subject(size),
        }),
        typ: None,
        vds: Some(RFC9162_SHA256),
    }
}

/// RFC 9942 §5.2.1: `[tree size, leaf index, [path, leaf to root]]`.
fn encode_proof(size: usize, index: usize, path: &[Digest]) -> Vec<u8> {
    let mut writer = Writer::with_capacity(16 + 34 * path.len());
    writer
        .array(3)
        .uint(size as u64)
        .uint(index as u64)
        .array(path.len());
    for hash in path {
        writer.bytes(hash.as_bytes());
    }
    writer.into_vec()
}

fn read_root(proof: &[u8], leaf: Digest) -> Result<(u64, Digest), ParseError> {
    let mut reader = Reader::new(proof);
    if reader.array()? != 3 {
        return Err(CborError::Unexpected.into());
    }
    let (size, index) = (reader.uint()?, reader.uint()?);
    let count = reader.array()?;
    if count > merkle::MAX_PATH {
        return Err(ParseError::Path);
    }
    let mut path = Vec::with_capacity(count);
    for _ in 0..count {
        path.push(Digest::from_bytes(reader.bytes_exact()?));
    }
    reader.finish()?;
    let root = merkle::root_from_path(size, index, leaf, &path).ok_or(ParseError::Path)?;
    Ok((size, root))
}

/// Header 395: the tree algorithm (RFC 9942 §5.1).
const RFC9162_SHA256: u64 = 1;
