//! Servers, their keys, their shards, their sessions.

use std::collections::BTreeSet;
use std::sync::Arc;

use entente_clock::Timestamp;
use entente_identity::{MemberId, ServerId, SystemId};
use entente_signing::{Algorithm, Digest, VerifyingKey};

use super::budget::check_servers;
use super::{claim_key, expect_kind, not_allowed};
use crate::change::{
    Author, HpkeKey, ServerRegister, ServerUpdate, SessionRevoke, ShardOpen, SignedChange,
};
use crate::record::{Dated, ServerRecord, ShardRecord};
use crate::refusal::Refusal;
use crate::set::Set;
use crate::state::{Core, known};

pub(super) fn register(
    core: &mut Core,
    change: &SignedChange,
    body: &ServerRegister,
    at: Timestamp,
) -> Result<(), Refusal> {
    require_owner(change, &body.server)?;
    if core.servers.contains_key(&body.server) {
        return Err(Refusal::NameTaken(body.server.to_string()));
    }
    let member = body.server.member();
    check_servers(core, change, &member)?;
    body.verify_proof().map_err(|_| Refusal::Proof)?;
    check_systems(&member, &body.systems)?;
    check_suites(core, &body.hpke)?;
    check_protocols(core, &body.protocols)?;
    expect_kind(&body.key, Algorithm::P256)?;
    expect_kind(&body.ledger, Algorithm::Ed25519)?;
    claim_key(core, body.key.spki_digest())?;
    claim_key(core, body.ledger.spki_digest())?;
    let (mut tls, mut hpke) = (Vec::new(), Vec::new());
    replace(core, &mut tls, &body.tls, at, VerifyingKey::spki_digest)?;
    replace(core, &mut hpke, &body.hpke, at, HpkeKey::digest)?;
    let record = ServerRecord {
        id: body.server.clone(),
        systems: known_systems(core, &body.systems),
        addresses: body.addresses.clone(),
        keys: vec![Dated::from(body.key.clone(), at)],
        tls,
        hpke,
        ledger: vec![Dated::from(body.ledger.clone(), at)],
        protocols: body.protocols.iter().copied().collect(),
        sessions_revoked_before: None,
        registered: at,
    };
    index(core, None, &record);
    core.put_server(record);
    core.hold(member, |holdings| holdings.servers += 1);
    Ok(())
}

pub(super) fn update(
    core: &mut Core,
    change: &SignedChange,
    body: &ServerUpdate,
    at: Timestamp,
) -> Result<(), Refusal> {
    require_owner(change, &body.server)?;
    // What a server may do, and by which key it is known, is its member's word, not its own.
    let by_member = matches!(change.header().author, Author::Member(_));
    if !by_member && (body.systems.is_some() || body.key.is_some()) {
        return Err(not_allowed(change));
    }
    let before = server(core, &body.server)?;
    let mut record = before.clone();
    if let Some(systems) = &body.systems {
        check_systems(&body.server.member(), systems)?;
        record.systems = known_systems(core, systems);
    }
    if let Some(addresses) = &body.addresses {
        record.addresses.clone_from(addresses);
    }
    if let Some(key) = &body.key {
        expect_kind(key, Algorithm::P256)?;
        let keys = std::slice::from_ref(key);
        replace(core, &mut record.keys, keys, at, VerifyingKey::spki_digest)?;
    }
    if let Some(keys) = &body.tls {
        replace(core, &mut record.tls, keys, at, VerifyingKey::spki_digest)?;
    }
    if let Some(keys) = &body.hpke {
        check_suites(core, keys)?;
        replace(core, &mut record.hpke, keys, at, HpkeKey::digest)?;
    }
    if let Some(key) = &body.ledger {
        expect_kind(key, Algorithm::Ed25519)?;
        let keys = std::slice::from_ref(key);
        replace(
            core,
            &mut record.ledger,
            keys,
            at,
            VerifyingKey::spki_digest,
        )?;
    }
    if let Some(protocols) = &body.protocols {
        check_protocols(core, protocols)?;
        record.protocols = protocols.iter().copied().collect();
    }
    index(core, Some(&before), &record);
    core.put_server(record);
    Ok(())
}

pub(super) fn open_shard(
    core: &mut Core,
    change: &SignedChange,
    body: &ShardOpen,
    at: Timestamp,
) -> Result<(), Refusal> {
    require_owner(change, &body.server)?;
    let record = server(core, &body.server)?;
    let key = (record.id.clone(), body.mode);
    let mut shards = match core.shards.get(&key) {
        Some(shards) => shards.as_ref().clone(),
        None => Vec::new(),
    };
    let fits = is_origin(&body.server, &body.origin)
        && !core.origins.contains_key(&body.origin)
        && record.ledger_key() == Some(&body.key)
        && body.previous.is_some() != shards.is_empty();
    if !fits {
        return Err(Refusal::ShardConflict(body.origin.clone()));
    }
    if let Some(last) = shards.last_mut() {
        last.closed = Some(at);
    }
    shards.push(ShardRecord {
        server: record.id.clone(),
        mode: body.mode,
        origin: body.origin.clone(),
        // The same as the server's, and in memory once.
        key: record.ledger_key().unwrap_or(&body.key).clone(),
        previous: body.previous,
        opened: at,
        closed: None,
    });
    core.origins.insert_mut(body.origin.clone(), key.clone());
    core.put_shards(key, shards);
    Ok(())
}

pub(super) fn revoke_sessions(
    core: &mut Core,
    change: &SignedChange,
    body: &SessionRevoke,
) -> Result<(), Refusal> {
    require_owner(change, &body.server)?;
    let mut record = server(core, &body.server)?;
    // Revoking never gives back: an earlier moment leaves the later one in force.
    record.sessions_revoked_before = record.sessions_revoked_before.max(Some(body.issued_before));
    core.put_server(record);
    Ok(())
}

/// The server itself, or its member.
pub(crate) fn require_owner(change: &SignedChange, server: &ServerId) -> Result<(), Refusal> {
    let owns = match &change.header().author {
        Author::Registrar => false,
        Author::Member(member) => *member == server.member(),
        Author::Server(author) => author == server,
    };
    if owns {
        Ok(())
    } else {
        Err(not_allowed(change))
    }
}

fn server(core: &Core, server: &ServerId) -> Result<ServerRecord, Refusal> {
    let record = core.servers.get(server);
    record
        .map(|record| record.as_ref().clone())
        .ok_or_else(|| Refusal::UnknownServer(server.clone()))
}

fn check_systems(member: &MemberId, systems: &BTreeSet<SystemId>) -> Result<(), Refusal> {
    match systems.iter().find(|system| system.member() != *member) {
        Some(system) => Err(Refusal::NameNotOurs(system.to_string())),
        None => Ok(()),
    }
}

fn known_systems(core: &Core, systems: &BTreeSet<SystemId>) -> Set<SystemId> {
    let systems = systems.iter();
    systems.map(|system| known(&core.systems, system)).collect()
}

fn check_suites(core: &Core, keys: &[HpkeKey]) -> Result<(), Refusal> {
    let policy = core.policy.as_ref().ok_or(Refusal::WrongRegistry)?;
    if keys.iter().all(|key| policy.suites.contains(&key.suite)) {
        Ok(())
    } else {
        Err(Refusal::KeyKind)
    }
}

fn check_protocols(core: &Core, protocols: &BTreeSet<u32>) -> Result<(), Refusal> {
    let policy = core.policy.as_ref().ok_or(Refusal::WrongRegistry)?;
    if protocols
        .iter()
        .all(|version| *version >= policy.protocol_floor)
    {
        Ok(())
    } else {
        Err(Refusal::PolicyWeaker)
    }
}

/// Ends what is no longer listed, and claims what is new. A key that ended does not come back.
fn replace<T: Clone>(
    core: &mut Core,
    held: &mut Vec<Dated<T>>,
    listed: &[T],
    at: Timestamp,
    digest: impl Fn(&T) -> Digest,
) -> Result<(), Refusal> {
    let wanted: BTreeSet<Digest> = listed.iter().map(&digest).collect();
    if wanted.len() != listed.len() {
        return Err(Refusal::Limit("copies of one key"));
    }
    for item in held.iter_mut().filter(|item| item.is_current()) {
        if !wanted.contains(&digest(&item.value)) {
            item.until = Some(at);
        }
    }
    for item in listed {
        let id = digest(item);
        if !held
            .iter()
            .any(|held| held.is_current() && digest(&held.value) == id)
        {
            claim_key(core, id)?;
            held.push(Dated::from(item.clone(), at));
        }
    }
    Ok(())
}

/// Keeps the maps by system and by TLS key in step with a server's record.
fn index(core: &mut Core, before: Option<&ServerRecord>, after: &ServerRecord) {
    for key in before.iter().flat_map(|record| record.tls_keys()) {
        core.tls.remove_mut(&key.spki_digest());
    }
    for key in after.tls_keys() {
        core.tls.insert_mut(key.spki_digest(), after.id.clone());
    }
    let before = before.iter().flat_map(|record| &record.systems);
    let systems: BTreeSet<SystemId> = before.chain(&after.systems).cloned().collect();
    for system in systems {
        let servers = core.systems.get(&system);
        let mut servers = servers.map_or_else(BTreeSet::new, |servers| servers.as_ref().clone());
        if after.systems.contains(&system) {
            servers.insert(after.id.clone());
        } else {
            servers.remove(&after.id);
        }
        core.systems.insert_mut(system, Arc::new(servers));
    }
}

/// `<server>.<member>.<jurisdiction>/access/<half-year>.<n>`, each part in its one spelling.
fn is_origin(server: &ServerId, origin: &str) -> bool {
    let Some((half_year, n)) = origin
        .rsplit_once('/')
        .and_then(|(_, shard)| shard.split_once('.'))
    else {
        return false;
    };
    let Ok(number) = n.parse::<u32>() else {
        return false;
    };
    let bytes = half_year.as_bytes();
    let is_half_year = bytes.len() == 6
        && bytes[..4].iter().all(u8::is_ascii_digit)
        && bytes[4] == b'h'
        && matches!(bytes[5], b'1' | b'2');
    is_half_year && origin == ShardOpen::origin_of(server, half_year, number)
}
