//! What comes through a server's doors before anything in it is believed: how much is taken in, from
//! whom, and in whose name it is signed.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use entente_adapter_sdk::{
    Adapter, AdapterError, Answer, Context, Description, ServeOptions, bind,
};
use entente_config::Secret;
use entente_identity::MethodName;
use entente_keys::{LocalToken, Mode, VerifiedSession};
use entente_ledger::entry::{Body, DeniedCall};
use entente_proto::exchange::v1 as wire;
use entente_proto::exchange::v1::peer_exchange_client::PeerExchangeClient;
use entente_proto::status::{Refusal, Told};
use entente_security_server::Deps;
use entente_tests::hostile::Forger;
use entente_tests::town::Town;
use entente_tests::world::{Consumer, Site, Source, World, answer, lookup};
use entente_tls::Channel;
use entente_tls::net::TokioNet;
use entente_tls::{ChannelOptions, ClientTls, Pins, channel};
use tokio::task::JoinSet;
use tonic::{Code, Status};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn strangers_that_send_nothing_take_sixteen_places_and_none_of_a_peers() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::build(dir.path()).await.unwrap();
    world.serve_source().await.unwrap();
    let provider = world.start(&world.provider, Deps::real()).await.unwrap();
    let stranger = Forger::stranger(&world).unwrap();
    let line = dial(&world.provider, &stranger);
    let mut silent = JoinSet::new();
    for _ in 0..17 {
        let mut client = PeerExchangeClient::new(line.clone());
        silent.spawn(async move { client.exchange(tokio_stream::pending()).await });
    }
    // The others wait for their first frame.
    let refused = silent.join_next().await.unwrap().unwrap();
    let refused = refused.map(drop).unwrap_err();
    assert_eq!(told(&refused).reason, "OVERLOADED");
    assert_eq!(silent.len(), 16);

    let peer = Forger::of(&world, &world.consumer).unwrap();
    let envelope = peer.draft(&world, &world.provider).unwrap();
    let envelope = envelope.seal(world.now()).unwrap();
    let wire = peer.dial(&world.provider).unwrap();
    let open = wire.send(envelope.open.clone()).await.unwrap();
    assert_eq!(envelope.answer(&open).unwrap().code, 0);

    // A place is given back by whoever goes away.
    silent.shutdown().await;
    let frame = wire::ExchangeRequest { frame: None };
    let mut client = PeerExchangeClient::new(line);
    let reason = async {
        loop {
            let frames = tokio_stream::once(frame.clone());
            let refused = client.exchange(frames).await.map(drop).unwrap_err();
            match told(&refused).reason {
                overloaded if overloaded == "OVERLOADED" => tokio::task::yield_now().await,
                reason => return reason,
            }
        }
    };
    let reason = tokio::time::timeout(Duration::from_secs(20), reason).await;
    assert_eq!(reason.unwrap(), "STATEMENT_MALFORMED");
    provider.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_too_large_to_read_is_refused_with_its_reason_and_an_entry() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::build(dir.path()).await.unwrap();
    let consumer = world.start(&world.consumer, Deps::real()).await.unwrap();
    let system = Consumer::of(&world.consumer);
    let body = Bytes::from(vec![0; 17 * 1024 * 1024]);
    let refused = system.ask(body, &[]).await.unwrap_err();
    assert_eq!(told(&refused).reason, "MESSAGE_TOO_LARGE");
    consumer.shutdown().await;
    let denied = world
        .consumer
        .entries()
        .unwrap()
        .into_iter()
        .find_map(|body| {
            let Body::Denied(denied) = body else {
                return None;
            };
            let DeniedCall::Attempt(attempt) = denied.call else {
                return None;
            };
            Some((denied.reason, attempt.system))
        });
    let caller = Some(world.consumer.system.to_string());
    assert_eq!(denied, Some(("MESSAGE_TOO_LARGE".to_owned(), caller)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_test_call_is_signed_by_sessions_for_test_alone_and_reaches_the_test_system_alone() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::build(dir.path()).await.unwrap();
    let (live, test) = (world.provider.source_socket(), dir.path().join("test.sock"));
    let text = std::fs::read_to_string(&world.provider.config).unwrap();
    let serves = format!(
        "live: {{unix: ./source.sock}}, test: {{unix: \"{}\"}}",
        test.display()
    );
    let text = text.replace("live: {unix: ./source.sock}", &serves);
    std::fs::write(&world.provider.config, text).unwrap();
    let (real, double) = (
        Source::answering(answer("2026-03-04", "canary-cause")),
        Source::answering(answer("1999-01-01", "nothing")),
    );
    real.serve(&live).await.unwrap();
    double.serve(&test).await.unwrap();
    let provider = world.start(&world.provider, Deps::real()).await.unwrap();
    let consumer = world.start(&world.consumer, Deps::real()).await.unwrap();
    let system = Consumer::of(&world.consumer);
    for _ in 0..2 {
        let mode = [("entente-mode", "test")];
        let answered = system.ask(lookup("046454286"), &mode).await.unwrap();
        assert!(answered.get_ref().ends_with(b"1999-01-01"));
    }
    assert_eq!((real.asked(), double.asked()), (0, 2));
    system.look_up().await.unwrap();
    assert_eq!((real.asked(), double.asked()), (1, 2));
    consumer.shutdown().await;
    provider.shutdown().await;
    for site in [&world.provider, &world.consumer] {
        let sessions = world.sessions(site).unwrap();
        let sessions: Vec<Mode> = sessions.iter().map(VerifiedSession::mode).collect();
        // Its own and the other's, of each mode, each logged once.
        let count = |mode| sessions.iter().filter(|found| **found == mode).count();
        assert_eq!((count(Mode::Live), count(Mode::Test)), (2, 2));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_system_on_loopback_answers_only_the_server_that_holds_its_token() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::build(dir.path()).await.unwrap();
    let (its_own, another) = (dir.path().join("its-own"), dir.path().join("another"));
    let token = LocalToken::create(&its_own).unwrap();
    LocalToken::create(&another).unwrap();
    let adapter = bind(&"127.0.0.1:0".parse().unwrap()).unwrap();
    let address = adapter.address();
    let options = ServeOptions {
        token: Some(Secret::new(token.expose())),
        ..ServeOptions::default()
    };
    tokio::spawn(adapter.serve(Arc::new(Register), options, std::future::pending()));
    let text = std::fs::read_to_string(&world.provider.config).unwrap();
    for (token, refused) in [(&another, Some("SOURCE_REFUSED")), (&its_own, None)] {
        let serves = format!(
            "live: {{loopback: {{dial: \"{address}\", token: {{file: \"{}\"}}}}}}",
            token.display()
        );
        let text = text.replace("live: {unix: ./source.sock}", &serves);
        std::fs::write(&world.provider.config, text).unwrap();
        let provider = world.start(&world.provider, Deps::real()).await.unwrap();
        let consumer = world.start(&world.consumer, Deps::real()).await.unwrap();
        let system = Consumer::of(&world.consumer);
        let asked = system.look_up().await;
        let reason = asked.as_ref().err().map(|status| told(status).reason);
        assert_eq!(reason.as_deref(), refused);
        consumer.shutdown().await;
        provider.shutdown().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_system_cannot_refuse_in_the_name_of_the_server_before_it() {
    let town = Town::start().await.unwrap();
    for (said, heard) in [
        ("NO_RECORD", "NO_RECORD"),
        ("BAD_FIELD", "BAD_FIELD"),
        ("TOO_MANY_ROWS", "TOO_MANY_ROWS"),
        // "Nothing was sent", "ask the registry", "you may not": none of it the system's to say.
        ("LOG_UNAVAILABLE", "SOURCE_REFUSED"),
        ("REGISTRY_SPLIT", "SOURCE_REFUSED"),
        ("NO_AGREEMENT", "SOURCE_REFUSED"),
        ("OUTCOME_UNKNOWN", "SOURCE_REFUSED"),
    ] {
        town.source.answer_with(Err(refusing(said)));
        let refused = town.ask().await.unwrap_err();
        assert_eq!(told(&refused).reason, heard, "{said}");
        assert_eq!(refused.code(), Code::Unavailable, "its own code passes");
    }
    town.stop().await;
}

/// An adapter for the only method that is asked here.
struct Register;

impl Adapter for Register {
    fn describe(&self) -> Description {
        let service = "entente.demo.vitalevents.v1.VitalEvents".parse().unwrap();
        Description::serving("register", service, ["LookupDeath"])
    }

    async fn call(&self, _: Context, _: &MethodName, _: Bytes) -> Result<Answer, AdapterError> {
        Ok(Answer::from(answer("2026-03-04", "canary-cause")))
    }
}

/// A connection to `site` under the keys of `who`.
fn dial(site: &Site, who: &Forger) -> Channel {
    let there = site.server_keys().unwrap();
    let pins = Pins::new([there.tls[0].verifying_key().spki_digest()]);
    let tls = ClientTls::new(who.keys.identity().unwrap(), pins).unwrap();
    let at = site.address.parse().unwrap();
    channel(
        Arc::new(TokioNet),
        at,
        Some(tls),
        &ChannelOptions::default(),
    )
}

fn told(status: &Status) -> Told {
    Told::from_status(status).unwrap()
}

fn refusing(reason: &str) -> Status {
    Refusal {
        code: Code::Unavailable as i32,
        reason,
        at: "source",
        message: "",
        locale: "en",
        localized: "",
        metadata: Vec::new(),
        retry_after: None,
    }
    .into_status()
}
