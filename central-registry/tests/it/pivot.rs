//! Another ledger key in the place of a registry's present one: planned, or because it was lost or stolen.

mod crash;
mod lost;
mod stolen;
mod witnesses;

use std::path::PathBuf;
use std::sync::Arc;

use entente_central_registry::{Config, Founding, LedgerKeys, Standby, Takeover, take_over};
use entente_directory::{Author, Change, Genesis, LedgerKey, Policy, ProposalAct, State};
use entente_follow::author::Pen;
use entente_follow::{
    Abroad, AbroadConfig, Accepted, Anchor, Directory, Follower, RegistryError, View,
};
use entente_keys::{KeyStore, KeyUse};
use entente_ledger::disk::{Disk, RealDisk};
use entente_ledger::note::NoteKey;
use entente_reason::Reason;
use entente_signing::{Digest, P256Key, Signer, VerifyingKey};
use entente_tls::net::TokioNet;

use crate::nginx::Nginx;
use crate::town::{Member, Town, caught_up, identity};
use crate::witnessed::until;

/// A registry of three registrars, of whom two decide.
pub(crate) struct Three {
    pub(crate) town: Town,
    pub(crate) second: P256Key,
    pub(crate) third: P256Key,
}

impl Three {
    async fn found() -> Self {
        Self::found_with(Arc::new(RealDisk), |_| {}).await
    }

    async fn found_with(disk: Arc<dyn Disk>, change: impl FnOnce(&mut Config)) -> Self {
        let [second, third] = [0, 1].map(|_| P256Key::generate().unwrap());
        let founding = Founding {
            policy: Policy::usual(),
            registrars: [&second, &third]
                .map(|key| key.verifying_key().clone())
                .to_vec(),
            quorum: 2,
        };
        Self {
            town: Town::found_by(founding, disk, change).await,
            second,
            third,
        }
    }

    fn store(&self) -> KeyStore {
        KeyStore::open(self.town.config.keys.as_path()).unwrap()
    }

    /// The next ledger key, made beside the present one.
    fn prepare(&self, state: &State) -> Arc<dyn Signer> {
        LedgerKeys::prepare(&self.store(), state.registry()).unwrap()
    }

    fn pivot_to(&self, state: &State, key: &dyn Signer) -> Change {
        Change::LedgerKey(LedgerKey::prove(state.registry().unwrap(), key, None).unwrap())
    }

    /// What one registrar's change comes to, signed after this state.
    async fn act(
        &self,
        state: &State,
        registrar: &dyn Signer,
        change: &Change,
    ) -> Result<(Digest, Accepted), RegistryError> {
        let pen = Pen::new(state, Author::Registrar, registrar, self.town.now());
        let signed = pen.unwrap().sign(change).unwrap();
        let bytes = signed.bytes().clone();
        let accepted = self.town.client().submit(bytes, Vec::new()).await?;
        Ok((signed.hash(), accepted))
    }

    /// The first registrar proposes the next key; its proposal.
    async fn propose(&self, directory: &Directory) -> (Digest, Arc<dyn Signer>) {
        let state = directory.view().state.clone();
        let next = self.prepare(&state);
        let change = self.pivot_to(&state, &*next);
        let proposed = self.act(&state, &*self.town.registrar, &change).await;
        let (proposal, accepted) = proposed.unwrap();
        caught_up(directory, accepted.size).await;
        (proposal, next)
    }

    async fn approve(
        &self,
        state: &State,
        registrar: &dyn Signer,
        proposal: Digest,
    ) -> Result<Accepted, RegistryError> {
        let act = Change::ProposalApprove(ProposalAct { change: proposal });
        let done = self.act(state, registrar, &act).await;
        done.map(|(_, accepted)| accepted)
    }

    /// A whole planned pivot, as this follower sees it.
    async fn pivot(&self, directory: &Directory) -> Arc<dyn Signer> {
        let (proposal, next) = self.propose(directory).await;
        let state = directory.view().state.clone();
        let agreed = self.approve(&state, &self.second, proposal).await.unwrap();
        caught_up(directory, agreed.size).await;
        next
    }
}

fn named(town: &Town, key: &VerifyingKey) -> NoteKey {
    NoteKey::new(town.anchor.origin(), key.clone()).unwrap()
}

fn is_signed_with(view: &View, key: &NoteKey) -> bool {
    let note = view.checkpoint.as_ref().unwrap().note().to_string();
    entente_ledger::SignedCheckpoint::verify(note.as_bytes(), key).is_ok()
}

#[tokio::test(flavor = "multi_thread")]
async fn two_of_three_registrars_replace_the_ledger_key_while_everybody_follows() {
    let three = Three::found().await;
    let follower = three.town.follow("follower").await;
    let directory = follower.directory();
    let vital = Member::vital();
    three.town.admit(&directory, &vital).await;
    let old = three.town.anchor.ledger.clone();
    assert!(is_signed_with(&directory.view(), &old));

    let (proposal, next) = three.propose(&directory).await;
    let new = named(&three.town, next.verifying_key());
    let proposed = directory.view();
    assert!(is_signed_with(&proposed, &old));
    // One registrar alone cannot, however often.
    let registrar = &*three.town.registrar;
    let again = three.approve(&proposed.state, registrar, proposal).await;
    assert_eq!(again.unwrap_err().reason(), Reason::ChangeMalformed);
    assert_eq!(directory.view().ledger_key(), Some(old.clone()));

    let agreed = three.approve(&proposed.state, &three.third, proposal).await;
    let agreed = agreed.unwrap().size;
    let turned = caught_up(&directory, agreed).await;
    assert!(is_signed_with(&turned, &new) && !is_signed_with(&turned, &old));
    assert_eq!(turned.ledger_at(proposed.size), Some(old.clone()));
    // The same process goes on, and so does the same follower.
    let pensions = Member::pensions();
    three.town.admit(&directory, &pensions).await;
    assert!(is_signed_with(&directory.view(), &new));
    assert_eq!(directory.counts().sessions, 1, "nobody was sent away");
    assert!(directory.alarms().borrow().is_none());
    assert_eq!(directory.unproven().map(|state| state.size()), None);
    follower.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_follows_goes_on_over_a_pivot_by_the_old_anchor_and_newcomers_by_either() {
    let mut three = Three::found().await;
    let offline = three.town.follow("offline").await;
    caught_up(&offline.directory(), 1).await;
    offline.shutdown().await;
    let follower = three.town.follow("follower").await;
    let directory = follower.directory();
    three.town.admit(&directory, &Member::vital()).await;
    three.pivot(&directory).await;
    three.pivot(&directory).await;
    three.town.admit(&directory, &Member::pensions()).await;
    let held = directory.view();
    follower.shutdown().await;
    let old = three.town.anchor.clone();
    three.town.stop().await;
    three.town.start().await;
    let new = Anchor {
        addresses: three.town.anchor.addresses.clone(),
        ..three.town.running().anchor().clone()
    };
    assert_ne!(new.ledger, old.ledger);
    assert_eq!(Some(new.ledger.clone()), held.ledger_key());
    let old = Anchor {
        ledger: old.ledger,
        ..new.clone()
    };
    let cases = [
        ("follower", &old, "restarted"),
        ("follower", &new, "with another anchor"),
        ("offline", &old, "away during both"),
        ("cold-old", &old, "cold"),
        ("cold-new", &new, "cold, with a new anchor"),
    ];
    for (name, anchor, what) in cases {
        let mut config = three.town.follower_config(name);
        config.anchor = anchor.clone();
        let follower = Follower::open(config).await.unwrap();
        let directory = follower.directory();
        let view = caught_up(&directory, held.size).await;
        assert_eq!(view.root_at(held.size), Some(held.root), "{what}");
        until(what, || directory.is_confirmed()).await;
        assert!(directory.alarms().borrow().is_none(), "{what}");
        follower.shutdown().await;
        // What it wrote down opens again without the registry.
        let mut config = three.town.follower_config(name);
        config.anchor = Anchor {
            addresses: vec!["127.0.0.1:1".parse().unwrap()],
            ..anchor.clone()
        };
        let follower = Follower::open(config).await.unwrap();
        assert_eq!(follower.directory().view().size, view.size, "{what}");
        follower.shutdown().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pivot_is_followed_on_a_mirror_and_taken_over_by_a_standby() {
    let mut three = Three::found().await;
    let dir = three.town.folder("second");
    std::fs::create_dir_all(&dir).unwrap();
    let text = "
jurisdiction: ca-demo
listen: 127.0.0.1:0
data: ./data
keys: ../keys
anchor: ../anchor.yaml
standby_of: ./first.yaml
";
    let second: Config = entente_config::parse_in(text, "standby.yaml", &dir).unwrap();
    std::fs::write(dir.join("first.yaml"), three.town.anchor.to_string()).unwrap();
    let standby = Standby::start(&second, three.town.deps()).await.unwrap();
    let follower = three.town.follow("follower").await;
    let directory = follower.directory();
    three.town.admit(&directory, &Member::vital()).await;
    three.pivot(&directory).await;
    let held = directory.view();
    caught_up(&standby.directory(), held.size).await;
    standby.shutdown().await;
    three.town.stop().await;

    // Nobody runs the registry: a newcomer follows its files, by the anchor of before the pivot.
    let nginx = Nginx::over(three.town.config.data.as_path()).await;
    let mut config = three.town.follower_config("mirrored");
    config.anchor.addresses = Vec::new();
    config.anchor.mirrors = vec![nginx.at.clone()];
    let mirrored = Follower::open(config).await.unwrap();
    let view = caught_up(&mirrored.directory(), held.size).await;
    assert_eq!(view.root, held.root);
    assert!(mirrored.directory().alarms().borrow().is_none());
    mirrored.shutdown().await;

    let takeover = Takeover {
        fence: Some(three.town.config.data.as_path().to_owned()),
        ..Takeover::default()
    };
    let taken = take_over(&second, &takeover, three.town.deps()).await;
    let taken = taken.unwrap();
    assert_eq!(taken.size, held.size + 1);
    three.town.config = second;
    three.town.start().await;
    follower.shutdown().await;
    let follower = three.town.follow("follower").await;
    let view = caught_up(&follower.directory(), taken.size).await;
    assert_eq!(view.ledger_key(), held.ledger_key());
    assert_eq!(view.root_at(held.size), Some(held.root));
    three
        .town
        .admit(&follower.directory(), &Member::pensions())
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_recognises_the_registry_follows_over_its_pivot_without_an_act() {
    let three = Three::found().await;
    let home = Town::found_with(|config| config.jurisdiction = "ca-qc".parse().unwrap()).await;
    let follower = home.follow("home").await;
    let recognise = Change::Recognise(entente_directory::Recognise {
        jurisdiction: three.town.anchor.jurisdiction.clone(),
        anchor: three.town.anchor.to_foreign().unwrap(),
        limits: entente_directory::RecognitionLimits::default(),
    });
    let (directory, key) = (follower.directory(), &*home.registrar);
    home.submit(&directory, Author::Registrar, key, &recognise, vec![])
        .await
        .unwrap();
    let recognised = directory.view().size;
    let abroad = || {
        Abroad::open(AbroadConfig {
            home: directory.clone(),
            dir: home.folder("abroad"),
            net: Arc::new(TokioNet),
            identity: identity(),
            clock: Arc::new(home.clock.clone()),
            disk: Arc::new(RealDisk),
        })
    };
    let running = abroad().await;
    let other = |abroad: &Abroad| abroad.directories().of(&three.town.anchor.jurisdiction);
    let theirs = other(&running).unwrap();
    three.town.admit(&theirs, &Member::vital()).await;
    let next = three.pivot(&theirs).await;
    three.town.admit(&theirs, &Member::pensions()).await;
    let view = theirs.view();
    assert!(is_signed_with(
        &view,
        &named(&three.town, next.verifying_key())
    ));
    running.shutdown().await;
    let running = abroad().await;
    let theirs = other(&running).unwrap();
    assert_eq!(theirs.view().size, view.size, "from its own copy");
    until("it to be heard", || theirs.is_confirmed()).await;
    assert!(theirs.alarms().borrow().is_none());
    assert_eq!(directory.view().size, recognised, "nothing was done for it");
    running.shutdown().await;
}

/// Where the file of the `n`th ledger key lies.
fn key_file(town: &Town, n: u32) -> PathBuf {
    let name = match n {
        1 => "ledger.changes.pem".to_owned(),
        n => format!("ledger.changes-{n}.pem"),
    };
    town.config.keys.as_path().join(name)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_does_not_lie_with_the_registry_is_not_even_proposed() {
    let mut three = Three::found().await;
    let follower = three.town.follow("follower").await;
    let directory = follower.directory();
    let view = caught_up(&directory, 1).await;
    let elsewhere = entente_signing::Ed25519Key::generate().unwrap();
    let change = three.pivot_to(&view.state, &elsewhere);
    let refused = three
        .act(&view.state, &*three.town.registrar, &change)
        .await;
    assert_eq!(refused.unwrap_err().reason(), Reason::LedgerKeyMissing);
    // The one that does is found without a start.
    let made = three.prepare(&view.state);
    assert!(key_file(&three.town, 2).exists());
    let again = three.prepare(&view.state);
    assert_eq!(made.verifying_key(), again.verifying_key());
    let stored = three.store().load(KeyUse::Ledger, "changes-2").unwrap();
    assert_eq!(stored.verifying_key(), made.verifying_key());
    let change = three.pivot_to(&view.state, &*made);
    let proposed = three.act(&view.state, &*three.town.registrar, &change);
    let (proposal, accepted) = proposed.await.unwrap();
    // Nor is it agreed to once it is away again.
    let view = caught_up(&directory, accepted.size).await;
    three.town.stop().await;
    std::fs::remove_file(key_file(&three.town, 2)).unwrap();
    three.town.start().await;
    let refused = three.approve(&view.state, &three.third, proposal).await;
    assert_eq!(refused.unwrap_err().reason(), Reason::LedgerKeyMissing);
    assert_eq!(
        view.origin,
        Genesis::origin_of(&three.town.anchor.jurisdiction)
    );
}
