//! Random contracts, messages and permitted elements: nothing else crosses, and what may cross is
//! untouched. The expectation is computed on decoded messages, by its own walk of the descriptors.

use std::collections::BTreeSet;

use bytes::Bytes;
use entente_contract::{CheckError, Contract, Direction, ReleasePlan};
use entente_identity::MethodName;
use entente_proto::VITAL_EVENTS_DESCRIPTOR_SET;
use entente_testkit::contracts::{
    ELEMENTS, Entropy, Secrets, clear, noisy_encode, random_message, random_source,
};
use proptest::prelude::*;
use prost_reflect::{DynamicMessage, MessageDescriptor, ReflectMessage as _};

use crate::fixture::{elements, parse};
use crate::vital_events;

/// One random case: a contract, what is permitted, a message and how it was written.
struct Case {
    message: DynamicMessage,
    wire: Bytes,
    secrets: Secrets,
    permitted: BTreeSet<String>,
    plan: ReleasePlan,
    contract: Contract,
}

// === impl Case ===

impl Case {
    fn draw(bytes: &[u8]) -> Self {
        let mut entropy = Entropy::new(bytes);
        let contract = parse(&random_source(&mut entropy)).unwrap();
        let permitted: Vec<&str> = ELEMENTS
            .into_iter()
            .filter(|_| entropy.below(2) == 1)
            .collect();
        let root = contract.message(&method(), Direction::Response).unwrap();
        let message = random_message(&mut entropy, &root, 0);
        let mut secrets = Secrets::new();
        let wire = noisy_encode(&mut entropy, &message, &mut secrets).into();
        let set = elements(&permitted);
        let plan = ReleasePlan::compile(&contract, &method(), Direction::Response, &set).unwrap();
        let permitted = permitted.into_iter().map(str::to_owned).collect();
        Self {
            message,
            wire,
            secrets,
            permitted,
            plan,
            contract,
        }
    }

    fn root(&self) -> MessageDescriptor {
        self.message.descriptor()
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..Default::default() })]

    #[test]
    fn only_permitted_values_cross_and_they_cross_unchanged(
        bytes in prop::collection::vec(any::<u8>(), 0..500)
    ) {
        let mut case = Case::draw(&bytes);
        let mut expected = case.message.clone();
        clear(&mut expected, false, &case.permitted, &mut case.secrets);

        let released = case.plan.filter(&case.wire).unwrap();
        let decoded = DynamicMessage::decode(case.root(), released.clone()).unwrap();
        prop_assert!(decoded == expected, "released {:x}", released);
        let text = String::from_utf8_lossy(&released);
        for secret in &case.secrets {
            prop_assert!(!text.contains(secret.as_str()), "{} crossed", secret);
        }

        // What was filtered passes again, untouched and not copied; a request like it is let through.
        let again = case.plan.filter(&released).unwrap();
        prop_assert_eq!(again.as_ptr(), released.as_ptr());
        prop_assert_eq!(case.plan.check(&released), Ok(()));
        match case.plan.check(&case.wire) {
            Ok(()) => prop_assert!(case.message == expected, "a request passed whole"),
            Err(CheckError::Unlisted { path }) => prop_assert!(!path.contains("canary")),
            Err(error) => prop_assert!(false, "{}", error),
        }
    }

    #[test]
    fn damaged_messages_are_refused_or_still_filtered(
        bytes in prop::collection::vec(any::<u8>(), 0..400),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let case = Case::draw(&bytes);
        let mut wire = case.wire.to_vec();
        for (at, byte) in damage {
            if !wire.is_empty() {
                let at = at.index(wire.len());
                wire[at] = byte;
            }
        }
        let _ = case.contract.subjects(&method(), Direction::Request, &wire, 100);
        let _ = case.plan.check(&wire);
        if let Ok(released) = case.plan.filter(&wire.into()) {
            // Any reader can read it, and a walk of it finds nothing to clear.
            let decoded = DynamicMessage::decode(case.root(), released.clone()).unwrap();
            let mut cleared = decoded.clone();
            clear(&mut cleared, false, &case.permitted, &mut Secrets::new());
            prop_assert!(decoded == cleared, "released {:x}", released);
            prop_assert_eq!(case.plan.filter(&released).unwrap(), released);
        }
    }

    #[test]
    fn arbitrary_bytes_never_panic(body in prop::collection::vec(any::<u8>(), 0..200)) {
        let contract = vital_events::contract();
        let permitted = elements(&["death.date", "person.number"]);
        for (method, direction) in [
            (vital_events::lookup(), Direction::Request),
            (vital_events::list(), Direction::Response),
        ] {
            let plan = ReleasePlan::compile(&contract, &method, direction, &permitted).unwrap();
            let _ = plan.check(&body);
            let _ = plan.filter(&Bytes::from(body.clone()));
            let _ = contract.subjects(&method, direction, &body, 100);
        }
        let _ = Contract::parse(&body, contract.service());
    }

    #[test]
    fn damaged_descriptor_sets_never_panic(
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        cut in any::<prop::sample::Index>(),
    ) {
        let service = vital_events::contract().service().clone();
        let mut set = VITAL_EVENTS_DESCRIPTOR_SET.to_vec();
        for (at, byte) in damage {
            let at = at.index(set.len());
            set[at] = byte;
        }
        let _ = Contract::parse(&set[..cut.index(set.len())], &service);
        if let Ok(contract) = Contract::parse(&set, &service) {
            let _ = contract.pool();
            for method in contract.methods() {
                let permitted = contract.elements(&method.name, Direction::Response).unwrap();
                ReleasePlan::compile(&contract, &method.name, Direction::Response, &permitted).unwrap();
            }
        }
    }
}

fn method() -> MethodName {
    "test.v1.S/M".parse().unwrap()
}
