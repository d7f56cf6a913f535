//! Servers that do not enforce: what one lets through, the other catches.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use entente_evidence::answer::Answer;
use entente_evidence::opening::Openings;
use entente_evidence::proof::SignedStatement;
use entente_evidence::statement::Body;
use entente_proto::status::{Refusal, Told};
use entente_testkit::contracts::STEM;
use entente_tests::hostile::{Forger, Heard, Impostor, Says};
use entente_tests::world::World;
use tonic::Status;

use super::case::Case;
use super::margins::check_reserved;
use super::stage::Stage;

/// A consumer's server that does not look at requests is caught by the provider's.
pub(super) async fn check_forger(stage: &Stage, world: &World, cases: &[Case]) {
    let forger = Forger::of(world, &world.consumer).unwrap();
    let wire = forger.dial(&world.provider).unwrap();
    let mut refused = 0;
    for case in cases {
        let Some(message) = case.careless_question(&mut case.entropy(8)) else {
            continue;
        };
        let mut draft = forger.draft(world, &world.provider).unwrap();
        draft.statement.method = case.method.clone();
        draft.statement.agreement = case.agreement();
        if let Body::Request { asked, .. } = &mut draft.statement.body {
            *asked = case.released();
        }
        draft.say(Openings::builder().payload(message).build().unwrap());
        match wire.send(draft.seal(world.now()).unwrap().open).await {
            // Beyond ten a second, denials are joined and told without a signature.
            Err(status) => {
                assert!(!format!("{status:?}").contains(STEM), "seed {}", case.seed);
                let told = Told::from_status(&status).unwrap();
                assert_eq!(told.reason, "OVERLOADED", "seed {}", case.seed);
            }
            Ok(open) => {
                assert!(open.sealed.is_empty(), "seed {}", case.seed);
                let fault = SignedStatement::parse(open.statement).unwrap();
                let Body::Fault { failure, .. } = &fault.statement().body else {
                    panic!("seed {}: {:?}", case.seed, fault.statement().body);
                };
                let reason = failure.reason().to_string();
                assert_eq!(reason, "FIELD_NOT_AGREED", "seed {}", case.seed);
            }
        }
        assert!(stage.puppet.heard().is_empty(), "seed {}", case.seed);
        refused += 1;
    }
    assert!(refused > cases.len() / 2);
}

/// A provider's server that does not strip answers is caught by the consumer's.
pub(super) async fn check_impostor(world: &World, cases: &[Case]) {
    let next = Arc::new(Mutex::new(Answer::ok(Bytes::new())));
    let says = Arc::clone(&next);
    let answering = move |forger: &Forger, heard: &Heard| {
        if heard
            .open
            .seal
            .as_ref()
            .is_none_or(|seal| seal.enc.is_empty())
        {
            return Ok(Says::Status(session_unknown()));
        }
        let mut reply = heard.response(forger, Bytes::new())?;
        let payload = says.lock().unwrap().to_value()?;
        reply.openings = Openings::builder().payload(payload).build()?;
        reply.statement.commitments = reply.openings.commitments();
        Ok(Says::from(reply.seal(heard)?))
    };
    let forger = Forger::of(world, &world.provider).unwrap();
    let impostor = Impostor::serve(&world.provider, forger, answering);
    impostor.await.unwrap();
    let stage = &Stage::start_consumer(world).await;
    for case in cases {
        let mut entropy = case.entropy(9);
        let question = case.question(&mut entropy);
        let drawn = case.answer(&mut entropy);
        *next.lock().unwrap() = Answer::ok(drawn.wire.clone().into());
        let seen = case.ask(stage, &question, &[]).await;
        check_reserved(&seen, case.seed);
        if seen.reason().is_empty() {
            let crossed = case.decode(&seen.message().unwrap());
            assert_eq!(crossed, drawn.expected, "seed {}", case.seed);
        } else {
            assert_eq!(seen.reason(), "INVALID_ANSWER", "seed {}", case.seed);
        }
        // Metadata that no honest server lets through, and a reason that is none.
        let mut answer = Answer::ok(drawn.clean.into());
        for key in ["source-date", "x-case"] {
            answer.metadata = [(key.to_owned(), entropy.text())].into();
            *next.lock().unwrap() = answer.clone();
            let seen = case.ask(stage, &question, &[]).await;
            check_reserved(&seen, case.seed);
            assert_eq!(seen.reason(), "INVALID_ANSWER", "seed {}", case.seed);
        }
        *next.lock().unwrap() = Answer {
            code: 5,
            reason: "CANARY_9_OF_9".parse().ok(),
            metadata: Default::default(),
            message: Bytes::new(),
        };
        let seen = case.ask(stage, &question, &[]).await;
        check_reserved(&seen, case.seed);
        assert!(!String::from_utf8_lossy(&seen.margins()).contains("CANARY"));
        assert_eq!(seen.reason(), "SOURCE_REFUSED", "seed {}", case.seed);
    }
}

/// What an honest server says that does not remember a seal session.
fn session_unknown() -> Status {
    let refusal = Refusal {
        code: 9,
        reason: "SESSION_UNKNOWN",
        at: "caller_server",
        message: "no such session",
        locale: "en",
        localized: "No such session.",
        metadata: Vec::new(),
        retry_after: None,
    };
    refusal.into_status()
}
