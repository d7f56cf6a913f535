//! What signatures need and nothing else: digests, deterministic CBOR, keys, `COSE_Sign1`.
//!
//! Verification is strict and happens one signature at a time, so that two verifiers can never
//! disagree about evidence: Ed25519 by `verify_strict`, weak keys refused when they are read, no
//! batch verification. This crate alone names `ed25519-dalek`. It encrypts nothing.

pub mod cbor;
pub mod cose;
mod digest;
mod key;

pub use digest::{Digest, InvalidDigest};
pub use key::{
    Algorithm, Ed25519Key, InvalidKey, KeyId, P256Key, SignError, SignatureInvalid, SignatureValid,
    Signer, VerifyingKey, lower_s,
};
