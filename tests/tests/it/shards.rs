//! Shards of a ledger: a new one with each half-year, and one that begins with an incident when the newest
//! entries are gone. Never a second tree of a size that was signed.

mod witnessed;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use entente_clock::{ManualClock, Timestamp};
use entente_directory::Mode;
use entente_ledger::Reader;
use entente_ledger::disk::RealDisk;
use entente_ledger::entry::{Body, Boot, Entry};
use entente_ledger::note::{NoteKey, SignedNote};
use entente_ledger::{Checkpoint, SignedCheckpoint};
use entente_oversight::witness;
use entente_security_server::{Checked, Running};
use entente_signing::Digest;
use entente_testkit::backup::copy;
use entente_tests::town::at;
use entente_tests::world::{Consumer, Site, World};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpListener;

/// A minute before 2027 begins.
const YEARS_END: Timestamp = Timestamp::from_millis(1_798_761_600_000 - 60_000);
const FIRST: &str = "2026h2.1";

async fn ask(world: &World) {
    let asked = Consumer::of(&world.consumer).look_up().await;
    asked.unwrap();
}

/// The first entry of a shard, which says how the one before ended.
pub(crate) fn opening(folder: &Path) -> Boot {
    let mut reader = Reader::open(Arc::new(RealDisk), folder).unwrap();
    let entry = reader.entry(0).unwrap().unwrap();
    match Entry::decode(&entry).unwrap().body {
        Body::Boot(boot) => boot,
        other => panic!("{other:?}"),
    }
}

/// The checkpoint in a BOOT, verified with the server's own ledger key, and its note's hash.
pub(crate) fn checkpoint_in(site: &Site, boot: &Boot, origin: &str) -> (SignedCheckpoint, Digest) {
    let key = site.server_keys().unwrap().ledger;
    let key = NoteKey::new(origin, key.verifying_key().clone()).unwrap();
    let note = boot.note.as_ref().unwrap();
    let note = note.split_once("\n\n").unwrap().1;
    let checkpoint = SignedCheckpoint::verify(note.as_bytes(), &key).unwrap();
    (checkpoint, Digest::of(note.as_bytes()))
}

pub(crate) fn is_sound(site: &Site, shard: &str) -> bool {
    site.is_sound(&site.shard_dir(shard)).unwrap()
}

fn origin_of(site: &Site, shard: &str) -> String {
    let member = site.member.label();
    format!("ss1.{member}.ca-demo/access/{shard}")
}

/// What the directory says the shard before ended with.
pub(crate) fn previous(world: &World, site: &Site, shard: &str) -> Digest {
    let view = world.view();
    let origin = origin_of(site, shard);
    let found = view.state.shard_by_origin(&origin).unwrap();
    found.previous.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_the_half_year_a_new_shard_begins_and_carries_the_last_checkpoint_of_the_old_one() {
    let clock = ManualClock::at(YEARS_END);
    let dir = tempfile::tempdir().unwrap();
    let world = World::build_at(dir.path(), Arc::new(clock.clone()))
        .await
        .unwrap();
    let source = world.serve_source().await.unwrap();
    let provider = world.start(&world.provider, at(&clock)).await.unwrap();
    let consumer = world.start(&world.consumer, at(&clock)).await.unwrap();
    ask(&world).await;
    clock.advance(Duration::from_secs(70));
    // It goes on in the old shard until it is started again, which is asked for at once.
    ask(&world).await;
    provider.shard_over().await;
    provider.shutdown().await;
    let provider = world.start(&world.provider, at(&clock)).await.unwrap();
    let site = &world.provider;
    assert_eq!(site.ledger_dir().unwrap(), site.shard_dir("2027h1.1"));
    ask(&world).await;
    assert_eq!(source.asked(), 3);

    let boot = opening(&site.shard_dir("2027h1.1"));
    assert!(boot.note.as_ref().unwrap().starts_with("follows ss1."));
    let (last, hash) = checkpoint_in(site, &boot, &origin_of(site, FIRST));
    assert_eq!(last.size(), boot.last_size);
    assert_eq!(previous(&world, site, "2027h1.1"), hash);
    // Nothing was left out of it.
    let old = Reader::open(Arc::new(RealDisk), site.shard_dir(FIRST)).unwrap();
    assert_eq!(old.size(), boot.last_size);

    // Promises of both shards are kept, and both can be asked for.
    provider.publish_checkpoint().await.unwrap();
    let all = Checked {
        kept: 3,
        ..Checked::default()
    };
    assert_eq!(consumer.check_receipts().await.unwrap(), all);
    consumer.shutdown().await;
    provider.shutdown().await;
    for shard in [FIRST, "2027h1.1"] {
        assert!(is_sound(site, shard), "{shard}");
    }
}

/// The commissioner's witness, and nothing is final without it.
async fn commissioner(world: &World, listen: &str) -> witness::Running {
    let running = world.commissioner(listen).await.unwrap();
    world.trust(&running).await.unwrap();
    running
}

/// Files below a folder with their content.
fn files(dir: &Path) -> Vec<(std::path::PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    for item in std::fs::read_dir(dir).unwrap().flatten() {
        if item.file_type().unwrap().is_dir() {
            found.extend(files(&item.path()));
        } else {
            found.push((item.path(), std::fs::read(item.path()).unwrap()));
        }
    }
    found.sort();
    found
}

/// A world whose ledgers are witnessed, after one exchange; its servers are stopped.
async fn witnessed(dir: &Path) -> (World, ManualClock, witness::Running) {
    let clock = ManualClock::at(Timestamp::from_millis(1_795_305_600_000));
    let world = World::build_at(dir, Arc::new(clock.clone())).await.unwrap();
    let witness = commissioner(&world, "127.0.0.1:0").await;
    (world, clock, witness)
}

/// A world whose ledgers nobody has to cosign, whose source answers.
async fn unwitnessed(dir: &Path) -> (World, ManualClock) {
    let clock = ManualClock::at(Timestamp::from_millis(1_795_305_600_000));
    let world = World::build_at(dir, Arc::new(clock.clone())).await.unwrap();
    world.serve_source().await.unwrap();
    (world, clock)
}

async fn exchange_and_stop(world: &World, clock: &ManualClock, provider: Running) {
    let consumer = world.start(&world.consumer, at(clock)).await.unwrap();
    ask(world).await;
    provider.publish_checkpoint().await.unwrap();
    consumer.shutdown().await;
    provider.shutdown().await;
    clock.advance(Duration::from_secs(5));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_older_copy_ends_in_a_new_shard_with_an_incident_and_never_in_a_fork() {
    let dir = tempfile::tempdir().unwrap();
    let (world, clock, witness) = witnessed(dir.path()).await;
    let source = world.serve_source().await.unwrap();
    let site = &world.provider;
    let provider = world.start(site, at(&clock)).await.unwrap();
    exchange_and_stop(&world, &clock, provider).await;
    let (data, backup) = (site.dir.join("data"), site.dir.join("backup"));
    copy(&data, &backup).unwrap();
    let provider = world.start(site, at(&clock)).await.unwrap();
    exchange_and_stop(&world, &clock, provider).await;
    let newest = std::fs::read(site.shard_dir(FIRST).join("log/.state/final")).unwrap();
    let newest: Checkpoint = SignedNote::parse(&newest).unwrap().text().parse().unwrap();

    std::fs::remove_dir_all(&data).unwrap();
    copy(&backup, &data).unwrap();
    let restored = files(&site.shard_dir(FIRST).join("log"));
    let provider = world.start(site, at(&clock)).await.unwrap();
    assert_eq!(site.ledger_dir().unwrap(), site.shard_dir("2026h2.2"));
    let boot = opening(&site.shard_dir("2026h2.2"));
    let note = boot.note.as_ref().unwrap();
    assert!(note.starts_with("incident: follows ss1."), "{note}");
    // With the checkpoint that the witness has seen, which the copy did not have.
    let (last, hash) = checkpoint_in(site, &boot, &origin_of(site, FIRST));
    assert_eq!(*last.checkpoint(), newest);
    assert_eq!(previous(&world, site, "2026h2.2"), hash);
    // Nothing more was signed in the old one.
    assert_eq!(files(&site.shard_dir(FIRST).join("log")), restored);
    exchange_and_stop(&world, &clock, provider).await;
    assert_eq!(source.asked(), 3);
    let evidence = world.dir.join("commissioner/data/witness/evidence");
    assert_eq!(std::fs::read_dir(evidence).unwrap().count(), 0);
    for shard in [FIRST, "2026h2.2"] {
        assert!(is_sound(site, shard), "{shard}");
    }
    // The next start goes on in it.
    let provider = world.start(site, at(&clock)).await.unwrap();
    assert_eq!(site.ledger_dir().unwrap(), site.shard_dir("2026h2.2"));
    provider.shutdown().await;
    witness.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn data_put_back_is_told_by_the_mark_beside_the_keys_where_there_is_no_witness() {
    let dir = tempfile::tempdir().unwrap();
    let (world, clock) = unwitnessed(dir.path()).await;
    let site = &world.provider;
    let provider = world.start(site, at(&clock)).await.unwrap();
    exchange_and_stop(&world, &clock, provider).await;
    let (data, backup) = (site.dir.join("data"), site.dir.join("backup"));
    copy(&data, &backup).unwrap();
    let provider = world.start(site, at(&clock)).await.unwrap();
    exchange_and_stop(&world, &clock, provider).await;
    std::fs::remove_dir_all(&data).unwrap();
    copy(&backup, &data).unwrap();
    let provider = world.start(site, at(&clock)).await.unwrap();
    assert_eq!(site.ledger_dir().unwrap(), site.shard_dir("2026h2.2"));
    exchange_and_stop(&world, &clock, provider).await;
    // And the whole folder.
    std::fs::remove_dir_all(&data).unwrap();
    let provider = world.start(site, at(&clock)).await.unwrap();
    assert_eq!(site.ledger_dir().unwrap(), site.shard_dir("2026h2.3"));
    provider.shutdown().await;
}

/// A machine put back whole has nothing that could tell it; it signs nothing until a witness answers.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_lost_its_mark_waits_for_a_witness_before_it_signs() {
    let dir = tempfile::tempdir().unwrap();
    let (world, clock, witness) = witnessed(dir.path()).await;
    world.serve_source().await.unwrap();
    let site = &world.provider;
    let provider = world.start(site, at(&clock)).await.unwrap();
    exchange_and_stop(&world, &clock, provider).await;
    let (whole, backup) = (site.dir.clone(), dir.path().join("backup"));
    copy(&whole, &backup).unwrap();
    let provider = world.start(site, at(&clock)).await.unwrap();
    exchange_and_stop(&world, &clock, provider).await;
    std::fs::remove_dir_all(&whole).unwrap();
    copy(&backup, &whole).unwrap();
    std::fs::remove_file(whole.join("keys/newest-checkpoint")).unwrap();
    let listen = witness.endpoint().to_string();
    witness.shutdown().await;
    let restored = files(&site.shard_dir(FIRST));
    world.serve_source().await.unwrap();
    let mut starting = std::pin::pin!(world.start(site, at(&clock)));
    let silent = TcpListener::bind(&listen).await.unwrap();
    for _ in 0..3 {
        // Asked again, as nobody answered who is a witness: it waits.
        let mut stranger = tokio::select! {
            asked = silent.accept() => asked.unwrap().0,
            started = &mut starting => panic!("it did not wait: {started:?}"),
        };
        let nothing = b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n";
        stranger.write_all(nothing).await.unwrap();
    }
    drop(silent);
    assert_eq!(files(&site.shard_dir(FIRST)), restored);
    let witness = commissioner(&world, &listen).await;
    let provider = starting.await.unwrap();
    assert_eq!(site.ledger_dir().unwrap(), site.shard_dir("2026h2.2"));
    provider.shutdown().await;
    witness.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ledger_whose_write_ahead_log_or_whole_folder_is_gone_goes_on_in_a_new_shard() {
    let dir = tempfile::tempdir().unwrap();
    let (world, clock, witness) = witnessed(dir.path()).await;
    world.serve_source().await.unwrap();
    let site = &world.provider;
    let provider = world.start(site, at(&clock)).await.unwrap();
    exchange_and_stop(&world, &clock, provider).await;
    let wal = site.shard_dir(FIRST).join("wal");
    for file in std::fs::read_dir(&wal).unwrap().flatten() {
        std::fs::remove_file(file.path()).unwrap();
    }
    let provider = world.start(site, at(&clock)).await.unwrap();
    let boot = opening(&site.shard_dir("2026h2.2"));
    let (last, _) = checkpoint_in(site, &boot, &origin_of(site, FIRST));
    assert!(last.size() > 0);
    exchange_and_stop(&world, &clock, provider).await;

    // The whole disk.
    std::fs::remove_dir_all(site.dir.join("data")).unwrap();
    let provider = world.start(site, at(&clock)).await.unwrap();
    let boot = opening(&site.shard_dir("2026h2.3"));
    let (last, hash) = checkpoint_in(site, &boot, &origin_of(site, "2026h2.2"));
    assert!(last.size() > 0);
    assert_eq!(previous(&world, site, "2026h2.3"), hash);
    exchange_and_stop(&world, &clock, provider).await;
    let view = world.view();
    let shards = view.state.shards(&site.server, Mode::Live);
    assert_eq!(shards.len(), 3);
    assert!(is_sound(site, "2026h2.3"));
    witness.shutdown().await;
}

/// A copy of the time before the half-year ended knows neither the shard that followed nor, with the registry
/// away, that there is one. The mark does.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_from_before_the_half_years_end_is_never_written_to_again() {
    let dir = tempfile::tempdir().unwrap();
    let clock = ManualClock::at(YEARS_END);
    let mut world = World::build_at(dir.path(), Arc::new(clock.clone()))
        .await
        .unwrap();
    world.serve_source().await.unwrap();
    let provider = world.start(&world.provider, at(&clock)).await.unwrap();
    exchange_and_stop(&world, &clock, provider).await;
    let (data, backup) = {
        let site = &world.provider;
        (site.dir.join("data"), site.dir.join("backup"))
    };
    copy(&data, &backup).unwrap();
    let provider = world.start(&world.provider, at(&clock)).await.unwrap();
    exchange_and_stop(&world, &clock, provider).await;
    clock.advance(Duration::from_secs(70));
    let provider = world.start(&world.provider, at(&clock)).await.unwrap();
    exchange_and_stop(&world, &clock, provider).await;
    std::fs::remove_dir_all(&data).unwrap();
    copy(&backup, &data).unwrap();
    let first = world.provider.shard_dir(FIRST).join("log");
    let restored = files(&first);
    let provider = world.start(&world.provider, at(&clock)).await.unwrap();
    assert_eq!(files(&first), restored);
    let site = &world.provider;
    // Of the newest shard nothing is left here either.
    assert_eq!(site.ledger_dir().unwrap(), site.shard_dir("2027h1.2"));
    provider.shutdown().await;

    // The same without a registry to hear: it waits.
    std::fs::remove_dir_all(&data).unwrap();
    copy(&backup, &data).unwrap();
    world.registry.take().unwrap().shutdown().await.unwrap();
    let starting = world.start(&world.provider, at(&clock));
    let waited = tokio::time::timeout(Duration::from_secs(8), starting).await;
    assert!(waited.is_err(), "{waited:?}");
    assert_eq!(files(&first), restored);
}

/// A folder that is there and empty, and one that says no more than what it is.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shard_whose_files_are_gone_is_not_begun_again_from_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let (world, clock) = unwitnessed(dir.path()).await;
    let site = &world.provider;
    for (shard, next, keeps_format) in [(FIRST, "2026h2.2", false), ("2026h2.2", "2026h2.3", true)]
    {
        let provider = world.start(site, at(&clock)).await.unwrap();
        exchange_and_stop(&world, &clock, provider).await;
        let folder = site.shard_dir(shard);
        let format = std::fs::read(folder.join("FORMAT")).unwrap();
        std::fs::remove_dir_all(&folder).unwrap();
        std::fs::create_dir(&folder).unwrap();
        if keeps_format {
            std::fs::write(folder.join("FORMAT"), format).unwrap();
        }
        let provider = world.start(site, at(&clock)).await.unwrap();
        assert_eq!(site.ledger_dir().unwrap(), site.shard_dir(next));
        provider.shutdown().await;
    }
}

/// What is signed last, as a server stops, is in the mark too.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_mark_is_of_the_last_checkpoint_whatever_comes_after_it() {
    let dir = tempfile::tempdir().unwrap();
    let (world, clock) = unwitnessed(dir.path()).await;
    let site = &world.provider;
    let provider = world.start(site, at(&clock)).await.unwrap();
    let (data, backup) = (site.dir.join("data"), site.dir.join("backup"));
    let consumer = world.start(&world.consumer, at(&clock)).await.unwrap();
    ask(&world).await;
    provider.publish_checkpoint().await.unwrap();
    copy(&data, &backup).unwrap();
    ask(&world).await;
    provider.shutdown().await;
    let mark = std::fs::read(site.dir.join("keys/newest-checkpoint")).unwrap();
    let published = std::fs::read(site.shard_dir(FIRST).join("log/checkpoint")).unwrap();
    assert_eq!(mark, published);
    std::fs::remove_dir_all(&data).unwrap();
    copy(&backup, &data).unwrap();
    let provider = world.start(site, at(&clock)).await.unwrap();
    assert_eq!(site.ledger_dir().unwrap(), site.shard_dir("2026h2.2"));
    provider.shutdown().await;
    consumer.shutdown().await;
}
