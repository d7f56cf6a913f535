//! Services and their contracts.

use std::collections::BTreeSet;
use std::sync::Arc;

use entente_clock::Timestamp;
use entente_contract::{Contract, compare};
use entente_identity::MemberId;

use super::budget::check_services;
use super::{fetch, not_allowed};
use crate::blobs::Blobs;
use crate::change::{Author, ServicePublish, ServiceRetire, SignedChange};
use crate::record::{ServiceRecord, ServiceVersion};
use crate::refusal::Refusal;
use crate::state::Core;

pub(super) fn publish(
    core: &mut Core,
    change: &SignedChange,
    body: &ServicePublish,
    at: Timestamp,
    blobs: &dyn Blobs,
) -> Result<(), Refusal> {
    let member = author(change)?;
    if let Some(system) = body.systems.iter().find(|s| s.member() != member) {
        return Err(Refusal::NameNotOurs(system.to_string()));
    }
    let contract = contract(core, body, blobs)?;
    let key = (body.service.clone(), member.clone());
    let mut record = match core.services.get(&key) {
        Some(record) => record.as_ref().clone(),
        None => ServiceRecord {
            service: body.service.clone(),
            member: member.clone(),
            systems: BTreeSet::new(),
            versions: Vec::new(),
            retired: None,
        },
    };
    check_services(core, change, &record)?;
    let newest = record.newest();
    if body.version != newest.map_or(1, |newest| newest.version.saturating_add(1)) {
        return Err(Refusal::NameTaken(format!(
            "{} {}",
            body.service, body.version
        )));
    }
    // Agreements name a version; the next one must serve those who agreed to this one.
    let breaking = newest.and_then(|newest| {
        let faults = compare(&newest.contract, &contract);
        faults.into_iter().next()
    });
    if let Some(breaking) = breaking {
        return Err(Refusal::ContractBreaking(breaking));
    }
    if !record.is_offered() {
        core.hold(member.clone(), |holdings| holdings.services += 1);
    }
    record.systems.clone_from(&body.systems);
    record.retired = None;
    record.versions.push(ServiceVersion {
        version: body.version,
        descriptor_set: body.descriptor_set,
        contract: contract.clone(),
        published: at,
    });
    let offers = core.offers.get(&body.service);
    let mut offers = offers.map_or_else(BTreeSet::new, |offers| offers.as_ref().clone());
    offers.insert(member);
    core.offers
        .insert_mut(body.service.clone(), Arc::new(offers));
    let contract_key = (body.descriptor_set, body.service.clone());
    core.contracts.insert_mut(contract_key, contract);
    core.put_service(record);
    Ok(())
}

pub(super) fn retire(
    core: &mut Core,
    change: &SignedChange,
    body: &ServiceRetire,
    at: Timestamp,
) -> Result<(), Refusal> {
    let key = (body.service.clone(), author(change)?);
    let record = core
        .services
        .get(&key)
        .filter(|record| record.retired.is_none());
    let record = record.ok_or_else(|| Refusal::UnknownService(body.service.clone()))?;
    let mut record = record.as_ref().clone();
    record.retired = Some(at);
    core.hold(key.1.clone(), |holdings| {
        holdings.services = holdings.services.saturating_sub(1);
    });
    core.put_service(record);
    Ok(())
}

/// The contract, read once for all who offer it.
fn contract(core: &Core, body: &ServicePublish, blobs: &dyn Blobs) -> Result<Contract, Refusal> {
    let blob = fetch(blobs, &body.descriptor_set)?;
    let key = (body.descriptor_set, body.service.clone());
    if let Some(known) = core.contracts.get(&key) {
        return Ok(known.clone());
    }
    Contract::parse(&blob, &body.service).map_err(Refusal::ContractInvalid)
}

fn author(change: &SignedChange) -> Result<MemberId, Refusal> {
    match &change.header().author {
        Author::Member(member) => Ok(member.clone()),
        Author::Registrar | Author::Server(_) => Err(not_allowed(change)),
    }
}
