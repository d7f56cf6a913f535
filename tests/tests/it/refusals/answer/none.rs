//! No answer: a refusal by the provider's server, an error nobody signed, silence.

use entente_tests::hostile::{Forger, Impostor, Says};
use tonic::Status;

use super::super::support::Window;
use super::{INVALID, by_provider, refused_as, sealed, unsigned};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_signed_refusal_is_logged_and_its_reason_told() {
    let window = Window::open().await;
    window
        .before(|forger, heard| {
            let reply = heard.fault(forger, refused_as("AGREEMENT_SUSPENDED"))?;
            sealed(reply, heard)
        })
        .await;
    assert_eq!(
        window.refused(&[]).await,
        by_provider("AGREEMENT_SUSPENDED")
    );
    assert_eq!(window.close().await.story(), ["OUT", "IN"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refusal_for_a_reason_of_a_later_version_is_logged_and_told_as_no_answer() {
    let window = Window::open().await;
    window
        .before(|forger, heard| sealed(heard.fault(forger, refused_as("WRONG_MOON"))?, heard))
        .await;
    assert_eq!(window.refused(&[]).await, by_provider("INVALID_ANSWER"));
    assert_eq!(window.close().await.story(), ["OUT", "IN"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn honours_the_hint_that_a_session_is_unknown_once_and_with_the_same_bytes() {
    let window = Window::open().await;
    let impostor = window.before(|_, _| Ok(unsigned("SESSION_UNKNOWN"))).await;
    assert_eq!(window.refused(&[]).await, by_provider("SESSION_UNKNOWN"));
    let heard = impostor.heard();
    assert_eq!(heard.len(), 2);
    assert_eq!(heard[0].statement, heard[1].statement);
    assert_eq!(heard[0].sealed, heard[1].sealed);
    assert!(!heard[1].session_chain.is_empty());
    assert_eq!(window.close().await.story(), ["OUT", INVALID]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unsigned_reason_that_a_server_would_have_signed_leaves_the_outcome_unknown() {
    let cases = [
        ("CALLER_UNKNOWN", "OUTCOME_UNKNOWN"),
        ("NO_AGREEMENT", "OUTCOME_UNKNOWN"),
        ("NO_RECORD", "OUTCOME_UNKNOWN"),
        ("SOURCE_DOWN", "OUTCOME_UNKNOWN"),
        ("LOG_UNAVAILABLE", "LOG_UNAVAILABLE"),
        ("OVERLOADED", "OVERLOADED"),
    ];
    let window = Window::open().await;
    window
        .before(move |_, heard| Ok(unsigned(cases[heard.before].0)))
        .await;
    for (_, told) in cases {
        assert_eq!(window.refused(&[]).await, by_provider(told));
    }
    let story = window.close().await.story();
    let invalid = story.iter().filter(|entry| *entry == INVALID).count();
    assert_eq!((story.len(), invalid), (2 * cases.len(), cases.len()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_status_without_a_reason_leaves_the_outcome_unknown() {
    let window = Window::open().await;
    window
        .before(|_, _| Ok(Says::Status(Status::internal("it broke"))))
        .await;
    assert_eq!(window.refused(&[]).await, by_provider("OUTCOME_UNKNOWN"));
    assert_eq!(window.close().await.story(), ["OUT", "OUTCOME Timeout"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn silence_until_the_deadline_leaves_the_outcome_unknown() {
    let window = Window::open().await;
    window.before(|_, _| Ok(Says::Nothing)).await;
    let told = window.refused(&[("grpc-timeout", "1500m")]).await;
    assert_eq!(told, by_provider("OUTCOME_UNKNOWN"));
    assert_eq!(window.close().await.story(), ["OUT", "OUTCOME Timeout"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sends_nothing_to_a_server_without_the_registered_tls_key() {
    let window = Window::open().await;
    let stranger = Forger::stranger(&window.world).unwrap();
    let provider = &window.world.provider;
    let impostor = Impostor::serve(provider, stranger, |_, _| Ok(Says::Nothing)).await;
    assert_eq!(window.refused(&[]).await, by_provider("PEER_UNTRUSTED"));
    assert!(impostor.unwrap().heard().is_empty());
    assert_eq!(window.close().await.story(), ["OUT", "OUTCOME Timeout"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn says_that_nobody_is_there() {
    let window = Window::open().await;
    assert_eq!(window.refused(&[]).await, by_provider("PEER_UNREACHABLE"));
    assert_eq!(window.close().await.story(), ["OUT", "OUTCOME Timeout"]);
}
