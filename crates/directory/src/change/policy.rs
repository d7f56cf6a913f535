//! What a jurisdiction asks of everybody under its registry.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::time::Duration;

use entente_identity::PurposeCode;
use entente_ledger::witness::{MAX_POLICY, WitnessPolicy};
use entente_signing::cbor::{CborError, Reader, Writer};

use super::{Kind, Suite};
use crate::codec::{Fields, Map, ascending, parsed, u32};

/// The policy in force, replaced whole by each policy change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// How long servers go on without the registry, in hours: 1 to 168.
    pub validity_hours: u32,
    /// How old the newest cosigned checkpoint may be for a connected server, in seconds: 5 to 86,400.
    pub freshness_seconds: u32,
    /// The purposes an agreement may name.
    pub purposes: BTreeSet<PurposeCode>,
    /// How many of the registry's witnesses must cosign before a permissive change is believed, beside the
    /// quorum of [`Self::registry_witnesses`].
    pub witness_quorum: u32,
    /// Sealing suites that may be registered.
    pub suites: BTreeSet<Suite>,
    /// The lowest protocol version that may be registered.
    pub protocol_floor: u32,
    /// Which witnesses cosign the ledgers of this jurisdiction's servers, and how many of them a
    /// checkpoint needs (C2SP `tlog-policy`, without logs; at most 8 KiB). Default: none.
    pub witnesses: WitnessPolicy,
    /// How old a server's newest cosigned checkpoint may be before it stops, and its peers refuse it, in
    /// seconds: 60 to 86,400. Default 900.
    pub cosigned_within_seconds: u32,
    /// How old a server's newest time stamp may be before it stops, in hours: 1 to 168. Default: it goes
    /// on without.
    pub stamped_within_hours: Option<u32>,
    /// Up to how many subjects of one message an exchange is tagged for each of them, 128 to 500; beyond it
    /// everybody finds it, as one about many. Default 128.
    pub tagged_subjects: u32,
    /// Which of the registrars' acts take as many of them as the registry's quorum. Default: none.
    pub quorum_acts: BTreeSet<Kind>,
    /// Which witnesses, of other jurisdictions, cosign the registry's own checkpoints, and how many of them
    /// one needs before anything permissive under it is believed (C2SP `tlog-policy`, without logs; at most
    /// 8 KiB). Default: none.
    pub registry_witnesses: WitnessPolicy,
}

/// A field in which one policy may ask less than another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum PolicyField {
    /// [`Policy::cosigned_within_seconds`].
    CosignedWithin,
    /// [`Policy::freshness_seconds`].
    Freshness,
    /// [`Policy::quorum_acts`].
    QuorumActs,
    /// [`Policy::protocol_floor`].
    ProtocolFloor,
    /// [`Policy::registry_witnesses`].
    RegistryWitnesses,
    /// [`Policy::stamped_within_hours`].
    StampedWithin,
    /// [`Policy::suites`].
    Suites,
    /// [`Policy::tagged_subjects`].
    TaggedSubjects,
    /// [`Policy::validity_hours`].
    Validity,
    /// [`Policy::witness_quorum`].
    WitnessQuorum,
    /// [`Policy::witnesses`].
    Witnesses,
}

// === impl Policy ===

impl Policy {
    /// What [`Self::validity_hours`] may be.
    pub const VALIDITY_HOURS: RangeInclusive<u32> = 1..=168;
    /// What [`Self::freshness_seconds`] may be.
    pub const FRESHNESS_SECONDS: RangeInclusive<u32> = 5..=86_400;
    /// The most that [`Self::witness_quorum`] may be.
    pub const MAX_WITNESS_QUORUM: u32 = 64;
    /// What [`Self::cosigned_within_seconds`] may be.
    pub const COSIGNED_WITHIN_SECONDS: RangeInclusive<u32> = 60..=86_400;
    /// What [`Self::stamped_within_hours`] may be, unless it is none.
    pub const STAMPED_WITHIN_HOURS: RangeInclusive<u32> = 1..=168;
    /// What [`Self::tagged_subjects`] may be: one ledger entry holds 1,024 tags, and an exchange has two
    /// messages.
    pub const TAGGED_SUBJECTS: RangeInclusive<u32> = TAGGED_SUBJECTS..=500;

    /// The usual policy: a day without the registry, no witnesses yet, X-Wing, the purposes of the
    /// federal guidance on information-sharing agreements.
    pub fn usual() -> Self {
        let purposes = PURPOSES.iter().filter_map(|code| code.parse().ok());
        Self {
            validity_hours: 24,
            freshness_seconds: 900,
            purposes: purposes.collect(),
            witness_quorum: 0,
            suites: BTreeSet::from([Suite::XWing]),
            protocol_floor: 1,
            witnesses: WitnessPolicy::default(),
            cosigned_within_seconds: COSIGNED_WITHIN,
            stamped_within_hours: None,
            tagged_subjects: TAGGED_SUBJECTS,
            quorum_acts: BTreeSet::new(),
            registry_witnesses: WitnessPolicy::default(),
        }
    }

    /// How long a server may go on with what it last verified.
    pub fn validity(&self) -> Duration {
        Duration::from_secs(u64::from(self.validity_hours) * 3600)
    }

    /// How old the registry's newest cosigned checkpoint may be for a connected server.
    pub fn freshness(&self) -> Duration {
        Duration::from_secs(self.freshness_seconds.into())
    }

    /// How old a server's newest cosigned checkpoint may be.
    pub fn cosigned_within(&self) -> Duration {
        Duration::from_secs(u64::from(self.cosigned_within_seconds))
    }

    /// How old a server's newest time stamp may be; none when it needs none.
    pub fn stamped_within(&self) -> Option<Duration> {
        let hours = self.stamped_within_hours?;
        Some(Duration::from_secs(u64::from(hours) * 3600))
    }

    /// Whether going from this policy to `next` asks less of anybody.
    pub fn weakened_by(&self, next: &Self) -> bool {
        !self.weaker_in(next).is_empty()
    }

    /// Where `next` asks less of anybody than this policy: a longer validity, an older checkpoint, fewer or
    /// other witnesses, no time stamps, fewer subjects named, more suites or older protocols.
    pub fn weaker_in(&self, next: &Self) -> Vec<PolicyField> {
        use PolicyField as F;
        let seldomer = |held: u32| next.stamped_within_hours.is_none_or(|next| next > held);
        // Which of two policies of witnesses asks more of whom cannot be told: any other counts as less.
        let other = |held: &WitnessPolicy, next: &WitnessPolicy| next != held && held.fewest() > 0;
        let other_witnesses = other(&self.witnesses, &next.witnesses);
        let other_of_registry = other(&self.registry_witnesses, &next.registry_witnesses);
        let later = next.cosigned_within_seconds > self.cosigned_within_seconds;
        let looks = [
            (F::Validity, next.validity_hours > self.validity_hours),
            (
                F::Freshness,
                next.freshness_seconds > self.freshness_seconds,
            ),
            (F::WitnessQuorum, next.witness_quorum < self.witness_quorum),
            (
                F::QuorumActs,
                !next.quorum_acts.is_superset(&self.quorum_acts),
            ),
            (F::ProtocolFloor, next.protocol_floor < self.protocol_floor),
            (F::Suites, !next.suites.is_subset(&self.suites)),
            (F::Witnesses, other_witnesses),
            (F::RegistryWitnesses, other_of_registry),
            (F::CosignedWithin, later),
            (
                F::StampedWithin,
                self.stamped_within_hours.is_some_and(seldomer),
            ),
            (
                F::TaggedSubjects,
                next.tagged_subjects < self.tagged_subjects,
            ),
        ];
        let weaker = looks.into_iter().filter(|(_, is_weaker)| *is_weaker);
        weaker.map(|(field, _)| field).collect()
    }

    pub(crate) fn fields(&self, to: &mut Fields) {
        to.uint(1, u64::from(self.validity_hours))
            .uint(2, u64::from(self.freshness_seconds))
            .list(3, self.purposes.iter(), |out, purpose| {
                out.text(purpose.as_str());
            })
            .uint(4, u64::from(self.witness_quorum))
            .list(5, self.suites.iter(), |out: &mut Writer, suite| {
                out.uint(suite.number());
            })
            .uint(6, u64::from(self.protocol_floor));
        // What is the default is absent.
        if self.witnesses != WitnessPolicy::default() {
            to.text(7, &self.witnesses.to_string());
        }
        if self.cosigned_within_seconds != COSIGNED_WITHIN {
            to.uint(8, u64::from(self.cosigned_within_seconds));
        }
        if let Some(hours) = self.stamped_within_hours {
            to.uint(9, u64::from(hours));
        }
        if self.tagged_subjects != TAGGED_SUBJECTS {
            to.uint(10, u64::from(self.tagged_subjects));
        }
        if self.registry_witnesses != WitnessPolicy::default() {
            to.text(11, &self.registry_witnesses.to_string());
        }
        if !self.quorum_acts.is_empty() {
            to.list(12, self.quorum_acts.iter(), |out, kind| {
                out.uint(kind.number());
            });
        }
    }

    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, CborError> {
        let mut map = Map::open(reader)?;
        let policy = Self {
            validity_hours: map.required(1, u32)?,
            freshness_seconds: map.required(2, u32)?,
            purposes: map.required(3, |r| ascending(r, parsed))?,
            witness_quorum: map.required(4, u32)?,
            suites: map.required(5, |r| ascending(r, Suite::read))?,
            protocol_floor: map.required(6, u32)?,
            witnesses: map.optional(7, witnesses)?.unwrap_or_default(),
            cosigned_within_seconds: map
                .optional(8, |r| other_than(r, COSIGNED_WITHIN))?
                .unwrap_or(COSIGNED_WITHIN),
            stamped_within_hours: map.optional(9, u32)?,
            tagged_subjects: map
                .optional(10, |r| other_than(r, TAGGED_SUBJECTS))?
                .unwrap_or(TAGGED_SUBJECTS),
            registry_witnesses: map.optional(11, witnesses)?.unwrap_or_default(),
            quorum_acts: map
                .optional(12, |r| ascending(r, quorum_act))?
                .unwrap_or_default(),
        };
        map.end()?;
        let in_bounds = Self::VALIDITY_HOURS.contains(&policy.validity_hours)
            && Self::FRESHNESS_SECONDS.contains(&policy.freshness_seconds)
            && policy.witness_quorum <= Self::MAX_WITNESS_QUORUM
            && policy.protocol_floor >= 1
            && Self::COSIGNED_WITHIN_SECONDS.contains(&policy.cosigned_within_seconds)
            && policy
                .stamped_within_hours
                .is_none_or(|hours| Self::STAMPED_WITHIN_HOURS.contains(&hours))
            && Self::TAGGED_SUBJECTS.contains(&policy.tagged_subjects);
        in_bounds.then_some(policy).ok_or(CborError::Range)
    }
}

/// A policy of witnesses in the one form in which it is written.
pub(super) fn witnesses(reader: &mut Reader<'_>) -> Result<WitnessPolicy, CborError> {
    let text = reader.text()?;
    let policy: WitnessPolicy = text.parse().map_err(|_| CborError::Range)?;
    let is_written = text.len() <= MAX_POLICY && policy.to_string() == text;
    let is_of_servers = policy.logs().is_empty() && policy != WitnessPolicy::default();
    (is_written && is_of_servers)
        .then_some(policy)
        .ok_or(CborError::Range)
}

/// An act of the registrars that a policy may put under their quorum.
fn quorum_act(reader: &mut Reader<'_>) -> Result<Kind, CborError> {
    let kind = Kind::from_number(reader.uint()?);
    kind.filter(|kind| kind.may_take_quorum())
        .ok_or(CborError::Range)
}

/// A value that is written only when it is not the default.
pub(super) fn other_than(reader: &mut Reader<'_>, default: u32) -> Result<u32, CborError> {
    let value = u32(reader)?;
    if value == default {
        return Err(CborError::Range);
    }
    Ok(value)
}

const COSIGNED_WITHIN: u32 = 900;
const TAGGED_SUBJECTS: u32 = 128;

const PURPOSES: [&str; 11] = [
    "AUDIT",
    "COMPLIANCE",
    "EMERGENCY",
    "ENFORCEMENT",
    "IDENTITY_VERIFICATION",
    "PERSON_REQUEST",
    "PROGRAM_ADMINISTRATION",
    "PROGRAM_EVALUATION",
    "RESEARCH",
    "STATISTICS",
    "TEST",
];
