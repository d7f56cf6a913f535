//! Every structural rule broken once, every auditor's fault made once, and the hours.

use std::collections::BTreeSet;

use entente_agreement::lint::{self, Fault};
use entente_agreement::{Agreement, Document, Hours, OnwardRule, RuleBroken, Weekday};
use entente_clock::Timestamp;
use entente_reason::Lang;

use crate::pensions;

type Make = fn(&mut Document);

fn broken(change: impl FnOnce(&mut Document)) -> RuleBroken {
    let mut document = pensions();
    change(&mut document);
    assert!(Agreement::of(&document).is_err());
    document.check_rules().unwrap_err()
}

#[test]
fn refuses_what_contradicts_itself_each_by_its_rule() {
    use RuleBroken as R;
    let day = std::time::Duration::from_secs(86_400);
    assert!(matches!(broken(|d| d.not_after = d.not_before), R::Dates));
    let six_years = |d: &mut Document| d.not_after = d.not_before.saturating_add(day * 6 * 365);
    assert!(matches!(broken(six_years), R::Dates));
    assert!(matches!(
        broken(|d| d.clauses[1].number = 3),
        R::ClauseNumber { found: 3, .. }
    ));
    assert!(matches!(
        broken(|d| d.authorities[0].to = "ca-demo/x".parse().unwrap()),
        R::AuthorityMissing { clause: 1, .. }
    ));
    assert!(matches!(
        broken(|d| d.parties[1] = d.parties[0].clone()),
        R::Duplicate { .. }
    ));
    let again = |d: &mut Document| d.authorities.push(d.authorities[0].clone());
    assert!(matches!(broken(again), R::Duplicate { .. }));
    assert!(matches!(
        broken(|d| d.clauses.clear()),
        R::Empty { field: "clauses" }
    ));
    assert!(matches!(broken(|d| d.purposes.clear()), R::Empty { .. }));
    assert!(matches!(
        broken(|d| d.title.fr = " ".into()),
        R::Empty { field: "title" }
    ));
    let stranger = |d: &mut Document| {
        d.clauses[0]
            .consumers
            .insert("ca-demo/x/y".parse().unwrap());
    };
    assert!(matches!(broken(stranger), R::NotAParty { clause: 1, .. }));
    let itself = |d: &mut Document| d.clauses[0].consumers = d.clauses[0].providers.clone();
    assert!(matches!(broken(itself), R::NotAParty { .. }));
    let listed = |d: &mut Document| d.clauses[0].onward.as_mut().unwrap().rule = OnwardRule::Listed;
    assert!(matches!(broken(listed), R::OnwardList { clause: 1 }));
    let purpose = |d: &mut Document| {
        d.clauses[1].purposes.insert("RESEARCH".parse().unwrap());
    };
    assert!(matches!(
        broken(purpose),
        R::PurposeNotListed { clause: 2, .. }
    ));
    assert!(matches!(
        broken(|d| d.parties.truncate(1)),
        R::OutOfRange { .. }
    ));
    assert!(matches!(
        broken(|d| d.clauses[0].retention.days = 0),
        R::OutOfRange { .. }
    ));
    let keep = |d: &mut Document| d.clauses[0].retention.keep_payload_days = Some(731);
    assert!(matches!(broken(keep), R::OutOfRange { .. }));
    let hours = |d: &mut Document| d.clauses[1].hours.as_mut().unwrap().until_minute = 0;
    assert!(matches!(broken(hours), R::OutOfRange { .. }));
    assert!(matches!(
        broken(|d| d.breach_notice_hours = 721),
        R::OutOfRange { .. }
    ));
}

#[test]
fn refuses_more_pairs_of_systems_than_every_server_should_hold() {
    let with = |count: usize| {
        let mut document = pensions();
        let clause = &mut document.clauses[0];
        for systems in [&mut clause.consumers, &mut clause.providers] {
            let member = systems.first().unwrap().member();
            let system = |n| format!("{member}/system-{n}").parse().unwrap();
            *systems = (0..count).map(system).collect();
        }
        document.check_rules()
    };
    assert_eq!(with(60), Ok(()));
    assert!(matches!(
        with(65),
        Err(RuleBroken::OutOfRange {
            field: "clauses.pairs",
            ..
        })
    ));
}

#[test]
fn finds_the_five_faults_auditors_find_and_says_what_to_do_in_both_languages() {
    let faults: [(Fault, Make); 6] = [
        (Fault::AuditMissing, |d| d.audit = None),
        (Fault::ElementsTooGeneral, |d| {
            let terms = d.clauses[0].methods.get_mut("LookupDeath").unwrap();
            terms.release.insert("person".parse().unwrap());
        }),
        (Fault::ElementsTooGeneral, |d| {
            d.clauses[0]
                .methods
                .get_mut("LookupDeath")
                .unwrap()
                .release
                .clear();
        }),
        (Fault::OnwardMissing, |d| d.clauses[0].onward = None),
        (Fault::SafeguardsUntyped, |d| {
            d.clauses[0].safeguards.clear()
        }),
        (Fault::UseLimitMissing, |d| d.clauses[0].use_limit = None),
    ];
    for (fault, make) in faults {
        let mut document = pensions();
        make(&mut document);
        document.check_rules().unwrap();
        let found = lint::check(&document);
        assert_eq!(found.iter().map(|f| f.fault).collect::<Vec<_>>(), [fault]);
        assert_ne!(fault.text(Lang::En), fault.text(Lang::Fr));
        assert_ne!(fault.remedy(Lang::En), fault.remedy(Lang::Fr));
    }
    assert_eq!(
        faults
            .map(|(fault, _)| fault)
            .into_iter()
            .collect::<BTreeSet<_>>()
            .len(),
        5
    );
}

#[test]
fn opens_and_closes_by_the_clock_on_its_wall() {
    let hours = Hours {
        days: BTreeSet::from([Weekday::Mon, Weekday::Fri]),
        from_minute: 8 * 60,
        until_minute: 16 * 60,
        utc_offset_minutes: -300,
    };
    let open = |text: &str| hours.open_at(text.parse::<Timestamp>().unwrap());
    // 2026-11-23 is a Monday.
    assert!(!open("2026-11-23T12:59:59.999Z"));
    assert!(open("2026-11-23T13:00:00Z"));
    assert!(open("2026-11-23T20:59:59.999Z"));
    assert!(!open("2026-11-23T21:00:00Z"));
    assert!(!open("2026-11-24T14:00:00Z"));
    assert!(open("2026-11-27T14:00:00Z"));
    // Past midnight in UTC it is still Friday there, and the other way round.
    let late = Hours {
        until_minute: 1440,
        ..hours.clone()
    };
    assert!(late.open_at("2026-11-28T04:59:00Z".parse().unwrap()));
    let east = Hours {
        from_minute: 0,
        utc_offset_minutes: 840,
        ..late
    };
    assert!(east.open_at("2026-11-22T10:00:00Z".parse().unwrap()));
    assert!(!east.open_at("1970-01-01T00:00:00Z".parse().unwrap()));
}
