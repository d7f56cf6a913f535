//! A follower that begins with nothing: what it gets is worked off in parts, kept, and believed last.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use entente_directory::{Change, Policy, ServicePublish, State};
use entente_follow::author::Pen;
use entente_follow::{Follower, FollowerConfig, copied_entries};
use entente_ledger::disk::{Disk, RealDisk};
use entente_signing::Digest;
use entente_testkit::MemDisk;
use entente_testkit::disk::Fault;

use crate::fake::{Fake, Said, entry};
use crate::town::{LONG, Member, SERVICE, Town, caught_up};
use crate::witness::Onlooker;

/// A registry whose ledger is longer than what a follower works off at once, and whoever follows it.
struct Scene {
    town: Town,
    fake: Fake,
    /// All of its entries.
    entries: Vec<Bytes>,
    /// What they add up to.
    hash: Digest,
}

impl Scene {
    async fn set() -> Self {
        let mut town = Town::found().await;
        let follower = town.follow("first").await;
        let directory = follower.directory();
        let (vital, pensions) = (Member::vital(), Member::pensions());
        town.admit(&directory, &vital).await;
        town.admit(&directory, &pensions).await;
        town.agree(&directory, &vital, &pensions).await;
        let held = directory.view();
        follower.shutdown().await;
        town.stop().await;

        let mut entries = copied_entries(&RealDisk, &town.folder("first")).unwrap();
        assert_eq!(entries.len() as u64, held.size);
        let mut state = held.state.clone();
        let set = Bytes::from_static(entente_proto::VITAL_EVENTS_DESCRIPTOR_SET);
        let mut pen = town.registrar_pen(&held);
        let policy = Change::Policy(Policy::usual());
        let mut changes: Vec<_> = (0..SENT).map(|_| pen.sign(&policy).unwrap()).collect();
        // The rule for a second version reads the first one's contract again.
        let second = Change::ServicePublish(ServicePublish {
            service: SERVICE.parse().unwrap(),
            systems: [vital.system()].into(),
            descriptor_set: Digest::of(&set),
            version: 2,
        });
        let mut pen = Pen::new(&held.state, vital.author(), &vital.member, town.now()).unwrap();
        changes.push(pen.sign(&second).unwrap());
        let mut blobs = entente_directory::MemoryBlobs::new();
        blobs.insert(set.clone());
        for change in &changes {
            entries.push(entry(&town, change));
            state = entente_directory::apply(&state, change, town.now(), &blobs).unwrap();
        }

        let fake = Fake::of(&town).await;
        fake.hold(set);
        for record in held.state.agreements() {
            let agreement = held.agreement(&record.id()).unwrap();
            fake.hold(agreement.document().canonical().into_bytes().into());
        }
        town.anchor.addresses = vec![fake.endpoint.clone()];
        Self {
            town,
            fake,
            entries,
            hash: state.state_hash(),
        }
    }

    fn size(&self) -> u64 {
        self.entries.len() as u64
    }
}

async fn send(said: &Said, from: u64, entries: &[Bytes]) {
    for (step, entries) in entries.chunks(256).enumerate() {
        said.entries(from + 256 * step as u64, entries).await;
    }
}

fn config(town: &Town, disk: &MemDisk) -> FollowerConfig {
    let mut config = town.follower_config("unused");
    config.dir = "/follower".into();
    config.disk = Arc::new(disk.clone()) as Arc<dyn Disk>;
    config
}

fn hash(state: &State) -> Digest {
    state.state_hash()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cold_follower_that_dies_at_any_write_goes_on_and_ends_with_the_same_state() {
    let scene = Scene::set().await;
    let (size, expected) = (scene.size(), scene.hash);
    let Scene {
        town,
        mut fake,
        entries,
        ..
    } = scene;
    let note = fake.checkpoint(&entries);
    // From which size each follower asked.
    let asked = Arc::new(Mutex::new(Vec::new()));
    let heard = asked.clone();
    let serving = tokio::spawn(async move {
        loop {
            let (from, said) = fake.next().await;
            heard.lock().unwrap().push(from);
            send(&said, from, &entries[from as usize..]).await;
            said.checkpoint(note.clone()).await;
        }
    });
    for at in 0.. {
        let disk = MemDisk::new();
        // Creating the folder is not what this is about.
        let follower = Follower::open(config(&town, &disk)).await.unwrap();
        follower.shutdown().await;
        let disk = disk.restart();
        let first = disk.operations();
        disk.fail_at(first + at, Fault::Crash);
        let follower = Follower::open(config(&town, &disk)).await;
        let mut shown = 0;
        if let Ok(follower) = follower {
            let directory = follower.directory();
            let died = async {
                while disk.operations() <= first + at && directory.view().size < size {
                    tokio::task::yield_now().await;
                }
            };
            tokio::time::timeout(LONG, died).await.expect("an end");
            shown = directory.view().size;
            assert!(shown == 0 || shown == size, "only what a checkpoint covers");
            follower.shutdown().await;
        }
        let image = if at % 2 == 0 {
            disk.crash()
        } else {
            disk.restart()
        };
        let follower = Follower::open(config(&town, &image)).await.unwrap();
        let directory = follower.directory();
        assert!(directory.view().size >= shown, "operation {at}");
        let view = caught_up(&directory, size).await;
        assert_eq!(hash(&view.state), expected, "operation {at}");
        assert!(directory.alarms().borrow().is_none());
        follower.shutdown().await;
        if shown == size {
            assert!(at > 10, "a country was kept in {at} operations");
            break;
        }
    }
    serving.abort();
    let asked = asked.lock().unwrap();
    assert!(
        asked.contains(&0) && asked.contains(&WORKED_OFF),
        "{asked:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_lost_stream_sent_is_given_up_when_the_ledger_continues_otherwise() {
    let mut scene = Scene::set().await;
    let follower = scene.town.follow("follower").await;
    let directory = follower.directory();
    let (from, said) = scene.fake.next().await;
    assert_eq!(from, 0);
    send(&said, 0, &scene.entries[..SENT as usize]).await;
    drop(said);
    // The connection broke, and of what was sent the registry had signed nothing.
    let (from, said) = scene.fake.next().await;
    assert_eq!(from, WORKED_OFF);
    let mut others = scene.entries.clone();
    others[9] = others[10].clone();
    let note = scene.fake.checkpoint(&others);
    send(&said, from, &others[WORKED_OFF as usize..]).await;
    said.checkpoint(note).await;
    let (from, said) = scene.fake.next().await;
    assert_eq!(from, 0);
    assert_eq!(directory.view().size, 0);
    assert!(directory.alarms().borrow().is_none());
    send(&said, 0, &scene.entries).await;
    said.checkpoint(scene.fake.checkpoint(&scene.entries)).await;
    let view = caught_up(&directory, scene.size()).await;
    assert_eq!(hash(&view.state), scene.hash);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shorter_ledger_than_a_lost_stream_sent_is_followed_from_the_view() {
    let mut scene = Scene::set().await;
    let _follower = scene.town.follow("follower").await;
    let (_, said) = scene.fake.next().await;
    send(&said, 0, &scene.entries[..SENT as usize]).await;
    drop(said);
    let (from, said) = scene.fake.next().await;
    assert_eq!(from, WORKED_OFF);
    said.heartbeat(WORKED_OFF - 1).await;
    let (from, _said) = scene.fake.next().await;
    assert_eq!(from, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_checkpoint_over_less_than_was_worked_off_is_waited_out() {
    let mut scene = Scene::set().await;
    let follower = scene.town.follow("follower").await;
    let directory = follower.directory();
    let (_, said) = scene.fake.next().await;
    send(&said, 0, &scene.entries[..SENT as usize]).await;
    said.checkpoint(scene.fake.checkpoint(&scene.entries[..100]))
        .await;
    send(&said, SENT, &scene.entries[SENT as usize..]).await;
    said.checkpoint(scene.fake.checkpoint(&scene.entries)).await;
    let view = caught_up(&directory, scene.size()).await;
    assert_eq!(hash(&view.state), scene.hash);
    assert!(directory.alarms().borrow().is_none());
    assert_eq!(directory.counts().advanced, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cosigned_checkpoint_over_less_than_was_worked_off_is_asked_for_again_and_believed() {
    let mut scene = Scene::set().await;
    let witness = Onlooker::of(&scene.town, "witness").await;
    scene.town.anchor.witnesses = witness.policy();
    let follower = scene.town.follow("follower").await;
    let directory = follower.directory();
    let part = scene.fake.checkpoint(&scene.entries[..100]);
    let part = witness.cosign_blindly(&part);
    let (_, said) = scene.fake.next().await;
    send(&said, 0, &scene.entries[..SENT as usize]).await;
    said.checkpoint(part.clone()).await;
    // Who has to cosign what follows may be known from this one alone.
    let (from, said) = scene.fake.next().await;
    assert_eq!(from, 0);
    send(&said, 0, &scene.entries[..100]).await;
    said.checkpoint(part).await;
    caught_up(&directory, 100).await;
    send(&said, 100, &scene.entries[100..]).await;
    let whole = scene.fake.checkpoint(&scene.entries);
    said.checkpoint(whole.clone()).await;
    said.checkpoint(witness.cosign_blindly(&whole)).await;
    let view = caught_up(&directory, scene.size()).await;
    assert_eq!(hash(&view.state), scene.hash);
    let counts = directory.counts();
    assert_eq!((counts.held, counts.advanced), (1, 2));
    assert!(directory.alarms().borrow().is_none());
}

/// Entries of which a follower, without a checkpoint, works off that many.
const SENT: u64 = 1536;
const WORKED_OFF: u64 = 1024;
