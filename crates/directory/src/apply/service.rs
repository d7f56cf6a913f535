//! Services and their contracts.

use std::collections::BTreeSet;
use std::sync::Arc;

use entente_clock::Timestamp;
use entente_contract::{Contract, Outline, compare};
use entente_identity::{MemberId, ServiceName};
use entente_signing::Digest;

use super::budget::check_services;
use super::{fetch, not_allowed};
use crate::blobs::Blobs;
use crate::change::{Author, ServicePublish, ServiceRetire, SignedChange, Sunset};
use crate::record::{ServiceRecord, ServiceVersion};
use crate::refusal::Refusal;
use crate::set::Set;
use crate::state::{Core, known};

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
    let outline = outline(core, body, blobs)?;
    let service = known(&core.offers, &body.service);
    let member = known(&core.members, &member);
    let key = (service.clone(), member.clone());
    let mut record = match core.services.get(&key) {
        Some(record) => record.as_ref().clone(),
        None => ServiceRecord {
            service: service.clone(),
            member: member.clone(),
            systems: Set::new(),
            versions: Vec::new(),
            sunset: None,
        },
    };
    check_services(core, change, &record, at)?;
    let newest = record.newest();
    if body.version != newest.map_or(1, |newest| newest.version.saturating_add(1)) {
        return Err(Refusal::NameTaken(format!(
            "{} {}",
            body.service, body.version
        )));
    }
    // Agreements name a version; the next one must serve those who agreed to this one.
    if let Some(newest) = newest {
        let old = parse(blobs, &newest.descriptor_set, &body.service)?;
        let new = parse(blobs, &body.descriptor_set, &body.service)?;
        if let Some(breaking) = compare(&old, &new).into_iter().next() {
            return Err(Refusal::ContractBreaking(breaking));
        }
    }
    // What has ended is offered again; what is announced to end still will.
    if !record.is_offered_at(at) {
        core.hold(member.clone(), |holdings| holdings.services += 1);
        record.sunset = None;
    }
    let systems = body.systems.iter();
    record.systems = systems.map(|s| known(&core.systems, s)).collect();
    record.versions.push(ServiceVersion {
        version: body.version,
        descriptor_set: body.descriptor_set,
        outline: outline.clone(),
        published: at,
    });
    let offers = core.offers.get(&body.service);
    let mut offers = offers.map_or_else(BTreeSet::new, |offers| offers.as_ref().clone());
    offers.insert(member);
    core.offers.insert_mut(service.clone(), Arc::new(offers));
    core.contracts
        .insert_mut((body.descriptor_set, service), outline);
    core.put_service(record);
    Ok(())
}

pub(super) fn retire(
    core: &mut Core,
    change: &SignedChange,
    body: &ServiceRetire,
    at: Timestamp,
) -> Result<(), Refusal> {
    let record = offer(core, change, body).filter(|record| record.is_offered_at(at));
    let record = record.ok_or_else(|| Refusal::UnknownService(body.service.clone()))?;
    let mut record = record.as_ref().clone();
    let of = |sunset| (sunset, record.service.clone(), record.member.clone());
    if let Some(announced) = record.sunset {
        core.sunsets.remove_mut(&of(announced));
    }
    record.sunset = match body.sunset {
        Sunset::Now => Some(at),
        Sunset::At(sunset) => Some(sunset.max(at)),
        Sunset::Never => None,
    };
    if let Some(sunset) = record.sunset {
        core.sunsets.insert_mut(of(sunset), ());
    }
    core.put_service(record);
    settle(core, at);
    Ok(())
}

/// Services whose last moment has come by `at` do not count among those their members offer any more.
pub(super) fn settle(core: &mut Core, at: Timestamp) {
    while let Some((due, ())) = core
        .sunsets
        .first()
        .filter(|((sunset, ..), ())| *sunset <= at)
    {
        let due = due.clone();
        core.sunsets.remove_mut(&due);
        core.hold(due.2, |holdings| {
            holdings.services = holdings.services.saturating_sub(1);
        });
    }
}

/// Whether it brings a service's end nearer, as the state stands, and does not put it off.
pub(super) fn brings_nearer(core: &Core, change: &SignedChange, body: &ServiceRetire) -> bool {
    let announced = offer(core, change, body).and_then(|record| record.sunset);
    match body.sunset {
        Sunset::Now => true,
        Sunset::At(sunset) => announced.is_none_or(|announced| sunset <= announced),
        Sunset::Never => false,
    }
}

fn offer<'a>(
    core: &'a Core,
    change: &SignedChange,
    body: &ServiceRetire,
) -> Option<&'a Arc<ServiceRecord>> {
    let member = author(change).ok()?;
    core.services.get(&(body.service.clone(), member))
}

/// The outline of the contract, made once for all who offer it.
fn outline(core: &Core, body: &ServicePublish, blobs: &dyn Blobs) -> Result<Arc<Outline>, Refusal> {
    let key = (body.descriptor_set, body.service.clone());
    if let Some(known) = core.contracts.get(&key) {
        // Only a change whose blob is held is accepted, so that whoever follows can ask for it.
        fetch(blobs, &body.descriptor_set)?;
        return Ok(known.clone());
    }
    let contract = parse(blobs, &body.descriptor_set, &body.service)?;
    Ok(Arc::new(Outline::from(&contract)))
}

fn parse(blobs: &dyn Blobs, set: &Digest, service: &ServiceName) -> Result<Contract, Refusal> {
    Contract::parse(&fetch(blobs, set)?, service).map_err(Refusal::ContractInvalid)
}

fn author(change: &SignedChange) -> Result<MemberId, Refusal> {
    match &change.header().author {
        Author::Member(member) => Ok(member.clone()),
        Author::Registrar | Author::Server(_) => Err(not_allowed(change)),
    }
}
