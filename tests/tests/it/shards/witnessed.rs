//! The half-year's end of a ledger that witnesses cosign: what is not final in a closed shard counts for no
//! peer.

use std::sync::Arc;
use std::time::Duration;

use axum::http::StatusCode;
use entente_clock::{Clock as _, ManualClock};
use entente_ledger::Reader;
use entente_ledger::disk::RealDisk;
use entente_ledger::entry::Boot;
use entente_oversight::witness;
use entente_tests::town::at;
use entente_tests::world::{Site, World, policy_of};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::{
    FIRST, YEARS_END, ask, checkpoint_in, commissioner, is_sound, opening, origin_of, previous,
};

const SECOND: &str = "2027h1.1";

/// What a shard began with of the one before: as the directory says, and cosigned by a quorum. How large.
fn is_final(world: &World, site: &Site, boot: &Boot, clock: &ManualClock) -> u64 {
    assert!(boot.note.as_ref().unwrap().starts_with("follows ss1."));
    let (last, hash) = checkpoint_in(site, boot, &origin_of(site, FIRST));
    assert_eq!(previous(world, site, SECOND), hash);
    let view = world.view();
    let policy = &view.state.policy().unwrap().witnesses;
    assert!(policy.fewest() > 0);
    let judged = policy.judge(&Arc::new(last.clone()), clock.now());
    assert!(judged.unwrap().at().unwrap() >= YEARS_END);
    assert_eq!(boot.last_size, last.size());
    last.size()
}

/// The second shard follows all there is in the first.
fn follows_everything(world: &World, site: &Site, clock: &ManualClock) {
    let boot = opening(&site.shard_dir(SECOND));
    let last = is_final(world, site, &boot, clock);
    let old = Reader::open(Arc::new(RealDisk), site.shard_dir(FIRST)).unwrap();
    assert_eq!(last, old.size());
    for shard in [FIRST, SECOND] {
        assert!(is_sound(site, shard), "{shard}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn under_a_quorum_the_new_shard_begins_with_what_was_cosigned_of_the_old_one() {
    let clock = ManualClock::at(YEARS_END);
    let dir = tempfile::tempdir().unwrap();
    let world = World::build_at(dir.path(), Arc::new(clock.clone()))
        .await
        .unwrap();
    let witness = commissioner(&world, "127.0.0.1:0").await;
    let source = world.serve_source().await.unwrap();
    let site = &world.provider;
    let provider = world.start(site, at(&clock)).await.unwrap();
    let consumer = world.start(&world.consumer, at(&clock)).await.unwrap();
    ask(&world).await;
    clock.advance(Duration::from_secs(70));
    ask(&world).await;
    provider.shard_over().await;
    provider.shutdown().await;
    let provider = world.start(site, at(&clock)).await.unwrap();
    assert_eq!(site.ledger_dir().unwrap(), site.shard_dir(SECOND));
    ask(&world).await;
    assert_eq!(source.asked(), 3);
    consumer.shutdown().await;
    provider.shutdown().await;
    follows_everything(&world, site, &clock);
    witness.shutdown().await;
}

/// In a witness's place: cosigns nothing, and passes on what it was asked.
async fn mute(listen: &str) -> (JoinHandle<()>, mpsc::UnboundedReceiver<String>) {
    let (heard, asked) = mpsc::unbounded_channel();
    let answer = move |body: String| {
        let _ = heard.send(body);
        std::future::ready(StatusCode::NOT_FOUND)
    };
    let app = axum::Router::new().route("/add-checkpoint", axum::routing::post(answer));
    let listener = TcpListener::bind(listen).await.unwrap();
    let serving = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    (serving, asked)
}

/// The commissioner's witness and the registry's must both cosign.
async fn trust_both(world: &World, commissioner: &witness::Running) {
    let (listen, key) = world.registry.as_ref().unwrap().witness().unwrap();
    let policy = policy_of(commissioner, "")
        + &format!("witness registry {key} http://{listen}\n")
        + "group both all commissioner registry\nquorum both\n";
    let policy = policy.parse().unwrap();
    let changed = world.change_policy(|held| held.witnesses = policy);
    changed.await.unwrap();
}

/// A world of two witnesses that must both cosign, whose provider has stopped with the half-year. The
/// commissioner's witness is away; where it was.
async fn one_is_away(world: &World, clock: &ManualClock) -> String {
    let witness = world.commissioner("127.0.0.1:0").await.unwrap();
    let listen = witness.endpoint().to_string();
    trust_both(world, &witness).await;
    let provider = world.start(&world.provider, at(clock)).await.unwrap();
    let consumer = world.start(&world.consumer, at(clock)).await.unwrap();
    ask(world).await;
    clock.advance(Duration::from_secs(70));
    consumer.shutdown().await;
    provider.shutdown().await;
    witness.shutdown().await;
    listen
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_half_years_end_waits_for_its_quorum_and_goes_on_once_the_witness_is_back() {
    let clock = ManualClock::at(YEARS_END);
    let dir = tempfile::tempdir().unwrap();
    let world = World::build_at(dir.path(), Arc::new(clock.clone()))
        .await
        .unwrap();
    let source = world.serve_source().await.unwrap();
    let listen = one_is_away(&world, &clock).await;
    let (serving, mut asked) = mute(&listen).await;
    let site = &world.provider;
    let mut starting = std::pin::pin!(world.start(site, at(&clock)));
    // About what it stopped with, about what it starts with, and then about that again and again.
    for _ in 0..6 {
        let body = tokio::select! {
            body = asked.recv() => body.unwrap(),
            started = &mut starting => panic!("it did not wait: {started:?}"),
        };
        let (_, note) = body.split_once("\n\n").unwrap();
        assert!(note.starts_with(&origin_of(site, FIRST)), "{note}");
    }
    assert!(!site.shard_dir(SECOND).exists());
    serving.abort();
    let _ = serving.await;
    let witness = world.commissioner(&listen).await.unwrap();
    let provider = starting.await.unwrap();
    assert_eq!(site.ledger_dir().unwrap(), site.shard_dir(SECOND));
    let consumer = world.start(&world.consumer, at(&clock)).await.unwrap();
    ask(&world).await;
    assert_eq!(source.asked(), 2);
    consumer.shutdown().await;
    provider.shutdown().await;
    follows_everything(&world, site, &clock);
    witness.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_it_has_waited_as_long_as_the_policy_allows_the_newest_checkpoint_ends_the_shard() {
    let clock = ManualClock::at(YEARS_END);
    let dir = tempfile::tempdir().unwrap();
    let world = World::build_at(dir.path(), Arc::new(clock.clone()))
        .await
        .unwrap();
    world.serve_source().await.unwrap();
    let listen = one_is_away(&world, &clock).await;
    let (serving, mut asked) = mute(&listen).await;
    let site = &world.provider;
    let mut starting = std::pin::pin!(world.start(site, at(&clock)));
    let mut times = 0;
    let provider = loop {
        tokio::select! {
            started = &mut starting => break started.unwrap(),
            Some(_) = asked.recv() => times += 1,
        }
        if times >= 4 {
            clock.advance(Duration::from_secs(16 * 60));
        }
    };
    assert!(times >= 4, "it did not wait");
    provider.shutdown().await;
    let boot = opening(&site.shard_dir(SECOND));
    let (last, hash) = checkpoint_in(site, &boot, &origin_of(site, FIRST));
    assert_eq!(previous(&world, site, SECOND), hash);
    let view = world.view();
    let policy = &view.state.policy().unwrap().witnesses;
    let last = Arc::new(last);
    assert!(policy.judge(&last, clock.now()).is_none(), "not final");
    // All it signed all the same: a shorter end would break what it promised since.
    let old = Reader::open(Arc::new(RealDisk), site.shard_dir(FIRST)).unwrap();
    assert_eq!((last.size(), boot.last_size), (old.size(), old.size()));
    serving.abort();
}
