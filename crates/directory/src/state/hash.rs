//! The hash of a state: what two honest servers at one size must agree on.
//!
//! Each change adds what it wrote to a chain: the whole record of whoever it was about, and where its
//! author stands. A state follows from the log alone, so its hash may follow from its history. A hash of all
//! there is would be as telling, and at the size of a country take longer than all else.

use std::sync::Arc;

use entente_clock::Timestamp;
use entente_identity::ServerId;
use entente_signing::cbor::Writer;
use entente_signing::{Digest, VerifyingKey};

use super::{Core, State};
use crate::change::{Author, Mode, Policy};
use crate::codec::Fields;
use crate::record::{
    AgreementRecord, AuthorPosition, Dated, MandateRecord, MemberRecord, ProposalRecord,
    RecognitionRecord, RegistryRecord, ServerRecord, ServiceRecord, ShardRecord,
};

impl State {
    /// `SHA-256("entente/state/v2" ‖ 00 ‖ the hash before ‖ what the last change wrote)`; of no changes, 32
    /// zeros. Denials that are not in the ledger do not count.
    pub const fn state_hash(&self) -> Digest {
        self.core.hash
    }
}

// === impl Core ===

/// Every record is written through one of these, and is in the hash with it. Maps that follow from records
/// are not.
impl Core {
    pub(crate) fn put_registry(&mut self, record: RegistryRecord) {
        self.note("registry", |out| {
            out.bytes(record.genesis.as_bytes());
        });
        self.registry = Some(Arc::new(record));
    }

    pub(crate) fn put_policy(&mut self, policy: Policy) {
        self.note("policy", |out| {
            let mut fields = Fields::new();
            policy.fields(&mut fields);
            fields.end(out);
        });
        self.policy = Some(Arc::new(policy));
    }

    pub(crate) fn put_member(&mut self, mut record: MemberRecord) {
        record.keys.shrink_to_fit();
        self.note("member", |out| write_member(out, &record));
        self.members.insert_mut(record.id.clone(), Arc::new(record));
    }

    pub(crate) fn put_server(&mut self, mut record: ServerRecord) {
        // There are many, and lists that grew are longer than what is in them.
        record.addresses.shrink_to_fit();
        record.keys.shrink_to_fit();
        record.tls.shrink_to_fit();
        record.hpke.shrink_to_fit();
        record.ledger.shrink_to_fit();
        self.note("server", |out| write_server(out, &record));
        self.servers.insert_mut(record.id.clone(), Arc::new(record));
    }

    pub(crate) fn put_shards(&mut self, of: (ServerId, Mode), mut shards: Vec<ShardRecord>) {
        shards.shrink_to_fit();
        self.note("shards", |out| {
            out.array(shards.len());
            for shard in &shards {
                write_shard(out, shard);
            }
        });
        self.shards.insert_mut(of, Arc::new(shards));
    }

    pub(crate) fn put_service(&mut self, mut record: ServiceRecord) {
        record.versions.shrink_to_fit();
        self.note("service", |out| write_service(out, &record));
        let key = (record.service.clone(), record.member.clone());
        self.services.insert_mut(key, Arc::new(record));
    }

    pub(crate) fn put_agreement(&mut self, record: AgreementRecord) {
        self.note("agreement", |out| write_agreement(out, &record));
        self.agreements.insert_mut(record.id(), Arc::new(record));
    }

    pub(crate) fn put_registrars(&mut self, record: RegistryRecord) {
        self.note("registrars", |out| {
            out.array(3).array(record.registrars.len());
            for key in &record.registrars {
                out.bytes(key.spki_der());
            }
            out.uint(u64::from(record.quorum));
            match &record.clerk {
                None => out.null(),
                Some(clerk) => out.bytes(clerk.spki_der()),
            };
        });
        self.registry = Some(Arc::new(record));
    }

    pub(crate) fn put_ledger_key(&mut self, record: RegistryRecord) {
        self.note("ledger key", |out| {
            out.bytes(record.ledger.spki_der());
        });
        self.registry = Some(Arc::new(record));
    }

    pub(crate) fn put_proposal(&mut self, record: ProposalRecord) {
        self.note("proposal", |out| {
            out.array(4)
                .bytes(record.change.hash().as_bytes())
                .uint(record.proposed.as_millis())
                .array(record.agreed.len());
            for agreed in &record.agreed {
                out.bytes(agreed.as_bytes());
            }
            write_time(out, record.effective);
        });
        let proposal = record.change.hash();
        self.proposals.insert_mut(proposal, Arc::new(record));
    }

    /// It is in effect, or off the table. Whether it was on it.
    pub(crate) fn drop_proposal(&mut self, proposal: &Digest) -> bool {
        let was_tabled = self.proposals.remove_mut(proposal);
        if was_tabled {
            self.note("no proposal", |out| {
                out.bytes(proposal.as_bytes());
            });
        }
        was_tabled
    }

    pub(crate) fn put_recognition(&mut self, record: RecognitionRecord) {
        self.note("recognition", |out| write_recognition(out, &record));
        self.recognitions
            .insert_mut(record.jurisdiction.clone(), Arc::new(record));
    }

    pub(crate) fn put_mandate(&mut self, record: MandateRecord) {
        self.note("mandate", |out| write_mandate(out, &record));
        self.mandates
            .insert_mut(record.body.clone(), Arc::new(record));
    }

    /// The change is made: its author stands there now, and the chain is one longer.
    pub(crate) fn end_change(&mut self, author: Author, position: AuthorPosition, at: Timestamp) {
        self.size += 1;
        self.last_at = at;
        let (size, name) = (self.size, author.to_string());
        self.note("change", |out| {
            out.uint(size).uint(at.as_millis());
            out.text(&name)
                .uint(position.sequence)
                .bytes(position.last.as_bytes())
                .uint(position.at.as_millis())
                .uint(u64::from(position.today));
        });
        self.authors.insert_mut(self.known_author(author), position);
        let written = std::mem::take(&mut self.written);
        self.hash = Digest::of_parts(&[b"entente/state/v2\0", self.hash.as_bytes(), &written]);
    }

    fn note(&mut self, kind: &str, write: impl FnOnce(&mut Writer)) {
        let mut out = Writer::from(std::mem::take(&mut self.written));
        out.text(kind);
        write(&mut out);
        self.written = out.into_vec();
    }
}

fn write_shard(out: &mut Writer, shard: &ShardRecord) {
    out.array(7)
        .text(&shard.origin)
        .text(shard.server.as_str())
        .uint(shard.mode.number())
        .bytes(shard.key.spki_der());
    write_digest(out, shard.previous);
    out.uint(shard.opened.as_millis());
    write_time(out, shard.closed);
}

fn write_member(out: &mut Writer, member: &MemberRecord) {
    out.array(7)
        .text(member.id.as_str())
        .text(member.class.as_str());
    member.name.write(out);
    write_dated(out, &member.keys, |out, key| {
        out.array(2)
            .uint(key.role.number())
            .bytes(key.key.spki_der());
    });
    out.uint(member.standing as u64)
        .uint(member.admitted.as_millis())
        .bytes(member.application.as_bytes());
}

fn write_server(out: &mut Writer, server: &ServerRecord) {
    let key = |out: &mut Writer, key: &VerifyingKey| {
        out.bytes(key.spki_der());
    };
    out.array(10)
        .text(server.id.as_str())
        .array(server.systems.len());
    for system in &server.systems {
        out.text(system.as_str());
    }
    out.array(server.addresses.len());
    for address in &server.addresses {
        out.text(address.as_str());
    }
    write_dated(out, &server.keys, key);
    write_dated(out, &server.tls, key);
    write_dated(out, &server.hpke, |out, key| {
        out.array(2).uint(key.suite.number()).bytes(&key.public);
    });
    write_dated(out, &server.ledger, key);
    out.array(server.protocols.len());
    for version in &server.protocols {
        out.uint(u64::from(*version));
    }
    write_time(out, server.sessions_revoked_before);
    out.uint(server.registered.as_millis());
}

fn write_service(out: &mut Writer, service: &ServiceRecord) {
    out.array(5)
        .text(service.service.as_str())
        .text(service.member.as_str());
    out.array(service.systems.len());
    for system in &service.systems {
        out.text(system.as_str());
    }
    out.array(service.versions.len());
    for version in &service.versions {
        out.array(3)
            .uint(u64::from(version.version))
            .bytes(version.descriptor_set.as_bytes())
            .uint(version.published.as_millis());
    }
    write_time(out, service.sunset);
}

fn write_agreement(out: &mut Writer, record: &AgreementRecord) {
    out.array(8)
        .bytes(record.id().as_bytes())
        .text(record.recorded.as_str())
        .uint(record.acts)
        .bytes(record.last_act.as_bytes());
    out.array(record.accepted.len());
    for (member, change) in &record.accepted {
        out.array(2).text(member.as_str()).bytes(change.as_bytes());
    }
    out.array(record.suspended_by.len());
    for member in &record.suspended_by {
        out.text(member.as_str());
    }
    match &record.superseded {
        None => out.null(),
        Some((by, at)) => out.array(2).bytes(by.as_bytes()).uint(at.as_millis()),
    };
    match &record.revoked_reason {
        None => out.null(),
        Some(reason) => out.text(reason),
    };
}

fn write_recognition(out: &mut Writer, record: &RecognitionRecord) {
    out.array(5).text(record.jurisdiction.as_str());
    let mut anchor = Fields::new();
    record.anchor.fields(&mut anchor);
    anchor.end(out);
    let mut limits = Fields::new();
    record.limits.fields(&mut limits);
    limits.end(out);
    out.uint(record.standing as u64)
        .uint(record.given.as_millis());
}

fn write_mandate(out: &mut Writer, record: &MandateRecord) {
    out.array(9)
        .text(record.body.as_str())
        .array(record.members.len());
    for member in &record.members {
        out.text(member.as_str());
    }
    out.array(record.reads.len());
    for reading in &record.reads {
        out.uint(reading.number());
    }
    out.uint(record.from.as_millis())
        .uint(record.until.as_millis());
    record.basis.write(out);
    out.uint(record.granted.as_millis())
        .bytes(record.change.as_bytes());
    match &record.reason {
        None => out.null(),
        Some(reason) => out.text(reason),
    };
}

fn write_dated<T>(out: &mut Writer, items: &[Dated<T>], write: impl Fn(&mut Writer, &T)) {
    out.array(items.len());
    for item in items {
        out.array(3);
        write(out, &item.value);
        out.uint(item.from.as_millis());
        write_time(out, item.until);
    }
}

fn write_time(out: &mut Writer, time: Option<Timestamp>) {
    match time {
        None => out.null(),
        Some(time) => out.uint(time.as_millis()),
    };
}

fn write_digest(out: &mut Writer, digest: Option<Digest>) {
    match digest {
        None => out.null(),
        Some(digest) => out.bytes(digest.as_bytes()),
    };
}
