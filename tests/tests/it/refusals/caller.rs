//! Calls of local systems that this server refuses: nothing leaves it.

use std::sync::Arc;

use bytes::Bytes;
use entente_keys::LocalToken;
use entente_ledger::entry::{Attempt, DeniedCall};
use entente_security_server::Deps;
use entente_tests::ticker;
use entente_tests::world::{Consumer, METHOD, PURPOSE, lookup};

use super::support::{Refused, Window, refusal, within_5_s};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refuses_a_caller_that_names_another_system() {
    refuses(
        "CALLER_MISMATCH",
        &[("entente-from", "ca-demo/pensions/audit")],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refuses_a_caller_without_the_right_token_on_a_loopback_door() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("token");
    let token = dir.path().join("own");
    LocalToken::create(&path).unwrap();
    let (right, wrong) = (std::fs::read_to_string(&path), LocalToken::create(&token));
    wrong.unwrap();
    let wrong = std::fs::read_to_string(&token).unwrap();
    let door = format!(
        "    - loopback: {{listen: \"127.0.0.1:0\", token: {{file: {}}}}}\n",
        path.display()
    );
    let window = Window::open_with_door(Deps::real(), &door).await;
    let (system, endpoint) = window.consumer.caller_endpoints()[1].clone();
    assert_eq!(system, window.world.consumer.system);
    let caller = Consumer::at_endpoint(endpoint);
    let purpose = ("entente-purpose", "RESEARCH");
    for more in [&[purpose][..], &[purpose, ("entente-token", wrong.trim())]] {
        let told = refusal(caller.ask(lookup("046454286"), more).await);
        assert_eq!(told.reason, "CALLER_UNKNOWN");
        assert_eq!(told.code, tonic::Code::Unauthenticated);
    }
    // With the right one it is a caller, who may be denied.
    let right = right.unwrap();
    let more = [purpose, ("entente-token", right.trim())];
    let told = refusal(caller.ask(lookup("046454286"), &more).await);
    assert_eq!(told.reason, "PURPOSE_NOT_AGREED");
    let story = window.close().await.story();
    let denied = "DENIED PURPOSE_NOT_AGREED ca-demo/pensions/benefits";
    assert_eq!(story, [denied, "SUMMARY CALLER_UNKNOWN nobody 2"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refuses_a_call_without_a_purpose() {
    refuses("PURPOSE_MISSING", &[("entente-purpose", "")]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refuses_a_purpose_that_is_not_agreed_and_names_those_that_are() {
    let window = Window::open().await;
    let status = window
        .ask(&[("entente-purpose", "RESEARCH")])
        .await
        .unwrap_err();
    let told = entente_proto::status::Told::from_status(&status).unwrap();
    assert_eq!(told.reason, "PURPOSE_NOT_AGREED");
    assert_eq!(told.metadata["allowed"], PURPOSE);
    let log = window.close().await;
    let denied = log.denials().next().unwrap();
    let attempt = Attempt {
        system: Some("ca-demo/pensions/benefits".to_owned()),
        to: Some("ca-demo/vital-events/registry".to_owned()),
        method: Some(METHOD.to_owned()),
        purpose: Some("RESEARCH".to_owned()),
        agreement: None,
        elements: Vec::new(),
    };
    assert_eq!(denied.call, DeniedCall::Attempt(attempt));
    assert_eq!(log.story().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refuses_an_element_that_is_not_agreed() {
    let elements = ("entente-elements", "death.date,death.cause");
    refuses("ELEMENT_NOT_AGREED", &[elements]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refuses_a_field_the_contract_does_not_list() {
    let body = [&lookup("046454286")[..], &[9 << 3 | 2, 1, b'x']].concat();
    refuses_at(&format!("/{METHOD}"), "FIELD_NOT_AGREED", body.into(), &[]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refuses_a_body_that_is_not_the_message_of_the_method() {
    let body = Bytes::from_static(&[0x0a, 200]);
    refuses_at(&format!("/{METHOD}"), "REQUEST_MALFORMED", body, &[]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refuses_a_method_that_does_not_exist() {
    let path = "/entente.demo.vitalevents.v1.VitalEvents/Everything";
    refuses_at(path, "UNKNOWN_METHOD", lookup("046454286"), &[]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refuses_a_path_that_is_no_method_with_an_entry() {
    refuses_at("/everything", "UNKNOWN_METHOD", lookup("046454286"), &[]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refuses_a_method_that_is_not_agreed() {
    let path = "/entente.demo.vitalevents.v1.VitalEvents/ListDeaths";
    refuses_at(path, "NO_AGREEMENT", Bytes::new(), &[]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refuses_a_service_that_is_not_offered() {
    let path = "/entente.demo.births.v1.Births/Lookup";
    refuses_at(path, "UNKNOWN_SERVICE", lookup("046454286"), &[]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refuses_a_system_that_no_server_speaks_for() {
    let to = ("entente-to", "ca-demo/vital-events/archive");
    refuses("UNKNOWN_SYSTEM", &[to]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refuses_a_member_that_is_not_there() {
    refuses("UNKNOWN_MEMBER", &[("entente-to", "ca-demo/nobody/none")]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refuses_an_agreement_that_does_not_exist() {
    refuses("NO_AGREEMENT", &[("entente-agreement", "DEMO-777")]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refuses_metadata_it_does_not_know() {
    refuses("METADATA_INVALID", &[("entente-purposes", "RESEARCH")]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refuses_a_streaming_method_for_now() {
    let window = Window::open().await;
    ticker::agree(&window.world).await.unwrap();
    let path = format!("/{}", ticker::METHOD);
    // The agreement is a moment old: until it is heard of, the service is not there.
    let told = within_5_s(async {
        loop {
            let told = refusal(window.system.call(&path, Bytes::new(), &[]).await);
            if told.reason == "STREAMING_LATER" {
                return told;
            }
        }
    })
    .await;
    assert_eq!(told.code, tonic::Code::Unimplemented);
    let log = window.close().await;
    let streaming = "DENIED STREAMING_LATER ca-demo/pensions/benefits";
    let story = log.story();
    let refused_only = |entry: &String| entry.starts_with("DENIED") || entry.starts_with("SUMMARY");
    assert!(story.iter().all(refused_only), "{story:?}");
    assert!(
        story
            .iter()
            .any(|entry| entry == streaming || entry.contains("STREAMING_LATER")),
        "{story:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refuses_within_seconds_of_a_revocation_and_without_a_restart() {
    let window = Window::open().await;
    let world = &window.world;
    let source = world.serve_source().await.unwrap();
    let provider = world.start(&world.provider, Deps::real()).await.unwrap();
    window.ask(&[]).await.unwrap();
    world.revoke().await.unwrap();
    let told = within_5_s(async {
        loop {
            if let Err(status) = window.ask(&[]).await {
                return refusal::<()>(Err(status));
            }
        }
    })
    .await;
    assert_eq!(told.reason, "AGREEMENT_REVOKED");
    let asked = source.asked();
    assert_eq!(window.refused(&[]).await.reason, "AGREEMENT_REVOKED");
    assert_eq!(source.asked(), asked);
    provider.shutdown().await;
    let story = window.close().await.story();
    let denied = "DENIED AGREEMENT_REVOKED ca-demo/pensions/benefits";
    assert_eq!(story.last().map(String::as_str), Some(denied));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refuses_within_seconds_of_a_suspension_of_the_provider() {
    let window = Arc::new(Window::open().await);
    window.world.suspend(&window.world.provider).await.unwrap();
    let told: Refused = within_5_s(async {
        loop {
            // Until it hears of it: nobody listens at the provider's address here.
            let told = window.refused(&[]).await;
            if told.reason != "PEER_UNREACHABLE" {
                return told;
            }
        }
    })
    .await;
    assert_eq!(told.reason, "MEMBER_SUSPENDED");
}

async fn refuses(reason: &str, more: &[(&str, &str)]) {
    refuses_at(&format!("/{METHOD}"), reason, lookup("046454286"), more).await;
}

async fn refuses_at(path: &str, reason: &str, body: Bytes, more: &[(&str, &str)]) {
    let window = Window::open().await;
    let told = refusal(window.system.call(path, body, more).await);
    assert_eq!(told.reason, reason);
    let catalogued = entente_reason::Reason::parse(reason).unwrap();
    assert_eq!(told.at, catalogued.at().as_str());
    assert_eq!(told.code, tonic::Code::from_i32(catalogued.grpc().0));
    let denied = format!("DENIED {reason} ca-demo/pensions/benefits");
    assert_eq!(window.close().await.story(), [denied]);
}
