//! Members and their keys.

use std::collections::BTreeSet;

use entente_clock::Timestamp;
use entente_identity::MemberId;
use entente_signing::{Algorithm, Digest};

use super::{claim_key, expect_kind, not_allowed};
use crate::change::{
    Application, Author, KeyAdd, KeyRevoke, KeyRole, MemberAct, MemberAdmit, NewKey, SignedChange,
};
use crate::record::{Dated, MemberKey, MemberRecord, Standing};
use crate::refusal::Refusal;
use crate::state::Core;

pub(super) fn admit(core: &mut Core, body: &MemberAdmit, at: Timestamp) -> Result<(), Refusal> {
    let registry = core.registry.clone().ok_or(Refusal::WrongRegistry)?;
    if body.member.jurisdiction() != registry.jurisdiction {
        return Err(Refusal::NameNotOurs(body.member.to_string()));
    }
    if core.members.contains_key(&body.member) {
        return Err(Refusal::NameTaken(body.member.to_string()));
    }
    let application = Application::parse(&body.application).map_err(Refusal::Application)?;
    let as_applied = application.registry == registry.origin
        && application.member == body.member
        && application.class == body.class
        && application.name == body.name
        && application.keys == body.keys;
    if !as_applied {
        return Err(Refusal::ApplicationDiffers);
    }
    // Without these two a member could neither run a server nor sign an agreement.
    let roles: BTreeSet<_> = body.keys.iter().map(|key| key.role).collect();
    if !roles.contains(&KeyRole::Officer) || !roles.contains(&KeyRole::Member) {
        return Err(Refusal::ApplicationDiffers);
    }
    let mut keys = Vec::with_capacity(body.keys.len());
    for key in &body.keys {
        keys.push(claim_member_key(core, key, at)?);
    }
    check_counts(&keys)?;
    let record = MemberRecord {
        id: body.member.clone(),
        class: body.class.clone(),
        name: body.name.clone(),
        keys,
        standing: Standing::Active,
        admitted: at,
        application: Digest::of(&body.application),
    };
    core.put_member(record);
    Ok(())
}

pub(super) fn stand(core: &mut Core, body: &MemberAct, standing: Standing) -> Result<(), Refusal> {
    let mut record = member(core, &body.member)?;
    // An ended membership stays ended; the same name is not given again.
    if record.standing == Standing::Ended {
        return Err(Refusal::MemberSuspended(body.member.clone()));
    }
    record.standing = standing;
    core.put_member(record);
    Ok(())
}

pub(super) fn add_key(
    core: &mut Core,
    change: &SignedChange,
    body: &KeyAdd,
    at: Timestamp,
) -> Result<(), Refusal> {
    require_own(change, &body.member)?;
    let message = KeyAdd::proof_message(&body.member, &body.key);
    let proven = body.key.key.verify(&message, &body.proof);
    proven.map_err(|_| Refusal::Proof)?;
    let mut record = member(core, &body.member)?;
    record.keys.push(claim_member_key(core, &body.key, at)?);
    check_counts(&record.keys)?;
    core.put_member(record);
    Ok(())
}

pub(super) fn revoke_key(
    core: &mut Core,
    change: &SignedChange,
    role: Option<KeyRole>,
    body: &KeyRevoke,
    at: Timestamp,
) -> Result<(), Refusal> {
    let index = check_revocation(core, change, role, body)?;
    let mut record = member(core, &body.member)?;
    if let Some(key) = record.keys.get_mut(index) {
        key.until = Some(at);
    }
    core.put_member(record);
    Ok(())
}

/// Which key is to go, if this change may take it away: any by recovery, or a key by itself.
pub(crate) fn check_revocation(
    core: &Core,
    change: &SignedChange,
    role: Option<KeyRole>,
    body: &KeyRevoke,
) -> Result<usize, Refusal> {
    require_own(change, &body.member)?;
    let record = core.members.get(&body.member);
    let record = record.ok_or_else(|| Refusal::UnknownMember(body.member.clone()))?;
    let held = |key: &Dated<MemberKey>| key.is_current() && key.value.key.spki_digest() == body.key;
    let index = record.keys.iter().position(held);
    let index = index.ok_or_else(|| Refusal::KeyUnknown(change.header().author.clone()))?;
    let itself = record.keys[index].value.key.key_id() == change.key_id();
    if role == Some(KeyRole::Recovery) || itself {
        Ok(index)
    } else {
        Err(not_allowed(change))
    }
}

fn require_own(change: &SignedChange, member: &MemberId) -> Result<(), Refusal> {
    match &change.header().author {
        Author::Member(author) if author == member => Ok(()),
        _ => Err(not_allowed(change)),
    }
}

fn member(core: &Core, member: &MemberId) -> Result<MemberRecord, Refusal> {
    let record = core.members.get(member);
    record
        .map(|record| record.as_ref().clone())
        .ok_or_else(|| Refusal::UnknownMember(member.clone()))
}

fn claim_member_key(
    core: &mut Core,
    key: &NewKey,
    at: Timestamp,
) -> Result<Dated<MemberKey>, Refusal> {
    expect_kind(&key.key, Algorithm::P256)?;
    claim_key(core, key.key.spki_digest())?;
    let (role, key) = (key.role, key.key.clone());
    Ok(Dated::from(MemberKey { role, key }, at))
}

fn check_counts(keys: &[Dated<MemberKey>]) -> Result<(), Refusal> {
    for role in [KeyRole::Recovery, KeyRole::Officer, KeyRole::Member] {
        let valid = |key: &&Dated<MemberKey>| key.is_current() && key.value.role == role;
        if keys.iter().filter(valid).count() > MAX_KEYS_PER_ROLE {
            return Err(Refusal::Limit("keys of one use"));
        }
    }
    Ok(())
}

const MAX_KEYS_PER_ROLE: usize = 8;
