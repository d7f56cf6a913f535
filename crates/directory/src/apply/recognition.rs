//! Other jurisdictions: whose registry counts here, and within which limits.

use entente_clock::Timestamp;
use entente_identity::{Jurisdiction, MemberId, ServiceName};
use entente_signing::Algorithm;

use super::expect_kind;
use crate::change::{Recognise, RecognitionAct};
use crate::record::{RecognitionRecord, Standing};
use crate::refusal::Refusal;
use crate::state::Core;

pub(super) fn recognise(core: &mut Core, body: &Recognise, at: Timestamp) -> Result<(), Refusal> {
    let ours = core.registry.as_ref().ok_or(Refusal::WrongRegistry)?;
    if ours.jurisdiction == body.jurisdiction {
        return Err(Refusal::NameTaken(body.jurisdiction.to_string()));
    }
    // A limit that names others could only be a mistake.
    let stranger = |member: &&MemberId| member.jurisdiction() != body.jurisdiction;
    if let Some(stranger) = body.limits.members.iter().find(stranger) {
        return Err(Refusal::NameNotOurs(stranger.to_string()));
    }
    expect_kind(&body.anchor.ledger, Algorithm::Ed25519)?;
    let is_known = core.recognitions.contains_key(&body.jurisdiction);
    if !is_known && core.recognitions.size() >= MAX_RECOGNITIONS {
        return Err(Refusal::Limit("recognitions"));
    }
    core.put_recognition(RecognitionRecord {
        jurisdiction: body.jurisdiction.clone(),
        anchor: body.anchor.clone(),
        limits: body.limits.clone(),
        standing: Standing::Active,
        given: at,
    });
    Ok(())
}

/// What has ended is recognised anew or not at all.
pub(super) fn stand(
    core: &mut Core,
    body: &RecognitionAct,
    standing: Standing,
) -> Result<(), Refusal> {
    let mut record = recognition(core, &body.jurisdiction)?.clone();
    if record.standing == Standing::Ended {
        return Err(not_recognised(&body.jurisdiction, &"anything any more"));
    }
    record.standing = standing;
    core.put_recognition(record);
    Ok(())
}

pub(crate) fn recognition<'a>(
    core: &'a Core,
    jurisdiction: &Jurisdiction,
) -> Result<&'a RecognitionRecord, Refusal> {
    let record = core.recognitions.get(jurisdiction).map(AsRef::as_ref);
    record.ok_or_else(|| not_recognised(jurisdiction, &"anything"))
}

/// Whether an agreement filed here may name this party of another jurisdiction. Its class and its standing
/// are its own registry's to say, and are asked at each call.
pub(super) fn check_party(core: &Core, member: &MemberId) -> Result<(), Refusal> {
    let jurisdiction = member.jurisdiction();
    let record = in_force(core, &jurisdiction)?;
    if record.limits.name(member) {
        Ok(())
    } else {
        Err(not_recognised(&jurisdiction, member))
    }
}

/// Whether a service may be used across, with somebody of this jurisdiction.
pub(super) fn check_service(
    core: &Core,
    jurisdiction: &Jurisdiction,
    service: &ServiceName,
) -> Result<(), Refusal> {
    let record = in_force(core, jurisdiction)?;
    if record.limits.serve(service) {
        Ok(())
    } else {
        Err(not_recognised(jurisdiction, service))
    }
}

fn in_force<'a>(
    core: &'a Core,
    jurisdiction: &Jurisdiction,
) -> Result<&'a RecognitionRecord, Refusal> {
    let record = recognition(core, jurisdiction)?;
    if record.standing == Standing::Active {
        Ok(record)
    } else {
        Err(not_recognised(jurisdiction, &"the time being"))
    }
}

fn not_recognised(jurisdiction: &Jurisdiction, what: &dyn std::fmt::Display) -> Refusal {
    Refusal::NotRecognised {
        jurisdiction: jurisdiction.clone(),
        what: what.to_string(),
    }
}

/// How many other jurisdictions a registry recognises; each is a registry that every server follows.
const MAX_RECOGNITIONS: usize = 256;
