//! What the directory holds about an agreement: what its rules and queries ask for, not its text.

use std::sync::Arc;

use entente_agreement::lifecycle::{self, Act};
use entente_agreement::{Agreement, AgreementId, AgreementName, Document};
use entente_clock::Timestamp;
use entente_identity::{Jurisdiction, MemberId};
use entente_signing::Digest;

use crate::set::Set;

/// What was done to an agreement, and of its contents what that depends on. The whole document is a blob
/// named by [`Terms::id`]; see [`Keep`].
#[derive(Clone, Debug)]
pub struct AgreementRecord {
    /// What it says, in part.
    pub terms: Arc<Terms>,
    /// The state its acts led to. What dates add is in [`AgreementRecord::state_at`].
    pub recorded: lifecycle::State,
    /// How many acts there were.
    pub acts: u64,
    /// Hash of the last one.
    pub last_act: Digest,
    /// Which parties signed, by which change; sorted by party.
    pub accepted: Box<[(MemberId, Digest)]>,
    /// Who holds it suspended.
    pub suspended_by: Set<MemberId>,
    /// What takes its place, and when.
    pub superseded: Option<(Digest, Timestamp)>,
    /// The code given when it was revoked.
    pub revoked_reason: Option<Box<str>>,
}

/// The part of an agreement that the directory's own rules and queries rest on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Terms {
    /// Its name on the wire: SHA-256 of its bytes.
    pub id: AgreementId,
    /// The short name people use.
    pub name: AgreementName,
    /// Counts up from 1 with each amendment of the same name.
    pub version: u32,
    /// The agreement it replaces.
    pub supersedes: Option<Digest>,
    /// Who is bound, as the document lists them.
    pub parties: Box<[MemberId]>,
    /// The members among the bodies that may look, and suspend.
    pub overseers: Box<[MemberId]>,
    /// The first instant at which it may be in force.
    pub not_before: Timestamp,
    /// The instant at which it is over.
    pub not_after: Timestamp,
}

/// Of which agreements a state keeps the whole document in memory. No rule asks for a document that is kept:
/// states that keep differently accept the same changes, and have the same hash.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Keep {
    /// Of every one: a country's take a gibibyte.
    All,
    /// Of those this member is a party to: what its servers decide calls by.
    OfParty(MemberId),
    /// Of none: who needs one reads its blob.
    #[default]
    None,
}

// === impl AgreementRecord ===

impl AgreementRecord {
    /// The agreement's name on the wire.
    pub fn id(&self) -> AgreementId {
        self.terms.id
    }

    /// The state at a moment: what its acts led to, and what its dates add.
    pub fn state_at(&self, now: Timestamp) -> lifecycle::State {
        let mut state = self.recorded;
        let due = [
            (
                state == lifecycle::State::Filed && self.terms.not_before <= now,
                Act::Activate,
            ),
            (
                self.superseded.is_some_and(|(_, at)| at <= now),
                Act::Supersede,
            ),
            (self.terms.not_after <= now, Act::Expire),
        ];
        for (_, act) in due.into_iter().filter(|(due, _)| *due) {
            // An act the table has no row for (a proposal has no last day) changes nothing.
            state = lifecycle::next(state, act).unwrap_or(state);
        }
        state
    }

    /// Whether this party signed it.
    pub fn is_signed_by(&self, party: &MemberId) -> bool {
        self.signature(party).is_ok()
    }

    /// Whether every party that a registry of this jurisdiction speaks for signed it, whatever became of
    /// it. The others' signatures are in their own registries.
    pub fn was_agreed(&self, jurisdiction: &Jurisdiction) -> bool {
        let parties = self.terms.parties.iter();
        parties
            .filter(|party| party.jurisdiction() == *jurisdiction)
            .all(|party| self.is_signed_by(party))
    }

    pub(crate) fn sign(&mut self, party: &MemberId, change: Digest) {
        let Err(at) = self.signature(party) else {
            return;
        };
        let mut accepted = std::mem::take(&mut self.accepted).into_vec();
        // The name as the terms hold it already: one text in memory for all of them.
        let mut parties = self.terms.parties.iter();
        let party = parties.find(|known| *known == party).unwrap_or(party);
        accepted.insert(at, (party.clone(), change));
        self.accepted = accepted.into();
    }

    fn signature(&self, party: &MemberId) -> Result<usize, usize> {
        self.accepted.binary_search_by(|(by, _)| by.cmp(party))
    }
}

// === impl Terms ===

impl Terms {
    /// Whether this member is bound by it.
    pub fn has_party(&self, member: &MemberId) -> bool {
        self.parties.contains(member)
    }

    /// Of an agreement; `known` gives the text that is in memory already for a member's name.
    pub(crate) fn of(agreement: &Agreement, known: impl Fn(&MemberId) -> MemberId) -> Self {
        let document = agreement.document();
        let overseers = document.oversight.iter().filter_map(|o| o.member.as_ref());
        Self {
            id: agreement.id(),
            name: document.id.clone(),
            version: document.version,
            supersedes: document.supersedes,
            parties: document.parties.iter().map(|p| known(&p.member)).collect(),
            overseers: overseers.map(known).collect(),
            not_before: document.not_before,
            not_after: document.not_after,
        }
    }
}

// === impl Keep ===

impl Keep {
    pub(crate) fn wants(&self, document: &Document) -> bool {
        match self {
            Self::All => true,
            Self::OfParty(member) => document.party(member).is_some(),
            Self::None => false,
        }
    }
}
