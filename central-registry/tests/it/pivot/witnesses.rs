//! Witnesses of a registry whose ledger key is replaced: how they learn of it, and what they never do.

use std::sync::Arc;

use entente_follow::witness::{KnownLogs, Witness, WitnessConfig, WitnessLimits, serve};
use entente_follow::{Directory, Follower};
use entente_ledger::cosignature;
use entente_ledger::disk::RealDisk;
use entente_ledger::note::{NoteKey, SignedNote, WitnessKey};
use entente_ledger::witness::{AddCheckpoint, Refused};
use entente_signing::Ed25519Key;
use entente_tls::net::{Endpoint, Net as _, TokioNet};
use tokio::task::JoinHandle;

use super::stolen::checkpoint;
use super::{Three, caught_up, key_file, named};
use crate::faults::entries_of;
use crate::town::{Member, Town};
use crate::witness::alone;
use crate::witnessed::{admit_unseen, is_member, until};

/// A witness that follows the registry, as those of oversight bodies do.
struct Watcher {
    key: WitnessKey,
    at: Endpoint,
    witness: Arc<Witness>,
    follower: Follower,
    serving: JoinHandle<()>,
}

#[derive(Debug)]
struct Followed(Directory);

impl KnownLogs for Followed {
    fn keys(&self, origin: &str, size: u64) -> Vec<NoteKey> {
        let is_it = origin == self.0.anchor().origin();
        is_it.then(|| self.0.ledger_at(size)).into_iter().collect()
    }
}

impl Watcher {
    async fn of(town: &Town) -> Self {
        let follower = town.follow("watcher").await;
        let witness = Witness::open(WitnessConfig {
            name: "watcher".to_owned(),
            signer: Arc::new(Ed25519Key::generate().unwrap()),
            dir: town.folder("watched"),
            disk: Arc::new(RealDisk),
            clock: Arc::new(town.clock.clone()),
            logs: Arc::new(Followed(follower.directory())),
        });
        let witness = Arc::new(witness.unwrap());
        let listener = TokioNet.listen(&Endpoint::loopback()).await.unwrap();
        let at = listener.endpoint().clone();
        let limits = WitnessLimits::default();
        let serving = serve(listener, witness.clone(), limits, std::future::pending());
        Self {
            key: witness.key().clone(),
            at,
            witness,
            follower,
            serving: tokio::spawn(serving),
        }
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_witness_that_follows_the_registry_learns_the_new_key_from_it_and_takes_the_old_no_more()
{
    let three = Three::found().await;
    let watcher = Watcher::of(&three.town).await;
    let follower = three.town.follow("follower").await;
    let directory = follower.directory();
    caught_up(&directory, 1).await;
    let witnesses = alone(&watcher.key, &watcher.at);
    three.town.trust(&directory, witnesses).await;
    // Nobody believes the pivot before it is cosigned, the witness's own follower neither.
    let next = three.pivot(&directory).await;
    let turned = directory.view();
    cosignature::verify(turned.checkpoint.as_ref().unwrap(), &watcher.key).unwrap();
    three.town.admit(&directory, &Member::vital()).await;
    let view = directory.view();
    caught_up(&watcher.follower.directory(), view.size).await;

    let old = entente_keys::KeyStore::open(three.town.config.keys.as_path()).unwrap();
    let old = old.load(entente_keys::KeyUse::Ledger, "changes").unwrap();
    let entries = entries_of(&three.town, "follower");
    for (key, is_taken) in [(&*old, false), (&*next, true)] {
        let note = checkpoint(&three.town, &entries, key);
        let request = AddCheckpoint {
            old_size: view.size,
            proof: Vec::new(),
            note: SignedNote::parse(&note).unwrap(),
        };
        let answered = watcher.witness.add(request.to_string().as_bytes());
        assert_eq!(answered.is_ok(), is_taken, "{answered:?}");
        if let Err(refused) = answered {
            assert_eq!(refused.status(), Refused::Unsigned.status());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_witnessed_registry_that_lost_its_key_is_vouched_for_and_goes_on_under_the_next() {
    let mut three = Three::found().await;
    let port = three.town.anchor.addresses[0].to_string();
    let watcher = Watcher::of(&three.town).await;
    let follower = three.town.follow("follower").await;
    let directory = follower.directory();
    caught_up(&directory, 1).await;
    let witnesses = alone(&watcher.key, &watcher.at);
    three.town.trust(&directory, witnesses).await;
    let held = directory.view();
    three.town.stop().await;
    std::fs::remove_file(key_file(&three.town, 1)).unwrap();
    let next = three.prepare(&held.state);
    three.town.config.listen = port.parse().unwrap();
    // What the witness has seen is signed with the lost key, and counts.
    three.town.start().await;
    until("the follower to be back", || directory.is_connected()).await;
    let change = three.pivot_to(&held.state, &*next);
    let (proposal, accepted) = three
        .act(&held.state, &three.second, &change)
        .await
        .unwrap();
    until("the proposal", || {
        directory
            .unproven()
            .is_some_and(|state| state.size() >= accepted.size)
    })
    .await;
    let state = directory.unproven().unwrap();
    let agreed = three.approve(&state, &three.third, proposal).await.unwrap();
    let view = caught_up(&directory, agreed.size).await;
    cosignature::verify(view.checkpoint.as_ref().unwrap(), &watcher.key).unwrap();
    assert!(super::is_signed_with(
        &view,
        &named(&three.town, next.verifying_key())
    ));
    assert!(directory.alarms().borrow().is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_that_cosigns_another_is_told_both_keys_by_its_operator() {
    let three = Three::found().await;
    let follower = three.town.follow("follower").await;
    let directory = follower.directory();
    let view = caught_up(&directory, 1).await;
    let next = three.prepare(&view.state);
    let files = ["old.yaml", "new.yaml"].map(|name| three.town.folder(name));
    let mut anchor = three.town.anchor.clone();
    std::fs::write(&files[0], anchor.to_string()).unwrap();
    anchor.ledger = named(&three.town, next.verifying_key());
    std::fs::write(&files[1], anchor.to_string()).unwrap();
    let mut other = Town::found_with(|config| {
        config.jurisdiction = "ca-qc".parse().unwrap();
        config.witness = Some("127.0.0.1:0".parse().unwrap());
        config.cosigns = vec![files[0].clone().into()];
    })
    .await;
    let (at, key) = other.running().witness().unwrap().clone();
    three.town.trust(&directory, alone(&key, &at)).await;
    let (proposal, made) = three.propose(&directory).await;
    assert_eq!(
        made.verifying_key(),
        next.verifying_key(),
        "the one prepared"
    );
    let state = directory.view().state.clone();
    let agreed = three
        .approve(&state, &three.second, proposal)
        .await
        .unwrap();
    // Known by the old anchor alone: nothing under the new key is cosigned, nor believed.
    until("it to be left aside", || directory.counts().held > 0).await;
    assert!(directory.view().size < agreed.size);
    assert!(directory.alarms().borrow().is_none());
    other.stop().await;
    other.config.witness = Some(at.to_string().parse().unwrap());
    other.config.cosigns = files.map(Into::into).to_vec();
    other.start().await;
    caught_up(&directory, agreed.size).await;
    let vital = Member::vital();
    admit_unseen(&three.town, &directory, &vital).await;
    until("the next change", || is_member(&directory, &vital)).await;
}
