//! A registry that forks, forgets, or logs what the rules refuse is not followed.

use bytes::Bytes;
use entente_directory::{Author, Change, MemberAct, SignedChange};
use entente_follow::author::Pen;
use entente_follow::{Alarm, AlarmKind, Directory, Follower, View};
use entente_signing::{Digest, P256Key};

use crate::fake::{Fake, Said, entry};
use crate::town::{LONG, Member, Town, admission, caught_up};

/// A follower that has verified two changes, and a fake registry it now reaches instead.
struct Scene {
    town: Town,
    fake: Fake,
    follower: Follower,
    held: std::sync::Arc<View>,
    said: Said,
}

impl Scene {
    async fn set() -> Self {
        let mut town = Town::found().await;
        let follower = town.follow("follower").await;
        town.admit(&follower.directory(), &Member::vital()).await;
        let held = follower.directory().view();
        assert_eq!(held.size, 2);
        follower.shutdown().await;
        town.stop().await;
        let mut fake = Fake::of(&town).await;
        town.anchor.addresses = vec![fake.endpoint.clone()];
        let follower = town.follow("follower").await;
        let (from, said) = fake.next().await;
        assert_eq!(from, 2);
        Self {
            town,
            fake,
            follower,
            held,
            said,
        }
    }

    fn suspend(&self) -> SignedChange {
        let act = MemberAct {
            member: Member::vital().id,
            reason: None,
        };
        self.town
            .registrar_pen(&self.held)
            .sign(&Change::MemberSuspend(act))
            .unwrap()
    }

    /// The alarm came, with its evidence, and the view is what it was.
    async fn alarmed(&self, kind: AlarmKind) -> Alarm {
        let directory = self.follower.directory();
        let alarm = alarm(&directory).await;
        assert_eq!(alarm.kind, kind);
        let evidence = std::fs::read(alarm.evidence.as_ref().unwrap()).unwrap();
        assert!(!evidence.is_empty());
        let view = directory.view();
        assert_eq!((view.size, view.root), (self.held.size, self.held.root));
        self.said.hung_up().await;
        alarm
    }
}

pub(crate) async fn alarm(directory: &Directory) -> Alarm {
    let mut alarms = directory.alarms();
    let raised = alarms.wait_for(Option::is_some);
    let raised = tokio::time::timeout(LONG, raised)
        .await
        .expect("an alarm")
        .unwrap();
    raised.clone().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn another_root_for_a_size_it_had_signed_is_a_fork() {
    for size in [1, 2] {
        let scene = Scene::set().await;
        let other = scene.fake.sign(size, Digest::of(b"another history"));
        scene.said.checkpoint(other).await;
        scene.alarmed(AlarmKind::Fork).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_larger_tree_that_does_not_continue_the_verified_one_is_a_fork() {
    let scene = Scene::set().await;
    let next = entry(&scene.town, &scene.suspend());
    scene.said.entries(2, std::slice::from_ref(&next)).await;
    // As if the two before had never been: a tree of three other leaves.
    let other = scene
        .fake
        .checkpoint(&[Bytes::from("a"), Bytes::from("b"), next]);
    scene.said.checkpoint(other).await;
    scene.alarmed(AlarmKind::Fork).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_smaller_checkpoint_or_size_than_it_had_signed_is_a_rollback() {
    let scene = Scene::set().await;
    let earlier = scene.fake.sign(1, scene.held.root_at(1).unwrap());
    scene.said.checkpoint(earlier).await;
    scene.alarmed(AlarmKind::Rollback).await;

    let scene = Scene::set().await;
    scene.said.heartbeat(1).await;
    scene.alarmed(AlarmKind::Rollback).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_checkpoint_by_another_key_is_an_alarm() {
    let scene = Scene::set().await;
    let true_note = scene.held.checkpoint.as_ref().unwrap().note().to_string();
    let altered = true_note.replace("\n2\n", "\n3\n");
    assert_ne!(altered, true_note);
    scene.said.checkpoint(altered.into()).await;
    scene.alarmed(AlarmKind::BadSignature).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_the_rules_refuse_is_an_alarm_and_is_not_applied() {
    let scene = Scene::set().await;
    // A registrar nobody registered admits a friend.
    let impostor = P256Key::generate().unwrap();
    let state = &scene.held.state;
    let mut pen = Pen::new(state, Author::Registrar, &impostor, scene.town.now()).unwrap();
    let change = pen
        .sign(&admission(&Member::pensions().application()))
        .unwrap();
    let next = entry(&scene.town, &change);
    scene.said.entries(2, std::slice::from_ref(&next)).await;
    scene.said.checkpoint(checkpoint_after(&scene, next)).await;
    scene.alarmed(AlarmKind::RefusedChange).await;
    let view = scene.follower.directory().view();
    assert!(view.state.member(&Member::pensions().id).is_none());
}

/// A true checkpoint over what the follower holds and one more entry.
fn checkpoint_after(scene: &Scene, next: Bytes) -> Bytes {
    let leaf = entente_ledger::tree::leaf_hash(&next);
    let root = entente_ledger::tree::node_hash(&scene.held.root, &leaf);
    scene.fake.sign(3, root)
}

#[tokio::test(flavor = "multi_thread")]
async fn comes_back_to_a_registry_that_comes_back_to_what_it_had_signed() {
    let mut scene = Scene::set().await;
    scene
        .said
        .checkpoint(scene.fake.sign(2, Digest::of(b"other")))
        .await;
    scene.alarmed(AlarmKind::Fork).await;
    let directory = scene.follower.directory();
    assert!(!directory.is_connected());
    // Whoever waits for the registry hurries it.
    let (_, waited) = tokio::join!(
        async {
            let (from, said) = scene.fake.next().await;
            assert_eq!(from, 2);
            let next = entry(&scene.town, &scene.suspend());
            said.entries(2, std::slice::from_ref(&next)).await;
            said.checkpoint(checkpoint_after(&scene, next)).await;
            scene.said = said;
        },
        directory.catch_up(3, std::time::Duration::from_secs(2)),
    );
    assert_eq!(waited.unwrap().size, 3);
    assert_eq!(
        directory.alarms().borrow().as_ref().unwrap().kind,
        AlarmKind::Fork
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn another_first_change_than_the_anchor_s_is_not_believed() {
    let mut town = Town::found().await;
    town.anchor.genesis = Digest::of(b"another genesis");
    let follower = town.follow("newcomer").await;
    let alarm = alarm(&follower.directory()).await;
    assert_eq!(alarm.kind, AlarmKind::OtherGenesis);
    assert_eq!(follower.directory().view().size, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_of_another_tls_key_is_not_talked_to() {
    let mut town = Town::found().await;
    town.anchor.tls_keys = [Digest::of(b"another key")].into();
    let refused = town.client().latest().await.unwrap_err();
    assert_eq!(refused.reason(), entente_reason::Reason::PeerUntrusted);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blob_that_is_not_its_name_holds_the_view_back_until_the_right_one_comes() {
    let mut town = Town::found().await;
    let follower = town.follow("first").await;
    let (vital, pensions) = (Member::vital(), Member::pensions());
    town.admit(&follower.directory(), &vital).await;
    town.admit(&follower.directory(), &pensions).await;
    town.agree(&follower.directory(), &vital, &pensions).await;
    let entries = entries_of(&town, "first");
    follower.shutdown().await;
    town.stop().await;
    let mut fake = Fake::of(&town).await;
    fake.hold(Bytes::from("not what was asked for"));
    town.anchor.addresses = vec![fake.endpoint.clone()];
    let newcomer = town.follow("newcomer").await;
    let directory = newcomer.directory();
    let (_, said) = fake.next().await;
    said.entries(0, &entries).await;
    said.checkpoint(fake.checkpoint(&entries)).await;
    said.hung_up().await;
    assert_eq!(directory.view().size, 0);
    assert!(directory.alarms().borrow().is_none());

    let set = Bytes::from_static(entente_proto::VITAL_EVENTS_DESCRIPTOR_SET);
    let agreement = crate::town::agreement(Digest::of(&set));
    fake.hold(set);
    fake.hold(Bytes::from(agreement.document().canonical().into_bytes()));
    let (_, said) = fake.next().await;
    said.entries(0, &entries).await;
    said.checkpoint(fake.checkpoint(&entries)).await;
    let view = caught_up(&directory, entries.len() as u64).await;
    assert!(view.state.agreement(&agreement.id()).is_some());
}

/// The entries of a follower's copy, which are the registry's.
pub(crate) fn entries_of(town: &Town, follower: &str) -> Vec<Bytes> {
    let mut bytes = Bytes::from(std::fs::read(town.folder(follower).join("entries")).unwrap());
    let mut entries = Vec::new();
    while !bytes.is_empty() {
        let head = bytes.split_to(8);
        let length = u32::from_be_bytes(head[..4].try_into().unwrap());
        entries.push(bytes.split_to(length as usize));
    }
    entries
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_that_was_altered_is_not_used() {
    let mut town = Town::found().await;
    let follower = town.follow("follower").await;
    town.admit(&follower.directory(), &Member::vital()).await;
    follower.shutdown().await;
    town.stop().await;
    let folder = town.folder("follower");
    for file in ["entries", "checkpoint"] {
        let path = folder.join(file);
        let whole = std::fs::read(&path).unwrap();
        for at in [0, whole.len() / 2, whole.len() - 3] {
            let mut altered = whole.clone();
            altered[at] ^= 1;
            std::fs::write(&path, altered).unwrap();
            let opened = Follower::open(town.follower_config("follower")).await;
            let refused = opened.expect_err("an altered copy");
            assert_eq!(
                refused.reason(),
                entente_reason::Reason::InternalFault,
                "{file} {at}"
            );
        }
        std::fs::write(&path, whole).unwrap();
    }
    town.follow("follower").await;
}
