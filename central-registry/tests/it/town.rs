//! A small federation: one registry, three institutions, and whoever follows.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use entente_agreement::{Agreement, Document};
use entente_central_registry::{CentralRegistry, Config, Deps, Founding, Running, init};
use entente_clock::{Clock, ManualClock, Timestamp};
use entente_directory::{
    Application, Author, Change, HpkeKey, Keep, KeyRole, MemberAdmit, Name, NewKey, Policy,
    ServerRegister, ServicePublish, Suite,
};
use entente_follow::author::{AuthorError, Pen, next_act};
use entente_follow::{Accepted, Anchor, Directory, Follower, FollowerConfig, RegistryClient, View};
use entente_identity::{MemberId, ServerId};
use entente_ledger::Runner;
use entente_ledger::disk::{Disk, RealDisk};
use entente_signing::{Digest, Ed25519Key, P256Key, Signer};
use entente_tls::net::{Net, TokioNet};
use entente_tls::{ChannelOptions, ClientTls, Identity, IdentitySlot, Pins, channel};
use tempfile::TempDir;

pub(crate) struct Town {
    pub(crate) dir: TempDir,
    pub(crate) clock: ManualClock,
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) config: Config,
    pub(crate) registrar: Arc<dyn Signer>,
    pub(crate) anchor: Anchor,
    pub(crate) running: Option<Running>,
}

pub(crate) struct Member {
    pub(crate) id: MemberId,
    pub(crate) system: &'static str,
    pub(crate) recovery: P256Key,
    pub(crate) officer: P256Key,
    pub(crate) member: P256Key,
    pub(crate) server: P256Key,
}

const SAMPLE: &str = include_str!("../../../crates/agreement/tests/samples/demo-pensions.yaml");
pub(crate) const SERVICE: &str = "entente.demo.vitalevents.v1.VitalEvents";

/// Longer than anything here takes.
pub(crate) const LONG: Duration = Duration::from_secs(20);

impl Town {
    pub(crate) async fn found() -> Self {
        Self::found_with(|_| {}).await
    }

    pub(crate) async fn found_with(change: impl FnOnce(&mut Config)) -> Self {
        Self::found_on(Arc::new(RealDisk), change).await
    }

    pub(crate) async fn found_on(disk: Arc<dyn Disk>, change: impl FnOnce(&mut Config)) -> Self {
        Self::found_by(Policy::usual(), disk, change).await
    }

    pub(crate) async fn found_by(
        founding: impl Into<Founding>,
        disk: Arc<dyn Disk>,
        change: impl FnOnce(&mut Config),
    ) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let text = "
jurisdiction: ca-demo
listen: 127.0.0.1:0
data: ./registry
keys: ./keys
anchor: ./anchor.yaml
";
        let mut config: Config =
            entente_config::parse_in(text, "registry.yaml", dir.path()).unwrap();
        change(&mut config);
        let clock = ManualClock::at("2026-11-22T12:00:00Z".parse().unwrap());
        let made = init(
            &config,
            founding,
            Arc::new(clock.clone()),
            disk.clone(),
            Runner::Thread,
        )
        .await
        .unwrap();
        let mut town = Self {
            dir,
            clock,
            disk,
            config,
            registrar: made.registrar,
            anchor: made.anchor,
            running: None,
        };
        town.start().await;
        town
    }

    pub(crate) fn deps(&self) -> Deps {
        Deps {
            clock: Arc::new(self.clock.clone()),
            net: Arc::new(TokioNet),
            disk: self.disk.clone(),
            runner: Runner::Thread,
        }
    }

    /// Starts the registry; the anchor then says where it is.
    pub(crate) async fn start(&mut self) {
        let running = CentralRegistry::start(self.config.clone(), self.deps())
            .await
            .unwrap();
        self.anchor = running.anchor().clone();
        self.running = Some(running);
    }

    pub(crate) async fn stop(&mut self) {
        self.running.take().unwrap().shutdown().await.unwrap();
    }

    pub(crate) fn running(&self) -> &Running {
        self.running.as_ref().unwrap()
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub(crate) fn client(&self) -> RegistryClient {
        let net: Arc<dyn Net> = Arc::new(TokioNet);
        RegistryClient::new(&self.anchor, &net, identity()).unwrap()
    }

    /// A connection to the registry, for calls no client of ours would make.
    pub(crate) fn channel(&self) -> entente_tls::Channel {
        let pins = Pins::new(self.anchor.tls_keys.iter().copied());
        let tls = ClientTls::new(identity(), pins).unwrap();
        let at = self.anchor.addresses[0].clone();
        channel(
            Arc::new(TokioNet),
            at,
            Some(tls),
            &ChannelOptions::default(),
        )
    }

    pub(crate) fn follower_config(&self, name: &str) -> FollowerConfig {
        FollowerConfig {
            anchor: self.anchor.clone(),
            dir: self.folder(name),
            net: Arc::new(TokioNet),
            identity: identity(),
            keep: Keep::None,
            clock: Arc::new(self.clock.clone()),
            disk: Arc::new(RealDisk),
        }
    }

    pub(crate) fn folder(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) async fn follow(&self, name: &str) -> Follower {
        Follower::open(self.follower_config(name)).await.unwrap()
    }

    /// Applies for membership and is admitted.
    pub(crate) async fn admit(&self, directory: &Directory, member: &Member) -> Accepted {
        let application = member.application();
        let applied = self.client().apply(application.clone()).await.unwrap();
        assert_eq!(applied.fingerprint, Application::fingerprint(&application));
        self.approve(directory, &applied.id).await
    }

    pub(crate) async fn approve(&self, directory: &Directory, id: &Digest) -> Accepted {
        let client = self.client();
        let held = client.applications(None).await.unwrap();
        let held = held.into_iter().find(|held| held.id == *id).unwrap();
        let view = caught_up(directory, self.running().size()).await;
        let mut pen = self.registrar_pen(&view);
        let signed = pen.sign(&admission(&held.bytes)).unwrap();
        let accepted = client
            .approve(id, vec![signed.bytes().clone()])
            .await
            .unwrap();
        caught_up(directory, accepted.size).await;
        accepted
    }

    pub(crate) fn registrar_pen(&self, view: &View) -> Pen<'_> {
        Pen::new(&view.state, Author::Registrar, &*self.registrar, self.now()).unwrap()
    }

    pub(crate) async fn submit(
        &self,
        directory: &Directory,
        author: Author,
        signer: &dyn Signer,
        change: &Change,
        blobs: Vec<Bytes>,
    ) -> Result<Accepted, AuthorError> {
        let view = caught_up(directory, self.running().size()).await;
        let mut pen = Pen::new(&view.state, author, signer, self.now()).unwrap();
        let accepted = pen.submit(change, blobs, &self.client()).await?;
        caught_up(directory, accepted.size).await;
        Ok(accepted)
    }

    /// Publishes the service and brings the agreement into force.
    pub(crate) async fn agree(
        &self,
        directory: &Directory,
        provider: &Member,
        consumer: &Member,
    ) -> Digest {
        let set = Bytes::from_static(entente_proto::VITAL_EVENTS_DESCRIPTOR_SET);
        let publish = Change::ServicePublish(ServicePublish {
            service: SERVICE.parse().unwrap(),
            systems: [provider.system()].into(),
            descriptor_set: Digest::of(&set),
            version: 1,
        });
        let author = provider.author();
        self.submit(
            directory,
            author.clone(),
            &provider.member,
            &publish,
            vec![set.clone()],
        )
        .await
        .unwrap();
        let agreement = agreement(Digest::of(&set));
        let blob = Bytes::from(agreement.document().canonical().into_bytes());
        let view = directory.view();
        let propose = Change::AgreementPropose(next_act(&view.state, agreement.id(), None));
        self.submit(directory, author, &provider.officer, &propose, vec![blob])
            .await
            .unwrap();
        let view = directory.view();
        let accept = Change::AgreementAccept(next_act(&view.state, agreement.id(), None));
        self.submit(
            directory,
            consumer.author(),
            &consumer.officer,
            &accept,
            vec![],
        )
        .await
        .unwrap();
        agreement.id()
    }
}

impl Member {
    pub(crate) fn new(id: &str, system: &'static str) -> Self {
        let key = || P256Key::generate().unwrap();
        Self {
            id: id.parse().unwrap(),
            system,
            recovery: key(),
            officer: key(),
            member: key(),
            server: key(),
        }
    }

    pub(crate) fn vital() -> Self {
        Self::new("ca-demo/vital-events", "register")
    }

    pub(crate) fn pensions() -> Self {
        Self::new("ca-demo/pensions", "benefits")
    }

    pub(crate) fn author(&self) -> Author {
        Author::Member(self.id.clone())
    }

    pub(crate) fn system(&self) -> entente_identity::SystemId {
        format!("{}/{}", self.id, self.system).parse().unwrap()
    }

    pub(crate) fn server_id(&self) -> ServerId {
        format!("{}/@ss1", self.id).parse().unwrap()
    }

    pub(crate) fn application(&self) -> Bytes {
        let new = |role, key: &P256Key| NewKey {
            role,
            key: key.verifying_key().clone(),
        };
        let application = Application {
            registry: "registry.ca-demo/changes".into(),
            member: self.id.clone(),
            class: "ministry".parse().unwrap(),
            name: Name {
                en: "An office".into(),
                fr: "Un bureau".into(),
            },
            keys: vec![
                new(KeyRole::Recovery, &self.recovery),
                new(KeyRole::Officer, &self.officer),
                new(KeyRole::Member, &self.member),
            ],
        };
        let signers: [&dyn Signer; 3] = [&self.recovery, &self.officer, &self.member];
        application.sign(&signers).unwrap().into()
    }

    pub(crate) fn registration(&self) -> Change {
        let key = |key: P256Key| key.verifying_key().clone();
        let mut public = vec![0; 1216];
        public[..16].copy_from_slice(&Digest::of(self.id.as_str().as_bytes()).as_bytes()[..16]);
        let mut body = ServerRegister {
            server: self.server_id(),
            systems: [self.system()].into(),
            addresses: vec!["127.0.0.1:7443".parse().unwrap()],
            key: self.server.verifying_key().clone(),
            tls: vec![key(P256Key::generate().unwrap())],
            hpke: vec![HpkeKey {
                suite: Suite::XWing,
                public,
            }],
            ledger: Ed25519Key::generate().unwrap().verifying_key().clone(),
            protocols: [1].into(),
            proof: [0; 64],
        };
        body.prove(&self.server).unwrap();
        Change::ServerRegister(body)
    }
}

/// What the registrar signs to admit what was applied for.
pub(crate) fn admission(bytes: &[u8]) -> Change {
    let application = Application::parse(bytes).unwrap();
    Change::MemberAdmit(MemberAdmit {
        member: application.member,
        class: application.class,
        name: application.name,
        keys: application.keys,
        application: bytes.to_vec(),
    })
}

pub(crate) fn agreement(descriptor_set: Digest) -> Agreement {
    let mut document = Document::from_yaml(SAMPLE).unwrap();
    for clause in &mut document.clauses {
        clause.descriptor_set = descriptor_set;
    }
    Agreement::of(&document).unwrap()
}

pub(crate) fn identity() -> IdentitySlot {
    let key = Arc::new(P256Key::generate().unwrap());
    Identity::self_signed(key, &[]).unwrap().into()
}

/// Waits until the follower's view has this size.
pub(crate) async fn caught_up(directory: &Directory, size: u64) -> Arc<View> {
    let mut views = directory.views();
    let reached = views.wait_for(|view| view.size >= size);
    let view = tokio::time::timeout(LONG, reached)
        .await
        .expect("the follower to catch up");
    view.unwrap().clone()
}
