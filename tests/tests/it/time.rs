//! Time stamps: a real authority vouches for a real server's ledger, or does not.

use std::io::Write as _;
use std::sync::Arc;

use anyhow::ensure;
use axum::http::StatusCode;
use entente_ledger::Checkpoint;
use entente_ledger::entry::{Body, TimeStamp};
use entente_proto::status::Told;
use entente_security_server::{Deps, Running};
use entente_signing::Digest;
use entente_testkit::Authority;
use entente_testkit::authority::Keys;
use entente_tests::town::Town;
use entente_tests::tsa::{Mood, Tsa};
use entente_tests::walk::until;
use entente_tests::world::{Site, World};
use entente_timestamp::{Authorities, verify};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tonic::Status;

/// A federation, one of whose servers has its ledger stamped.
struct Scene {
    town: Town,
    tsa: Tsa,
}

/// Which server is stamped.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stamped {
    Consumer,
    Provider,
}

impl Scene {
    async fn begin(stamped: Stamped, keys: Keys, more: &str, listens: bool) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let world = World::build(dir.path()).await.unwrap();
        let tsa = Tsa::create(&dir.path().join("tsa"), keys);
        let site = match stamped {
            Stamped::Consumer => &world.consumer,
            Stamped::Provider => &world.provider,
        };
        let mut config = std::fs::OpenOptions::new()
            .append(true)
            .open(&site.config)
            .unwrap();
        config.write_all(tsa.config(more).as_bytes()).unwrap();
        if listens {
            tsa.listen().await.unwrap();
        }
        let town = Town::of(world, dir, &Deps::real()).await.unwrap();
        Self { town, tsa }
    }

    async fn ask(&self) -> Result<(), Status> {
        self.town.ask().await.map(drop)
    }

    async fn end(self) -> (World, Tsa, TempDir) {
        let (world, dir) = self.town.stop().await;
        (world, self.tsa, dir)
    }
}

fn reason(answered: Result<(), Status>) -> String {
    Told::from_status(&answered.unwrap_err()).unwrap().reason
}

fn stamps(site: &Site) -> Vec<TimeStamp> {
    let entries = site.entries().unwrap().into_iter();
    let stamps = entries.filter_map(|body| match body {
        Body::TimeStamp(stamp) => Some(stamp),
        _ => None,
    });
    stamps.collect()
}

/// A value of `/metrics`.
pub(crate) async fn metric(running: &Running, name: &str) -> Option<f64> {
    let mut stream = tokio::net::TcpStream::connect(running.admin_addr())
        .await
        .ok()?;
    let get = b"GET /metrics HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    stream.write_all(get).await.ok()?;
    let mut page = String::new();
    stream.read_to_string(&mut page).await.ok()?;
    let mut lines = page.lines();
    let value = lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    value.and_then(|value| value.parse().ok())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_exchange_is_stamped_and_openssl_accepts_the_token() {
    for keys in [Keys::P256, Keys::Rsa] {
        let scene = Scene::begin(Stamped::Consumer, keys, "", true).await;
        scene.ask().await.unwrap();
        let size = scene.town.consumer.ledger_size();
        until(|| async {
            scene.town.consumer.publish_checkpoint().await?;
            let stamps = stamps(&scene.town.world.consumer);
            ensure!(stamps.iter().any(|stamp| stamp.size >= size), "no stamp");
            Ok(())
        })
        .await
        .unwrap();
        let (world, tsa, _dir) = scene.end().await;
        let origin = world.consumer.origin().unwrap();
        let authorities = Authorities::parse(&tsa.authority().root()).unwrap();
        for TimeStamp { size, root, token } in stamps(&world.consumer) {
            let origin = origin.clone();
            let text = Checkpoint { origin, size, root }.to_string();
            assert!(tsa.authority().accepts(&token, text.as_bytes()));
            let stamp = verify(&token, Digest::of(text.as_bytes()), &authorities).unwrap();
            assert!(stamp.at() <= world.now());
        }
        assert!(stamps(&world.provider).is_empty());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_stamp_is_made_for_stamps_and_views_alone() {
    let scene = Scene::begin(Stamped::Consumer, Keys::P256, "", true).await;
    for _ in 0..3 {
        scene.ask().await.unwrap();
        let before = stamps(&scene.town.world.consumer).len();
        until(|| async {
            scene.town.consumer.publish_checkpoint().await?;
            ensure!(
                stamps(&scene.town.world.consumer).len() > before,
                "no stamp"
            );
            Ok(())
        })
        .await
        .unwrap();
    }
    let (world, _tsa, _dir) = scene.end().await;
    let entries = world.consumer.entries().unwrap();
    let mut stamped = 0;
    for stamp in stamps(&world.consumer) {
        let size = usize::try_from(stamp.size).unwrap();
        let covered = &entries[stamped..size];
        assert!(covered.iter().any(Body::asks_for_gossip), "{covered:?}");
        stamped = size;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_stamps_exchange_stops_and_goes_on_by_itself() {
    for stamped in [Stamped::Consumer, Stamped::Provider] {
        let scene = Scene::begin(
            stamped,
            Keys::P256,
            ", required_within: 2s",
            // Nobody is there.
            false,
        )
        .await;
        let server = match stamped {
            Stamped::Consumer => &scene.town.consumer,
            Stamped::Provider => &scene.town.provider,
        };
        until(|| async {
            let told = scene.ask().await.err().and_then(|s| Told::from_status(&s));
            let reason = told.map(|told| told.reason);
            ensure!(reason.as_deref() == Some("TIME_UNPROVEN"), "{reason:?}");
            Ok(())
        })
        .await
        .unwrap();
        assert_eq!(reason(scene.ask().await), "TIME_UNPROVEN");
        until(|| async {
            ensure!(!server.health().is_ready(), "ready");
            Ok(())
        })
        .await
        .unwrap();
        let report = server.health().ready().text;
        assert!(report.contains("[-] time failed"), "{report}");
        let dead = "entente_time_stamp_failures_total{cause=\"unreachable\"}";
        assert!(metric(server, dead).await.unwrap() >= 1.0);
        assert!(
            metric(server, "entente_time_stamp_age_seconds")
                .await
                .unwrap()
                >= 2.0
        );

        scene.tsa.listen().await.unwrap();
        until(|| async {
            server.publish_checkpoint().await?;
            ensure!(scene.ask().await.is_ok(), "refused");
            ensure!(server.health().is_ready(), "not ready");
            Ok(())
        })
        .await
        .unwrap();
        scene.end().await;
    }
}

/// The ledger says again at the next start what had no token.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_does_not_make_entries_younger() {
    let more = ", required_within: 2s";
    let mut scene = Scene::begin(Stamped::Consumer, Keys::P256, more, false).await;
    until(|| async {
        let told = scene.ask().await.err().and_then(|s| Told::from_status(&s));
        ensure!(told.is_some_and(|told| told.reason == "TIME_UNPROVEN"));
        Ok(())
    })
    .await
    .unwrap();
    scene.town.consumer.shutdown().await;
    let site = &scene.town.world.consumer;
    scene.town.consumer = scene.town.world.start(site, Deps::real()).await.unwrap();
    assert_eq!(reason(scene.ask().await), "TIME_UNPROVEN");
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bad_token_is_never_logged_and_counted_by_its_cause() {
    let scene = Scene::begin(Stamped::Consumer, Keys::P256, "", false).await;
    let other = Arc::new(Authority::create(
        &scene.town.dir.path().join("foreign"),
        Keys::P256,
    ));
    let authorities = Authorities::parse(&scene.tsa.authority().root()).unwrap();
    let query = entente_timestamp::Query::new(Digest::of(b"x"), &authorities);
    let stale = scene.tsa.authority().reply(&query.encode());
    scene.tsa.answer(Mood::Altered);
    scene.tsa.listen().await.unwrap();
    let moods = [
        (Mood::Altered, "reply"),
        (Mood::Foreign(other), "reply"),
        (Mood::Stale(stale), "reply"),
        (Mood::Huge, "reply"),
        (Mood::Late, "clock"),
        (Mood::Status(StatusCode::BAD_GATEWAY), "unreachable"),
    ];
    for (mood, cause) in moods {
        let name = format!("entente_time_stamp_failures_total{{cause=\"{cause}\"}}");
        scene.tsa.answer(mood.clone());
        let before = metric(&scene.town.consumer, &name).await.unwrap_or(0.0);
        // Twice: the first may still be the answer before.
        until(|| async {
            let now = metric(&scene.town.consumer, &name).await.unwrap_or(0.0);
            ensure!(now >= before + 2.0, "{mood:?}: {now}");
            Ok(())
        })
        .await
        .unwrap();
    }
    assert!(stamps(&scene.town.world.consumer).is_empty());
    scene.tsa.answer(Mood::Good);
    until(|| async {
        ensure!(!stamps(&scene.town.world.consumer).is_empty(), "no stamp");
        Ok(())
    })
    .await
    .unwrap();
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_does_not_start_without_its_authority_s_roots() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::build(dir.path()).await.unwrap();
    let config = std::fs::read_to_string(&world.consumer.config).unwrap();
    for (name, roots) in [("missing.pem", None), ("empty.pem", Some(""))] {
        if let Some(roots) = roots {
            std::fs::write(world.consumer.dir.join(name), roots).unwrap();
        }
        let more = format!("timestamp: {{url: \"http://127.0.0.1:1/\", roots: ./{name}}}\n");
        std::fs::write(&world.consumer.config, format!("{config}{more}")).unwrap();
        let started = world.start(&world.consumer, Deps::real()).await;
        let error = started.unwrap_err().to_string();
        assert_eq!(error, "preparing time stamps");
    }
}
