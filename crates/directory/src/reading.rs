//! What an overseer signs before it reads a ledger: the query that the ledger itself keeps as READ.
//!
//! [`State::check_reading`] is the only rule of who may read a member's ledger under a mandate; the server
//! that is asked runs it, and whoever reads the ledger later may run it again.

use std::time::Duration;

use bytes::Bytes;
use entente_clock::Timestamp;
use entente_identity::{MemberId, ServerId};
use entente_signing::cbor::{CborError, Reader};
use entente_signing::cose::{self, CoseError, Protected, Sign1};
use entente_signing::{Algorithm, Digest, KeyId, SignatureInvalid, Signer};

use crate::change::Reading;
use crate::codec::{Fields, Map, digest, parsed, short_text, time};
use crate::record::{MandateRecord, Standing};
use crate::refusal::Refusal;
use crate::state::State;

/// The query `{1 version, 2 origin, 3 reader, 4 mandate, 5 issued, 6 about}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadQuery {
    /// The origin of the ledger to be read.
    pub origin: String,
    /// The server that reads, of the body that has the mandate.
    pub reader: ServerId,
    /// The hash of the change that granted the mandate ([`MandateRecord::change`]).
    pub mandate: Digest,
    /// When it was signed.
    pub issued: Timestamp,
    /// A salted commitment of the case and of what is looked for; absent when the ledger is read whole, for
    /// no case. Whoever keeps the salt can show later what it was.
    pub about: Option<Digest>,
}

/// A query with its signature, parsed strictly and not yet verified.
#[derive(Clone, Debug)]
pub struct SignedQuery {
    bytes: Bytes,
    key_id: KeyId,
    query: ReadQuery,
}

/// Bytes that are not a signed query.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MalformedQuery {
    /// Not the one encoding of a query.
    #[error("reading query is malformed")]
    Cbor(#[from] CborError),
    /// Not signed as queries are.
    #[error("reading query is not signed as queries are")]
    Cose(#[source] CoseError),
}

// === impl SignedQuery ===

impl SignedQuery {
    /// The largest signed query, in bytes.
    pub const MAX: usize = 2 << 10;
    /// For how long one query may be read under.
    pub const VALID: Duration = Duration::from_secs(24 * 3600);

    /// Signs a query with the reading server's own P-256 key.
    ///
    /// # Errors
    /// When the key cannot be used, or a part is out of bounds.
    pub fn sign(signer: &dyn Signer, query: &ReadQuery) -> Result<Self, MalformedQuery> {
        let protected = Protected {
            algorithm: signer.verifying_key().algorithm(),
            key_id: signer.verifying_key().key_id(),
            claims: None,
            typ: Some(TYP.into()),
            vds: None,
        };
        let signed = cose::sign1(signer, &protected, &query.encode());
        let signed = signed.map_err(|_| MalformedQuery::Cose(CoseError::Key))?;
        Self::parse(signed.into())
    }

    /// Reads a query, strictly.
    ///
    /// # Errors
    /// When the bytes are not the one encoding of one.
    pub fn parse(bytes: Bytes) -> Result<Self, MalformedQuery> {
        if bytes.len() > Self::MAX {
            return Err(CborError::Range.into());
        }
        let cose = Sign1::parse(&bytes).map_err(MalformedQuery::Cose)?;
        let protected = cose.protected();
        let typed = protected.algorithm == Algorithm::P256
            && protected.typ.as_deref() == Some(TYP)
            && protected.claims.is_none()
            && protected.vds.is_none()
            && cose.inclusion_proof().is_none();
        let payload = cose.payload().filter(|_| typed);
        let payload = payload.ok_or(CborError::Unexpected)?;
        let key_id = protected.key_id;
        let query = ReadQuery::decode(payload)?;
        Ok(Self {
            bytes,
            key_id,
            query,
        })
    }

    /// The bytes, as they were signed.
    pub const fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// What it says.
    pub const fn query(&self) -> &ReadQuery {
        &self.query
    }
}

// === impl ReadQuery ===

impl ReadQuery {
    fn encode(&self) -> Vec<u8> {
        let mut fields = Fields::new();
        fields
            .uint(1, VERSION)
            .text(2, &self.origin)
            .text(3, self.reader.as_str())
            .digest(4, &self.mandate)
            .time(5, self.issued);
        if let Some(about) = &self.about {
            fields.digest(6, about);
        }
        fields.into_vec()
    }

    fn decode(payload: &[u8]) -> Result<Self, CborError> {
        let mut reader = Reader::new(payload);
        let mut map = Map::open(&mut reader)?;
        map.required(1, |r| match r.uint()? {
            VERSION => Ok(()),
            _ => Err(CborError::Range),
        })?;
        let query = Self {
            origin: map.required(2, short_text)?,
            reader: map.required(3, parsed)?,
            mandate: map.required(4, digest)?,
            issued: map.required(5, time)?,
            about: map.optional(6, digest)?,
        };
        map.end()?;
        reader.finish()?;
        Ok(query)
    }
}

// === impl State ===

impl State {
    /// The mandate of a body over a member that is in force at a moment, denials included. None also while
    /// the body is suspended; and never of a member, or a body, of another jurisdiction.
    pub fn mandate(
        &self,
        body: &MemberId,
        member: &MemberId,
        at: Timestamp,
    ) -> Option<&MandateRecord> {
        let record = self.mandate_of(body)?;
        let is_over = record.members.is_empty() || record.members.contains(member);
        let in_force = record.from <= at && at < self.mandate_until(record);
        let stands = self.standing(body) == Some(Standing::Active);
        // All of the jurisdiction is all of this registry's members, and nobody oversees itself.
        let is_ours = self.member(member).is_some() && member != body;
        (is_over && in_force && stands && is_ours).then_some(record)
    }

    /// Whether a server may read a member's ledger under the mandate that its query names.
    ///
    /// # Errors
    /// When it is no server of this registry, its query is not of now or not signed by its key, or no such
    /// mandate is in force.
    pub fn check_reading(
        &self,
        signed: &SignedQuery,
        member: &MemberId,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        let query = signed.query();
        let body = query.reader.member();
        let mandate = self.mandate(&body, member, now);
        let named = |mandate: &&MandateRecord| {
            mandate.change == query.mandate && mandate.reads.contains(&Reading::Ledgers)
        };
        if mandate.filter(named).is_none() {
            return Err(Refusal::UnknownMandate(body));
        }
        let unknown = || Refusal::UnknownServer(query.reader.clone());
        let key = self.server(&query.reader).ok_or_else(unknown)?.key();
        let key = key.filter(|key| key.key_id() == signed.key_id);
        let key = key.ok_or_else(unknown)?;
        let verified = Sign1::parse(&signed.bytes).and_then(|cose| cose.verify(key));
        verified.map_err(|_| Refusal::Signature(SignatureInvalid))?;
        let age = now.since(query.issued);
        if age > SignedQuery::VALID || query.issued.since(now) > SKEW {
            let not_after = query.issued.saturating_add(SignedQuery::VALID);
            return Err(Refusal::Expired { not_after });
        }
        Ok(())
    }
}

const VERSION: u64 = 1;
const TYP: &str = "application/entente-read+cbor";
/// How far a reader's clock may be ahead.
const SKEW: Duration = Duration::from_secs(60);
