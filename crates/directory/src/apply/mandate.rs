//! Bodies of oversight: who gets a mandate, over whom, and how it ends.

use entente_clock::Timestamp;
use entente_identity::MemberId;

use crate::change::{MandateEnd, MandateGrant, SignedChange};
use crate::record::{MandateRecord, Standing};
use crate::refusal::Refusal;
use crate::state::Core;

pub(super) fn grant(
    core: &mut Core,
    change: &SignedChange,
    body: &MandateGrant,
    at: Timestamp,
) -> Result<(), Refusal> {
    let registry = core.registry.as_ref().ok_or(Refusal::WrongRegistry)?;
    let stranger = |member: &&MemberId| member.jurisdiction() != registry.jurisdiction;
    if let Some(stranger) = body.members.iter().find(stranger) {
        return Err(Refusal::NameNotOurs(stranger.to_string()));
    }
    match core.members.get(&body.body) {
        None => return Err(Refusal::UnknownMember(body.body.clone())),
        Some(record) if record.standing != Standing::Active => {
            return Err(Refusal::MemberSuspended(body.body.clone()));
        }
        Some(_) => {}
    }
    let unknown = |member: &&MemberId| !core.members.contains_key(*member);
    if let Some(unknown) = body.members.iter().find(unknown) {
        return Err(Refusal::UnknownMember(unknown.clone()));
    }
    // Nobody oversees itself, and a mandate that is over already would only look like one.
    if body.members.contains(&body.body) {
        return Err(Refusal::MandateTerms("it is over its own body"));
    }
    if body.until <= at {
        return Err(Refusal::MandateTerms("its dates have passed"));
    }
    if !core.mandates.contains_key(&body.body) && core.mandates.size() >= MAX_MANDATES {
        return Err(Refusal::Limit("mandates"));
    }
    core.put_mandate(MandateRecord {
        body: body.body.clone(),
        members: body.members.iter().cloned().collect(),
        reads: body.reads.iter().copied().collect(),
        from: body.from,
        until: body.until,
        basis: body.basis.clone(),
        granted: at,
        change: change.hash(),
        reason: None,
    });
    Ok(())
}

pub(super) fn end(core: &mut Core, body: &MandateEnd, at: Timestamp) -> Result<(), Refusal> {
    let mut record = mandate(core, &body.body)?.clone();
    let until = body.from.map_or(at, |from| from.max(at));
    if record.until <= at || record.until <= until {
        return Err(Refusal::UnknownMandate(body.body.clone()));
    }
    record.until = until;
    record.reason = body.reason.as_deref().map(Into::into);
    core.put_mandate(record);
    Ok(())
}

pub(crate) fn mandate<'a>(core: &'a Core, body: &MemberId) -> Result<&'a MandateRecord, Refusal> {
    let record = core.mandates.get(body).map(AsRef::as_ref);
    record.ok_or_else(|| Refusal::UnknownMandate(body.clone()))
}

/// How many bodies have, or had, a mandate under one registry.
const MAX_MANDATES: usize = 256;
