//! Two registries that recognise each other, and an agreement between a member of each.

use entente_agreement::lifecycle::State as Lifecycle;
use entente_agreement::{Agreement, Document};
use entente_directory::{
    Change, Federation, ForeignAnchor, Policy, Recognise, RecognitionAct, RecognitionLimits,
    Refusal,
};
use entente_identity::{MemberId, SystemId};
use entente_signing::{Digest, Ed25519Key, Signer as _};

use crate::world::{Step, World, document};

/// Vital events of `ca-demo`, pensions of `ca-demo-qc`, and one agreement between them.
pub(crate) struct Two {
    pub(crate) on: World,
    pub(crate) qc: World,
}

impl Two {
    /// Each registry recognises the other, within these limits; the agreement is not filed yet.
    pub(crate) fn recognising(limits: RecognitionLimits) -> Self {
        let (mut on, mut qc) = (settle("ca-demo"), settle("ca-demo-qc"));
        let of = |world: &World| world.state.registry().unwrap().genesis;
        let (on_genesis, qc_genesis) = (of(&on), of(&qc));
        on.by_registrar(recognise("ca-demo-qc", qc_genesis, limits))
            .unwrap();
        qc.by_registrar(recognise(
            "ca-demo",
            on_genesis,
            RecognitionLimits::default(),
        ))
        .unwrap();
        let mut two = Self { on, qc };
        two.agree_on(|_| {});
        two
    }

    /// Filed in both.
    pub(crate) fn agreed() -> Self {
        let mut two = Self::recognising(RecognitionLimits::default());
        two.file_with_vital().unwrap();
        two.file_with_pensions().unwrap();
        two
    }

    /// Puts another document in the place of the agreement. Not filed.
    pub(crate) fn agree_on(&mut self, change: impl FnOnce(&mut Document)) -> Digest {
        let mut document = document(self.on.descriptor_set);
        abroad(&mut document);
        change(&mut document);
        let agreement = Agreement::of(&document).unwrap();
        let bytes = agreement.document().canonical().into_bytes();
        for world in [&mut self.on, &mut self.qc] {
            world.agreement = world.blobs.insert(bytes.clone());
        }
        self.on.agreement
    }

    pub(crate) fn file_with_vital(&mut self) -> Result<(), Refusal> {
        let propose = Change::AgreementPropose(self.on.act(1, None));
        let step = Step::by_officer(&self.on.vital, propose);
        self.on.push(step)
    }

    pub(crate) fn file_with_pensions(&mut self) -> Result<(), Refusal> {
        let propose = Change::AgreementPropose(self.qc.act(1, None));
        let step = Step::by_officer(&self.qc.pensions, propose);
        self.qc.push(step)
    }

    /// As a server of `ca-demo` sees it.
    pub(crate) fn seen_by_on(&self) -> Federation {
        Federation::new(self.on.state.clone(), vec![self.qc.state.clone()])
    }

    /// As a server of `ca-demo-qc` sees it.
    pub(crate) fn seen_by_qc(&self) -> Federation {
        Federation::new(self.qc.state.clone(), vec![self.on.state.clone()])
    }

    /// What both sides make of the agreement now.
    pub(crate) fn states(&self) -> [Lifecycle; 2] {
        let now = self.on.at.max(self.qc.at);
        [self.seen_by_on(), self.seen_by_qc()].map(|federation| {
            let record = federation.agreement(&self.on.agreement);
            record.map_or(Lifecycle::Draft, |record| {
                federation.agreement_state(record, now)
            })
        })
    }
}

/// Members, servers, the service; no agreement.
pub(crate) fn settle(jurisdiction: &str) -> World {
    let mut world = World::before_in(jurisdiction);
    let steps = world.story();
    let until = steps.len() - 2;
    for step in steps.into_iter().take(until) {
        world.push(step).unwrap();
    }
    world
}

/// Moves the recipient to the other jurisdiction.
fn abroad(document: &mut Document) {
    let pensions: MemberId = "ca-demo-qc/pensions".parse().unwrap();
    let benefits: SystemId = "ca-demo-qc/pensions/benefits".parse().unwrap();
    for party in &mut document.parties {
        if party.member.label() == "pensions" {
            party.member = pensions.clone();
        }
    }
    for authority in &mut document.authorities {
        authority.to = pensions.clone();
    }
    for clause in &mut document.clauses {
        clause.consumers = [benefits.clone()].into();
    }
}

/// Recognises this jurisdiction's registry, whose first change has this hash.
pub(crate) fn recognise(jurisdiction: &str, genesis: Digest, limits: RecognitionLimits) -> Change {
    let ledger = Ed25519Key::from_seed(&[3; 32]).unwrap();
    Change::Recognise(Recognise {
        jurisdiction: jurisdiction.parse().unwrap(),
        anchor: ForeignAnchor {
            addresses: vec!["registry.example:7100".parse().unwrap()],
            tls_keys: [Digest::of(b"tls")].into(),
            ledger: ledger.verifying_key().clone(),
            genesis,
            validity_hours: 12,
            witnesses: Policy::usual().witnesses,
            witness_quorum: 0,
        },
        limits,
    })
}

pub(crate) fn act(jurisdiction: &str) -> RecognitionAct {
    RecognitionAct {
        jurisdiction: jurisdiction.parse().unwrap(),
        reason: Some("BREACH".into()),
    }
}
