//! Which agreement is meant, when several could be.

use entente_policy::{Named, Which};
use entente_reason::Reason;

use crate::asking::{Asking, agree};
use crate::world::World;

#[test]
fn two_clauses_that_match_are_ambiguous_until_one_is_named() {
    let mut world = World::demo();
    let first = world.agreement;
    let second = agree(&mut world, |d| {
        d.clauses.pop();
    });
    let mut asking = Asking::of(&world);
    let refusal = asking.decide(&world.state).unwrap_err();
    assert_eq!(refusal.reason, Reason::AgreementAmbiguous);
    assert_eq!(refusal.allowed, ["DEMO-001#1", "DEMO-009#1"]);
    let names = [
        ("DEMO-001".to_owned(), first),
        ("DEMO-009".to_owned(), second),
        ("DEMO-009#1".to_owned(), second),
        (first.to_string(), first),
        (format!("{second}#1"), second),
    ];
    for (name, expected) in names {
        asking.named = Some(name.parse().unwrap());
        assert_eq!(
            asking.decide(&world.state).unwrap().agreement,
            expected,
            "{name}"
        );
        assert_eq!(asking.named.as_ref().unwrap().to_string(), name);
    }
    for name in ["DEMO-001#2", "DEMO-009#2", "DEMO-010"] {
        asking.named = Some(name.parse().unwrap());
        let refusal = asking.decide(&world.state).unwrap_err();
        assert_eq!(refusal.reason, Reason::NoAgreement, "{name}");
    }
}

#[test]
fn two_clauses_of_one_agreement_need_the_clause_number() {
    let world = crate::asking::world(|d| {
        let mut again = d.clauses[0].clone();
        again.number = 3;
        again
            .methods
            .get_mut("LookupDeath")
            .unwrap()
            .release
            .pop_first();
        d.clauses.push(again);
    });
    let mut asking = Asking::of(&world);
    asking.named = Some("DEMO-001".parse().unwrap());
    let refusal = asking.decide(&world.state).unwrap_err();
    assert_eq!(refusal.reason, Reason::AgreementAmbiguous);
    asking.named = Some("DEMO-001#3".parse().unwrap());
    let permit = asking.decide(&world.state).unwrap();
    assert_eq!((permit.clause, permit.released.len()), (3, 1));
}

#[test]
fn a_purpose_chooses_between_clauses() {
    let mut world = World::demo();
    let second = agree(&mut world, |d| {
        d.purposes[0].code = "AUDIT".parse().unwrap();
        for clause in &mut d.clauses {
            clause.purposes = ["AUDIT".parse().unwrap()].into();
        }
    });
    let mut asking = Asking::of(&world);
    assert_eq!(
        asking.decide(&world.state).unwrap().agreement,
        world.agreement
    );
    asking.purpose = Some("AUDIT".parse().unwrap());
    assert_eq!(asking.decide(&world.state).unwrap().agreement, second);
    asking.purpose = None;
    let refusal = asking.decide(&world.state).unwrap_err();
    assert_eq!(refusal.allowed, ["AUDIT", "PROGRAM_ADMINISTRATION"]);
}

#[test]
fn reads_names_and_hashes_and_nothing_else() {
    let hash = "ab".repeat(32);
    let named: Named = format!("{hash}#7").parse().unwrap();
    assert_eq!(named.clause, Some(7));
    assert!(matches!(named.which, Which::Hash(_)));
    for text in [
        "",
        "#1",
        "DEMO-001#",
        "DEMO-001#x",
        "DEMO-001#-1",
        "demo-001",
        "DEMO 1",
    ] {
        assert!(text.parse::<Named>().is_err(), "{text:?}");
    }
}
