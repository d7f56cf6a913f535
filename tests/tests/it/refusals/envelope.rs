//! Envelopes that are not what was signed, not for us, not fresh or not new.

use std::time::Duration;

use entente_evidence::opening::Openings;
use entente_evidence::seal::SendSession;
use entente_evidence::statement::Body;
use entente_proto::exchange::v1 as wire;
use entente_tests::hostile::{Envelope, openings_about};
use entente_tests::world::lookup;

use super::support::{CONSUMER, Gate, refusal};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_honest_envelope_is_answered_so_what_the_others_change_is_what_refuses_them() {
    let gate = Gate::open().await;
    gate.answered(&gate.seal(gate.draft())).await;
    let log = gate.close().await;
    assert_eq!(log.asked, 1);
    assert_eq!(log.story(), ["IN", "OUT"]);
    assert_eq!(log.sessions_of(CONSUMER), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refuses_a_replayed_envelope_and_counts_it() {
    let gate = Gate::open().await;
    let envelope = gate.seal(gate.draft());
    gate.answered(&envelope).await;
    for _ in 0..2 {
        assert_eq!(gate.refused(&envelope.open).await, "REPLAYED");
    }
    let log = gate.close().await;
    assert_eq!(log.asked, 1);
    assert_eq!(log.story(), ["IN", "OUT", &counted("REPLAYED", 2)]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refuses_a_replayed_envelope_after_a_restart_as_before_it() {
    let gate = Gate::open().await;
    let envelope = gate.seal(gate.draft());
    gate.answered(&envelope).await;
    let gate = gate.restart().await;
    assert_eq!(gate.refused(&envelope.open).await, "REPLAYED");
    let log = gate.close().await;
    assert_eq!(log.asked, 1);
    assert_eq!(log.story(), ["IN", "OUT", &counted("REPLAYED", 1)]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_denied_request_is_a_replay_when_it_comes_again_and_after_a_restart_too() {
    let gate = Gate::open().await;
    let envelope = gate.forge(|says| says.purpose = "RESEARCH".parse().unwrap());
    assert_eq!(gate.denied(&envelope).await, "PURPOSE_NOT_AGREED");
    assert_eq!(gate.refused(&envelope.open).await, "REPLAYED");
    let gate = gate.restart().await;
    assert_eq!(gate.refused(&envelope.open).await, "REPLAYED");
    let log = gate.close().await;
    assert_eq!(log.asked, 0);
    let denied = format!("DENIED PURPOSE_NOT_AGREED {CONSUMER}");
    let counted = counted("REPLAYED", 1);
    assert_eq!(log.story(), [denied, counted.clone(), counted]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refuses_the_same_message_id_under_another_statement() {
    let gate = Gate::open().await;
    let first = gate.seal(gate.draft());
    gate.answered(&first).await;
    let again = gate.forge(|says| says.message_id = first.request.statement().message_id);
    assert_eq!(gate.refused(&again.open).await, "REPLAYED");
    let log = gate.close().await;
    assert_eq!(log.asked, 1);
    assert_eq!(log.story(), ["IN", "OUT", &counted("REPLAYED", 1)]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refuses_a_statement_with_any_byte_of_it_changed() {
    let gate = Gate::open().await;
    let envelope = gate.seal(gate.draft());
    let length = envelope.open.statement.len();
    // Its signature, then every other byte: head, header, statement, signature.
    let last = altered(&envelope, length - 1);
    assert_eq!(gate.refused(&last).await, "SIGNATURE_INVALID");
    for at in 0..length {
        refusal(gate.wire.send(altered(&envelope, at)).await);
    }
    // None of the copies used up the id of the true one.
    gate.answered(&envelope).await;
    let log = gate.close().await;
    assert_eq!(log.asked, 1);
    let story = log.story();
    assert_eq!(story[..2], ["IN", "OUT"]);
    let summaries = story[2..].iter().all(|entry| entry.starts_with("SUMMARY"));
    assert!(summaries, "{story:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refuses_sealed_bytes_that_were_changed_and_still_takes_the_true_ones() {
    refuses_a_changed_seal(|open| {
        let mut sealed = open.sealed.to_vec();
        sealed[9] ^= 1;
        open.sealed = sealed.into();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refuses_sealed_bytes_that_were_cut_short() {
    refuses_a_changed_seal(|open| {
        open.sealed.truncate(open.sealed.len() - 1);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refuses_a_seal_whose_random_value_was_changed() {
    refuses_a_changed_seal(|open| {
        let seal = open.seal.as_mut().unwrap();
        let mut r = seal.r.to_vec();
        r[31] ^= 1;
        seal.r = r.into();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refuses_a_seal_whose_encapsulation_was_changed() {
    refuses_a_changed_seal(|open| {
        let seal = open.seal.as_mut().unwrap();
        let mut enc = seal.enc.to_vec();
        enc[700] ^= 1;
        seal.enc = enc.into();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refuses_a_seal_whose_encapsulation_and_session_id_were_both_changed() {
    refuses_a_changed_seal(|open| {
        let seal = open.seal.as_mut().unwrap();
        let mut enc = seal.enc.to_vec();
        enc[700] ^= 1;
        seal.session = entente_signing::Digest::of(&enc).as_bytes().to_vec().into();
        seal.enc = enc.into();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refuses_an_envelope_that_is_not_sealed_at_all() {
    refuses_a_changed_seal(|open| open.seal = None).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refuses_an_envelope_for_another_server_and_counts_it() {
    let gate = Gate::open().await;
    let envelope =
        gate.forge(|says| says.receiver_server = "ca-demo/vital-events/@ss2".parse().unwrap());
    assert_eq!(gate.refused(&envelope.open).await, "MISADDRESSED");
    ends_counted(gate, "MISADDRESSED").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refuses_an_envelope_for_a_system_this_server_does_not_serve() {
    let gate = Gate::open().await;
    let envelope =
        gate.forge(|says| says.receiver = "ca-demo/vital-events/archive".parse().unwrap());
    assert_eq!(gate.refused(&envelope.open).await, "MISADDRESSED");
    ends_counted(gate, "MISADDRESSED").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refuses_a_statement_written_more_than_two_minutes_ago() {
    let gate = Gate::open().await;
    let envelope = gate.forge(|says| {
        says.issued_at = says.issued_at.saturating_sub(Duration::from_secs(121));
    });
    assert_eq!(gate.refused(&envelope.open).await, "STATEMENT_STALE");
    ends_counted(gate, "STATEMENT_STALE").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refuses_a_statement_written_more_than_a_minute_ahead() {
    let gate = Gate::open().await;
    let envelope = gate.forge(|says| {
        says.issued_at = says.issued_at.saturating_add(Duration::from_secs(70));
    });
    assert_eq!(gate.refused(&envelope.open).await, "STATEMENT_STALE");
    ends_counted(gate, "STATEMENT_STALE").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refuses_a_commitment_that_does_not_open() {
    let gate = Gate::open().await;
    let mut draft = gate.draft();
    draft.openings = openings_about("130692544").unwrap();
    let envelope = gate.seal(draft);
    assert_eq!(gate.denied(&envelope).await, "COMMITMENT_MISMATCH");
    ends_denied(gate, "COMMITMENT_MISMATCH").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refuses_a_commitment_that_is_not_opened() {
    let gate = Gate::open().await;
    let mut draft = gate.draft();
    let payload = draft.openings.as_slice().last().unwrap().clone();
    draft.openings = Openings::from_openings(vec![payload]);
    let envelope = gate.seal(draft);
    assert_eq!(gate.denied(&envelope).await, "COMMITMENT_MISMATCH");
    ends_denied(gate, "COMMITMENT_MISMATCH").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refuses_opened_subjects_that_are_not_those_of_the_request() {
    let gate = Gate::open().await;
    let other = openings_about("130692544").unwrap();
    let openings = Openings::builder().payload(lookup("046454286"));
    let payload = openings.build().unwrap().as_slice()[0].clone();
    let mut draft = gate.draft();
    draft.say(Openings::from_openings(vec![
        other.as_slice()[0].clone(),
        payload.clone(),
    ]));
    assert_eq!(
        gate.denied(&gate.seal(draft)).await,
        "COMMITMENT_MISMATCH",
        "another person than the one asked about"
    );
    let mut draft = gate.draft();
    draft.say(Openings::from_openings(vec![payload]));
    assert_eq!(
        gate.denied(&gate.seal(draft)).await,
        "COMMITMENT_MISMATCH",
        "nobody named"
    );
    let log = gate.close().await;
    assert_eq!(log.asked, 0);
    let denied = format!("DENIED COMMITMENT_MISMATCH {CONSUMER}");
    assert_eq!(log.story(), [denied.clone(), denied]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refuses_an_answer_sent_as_if_it_were_a_request() {
    let gate = Gate::open().await;
    let asked = gate.seal(gate.draft());
    let answer = gate.forge(|says| {
        says.body = Body::Progress {
            request: asked.request.hash(),
            stream: entente_evidence::statement::Segment {
                first: 1,
                last: 1,
                hash: asked.request.hash(),
            },
        };
        says.commitments.clear();
        says.views.clear();
    });
    assert_eq!(gate.refused(&answer.open).await, "STATEMENT_MALFORMED");
    ends_counted(gate, "STATEMENT_MALFORMED").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refuses_an_exchange_that_does_not_begin_with_an_open_and_counts_it() {
    let gate = Gate::open().await;
    let frame = wire::exchange_request::Frame::Part(wire::Part {
        sealed: vec![0; 64].into(),
    });
    let told = refusal(gate.wire.send_frame(frame).await);
    assert_eq!(told.reason, "STATEMENT_MALFORMED");
    ends_counted(gate, "STATEMENT_MALFORMED").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unknown_seal_session_is_only_a_hint_and_the_same_bytes_then_pass() {
    let gate = Gate::open().await;
    let envelope = gate.seal(gate.draft());
    let mut short = envelope.open.clone();
    short.seal.as_mut().unwrap().enc.clear();
    assert_eq!(gate.refused(&short).await, "SESSION_UNKNOWN");
    let mut short = envelope.open.clone();
    short.session_chain.clear();
    gate.answered(&envelope).await;
    // Both are known by now: neither has to be sent again.
    let mut draft = gate.draft();
    draft.session.chain.clear();
    let seal: SendSession = envelope.seal_session().clone();
    let mut next = draft.seal_under(seal).unwrap();
    next.open.seal.as_mut().unwrap().enc.clear();
    gate.answered(&next).await;
    let log = gate.close().await;
    assert_eq!(log.asked, 2);
    assert_eq!(log.story(), ["IN", "OUT", "IN", "OUT"]);
}

async fn refuses_a_changed_seal(change: impl FnOnce(&mut wire::Open)) {
    let gate = Gate::open().await;
    let mut envelope = gate.seal(gate.draft());
    let honest = envelope.clone();
    change(&mut envelope.open);
    assert_eq!(gate.denied(&envelope).await, "SEAL_INVALID");
    assert_eq!(gate.source.asked(), 0);
    gate.answered(&honest).await;
    let log = gate.close().await;
    let denied = format!("DENIED SEAL_INVALID {CONSUMER}");
    assert_eq!(log.story(), [denied.as_str(), "IN", "OUT"]);
}

async fn ends_counted(gate: Gate, reason: &str) {
    let log = gate.close().await;
    assert_eq!(log.asked, 0);
    assert_eq!(log.story(), [counted(reason, 1)]);
}

async fn ends_denied(gate: Gate, reason: &str) {
    let log = gate.close().await;
    assert_eq!(log.asked, 0);
    assert_eq!(log.story(), [format!("DENIED {reason} {CONSUMER}")]);
}

fn counted(reason: &str, count: u64) -> String {
    format!("SUMMARY {reason} {CONSUMER} {count}")
}

fn altered(envelope: &Envelope, at: usize) -> wire::Open {
    let mut statement = envelope.open.statement.to_vec();
    statement[at] ^= 1;
    wire::Open {
        statement: statement.into(),
        ..envelope.open.clone()
    }
}
