//! Requests that are genuine and not agreed, or decided under another registry.

use std::time::Duration;

use entente_evidence::commitment::Subject;
use entente_evidence::opening::Openings;
use entente_evidence::statement::{Body, Statement};
use entente_signing::Digest;
use entente_tests::hostile::Draft;
use entente_tests::ticker;
use entente_tests::world::lookup;

use super::support::{CONSUMER, Gate};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refuses_a_purpose_that_is_not_agreed() {
    refuses("PURPOSE_NOT_AGREED", |says| {
        says.purpose = "RESEARCH".parse().unwrap()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refuses_an_element_that_is_not_agreed() {
    refuses("ELEMENT_NOT_AGREED", |says| {
        let Body::Request { asked, .. } = &mut says.body else {
            unreachable!("a draft is a request")
        };
        asked.insert("death.cause".parse().unwrap());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refuses_a_field_the_contract_does_not_list() {
    let gate = Gate::open().await;
    let mut draft = gate.draft();
    let payload = [&lookup("046454286")[..], &[9 << 3 | 2, 1, b'x']].concat();
    let subject = Subject::new("ca.sin", "046454286").unwrap();
    let openings = Openings::builder()
        .payload(bytes::Bytes::from(payload))
        .subjects(&[subject]);
    draft.say(openings.build().unwrap());
    assert_eq!(gate.denied(&gate.seal(draft)).await, "FIELD_NOT_AGREED");
    ends_denied(gate, "FIELD_NOT_AGREED").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refuses_a_method_that_is_not_agreed() {
    refuses("NO_AGREEMENT", |says| {
        let method = "entente.demo.vitalevents.v1.VitalEvents/ListDeaths";
        says.method = method.parse().unwrap();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refuses_a_method_that_does_not_exist() {
    refuses("UNKNOWN_METHOD", |says| {
        let method = "entente.demo.vitalevents.v1.VitalEvents/Everything";
        says.method = method.parse().unwrap();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refuses_a_service_that_is_not_offered() {
    refuses("UNKNOWN_SERVICE", |says| {
        says.method = "entente.demo.births.v1.Births/Lookup".parse().unwrap();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refuses_an_agreement_that_does_not_exist() {
    refuses("NO_AGREEMENT", |says| {
        says.agreement = Digest::of(b"an agreement nobody signed")
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refuses_a_clause_that_does_not_exist() {
    refuses("NO_AGREEMENT", |says| says.clause = 2).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refuses_a_revoked_agreement_within_seconds_and_without_a_restart() {
    let gate = Gate::open().await;
    gate.answered(&gate.seal(gate.draft())).await;
    gate.world.revoke().await.unwrap();
    let (envelope, open) = gate.until_refused(|| gate.draft()).await;
    assert_eq!(gate.fault(&envelope, &open.unwrap()), "AGREEMENT_REVOKED");
    let asked = gate.source.asked();
    let log = gate.close().await;
    assert_eq!(log.asked, asked);
    let denied = format!("DENIED AGREEMENT_REVOKED {CONSUMER}");
    assert_eq!(log.story().last(), Some(&denied));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refuses_a_streaming_method_for_now() {
    let gate = Gate::open().await;
    let (agreement, method) = ticker::agree(&gate.world).await.unwrap();
    let mut draft: Draft = gate.draft();
    draft.statement.agreement = agreement;
    draft.statement.method = method;
    let Body::Request { asked, .. } = &mut draft.statement.body else {
        unreachable!("a draft is a request")
    };
    *asked = ["tick.count".parse().unwrap()].into();
    assert_eq!(gate.denied(&gate.seal(draft)).await, "STREAMING_LATER");
    ends_denied(gate, "STREAMING_LATER").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refuses_another_registry_of_the_same_size_and_keeps_the_evidence() {
    let gate = Gate::open().await;
    let envelope = gate.forge(|says| {
        for view in says.views.values_mut() {
            view.root = Digest::of(b"another tree");
        }
    });
    assert_eq!(gate.denied(&envelope).await, "REGISTRY_SPLIT");
    // The promise that `denied` checked: the entry holds the statement, signed by whom it shows up.
    ends_denied(gate, "REGISTRY_SPLIT").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refuses_another_registry_in_an_older_view() {
    refuses("REGISTRY_SPLIT", |says| {
        for view in says.views.values_mut() {
            view.size -= 2;
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn waits_two_seconds_for_a_registry_view_that_does_not_exist() {
    let gate = Gate::open().await;
    let envelope = gate.forge(|says| {
        for view in says.views.values_mut() {
            view.size += 1;
        }
    });
    let denied = gate.denied(&envelope);
    let denied = tokio::time::timeout(Duration::from_millis(3_500), denied).await;
    assert_eq!(denied.unwrap(), "REGISTRY_BEHIND");
    ends_denied(gate, "REGISTRY_BEHIND").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refuses_a_request_decided_under_no_view_of_our_registry() {
    refuses("REGISTRY_BEHIND", |says| {
        let view = *says.views.values().next().unwrap();
        says.views = [("registry.ca-else/changes".parse().unwrap(), view)].into();
    })
    .await;
}

async fn refuses(reason: &str, change: impl FnOnce(&mut Statement)) {
    let gate = Gate::open().await;
    assert_eq!(gate.denied(&gate.forge(change)).await, reason);
    ends_denied(gate, reason).await;
}

async fn ends_denied(gate: Gate, reason: &str) {
    let log = gate.close().await;
    assert_eq!(log.asked, 0);
    assert_eq!(log.story(), [format!("DENIED {reason} {CONSUMER}")]);
}
