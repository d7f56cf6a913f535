//! Many at once: denials are joined, and nobody takes more than a share.

use std::sync::Arc;
use std::time::Duration;

use entente_clock::{Clock as _, ManualClock, SystemClock};
use entente_proto::oversight::v1::ListLedgersRequest;
use entente_security_server::Deps;
use entente_tests::hostile::{Forger, Heard, Says, openings_about};
use entente_tests::town::at;
use tokio::net::UnixListener;
use tokio::sync::Notify;
use tokio::task::JoinSet;

use super::support::{CONSUMER, Gate, Log, Window, refusal, released, within_5_s};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn joins_denials_of_a_peer_beyond_ten_a_second() {
    let clock = ManualClock::at(SystemClock.now());
    let gate = Gate::open_with(at(&clock), "").await;
    let spoilt = || {
        let mut draft = gate.draft();
        draft.openings = openings_about("130692544").unwrap();
        gate.seal(draft)
    };
    for _ in 0..10 {
        assert_eq!(gate.denied(&spoilt()).await, "COMMITMENT_MISMATCH");
    }
    for _ in 0..5 {
        assert_eq!(gate.refused(&spoilt().open).await, "OVERLOADED");
    }
    clock.advance(Duration::from_secs(1));
    assert_eq!(gate.denied(&spoilt()).await, "COMMITMENT_MISMATCH");
    let log = gate.close().await;
    assert_eq!(log.asked, 0);
    assert_joined(&log, "COMMITMENT_MISMATCH", CONSUMER);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn joins_denials_of_a_local_system_beyond_ten_a_second() {
    let clock = ManualClock::at(SystemClock.now());
    let window = Window::open_with(at(&clock), "").await;
    let wrong = [("entente-purpose", "RESEARCH")];
    for _ in 0..15 {
        assert_eq!(window.refused(&wrong).await.reason, "PURPOSE_NOT_AGREED");
    }
    clock.advance(Duration::from_secs(1));
    assert_eq!(window.refused(&wrong).await.reason, "PURPOSE_NOT_AGREED");
    let log = window.close().await;
    assert_joined(&log, "PURPOSE_NOT_AGREED", "ca-demo/pensions/benefits");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refuses_a_peer_more_than_its_share_of_what_may_be_in_flight() {
    let gate = Gate::open_with(Deps::real(), SHARES).await;
    // In place of the system: a socket where nobody ever answers.
    let socket = gate.world.provider.source_socket();
    std::fs::remove_file(&socket).unwrap();
    let _silent = UnixListener::bind(&socket).unwrap();
    // Drafting opens the server's key folder, which sweeps it: done before the server makes a key.
    let envelopes = [(); 3].map(|()| gate.seal(gate.draft()));
    let mut calls = JoinSet::new();
    for envelope in envelopes {
        let wire = gate.wire.clone();
        calls.spawn(async move { wire.send(envelope.open).await });
    }
    let first = within_5_s(calls.join_next()).await.unwrap();
    let told = refusal(first.unwrap());
    assert_eq!(told.reason, "OVERLOADED");
    assert_eq!(told.code, tonic::Code::ResourceExhausted);
    calls.shutdown().await;
    let log = gate.close().await;
    assert_eq!(log.asked, 0);
    let story = log.story();
    let count = |word: &str| story.iter().filter(|entry| *entry == word).count();
    // The two that were let in had reached the system, as far as we can know: their end is logged.
    assert_eq!((count("IN"), count("OUT")), (2, 2), "{story:?}");
    let counted = format!("SUMMARY OVERLOADED {CONSUMER} 1");
    assert_eq!(count(&counted), 1, "{story:?}");
}

/// Reading its ledger is in the share too: a peer cannot hold a server up with proofs either.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refuses_a_peer_that_reads_the_ledger_beyond_its_share() {
    let gate = Gate::open_with(Deps::real(), SHARES).await;
    let socket = gate.world.provider.source_socket();
    std::fs::remove_file(&socket).unwrap();
    let _silent = UnixListener::bind(&socket).unwrap();
    let mut ledger = gate.wire.ledger();
    let ask = ListLedgersRequest::default();
    ledger.list_ledgers(ask).await.unwrap();
    let mut calls = JoinSet::new();
    for envelope in [(); 2].map(|()| gate.seal(gate.draft())) {
        let wire = gate.wire.clone();
        calls.spawn(async move { wire.send(envelope.open).await });
    }
    let refused = within_5_s(async {
        loop {
            if let Err(refused) = ledger.list_ledgers(ask).await {
                return refused;
            }
        }
    });
    assert_eq!(refusal::<()>(Err(refused.await)).reason, "OVERLOADED");
    calls.shutdown().await;
    gate.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refuses_a_local_system_more_than_its_share_of_what_may_be_in_flight() {
    let window = Arc::new(Window::open_with(Deps::real(), SHARES).await);
    window.before(|_, _| Ok(Says::Nothing)).await;
    let mut calls = JoinSet::new();
    for _ in 0..3 {
        let window = Arc::clone(&window);
        calls.spawn(async move { window.ask(&[]).await });
    }
    let first = within_5_s(calls.join_next()).await.unwrap();
    let told = refusal(first.unwrap());
    assert_eq!(told.reason, "OVERLOADED");
    assert_eq!(told.code, tonic::Code::ResourceExhausted);
    calls.shutdown().await;
    let log = Arc::into_inner(window).unwrap().close().await;
    let story = log.story();
    let count = |word: &str| story.iter().filter(|entry| *entry == word).count();
    assert_eq!(count("OUT"), 2, "{story:?}");
    assert_eq!(count("OUTCOME Cancelled"), 2, "{story:?}");
    let counted = "SUMMARY OVERLOADED ca-demo/pensions/benefits 1";
    assert_eq!(count(counted), 1, "{story:?}");
}

/// Eleven entries, and one summary of the five between the tenth and the eleventh.
/// HTTP/2 gives a connection up, and every call on it, after 1,024 frames for streams it had reset.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_ends_late_is_used_at_once_and_read_to_its_end() {
    let window = Window::open().await;
    let (told, ended) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (end, ends) = (Arc::clone(&told), Arc::clone(&ended));
    let says = move |forger: &Forger, heard: &Heard| {
        let open = heard.response(forger, released())?.seal(heard)?;
        let (end, ends) = (Arc::clone(&end), Arc::clone(&ends));
        let end = async move {
            end.notified().await;
            ends.notify_one();
        };
        Ok(Says::OpenUntil(Box::new(open), Box::pin(end)))
    };
    let _impostor = window.before(says).await;
    for _ in 0..8 {
        let answered = window.ask(&[]).await.unwrap();
        assert_eq!(answered.into_inner(), released());
        told.notify_one();
        // Were the stream reset, its end would never be reached.
        within_5_s(ended.notified()).await;
    }
    window.close().await;
}

fn assert_joined(log: &Log, reason: &str, party: &str) {
    let story = log.story();
    let denied = format!("DENIED {reason} {party}");
    assert_eq!(log.denials().count(), 11, "{story:?}");
    assert!(story.iter().filter(|entry| **entry == denied).count() == 11);
    let joined = format!("SUMMARY {reason} {party} 5");
    assert!(story.contains(&joined), "{story:?}");
    assert_eq!(story.len(), 12);
}

/// Two calls for each party.
const SHARES: &str = "limits: {in_flight: 10, share_percent: 20}\n";
