//! A call that passes, to be changed one thing at a time.

use std::collections::BTreeSet;
use std::time::Duration;

use entente_agreement::{Agreement, Document};
use entente_clock::Timestamp;
use entente_directory::{AgreementAct, Change, Federation, Mode, State};
use entente_identity::{ElementName, MethodName, PurposeCode, SystemId};
use entente_policy::{Call, Freshness, Named, Permit, Refusal, View, decide};
use entente_signing::Digest;

use crate::world::{World, document};

/// An owned [`Call`], and the view it is decided under.
#[derive(Clone, Debug)]
pub(crate) struct Asking {
    pub(crate) consumer: SystemId,
    pub(crate) provider: SystemId,
    pub(crate) method: MethodName,
    pub(crate) purpose: Option<PurposeCode>,
    pub(crate) named: Option<Named>,
    pub(crate) asked: Option<BTreeSet<ElementName>>,
    pub(crate) user_present: bool,
    pub(crate) case_present: bool,
    pub(crate) assurance: u8,
    pub(crate) mode: Mode,
    pub(crate) fresh_at: Timestamp,
    pub(crate) now: Timestamp,
}

impl Asking {
    /// Pensions asks about one death: permitted by clause 1 of the sample.
    pub(crate) fn of(world: &World) -> Self {
        Self {
            consumer: "ca-demo/pensions/benefits".parse().unwrap(),
            provider: "ca-demo/vital-events/register".parse().unwrap(),
            method: "entente.demo.vitalevents.v1.VitalEvents/LookupDeath"
                .parse()
                .unwrap(),
            purpose: Some("PROGRAM_ADMINISTRATION".parse().unwrap()),
            named: None,
            asked: None,
            user_present: true,
            case_present: true,
            assurance: 4,
            mode: Mode::Live,
            fresh_at: world.at,
            now: world.at,
        }
    }

    pub(crate) fn decide(&self, state: &State) -> Result<Permit, Refusal> {
        let federation = Federation::alone(state.clone());
        self.decide_in(&federation, &self.fresh_at)
    }

    pub(crate) fn decide_in(
        &self,
        federation: &Federation,
        freshness: &dyn Freshness,
    ) -> Result<Permit, Refusal> {
        let call = Call {
            consumer: &self.consumer,
            provider: &self.provider,
            method: &self.method,
            purpose: self.purpose.as_ref(),
            named: self.named.as_ref(),
            asked: self.asked.as_ref(),
            user_present: self.user_present,
            case_present: self.case_present,
            assurance: self.assurance,
            mode: self.mode,
        };
        let view = View {
            federation,
            freshness,
        };
        decide(&view, &call, self.now)
    }
}

/// The demo with the sample agreement changed before it was signed.
pub(crate) fn world(change: impl FnOnce(&mut Document)) -> World {
    let mut world = World::before();
    let mut document = document(world.descriptor_set);
    change(&mut document);
    world.agreement = keep(&mut world, &document);
    for step in world.story() {
        world.push(step).unwrap();
    }
    world
}

/// A further agreement between the same two, signed by both.
pub(crate) fn agree(world: &mut World, change: impl FnOnce(&mut Document)) -> Digest {
    let mut document = document(world.descriptor_set);
    document.id = "DEMO-009".parse().unwrap();
    change(&mut document);
    let agreement = keep(world, &document);
    let act = |sequence, previous| AgreementAct {
        agreement,
        sequence,
        previous,
        reason: None,
    };
    let propose = Change::AgreementPropose(act(1, None));
    let signed = world.sign(world.vital.author(), &world.vital.officer, &propose);
    world.apply(signed).unwrap();
    let last = world.state.agreement(&agreement).unwrap().last_act;
    let accept = Change::AgreementAccept(act(2, Some(last)));
    let signed = world.sign(world.pensions.author(), &world.pensions.officer, &accept);
    world.apply(signed).unwrap();
    agreement
}

fn keep(world: &mut World, document: &Document) -> Digest {
    let agreement = Agreement::of(document).unwrap();
    world
        .blobs
        .insert(agreement.document().canonical().into_bytes())
}

pub(crate) fn hours(n: u64) -> Duration {
    Duration::from_secs(n * 3600)
}
