//! Agreements: who may propose, sign, halt and end them, and in which order.

use std::collections::BTreeSet;
use std::sync::Arc;

use entente_agreement::lifecycle::{self, Act};
use entente_agreement::{Agreement, Clause, Document, lint};
use entente_clock::Timestamp;
use entente_contract::Direction;
use entente_identity::{ElementName, Jurisdiction, MemberId, MethodName, SystemId};
use entente_signing::Digest;

use super::{fetch, not_allowed, recognition};
use crate::blobs::Blobs;
use crate::change::{AgreementAct, Author, Kind, SignedChange};
use crate::record::{AgreementRecord, Standing, Terms};
use crate::refusal::Refusal;
use crate::set::Set;
use crate::state::{Core, known};

/// Proposing an agreement is signing it: the change carries its author's signature over its hash.
pub(super) fn propose(
    core: &mut Core,
    change: &SignedChange,
    body: &AgreementAct,
    at: Timestamp,
    blobs: &dyn Blobs,
) -> Result<(), Refusal> {
    let author = author(change)?;
    if core.agreements.contains_key(&body.agreement) {
        return Err(Refusal::ActTransition(None));
    }
    if body.sequence != 1 || body.previous.is_some() {
        let (expected, found) = (1, body.sequence);
        return Err(Refusal::ActSequence { expected, found });
    }
    let agreement = read(blobs, &body.agreement)?;
    let document = agreement.document();
    if document.party(&author).is_none() {
        return Err(not_allowed(change));
    }
    if let Some(finding) = lint::check(document).into_iter().next() {
        let fault = finding.fault;
        return Err(Refusal::AgreementFaulty { fault });
    }
    check_document(core, document, at)?;
    let mut record = AgreementRecord {
        terms: Arc::new(Terms::of(&agreement, |member| known(&core.members, member))),
        recorded: step(lifecycle::State::Draft, Act::Propose)?,
        acts: 0,
        last_act: change.hash(),
        accepted: Box::default(),
        suspended_by: Set::new(),
        superseded: None,
        revoked_reason: None,
    };
    record.sign(&author, change.hash());
    conclude(core, &mut record, &agreement)?;
    if core.keep.wants(document) {
        let document = Arc::new(agreement);
        core.documents.insert_mut(document.id(), document);
    }
    keep_act(core, record, change);
    Ok(())
}

pub(super) fn accept(
    core: &mut Core,
    change: &SignedChange,
    body: &AgreementAct,
    at: Timestamp,
    blobs: &dyn Blobs,
) -> Result<(), Refusal> {
    let author = author(change)?;
    let mut record = next_act(core, body)?;
    if !record.terms.has_party(&author) {
        return Err(not_allowed(change));
    }
    if record.is_signed_by(&author) {
        return Err(Refusal::ActTransition(None));
    }
    // What was proposed may have been overtaken: services retired, members gone, dates past. Read again,
    // also where the document is kept: the rule must not depend on what else is in memory.
    let agreement = read(blobs, &body.agreement)?;
    check_document(core, agreement.document(), at)?;
    record.sign(&author, change.hash());
    record.recorded = step(record.recorded, Act::Accept)?;
    conclude(core, &mut record, &agreement)?;
    keep_act(core, record, change);
    Ok(())
}

/// What follows once every party that this registry speaks for has signed. The others sign in their own
/// registries: [`crate::Federation`] looks at all of them.
fn conclude(
    core: &mut Core,
    record: &mut AgreementRecord,
    agreement: &Agreement,
) -> Result<(), Refusal> {
    let registry = core.registry.as_ref().ok_or(Refusal::WrongRegistry)?;
    if !record.was_agreed(&registry.jurisdiction) {
        return Ok(());
    }
    let agreed = step(record.recorded, Act::AcceptLast)?;
    // No jurisdiction has a filing rule yet, so filing follows at once.
    record.recorded = step(agreed, Act::File)?;
    index(core, agreement);
    supersede(core, &record.terms)
}

pub(super) fn revoke(
    core: &mut Core,
    change: &SignedChange,
    body: &AgreementAct,
    at: Timestamp,
) -> Result<(), Refusal> {
    let mut record = next_act(core, body)?;
    record.recorded = check_denial(&record, change, body, at)?;
    record.revoked_reason = body.reason.as_deref().map(Into::into);
    keep_act(core, record, change);
    Ok(())
}

pub(super) fn suspend(
    core: &mut Core,
    change: &SignedChange,
    body: &AgreementAct,
    at: Timestamp,
) -> Result<(), Refusal> {
    let mut record = next_act(core, body)?;
    record.recorded = check_denial(&record, change, body, at)?;
    record
        .suspended_by
        .insert(known(&core.members, &author(change)?));
    keep_act(core, record, change);
    Ok(())
}

/// Who halted it may lift the halt; it is in force again when nobody halts it any more.
pub(super) fn resume(
    core: &mut Core,
    change: &SignedChange,
    body: &AgreementAct,
    at: Timestamp,
) -> Result<(), Refusal> {
    let mut record = next_act(core, body)?;
    let resumed = step(record.state_at(at), Act::Resume)?;
    if !record.suspended_by.remove(&author(change)?) {
        return Err(not_allowed(change));
    }
    if record.suspended_by.is_empty() {
        record.recorded = resumed;
    }
    keep_act(core, record, change);
    Ok(())
}

/// The state after this author revokes or suspends, if they may: a party, or for a halt a named
/// oversight body. Revoking what not all have signed yet withdraws or rejects it.
pub(crate) fn check_denial(
    record: &AgreementRecord,
    change: &SignedChange,
    body: &AgreementAct,
    at: Timestamp,
) -> Result<lifecycle::State, Refusal> {
    let author = author(change)?;
    let party = record.terms.has_party(&author);
    let overseer = record.terms.overseers.contains(&author);
    let revoking = change.kind() == Kind::AgreementRevoke;
    if !party && (revoking || !overseer) {
        return Err(not_allowed(change));
    }
    if body.sequence <= record.acts {
        let expected = record.acts.saturating_add(1);
        let found = body.sequence;
        return Err(Refusal::ActSequence { expected, found });
    }
    let state = record.state_at(at);
    match (state, revoking) {
        (lifecycle::State::Proposed, true) if record.is_signed_by(&author) => {
            step(state, Act::Withdraw)
        }
        (lifecycle::State::Proposed, true) => step(state, Act::Reject),
        (_, true) => step(state, Act::Revoke),
        // Another body may halt what the first one halted already; the same one may not twice.
        (lifecycle::State::Suspended, false) if !record.suspended_by.contains(&author) => Ok(state),
        (_, false) => step(state, Act::Suspend),
    }
}

/// Everything the document names is there and fits.
fn check_document(core: &Core, document: &Document, at: Timestamp) -> Result<(), Refusal> {
    let unfit = |what: String| Err(Refusal::AgreementTerms { what });
    if document.not_after <= at {
        return unfit("its dates have passed".into());
    }
    let registry = core.registry.as_ref().ok_or(Refusal::WrongRegistry)?;
    for party in &document.parties {
        if party.member.jurisdiction() != registry.jurisdiction {
            recognition::check_party(core, &party.member)?;
            continue;
        }
        match core.members.get(&party.member) {
            None => return Err(Refusal::UnknownMember(party.member.clone())),
            Some(member) if member.standing != Standing::Active => {
                return Err(Refusal::MemberSuspended(party.member.clone()));
            }
            Some(_) => {}
        }
    }
    let policy = core.policy.as_ref().ok_or(Refusal::WrongRegistry)?;
    for purpose in &document.purposes {
        if !policy.purposes.contains(&purpose.code) {
            return unfit(format!("purpose {} is not the registry's", purpose.code));
        }
    }
    if let Some(old) = &document.supersedes {
        let old = core.agreements.get(old);
        let same = |old: &Arc<AgreementRecord>| {
            let mut parties = old.terms.parties.iter();
            parties.all(|party| document.party(party).is_some())
        };
        if !old.is_some_and(same) {
            return unfit("it supersedes an agreement that is not these parties'".into());
        }
    }
    for clause in &document.clauses {
        let ours = |system: &&SystemId| system.jurisdiction() == registry.jurisdiction;
        let theirs = clause.consumers.iter().chain(&clause.providers);
        for system in theirs.filter(|system| !ours(system)) {
            recognition::check_service(core, &system.jurisdiction(), &clause.service)?;
        }
        // What a provider of another jurisdiction offers is in its own registry, which checks it.
        if clause.providers.iter().any(|system| ours(&system)) {
            check_clause(core, clause, &registry.jurisdiction, at)?;
        }
    }
    Ok(())
}

fn check_clause(
    core: &Core,
    clause: &Clause,
    ours: &Jurisdiction,
    at: Timestamp,
) -> Result<(), Refusal> {
    let providers = clause.providers.iter();
    for provider in providers.filter(|system| system.jurisdiction() == *ours) {
        let key = (clause.service.clone(), provider.member());
        let offer = core
            .services
            .get(&key)
            .filter(|offer| offer.is_offered_at(at));
        let offer = offer.ok_or_else(|| Refusal::UnknownService(clause.service.clone()))?;
        if !offer.systems.contains(provider) {
            return Err(Refusal::UnknownSystem(provider.clone()));
        }
        if offer.version(&clause.descriptor_set).is_none() {
            let what = format!("clause {} reads a contract not published", clause.number);
            return Err(Refusal::AgreementTerms { what });
        }
    }
    let key = (clause.descriptor_set, clause.service.clone());
    let outline = core.contracts.get(&key);
    let outline = outline.ok_or_else(|| Refusal::UnknownService(clause.service.clone()))?;
    for (name, terms) in &clause.methods {
        let unfit = |what: &dyn std::fmt::Display| Refusal::AgreementTerms {
            what: format!("clause {}: `{what}` is not in the contract", clause.number),
        };
        let method: MethodName = format!("{}/{name}", clause.service)
            .parse()
            .map_err(|_| unfit(name))?;
        let directions = [
            (Direction::Request, &terms.request),
            (Direction::Response, &terms.release),
        ];
        for (direction, elements) in directions {
            let known = outline
                .elements(&method, direction)
                .map_err(|_| unfit(name))?;
            if let Some(unknown) = first_missing(elements, known) {
                return Err(unfit(unknown));
            }
        }
    }
    Ok(())
}

fn first_missing<'a>(
    elements: &'a BTreeSet<ElementName>,
    known: &[ElementName],
) -> Option<&'a ElementName> {
    elements
        .iter()
        .find(|element| known.binary_search(element).is_err())
}

fn read(blobs: &dyn Blobs, agreement: &Digest) -> Result<Agreement, Refusal> {
    let blob = fetch(blobs, agreement)?;
    Agreement::parse(&blob).map_err(Refusal::AgreementMalformed)
}

/// The record this act continues.
fn next_act(core: &Core, body: &AgreementAct) -> Result<AgreementRecord, Refusal> {
    let record = core.agreements.get(&body.agreement);
    let record = record.ok_or(Refusal::UnknownAgreement(body.agreement))?;
    let expected = record.acts.saturating_add(1);
    if body.sequence != expected || body.previous != Some(record.last_act) {
        let found = body.sequence;
        return Err(Refusal::ActSequence { expected, found });
    }
    Ok(record.as_ref().clone())
}

fn index(core: &mut Core, agreement: &Agreement) {
    for clause in &agreement.document().clauses {
        for consumer in &clause.consumers {
            let consumer = known(&core.systems, consumer);
            for provider in &clause.providers {
                let provider = known(&core.systems, provider);
                let key = (consumer.clone(), provider, agreement.id());
                core.pairs.insert_mut(key, ());
            }
        }
    }
}

/// The old agreement ends at the instant the new one begins.
fn supersede(core: &mut Core, terms: &Terms) -> Result<(), Refusal> {
    let Some(old) = &terms.supersedes else {
        return Ok(());
    };
    let registry = core.registry.as_ref().ok_or(Refusal::WrongRegistry)?;
    let here = |party: &MemberId| party.jurisdiction() == registry.jurisdiction;
    if !terms.parties.iter().all(here) {
        // The new one begins only when it is agreed everywhere, and until then the old one stands.
        core.successors.insert_mut((*old, terms.id), ());
        return Ok(());
    }
    let record = core
        .agreements
        .get(old)
        .ok_or(Refusal::UnknownAgreement(*old))?;
    let mut record = record.as_ref().clone();
    record.superseded = Some((terms.id, terms.not_before));
    keep(core, record);
    Ok(())
}

fn keep_act(core: &mut Core, mut record: AgreementRecord, change: &SignedChange) {
    record.acts = record.acts.saturating_add(1);
    record.last_act = change.hash();
    keep(core, record);
}

fn keep(core: &mut Core, record: AgreementRecord) {
    core.put_agreement(record);
}

fn step(state: lifecycle::State, act: Act) -> Result<lifecycle::State, Refusal> {
    lifecycle::next(state, act).map_err(|none| Refusal::ActTransition(Some(none)))
}

fn author(change: &SignedChange) -> Result<MemberId, Refusal> {
    match &change.header().author {
        Author::Member(member) => Ok(member.clone()),
        Author::Registrar | Author::Server(_) => Err(not_allowed(change)),
    }
}
