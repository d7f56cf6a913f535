//! Questions asked of a state. Answers take denials into account wherever they could matter.

use std::sync::Arc;

use entente_agreement::lifecycle;
use entente_agreement::{Agreement, AgreementId};
use entente_clock::Timestamp;
use entente_contract::Outline;
use entente_identity::{Jurisdiction, MemberId, ServerId, ServiceName, SystemId};
use entente_signing::Digest;

use super::State;
use crate::change::{Author, Change, ChangeHeader, Mode, Policy, Sunset};
use crate::record::{
    AgreementRecord, AuthorPosition, MandateRecord, MemberRecord, ProposalRecord,
    RecognitionRecord, RegistryRecord, ServerRecord, ServiceRecord, ShardRecord, Standing,
};

impl State {
    /// How many changes were applied: the size of the registry's ledger.
    pub const fn size(&self) -> u64 {
        self.core.size
    }

    /// The entry time of the last change applied.
    pub const fn last_at(&self) -> Timestamp {
        self.core.last_at
    }

    /// The registry, once there is a genesis.
    pub fn registry(&self) -> Option<&RegistryRecord> {
        self.core.registry.as_deref()
    }

    /// The policy in force, once there is a genesis.
    pub fn policy(&self) -> Option<&Policy> {
        self.core.policy.as_deref()
    }

    /// Where an author's changes stand; `None` before the first.
    pub fn author(&self, author: &Author) -> Option<AuthorPosition> {
        self.core.authors.get(author).copied()
    }

    /// The header of an author's next change. `None` before genesis.
    pub fn next_header(&self, author: Author, not_after: Timestamp) -> Option<ChangeHeader> {
        let registry = self.registry()?.origin.clone();
        let position = self.author(&author);
        Some(ChangeHeader {
            registry,
            author,
            sequence: position.map_or(1, |position| position.sequence.saturating_add(1)),
            previous: position.map(|position| position.last),
            not_after,
        })
    }

    /// A member's record, whatever its standing.
    pub fn member(&self, member: &MemberId) -> Option<&MemberRecord> {
        self.core.members.get(member).map(AsRef::as_ref)
    }

    /// Every member, by name.
    pub fn members(&self) -> impl Iterator<Item = &MemberRecord> {
        self.core.members.values().map(AsRef::as_ref)
    }

    /// A member's standing, denials included.
    pub fn standing(&self, member: &MemberId) -> Option<Standing> {
        let mut standing = self.member(member)?.standing;
        for change in self.denied() {
            standing = match change {
                Change::MemberSuspend(act) if act.member == *member => {
                    standing.max(Standing::Suspended)
                }
                Change::MemberEnd(act) if act.member == *member => Standing::Ended,
                _ => standing,
            };
        }
        Some(standing)
    }

    /// A server's record.
    pub fn server(&self, server: &ServerId) -> Option<&ServerRecord> {
        self.core.servers.get(server).map(AsRef::as_ref)
    }

    /// Every server, by name.
    pub fn servers(&self) -> impl Iterator<Item = &ServerRecord> {
        self.core.servers.values().map(AsRef::as_ref)
    }

    /// The servers that may sign for a system, by name.
    pub fn servers_for(&self, system: &SystemId) -> impl Iterator<Item = &ServerRecord> {
        let servers = self.core.systems.get(system);
        servers
            .into_iter()
            .flat_map(|servers| servers.iter())
            .filter_map(|server| self.server(server))
    }

    /// Whether a server may sign for a system.
    pub fn may_sign_for(&self, server: &ServerId, system: &SystemId) -> bool {
        self.server(server)
            .is_some_and(|record| record.systems.contains(system))
    }

    /// The server that may show this TLS key now, by the SHA-256 of its SubjectPublicKeyInfo.
    pub fn server_by_tls_spki(&self, spki: &Digest) -> Option<&ServerRecord> {
        self.server(self.core.tls.get(spki)?)
    }

    /// Whether a session of this server, issued at this time, was revoked. Denials included; a
    /// server that is not known has no session that counts.
    pub fn session_revoked(&self, server: &ServerId, issued_at: Timestamp) -> bool {
        let Some(record) = self.server(server) else {
            return true;
        };
        record
            .sessions_revoked_before
            .is_some_and(|t| issued_at < t)
            || self.denied().any(|change| match change {
                Change::SessionRevoke(body) => {
                    body.server == *server && issued_at < body.issued_before
                }
                _ => false,
            })
    }

    /// The shard a server appends to now, in a mode.
    pub fn shard(&self, server: &ServerId, mode: Mode) -> Option<&ShardRecord> {
        self.shards(server, mode).last()
    }

    /// Every shard of a server in a mode, oldest first.
    pub fn shards(&self, server: &ServerId, mode: Mode) -> &[ShardRecord] {
        let shards = self.core.shards.get(&(server.clone(), mode));
        shards.map_or(&[], |shards| shards.as_slice())
    }

    /// The shard with this origin.
    pub fn shard_by_origin(&self, origin: &str) -> Option<&ShardRecord> {
        let (server, mode) = self.core.origins.get(origin)?;
        let shards = self.shards(server, *mode);
        shards.iter().find(|shard| shard.origin == origin)
    }

    /// Where a shard ended, once the next one was opened: the SHA-256 of its last checkpoint, as its server
    /// signed. None while it is open.
    pub fn shard_end(&self, origin: &str) -> Option<&Digest> {
        let (server, mode) = self.core.origins.get(origin)?;
        let mut shards = self.shards(server, *mode).iter();
        shards.find(|shard| shard.origin == origin)?;
        shards.next()?.previous.as_ref()
    }

    /// A service as a member offers it, retired or not.
    pub fn service(&self, service: &ServiceName, member: &MemberId) -> Option<&ServiceRecord> {
        let key = (service.clone(), member.clone());
        self.core.services.get(&key).map(AsRef::as_ref)
    }

    /// Every offer of a service, by member.
    pub fn offers(&self, service: &ServiceName) -> impl Iterator<Item = &ServiceRecord> {
        let members = self.core.offers.get(service);
        members
            .into_iter()
            .flat_map(|members| members.iter())
            .filter_map(move |member| self.service(service, member))
    }

    /// Every service, by name and member.
    pub fn services(&self) -> impl Iterator<Item = &ServiceRecord> {
        self.core.services.values().map(AsRef::as_ref)
    }

    /// Whether a member offers a service at a moment, denials included.
    pub fn offered(&self, service: &ServiceName, member: &MemberId, at: Timestamp) -> bool {
        let record = self.service(service, member);
        record.is_some_and(|record| self.sunset_of(record).is_none_or(|sunset| at < sunset))
    }

    /// From when on a member does not offer a service any more, denials included; none when it has not said.
    pub fn sunset(&self, service: &ServiceName, member: &MemberId) -> Option<Timestamp> {
        self.sunset_of(self.service(service, member)?)
    }

    fn sunset_of(&self, record: &ServiceRecord) -> Option<Timestamp> {
        let denied = self.core_denials().filter_map(|(author, change)| {
            let Change::ServiceRetire(body) = change else {
                return None;
            };
            if body.service != record.service || author.member().as_ref() != Some(&record.member) {
                return None;
            }
            match body.sunset {
                Sunset::Now => Some(Timestamp::default()),
                Sunset::At(at) => Some(at),
                Sunset::Never => None,
            }
        });
        // The earliest wins, whatever order the ledger will bring them in.
        record.sunset.into_iter().chain(denied).min()
    }

    /// The methods and elements of a service in a published descriptor set.
    pub fn outline(&self, descriptor_set: &Digest, service: &ServiceName) -> Option<&Outline> {
        let key = (*descriptor_set, service.clone());
        self.core.contracts.get(&key).map(AsRef::as_ref)
    }

    /// An agreement that was proposed, whatever became of it.
    pub fn agreement(&self, agreement: &AgreementId) -> Option<&AgreementRecord> {
        self.core.agreements.get(agreement).map(AsRef::as_ref)
    }

    /// The whole of an agreement, when this state keeps it.
    pub fn document(&self, agreement: &AgreementId) -> Option<&Arc<Agreement>> {
        self.core.documents.get(agreement)
    }

    /// Every agreement that was proposed, by hash.
    pub fn agreements(&self) -> impl Iterator<Item = &AgreementRecord> {
        self.core.agreements.values().map(AsRef::as_ref)
    }

    /// Agreements every party signed that have a clause joining these two systems, whatever their
    /// state now.
    pub fn agreements_between(
        &self,
        consumer: &SystemId,
        provider: &SystemId,
    ) -> impl Iterator<Item = &AgreementRecord> {
        let first = (
            consumer.clone(),
            provider.clone(),
            Digest::from_bytes([0; 32]),
        );
        let last = (
            consumer.clone(),
            provider.clone(),
            Digest::from_bytes([0xff; 32]),
        );
        let keys = self.core.pairs.range(first..=last);
        keys.filter_map(|((_, _, agreement), ())| self.agreement(agreement))
    }

    /// An agreement's state at a moment, its dates and denials included.
    pub fn agreement_state(&self, record: &AgreementRecord, now: Timestamp) -> lifecycle::State {
        let id = record.id();
        let mut state = record.state_at(now);
        for change in self.denied() {
            // The more restrictive wins, whatever order the ledger will bring them in.
            match change {
                Change::AgreementRevoke(act) if act.agreement == id && !state.is_final() => {
                    state = lifecycle::State::Revoked;
                }
                Change::AgreementSuspend(act) if act.agreement == id && !state.is_final() => {
                    state = lifecycle::State::Suspended;
                }
                _ => {}
            }
        }
        state
    }

    /// What takes several registrars and is not in effect yet, by the hash of the change.
    pub fn proposals(&self) -> impl Iterator<Item = &ProposalRecord> {
        self.core.proposals.values().map(AsRef::as_ref)
    }

    /// What this registry says of another jurisdiction's, in force or not.
    pub fn recognition(&self, jurisdiction: &Jurisdiction) -> Option<&RecognitionRecord> {
        self.core.recognitions.get(jurisdiction).map(AsRef::as_ref)
    }

    /// Every recognition ever given, by jurisdiction.
    pub fn recognitions(&self) -> impl Iterator<Item = &RecognitionRecord> {
        self.core.recognitions.values().map(AsRef::as_ref)
    }

    /// A recognition that is in force, denials included.
    pub fn recognised(&self, jurisdiction: &Jurisdiction) -> Option<&RecognitionRecord> {
        let record = self.recognition(jurisdiction)?;
        let is_denied = self.denied().any(|change| {
            matches!(
                change,
                Change::RecognitionSuspend(act) | Change::RecognitionRevoke(act)
                    if act.jurisdiction == *jurisdiction
            )
        });
        (record.standing == Standing::Active && !is_denied).then_some(record)
    }

    /// A body's mandate, in force or not.
    pub fn mandate_of(&self, body: &MemberId) -> Option<&MandateRecord> {
        self.core.mandates.get(body).map(AsRef::as_ref)
    }

    /// Every mandate, by body, in force or not.
    pub fn mandates(&self) -> impl Iterator<Item = &MandateRecord> {
        self.core.mandates.values().map(AsRef::as_ref)
    }

    /// Until when a mandate is in force, denials included.
    pub fn mandate_until(&self, record: &MandateRecord) -> Timestamp {
        let denied = self.denied().filter_map(|change| match change {
            Change::MandateEnd(act) if act.body == record.body => {
                Some(act.from.unwrap_or_default())
            }
            _ => None,
        });
        denied.fold(record.until, Timestamp::min)
    }

    /// The agreements that would take the place of one with parties of several jurisdictions, as far as
    /// this registry's parties signed them.
    pub(crate) fn successors(
        &self,
        agreement: &AgreementId,
    ) -> impl Iterator<Item = &AgreementRecord> {
        let first = (*agreement, Digest::from_bytes([0; 32]));
        let last = (*agreement, Digest::from_bytes([0xff; 32]));
        let pairs = self.core.successors.range(first..=last);
        pairs.filter_map(|((_, new), ())| self.agreement(new))
    }

    /// Whether a public key was ever registered, by the SHA-256 of its SubjectPublicKeyInfo.
    pub fn key_known(&self, spki: &Digest) -> bool {
        self.core.keys.contains_key(spki)
    }

    /// Denying changes in effect ahead of the ledger.
    pub fn denied(&self) -> impl Iterator<Item = &Change> {
        self.denials.values().map(|change| change.change())
    }

    fn core_denials(&self) -> impl Iterator<Item = (&Author, &Change)> {
        let denials = self.denials.values();
        denials.map(|change| (&change.header().author, change.change()))
    }
}
