//! What is said about other jurisdictions: whose registry is followed, and within which limits.

use std::collections::BTreeSet;

use entente_identity::{Jurisdiction, MemberId, ServiceName};
use entente_ledger::witness::WitnessPolicy;
use entente_signing::cbor::{CborError, Reader};
use entente_signing::{Digest, VerifyingKey};

use super::body::reason_code;
use super::policy::{other_than, witnesses};
use super::{MemberClass, Policy};
use crate::Address;
use crate::codec::{BodyError, Fields, Map, ascending, digest, key, list, parsed, u32};

/// The registrar recognises another jurisdiction's registry. Said again, it takes the place of what was
/// said before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recognise {
    /// Whose names it speaks for.
    pub jurisdiction: Jurisdiction,
    /// What a follower of that registry starts from.
    pub anchor: ForeignAnchor,
    /// Which of what it says counts here.
    pub limits: RecognitionLimits,
}

/// What to believe of another jurisdiction's registry before it was asked anything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForeignAnchor {
    /// Where it is reached, best first; 1 to 8.
    pub addresses: Vec<Address>,
    /// SHA-256 of each SubjectPublicKeyInfo it may show in TLS; 1 to 8.
    pub tls_keys: BTreeSet<Digest>,
    /// The Ed25519 key that signs its checkpoints.
    pub ledger: VerifyingKey,
    /// The hash of its first change.
    pub genesis: Digest,
    /// The longest its last word counts, whatever its own policy says, in hours: 1 to 168.
    pub validity_hours: u32,
    /// Who must have cosigned its checkpoints, whatever its own policy says. Default: nobody.
    pub witnesses: WitnessPolicy,
    /// How many witnesses must have cosigned its checkpoints, whatever its own policy says: at most 64.
    /// Default 0.
    pub witness_quorum: u32,
}

/// What of another registry counts here. A limit that names nothing does not limit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecognitionLimits {
    /// Which kinds of institution.
    pub classes: BTreeSet<MemberClass>,
    /// Which members, all of that jurisdiction.
    pub members: BTreeSet<MemberId>,
    /// Which services may be used across, in either direction.
    pub services: BTreeSet<ServiceName>,
}

/// The registrar suspends, resumes or ends a recognition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecognitionAct {
    /// Which jurisdiction.
    pub jurisdiction: Jurisdiction,
    /// Why, as a code: `[A-Z][A-Z0-9_]*`.
    pub reason: Option<String>,
}

// === impl Recognise ===

impl Recognise {
    pub(super) fn fields(&self, to: &mut Fields) {
        to.text(1, self.jurisdiction.as_str());
        to.map(2, |inner| self.anchor.fields(inner));
        if self.limits != RecognitionLimits::default() {
            to.map(3, |inner| self.limits.fields(inner));
        }
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, BodyError> {
        let mut map = Map::open(reader)?;
        let body = Self {
            jurisdiction: map.required(1, parsed)?,
            anchor: map.required(2, ForeignAnchor::read)?,
            limits: map
                .optional(3, RecognitionLimits::read)?
                .unwrap_or_default(),
        };
        map.end()?;
        Ok(body)
    }
}

// === impl ForeignAnchor ===

impl ForeignAnchor {
    /// The most addresses, and the most TLS keys.
    pub const MAX_LIST: usize = 8;

    pub(crate) fn fields(&self, to: &mut Fields) {
        to.list(1, self.addresses.iter(), |out, address| {
            out.text(address.as_str());
        })
        .list(2, self.tls_keys.iter(), |out, key| {
            out.bytes(key.as_bytes());
        })
        .bytes(3, self.ledger.spki_der())
        .digest(4, &self.genesis)
        .uint(5, u64::from(self.validity_hours));
        if self.witnesses != WitnessPolicy::default() {
            to.text(6, &self.witnesses.to_string());
        }
        if self.witness_quorum != 0 {
            to.uint(7, u64::from(self.witness_quorum));
        }
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, BodyError> {
        let mut map = Map::open(reader)?;
        let body = Self {
            addresses: map.required(1, |r| list(r, parsed))?,
            tls_keys: map.required(2, |r| ascending(r, digest))?,
            ledger: map.required(3, key)?,
            genesis: map.required(4, digest)?,
            validity_hours: map.required(5, u32)?,
            witnesses: map.optional(6, witnesses)?.unwrap_or_default(),
            witness_quorum: map.optional(7, |r| other_than(r, 0))?.unwrap_or_default(),
        };
        map.end()?;
        let in_bounds = body.witness_quorum <= Policy::MAX_WITNESS_QUORUM
            && body.addresses.len() <= Self::MAX_LIST
            && body.tls_keys.len() <= Self::MAX_LIST
            && Policy::VALIDITY_HOURS.contains(&body.validity_hours);
        if in_bounds {
            Ok(body)
        } else {
            Err(CborError::Range.into())
        }
    }
}

// === impl RecognitionLimits ===

impl RecognitionLimits {
    /// Whether a member of this class counts here.
    pub fn admit(&self, member: &MemberId, class: &MemberClass) -> bool {
        within(&self.members, member) && within(&self.classes, class)
    }

    /// Whether a member of this name may count here, whatever its class.
    pub fn name(&self, member: &MemberId) -> bool {
        within(&self.members, member)
    }

    /// Whether a service may be used across.
    pub fn serve(&self, service: &ServiceName) -> bool {
        within(&self.services, service)
    }

    pub(crate) fn fields(&self, to: &mut Fields) {
        if !self.classes.is_empty() {
            to.list(1, self.classes.iter(), |out, class| {
                out.text(class.as_str());
            });
        }
        if !self.members.is_empty() {
            to.list(2, self.members.iter(), |out, member| {
                out.text(member.as_str());
            });
        }
        if !self.services.is_empty() {
            to.list(3, self.services.iter(), |out, service| {
                out.text(service.as_str());
            });
        }
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, CborError> {
        let mut map = Map::open(reader)?;
        let limits = Self {
            classes: map
                .optional(1, |r| ascending(r, parsed))?
                .unwrap_or_default(),
            members: map
                .optional(2, |r| ascending(r, parsed))?
                .unwrap_or_default(),
            services: map
                .optional(3, |r| ascending(r, parsed))?
                .unwrap_or_default(),
        };
        map.end()?;
        if limits == Self::default() {
            // What is the default is absent.
            return Err(CborError::Range);
        }
        Ok(limits)
    }
}

fn within<T: Ord>(limit: &BTreeSet<T>, value: &T) -> bool {
    limit.is_empty() || limit.contains(value)
}

// === impl RecognitionAct ===

impl RecognitionAct {
    pub(super) fn fields(&self, to: &mut Fields) {
        to.text(1, self.jurisdiction.as_str());
        if let Some(reason) = &self.reason {
            to.text(2, reason);
        }
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, BodyError> {
        let mut map = Map::open(reader)?;
        let body = Self {
            jurisdiction: map.required(1, parsed)?,
            reason: map.optional(2, reason_code)?,
        };
        map.end()?;
        Ok(body)
    }
}
