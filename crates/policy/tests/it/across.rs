//! Calls between two jurisdictions: what each registry has to say before one passes.

use std::collections::BTreeMap;

use entente_clock::Timestamp;
use entente_directory::{Change, MemberAct, RecognitionLimits};
use entente_identity::Jurisdiction;
use entente_policy::Freshness;
use entente_reason::Reason;

use crate::asking::{Asking, hours};
use crate::two::{Two, act};
use crate::world::Step;

/// When each registry was last heard; the others never.
#[derive(Debug)]
struct Heard(BTreeMap<&'static str, Timestamp>);

impl Freshness for Heard {
    fn fresh_at(&self, jurisdiction: &Jurisdiction) -> Timestamp {
        let at = self.0.get(jurisdiction.as_str());
        at.copied().unwrap_or_default()
    }
}

/// Pensions of the one jurisdiction asks vital events of the other.
fn asking(two: &Two) -> Asking {
    let mut asking = Asking::of(&two.on);
    asking.consumer = "ca-demo-qc/pensions/benefits".parse().unwrap();
    asking.now = two.on.at.max(two.qc.at);
    asking.fresh_at = asking.now;
    asking
}

/// What the consumer's server and the provider's make of it.
fn decide(two: &Two) -> [Result<(), Reason>; 2] {
    let asking = asking(two);
    [two.seen_by_qc(), two.seen_by_on()].map(|federation| {
        let decided = asking.decide_in(&federation, &asking.fresh_at);
        decided.map(|_| ()).map_err(|refusal| refusal.reason)
    })
}

#[test]
fn a_call_across_passes_at_both_servers_once_both_registries_hold_the_agreement() {
    let mut two = Two::recognising(RecognitionLimits::default());
    assert_eq!(decide(&two), [Err(Reason::NoAgreement); 2]);
    two.file_with_vital().unwrap();
    assert_eq!(decide(&two), [Err(Reason::NoAgreement); 2]);
    two.file_with_pensions().unwrap();
    assert_eq!(decide(&two), [Ok(()); 2]);
}

#[test]
fn suspending_a_recognition_stops_calls_across_and_no_others() {
    let mut two = Two::agreed();
    let suspend = Change::RecognitionSuspend(act("ca-demo-qc"));
    two.on.by_registrar(suspend).unwrap();
    let [consumer, provider] = decide(&two);
    // The other side learns it from the refusal, or from its own registrar.
    assert_eq!(consumer, Ok(()));
    assert_eq!(provider, Err(Reason::JurisdictionNotRecognised));
    let resume = Change::RecognitionResume(act("ca-demo-qc"));
    two.on.by_registrar(resume).unwrap();
    assert_eq!(decide(&two), [Ok(()); 2]);
}

#[test]
fn what_one_registry_takes_away_the_other_s_servers_refuse() {
    type Take = fn(&mut Two);
    let taken: [(Take, Reason); 3] = [
        (
            |two| {
                let body = MemberAct {
                    member: two.qc.pensions.id.clone(),
                    reason: None,
                };
                two.qc.by_registrar(Change::MemberSuspend(body)).unwrap();
            },
            Reason::MemberSuspended,
        ),
        (
            |two| {
                let halt = Change::AgreementSuspend(two.qc.next_act());
                let step = Step::by_officer(&two.qc.pensions, halt);
                two.qc.push(step).unwrap();
            },
            Reason::AgreementSuspended,
        ),
        (
            |two| {
                let end = Change::AgreementRevoke(two.on.next_act());
                let step = Step::by_officer(&two.on.vital, end);
                two.on.push(step).unwrap();
            },
            Reason::AgreementRevoked,
        ),
    ];
    for (take, reason) in taken {
        let mut two = Two::agreed();
        take(&mut two);
        assert_eq!(decide(&two), [Err(reason); 2]);
    }
}

#[test]
fn a_class_or_a_service_outside_the_recognition_is_refused() {
    let classes = RecognitionLimits {
        classes: ["municipality".parse().unwrap()].into(),
        ..RecognitionLimits::default()
    };
    let mut two = Two::recognising(classes);
    two.file_with_vital().unwrap();
    two.file_with_pensions().unwrap();
    assert_eq!(
        decide(&two),
        [Ok(()), Err(Reason::JurisdictionNotRecognised)]
    );
    let services = RecognitionLimits {
        services: ["entente.demo.other.v1.Other".parse().unwrap()].into(),
        ..RecognitionLimits::default()
    };
    let two = Two::recognising(services);
    let [_, provider] = decide(&two);
    assert_eq!(provider, Err(Reason::JurisdictionNotRecognised));
}

#[test]
fn a_call_across_is_refused_when_either_registry_was_not_heard_for_too_long() {
    let two = Two::agreed();
    let asking = asking(&two);
    let hours_ago = |hours_ago: u64| asking.now.saturating_sub(hours(hours_ago));
    let provider = two.seen_by_on();
    let decide = |home: u64, abroad: u64| {
        let heard = [
            ("ca-demo", hours_ago(home)),
            ("ca-demo-qc", hours_ago(abroad)),
        ];
        let decided = asking.decide_in(&provider, &Heard(heard.into()));
        decided.map(|_| ()).map_err(|refusal| refusal.reason)
    };
    assert_eq!(decide(1, 1), Ok(()));
    assert_eq!(decide(24, 1), Ok(()));
    assert_eq!(decide(25, 1), Err(Reason::RegistryStale));
    // The recognition lets the other registry's word count for half as long as its own policy would.
    assert_eq!(decide(1, 12), Ok(()));
    assert_eq!(decide(1, 13), Err(Reason::RegistryStale));
    // A call at home does not depend on the neighbour.
    let mut home = Asking::of(&two.on);
    home.now = asking.now;
    let heard = Heard([("ca-demo", asking.now)].into());
    let refusal = home.decide_in(&provider, &heard).unwrap_err();
    assert_eq!(refusal.reason, Reason::NoAgreement);
}
