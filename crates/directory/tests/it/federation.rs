//! Two registries that recognise each other: what counts across, and what each says of an agreement.

use std::time::Duration;

use entente_agreement::lifecycle::State as Lifecycle;
use entente_directory::{
    Absent, Change, Federation, MemberAct, RecognitionLimits, Standing, State,
};
use entente_identity::{ServiceName, SystemId};
use entente_reason::Reason;
use entente_signing::{Digest, Signer as _};

use crate::two::{Two, act, recognise, settle};
use crate::world::{Member, Step};

const SERVICE: &str = "entente.demo.vitalevents.v1.VitalEvents";

fn suspend(member: &Member) -> Change {
    Change::MemberSuspend(MemberAct {
        member: member.id.clone(),
        reason: None,
    })
}

#[test]
fn an_agreement_is_in_force_once_it_is_filed_with_the_registry_of_each_party() {
    let mut two = Two::recognising(RecognitionLimits::default());
    assert_eq!(two.states(), [Lifecycle::Draft, Lifecycle::Draft]);
    two.file_with_vital().unwrap();
    assert_eq!(two.states(), [Lifecycle::Proposed, Lifecycle::Draft]);
    two.file_with_pensions().unwrap();
    assert_eq!(two.states(), [Lifecycle::Active, Lifecycle::Active]);
}

#[test]
fn the_most_restrictive_registry_wins() {
    let mut two = Two::agreed();
    let halt = Change::AgreementSuspend(two.qc.next_act());
    let step = Step::by_officer(&two.qc.pensions, halt);
    two.qc.push(step).unwrap();
    assert_eq!(two.states(), [Lifecycle::Suspended; 2]);
    let end = Change::AgreementRevoke(two.on.next_act());
    let step = Step::by_officer(&two.on.vital, end);
    two.on.push(step).unwrap();
    assert_eq!(two.states(), [Lifecycle::Revoked; 2]);
}

#[test]
fn a_party_acts_in_its_own_registry_only() {
    let mut two = Two::agreed();
    let end = Change::AgreementRevoke(two.on.next_act());
    let step = Step::by_officer(&two.qc.pensions, end);
    let refusal = two.on.push(step).unwrap_err();
    assert_eq!(refusal.reason(), Reason::UnknownMember);
    assert_eq!(two.states(), [Lifecycle::Active; 2]);
}

#[test]
fn without_a_recognition_an_agreement_across_is_not_filed() {
    let (on, qc) = (settle("ca-demo"), settle("ca-demo-qc"));
    let mut two = Two { on, qc };
    two.agree_on(|_| {});
    for filed in [two.file_with_vital(), two.file_with_pensions()] {
        let reason = filed.unwrap_err().reason();
        assert_eq!(reason, Reason::JurisdictionNotRecognised);
    }
}

#[test]
fn a_recognition_limits_which_members_and_services_an_agreement_may_name() {
    let members = RecognitionLimits {
        members: ["ca-demo-qc/health".parse().unwrap()].into(),
        ..RecognitionLimits::default()
    };
    let services = RecognitionLimits {
        services: ["entente.demo.other.v1.Other".parse().unwrap()].into(),
        ..RecognitionLimits::default()
    };
    for limits in [members, services] {
        let mut two = Two::recognising(limits);
        let reason = two.file_with_vital().unwrap_err().reason();
        assert_eq!(reason, Reason::JurisdictionNotRecognised);
        // The other side set no limits.
        two.file_with_pensions().unwrap();
        assert_ne!(two.states()[1], Lifecycle::Active);
    }
}

#[test]
fn a_contract_is_checked_by_the_registry_of_its_provider() {
    let mut two = Two::recognising(RecognitionLimits::default());
    two.agree_on(|document| document.clauses[0].descriptor_set = Digest::of(b"another"));
    let refusal = two.file_with_vital().unwrap_err();
    assert_eq!(refusal.reason(), Reason::AgreementInvalid);
    two.file_with_pensions().unwrap();
    assert_eq!(two.states(), [Lifecycle::Draft, Lifecycle::Proposed]);
}

#[test]
fn who_is_not_recognised_has_no_standing_here() {
    let mut two = Two::agreed();
    let pensions = two.qc.pensions.id.clone();
    assert_eq!(two.seen_by_on().standing(&pensions), Ok(Standing::Active));
    assert!(two.seen_by_on().server(&two.qc.pensions.server).is_some());
    let spki = two.qc.pensions.tls.verifying_key().spki_digest();
    // Both worlds made their servers of the same keys: whoever holds one is either, to both registries.
    let federation = two.seen_by_on();
    let named: Vec<_> = federation
        .servers_by_tls_spki(&spki)
        .map(|record| record.id.as_str())
        .collect();
    assert_eq!(named, ["ca-demo/pensions/@ss1", "ca-demo-qc/pensions/@ss1"]);

    let unknown = "ca-demo-qc/nobody".parse().unwrap();
    assert_eq!(two.seen_by_on().standing(&unknown), Err(Absent::Member));
    let elsewhere = "ca-demo-ab/health".parse().unwrap();
    assert_eq!(
        two.seen_by_on().standing(&elsewhere),
        Err(Absent::Jurisdiction)
    );

    two.on
        .by_registrar(Change::RecognitionSuspend(act("ca-demo-qc")))
        .unwrap();
    let federation = two.seen_by_on();
    assert_eq!(federation.standing(&pensions), Err(Absent::Jurisdiction));
    assert!(federation.server(&two.qc.pensions.server).is_none());
    assert!(federation.session_revoked(&two.qc.pensions.server, two.on.at));
    // The other side has not suspended ours, and yet the agreement is in force on neither.
    assert_eq!(two.states()[0], Lifecycle::Suspended);
    two.on
        .by_registrar(Change::RecognitionResume(act("ca-demo-qc")))
        .unwrap();
    assert_eq!(two.states(), [Lifecycle::Active; 2]);
}

#[test]
fn a_class_that_is_not_recognised_has_no_standing() {
    let limits = RecognitionLimits {
        classes: ["municipality".parse().unwrap()].into(),
        ..RecognitionLimits::default()
    };
    let mut two = Two::recognising(limits);
    // A class is the other registry's to say: filing does not ask it, each call does.
    two.file_with_vital().unwrap();
    two.file_with_pensions().unwrap();
    let pensions = &two.qc.pensions.id;
    assert_eq!(
        two.seen_by_on().standing(pensions),
        Err(Absent::Jurisdiction)
    );
}

#[test]
fn another_registry_of_the_same_name_does_not_count() {
    let mut two = Two::agreed();
    let other = recognise(
        "ca-demo-qc",
        Digest::of(b"other"),
        RecognitionLimits::default(),
    );
    two.on.by_registrar(other).unwrap();
    let pensions = &two.qc.pensions.id;
    assert_eq!(
        two.seen_by_on().standing(pensions),
        Err(Absent::Jurisdiction)
    );
    assert_eq!(two.seen_by_on().registries().count(), 1);
}

#[test]
fn recognition_is_not_passed_on() {
    // Quebec recognises a third; Ontario's servers do not know it for that.
    let mut two = Two::agreed();
    let third = settle("ca-demo-ab");
    let genesis = third.state.registry().unwrap().genesis;
    let change = recognise("ca-demo-ab", genesis, RecognitionLimits::default());
    two.qc.by_registrar(change).unwrap();
    let followed = vec![two.qc.state.clone(), third.state.clone()];
    let federation = Federation::new(two.on.state.clone(), followed);
    let pensions = &third.pensions.id;
    assert_eq!(federation.standing(pensions), Err(Absent::Jurisdiction));
}

#[test]
fn a_member_suspended_by_its_own_registry_is_suspended_everywhere() {
    let mut two = Two::agreed();
    two.qc.by_registrar(suspend(&two.qc.pensions)).unwrap();
    let pensions = &two.qc.pensions.id;
    assert_eq!(two.seen_by_on().standing(pensions), Ok(Standing::Suspended));
}

#[test]
fn an_agreement_gives_way_to_its_next_version_only_once_all_have_filed_that() {
    let mut two = Two::agreed();
    let old = two.on.agreement;
    let new = two.agree_on(|document| {
        document.version = 2;
        document.supersedes = Some(old);
    });
    two.file_with_vital().unwrap();
    let state = |two: &Two, id: &Digest| {
        [two.seen_by_on(), two.seen_by_qc()].map(|federation| {
            let record = federation.agreement(id);
            record.map(|record| federation.agreement_state(record, two.on.at))
        })
    };
    assert_eq!(state(&two, &old), [Some(Lifecycle::Active); 2]);
    two.file_with_pensions().unwrap();
    assert_eq!(state(&two, &old), [Some(Lifecycle::Superseded); 2]);
    assert_eq!(state(&two, &new), [Some(Lifecycle::Active); 2]);
}

#[test]
fn a_call_rests_on_both_registries_and_no_longer_than_each_allows() {
    let two = Two::agreed();
    let consumer: SystemId = "ca-demo-qc/pensions/benefits".parse().unwrap();
    let provider: SystemId = "ca-demo/vital-events/register".parse().unwrap();
    let federation = two.seen_by_on();
    let rests_on: Vec<_> = federation
        .rests_on(&consumer, &provider)
        .map(|(jurisdiction, validity)| (jurisdiction.to_string(), validity))
        .collect();
    let hours = |hours: u64| Duration::from_secs(hours * 3600);
    // The recognition allows 12 h where the other's own policy would allow 24.
    assert_eq!(
        rests_on,
        [
            ("ca-demo".into(), hours(24)),
            ("ca-demo-qc".into(), hours(12))
        ]
    );
}

#[test]
fn only_services_within_the_limits_are_used_across() {
    let limits = RecognitionLimits {
        services: ["entente.demo.other.v1.Other".parse().unwrap()].into(),
        ..RecognitionLimits::default()
    };
    let two = Two::recognising(limits);
    let consumer: SystemId = "ca-demo-qc/pensions/benefits".parse().unwrap();
    let ours: SystemId = "ca-demo/pensions/benefits".parse().unwrap();
    let provider: SystemId = "ca-demo/vital-events/register".parse().unwrap();
    let service: ServiceName = SERVICE.parse().unwrap();
    assert!(!two.seen_by_on().may_cross(&consumer, &provider, &service));
    assert!(two.seen_by_on().may_cross(&ours, &provider, &service));
    let other = "entente.demo.other.v1.Other".parse().unwrap();
    assert!(two.seen_by_on().may_cross(&consumer, &provider, &other));
}

#[test]
fn before_its_own_registry_begins_a_server_believes_nobody() {
    let two = Two::agreed();
    let federation = Federation::new(State::empty(), vec![two.qc.state.clone()]);
    assert_eq!(
        federation.standing(&two.qc.pensions.id),
        Err(Absent::Jurisdiction)
    );
}
