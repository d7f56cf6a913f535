//! Another TLS key of a server, and another key that is sealed to, beside the old one and then in its place.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use entente_evidence::proof::SignedStatement;
use entente_evidence::statement::Body;
use entente_keys::KeyUse;
use entente_proto::status::Told;
use entente_security_server::enrol::{Rotated, ServerKeys};
use entente_security_server::{Deps, StartError};
use entente_signing::{Digest, P256Key, VerifyingKey};
use entente_tests::hostile::Forger;
use entente_tests::town::Town;
use entente_tests::world::Site;
use entente_tls::net::{Net, TokioNet};
use entente_tls::{ClientTls, Identity, Pins};
use tonic::Response;

/// Which of the two servers a key is another of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Of {
    Consumer,
    Provider,
}

// === impl Of ===

impl Of {
    fn site(self, town: &Town) -> &Site {
        match self {
            Self::Consumer => &town.world.consumer,
            Self::Provider => &town.world.provider,
        }
    }

    fn keys(self, town: &Town) -> ServerKeys {
        self.site(town).server_keys().unwrap()
    }

    /// The key its server shows whoever connects, if it is one of its folder's.
    async fn shows(self, town: &Town) -> Digest {
        let keys = self.keys(town).tls_public();
        let pins = Pins::new(keys.iter().map(VerifyingKey::spki_digest));
        let key = P256Key::generate().unwrap();
        let nobody = Identity::self_signed(Arc::new(key), &[]).unwrap();
        let tls = ClientTls::new(nobody, pins).unwrap();
        let to = self.site(town).address.parse().unwrap();
        let stream = TokioNet.connect(&to).await.unwrap();
        tls.connect(stream, &to).await.unwrap().peer_spki()
    }
}

async fn restart(mut town: Town, of: Of) -> Town {
    match of {
        Of::Consumer => {
            town.consumer.shutdown().await;
            let world = &town.world;
            town.consumer = world.start(&world.consumer, Deps::real()).await.unwrap();
        }
        Of::Provider => {
            town.provider.shutdown().await;
            let world = &town.world;
            town.provider = world.start(&world.provider, Deps::real()).await.unwrap();
        }
    }
    heard(&town).await;
    town
}

/// Until both servers have heard what the registry has by now.
async fn heard(town: &Town) {
    let size = town.world.view().size;
    for running in [&town.consumer, &town.provider] {
        let mut views = running.directory().views();
        let wait = views.wait_for(|view| view.size >= size);
        let waited = tokio::time::timeout(Duration::from_secs(30), wait).await;
        waited.unwrap().unwrap();
    }
}

async fn answered(town: &Town) -> Response<Bytes> {
    town.ask().await.unwrap()
}

/// Why a call is refused, once the server has adopted what it heard: a moment later.
async fn refused(town: &Town) -> String {
    for _ in 0..200 {
        if let Err(status) = town.ask().await {
            return Told::from_status(&status).unwrap().reason;
        }
    }
    "never".to_owned()
}

async fn a_tls_key_follows_another(of: Of) {
    let town = Town::start().await.unwrap();
    answered(&town).await;
    let old = of.keys(&town).tls_public()[0].spki_digest();
    ServerKeys::prepare(&of.site(&town).key_store().unwrap(), Rotated::Tls, None).unwrap();
    let both = of.keys(&town).tls_public();
    let new = both[1].spki_digest();

    // In the folder alone, it is shown to nobody.
    let town = restart(town, of).await;
    assert_eq!(of.shows(&town).await, old);
    answered(&town).await;

    let site = of.site(&town);
    town.world
        .change_keys(site, both.clone(), Vec::new())
        .await
        .unwrap();
    heard(&town).await;
    assert_eq!(of.shows(&town).await, old, "until it is restarted");
    answered(&town).await;

    let town = restart(town, of).await;
    assert_eq!(of.shows(&town).await, new);
    answered(&town).await;

    let site = of.site(&town);
    town.world
        .change_keys(site, vec![both[1].clone()], Vec::new())
        .await
        .unwrap();
    heard(&town).await;
    answered(&town).await;
    let town = restart(town, of).await;
    assert_eq!(of.shows(&town).await, new);
    answered(&town).await;

    // Without the new one, it has nothing to show, and does not start.
    let store = of.site(&town).key_store().unwrap();
    store.destroy(KeyUse::Tls, "2").unwrap();
    let (world, dir) = town.stop().await;
    let site = [&world.consumer, &world.provider][of as usize];
    let started = world.start(site, Deps::real()).await.unwrap_err();
    let started = started.downcast::<StartError>().unwrap();
    assert!(
        matches!(started, StartError::NotRegistered { .. }),
        "{started:?}"
    );
    drop(dir);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_provider_shows_another_tls_key_and_no_exchange_fails() {
    a_tls_key_follows_another(Of::Provider).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_consumer_shows_another_tls_key_and_no_exchange_fails() {
    a_tls_key_follows_another(Of::Consumer).await;
}

/// The peer is refused that still shows the key which was taken back, until it is restarted.
async fn a_tls_key_that_was_dropped_is_refused(of: Of) {
    let town = Town::start().await.unwrap();
    answered(&town).await;
    ServerKeys::prepare(&of.site(&town).key_store().unwrap(), Rotated::Tls, None).unwrap();
    let new = of.keys(&town).tls_public()[1].clone();
    let site = of.site(&town);
    town.world
        .change_keys(site, vec![new], Vec::new())
        .await
        .unwrap();
    heard(&town).await;
    assert_eq!(refused(&town).await, "PEER_UNTRUSTED");
    let town = restart(town, of).await;
    answered(&town).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_consumer_sends_nothing_to_a_provider_under_a_dropped_tls_key() {
    a_tls_key_that_was_dropped_is_refused(Of::Provider).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_provider_takes_nothing_from_a_consumer_under_a_dropped_tls_key() {
    a_tls_key_that_was_dropped_is_refused(Of::Consumer).await;
}

/// A request of the consumer, sealed to the provider's key of this place in its folder. The reason, when it is
/// refused.
async fn sealed_to(town: &Town, place: usize) -> Option<String> {
    let (consumer, provider) = (&town.world.consumer, &town.world.provider);
    let forger = Forger::of(&town.world, consumer).unwrap();
    let mut draft = forger.draft(&town.world, provider).unwrap();
    let keys = provider.server_keys().unwrap().hpke;
    draft.seal_to = keys[place].public().clone();
    let sent = draft.seal(town.world.now()).unwrap();
    let wire = forger.dial(provider).unwrap();
    let open = wire.send(sent.open.clone()).await.unwrap();
    let said = SignedStatement::parse(open.statement.clone()).unwrap();
    match &said.statement().body {
        Body::Fault { failure, .. } => Some(failure.reason().to_string()),
        _ => {
            sent.answer(&open).unwrap();
            None
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_is_sealed_to_follows_another_and_no_exchange_fails() {
    let town = Town::start().await.unwrap();
    answered(&town).await;
    let store = town.world.provider.key_store().unwrap();
    ServerKeys::prepare(&store, Rotated::Hpke, None).unwrap();
    let both = Of::Provider.keys(&town).hpke_public();
    answered(&town).await;
    let unknown = sealed_to(&town, 1).await;
    assert_eq!(unknown.as_deref(), Some("PEER_VERSION"), "not registered");

    // The server that runs takes the new key up by itself; who has not heard of it is still opened.
    let provider = &town.world.provider;
    let change = |keys| town.world.change_keys(provider, Vec::new(), keys);
    change(both.clone()).await.unwrap();
    heard(&town).await;
    answered(&town).await;
    assert_eq!(sealed_to(&town, 0).await, None);
    assert_eq!(sealed_to(&town, 1).await, None);

    let town = restart(town, Of::Provider).await;
    answered(&town).await;
    assert_eq!(sealed_to(&town, 0).await, None);

    // Dropped, it opens nothing more, though the file is there still.
    let provider = &town.world.provider;
    let newest = vec![both[1].clone()];
    let change = town.world.change_keys(provider, Vec::new(), newest);
    change.await.unwrap();
    heard(&town).await;
    answered(&town).await;
    let dropped = sealed_to(&town, 0).await;
    assert_eq!(dropped.as_deref(), Some("PEER_VERSION"));
    store.destroy(KeyUse::Hpke, "1").unwrap();
    let town = restart(town, Of::Provider).await;
    answered(&town).await;
    assert_eq!(sealed_to(&town, 0).await, None, "the one that is left");
}
