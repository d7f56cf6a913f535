//! Two policies of witnesses at once.

use std::sync::Arc;

use entente_ledger::SignedCheckpoint;
use entente_ledger::witness::WitnessPolicy;

use super::{cosigned, named, seconds};

/// `quorum` over the witnesses of these keys.
fn policy(keys: &[u8], quorum: &str) -> WitnessPolicy {
    let line = |key: &u8| {
        format!(
            "witness w{key} {}\n",
            named(&format!("w{key}.example"), *key)
        )
    };
    let witnesses: String = keys.iter().map(line).collect();
    format!("{witnesses}{quorum}").parse().unwrap()
}

fn judged(policy: &WitnessPolicy, checkpoint: &Arc<SignedCheckpoint>) -> Option<u64> {
    let judged = policy.judge(checkpoint, seconds(10_000))?;
    Some(judged.at().map_or(0, |at| at.as_millis() / 1000))
}

#[test]
fn two_policies_ask_for_what_both_ask_for() {
    let (none, one) = (WitnessPolicy::default(), policy(&[7], "quorum w7\n"));
    assert!(!none.is_demanding() && one.is_demanding());
    assert_eq!(
        (none.and(&none), one.and(&none)),
        (none.clone(), one.clone())
    );
    assert_eq!(one.and(&one), one);
    let any = policy(&[7, 8, 9], "group w 2 w7 w8 w9\nquorum w\n");
    // Of the same names and group names, and in part of the same keys.
    let both = any.and(&policy(&[9, 7], "group w all w9 w7\nquorum w\n"));
    assert_eq!(both.witnesses().len(), 3);
    assert_eq!(judged(&both, &cosigned(&[(7, 10), (8, 20)])), None);
    assert_eq!(judged(&both, &cosigned(&[(8, 20), (9, 30)])), None);
    // As old as the older of the two quorums.
    assert_eq!(judged(&both, &cosigned(&[(7, 10), (9, 30)])), Some(10));
    let all = cosigned(&[(7, 10), (8, 20), (9, 30)]);
    assert_eq!(judged(&any, &all), Some(20));
    assert_eq!(judged(&both, &all), Some(10));
    for (first, second) in [(&none, &one), (&one, &none)] {
        let both = first.and(second);
        assert_eq!(judged(&both, &cosigned(&[])), None);
        assert_eq!(judged(&both, &cosigned(&[(7, 10)])), Some(10));
    }
}

#[test]
fn a_witness_under_another_key_is_another_whatever_it_is_called() {
    let (held, other) = (policy(&[7], "quorum w7\n"), {
        let key = named("w8.example", 8);
        let text = format!("witness w7 {key}\nquorum w7\n");
        text.parse::<WitnessPolicy>().unwrap()
    });
    let both = held.and(&other);
    assert_eq!(judged(&both, &cosigned(&[(7, 10)])), None);
    assert_eq!(judged(&both, &cosigned(&[(7, 10), (8, 5)])), Some(5));
    let names = both.witnesses().iter().map(|witness| &*witness.name);
    let names: std::collections::BTreeSet<_> = names.collect();
    assert_eq!(names.len(), 2);
    assert!(both.is_quorum(&names));
}

#[test]
fn a_number_of_witnesses_is_asked_for_on_top_and_more_than_there_are_is_never_met() {
    let any = policy(&[7, 8, 9], "group w any w7 w8 w9\nquorum w\n");
    let two = any.and_at_least(2);
    assert_eq!(any.and_at_least(0), any);
    assert_eq!(judged(&two, &cosigned(&[(8, 20)])), None);
    assert_eq!(judged(&two, &cosigned(&[(8, 20), (9, 30)])), Some(20));
    let all = cosigned(&[(7, 10), (8, 20), (9, 30)]);
    assert_eq!(judged(&any.and_at_least(3), &all), Some(10));
    assert_eq!(judged(&any.and_at_least(4), &all), None);
    let nobody = WitnessPolicy::default().and_at_least(1);
    assert!(nobody.is_demanding());
    assert_eq!(judged(&nobody, &all), None);
}
