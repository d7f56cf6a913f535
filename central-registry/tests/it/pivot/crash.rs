//! The machine stops at any moment of a pivot: whichever key the entries name signs, and no tree is signed
//! with two.

use std::sync::Arc;

use entente_directory::{Author, Change, MemoryBlobs, Policy, ProposalAct, apply};
use entente_follow::author::Pen;
use entente_ledger::SignedCheckpoint;
use entente_testkit::MemDisk;
use entente_testkit::disk::Fault;

use super::{Three, caught_up};
use crate::crash::start;
use crate::town::Member;

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_that_dies_at_any_write_of_a_pivot_goes_on_with_the_key_that_its_entries_name() {
    let disk = MemDisk::new();
    let mut three = Three::found_with(Arc::new(disk.clone()), |_| {}).await;
    let follower = three.town.follow("follower").await;
    let directory = follower.directory();
    three.town.admit(&directory, &Member::vital()).await;
    let (proposal, next) = three.propose(&directory).await;
    let held = directory.view();
    let now = three.town.now();
    let act = Change::ProposalApprove(ProposalAct { change: proposal });
    let pen = Pen::new(&held.state, Author::Registrar, &three.second, now);
    let agreed = pen.unwrap().sign(&act).unwrap();
    let after = apply(&held.state, &agreed, now, &MemoryBlobs::new()).unwrap();
    let pen = Pen::new(&after, Author::Registrar, &*three.town.registrar, now);
    let later = pen.unwrap().sign(&Change::Policy(Policy::usual())).unwrap();
    let changes = [agreed, later].map(|signed| signed.bytes().clone());
    follower.shutdown().await;
    three.town.stop().await;
    let anchor = three.town.anchor.clone();

    for at in 0.. {
        let disk = disk.restart();
        let running = start(&three.town, &disk).await.unwrap();
        let first = disk.operations();
        disk.fail_at(first + at, Fault::Crash);
        three.town.anchor.addresses = running.anchor().addresses.clone();
        let mut answered = 0;
        for change in &changes {
            let submitted = three.town.client().submit(change.clone(), Vec::new()).await;
            answered += u64::from(submitted.is_ok());
        }
        let note = three.town.client().latest().await.unwrap();
        // The disk is dead by now, or was never asked for so much: closing may fail.
        let _ = running.shutdown().await;
        let over = disk.operations() <= first + at;

        for image in [disk.crash(), disk.restart()] {
            let running = start(&three.town, &image).await.unwrap();
            assert!(running.size() >= held.size + answered, "operation {at}");
            three.town.anchor.addresses = running.anchor().addresses.clone();
            for change in &changes {
                let client = three.town.client();
                client.submit(change.clone(), Vec::new()).await.unwrap();
            }
            assert_eq!(running.size(), held.size + 2, "operation {at}");
            // By the anchor of before the pivot.
            assert_eq!(three.town.anchor.ledger, anchor.ledger);
            let name = format!("newcomer-{at}");
            let newcomer = three.town.follow(&name).await;
            let view = caught_up(&newcomer.directory(), held.size + 2).await;
            assert_eq!(view.ledger_key().unwrap().key(), next.verifying_key());
            // What was shown before the crash has the one key of its size, and is continued.
            let size = entente_ledger::Checkpoint::claimed(&note).unwrap().size;
            let key = view.ledger_at(size).unwrap();
            let shown = SignedCheckpoint::verify(&note, &key);
            let shown = shown.unwrap_or_else(|error| panic!("operation {at}: {error}"));
            assert_eq!(view.root_at(size), Some(shown.root()), "operation {at}");
            assert!(newcomer.directory().alarms().borrow().is_none());
            newcomer.shutdown().await;
            std::fs::remove_dir_all(three.town.folder(&name)).unwrap();
            running.shutdown().await.unwrap();
        }
        if over {
            assert!(at > 10, "the changes were written in {at} operations");
            return;
        }
    }
}
