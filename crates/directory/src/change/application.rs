//! An application for membership: the keys an institution brings, each proven to be its own.

use entente_identity::MemberId;
use entente_reason::Reason;
use entente_signing::cbor::{CborError, Reader, Writer};
use entente_signing::{Digest, SignError, Signer};

use super::{MAX_CHANGE, MemberClass, Name, NewKey};
use crate::codec::{BodyError, Fields, MAX_LIST, Map, list, parsed, short_text};

/// What an institution asks to be admitted as. Its bytes are
/// `[content bstr, [signature bstr 64, …]]`, one signature per key and in the order of the keys, over
/// `"entente/application/v1" ‖ 00 ‖ content`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Application {
    /// The registry it is for, so that it cannot be used at another.
    pub registry: String,
    /// The member.
    pub member: MemberId,
    /// What kind of institution.
    pub class: MemberClass,
    /// Its name.
    pub name: Name,
    /// Its keys; at least an officer and a member key, each role at most 8 times.
    pub keys: Vec<NewKey>,
}

type Proofs = Vec<[u8; 64]>;

/// Why an application is refused. Variants are alphabetical.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ApplicationError {
    /// Not the deterministic CBOR of an application.
    #[error("application is malformed")]
    Malformed(#[source] CborError),
    /// A signature is missing, or a key did not make it.
    #[error("application is not signed by each of its keys")]
    Proof,
    /// A key anybody could sign for.
    #[error("application brings a weak key")]
    WeakKey,
}

// === impl Application ===

impl Application {
    /// The signed bytes; `signers` hold the private halves of `keys`, in the same order.
    ///
    /// # Errors
    /// When a key cannot be used.
    pub fn sign(&self, signers: &[&dyn Signer]) -> Result<Vec<u8>, SignError> {
        let content = self.content();
        let message = [CONTEXT, &content].concat();
        let mut out = Writer::with_capacity(content.len() + 80 * signers.len());
        out.array(2).bytes(&content).array(signers.len());
        for signer in signers {
            out.bytes(&signer.sign(&message)?);
        }
        Ok(out.into_vec())
    }

    /// Reads an application and verifies the proof of each key.
    ///
    /// # Errors
    /// When it is malformed, or a proof does not verify.
    pub fn parse(bytes: &[u8]) -> Result<Self, ApplicationError> {
        let (application, content, proofs) = Self::read(bytes)?;
        let message = [CONTEXT, content].concat();
        if proofs.len() != application.keys.len() {
            return Err(ApplicationError::Proof);
        }
        for (key, proof) in application.keys.iter().zip(&proofs) {
            key.key
                .verify(&message, proof)
                .map_err(|_| ApplicationError::Proof)?;
        }
        Ok(application)
    }

    /// What the applicant reads out to the registrar: the SHA-256 of the bytes, in groups of four.
    pub fn fingerprint(bytes: &[u8]) -> String {
        let hex = Digest::of(bytes).to_string();
        let groups = (0..hex.len()).step_by(4).map(|at| &hex[at..at + 4]);
        groups.collect::<Vec<_>>().join(" ")
    }

    fn read(bytes: &[u8]) -> Result<(Self, &[u8], Proofs), BodyError> {
        if bytes.len() > MAX_CHANGE {
            return Err(CborError::Range.into());
        }
        let mut outer = Reader::new(bytes);
        if outer.array()? != 2 {
            return Err(CborError::Unexpected.into());
        }
        let content = outer.bytes()?;
        let proofs = list(&mut outer, |r| r.bytes_exact())?;
        outer.finish()?;
        let mut reader = Reader::new(content);
        let mut map = Map::open(&mut reader)?;
        map.required(1, |r| match r.uint()? {
            1 => Ok(()),
            _ => Err(CborError::Range),
        })?;
        let application = Self {
            registry: map.required(2, short_text)?,
            member: map.required(3, parsed)?,
            class: map.required(4, parsed)?,
            name: map.required(5, Name::read)?,
            keys: map.required(6, |r| list(r, NewKey::read))?,
        };
        map.end()?;
        reader.finish()?;
        Ok((application, content, proofs))
    }

    fn content(&self) -> Vec<u8> {
        debug_assert!(self.keys.len() <= MAX_LIST);
        let mut fields = Fields::new();
        fields
            .uint(1, 1)
            .text(2, &self.registry)
            .text(3, self.member.as_str())
            .text(4, self.class.as_str());
        self.name.write(fields.key(5));
        fields.list(6, self.keys.iter(), |out, key| key.write(out));
        fields.into_vec()
    }
}

const CONTEXT: &[u8] = b"entente/application/v1\0";

// === impl ApplicationError ===

impl ApplicationError {
    /// What the applicant is told.
    pub const fn reason(&self) -> Reason {
        match self {
            Self::Malformed(_) => Reason::ChangeMalformed,
            Self::Proof => Reason::SignatureInvalid,
            Self::WeakKey => Reason::KeyWeak,
        }
    }
}

impl From<BodyError> for ApplicationError {
    fn from(error: BodyError) -> Self {
        match error {
            BodyError::Cbor(error) => Self::Malformed(error),
            BodyError::WeakKey => Self::WeakKey,
        }
    }
}
