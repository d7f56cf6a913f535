//! A statement with its signature, as bytes: made here, or received and kept as received.
//!
//! Two forms, one strictness:
//!
//! * **direct**: a `COSE_Sign1` (tag 18, alg −8) with the statement attached, issuer the sending
//!   system, subject `urn:entente:mid:<hex>`, typ `application/entente-stmt+cbor`;
//! * **batch**: a CBOR array `[statement, receipt]`; the receipt (RFC 9942, vds 1; issuer
//!   the sending server, subject `urn:entente:batch:<size>`) proves the statement's place in an
//!   RFC 9162 tree whose root the server signed once for many statements.
//!
//! [`SignedStatement::parse`] checks everything that needs no key; [`SignedStatement::verify`] the
//! rest, and the only way to a [`Verified`] is through it. Which key may sign for whom is the
//! directory's to say.

mod batch;
mod merkle;
mod roots;

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use entente_reason::Reason;
use entente_signing::cbor::{CborError, Kind, Reader};
use entente_signing::cose::{self, CoseError, Protected, Sign1};
use entente_signing::{Algorithm, Digest, KeyId, SignError, Signer, VerifyingKey};

use crate::statement::{MessageId, Statement, StatementError};

pub use batch::sign_batch;
pub use roots::RootCache;

/// A statement and its proof, exactly as signed or received. Cheap to clone.
#[derive(Clone)]
pub struct SignedStatement(Arc<Inner>);

/// A statement written out, not signed yet. Whatever could be wrong with it alone has been found.
#[derive(Clone, Debug)]
pub struct Draft {
    statement: Statement,
    bytes: Vec<u8>,
}

/// A signed statement whose signature verified. Holding one is the proof that it did.
#[derive(Clone, Debug)]
pub struct Verified {
    signed: SignedStatement,
    _only_verify_makes_one: (),
}

/// How a statement is proven.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Form {
    /// Its tree root is signed, with those of others.
    Batch,
    /// It is signed itself.
    Direct,
}

/// Why bytes are not a signed statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseError {
    /// Signed with an algorithm statements do not use.
    #[error("statement proof names another algorithm than Ed25519")]
    Algorithm,
    /// Neither form.
    #[error("statement proof is not the cbor it should be")]
    Cbor(#[from] CborError),
    /// The COSE object is malformed.
    #[error("statement proof is not the cose object it should be")]
    Cose(#[source] CoseError),
    /// Headers that are missing, or do not belong to this form.
    #[error("statement proof has other headers than its form")]
    Header,
    /// The proof speaks for another sender than the statement.
    #[error("statement proof names another issuer than the statement")]
    Issuer,
    /// An inclusion proof that cannot be one.
    #[error("statement proof has an impossible inclusion path")]
    Path,
    /// The statement is refused.
    #[error("statement is refused")]
    Statement(#[from] StatementError),
    /// The proof speaks of another message than the statement.
    #[error("statement proof names another subject than the statement")]
    Subject,
    /// Beyond [`SignedStatement::MAX_LEN`].
    #[error("signed statement of {len} bytes is too large")]
    TooLarge {
        /// Its length.
        len: usize,
    },
}

/// Why statements were not signed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProofError {
    /// The key is not an Ed25519 key.
    #[error("statements are signed with Ed25519 only")]
    Algorithm,
    /// A batch that is too large, or holds a statement of another server.
    #[error("statements do not make one batch")]
    Batch,
    /// The key could not be used.
    #[error("could not sign a statement")]
    Sign(#[from] SignError),
    /// A statement cannot be written.
    #[error("could not write a statement to sign")]
    Statement(#[from] StatementError),
}

/// Why a signed statement did not verify.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum VerifyError {
    /// The proof names another key than the one offered.
    #[error("statement is signed with key {named}, not with {offered}")]
    Key {
        /// The key the proof names.
        named: KeyId,
        /// The key it was to be verified with.
        offered: KeyId,
    },
    /// The signature is not the key's over this statement.
    #[error("signature over the statement does not verify")]
    Signature(#[source] CoseError),
}

struct Inner {
    bytes: Bytes,
    statement: Statement,
    statement_bytes: Bytes,
    hash: Digest,
    key_id: KeyId,
    proof: Proof,
}

enum Proof {
    Batch { receipt: Bytes, root: Digest },
    Direct,
}

// === impl SignedStatement ===

impl SignedStatement {
    /// Longest signed statement, in bytes: the statement and 1 KiB of proof.
    pub const MAX_LEN: usize = Statement::MAX_LEN + 1024;

    /// Reads a signed statement of either form. The bytes are kept, never copied or re-encoded.
    ///
    /// # Errors
    /// When anything but the signature itself is wrong.
    pub fn parse(bytes: Bytes) -> Result<Self, ParseError> {
        if bytes.len() > Self::MAX_LEN {
            return Err(ParseError::TooLarge { len: bytes.len() });
        }
        match Reader::new(&bytes).peek()? {
            Kind::Tag => parse_direct(bytes),
            Kind::Array => batch::parse(bytes),
            _ => Err(CborError::Unexpected.into()),
        }
    }

    /// The message id in bytes that were read in full before: reads no further than it has to, and
    /// checks nothing. For indexes.
    pub fn message_id_of(bytes: &[u8]) -> Option<MessageId> {
        let mut reader = Reader::new(bytes);
        match reader.peek().ok()? {
            Kind::Tag => {
                reader.tag().ok()?;
                reader.array().ok()?;
                reader.bytes().ok()?;
                reader.raw_item().ok()?;
            }
            _ => {
                reader.array().ok()?;
            }
        }
        Statement::message_id_of(reader.bytes().ok()?)
    }

    /// Verifies the proof under a key.
    ///
    /// # Errors
    /// When the proof names another key or does not verify, strictly.
    pub fn verify(&self, key: &VerifyingKey) -> Result<Verified, VerifyError> {
        self.verify_signature(key, None)
    }

    /// As [`SignedStatement::verify`], verifying each batch root once: a signature over a root that
    /// `roots` saw verify under the same key is not verified again.
    ///
    /// # Errors
    /// As [`SignedStatement::verify`].
    pub fn verify_with(
        &self,
        key: &VerifyingKey,
        roots: &RootCache,
    ) -> Result<Verified, VerifyError> {
        self.verify_signature(key, Some(roots))
    }

    fn verify_signature(
        &self,
        key: &VerifyingKey,
        roots: Option<&RootCache>,
    ) -> Result<Verified, VerifyError> {
        if self.0.key_id != key.key_id() || key.algorithm() != Algorithm::Ed25519 {
            return Err(VerifyError::Key {
                named: self.0.key_id,
                offered: key.key_id(),
            });
        }
        match &self.0.proof {
            Proof::Direct => {
                let object = Sign1::parse(&self.0.bytes).map_err(VerifyError::Signature)?;
                object.verify(key).map_err(VerifyError::Signature)?;
            }
            Proof::Batch { receipt, root } => {
                batch::verify_root(key, receipt, root, roots).map_err(VerifyError::Signature)?;
            }
        }
        Ok(Verified {
            signed: self.clone(),
            _only_verify_makes_one: (),
        })
    }

    /// The bytes as signed or received: what travels and what is logged.
    pub fn bytes(&self) -> &Bytes {
        &self.0.bytes
    }

    /// The statement's own bytes inside them.
    pub fn statement_bytes(&self) -> &Bytes {
        &self.0.statement_bytes
    }

    /// The statement.
    pub fn statement(&self) -> &Statement {
        &self.0.statement
    }

    /// The statement hash: SHA-256 of the statement's bytes, whatever the proof.
    pub fn hash(&self) -> Digest {
        self.0.hash
    }

    /// The key the proof names: first 8 bytes of the SHA-256 of its SubjectPublicKeyInfo.
    pub fn key_id(&self) -> KeyId {
        self.0.key_id
    }

    /// How it is proven.
    pub fn form(&self) -> Form {
        match self.0.proof {
            Proof::Batch { .. } => Form::Batch,
            Proof::Direct => Form::Direct,
        }
    }

    /// The bytes the signature covers (RFC 9052 §4.4), for verification by other tools.
    pub fn signed_bytes(&self) -> Vec<u8> {
        let (object, payload) = match &self.0.proof {
            Proof::Batch { receipt, root } => (receipt, root.as_bytes().as_slice()),
            Proof::Direct => (&self.0.bytes, self.0.statement_bytes.as_ref()),
        };
        Sign1::parse(object)
            .map(|object| object.signed_bytes(payload))
            .expect("the object was parsed when the statement was read")
    }
}

impl PartialEq for SignedStatement {
    fn eq(&self, other: &Self) -> bool {
        self.0.bytes == other.0.bytes
    }
}

impl Eq for SignedStatement {}

impl fmt::Debug for SignedStatement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignedStatement")
            .field("hash", &self.0.hash)
            .field("form", &self.form())
            .field("statement", &self.0.statement)
            .finish_non_exhaustive()
    }
}

// === impl Draft ===

impl Draft {
    /// Writes a statement out.
    ///
    /// # Errors
    /// When a bound is broken or a value has no place in this kind.
    pub fn new(statement: Statement) -> Result<Self, StatementError> {
        Ok(Self {
            bytes: statement.encode()?,
            statement,
        })
    }
}

// === impl Verified ===

impl Verified {
    /// The statement with its proof.
    pub const fn signed(&self) -> &SignedStatement {
        &self.signed
    }

    /// The statement.
    pub fn statement(&self) -> &Statement {
        self.signed.statement()
    }

    /// The statement hash.
    pub fn hash(&self) -> Digest {
        self.signed.hash()
    }

    /// Gives the statement with its proof back.
    pub fn into_signed(self) -> SignedStatement {
        self.signed
    }
}

// === impl ParseError ===

impl ParseError {
    /// The statement's reason, else `STATEMENT_MALFORMED`.
    pub const fn reason(&self) -> Reason {
        match self {
            Self::Statement(statement) => statement.reason(),
            Self::Algorithm
            | Self::Cbor(_)
            | Self::Cose(_)
            | Self::Header
            | Self::Issuer
            | Self::Path
            | Self::Subject
            | Self::TooLarge { .. } => Reason::StatementMalformed,
        }
    }
}

// === impl ProofError ===

impl ProofError {
    /// Always `INTERNAL_FAULT`: what we sign is ours.
    pub const fn reason(&self) -> Reason {
        Reason::InternalFault
    }
}

// === impl VerifyError ===

impl VerifyError {
    /// Always `SIGNATURE_INVALID`.
    pub const fn reason(&self) -> Reason {
        Reason::SignatureInvalid
    }
}

/// Signs a statement by itself.
///
/// # Errors
/// When the statement cannot be written or the key cannot sign it.
pub fn sign_direct(
    signer: &dyn Signer,
    statement: Statement,
) -> Result<SignedStatement, ProofError> {
    if signer.verifying_key().algorithm() != Algorithm::Ed25519 {
        return Err(ProofError::Algorithm);
    }
    sign_alone(signer, Draft::new(statement)?)
}

fn sign_alone(signer: &dyn Signer, draft: Draft) -> Result<SignedStatement, ProofError> {
    let Draft {
        statement,
        bytes: payload,
    } = draft;
    let protected = Protected::typed(
        signer,
        statement.sender.as_str(),
        &statement.message_id.urn(),
        STATEMENT_TYPE,
    );
    let bytes = Bytes::from(cose::sign1(signer, &protected, &payload)?);
    Ok(SignedStatement(Arc::new(Inner {
        statement_bytes: attached(&bytes, payload.len()),
        hash: Digest::of(&payload),
        bytes,
        statement,
        key_id: protected.key_id,
        proof: Proof::Direct,
    })))
}

/// The payload attached to a `COSE_Sign1`: what lies before the signature's 2 + 64 bytes.
fn attached(bytes: &Bytes, len: usize) -> Bytes {
    let end = bytes.len() - 66;
    bytes.slice(end - len..end)
}

fn parse_direct(bytes: Bytes) -> Result<SignedStatement, ParseError> {
    let object = Sign1::parse(&bytes).map_err(ParseError::Cose)?;
    let protected = object.protected();
    if protected.algorithm != Algorithm::Ed25519 {
        return Err(ParseError::Algorithm);
    }
    let (Some(claims), Some(STATEMENT_TYPE), None, None) = (
        &protected.claims,
        protected.typ.as_deref(),
        protected.vds,
        object.inclusion_proof(),
    ) else {
        return Err(ParseError::Header);
    };
    let payload = object.payload().ok_or(ParseError::Header)?;
    let statement = Statement::decode(payload)?;
    if claims.issuer != statement.sender.as_str() {
        return Err(ParseError::Issuer);
    }
    if claims.subject != statement.message_id.urn() {
        return Err(ParseError::Subject);
    }
    Ok(SignedStatement(Arc::new(Inner {
        statement_bytes: bytes.slice_ref(payload),
        hash: Digest::of(payload),
        key_id: protected.key_id,
        statement,
        proof: Proof::Direct,
        bytes: bytes.clone(),
    })))
}

/// Header 16 of a direct proof.
const STATEMENT_TYPE: &str = "application/entente-stmt+cbor";
