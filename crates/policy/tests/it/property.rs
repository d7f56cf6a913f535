//! Whatever is agreed and asked: a permit is never wider than its clause, and both servers agree.

use std::collections::BTreeSet;

use entente_agreement::{Document, Hours, Weekday};
use entente_directory::Mode;
use entente_identity::ElementName;
use entente_policy::Named;
use proptest::prelude::*;

use crate::asking::{Asking, hours, world};

/// The terms of clause 1 that vary.
#[derive(Clone, Debug)]
struct Terms {
    release: Vec<bool>,
    user_required: bool,
    case_required: bool,
    assurance: u8,
    until_minute: Option<u32>,
    staleness: u32,
    purposes: Vec<bool>,
}

/// What varies in a call.
#[derive(Clone, Debug)]
struct Ask {
    elements: Option<Vec<bool>>,
    user: bool,
    case: bool,
    assurance: u8,
    purpose: Option<usize>,
    age: u64,
    test: bool,
}

const ELEMENTS: [&str; 4] = [
    "death.cause",
    "death.date",
    "death.place",
    "death.registered",
];
const PURPOSES: [&str; 3] = ["AUDIT", "PROGRAM_ADMINISTRATION", "TEST"];

fn pick(from: &[&str], bits: &[bool]) -> Vec<String> {
    let chosen = from.iter().zip(bits).filter(|(_, bit)| **bit);
    chosen.map(|(name, _)| (*name).to_owned()).collect()
}

fn elements(bits: &[bool]) -> BTreeSet<ElementName> {
    pick(&ELEMENTS, bits)
        .iter()
        .map(|e| e.parse().unwrap())
        .collect()
}

fn bits(n: usize) -> impl Strategy<Value = Vec<bool>> {
    prop::collection::vec(any::<bool>(), n)
}

fn terms() -> impl Strategy<Value = Terms> {
    let flags = (any::<bool>(), any::<bool>());
    let until = prop::option::of(1u32..=1440);
    (bits(4), flags, 0u8..5, until, 1u32..48, bits(3)).prop_map(
        |(
            mut release,
            (user_required, case_required),
            assurance,
            until_minute,
            staleness,
            mut purposes,
        )| {
            // A clause releases something, for something.
            release[1] |= !release.contains(&true);
            purposes[1] |= !purposes.contains(&true);
            Terms {
                release,
                user_required,
                case_required,
                assurance,
                until_minute,
                staleness,
                purposes,
            }
        },
    )
}

fn ask() -> impl Strategy<Value = Ask> {
    let flags = (any::<bool>(), any::<bool>(), any::<bool>());
    (
        prop::option::of(bits(4)),
        flags,
        0u8..5,
        prop::option::of(0usize..3),
        0u64..48,
    )
        .prop_map(
            |(elements, (user, case, test), assurance, purpose, age)| Ask {
                elements,
                user,
                case,
                assurance,
                purpose,
                age,
                test,
            },
        )
}

fn agree(document: &mut Document, terms: &Terms) {
    let purpose = document.purposes[0].clone();
    document.purposes = PURPOSES
        .iter()
        .map(|code| entente_agreement::Purpose {
            code: code.parse().unwrap(),
            ..purpose.clone()
        })
        .collect();
    document.maximum_staleness_hours = terms.staleness;
    let clause = &mut document.clauses[0];
    clause.methods.get_mut("LookupDeath").unwrap().release = elements(&terms.release);
    clause.user_required = terms.user_required;
    clause.case_required = terms.case_required;
    clause.assurance = terms.assurance;
    clause.purposes = pick(&PURPOSES, &terms.purposes)
        .iter()
        .map(|code| code.parse().unwrap())
        .collect();
    clause.hours = terms.until_minute.map(|until_minute| Hours {
        days: [Weekday::Sun, Weekday::Mon, Weekday::Tue].into(),
        from_minute: 0,
        until_minute,
        utc_offset_minutes: 0,
    });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]
    #[test]
    fn a_permit_is_exactly_what_the_clause_says(
        terms in terms(),
        asks in prop::collection::vec(ask(), 1..24),
    ) {
        let world = world(|document| agree(document, &terms));
        for ask in asks {
            let mut asking = Asking::of(&world);
            asking.asked = ask.elements.as_deref().map(elements);
            asking.user_present = ask.user;
            asking.case_present = ask.case;
            asking.assurance = ask.assurance;
            asking.purpose = ask.purpose.map(|n| PURPOSES[n].parse().unwrap());
            asking.now = asking.fresh_at.saturating_add(hours(ask.age));
            asking.mode = if ask.test { Mode::Test } else { Mode::Live };
            let released = elements(&terms.release);
            // The same rules, written once more from the agreement's side.
            let expected = ask.age <= 24
                && ask.age <= u64::from(terms.staleness)
                && ask.purpose.is_some_and(|n| terms.purposes[n] && (n != 2 || ask.test))
                && (ask.user || !terms.user_required)
                && (ask.case || !terms.case_required)
                && ask.assurance >= terms.assurance
                && terms.until_minute.is_none_or(|until| asking.now.minute_of_day() < until)
                && asking.asked.as_ref().is_none_or(|asked| asked.is_subset(&released));
            let decision = asking.decide(&world.state);
            prop_assert_eq!(decision.is_ok(), expected, "{:?}", decision);
            let Ok(permit) = decision else { continue };
            prop_assert!(permit.released.is_subset(&released));
            prop_assert_eq!(&permit.released, asking.asked.as_ref().unwrap_or(&released));
            // The provider decides on what the consumer's statement says, and comes to the same.
            asking.named = Some(Named::clause_of(permit.agreement, permit.clause));
            asking.asked = Some(permit.asked().cloned().collect());
            let other = asking.decide(&world.state).unwrap();
            prop_assert_eq!(&other.released, &permit.released);
            prop_assert_eq!((other.agreement, other.clause), (permit.agreement, permit.clause));
        }
    }
}
