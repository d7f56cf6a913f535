//! Senders that are not who they say, or no longer are.

use std::time::Duration;

use entente_clock::{Clock as _, ManualClock, SystemClock};
use entente_evidence::statement::Mode;
use entente_keys::Mode as SessionMode;
use entente_tests::hostile::{Forger, Session, stretched};
use entente_tests::town::at;

use super::support::{CONSUMER, Gate, refusal};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refuses_a_server_that_no_registry_knows() {
    let gate = Gate::open().await;
    let stranger = Forger::stranger(&gate.world).unwrap();
    let wire = stranger.dial(&gate.world.provider).unwrap();
    let draft = stranger.draft(&gate.world, &gate.world.provider).unwrap();
    let told = refusal(wire.send(gate.seal(draft).open).await);
    assert_eq!(told.reason, "PEER_UNKNOWN");
    let log = gate.close().await;
    assert_eq!(log.asked, 0);
    assert_eq!(log.story(), ["SUMMARY PEER_UNKNOWN nobody 1"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refuses_a_true_envelope_on_the_connection_of_another_server_and_says_whose_it_was() {
    let gate = Gate::open().await;
    let transport = gate.join().await;
    let thief = Forger::of(&gate.world, &transport).unwrap();
    let wire = thief.dial(&gate.world.provider).unwrap();
    let captured = gate.seal(gate.draft());
    let told = refusal(wire.send(captured.open.clone()).await);
    assert_eq!(told.reason, "PEER_UNTRUSTED");
    gate.answered(&captured).await;
    let log = gate.close().await;
    assert_eq!(log.asked, 2);
    let counted = "SUMMARY PEER_UNTRUSTED ca-demo/transport/@ss1 1";
    assert_eq!(log.story(), ["IN", "OUT", "IN", "OUT", counted]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refuses_a_true_envelope_on_a_connection_nobody_registered() {
    let gate = Gate::open().await;
    let stranger = Forger::stranger(&gate.world).unwrap();
    let wire = stranger.dial(&gate.world.provider).unwrap();
    let captured = gate.seal(gate.draft());
    let told = refusal(wire.send(captured.open.clone()).await);
    assert_eq!(told.reason, "PEER_UNTRUSTED");
    let log = gate.close().await;
    assert_eq!(log.asked, 0);
    assert_eq!(log.story(), ["SUMMARY PEER_UNTRUSTED nobody 1"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refuses_a_server_signing_for_a_system_it_may_not() {
    let gate = Gate::open().await;
    let transport = gate.join().await;
    let forger = Forger::of(&gate.world, &transport).unwrap();
    let gate = gate.with_forger(forger);
    let envelope = gate.forge(|says| says.sender = "ca-demo/pensions/benefits".parse().unwrap());
    assert_eq!(gate.denied(&envelope).await, "SENDER_NOT_ALLOWED");
    let log = gate.close().await;
    assert_eq!(log.asked, 1);
    let denied = "DENIED SENDER_NOT_ALLOWED ca-demo/transport/@ss1";
    assert_eq!(log.story(), ["IN", "OUT", denied]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refuses_a_server_that_says_it_logs_in_the_ledger_of_another() {
    let gate = Gate::open().await;
    let envelope = gate.forge(|says| {
        says.log = "ss1.transport.ca-demo/access/2026h2.1".parse().unwrap();
    });
    assert_eq!(gate.denied(&envelope).await, "SENDER_NOT_ALLOWED");
    let log = gate.close().await;
    assert_eq!(log.asked, 0);
    assert_eq!(
        log.story(),
        [format!("DENIED SENDER_NOT_ALLOWED {CONSUMER}")]
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refuses_an_expired_session_certificate() {
    refuses_a_session("SESSION_EXPIRED", |gate| {
        let until = gate.world.now().saturating_sub(Duration::from_secs(2));
        let from = until.saturating_sub(12 * HOUR);
        let keys = &gate.forger.keys;
        Session::issue(
            &*keys.server,
            &gate.forger.server,
            SessionMode::Live,
            from,
            until,
        )
        .unwrap()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refuses_a_session_certificate_that_is_not_valid_yet() {
    refuses_a_session("SESSION_INVALID", |gate| {
        let from = gate.world.now().saturating_add(Duration::from_secs(90));
        let until = from.saturating_add(HOUR);
        let keys = &gate.forger.keys;
        Session::issue(
            &*keys.server,
            &gate.forger.server,
            SessionMode::Live,
            from,
            until,
        )
        .unwrap()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refuses_a_session_certificate_for_more_than_24_hours() {
    refuses_a_session("SESSION_INVALID", |gate| {
        let mut session = gate.forger.session.clone();
        let signer = &*gate.forger.keys.server;
        session.chain = vec![stretched(&session.chain[0], signer).unwrap()];
        session
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refuses_a_session_certificate_signed_by_the_key_of_another_server() {
    refuses_a_session("SESSION_INVALID", |gate| {
        let stranger = Forger::stranger(&gate.world).unwrap();
        let (from, until) = gate.hours_around();
        let key = &*stranger.keys.server;
        Session::issue(key, &gate.forger.server, SessionMode::Live, from, until).unwrap()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refuses_a_session_certificate_that_names_another_server() {
    refuses_a_session("SESSION_INVALID", |gate| {
        let (from, until) = gate.hours_around();
        let other = "ca-demo/pensions/@ss2".parse().unwrap();
        let key = &*gate.forger.keys.server;
        Session::issue(key, &other, SessionMode::Live, from, until).unwrap()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refuses_a_session_certificate_of_another_key_than_the_statement_is_signed_with() {
    refuses_a_session("SESSION_INVALID", |gate| {
        let (from, until) = gate.hours_around();
        let key = &*gate.forger.keys.server;
        let server = &gate.forger.server;
        let other = Session::issue(key, server, SessionMode::Live, from, until).unwrap();
        Session {
            key: gate.forger.session.key.clone(),
            chain: other.chain,
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refuses_a_test_session_that_signs_live() {
    let gate = Gate::open().await;
    let mut draft = gate.draft();
    draft.session = gate.session_in(SessionMode::Test);
    assert_eq!(
        gate.refused(&gate.seal(draft).open).await,
        "SESSION_INVALID"
    );
    ends_counted(gate, "SESSION_INVALID").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refuses_a_live_session_that_signs_test() {
    let gate = Gate::open().await;
    let mut draft = gate.draft();
    draft.statement.mode = Mode::Test;
    draft.parties.mode = Mode::Test;
    assert_eq!(
        gate.refused(&gate.seal(draft).open).await,
        "SESSION_INVALID"
    );
    ends_counted(gate, "SESSION_INVALID").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_test_request_never_reaches_the_live_system() {
    let gate = Gate::open().await;
    let mut draft = gate.draft();
    draft.session = gate.session_in(SessionMode::Test);
    draft.statement.mode = Mode::Test;
    draft.parties.mode = Mode::Test;
    let envelope = gate.seal(draft);
    let open = gate.wire.send(envelope.open.clone()).await.unwrap();
    assert!(open.sealed.is_empty(), "a fault, not an answer");
    let log = gate.close().await;
    assert_eq!(log.asked, 0);
    assert_eq!(log.story(), ["IN", "OUT"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refuses_a_session_it_accepted_once_that_session_is_over() {
    let clock = ManualClock::at(SystemClock.now());
    let gate = Gate::open_with(at(&clock), "").await;
    let now = gate.world.now();
    let until = now.saturating_add(Duration::from_secs(60));
    let keys = &gate.forger.keys;
    let session = Session::issue(
        &*keys.server,
        &gate.forger.server,
        SessionMode::Live,
        now,
        until,
    )
    .unwrap();
    let mut draft = gate.draft();
    draft.session = session.clone();
    gate.answered(&gate.seal(draft)).await;
    clock.advance(Duration::from_secs(62));
    let mut draft = gate.draft();
    draft.session = session;
    assert_eq!(
        gate.refused(&gate.seal(draft).open).await,
        "SESSION_EXPIRED"
    );
    let log = gate.close().await;
    assert_eq!(log.asked, 1);
    let counted = format!("SUMMARY SESSION_EXPIRED {CONSUMER} 1");
    assert_eq!(log.story(), ["IN", "OUT", &counted]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refuses_a_revoked_session_within_seconds_and_takes_a_new_one() {
    let gate = Gate::open().await;
    gate.answered(&gate.seal(gate.draft())).await;
    let revoked = gate.world.now().saturating_sub(Duration::from_secs(60));
    let site = &gate.world.consumer;
    gate.world.revoke_sessions(site, revoked).await.unwrap();
    let (_, status) = gate.until_refused(|| gate.draft()).await;
    assert_eq!(refusal(status).reason, "SESSION_REVOKED");
    let asked = gate.source.asked();
    let (keys, now) = (&gate.forger.keys, gate.world.now());
    let until = now.saturating_add(HOUR);
    let mut draft = gate.draft();
    draft.session = Session::issue(
        &*keys.server,
        &gate.forger.server,
        SessionMode::Live,
        now,
        until,
    )
    .unwrap();
    gate.answered(&gate.seal(draft)).await;
    let log = gate.close().await;
    assert_eq!(log.asked, asked + 1);
    let story = log.story();
    let counted = format!("SUMMARY SESSION_REVOKED {CONSUMER} 1");
    assert_eq!(story.last(), Some(&counted));
    assert_eq!(story.len(), 2 * log.asked + 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refuses_a_seal_session_set_up_in_the_name_of_another() {
    let gate = Gate::open().await;
    let transport = gate.join().await;
    let honest = gate.seal(gate.draft());
    gate.answered(&honest).await;
    let forger = Forger::of(&gate.world, &transport).unwrap();
    let gate = gate.with_forger(forger);

    let mut draft = gate.draft();
    draft.parties.sender = CONSUMER.parse().unwrap();
    let fresh = gate.seal(draft);
    assert_eq!(gate.denied(&fresh).await, "SEAL_INVALID");
    // The other's own session, which the provider knows: as that of the thief it knows it not.
    let stolen = gate
        .draft()
        .seal_under(honest.seal_session().clone())
        .unwrap();
    assert_eq!(gate.denied(&stolen).await, "SEAL_INVALID");
    let mut named = stolen.open;
    named.seal.as_mut().unwrap().enc.clear();
    assert_eq!(gate.refused(&named).await, "SESSION_UNKNOWN");

    let log = gate.close().await;
    assert_eq!(log.asked, 2);
    let denied = "DENIED SEAL_INVALID ca-demo/transport/@ss1";
    let story = ["IN", "OUT", "IN", "OUT", denied, denied];
    assert_eq!(log.story(), story);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refuses_a_live_request_sealed_under_a_test_session() {
    let gate = Gate::open().await;
    let mut draft = gate.draft();
    draft.parties.mode = Mode::Test;
    assert_eq!(gate.denied(&gate.seal(draft)).await, "SEAL_INVALID");
    let log = gate.close().await;
    assert_eq!(log.asked, 0);
    assert_eq!(log.story(), [format!("DENIED SEAL_INVALID {CONSUMER}")]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refuses_a_suspended_member_within_seconds_with_an_entry_and_a_signed_fault() {
    let gate = Gate::open().await;
    gate.answered(&gate.seal(gate.draft())).await;
    gate.world.suspend(&gate.world.consumer).await.unwrap();
    let (envelope, open) = gate.until_refused(|| gate.draft()).await;
    assert_eq!(gate.fault(&envelope, &open.unwrap()), "MEMBER_SUSPENDED");
    let asked = gate.source.asked();
    let log = gate.close().await;
    assert_eq!(log.asked, asked);
    let denied = format!("DENIED MEMBER_SUSPENDED {CONSUMER}");
    assert_eq!(log.story().last(), Some(&denied));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refuses_a_registered_server_with_no_agreement() {
    let gate = Gate::open().await;
    let transport = gate.join().await;
    let forger = Forger::of(&gate.world, &transport).unwrap();
    let gate = gate.with_forger(forger);
    let envelope = gate.seal(gate.draft());
    assert_eq!(gate.denied(&envelope).await, "NO_AGREEMENT");
    let log = gate.close().await;
    assert_eq!(log.asked, 1);
    let denied = "DENIED NO_AGREEMENT ca-demo/transport/@ss1";
    assert_eq!(log.story(), ["IN", "OUT", denied]);
}

async fn refuses_a_session(reason: &str, session: impl FnOnce(&Gate) -> Session) {
    let gate = Gate::open().await;
    let mut draft = gate.draft();
    draft.session = session(&gate);
    assert_eq!(gate.refused(&gate.seal(draft).open).await, reason);
    ends_counted(gate, reason).await;
}

/// Nothing but a summary, and no session of the sender was accepted or logged.
async fn ends_counted(gate: Gate, reason: &str) {
    let log = gate.close().await;
    assert_eq!(log.asked, 0);
    assert_eq!(log.story(), [format!("SUMMARY {reason} {CONSUMER} 1")]);
}

const HOUR: Duration = Duration::from_secs(3600);
