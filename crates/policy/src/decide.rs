//! The rules, in the order in which they are asked.
//!
//! Each refuses with its own reason. What depends on no agreement comes first, so that a caller who
//! mistyped a name is not told that there is no agreement.

use std::time::Duration;

use entente_agreement::MethodTerms;
use entente_agreement::lifecycle::State as Lifecycle;
use entente_clock::Timestamp;
use entente_directory::{Absent, Federation, Mode, Standing};
use entente_identity::{MemberId, PurposeCode, SystemId};
use entente_reason::Reason;

use crate::call::{Call, Permit, View};
use crate::candidates::{self, Candidate};
use crate::refusal::Refusal;

/// Decides one call at `now`.
///
/// # Errors
/// The first rule that refuses it.
pub fn decide(view: &View<'_>, call: &Call<'_>, now: Timestamp) -> Result<Permit, Refusal> {
    let federation = view.federation;
    check_freshness(view, call, now)?;
    check_names(federation, call, now)?;
    let found = candidates::find(federation, call, now);
    let candidate = choose(call, &found)?;
    let terms = check_clause(view, call, &candidate, now)?;
    Ok(permit(federation, call, &candidate, terms))
}

/// The registries this call rests on were heard of within their validity.
fn check_freshness(view: &View<'_>, call: &Call<'_>, now: Timestamp) -> Result<(), Refusal> {
    let mut rests_on = view.federation.rests_on(call.consumer, call.provider);
    let is_stale = |(registry, validity)| now.since(view.freshness.fresh_at(registry)) > validity;
    // Before the own registry's first change there is nothing to rest on.
    if view.federation.policy().is_none() || rests_on.any(is_stale) {
        return Err(Refusal::new(Reason::RegistryStale, "registry.fresh"));
    }
    Ok(())
}

/// Both systems, the service and the method are there, and both members are in good standing.
fn check_names(federation: &Federation, call: &Call<'_>, now: Timestamp) -> Result<(), Refusal> {
    let provider = call.provider.member();
    check_member(federation, &call.consumer.member())?;
    check_member(federation, &provider)?;
    check_system(federation, call.consumer)?;
    check_system(federation, call.provider)?;
    let service = call.method.service();
    if !federation.may_cross(call.consumer, call.provider, &service) {
        let reason = Reason::JurisdictionNotRecognised;
        return Err(Refusal::new(reason, "recognition.service"));
    }
    let unknown_service = || Refusal::new(Reason::UnknownService, "service.offered");
    if !federation.offered(&service, &provider, now) {
        return Err(unknown_service());
    }
    let offer = federation
        .service(&service, &provider)
        .ok_or_else(unknown_service)?;
    if !offer.systems.contains(call.provider) {
        return Err(Refusal::new(Reason::UnknownSystem, "service.system"));
    }
    let newest = offer.newest().ok_or_else(unknown_service)?;
    if !newest.outline.declares(call.method) {
        let methods = newest.outline.methods();
        return Err(Refusal::new(Reason::UnknownMethod, "method.exists").allowing(methods));
    }
    Ok(())
}

fn check_member(federation: &Federation, member: &MemberId) -> Result<(), Refusal> {
    let (reason, rule) = match federation.standing(member) {
        Ok(Standing::Active) => return Ok(()),
        Ok(Standing::Suspended | Standing::Ended) => (Reason::MemberSuspended, "member.standing"),
        Err(Absent::Jurisdiction) => (Reason::JurisdictionNotRecognised, "recognition.member"),
        Err(Absent::Member) => (Reason::UnknownMember, "member.exists"),
    };
    Err(Refusal::new(reason, rule))
}

/// A system is known when a server may sign for it.
fn check_system(federation: &Federation, system: &SystemId) -> Result<(), Refusal> {
    match federation.servers_for(system).next() {
        Some(_) => Ok(()),
        None => Err(Refusal::new(Reason::UnknownSystem, "system.exists")),
    }
}

/// The one clause that the call relies on.
fn choose<'a>(call: &Call<'_>, found: &[Candidate<'a>]) -> Result<Candidate<'a>, Refusal> {
    let in_force: Vec<_> = found
        .iter()
        .filter(|c| c.state == Lifecycle::Active)
        .collect();
    if in_force.is_empty() {
        return Err(candidates::none_in_force(found));
    }
    let allowed = || in_force.iter().flat_map(|c| &c.clause.purposes);
    let Some(purpose) = call.purpose else {
        let missing = Refusal::new(Reason::PurposeMissing, "purpose.required");
        return Err(missing.allowing(allowed()));
    };
    let serves = |candidate: &&&Candidate<'a>| candidate.clause.purposes.contains(purpose);
    let mut matching = in_force.iter().filter(serves);
    let found = match (matching.next(), matching.next()) {
        (Some(one), None) => **one,
        (Some(_), Some(_)) => {
            let labels = in_force.iter().filter(serves).map(|c| c.label());
            let ambiguous = Refusal::new(Reason::AgreementAmbiguous, "agreement.one");
            return Err(ambiguous.allowing(labels));
        }
        (None, _) => {
            let refusal = Refusal::new(Reason::PurposeNotAgreed, "purpose.agreed");
            let refusal = refusal.allowing(allowed());
            return Err(match in_force.as_slice() {
                [one] => refusal.under(one.id(), one.clause.number),
                _ => refusal,
            });
        }
    };
    // A trial is no ground for asking about a real person.
    if call.mode == Mode::Live && is_test(purpose) {
        let refusal = Refusal::new(Reason::PurposeNotAgreed, "purpose.live");
        let allowed = found.clause.purposes.iter().filter(|code| !is_test(code));
        return Err(refusal
            .under(found.id(), found.clause.number)
            .allowing(allowed));
    }
    Ok(found)
}

/// Everything the clause asks for. Returns the terms of the method.
fn check_clause<'a>(
    view: &View<'_>,
    call: &Call<'_>,
    candidate: &Candidate<'a>,
    now: Timestamp,
) -> Result<&'a MethodTerms, Refusal> {
    let clause = candidate.clause;
    let refuse = |reason, rule| Refusal::new(reason, rule).under(candidate.id(), clause.number);
    let document = candidate.agreement.document();
    let staleness = Duration::from_secs(u64::from(document.maximum_staleness_hours) * 3600);
    let mut rests_on = view.federation.rests_on(call.consumer, call.provider);
    let is_older = |(registry, _)| now.since(view.freshness.fresh_at(registry)) > staleness;
    if rests_on.any(is_older) {
        return Err(refuse(Reason::RegistryStale, "agreement.staleness"));
    }
    if clause.user_required && !call.user_present {
        return Err(refuse(Reason::UserRequired, "user.required"));
    }
    if clause.case_required && !call.case_present {
        return Err(refuse(Reason::CaseRequired, "case.required"));
    }
    if call.assurance < clause.assurance {
        let refusal = refuse(Reason::AssuranceTooLow, "assurance.level");
        return Err(refusal.allowing([clause.assurance]));
    }
    if clause
        .hours
        .as_ref()
        .is_some_and(|hours| !hours.open_at(now))
    {
        return Err(refuse(Reason::OutsideHours, "hours.open"));
    }
    let terms = clause.methods.get(call.method.method());
    let terms = terms.ok_or_else(|| refuse(Reason::NoAgreement, "method.agreed"))?;
    if call
        .asked
        .is_some_and(|asked| !asked.is_subset(&terms.release))
    {
        let refusal = refuse(Reason::ElementNotAgreed, "elements.released");
        return Err(refusal.allowing(&terms.release));
    }
    Ok(terms)
}

fn permit(
    federation: &Federation,
    call: &Call<'_>,
    candidate: &Candidate<'_>,
    terms: &MethodTerms,
) -> Permit {
    let sunset = federation.sunset(&call.method.service(), &call.provider.member());
    let document = candidate.agreement.document();
    let clause = candidate.clause;
    let released = call.asked.unwrap_or(&terms.release);
    Permit {
        agreement: candidate.id(),
        name: document.id.clone(),
        clause: clause.number,
        clause_mode: clause.mode,
        descriptor_set: clause.descriptor_set,
        request: terms.request.clone(),
        released: released.clone(),
        narrowed: released != &terms.release,
        retention_class: clause.retention.class.clone(),
        retention_days: clause.retention.days,
        keep_payload_days: clause.retention.keep_payload_days,
        notice_class: document.log.notice_class,
        actor_disclosure: document.log.actor_disclosure,
        volume: clause.volume.clone(),
        not_after: sunset.map_or(document.not_after, |at| at.min(document.not_after)),
    }
}

fn is_test(purpose: &PurposeCode) -> bool {
    purpose.as_str() == "TEST"
}
