//! A body of oversight reads a ledger whole under its mandate, is logged there, and reads nothing without one.

use std::time::Duration;

use bytes::Bytes;
use entente_directory::{Change, MandateEnd, MandateGrant, Name, ReadQuery, Reading, SignedQuery};
use entente_ledger::entry::{Body, Entry};
use entente_proto::oversight::v1 as wire;
use entente_proto::status::Told;
use entente_security_server::enrol::ServerKeys;
use entente_signing::Digest;
use entente_tests::hostile::Wire;
use entente_tests::town::Town;
use entente_tests::world::{Site, World};
use tonic::Status;

const HOUR: Duration = Duration::from_secs(3600);
const TICK: Duration = Duration::from_millis(5);

/// The town, and a commissioner whose server reads.
struct Scene {
    town: Town,
    body: Site,
    keys: ServerKeys,
    wire: Wire,
}

// === impl Scene ===

impl Scene {
    async fn begin() -> Self {
        let town = Town::start().await.unwrap();
        let body = town.world.join("commissioner", "audit").await.unwrap();
        let keys = body.server_keys().unwrap();
        let wire = Wire::dial(&town.world.provider, keys.identity().unwrap()).unwrap();
        Self {
            town,
            body,
            keys,
            wire,
        }
    }

    fn world(&self) -> &World {
        &self.town.world
    }

    async fn grant(&self, over: &Site) {
        let now = self.world().now();
        let grant = MandateGrant {
            body: self.body.member.clone(),
            members: [over.member.clone()].into(),
            reads: [Reading::Ledgers].into(),
            from: now.saturating_sub(HOUR),
            until: now.saturating_add(HOUR),
            basis: Name {
                en: "Privacy Act".into(),
                fr: "Loi sur la vie privée".into(),
            },
        };
        let change = Change::MandateGrant(grant);
        self.world().by_registrar(&change).await.unwrap();
        self.heard().await;
    }

    /// The provider has heard what the registry says.
    async fn heard(&self) {
        let size = self.world().view().size;
        let mut tick = tokio::time::interval(TICK);
        while self.town.provider.directory().view().size < size {
            tick.tick().await;
        }
    }

    /// A query under the mandate that the body has, for the provider's ledger.
    fn query(&self) -> ReadQuery {
        let view = self.world().view();
        let mandate = view.state.mandate_of(&self.body.member);
        ReadQuery {
            origin: self.world().provider.origin().unwrap(),
            reader: self.body.server.clone(),
            mandate: mandate.map_or_else(|| Digest::of(b"none"), |mandate| mandate.change),
            issued: self.world().now(),
            about: None,
        }
    }

    fn sign(&self, query: &ReadQuery) -> Bytes {
        let signed = SignedQuery::sign(&*self.keys.server, query).unwrap();
        signed.bytes().clone()
    }

    /// What is read of the provider's ledger from an entry on, or the reason why not.
    async fn read(&self, query: Bytes, first_index: u64) -> Result<Vec<Bytes>, String> {
        let asked = wire::StreamEntriesRequest {
            origin: self.world().provider.origin().unwrap(),
            first_index,
            count: 0,
            query,
        };
        let refused = |status: Status| Told::from_status(&status).unwrap().reason;
        let streamed = self.wire.ledger().stream_entries(asked).await;
        let mut stream = streamed.map_err(refused)?.into_inner();
        let mut entries = Vec::new();
        while let Some(step) = stream.message().await.map_err(refused)? {
            entries.extend(step.entry);
        }
        Ok(entries)
    }

    /// Until what is in force at the provider is what the registry says.
    async fn until(&self, query: &Bytes, reason: Option<&str>) {
        let mut tick = tokio::time::interval(TICK);
        let read = async {
            while self.read(query.clone(), 0).await.err().as_deref() != reason {
                tick.tick().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), read)
            .await
            .unwrap_or_else(|_| panic!("never {reason:?}"));
    }
}

fn reads(entries: &[Bytes]) -> Vec<Bytes> {
    let bodies = entries
        .iter()
        .map(|entry| Entry::decode(entry).unwrap().body);
    let reads = bodies.filter_map(|body| match body {
        Body::Read(read) => Some(read.query),
        _ => None,
    });
    reads.collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mandate_opens_a_ledger_whole_and_every_query_is_in_it_before_it_is_answered() {
    let scene = Scene::begin().await;
    scene.town.ask().await.unwrap();
    let early = scene.sign(&scene.query());
    assert_eq!(scene.read(early, 0).await.unwrap_err(), "NO_MANDATE");
    let peer = scene.read(Bytes::new(), 0).await;
    assert_eq!(peer.unwrap_err(), "SENDER_NOT_ALLOWED", "as any peer");

    scene.grant(&scene.world().provider).await;
    let query = scene.sign(&scene.query());
    scene.until(&query, None).await;
    let entries = scene.read(query.clone(), 0).await.unwrap();
    let words = |wanted: fn(&Body) -> bool| {
        let decoded = entries.iter().map(|entry| Entry::decode(entry).unwrap());
        decoded.filter(|entry| wanted(&entry.body)).count()
    };
    assert!(
        words(|body| matches!(body, Body::Boot(_))) > 0,
        "what is nobody's exchange"
    );
    assert_eq!(words(|body| matches!(body, Body::In(_))), 1);
    assert_eq!(words(|body| matches!(body, Body::Out(_))), 1);
    assert_eq!(
        reads(&entries),
        std::slice::from_ref(&query),
        "once, however often it is read under"
    );
    // What it reads is what is there, in its place.
    let from_second = scene.read(query.clone(), 1).await.unwrap();
    assert_eq!(from_second, entries[1..]);

    // Nothing it can reach opens a payload: neither the question nor the answer is in any entry.
    let all = entries.concat();
    for secret in [&b"046454286"[..], b"2026-03-04", b"canary-cause"] {
        assert!(!all.windows(secret.len()).any(|window| window == secret));
    }

    let end = Change::MandateEnd(MandateEnd {
        body: scene.body.member.clone(),
        from: None,
        reason: Some("INQUIRY_CLOSED".into()),
    });
    scene.world().by_registrar(&end).await.unwrap();
    scene.until(&query, Some("NO_MANDATE")).await;
    let (world, _dir) = scene.town.stop().await;
    let logged = world.provider.encoded_entries().unwrap();
    assert_eq!(reads(&logged), [query]);
    assert_eq!(logged[..entries.len()], entries);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mandate_is_over_its_members_only_and_for_its_own_server_s_signature() {
    let scene = Scene::begin().await;
    scene.grant(&scene.world().consumer).await;
    let elsewhere = scene.sign(&scene.query());
    let refused = scene.read(elsewhere, 0).await.unwrap_err();
    assert_eq!(refused, "NO_MANDATE", "over another member");

    scene.grant(&scene.world().provider).await;
    let good = scene.query();
    let query = scene.sign(&good);
    scene.until(&query, None).await;
    let another_ledger = ReadQuery {
        origin: scene.world().consumer.origin().unwrap(),
        ..good.clone()
    };
    let refused = scene.read(scene.sign(&another_ledger), 0).await;
    assert_eq!(refused.unwrap_err(), "REQUEST_MALFORMED");
    let rubbish = scene.read(Bytes::from_static(b"query"), 0).await;
    assert_eq!(rubbish.unwrap_err(), "REQUEST_MALFORMED");
    let old = ReadQuery {
        issued: good.issued.saturating_sub(HOUR * 25),
        ..good.clone()
    };
    let refused = scene.read(scene.sign(&old), 0).await;
    assert_eq!(refused.unwrap_err(), "CHANGE_EXPIRED");
    let forged = SignedQuery::sign(&*scene.keys.tls[0], &good).unwrap();
    let refused = scene.read(forged.bytes().clone(), 0).await;
    assert_eq!(refused.unwrap_err(), "PEER_UNKNOWN");

    // A peer that found the query in a ledger is not its reader.
    let keys = scene.world().consumer.server_keys().unwrap();
    let copied = Scene {
        wire: Wire::dial(&scene.world().provider, keys.identity().unwrap()).unwrap(),
        ..scene
    };
    let refused = copied.read(query, 0).await;
    assert_eq!(refused.unwrap_err(), "SENDER_NOT_ALLOWED");
    copied.town.stop().await;
}
