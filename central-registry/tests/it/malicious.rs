//! A registry that turned: what it can try, and by whom it is caught. `docs/threats.md` lists these tests.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use entente_clock::Timestamp;
use entente_directory::{Author, Change, MemberAct, RegistryEntry, SignedChange, Standing};
use entente_follow::author::Pen;
use entente_follow::{AlarmKind, Directory, Follower, View};
use entente_ledger::tree::{leaf_hash, node_hash};
use entente_reason::Reason;
use entente_tls::net::Endpoint;

use crate::fake::{Fake, Said, entry};
use crate::faults::alarm;
use crate::town::{Member, Town, admission, caught_up};
use crate::witness::{Onlooker, witnessed_by};
use crate::witnessed::{admit_unseen, copy_folder, is_member, suspend, until};

const MINUTE: Duration = Duration::from_secs(60);

/// The same registry a second time: the same keys over a copy of its data, for others to be shown.
struct Twin {
    town: Town,
    endpoint: Endpoint,
}

impl Twin {
    async fn of(town: &mut Town) -> Self {
        town.stop().await;
        let data = town.folder("twin");
        copy_folder(town.config.data.as_path(), &data);
        town.start().await;
        let mut twin = Town {
            dir: tempfile::tempdir().unwrap(),
            clock: town.clock.clone(),
            disk: town.disk.clone(),
            config: town.config.clone(),
            registrar: Arc::clone(&town.registrar),
            anchor: town.anchor.clone(),
            running: None,
        };
        twin.config.data = data.into();
        twin.start().await;
        let endpoint = twin.running().endpoint().clone();
        Self {
            town: twin,
            endpoint,
        }
    }

    /// A follower of this one, which is shown nothing else.
    async fn follow(&self, name: &str) -> Follower {
        self.town.follow(name).await
    }
}

/// A registry that is stopped, a fake in its place with its keys, and a follower that comes over.
struct Scene {
    town: Town,
    fake: Fake,
    held: Arc<View>,
    follower: Follower,
    said: Said,
}

impl Scene {
    /// Once `done` has happened at the honest registry.
    async fn after(mut town: Town, follower: Follower) -> Self {
        let held = follower.directory().view();
        follower.shutdown().await;
        town.stop().await;
        let mut fake = Fake::of(&town).await;
        town.anchor.addresses = vec![fake.endpoint.clone()];
        let follower = town.follow("follower").await;
        let (from, said) = fake.next().await;
        assert_eq!(from, held.size);
        Self {
            town,
            fake,
            held,
            follower,
            said,
        }
    }

    fn directory(&self) -> Directory {
        self.follower.directory()
    }

    /// The checkpoint over what the follower holds and one entry more.
    fn checkpoint_after(&self, next: &Bytes) -> Bytes {
        // Of a tree whose left part is complete: the tests have two or four entries before.
        assert!(self.held.size.is_power_of_two());
        let root = node_hash(&self.held.root, &leaf_hash(next));
        self.fake.sign(self.held.size + 1, root)
    }

    /// Logs a change and publishes a checkpoint over it, cosigned when there is a witness.
    async fn log(&self, change: &SignedChange, witness: Option<&Onlooker>) {
        let next = entry(&self.town, change);
        self.said
            .entries(self.held.size, std::slice::from_ref(&next))
            .await;
        let mut note = self.checkpoint_after(&next);
        if let Some(witness) = witness {
            note = witness.cosign_blindly(&note);
        }
        self.said.checkpoint(note).await;
    }

    /// The same, at a time of the registry's choosing, after `entries`.
    async fn log_at(
        &self,
        at: Timestamp,
        change: &SignedChange,
        entries: &mut Vec<Bytes>,
        witness: &Onlooker,
    ) {
        let next = Bytes::from(RegistryEntry::encode_parts(at, change.bytes()));
        let index = entries.len() as u64;
        entries.push(next.clone());
        self.said.entries(index, &[next]).await;
        let note = witness.cosign_blindly(&self.fake.checkpoint(entries));
        self.said.checkpoint(note).await;
    }

    /// The follower caught it: the alarm is raised and the view is what it was.
    async fn caught_by_the_follower(&self, kind: AlarmKind) {
        let alarm = alarm(&self.directory()).await;
        assert_eq!(alarm.kind, kind);
        assert!(alarm.evidence.is_some_and(|file| file.exists()));
        let view = self.directory().view();
        assert_eq!((view.size, view.root), (self.held.size, self.held.root));
    }
}

fn with(town: &Town, at: &Endpoint) -> entente_follow::Anchor {
    entente_follow::Anchor {
        addresses: vec![at.clone()],
        ..town.anchor.clone()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fork_is_caught_by_a_witness_that_cosigns_one_of_two_trees() {
    let mut town = Town::found().await;
    let witness = Onlooker::of(&town, "witness").await;
    let follower = town.follow("follower").await;
    caught_up(&follower.directory(), 1).await;
    town.trust(&follower.directory(), witness.policy()).await;
    follower.shutdown().await;
    let twin = Twin::of(&mut town).await;
    let shown_one = town.follow("shown-one").await;
    let shown_other = twin.follow("shown-other").await;
    let (vital, pensions) = (Member::vital(), Member::pensions());
    town.admit(&shown_one.directory(), &vital).await;
    caught_up(&shown_other.directory(), 2).await;
    admit_unseen(&twin.town, &shown_other.directory(), &pensions).await;
    let directory = shown_other.directory();
    until("the other tree to be left aside", || {
        directory.counts().held > 0
    })
    .await;
    // By the witness: it cosigned one tree, and keeps what the other was signed with.
    assert_eq!(witness.has_seen().root(), shown_one.directory().view().root);
    until("the witness to keep the other", || witness.evidence() > 0).await;
    assert!(!is_member(&directory, &pensions), "so nobody believes it");
    // And the registry that was told of it takes nothing more.
    let mut tick = tokio::time::interval(Duration::from_millis(50));
    let refused = async {
        loop {
            tick.tick().await;
            if let Err(refused) = suspend(&twin.town, &directory, &pensions).await
                && refused.reason() == Reason::RegistrySplit
            {
                return;
            }
        }
    };
    let refused = tokio::time::timeout(crate::town::LONG, refused).await;
    refused.expect("the registry to stop");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fork_without_witnesses_is_caught_by_comparing_two_followers_views() {
    let mut town = Town::found().await;
    let twin = Twin::of(&mut town).await;
    let shown_one = town.follow("shown-one").await;
    let shown_other = twin.follow("shown-other").await;
    caught_up(&shown_one.directory(), 1).await;
    caught_up(&shown_other.directory(), 1).await;
    town.admit(&shown_one.directory(), &Member::vital()).await;
    twin.town
        .admit(&shown_other.directory(), &Member::pensions())
        .await;
    let (one, other) = (shown_one.directory(), shown_other.directory());
    for directory in [&one, &other] {
        assert!(
            directory.alarms().borrow().is_none(),
            "neither sees it alone"
        );
    }
    // By comparison: each says with every message which tree of which size it went by.
    let theirs = other.view();
    assert!(
        one.root_at(theirs.size)
            .is_some_and(|root| root != theirs.root)
    );
    assert_eq!(one.root_at(1), other.root_at(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fork_is_caught_by_a_follower_that_is_shown_both() {
    let mut town = Town::found().await;
    let twin = Twin::of(&mut town).await;
    let shown_other = twin.follow("shown-other").await;
    caught_up(&shown_other.directory(), 1).await;
    twin.town
        .admit(&shown_other.directory(), &Member::pensions())
        .await;
    let follower = town.follow("follower").await;
    town.admit(&follower.directory(), &Member::vital()).await;
    let held = follower.directory().view();
    follower.shutdown().await;
    let mut config = town.follower_config("follower");
    config.anchor = with(&town, &twin.endpoint);
    let follower = Follower::open(config).await.unwrap();
    let caught = alarm(&follower.directory()).await;
    assert_eq!(caught.kind, AlarmKind::Fork, "by the follower");
    let view = follower.directory().view();
    assert_eq!((view.size, view.root), (held.size, held.root));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollback_is_caught_by_a_follower_that_has_seen_more() {
    let mut town = Town::found().await;
    let twin = Twin::of(&mut town).await;
    let follower = town.follow("follower").await;
    town.admit(&follower.directory(), &Member::vital()).await;
    follower.shutdown().await;
    let mut config = town.follower_config("follower");
    config.anchor = with(&town, &twin.endpoint);
    let follower = Follower::open(config).await.unwrap();
    let caught = alarm(&follower.directory()).await;
    assert_eq!(caught.kind, AlarmKind::Rollback, "by the follower");
    assert!(is_member(&follower.directory(), &Member::vital()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forged_act_is_caught_by_the_follower_and_denies_nothing() {
    let town = Town::found().await;
    let follower = town.follow("follower").await;
    let vital = Member::vital();
    town.admit(&follower.directory(), &vital).await;
    let registrar = Arc::clone(&town.registrar);
    let scene = Scene::after(town, follower).await;
    // In the member's name, with a key that it does not have: the registrar's own.
    let act = MemberAct {
        member: vital.id.clone(),
        reason: None,
    };
    let (state, now) = (&scene.held.state, scene.town.now());
    let mut pen = Pen::new(state, vital.author(), &*registrar, now).unwrap();
    let forged = pen.sign(&Change::MemberSuspend(act)).unwrap();
    scene.log(&forged, None).await;
    scene.caught_by_the_follower(AlarmKind::RefusedChange).await;
    let standing = scene.directory().view().state.standing(&vital.id);
    assert_eq!(standing, Some(Standing::Active));
    assert_eq!(scene.directory().counts().denied_early, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_replayed_is_caught_by_the_follower_and_denies_nothing_again() {
    let town = Town::found().await;
    let follower = town.follow("follower").await;
    let directory = follower.directory();
    let vital = Member::vital();
    town.admit(&directory, &vital).await;
    let act = MemberAct {
        member: vital.id.clone(),
        reason: None,
    };
    // Suspended, and the suspension lifted since.
    let suspension = {
        let view = directory.view();
        let mut pen = town.registrar_pen(&view);
        let change = Change::MemberSuspend(act.clone());
        let signed = pen.sign(&change).unwrap();
        let client = town.client();
        let accepted = client.submit(signed.bytes().clone(), Vec::new()).await;
        caught_up(&directory, accepted.unwrap().size).await;
        signed
    };
    let (author, key) = (Author::Registrar, &*town.registrar);
    let resume = Change::MemberResume(act);
    town.submit(&directory, author, key, &resume, Vec::new())
        .await
        .unwrap();
    let scene = Scene::after(town, follower).await;
    assert_eq!(scene.held.size, 4);
    scene.log(&suspension, None).await;
    scene.caught_by_the_follower(AlarmKind::RefusedChange).await;
    let standing = scene.directory().view().state.standing(&vital.id);
    assert_eq!(standing, Some(Standing::Active));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_of_another_jurisdiction_is_caught_by_the_follower() {
    let town = Town::found().await;
    let follower = town.follow("follower").await;
    town.admit(&follower.directory(), &Member::vital()).await;
    let scene = Scene::after(town, follower).await;
    let abroad = Member::new("ca-qc/transport", "licences");
    let admit = admission(&abroad.application());
    let change = scene.town.registrar_pen(&scene.held).sign(&admit).unwrap();
    scene.log(&change, None).await;
    scene.caught_by_the_follower(AlarmKind::RefusedChange).await;
    assert!(!is_member(&scene.directory(), &abroad));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revocation_withheld_is_bounded_by_the_age_of_cosignatures_and_known_from_a_peer() {
    let mut town = Town::found().await;
    let witness = Onlooker::of(&town, "witness").await;
    let peer = town.follow("peer").await;
    let vital = Member::vital();
    caught_up(&peer.directory(), 1).await;
    town.trust(&peer.directory(), witness.policy()).await;
    town.admit(&peer.directory(), &vital).await;
    suspend(&town, &peer.directory(), &vital).await.unwrap();
    caught_up(&peer.directory(), 4).await;
    let entries = crate::faults::entries_of(&town, "peer");
    town.stop().await;
    // The follower is not shown the suspension, by a registry that swears there is nothing.
    let mut fake = Fake::of(&town).await;
    town.anchor.addresses = vec![fake.endpoint.clone()];
    let follower = town.follow("follower").await;
    let directory = follower.directory();
    let (_, said) = fake.next().await;
    said.entries(0, &entries[..3]).await;
    let old = witness.cosign_blindly(&fake.checkpoint(&entries[..3]));
    said.checkpoint(old.clone()).await;
    caught_up(&directory, 3).await;
    assert!(!directory.is_stale());

    // By the peer's larger view, at once.
    let behind = directory.catch_up(peer.directory().view().size, Duration::from_millis(100));
    let behind = behind.await.unwrap_err();
    assert_eq!(behind.reason(), Reason::RegistryBehind);
    // By the age of the cosignatures, whatever the registry says: no honest witness cosigns this size anew.
    town.clock.advance(16 * MINUTE);
    said.heartbeat(3).await;
    said.checkpoint(old).await;
    until("the word of the registry", || directory.is_connected()).await;
    assert!(directory.is_stale());
    assert!(directory.age() >= 16 * MINUTE);
}

/// A policy without witnesses is on the table, at a registry whose own clock nobody has to believe.
#[tokio::test(flavor = "multi_thread")]
async fn a_weakened_witness_policy_is_caught_by_the_follower_though_witnesses_cosign_it() {
    for has_floor in [true, false] {
        let mut town = Town::found().await;
        let witness = Onlooker::of(&town, "witness").await;
        let follower = town.follow("follower").await;
        caught_up(&follower.directory(), 1).await;
        town.trust(&follower.directory(), witness.policy()).await;
        if has_floor {
            town.anchor.witnesses = witness.policy();
        }
        let mut entries = crate::faults::entries_of(&town, "follower");
        let mut scene = Scene::after(town, follower).await;
        let before = scene.directory().view().state.policy().cloned();
        let nobody = witnessed_by(&scene.directory(), Default::default());
        let change = scene.town.registrar_pen(&scene.held).sign(&nobody).unwrap();
        scene
            .log_at(scene.town.now(), &change, &mut entries, &witness)
            .await;
        caught_up(&scene.directory(), 3).await;
        scene.held = scene.directory().view();
        assert_eq!(scene.held.state.policy(), before.as_ref(), "it has notice");

        // Its day comes no sooner for an entry that says it has come.
        let day = scene.town.now().saturating_add(NOTICE);
        let admit = admission(&Member::vital().application());
        let mut pen = scene.town.registrar_pen(&scene.held);
        let admit = pen.sign(&admit).unwrap();
        let mut early = entries.clone();
        scene.log_at(day, &admit, &mut early, &witness).await;
        scene.said.hung_up().await;
        assert_eq!(scene.directory().view().size, 3);

        scene.town.clock.advance(NOTICE);
        let (_, said) = scene.fake.next().await;
        scene.said = said;
        let mut pen = scene.town.registrar_pen(&scene.held);
        let admit = pen
            .sign(&admission(&Member::vital().application()))
            .unwrap();
        let now = scene.town.now();
        scene.log_at(now, &admit, &mut entries, &witness).await;
        if has_floor {
            // Whatever the registry's rules allow, this follower's anchor does not.
            scene
                .caught_by_the_follower(AlarmKind::WeakenedPolicy)
                .await;
        } else {
            caught_up(&scene.directory(), 4).await;
            assert_ne!(scene.directory().view().state.policy(), before.as_ref());
        }
    }
}

/// What asks less of anybody waits this long.
const NOTICE: Duration = Duration::from_secs(7 * 24 * 3_600);
