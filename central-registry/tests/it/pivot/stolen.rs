//! What whoever has a ledger key, old or new, can show without the registrars.

use bytes::Bytes;
use entente_directory::{Change, ProposalAct, SignedChange};
use entente_follow::author::Pen;
use entente_follow::{AlarmKind, Anchor, Follower};
use entente_ledger::tree::{leaf_hash, root_of};
use entente_ledger::{Checkpoint, SignedCheckpoint};
use entente_signing::{Digest, Ed25519Key, Signer};

use super::{Three, caught_up};
use crate::fake::{Fake, Said, entry};
use crate::faults::{alarm, entries_of};
use crate::town::{Member, Town, admission};
use crate::witnessed::until;

/// A registry that was stopped, with a fake in its place that has its TLS key, and what a follower of it held.
struct Scene {
    three: Three,
    fake: Fake,
    entries: Vec<Bytes>,
    said: Said,
    follower: Follower,
}

impl Scene {
    async fn after(mut three: Three, follower: Follower) -> Self {
        follower.shutdown().await;
        let entries = entries_of(&three.town, "follower");
        three.town.stop().await;
        let mut fake = Fake::of(&three.town).await;
        three.town.anchor.addresses = vec![fake.endpoint.clone()];
        let follower = three.town.follow("follower").await;
        let (_, said) = fake.next().await;
        Self {
            three,
            fake,
            entries,
            said,
            follower,
        }
    }

    /// Logs a change of the first registrar's.
    async fn log(&mut self, change: &Change) -> SignedChange {
        let view = self.follower.directory().view();
        let key = &*self.three.town.registrar;
        let author = entente_directory::Author::Registrar;
        let pen = Pen::new(&view.state, author, key, self.three.town.now());
        let signed = pen.unwrap().sign(change).unwrap();
        let next = entry(&self.three.town, &signed);
        let index = self.entries.len() as u64;
        self.entries.push(next.clone());
        self.said.entries(index, &[next]).await;
        signed
    }

    /// The follower started anew, which does not wait as one that was alarmed.
    async fn again(&mut self) -> (u64, Said) {
        let another = self.three.town.follow("another").await;
        let alarmed = std::mem::replace(&mut self.follower, another);
        alarmed.shutdown().await;
        let another = self.three.town.follow("follower").await;
        std::mem::replace(&mut self.follower, another)
            .shutdown()
            .await;
        loop {
            let (from, said) = self.fake.next().await;
            if from > 0 {
                return (from, said);
            }
        }
    }

    async fn caught(&self, kind: AlarmKind, size: u64) {
        let directory = self.follower.directory();
        let raised = alarm(&directory).await;
        assert_eq!(raised.kind, kind);
        assert!(raised.evidence.is_some_and(|file| file.exists()));
        assert_eq!(directory.view().size, size);
        self.said.hung_up().await;
    }
}

/// A checkpoint over these entries, with any key.
pub(super) fn checkpoint(town: &Town, entries: &[Bytes], key: &dyn Signer) -> Bytes {
    let leaves: Vec<Digest> = entries.iter().map(|entry| leaf_hash(entry)).collect();
    let checkpoint = Checkpoint {
        origin: town.anchor.origin().to_owned(),
        size: entries.len() as u64,
        root: root_of(&leaves),
    };
    let signed = SignedCheckpoint::sign(checkpoint, key).unwrap();
    signed.note().to_string().into()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_old_key_signs_nothing_beyond_the_pivot() {
    let three = Three::found().await;
    let follower = three.town.follow("follower").await;
    let directory = follower.directory();
    three.town.admit(&directory, &Member::vital()).await;
    three.pivot(&directory).await;
    let size = directory.view().size;
    // The fake has the first key, as a thief has who took it before.
    let mut scene = Scene::after(three, follower).await;
    scene
        .log(&admission(&Member::pensions().application()))
        .await;
    let note = scene.fake.checkpoint(&scene.entries);
    scene.said.checkpoint(note).await;
    scene.caught(AlarmKind::FormerKey, size).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_old_key_signs_not_even_the_entry_that_replaces_it() {
    let three = Three::found().await;
    let follower = three.town.follow("follower").await;
    let directory = follower.directory();
    caught_up(&directory, 1).await;
    let (proposal, next) = three.propose(&directory).await;
    let size = directory.view().size;
    let mut scene = Scene::after(three, follower).await;
    let (state, now) = (scene.follower.directory().view(), scene.three.town.now());
    let author = entente_directory::Author::Registrar;
    let mut pen = Pen::new(&state.state, author, &scene.three.second, now).unwrap();
    let act = Change::ProposalApprove(ProposalAct { change: proposal });
    let agreed = entry(&scene.three.town, &pen.sign(&act).unwrap());
    scene
        .said
        .entries(size, std::slice::from_ref(&agreed))
        .await;
    scene.entries.push(agreed);
    let note = scene.fake.checkpoint(&scene.entries);
    scene.said.checkpoint(note).await;
    scene.caught(AlarmKind::FormerKey, size).await;
    // The same tree, by the key that its entries name.
    let (from, said) = scene.again().await;
    assert_eq!(from, size);
    said.entries(size, &scene.entries[size as usize..]).await;
    said.checkpoint(checkpoint(&scene.three.town, &scene.entries, &*next))
        .await;
    caught_up(&scene.follower.directory(), size + 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_key_without_the_quorum_is_refused() {
    let three = Three::found().await;
    let follower = three.town.follow("follower").await;
    let directory = follower.directory();
    caught_up(&directory, 1).await;
    // One registrar is in league with whoever has the machine.
    let (_, next) = three.propose(&directory).await;
    let size = directory.view().size;
    let mut scene = Scene::after(three, follower).await;
    scene
        .log(&admission(&Member::pensions().application()))
        .await;
    let note = checkpoint(&scene.three.town, &scene.entries, &*next);
    scene.said.checkpoint(note).await;
    scene.caught(AlarmKind::BadSignature, size).await;
    // Nor does a key do that nobody ever heard of, over what the follower has.
    let (_, said) = scene.again().await;
    let unknown = Ed25519Key::generate().unwrap();
    let held = &scene.entries[..size as usize];
    said.checkpoint(checkpoint(&scene.three.town, held, &unknown))
        .await;
    said.hung_up().await;
    assert_eq!(scene.follower.directory().view().size, size);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newcomer_with_a_new_anchor_is_not_shown_the_ledger_of_before_the_pivot() {
    let three = Three::found().await;
    let follower = three.town.follow("follower").await;
    let directory = follower.directory();
    three.town.admit(&directory, &Member::vital()).await;
    let before = directory.view().size as usize;
    let next = three.pivot(&directory).await;
    let mut scene = Scene::after(three, follower).await;
    let mut config = scene.three.town.follower_config("newcomer");
    config.anchor = Anchor {
        ledger: super::named(&scene.three.town, next.verifying_key()),
        ..config.anchor
    };
    let newcomer = Follower::open(config).await.unwrap();
    let directory = newcomer.directory();
    let (from, said) = scene.fake.next().await;
    assert_eq!(from, 0);
    // True, and signed with the key that it was signed with; and long ago.
    said.entries(0, &scene.entries[..before]).await;
    said.checkpoint(scene.fake.checkpoint(&scene.entries[..before]))
        .await;
    until("it to be left aside", || directory.counts().held > 0).await;
    assert_eq!(directory.view().size, 0);
    let rest = &scene.entries[before..];
    said.entries(before as u64, rest).await;
    said.checkpoint(checkpoint(&scene.three.town, &scene.entries, &*next))
        .await;
    caught_up(&directory, scene.entries.len() as u64).await;
    assert!(directory.alarms().borrow().is_none());
}
