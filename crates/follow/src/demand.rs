//! Whose cosignatures a registry's checkpoint needs before anything permissive under it is believed.
//! (DESIGN.md §9)
//!
//! The stricter of what the anchor says and what the registry's own policy says, before the entries
//! concerned as well as after them: a registry that wants other witnesses needs those it had. Whom a
//! policy in between named does not matter, so that a policy that can never be met can be replaced.

use entente_directory::{Policy, PolicyField};
use entente_ledger::witness::WitnessPolicy;

use crate::anchor::Anchor;

/// What a checkpoint needs by a policy of witnesses and a number, and by all of these policies of the
/// registry. For a follower the first two are its anchor's floors.
pub fn demand<'a>(
    witnesses: &WitnessPolicy,
    quorum: u32,
    policies: impl IntoIterator<Item = &'a Policy>,
) -> WitnessPolicy {
    let (mut demand, mut quorum) = (witnesses.clone(), quorum);
    for policy in policies {
        demand = demand.and(&policy.registry_witnesses);
        quorum = quorum.max(policy.witness_quorum);
    }
    demand.and_at_least(usize::try_from(quorum).unwrap_or(usize::MAX))
}

/// What a follower demands of a checkpoint, by its anchor and these policies of the registry.
pub(crate) fn of<'a>(
    anchor: &Anchor,
    policies: impl IntoIterator<Item = &'a Policy>,
) -> WitnessPolicy {
    demand(&anchor.witnesses, anchor.floors.witness_quorum, policies)
}

/// Whether [`of`] asks for anything, without working out what.
pub(crate) fn is_made(anchor: &Anchor, policy: Option<&Policy>) -> bool {
    anchor.witnesses.is_demanding()
        || anchor.floors.witness_quorum > 0
        || policy.is_some_and(|policy| {
            policy.registry_witnesses.is_demanding() || policy.witness_quorum > 0
        })
}

/// Whether a policy goes below the anchor's floor where the one before it did not, and in what: that is
/// not followed, whoever signed it. One that never came up to the floor yet may stay below.
pub(crate) fn falls_below(
    anchor: &Anchor,
    before: Option<&Policy>,
    after: &Policy,
) -> Option<PolicyField> {
    let before = before?;
    let fewest = anchor.witnesses.fewest();
    let is_below = |policy: &Policy| policy.registry_witnesses.fewest() < fewest;
    if is_below(after) && !is_below(before) {
        return Some(PolicyField::RegistryWitnesses);
    }
    let floor = anchor.floors.witness_quorum;
    let falls = after.witness_quorum < floor && before.witness_quorum >= floor;
    falls.then_some(PolicyField::WitnessQuorum)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use entente_ledger::note::{NoteKey, WitnessKey};
    use entente_signing::{Digest, Ed25519Key, Signer as _};

    use super::*;
    use crate::anchor::Floors;

    fn witnesses(seeds: &[u8]) -> WitnessPolicy {
        let mut text = String::new();
        for seed in seeds {
            let key = Ed25519Key::from_seed(&[*seed; 32]).unwrap();
            let name = format!("w{seed}.example");
            let key = WitnessKey::new(&name, key.verifying_key().clone()).unwrap();
            text += &format!("witness w{seed} {key}\n");
        }
        let names: Vec<_> = seeds.iter().map(|seed| format!("w{seed}")).collect();
        text += &format!("group all all {}\nquorum all\n", names.join(" "));
        text.parse().unwrap()
    }

    fn anchor(seeds: &[u8], witness_quorum: u32) -> Anchor {
        let key = Ed25519Key::from_seed(&[1; 32]).unwrap();
        let key = key.verifying_key().clone();
        Anchor {
            jurisdiction: "ca-demo".parse().unwrap(),
            addresses: vec!["127.0.0.1:7100".parse().unwrap()],
            mirrors: Vec::new(),
            tls_keys: BTreeSet::from([Digest::of(b"a")]),
            ledger: NoteKey::new("registry.ca-demo/changes", key).unwrap(),
            genesis: Digest::of(b"genesis"),
            floors: Floors {
                witness_quorum,
                ..Floors::default()
            },
            witnesses: match seeds {
                [] => WitnessPolicy::default(),
                seeds => witnesses(seeds),
            },
        }
    }

    fn policy(seeds: &[u8], witness_quorum: u32) -> Policy {
        Policy {
            witness_quorum,
            registry_witnesses: anchor(seeds, 0).witnesses,
            ..Policy::usual()
        }
    }

    #[test]
    fn asks_as_the_anchor_and_every_policy_concerned() {
        let nobody = anchor(&[], 0);
        assert!(!of(&nobody, None).is_demanding() && !is_made(&nobody, None));
        for (anchor, policies) in [
            (anchor(&[2], 0), vec![]),
            (anchor(&[], 1), vec![]),
            (anchor(&[], 0), vec![policy(&[2], 0)]),
            (anchor(&[], 0), vec![policy(&[], 0), policy(&[], 1)]),
        ] {
            assert!(of(&anchor, &policies).is_demanding());
            assert!(is_made(&anchor, policies.last()));
        }
        let demand = of(&anchor(&[2], 0), &[policy(&[3], 0), policy(&[4], 3)]);
        let names = |names: &[&'static str]| names.iter().copied().collect::<BTreeSet<_>>();
        assert!(demand.is_quorum(&names(&["w2", "w3", "w4"])));
        for missing in [["w2", "w3"], ["w2", "w4"], ["w3", "w4"]] {
            assert!(!demand.is_quorum(&names(&missing)), "{missing:?}");
        }
    }

    #[test]
    fn a_policy_may_stay_below_the_floor_and_not_fall_below_it() {
        use PolicyField::{RegistryWitnesses, WitnessQuorum};
        let anchor = anchor(&[2, 3], 2);
        let falls = |before: &Policy, after: &Policy| falls_below(&anchor, Some(before), after);
        let (none, enough) = (policy(&[], 0), policy(&[2, 3], 2));
        assert_eq!(falls_below(&anchor, None, &none), None, "the first one");
        assert_eq!(falls(&none, &none), None);
        assert_eq!(falls(&none, &enough), None);
        assert_eq!(falls(&enough, &policy(&[3, 4, 5], 3)), None);
        assert_eq!(falls(&enough, &policy(&[2], 2)), Some(RegistryWitnesses));
        assert_eq!(falls(&enough, &policy(&[2, 3], 1)), Some(WitnessQuorum));
    }
}
