//! What others can make the registry hold or do is bounded.

use entente_directory::MAX_BLOB;
use entente_follow::RegistryError;
use entente_proto::raw::RawCodec;
use entente_reason::Reason;
use http::uri::PathAndQuery;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::town::{LONG, Member, Town, caught_up};

#[tokio::test(flavor = "multi_thread")]
async fn one_follower_more_than_there_are_places_is_refused_and_admitted_when_one_is_free() {
    let town = Town::found_with(|config| config.limits.followers = 1).await;
    let first = town.follow("first").await;
    caught_up(&first.directory(), 1).await;
    let second = town.follow("second").await;
    let refused = async {
        while !town.running().metrics().encode().contains("OVERLOADED") {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(LONG, refused)
        .await
        .expect("a refusal");
    assert_eq!(second.directory().counts().sessions, 0);
    assert_eq!(second.directory().view().size, 0);
    first.shutdown().await;
    caught_up(&second.directory(), 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn more_applications_than_fit_are_refused_and_those_before_stay() {
    let town = Town::found_with(|config| config.limits.applications = 2).await;
    let client = town.client();
    let apply = async |n: u32| {
        let member = Member::new(&format!("ca-demo/office-{n}"), "files");
        client.apply(member.application()).await
    };
    apply(1).await.unwrap();
    apply(2).await.unwrap();
    assert_eq!(apply(3).await.unwrap_err().reason(), Reason::Overloaded);
    assert_eq!(client.applications(None).await.unwrap().len(), 2);
    // A month later nobody waits for them any more.
    town.clock
        .advance(std::time::Duration::from_secs(31 * 24 * 3600));
    apply(3).await.unwrap();
    assert_eq!(client.applications(None).await.unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_address_cannot_take_every_place_for_applications() {
    let town = Town::found().await;
    let client = town.client();
    for n in 0..20 {
        let member = Member::new(&format!("ca-demo/office-{n}"), "files");
        client.apply(member.application()).await.unwrap();
    }
    let refused = client
        .apply(Member::vital().application())
        .await
        .unwrap_err();
    assert_eq!(refused.reason(), Reason::Overloaded);
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_beyond_the_limit_are_refused_at_once() {
    let town = Town::found_with(|config| config.limits.calls = 0).await;
    let refused = town.client().latest().await.unwrap_err();
    assert_eq!(refused.reason(), Reason::Overloaded);
    let RegistryError::Refused { told, .. } = refused else {
        unreachable!()
    };
    assert!(!told.localized.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_holds_its_calls_open_is_refused_more_of_them() {
    let town = Town::found_with(|config| config.limits.calls = 2).await;
    let path: PathAndQuery = "/entente.registry.v1.RegistryService/Latest"
        .parse()
        .unwrap();
    let mut grpc = tonic::client::Grpc::new(town.channel());
    // A call whose message never comes: one of the two places, and this address has no other.
    // It is refused itself when it arrives while a question is being answered, and comes again.
    let held = async {
        loop {
            grpc.ready().await.unwrap();
            let never = tonic::Request::new(tokio_stream::pending());
            let call = grpc.client_streaming(never, path.clone(), RawCodec);
            call.await.map(drop).unwrap_err();
        }
    };
    let refused = async {
        while town.client().latest().await.is_ok() {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        never = held => never,
        refused = tokio::time::timeout(LONG, refused) => refused.expect("a refusal"),
    }
    let free = async {
        while town.client().latest().await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(LONG, free).await.expect("a place");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_larger_than_two_blobs_is_not_read() {
    let town = Town::found().await;
    let blobs = vec![vec![0; MAX_BLOB].into(); 3];
    let refused = town
        .client()
        .submit("change".into(), blobs)
        .await
        .unwrap_err();
    assert!(
        matches!(refused, RegistryError::Unreachable(_)),
        "{refused:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn says_how_it_is_to_the_machine_s_monitoring() {
    let town = Town::found_with(|config| {
        config.admin = Some("127.0.0.1:0".parse().unwrap());
    })
    .await;
    let ask = async |path: &str| {
        let address = town.running().admin().unwrap();
        let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        let reading = stream.read_to_string(&mut answer);
        tokio::time::timeout(LONG, reading).await.unwrap().unwrap();
        answer
    };
    let mut ready = town.running().health().watch_ready();
    tokio::time::timeout(LONG, ready.wait_for(|ready| *ready))
        .await
        .unwrap()
        .unwrap();
    assert!(ask("/readyz").await.starts_with("HTTP/1.1 200"));
    let refused = town.client().submit("rubbish".into(), vec![]).await;
    assert!(refused.is_err());
    let metrics = ask("/metrics").await;
    assert!(metrics.contains("entente_log_size 1"), "{metrics}");
    assert!(metrics.contains("CHANGE_MALFORMED"), "{metrics}");
}
