//! Every clause violated once: its own reason, under its own rule.

use std::time::Duration;

use entente_agreement::{Document, Hours, Mode as ClauseMode, Weekday};
use entente_directory::{Change, MemberAct, Mode, ServerUpdate, ServiceRetire, Sunset};
use entente_reason::Reason;

use crate::asking::{Asking, agree, hours, world};
use crate::world::World;

type Agreed = fn(&mut Document);
type Asked = fn(&mut Asking);

struct Case {
    rule: &'static str,
    reason: Reason,
    agreed: Agreed,
    asked: Asked,
}

const AS_IS: Agreed = |_| {};

/// Rules that an agreement and a call alone can break.
const CASES: &[Case] = &[
    Case {
        rule: "registry.fresh",
        reason: Reason::RegistryStale,
        agreed: AS_IS,
        asked: |call| {
            call.now = call
                .fresh_at
                .saturating_add(hours(24) + hours(1) / 3_600_000)
        },
    },
    Case {
        rule: "agreement.staleness",
        reason: Reason::RegistryStale,
        agreed: |d| d.maximum_staleness_hours = 2,
        asked: |call| call.now = call.fresh_at.saturating_add(hours(3)),
    },
    Case {
        rule: "member.exists",
        reason: Reason::UnknownMember,
        agreed: AS_IS,
        asked: |call| call.provider = "ca-demo/nobody/register".parse().unwrap(),
    },
    Case {
        rule: "member.exists",
        reason: Reason::UnknownMember,
        agreed: AS_IS,
        asked: |call| call.consumer = "ca-demo/anybody/benefits".parse().unwrap(),
    },
    Case {
        rule: "recognition.member",
        reason: Reason::JurisdictionNotRecognised,
        agreed: AS_IS,
        asked: |call| call.consumer = "ca-on/pensions/benefits".parse().unwrap(),
    },
    Case {
        rule: "system.exists",
        reason: Reason::UnknownSystem,
        agreed: AS_IS,
        asked: |call| call.provider = "ca-demo/vital-events/other".parse().unwrap(),
    },
    Case {
        rule: "system.exists",
        reason: Reason::UnknownSystem,
        agreed: AS_IS,
        asked: |call| call.consumer = "ca-demo/pensions/other".parse().unwrap(),
    },
    Case {
        rule: "service.offered",
        reason: Reason::UnknownService,
        agreed: AS_IS,
        asked: |call| call.method = "a.v1.Other/LookupDeath".parse().unwrap(),
    },
    Case {
        rule: "method.exists",
        reason: Reason::UnknownMethod,
        agreed: AS_IS,
        asked: |call| {
            call.method = "entente.demo.vitalevents.v1.VitalEvents/Forget"
                .parse()
                .unwrap();
        },
    },
    Case {
        rule: "agreement.exists",
        reason: Reason::NoAgreement,
        agreed: AS_IS,
        asked: |call| call.named = Some("DEMO-404".parse().unwrap()),
    },
    Case {
        rule: "agreement.exists",
        reason: Reason::NoAgreement,
        agreed: |d| {
            d.clauses.pop();
        },
        asked: |call| {
            call.method = "entente.demo.vitalevents.v1.VitalEvents/ListDeaths"
                .parse()
                .unwrap();
        },
    },
    Case {
        rule: "agreement.exists",
        reason: Reason::NoAgreement,
        agreed: |d| d.clauses[0].mode = ClauseMode::Event,
        asked: |_| {},
    },
    Case {
        rule: "agreement.not_before",
        reason: Reason::AgreementNotStarted,
        agreed: |d| d.not_before = "2027-06-01T00:00:00Z".parse().unwrap(),
        asked: |_| {},
    },
    Case {
        rule: "agreement.not_after",
        reason: Reason::AgreementExpired,
        agreed: AS_IS,
        asked: |call| {
            call.now = "2028-12-31T00:00:00Z".parse().unwrap();
            call.fresh_at = call.now;
        },
    },
    Case {
        rule: "purpose.required",
        reason: Reason::PurposeMissing,
        agreed: AS_IS,
        asked: |call| call.purpose = None,
    },
    Case {
        rule: "purpose.agreed",
        reason: Reason::PurposeNotAgreed,
        agreed: AS_IS,
        asked: |call| call.purpose = Some("RESEARCH".parse().unwrap()),
    },
    Case {
        rule: "purpose.live",
        reason: Reason::PurposeNotAgreed,
        agreed: |d| {
            d.purposes[0].code = "TEST".parse().unwrap();
            for clause in &mut d.clauses {
                clause.purposes = ["TEST".parse().unwrap()].into();
            }
        },
        asked: |call| call.purpose = Some("TEST".parse().unwrap()),
    },
    Case {
        rule: "user.required",
        reason: Reason::UserRequired,
        agreed: |d| d.clauses[0].user_required = true,
        asked: |call| call.user_present = false,
    },
    Case {
        rule: "case.required",
        reason: Reason::CaseRequired,
        agreed: |d| d.clauses[0].case_required = true,
        asked: |call| call.case_present = false,
    },
    Case {
        rule: "assurance.level",
        reason: Reason::AssuranceTooLow,
        agreed: |d| d.clauses[0].assurance = 3,
        asked: |call| call.assurance = 2,
    },
    Case {
        rule: "hours.open",
        reason: Reason::OutsideHours,
        agreed: |d| {
            d.clauses[0].hours = Some(Hours {
                days: [Weekday::Mon].into(),
                from_minute: 480,
                until_minute: 960,
                utc_offset_minutes: -300,
            });
        },
        // A Sunday.
        asked: |_| {},
    },
    Case {
        rule: "elements.released",
        reason: Reason::ElementNotAgreed,
        agreed: AS_IS,
        asked: |call| {
            let elements = ["death.date", "death.cause"];
            call.asked = Some(elements.iter().map(|e| e.parse().unwrap()).collect());
        },
    },
];

#[test]
fn every_clause_violated_once_has_its_own_reason() {
    for case in CASES {
        let world = world(case.agreed);
        let mut asking = Asking::of(&world);
        (case.asked)(&mut asking);
        let refusal = asking.decide(&world.state).unwrap_err();
        assert_eq!((refusal.reason, refusal.rule), (case.reason, case.rule));
        let metadata = refusal.metadata();
        assert!(metadata.contains(&("rule", case.rule.to_owned())));
    }
}

#[test]
fn the_call_that_all_cases_start_from_passes() {
    let world = World::demo();
    let permit = Asking::of(&world).decide(&world.state).unwrap();
    assert_eq!((permit.agreement, permit.clause), (world.agreement, 1));
    assert_eq!(permit.descriptor_set, world.descriptor_set);
    let names = |elements: &std::collections::BTreeSet<entente_identity::ElementName>| {
        elements
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join(" ")
    };
    assert_eq!(names(&permit.request), "person.birth_date person.number");
    assert_eq!(names(&permit.released), "death.date death.registered");
    assert!(!permit.narrowed);
    assert_eq!(
        (permit.retention_class.as_str(), permit.retention_days),
        ("benefits", 730)
    );
    // Up to the last moment of the policy's validity.
    let mut asking = Asking::of(&world);
    asking.now = asking.fresh_at.saturating_add(hours(24));
    asking.decide(&world.state).unwrap();
}

#[test]
fn a_system_that_does_not_offer_the_service_is_not_asked_for_it() {
    let mut world = World::demo();
    let mut update = ServerUpdate::of(world.vital.server.clone());
    let systems = [
        "ca-demo/vital-events/archive",
        "ca-demo/vital-events/register",
    ];
    update.systems = Some(systems.iter().map(|s| s.parse().unwrap()).collect());
    let update = Change::ServerUpdate(update);
    let signed = world.sign(world.vital.author(), &world.vital.member, &update);
    world.apply(signed).unwrap();
    let mut asking = Asking::of(&world);
    asking.provider = systems[0].parse().unwrap();
    let refusal = asking.decide(&world.state).unwrap_err();
    assert_eq!(
        (refusal.reason, refusal.rule),
        (Reason::UnknownSystem, "service.system")
    );
}

#[test]
fn before_genesis_nothing_is_permitted() {
    let world = World::demo();
    let refusal = Asking::of(&world)
        .decide(&entente_directory::State::empty())
        .unwrap_err();
    assert_eq!(refusal.reason, Reason::RegistryStale);
}

#[test]
fn a_caller_may_ask_for_less() {
    let world = World::demo();
    let mut asking = Asking::of(&world);
    asking.asked = Some(["death.registered".parse().unwrap()].into());
    let permit = asking.decide(&world.state).unwrap();
    assert_eq!(Some(&permit.released), asking.asked.as_ref());
    assert!(permit.narrowed);
    asking.asked = Some([].into());
    assert!(asking.decide(&world.state).unwrap().released.is_empty());
}

#[test]
fn a_trial_may_say_that_it_is_one() {
    let world = world(|d| {
        d.purposes[0].code = "TEST".parse().unwrap();
        for clause in &mut d.clauses {
            clause.purposes = ["TEST".parse().unwrap()].into();
        }
    });
    let mut asking = Asking::of(&world);
    asking.purpose = Some("TEST".parse().unwrap());
    asking.mode = Mode::Test;
    asking.decide(&world.state).unwrap();
}

#[test]
fn what_one_may_ask_the_other_the_other_may_not_ask_the_one() {
    let world = World::demo();
    let mut asking = Asking::of(&world);
    std::mem::swap(&mut asking.consumer, &mut asking.provider);
    let refusal = asking.decide(&world.state).unwrap_err();
    assert_eq!(refusal.reason, Reason::UnknownService);
}

#[test]
fn what_the_ledger_or_a_denial_takes_away_is_refused_at_once() {
    let officer = |world: &World, change: Change| {
        world.sign(world.pensions.author(), &world.pensions.officer, &change)
    };
    let cases = [
        (
            Reason::AgreementRevoked,
            Change::AgreementRevoke as fn(_) -> _,
        ),
        (Reason::AgreementSuspended, Change::AgreementSuspend),
    ];
    for (reason, act) in cases {
        let mut world = World::demo();
        let asking = Asking::of(&world);
        let signed = officer(&world, act(world.next_act()));
        let denied = world.state.deny(&signed, world.at).unwrap();
        assert_eq!(
            asking.decide(&denied).unwrap_err().reason,
            reason,
            "on sight"
        );
        world.apply(signed).unwrap();
        assert_eq!(
            asking.decide(&world.state).unwrap_err().reason,
            reason,
            "from the ledger"
        );
    }
    for member in ["ca-demo/vital-events", "ca-demo/pensions"] {
        let mut world = World::demo();
        let act = MemberAct {
            member: member.parse().unwrap(),
            reason: None,
        };
        world.by_registrar(Change::MemberSuspend(act)).unwrap();
        let refusal = Asking::of(&world).decide(&world.state).unwrap_err();
        assert_eq!(refusal.reason, Reason::MemberSuspended);
    }
    let mut world = World::demo();
    let service = "entente.demo.vitalevents.v1.VitalEvents".parse().unwrap();
    let sunset = Sunset::Now;
    let retire = Change::ServiceRetire(ServiceRetire { service, sunset });
    let retire = world.sign(world.vital.author(), &world.vital.member, &retire);
    world.apply(retire).unwrap();
    let refusal = Asking::of(&world).decide(&world.state).unwrap_err();
    assert_eq!(refusal.reason, Reason::UnknownService);
}

#[test]
fn a_service_is_called_until_its_sunset_and_refused_from_then_on() {
    let mut world = World::demo();
    let asking = Asking::of(&world);
    let sunset = asking.now.saturating_add(Duration::from_secs(60));
    let retire = Change::ServiceRetire(ServiceRetire {
        service: "entente.demo.vitalevents.v1.VitalEvents".parse().unwrap(),
        sunset: Sunset::At(sunset),
    });
    let retire = world.sign(world.vital.author(), &world.vital.member, &retire);
    world.apply(retire).unwrap();
    let permit = asking.decide(&world.state).unwrap();
    assert_eq!(permit.not_after, sunset, "an open call is asked again then");
    let mut later = Asking::of(&world);
    later.now = sunset;
    let refusal = later.decide(&world.state).unwrap_err();
    assert_eq!(
        (refusal.reason, refusal.rule),
        (Reason::UnknownService, "service.offered")
    );
}

#[test]
fn a_refusal_says_what_is_allowed_and_under_which_clause() {
    let world = World::demo();
    let mut asking = Asking::of(&world);
    asking.purpose = Some("RESEARCH".parse().unwrap());
    let refusal = asking.decide(&world.state).unwrap_err();
    assert_eq!(refusal.allowed, ["PROGRAM_ADMINISTRATION"]);
    assert_eq!(
        (refusal.agreement, refusal.clause),
        (Some(world.agreement), Some(1))
    );
    asking = Asking::of(&world);
    asking.asked = Some(["death.cause".parse().unwrap()].into());
    let refusal = asking.decide(&world.state).unwrap_err();
    assert_eq!(refusal.allowed, ["death.date", "death.registered"]);
}

#[test]
fn an_old_agreement_s_end_does_not_hide_a_new_one_s() {
    let mut world = world(|d| d.not_after = "2026-12-01T00:00:00Z".parse().unwrap());
    agree(&mut world, |d| {
        d.not_before = "2027-01-01T00:00:00Z".parse().unwrap()
    });
    let mut asking = Asking::of(&world);
    asking.decide(&world.state).unwrap();
    let reason = |asking: &Asking| asking.decide(&world.state).unwrap_err().reason;
    asking.now = "2026-12-15T00:00:00Z".parse().unwrap();
    asking.fresh_at = asking.now;
    assert_eq!(
        reason(&asking),
        Reason::AgreementNotStarted,
        "it may be waited for"
    );
    asking.now = "2029-01-15T00:00:00Z".parse().unwrap();
    asking.fresh_at = asking.now;
    assert_eq!(reason(&asking), Reason::AgreementExpired);
}
