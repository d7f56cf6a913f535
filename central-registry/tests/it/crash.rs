//! The machine stops at any moment: what was answered or shown is still there, and nothing contradicts it.

use std::sync::Arc;

use bytes::Bytes;
use entente_central_registry::{CentralRegistry, Running};
use entente_directory::{Author, Change, Policy};
use entente_follow::author::Pen;
use entente_follow::{Directory, Follower, FollowerConfig};
use entente_ledger::disk::Disk;
use entente_testkit::MemDisk;
use entente_testkit::disk::Fault;

use crate::town::{LONG, Member, Town, caught_up};

/// A registry whose data is on `disk` and nothing else is; no timer publishes behind our back.
pub(crate) async fn start(town: &Town, disk: &MemDisk) -> Result<Running, String> {
    let mut deps = town.deps();
    deps.disk = Arc::new(disk.clone());
    deps.runner = entente_ledger::Runner::Task;
    let started = CentralRegistry::start(town.config.clone(), deps).await;
    started.map_err(|error| format!("{error:?}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_that_dies_at_any_write_keeps_what_it_answered_and_takes_the_rest_again() {
    let disk = MemDisk::new();
    let mut town = Town::found_on(Arc::new(disk.clone()), |_| {}).await;
    let follower = town.follow("follower").await;
    let directory = follower.directory();
    let vital = Member::vital();
    town.admit(&directory, &vital).await;
    let held = directory.view();
    // A change with a blob, then one without.
    let set = Bytes::from_static(entente_proto::VITAL_EVENTS_DESCRIPTOR_SET);
    let publish = Change::ServicePublish(entente_directory::ServicePublish {
        service: crate::town::SERVICE.parse().unwrap(),
        systems: [vital.system()].into(),
        descriptor_set: entente_signing::Digest::of(&set),
        version: 1,
    });
    let mut pen = Pen::new(&held.state, vital.author(), &vital.member, town.now()).unwrap();
    let publish = pen.sign(&publish).unwrap().bytes().clone();
    let mut pen = town.registrar_pen(&held);
    let policy = pen
        .sign(&Change::Policy(Policy::usual()))
        .unwrap()
        .bytes()
        .clone();
    follower.shutdown().await;
    town.stop().await;

    let submissions = [(publish, vec![set]), (policy, vec![])];
    for at in 0.. {
        let disk = disk.restart();
        let running = start(&town, &disk).await.unwrap();
        let first = disk.operations();
        disk.fail_at(first + at, Fault::Crash);
        town.anchor = running.anchor().clone();
        let mut answered = Vec::new();
        for (change, blobs) in &submissions {
            if let Ok(accepted) = town.client().submit(change.clone(), blobs.clone()).await {
                answered.push(accepted);
            }
        }
        let note = town.client().latest().await.unwrap();
        // The disk is dead by now, or was never asked for so much: closing may fail.
        let _ = running.shutdown().await;
        let over = disk.operations() <= first + at;

        for image in [disk.crash(), disk.restart()] {
            let running = start(&town, &image).await.unwrap();
            assert!(
                running.size() >= held.size + answered.len() as u64,
                "operation {at}"
            );
            town.anchor = running.anchor().clone();
            for (index, (change, blobs)) in submissions.iter().enumerate() {
                let again = town
                    .client()
                    .submit(change.clone(), blobs.clone())
                    .await
                    .unwrap();
                if let Some(before) = answered.get(index) {
                    assert_eq!(again, *before, "operation {at}");
                }
            }
            assert_eq!(running.size(), held.size + 2, "operation {at}");
            // Whoever saw the last checkpoint before the crash finds it continued.
            let newcomer = town.follow(&format!("newcomer-{at}")).await;
            let view = caught_up(&newcomer.directory(), held.size + 2).await;
            let shown = entente_ledger::SignedCheckpoint::verify(&note, &town.anchor.ledger);
            let shown = shown.unwrap();
            assert_eq!(
                view.root_at(shown.size()),
                Some(shown.root()),
                "operation {at}"
            );
            newcomer.shutdown().await;
            std::fs::remove_dir_all(town.folder(&format!("newcomer-{at}"))).unwrap();
            running.shutdown().await.unwrap();
        }
        if over {
            assert!(at > 10, "the change was written in {at} operations");
            return;
        }
    }
}

fn follow_on(town: &Town, disk: &MemDisk) -> FollowerConfig {
    let mut config = town.follower_config("unused");
    config.dir = "/follower".into();
    config.disk = Arc::new(disk.clone()) as Arc<dyn Disk>;
    config
}

#[tokio::test(flavor = "multi_thread")]
async fn a_follower_that_dies_at_any_write_never_forgets_a_view_it_showed() {
    let town = Town::found().await;
    let disk = MemDisk::new();
    let follower = Follower::open(follow_on(&town, &disk)).await.unwrap();
    let directory = follower.directory();
    caught_up(&directory, 1).await;
    follower.shutdown().await;
    let mut size = 1;
    for at in 0.. {
        let disk = disk.restart();
        let follower = Follower::open(follow_on(&town, &disk)).await.unwrap();
        let directory = follower.directory();
        caught_up(&directory, size).await;
        connected(&directory).await;
        let first = disk.operations();
        disk.fail_at(first + at, Fault::Crash);
        // Seen without this follower, whose disk is about to die.
        let witness = town.follow(&format!("witness-{at}")).await;
        let registrar = &*town.registrar;
        let policy = Change::Policy(Policy::usual());
        let seen = witness.directory();
        town.submit(&seen, Author::Registrar, registrar, &policy, vec![])
            .await
            .unwrap();
        witness.shutdown().await;
        size += 1;
        let died = async {
            while disk.operations() <= first + at && directory.view().size < size {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(LONG, died).await.expect("an end");
        let shown = directory.view();
        follower.shutdown().await;
        let over = shown.size == size;
        for image in disk.crash_images(at) {
            let follower = Follower::open(follow_on(&town, &image)).await.unwrap();
            let directory = follower.directory();
            let view = directory.view();
            assert!(view.size >= shown.size, "operation {at}");
            assert_eq!(view.root_at(shown.size), Some(shown.root));
            let view = caught_up(&directory, size).await;
            assert_eq!(view.size, size, "operation {at}");
            assert!(directory.alarms().borrow().is_none());
            follower.shutdown().await;
        }
        if over {
            assert!(at > 5, "a view was kept in {at} operations");
            return;
        }
    }
}

async fn connected(directory: &Directory) {
    let connected = async {
        while !directory.is_connected() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(LONG, connected)
        .await
        .expect("a connection");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_without_room_refuses_and_serves_again_when_there_is_room() {
    let disk = MemDisk::new();
    let mut town = Town::found_on(Arc::new(disk.clone()), |_| {}).await;
    let follower = town.follow("follower").await;
    let view = caught_up(&follower.directory(), 1).await;
    let mut pen = town.registrar_pen(&view);
    let policy = pen
        .sign(&Change::Policy(Policy::usual()))
        .unwrap()
        .bytes()
        .clone();
    disk.set_capacity(Some(disk.used()));
    let refused = town
        .client()
        .submit(policy.clone(), vec![])
        .await
        .unwrap_err();
    assert_eq!(refused.reason(), entente_reason::Reason::LogUnavailable);
    let application = town
        .client()
        .apply(Member::vital().application())
        .await
        .unwrap_err();
    assert_eq!(application.reason(), entente_reason::Reason::LogUnavailable);
    let mut ready = town.running().health().watch_ready();
    disk.set_capacity(None);
    tokio::time::timeout(LONG, ready.wait_for(|ready| *ready))
        .await
        .unwrap()
        .unwrap();
    town.client().submit(policy, vec![]).await.unwrap();
    caught_up(&follower.directory(), 2).await;
    town.stop().await;
}
