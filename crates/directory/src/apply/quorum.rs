//! What one registrar cannot do alone: a change is proposed by the one, agreed to by others, and takes effect
//! when there are enough, or some days later.
//!
//! Whatever asks less of anybody has notice, so that everybody can see it coming. A proposal takes effect by
//! the ledger's own time: with the first change that is logged once its day has come.

use std::time::Duration;

use entente_clock::Timestamp;
use entente_signing::{Algorithm, Digest, VerifyingKey};

use super::{claim_key, expect_kind, ledger_key};
use crate::change::{Change, ProposalAct, Registrars, SignedChange};
use crate::record::{ProposalRecord, RegistryRecord};
use crate::refusal::Refusal;
use crate::state::Core;

/// How a registrar's change takes effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    /// With its own entry.
    AtOnce,
    /// Once a quorum of the registrars agreed, and this long after.
    ByQuorum(Duration),
}

/// What this change takes, by what it says and what the policy in force names.
pub(super) fn effect(core: &Core, change: &SignedChange) -> Effect {
    let (Some(policy), Some(registry)) = (&core.policy, &core.registry) else {
        return Effect::AtOnce;
    };
    let named = policy.quorum_acts.contains(&change.kind()) && registry.quorum > 1;
    match change.change() {
        Change::Policy(next) if policy.weakened_by(next) => Effect::ByQuorum(NOTICE),
        Change::Registrars(_) => Effect::ByQuorum(NOTICE),
        // Whatever the policy names; why without notice is said in `ledger_key`.
        Change::LedgerKey(_) => Effect::ByQuorum(Duration::ZERO),
        _ if named => Effect::ByQuorum(Duration::ZERO),
        _ => Effect::AtOnce,
    }
}

/// Puts a change on the table; its author agrees to it. None when that is enough, and it is in effect now.
pub(super) fn propose(
    core: &mut Core,
    change: &SignedChange,
    notice: Duration,
    at: Timestamp,
) -> Result<Option<()>, Refusal> {
    match change.change() {
        Change::Registrars(body) => check_registrars(core, body)?,
        Change::LedgerKey(body) => ledger_key::check(core, body)?,
        _ => {}
    }
    if core.proposals.size() >= MAX_PROPOSALS {
        return Err(Refusal::Limit("proposals"));
    }
    let record = ProposalRecord {
        change: change.clone().into(),
        proposed: at,
        agreed: vec![signer(core, change)?],
        notice,
        effective: None,
    };
    decide(core, record, at).map(|decided| decided.map(|_| ()))
}

/// One more registrar agrees. What is in effect with that comes back, to be applied.
pub(super) fn approve(
    core: &mut Core,
    change: &SignedChange,
    body: &ProposalAct,
    at: Timestamp,
) -> Result<Option<SignedChange>, Refusal> {
    let mut record = find(core, body)?;
    let who = signer(core, change)?;
    if record.agreed.contains(&who) || record.effective.is_some() {
        return Err(Refusal::ProposalAgreed(body.change));
    }
    record.agreed.push(who);
    let proposed = SignedChange::clone(&record.change);
    Ok(decide(core, record, at)?.map(|()| proposed))
}

/// Any registrar takes a proposal off the table, until it is in effect: objecting is what notice is for.
pub(super) fn withdraw(core: &mut Core, body: &ProposalAct) -> Result<(), Refusal> {
    find(core, body)?;
    core.drop_proposal(&body.change);
    Ok(())
}

/// Changes whose day has come by `at`, in the order of their days.
pub(super) fn due(core: &Core, at: Timestamp) -> Vec<SignedChange> {
    let is_due = |record: &&std::sync::Arc<ProposalRecord>| {
        record.effective.is_some_and(|effective| effective <= at)
    };
    let mut due: Vec<_> = core.proposals.values().filter(is_due).collect();
    due.sort_by_key(|record| (record.effective, record.change.hash()));
    due.into_iter()
        .map(|record| SignedChange::clone(&record.change))
        .collect()
}

/// Other registrars are in office. What was on the table under the old ones is off it.
pub(super) fn replace_registrars(core: &mut Core, body: &Registrars) -> Result<(), Refusal> {
    check_registrars(core, body)?;
    let registry = core.registry.as_deref().ok_or(Refusal::WrongRegistry)?;
    let next = RegistryRecord {
        registrars: body.keys.clone(),
        quorum: body.quorum,
        clerk: body.clerk.clone(),
        ..registry.clone()
    };
    let known: Vec<Digest> = keys(registry).map(VerifyingKey::spki_digest).collect();
    for key in keys(&next).filter(|key| !known.contains(&key.spki_digest())) {
        claim_key(core, key.spki_digest())?;
    }
    let tabled: Vec<Digest> = core.proposals.keys().copied().collect();
    for proposal in tabled {
        core.drop_proposal(&proposal);
    }
    core.put_registrars(next);
    Ok(())
}

/// Every key a registrar's change may be signed with.
fn keys(registry: &RegistryRecord) -> impl Iterator<Item = &VerifyingKey> {
    registry.registrars.iter().chain(&registry.clerk)
}

/// They could be in office: of the right kind, each once, enough for their quorum, none that was used for
/// anything else.
fn check_registrars(core: &Core, body: &Registrars) -> Result<(), Refusal> {
    let registry = core.registry.as_deref().ok_or(Refusal::WrongRegistry)?;
    let held: Vec<Digest> = keys(registry).map(VerifyingKey::spki_digest).collect();
    let mut seen = Vec::new();
    for key in body.keys.iter().chain(&body.clerk) {
        expect_kind(key, Algorithm::P256)?;
        let spki = key.spki_digest();
        if seen.contains(&spki) || (core.keys.contains_key(&spki) && !held.contains(&spki)) {
            return Err(Refusal::KeyReused(spki));
        }
        seen.push(spki);
    }
    match usize::try_from(body.quorum) {
        Ok(quorum) if (1..=body.keys.len()).contains(&quorum) => Ok(()),
        _ => Err(Refusal::Limit("registrars")),
    }
}

/// Keeps a proposal, or takes it off the table when it is in effect now.
fn decide(
    core: &mut Core,
    mut record: ProposalRecord,
    at: Timestamp,
) -> Result<Option<()>, Refusal> {
    let registry = core.registry.as_deref().ok_or(Refusal::WrongRegistry)?;
    let quorum = usize::try_from(registry.quorum).unwrap_or(usize::MAX);
    let in_office = |agreed: &&Digest| {
        let mut registrars = registry.registrars.iter();
        registrars.any(|key| key.spki_digest() == **agreed)
    };
    let is_agreed = record.agreed.iter().filter(in_office).count() >= quorum;
    if is_agreed && record.notice.is_zero() {
        core.drop_proposal(&record.change.hash());
        return Ok(Some(()));
    }
    if is_agreed {
        record.effective = Some(at.saturating_add(record.notice));
    }
    core.put_proposal(record);
    Ok(None)
}

/// Which registrar signed.
fn signer(core: &Core, change: &SignedChange) -> Result<Digest, Refusal> {
    let registry = core.registry.as_deref().ok_or(Refusal::WrongRegistry)?;
    let mut registrars = registry.registrars.iter();
    let key = registrars.find(|key| key.key_id() == change.key_id());
    let unknown = || Refusal::KeyUnknown(change.header().author.clone());
    key.map(VerifyingKey::spki_digest).ok_or_else(unknown)
}

fn find(core: &Core, body: &ProposalAct) -> Result<ProposalRecord, Refusal> {
    let record = core.proposals.get(&body.change).map(AsRef::as_ref);
    record.cloned().ok_or(Refusal::UnknownProposal(body.change))
}

/// Between a quorum's agreement to ask less of anybody, or to other registrars, and its effect.
const NOTICE: Duration = Duration::from_secs(7 * 24 * 3600);
/// What is on the table at a time.
const MAX_PROPOSALS: usize = 64;
