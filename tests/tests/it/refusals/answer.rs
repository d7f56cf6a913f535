//! Answers that are not the provider's answer to this request. Nothing of them reaches the caller.

mod none;

use std::sync::Mutex;
use std::time::Duration;

use bytes::Bytes;
use entente_evidence::answer::Answer;
use entente_evidence::opening::Openings;
use entente_evidence::statement::{Body, Failure, MessageId, Statement};
use entente_keys::Mode as SessionMode;
use entente_proto::exchange::v1 as wire;
use entente_proto::status::Refusal;
use entente_signing::Digest;
use entente_tests::hostile::{Forger, Heard, Reply, Says, Session, sign_payload, without_key};
use entente_tests::world::answer;

use super::support::{Refused, Window, refusal, released};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_honest_answer_passes_so_what_the_others_change_is_what_refuses_them() {
    let window = Window::open().await;
    window
        .before(|forger, heard| sealed(honest(forger, heard)?, heard))
        .await;
    let answered = window.ask(&[]).await.unwrap();
    assert_eq!(answered.into_inner(), released());
    assert_eq!(window.close().await.story(), ["OUT", "IN"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refuses_a_response_without_a_receipt() {
    refuses("RECEIPT_MISSING", |forger, heard| {
        let reply = honest(forger, heard)?;
        let (session, statement) = (reply.session.clone(), reply.statement.clone());
        let mut open = reply.seal(heard)?;
        open.statement = sign_payload(&session, &statement, &without_key(&statement, 12)?)?;
        Ok(open.into())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refuses_a_receipt_of_another_ledger_than_the_response_is_logged_in() {
    refuses_a_response("RECEIPT_MISSING", |says| {
        receipt_of(says).origin = TRANSPORT_LEDGER.parse().unwrap();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refuses_a_receipt_of_the_ledger_of_another_server() {
    refuses_a_response("RECEIPT_MISSING", |says| {
        says.log = TRANSPORT_LEDGER.parse().unwrap();
        receipt_of(says).origin = TRANSPORT_LEDGER.parse().unwrap();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refuses_a_response_bound_to_another_request() {
    refuses_a_response("RESPONSE_MISMATCH", |says| {
        let Body::Response { request, .. } = &mut says.body else {
            unreachable!("an honest response")
        };
        *request = Digest::of(b"another request");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refuses_a_response_that_does_not_repeat_what_was_asked() {
    let changes: [fn(&mut Statement); 9] = [
        |says| says.message_id = MessageId::from_bytes([7; 16]),
        |says| says.sender = "ca-demo/vital-events/archive".parse().unwrap(),
        |says| says.receiver = "ca-demo/pensions/audit".parse().unwrap(),
        |says| {
            says.method = "entente.demo.vitalevents.v1.VitalEvents/ListDeaths"
                .parse()
                .unwrap()
        },
        |says| says.purpose = "RESEARCH".parse().unwrap(),
        |says| says.agreement = Digest::of(b"another agreement"),
        |says| says.clause = 2,
        |says| says.receiver_server = "ca-demo/pensions/@ss2".parse().unwrap(),
        |says| says.sender_server = "ca-demo/vital-events/@ss2".parse().unwrap(),
    ];
    let window = Window::open().await;
    let impostor = window
        .before(move |forger, heard| {
            let mut reply = honest(forger, heard)?;
            changes[heard.before](&mut reply.statement);
            sealed(reply, heard)
        })
        .await;
    for at in 0..changes.len() {
        let told = window.refused(&[]).await;
        assert_eq!(told.reason, "RESPONSE_MISMATCH", "change {at}");
    }
    assert_eq!(impostor.heard().len(), changes.len());
    let story = window.close().await.story();
    assert_eq!(story.len(), 2 * changes.len());
    let invalid = story.iter().filter(|entry| *entry == INVALID).count();
    assert_eq!(invalid, changes.len(), "{story:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refuses_a_fault_for_another_request() {
    refuses("RESPONSE_MISMATCH", |forger, heard| {
        let mut reply = heard.fault(forger, refused_as("NO_AGREEMENT"))?;
        let Body::Fault { request, .. } = &mut reply.statement.body else {
            unreachable!("an honest fault")
        };
        *request = Digest::of(b"another request");
        sealed(reply, heard)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refuses_the_answer_of_an_older_exchange() {
    let window = Window::open().await;
    let first: Mutex<Option<wire::Open>> = Mutex::default();
    window
        .before(move |forger, heard| {
            let mut first = first.lock().unwrap();
            if let Some(open) = &*first {
                return Ok(open.clone().into());
            }
            let open = honest(forger, heard)?.seal(heard)?;
            *first = Some(open.clone());
            Ok(open.into())
        })
        .await;
    window.ask(&[]).await.unwrap();
    assert_eq!(window.refused(&[]).await, by_provider("RESPONSE_MISMATCH"));
    let story = window.close().await.story();
    assert_eq!(story, ["OUT", "IN", "OUT", INVALID]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refuses_its_own_request_sent_back() {
    refuses("SESSION_INVALID", |_, heard| Ok(heard.open.clone().into())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refuses_a_statement_that_was_changed() {
    refuses("SIGNATURE_INVALID", |forger, heard| {
        let mut open = honest(forger, heard)?.seal(heard)?;
        let mut statement = open.statement.to_vec();
        *statement.last_mut().unwrap() ^= 1;
        open.statement = statement.into();
        Ok(open.into())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refuses_sealed_bytes_that_were_changed() {
    refuses("SEAL_INVALID", |forger, heard| {
        let mut open = honest(forger, heard)?.seal(heard)?;
        let mut bytes = open.sealed.to_vec();
        bytes[3] ^= 1;
        open.sealed = bytes.into();
        Ok(open.into())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refuses_an_answer_that_is_not_sealed() {
    refuses("SEAL_INVALID", |forger, heard| {
        let mut open = honest(forger, heard)?.seal(heard)?;
        open.seal = None;
        Ok(open.into())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refuses_an_answer_under_another_seal_session_than_its_request() {
    refuses("SEAL_INVALID", |forger, heard| {
        let mut open = honest(forger, heard)?.seal(heard)?;
        let seal = open.seal.as_mut().unwrap();
        seal.session = Digest::of(b"another session").as_bytes().to_vec().into();
        Ok(open.into())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refuses_a_commitment_that_does_not_open() {
    refuses("COMMITMENT_MISMATCH", |forger, heard| {
        let mut reply = honest(forger, heard)?;
        reply.openings = openings(answer("1999-09-09", ""))?;
        sealed(reply, heard)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refuses_an_answer_with_more_than_was_agreed() {
    refuses("INVALID_ANSWER", |forger, heard| {
        let mut reply = honest(forger, heard)?;
        reply.openings = openings(answer("2026-03-04", "canary-cause"))?;
        reply.statement.commitments = reply.openings.commitments();
        sealed(reply, heard)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refuses_a_payload_that_is_no_answer() {
    refuses("INVALID_ANSWER", |forger, heard| {
        let mut reply = honest(forger, heard)?;
        reply.openings = Openings::builder().payload(released()).build()?;
        reply.statement.commitments = reply.openings.commitments();
        sealed(reply, heard)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refuses_an_answer_signed_in_an_expired_session() {
    refuses("SESSION_EXPIRED", |forger, heard| {
        let until = heard.at().saturating_sub(Duration::from_secs(2));
        let from = until.saturating_sub(HOUR);
        let mut reply = honest(forger, heard)?;
        let key = &*forger.keys.server;
        reply.session = Session::issue(key, &forger.server, SessionMode::Live, from, until)?;
        sealed(reply, heard)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refuses_an_answer_signed_in_a_test_session() {
    refuses("SESSION_INVALID", |forger, heard| {
        let (from, until) = (heard.at(), heard.at().saturating_add(HOUR));
        let mut reply = honest(forger, heard)?;
        let key = &*forger.keys.server;
        reply.session = Session::issue(key, &forger.server, SessionMode::Test, from, until)?;
        sealed(reply, heard)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refuses_an_answer_signed_by_another_server() {
    let window = Window::open().await;
    let transport = window.world.join("transport", "licences").await.unwrap();
    let other = Forger::of(&window.world, &transport).unwrap();
    window
        .before(move |forger, heard| {
            let mut reply = honest(forger, heard)?;
            reply.session = other.session.clone();
            sealed(reply, heard)
        })
        .await;
    assert_eq!(window.refused(&[]).await, by_provider("SESSION_INVALID"));
    assert_eq!(window.close().await.story(), ["OUT", INVALID]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refuses_an_answer_from_before_the_request() {
    refuses_a_response("STATEMENT_STALE", |says| {
        says.issued_at = says.issued_at.saturating_sub(Duration::from_secs(130));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refuses_an_answer_given_under_another_registry_and_keeps_the_evidence() {
    let window = Window::open().await;
    window
        .before(|forger, heard| {
            let mut reply = honest(forger, heard)?;
            for view in reply.statement.views.values_mut() {
                view.root = Digest::of(b"another tree");
            }
            sealed(reply, heard)
        })
        .await;
    assert_eq!(window.refused(&[]).await.reason, "REGISTRY_SPLIT");
    let split = "DENIED REGISTRY_SPLIT ca-demo/vital-events/@ss1";
    assert_eq!(window.close().await.story(), ["OUT", split, INVALID]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_under_a_registry_view_that_is_newer_than_ours_passes() {
    let window = Window::open().await;
    window
        .before(|forger, heard| {
            let mut reply = honest(forger, heard)?;
            for view in reply.statement.views.values_mut() {
                view.size += 5;
                view.root = Digest::of(b"a tree we have not seen");
            }
            sealed(reply, heard)
        })
        .await;
    window.ask(&[]).await.unwrap();
    assert_eq!(window.close().await.story(), ["OUT", "IN"]);
}

async fn refuses_a_response(reason: &str, change: fn(&mut Statement)) {
    refuses(reason, move |forger, heard| {
        let mut reply = honest(forger, heard)?;
        change(&mut reply.statement);
        sealed(reply, heard)
    })
    .await;
}

async fn refuses<F>(reason: &str, says: F)
where
    F: Fn(&Forger, &Heard) -> anyhow::Result<Says> + Send + Sync + 'static,
{
    let window = Window::open().await;
    let impostor = window.before(says).await;
    let told = refusal(window.ask(&[]).await);
    assert_eq!(told, by_provider(reason));
    assert_eq!(impostor.heard().len(), 1);
    assert_eq!(window.close().await.story(), ["OUT", INVALID]);
}

fn by_provider(reason: &str) -> Refused {
    let code = entente_reason::Reason::parse(reason).unwrap().grpc();
    Refused {
        reason: reason.to_owned(),
        at: "provider_server".to_owned(),
        code: tonic::Code::from_i32(code.0),
    }
}

/// A refusal that nobody signed.
fn unsigned(reason: &'static str) -> Says {
    let refusal = Refusal {
        code: 9,
        reason,
        at: "caller_server",
        message: "no",
        locale: "en",
        localized: "No.",
        metadata: Vec::new(),
        retry_after: None,
    };
    Says::Status(refusal.into_status())
}

fn honest(forger: &Forger, heard: &Heard) -> anyhow::Result<Reply> {
    heard.response(forger, released())
}

fn sealed(reply: Reply, heard: &Heard) -> anyhow::Result<Says> {
    Ok(reply.seal(heard)?.into())
}

fn openings(message: Bytes) -> anyhow::Result<Openings> {
    let value = Answer::ok(message).to_value()?;
    Ok(Openings::builder().payload(value).build()?)
}

fn refused_as(reason: &str) -> Failure {
    Failure::Refused(reason.parse().unwrap())
}

fn receipt_of(says: &mut Statement) -> &mut entente_evidence::receipt::Receipt {
    let Body::Response { receipt, .. } = &mut says.body else {
        unreachable!("an honest response")
    };
    receipt
}

const INVALID: &str = "OUTCOME InvalidAnswer";
const TRANSPORT_LEDGER: &str = "ss1.transport.ca-demo/access/2026h2.1";
const HOUR: Duration = Duration::from_secs(3600);
