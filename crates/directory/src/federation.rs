//! Several registries as one directory: a server's own, and those that its own recognises.
//!
//! Each registry speaks for the names of its own jurisdiction and nothing else, so every question about a
//! name goes to one of them. Another registry counts as far as the own one recognises it: that narrows, and
//! goes no further than one step. An agreement with parties of several jurisdictions is filed with each of
//! their registries and in force only where all of them say so; the most restrictive of them wins.

use std::sync::Arc;
use std::time::Duration;

use entente_agreement::lifecycle;
use entente_agreement::{Agreement, AgreementId};
use entente_clock::Timestamp;
use entente_identity::{Jurisdiction, MemberId, ServerId, ServiceName, SystemId};
use entente_signing::Digest;

use crate::change::{Mode, Policy};
use crate::record::{
    AgreementRecord, MemberRecord, RecognitionRecord, ServerRecord, ServiceRecord, ShardRecord,
    Standing,
};
use crate::state::State;

/// What one server believes, of every registry it follows. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Federation {
    home: State,
    others: Vec<State>,
}

/// A registry that counts here.
#[derive(Clone, Copy)]
struct Speaker<'a> {
    state: &'a State,
    /// How far it counts; none for the own registry, of which everything does.
    recognition: Option<&'a RecognitionRecord>,
}

/// Why a member has no standing here. Variants are alphabetical.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Absent {
    /// Its jurisdiction is not recognised, or not for members such as this one.
    Jurisdiction,
    /// Its registry has no such member.
    Member,
}

// === impl Federation ===

impl Federation {
    /// One registry that recognises, or is recognised by, nobody.
    pub const fn alone(home: State) -> Self {
        Self {
            home,
            others: Vec::new(),
        }
    }

    /// The own registry, and what is known of others: of those, only what the own one recognises counts.
    pub fn new(home: State, others: Vec<State>) -> Self {
        Self { home, others }
    }

    /// The own registry.
    pub const fn home(&self) -> &State {
        &self.home
    }

    /// The own registry's policy: what this server's own ledger has to satisfy.
    pub fn policy(&self) -> Option<&Policy> {
        self.home.policy()
    }

    /// The registry that speaks for a jurisdiction, if it counts here.
    pub fn of(&self, jurisdiction: &Jurisdiction) -> Option<&State> {
        self.state_of(jurisdiction.as_str())
    }

    /// The registries that a call between two systems rests on, the own one first, and how long the last word
    /// of each counts: as long as its own policy says, and another's no longer than its recognition does.
    pub fn rests_on<'a>(
        &'a self,
        consumer: &SystemId,
        provider: &SystemId,
    ) -> impl Iterator<Item = (&'a Jurisdiction, Duration)> + use<'a> {
        let home = self.home.registry().zip(self.home.policy());
        let home = home.map(|(home, policy)| (&home.jurisdiction, policy.validity()));
        let abroad = [consumer, provider].map(|system| {
            let Speaker { state, recognition } = self.speaker(system.as_str())?;
            let recognition = recognition?;
            let hours = u64::from(recognition.anchor.validity_hours);
            let validity = state.policy()?.validity();
            let validity = validity.min(Duration::from_secs(hours * 3600));
            Some((&recognition.jurisdiction, validity))
        });
        home.into_iter().chain(abroad.into_iter().flatten())
    }

    /// Every registry that counts here, the own one first.
    pub fn registries(&self) -> impl Iterator<Item = &State> {
        let others = self.others.iter();
        let others = others.filter(|other| self.recognition_of(other).is_some());
        std::iter::once(&self.home).chain(others)
    }

    /// The registry that speaks for a name: of a member, a system, or a server.
    fn speaker(&self, name: &str) -> Option<Speaker<'_>> {
        let jurisdiction = name.split('/').next()?;
        if is_of(&self.home, jurisdiction) {
            return Some(Speaker {
                state: &self.home,
                recognition: None,
            });
        }
        let mut others = self.others.iter();
        let state = others.find(|other| is_of(other, jurisdiction))?;
        let recognition = Some(self.recognition_of(state)?);
        Some(Speaker { state, recognition })
    }

    fn state_of(&self, name: &str) -> Option<&State> {
        self.speaker(name).map(|speaker| speaker.state)
    }

    /// How another registry is recognised, if it is now, and if it is that one and not another of its name.
    fn recognition_of(&self, other: &State) -> Option<&RecognitionRecord> {
        let registry = other.registry()?;
        let record = self.home.recognised(&registry.jurisdiction)?;
        (record.anchor.genesis == registry.genesis).then_some(record)
    }

    /// A member's record, whatever its standing.
    pub fn member(&self, member: &MemberId) -> Option<&MemberRecord> {
        self.state_of(member.as_str())?.member(member)
    }

    /// A member's standing, denials included.
    ///
    /// # Errors
    /// When it has none here.
    pub fn standing(&self, member: &MemberId) -> Result<Standing, Absent> {
        let speaker = self.speaker(member.as_str());
        let Speaker { state, recognition } = speaker.ok_or(Absent::Jurisdiction)?;
        let record = state.member(member).ok_or(Absent::Member)?;
        if recognition.is_some_and(|it| !it.limits.admit(member, &record.class)) {
            return Err(Absent::Jurisdiction);
        }
        state.standing(member).ok_or(Absent::Member)
    }

    /// Whether a service may be used between these two systems, as far as recognitions limit it.
    pub fn may_cross(
        &self,
        consumer: &SystemId,
        provider: &SystemId,
        service: &ServiceName,
    ) -> bool {
        [consumer, provider].into_iter().all(|system| {
            let speaker = self.speaker(system.as_str());
            speaker.is_some_and(|speaker| {
                speaker
                    .recognition
                    .is_none_or(|it| it.limits.serve(service))
            })
        })
    }

    /// A server's record.
    pub fn server(&self, server: &ServerId) -> Option<&ServerRecord> {
        self.state_of(server.as_str())?.server(server)
    }

    /// The servers that may sign for a system, by name.
    pub fn servers_for(&self, system: &SystemId) -> impl Iterator<Item = &ServerRecord> {
        let state = self.state_of(system.as_str());
        state
            .into_iter()
            .flat_map(move |state| state.servers_for(system))
    }

    /// The servers that may show this TLS key now, by the SHA-256 of its SubjectPublicKeyInfo. A registry gives
    /// a key once; another registry may name it, too, and takes nothing from whoever holds it.
    pub fn servers_by_tls_spki(&self, spki: &Digest) -> impl Iterator<Item = &ServerRecord> {
        self.registries()
            .filter_map(|state| state.server_by_tls_spki(spki))
    }

    /// Whether a session of this server, issued at this time, was revoked. A server that is not known has
    /// no session that counts.
    pub fn session_revoked(&self, server: &ServerId, issued_at: Timestamp) -> bool {
        self.state_of(server.as_str())
            .is_none_or(|state| state.session_revoked(server, issued_at))
    }

    /// The shard a server appends to now, in a mode.
    pub fn shard(&self, server: &ServerId, mode: Mode) -> Option<&ShardRecord> {
        self.state_of(server.as_str())?.shard(server, mode)
    }

    /// Every shard of a server in a mode, oldest first.
    pub fn shards(&self, server: &ServerId, mode: Mode) -> &[ShardRecord] {
        self.state_of(server.as_str())
            .map_or(&[], |state| state.shards(server, mode))
    }

    /// The shard with this origin.
    pub fn shard_by_origin(&self, origin: &str) -> Option<&ShardRecord> {
        self.registries()
            .find_map(|state| state.shard_by_origin(origin))
    }

    /// Where a shard ended; see [`State::shard_end`].
    pub fn shard_end(&self, origin: &str) -> Option<&Digest> {
        self.registries().find_map(|state| state.shard_end(origin))
    }

    /// The policy a server's ledger has to satisfy: that of its own registry.
    pub fn policy_of(&self, server: &ServerId) -> Option<&Policy> {
        self.state_of(server.as_str())?.policy()
    }

    /// A service as a member offers it, retired or not.
    pub fn service(&self, service: &ServiceName, member: &MemberId) -> Option<&ServiceRecord> {
        self.state_of(member.as_str())?.service(service, member)
    }

    /// Every offer of a service, by registry and member.
    pub fn offers(&self, service: &ServiceName) -> impl Iterator<Item = &ServiceRecord> {
        self.registries()
            .flat_map(move |state| state.offers(service))
    }

    /// Whether a member offers a service at a moment, denials included.
    pub fn offered(&self, service: &ServiceName, member: &MemberId, at: Timestamp) -> bool {
        self.state_of(member.as_str())
            .is_some_and(|state| state.offered(service, member, at))
    }

    /// From when on a member does not offer a service any more; see [`State::sunset`].
    pub fn sunset(&self, service: &ServiceName, member: &MemberId) -> Option<Timestamp> {
        self.state_of(member.as_str())?.sunset(service, member)
    }

    /// An agreement as the own registry has it.
    pub fn agreement(&self, agreement: &AgreementId) -> Option<&AgreementRecord> {
        self.home.agreement(agreement)
    }

    /// The whole document of an agreement that the own registry's state keeps.
    pub fn document(&self, agreement: &AgreementId) -> Option<&Arc<Agreement>> {
        self.home.document(agreement)
    }

    /// Agreements that every party of the own jurisdiction signed and that have a clause joining these two
    /// systems, whatever their state.
    pub fn agreements_between(
        &self,
        consumer: &SystemId,
        provider: &SystemId,
    ) -> impl Iterator<Item = &AgreementRecord> {
        self.home.agreements_between(consumer, provider)
    }

    /// An agreement's state at a moment, its dates and denials included: the most restrictive of what the
    /// registries of its parties say.
    pub fn agreement_state(&self, record: &AgreementRecord, now: Timestamp) -> lifecycle::State {
        let id = record.id();
        let mut state = self.home.agreement_state(record, now);
        if self.is_local(record) {
            return state;
        }
        for party in &record.terms.parties {
            state = stricter(state, self.state_at_party(party, &id, now));
        }
        let is_superseded = self
            .home
            .successors(&id)
            .any(|new| new.terms.not_before <= now && self.is_agreed(new));
        if is_superseded && !state.is_final() {
            state = lifecycle::State::Superseded;
        }
        state
    }

    /// Whether all parties are of the own jurisdiction: nobody else has to be asked.
    fn is_local(&self, record: &AgreementRecord) -> bool {
        let mut parties = record.terms.parties.iter();
        parties.all(|party| {
            let jurisdiction = party.as_str().split('/').next();
            jurisdiction.is_some_and(|jurisdiction| is_of(&self.home, jurisdiction))
        })
    }

    /// What the registry of one party says of an agreement.
    fn state_at_party(
        &self,
        party: &MemberId,
        agreement: &AgreementId,
        now: Timestamp,
    ) -> lifecycle::State {
        let Some(state) = self.state_of(party.as_str()) else {
            // What its registry says does not count for as long as it is not recognised.
            return lifecycle::State::Suspended;
        };
        match state.agreement(agreement) {
            Some(record) => state.agreement_state(record, now),
            None => lifecycle::State::Proposed,
        }
    }

    /// Whether a party signed an agreement, in its own registry.
    pub fn is_signed_by(&self, agreement: &AgreementId, party: &MemberId) -> bool {
        let state = self.state_of(party.as_str());
        let record = state.and_then(|state| state.agreement(agreement));
        record.is_some_and(|record| record.is_signed_by(party))
    }

    /// Whether every party signed, each in its own registry, whatever became of it.
    fn is_agreed(&self, record: &AgreementRecord) -> bool {
        let mut parties = record.terms.parties.iter();
        parties.all(|party| self.is_signed_by(&record.id(), party))
    }
}

fn is_of(state: &State, jurisdiction: &str) -> bool {
    state
        .registry()
        .is_some_and(|registry| registry.jurisdiction.as_str() == jurisdiction)
}

/// The one of two states that permits less.
fn stricter(one: lifecycle::State, other: lifecycle::State) -> lifecycle::State {
    use lifecycle::State as S;
    let rank = |state: S| match state {
        S::Active => 0,
        S::Filed => 1,
        S::Agreed => 2,
        S::Suspended => 3,
        S::Draft | S::Proposed | S::Countered => 4,
        S::Expired | S::Lapsed | S::Rejected | S::Revoked | S::Superseded | S::Withdrawn => 5,
    };
    if rank(other) > rank(one) { other } else { one }
}
