//! A ledger that asks a witness which has seen another tree of it.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use entente_clock::ManualClock;
use entente_follow::witness::{Witnesses, WitnessesConfig};
use entente_ledger::companion::NoCompanion;
use entente_ledger::note::WitnessKey;
use entente_ledger::{Append, Cosigner, Ledger, LedgerConfig, Runner};
use entente_testkit::MemDisk;
use entente_tls::http::{HttpLimits, serve};
use entente_tls::net::{Endpoint, Net as _, TokioNet};
use http::header::CONTENT_TYPE;
use http::{Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;

use super::service::Service;
use super::{LOG, NOW, ORIGIN, Tree, key, origin, submit, witness};

/// Five entries, which no [`Tree`] has, and the witness that is asked about them.
async fn ledger_of(witnesses: &Arc<Witnesses>) -> Ledger {
    let cosigner: Arc<dyn Cosigner> = Arc::clone(witnesses) as _;
    let config = LedgerConfig::new(
        "/ledger",
        ORIGIN,
        Arc::new(key(LOG)),
        Arc::new(MemDisk::new()),
        Box::new(NoCompanion),
        Arc::new(ManualClock::at(NOW)),
    );
    let config = LedgerConfig {
        cosigner: Some(cosigner),
        ..config
    };
    let ledger = Ledger::open(config, Runner::Task).await.unwrap();
    for number in 0..5 {
        let append = Append {
            entry: vec![number].into(),
            attachment: None,
        };
        ledger.append(append).await.unwrap();
    }
    ledger
}

fn asking(key: &WitnessKey, url: &str) -> Arc<Witnesses> {
    asking_at(&ManualClock::at(NOW), key, url)
}

fn asking_at(clock: &ManualClock, key: &WitnessKey, url: &str) -> Arc<Witnesses> {
    let clock = Arc::new(clock.clone());
    let witnesses = Witnesses::new(WitnessesConfig::new(Arc::new(TokioNet), clock));
    let policy = format!("witness w {key} {url}\nquorum w\n");
    witnesses.set_policy(policy.parse().unwrap(), AGAIN);
    Arc::new(witnesses)
}

#[tokio::test]
async fn a_witness_that_has_seen_nothing_else_cosigns_and_is_asked_again_in_time() {
    let service = Service::of(witness(&MemDisk::new()).unwrap()).await;
    let clock = ManualClock::at(NOW);
    let witnesses = asking_at(&clock, &service.key, &service.url);
    let ledger = ledger_of(&witnesses).await;
    let published = ledger.publish_now().await.unwrap();
    clock.advance(AGAIN - Duration::from_secs(1));
    assert!(witnesses.is_settled(&published));
    clock.advance(Duration::from_secs(1));
    assert!(!witnesses.is_settled(&published));
    assert_eq!(witnesses.cosigned_at(), NOW);
    assert_eq!(witnesses.dissent(), None);
    service.stop().await;
}

#[tokio::test]
async fn another_tree_is_heard_of_whether_it_is_smaller_larger_or_of_one_size() {
    for size in [2, 5, 9] {
        let witness = witness(&MemDisk::new()).unwrap();
        let other = Tree::of(1, size);
        submit(&witness, &other).unwrap();
        let service = Service::of(witness).await;
        let witnesses = asking(&service.key, &service.url);
        let ledger = ledger_of(&witnesses).await;
        ledger.publish_now().await.unwrap();
        let heard = witnesses.dissent().unwrap();
        assert_eq!(heard.witness, "w");
        assert_eq!(heard.checkpoint.checkpoint(), other.signed().checkpoint());
        assert!(ledger.finality().borrow().is_none());
        service.stop().await;
    }
}

/// Witnesses of other make say it in other words.
#[tokio::test]
async fn another_root_of_one_size_is_heard_of_in_whatever_words() {
    for (status, kind, body) in [
        (StatusCode::CONFLICT, "text/plain", "another root\n"),
        (StatusCode::CONFLICT, "text/x.tlog.size", "5\n"),
        (StatusCode::UNPROCESSABLE_ENTITY, "text/plain", ""),
    ] {
        let witness = witness(&MemDisk::new()).unwrap();
        submit(&witness, &Tree::of(1, 5)).unwrap();
        let (key, shown) = (witness.key().clone(), witness.latest(&origin()));
        let shown = Bytes::from(shown.unwrap().unwrap());
        let listener = TokioNet.listen(&Endpoint::loopback()).await.unwrap();
        let url = format!("http://{}", listener.endpoint());
        let answer = move |request: Request<Incoming>| {
            let shown = shown.clone();
            async move {
                let answer = Response::builder().header(CONTENT_TYPE, kind);
                let answer = match *request.method() {
                    Method::GET => answer.body(Full::new(shown)),
                    _ => answer.status(status).body(Full::new(body.into())),
                };
                answer.unwrap()
            }
        };
        let limits = HttpLimits {
            connections: 8,
            request: Duration::from_secs(10),
        };
        let serving = tokio::spawn(serve(listener, limits, answer, std::future::pending()));
        let witnesses = asking(&key, &url);
        let ledger = ledger_of(&witnesses).await;
        ledger.publish_now().await.unwrap();
        assert!(witnesses.dissent().is_some(), "{status} {kind}");
        serving.abort();
    }
}

/// How old cosignatures grow.
const AGAIN: Duration = Duration::from_secs(20);
