//! The hash of a state: what two honest servers at one size must agree on.

use entente_clock::Timestamp;
use entente_signing::cbor::Writer;
use entente_signing::{Digest, VerifyingKey};

use super::State;
use crate::codec::Fields;
use crate::record::{AgreementRecord, Dated, MemberRecord, ServerRecord, ServiceRecord};

impl State {
    /// SHA-256 over a deterministic encoding of everything the changes add up to, under a context
    /// string. Denials that are not in the ledger do not count.
    pub fn state_hash(&self) -> Digest {
        let mut out = Writer::with_capacity(4096);
        self.write(&mut out);
        Digest::of_parts(&[b"entente/state/v1\0", out.as_slice()])
    }

    fn write(&self, out: &mut Writer) {
        let core = &self.core;
        out.array(12).uint(core.size).uint(core.last_at.as_millis());
        match &core.registry {
            None => out.null(),
            Some(registry) => out.bytes(registry.genesis.as_bytes()),
        };
        match &core.policy {
            None => {
                out.null();
            }
            Some(policy) => {
                let mut fields = Fields::new();
                policy.fields(&mut fields);
                fields.end(out);
            }
        }
        out.array(core.authors.size());
        for (author, position) in core.authors.iter() {
            out.array(5)
                .text(&author.to_string())
                .uint(position.sequence)
                .bytes(position.last.as_bytes())
                .uint(position.at.as_millis())
                .uint(u64::from(position.today));
        }
        out.array(core.keys.size());
        for key in core.keys.keys() {
            out.bytes(key.as_bytes());
        }
        out.array(core.members.size());
        for member in core.members.values() {
            write_member(out, member);
        }
        out.array(core.servers.size());
        for server in core.servers.values() {
            write_server(out, server);
        }
        out.array(core.origins.size());
        for (origin, (server, mode)) in core.origins.iter() {
            out.array(6)
                .text(origin)
                .text(server.as_str())
                .uint(mode.number());
            let shards = self.shards(server, *mode);
            match shards.iter().find(|shard| shard.origin == *origin) {
                None => out.null().null().null(),
                Some(shard) => {
                    out.bytes(shard.key.spki_der());
                    write_digest(out, shard.previous);
                    out.uint(shard.opened.as_millis())
                }
            };
        }
        out.array(core.services.size());
        for service in core.services.values() {
            write_service(out, service);
        }
        out.array(core.agreements.size());
        for agreement in core.agreements.values() {
            write_agreement(out, agreement);
        }
        out.array(core.pairs.size());
        for (consumer, provider, agreement) in core.pairs.keys() {
            out.array(3)
                .text(consumer.as_str())
                .text(provider.as_str())
                .bytes(agreement.as_bytes());
        }
    }
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
    write_time(out, service.retired);
}

fn write_agreement(out: &mut Writer, record: &AgreementRecord) {
    out.array(8)
        .bytes(record.agreement.id().as_bytes())
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
