//! A small federation for scenarios: one registry, one consumer, one provider, one agreement.
//!
//! Everything is the real thing, registered by the real acts. What a scenario may replace are the
//! seams: clock, disk and probe of either server, and the provider's system, which is a [`Source`]
//! that counts how often it was asked.

mod acts;
mod logged;
mod site;
mod systems;
mod witnesses;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use bytes::Bytes;
use entente_agreement::{Agreement, Document};
use entente_central_registry as registry;
use entente_clock::{Clock, SystemClock};
use entente_directory::{
    Application, Author, Change, Keep, KeyRole, LedgerKey, MemberAdmit, MemberClass, Name, NewKey,
    Policy, ProposalAct, ServicePublish,
};
use entente_follow::author::{Pen, next_act};
use entente_follow::{Anchor, Follower, FollowerConfig, RegistryClient, View};
use entente_identity::{MemberId, MethodName, SystemId};
use entente_keys::KeyStore;
use entente_ledger::Runner;
use entente_ledger::disk::{Disk, RealDisk};
use entente_ledger::note::NoteKey;
use entente_proto::VITAL_EVENTS_DESCRIPTOR_SET;
use entente_security_server::enrol::ServerKeys;
use entente_security_server::{Config, Deps, Running, SecurityServer};
use entente_signing::{Digest, P256Key, Signer};
use entente_tls::Identity;
use entente_tls::net::{Net, TokioNet};

use site::write;

pub use site::{InToken, Site, own_address};
pub use systems::{Consumer, Source, answer, lookup};
pub use witnesses::{fork, policy_of};

/// A registry, two members with a server each, and an agreement in force.
#[derive(Debug)]
pub struct World {
    /// The folder everything lies in.
    pub dir: PathBuf,
    /// The consumer: `ca-demo/pensions`.
    pub consumer: Site,
    /// The provider: `ca-demo/vital-events`.
    pub provider: Site,
    /// The agreement's hash.
    pub agreement: Digest,
    /// The registry; taken to stop it.
    pub registry: Option<registry::Running>,
    anchor: Anchor,
    clock: Arc<dyn Clock>,
    desk: Follower,
    registrar: Arc<dyn Signer>,
    /// Those beside the operator.
    registrars: Vec<P256Key>,
    /// The registry's key folder.
    keys: PathBuf,
}

/// The method every scenario calls.
pub const METHOD: &str = "entente.demo.vitalevents.v1.VitalEvents/LookupDeath";

/// The purpose the agreement allows.
pub const PURPOSE: &str = "PROGRAM_ADMINISTRATION";

// === impl World ===

impl World {
    /// Builds it in `dir` under the machine's clock.
    ///
    /// # Errors
    /// When any act is refused.
    pub async fn build(dir: &Path) -> anyhow::Result<Self> {
        Self::build_at(dir, Arc::new(SystemClock)).await
    }

    /// Builds it in `dir` under a clock of the scenario's.
    ///
    /// # Errors
    /// When any act is refused.
    pub async fn build_at(dir: &Path, clock: Arc<dyn Clock>) -> anyhow::Result<Self> {
        Self::build_with(dir, clock, None, Vec::new()).await
    }

    /// Builds it in `dir` under the machine's clock, with three registrars of whom two decide.
    ///
    /// # Errors
    /// When any act is refused.
    pub async fn build_of_three(dir: &Path) -> anyhow::Result<Self> {
        let others = vec![P256Key::generate()?, P256Key::generate()?];
        Self::build_with(dir, Arc::new(SystemClock), None, others).await
    }

    /// Builds it in `dir`, with the consumer's keys in a token.
    ///
    /// # Errors
    /// When any act is refused.
    pub async fn build_with_token(dir: &Path, keys: InToken) -> anyhow::Result<Self> {
        Self::build_with(dir, Arc::new(SystemClock), Some(keys), Vec::new()).await
    }

    async fn build_with(
        dir: &Path,
        clock: Arc<dyn Clock>,
        in_token: Option<InToken>,
        registrars: Vec<P256Key>,
    ) -> anyhow::Result<Self> {
        let net: Arc<dyn Net> = Arc::new(TokioNet);
        let disk: Arc<dyn Disk> = Arc::new(RealDisk);
        let config = dir.join("registry/registry.yaml");
        write(
            &config,
            "jurisdiction: ca-demo\nlisten: unix:./r.sock\nwitness: 127.0.0.1:0\ndata: ./data\nkeys: ./keys\nanchor: ./anchor.yaml\n",
        )?;
        let config: registry::Config = entente_config::load(&config)?;
        let runner = Runner::Thread;
        let others = registrars.iter().map(|key| key.verifying_key().clone());
        let founding = registry::Founding {
            policy: Policy::usual(),
            registrars: others.collect(),
            quorum: if registrars.is_empty() { 1 } else { 2 },
        };
        let (of_now, on) = (clock.clone(), disk.clone());
        let made = registry::init(&config, founding, of_now, on, runner).await?;
        let keys = config.keys.as_path().to_owned();
        let deps = registry::Deps {
            clock: clock.clone(),
            net: net.clone(),
            disk: disk.clone(),
            runner,
        };
        let registry = registry::CentralRegistry::start(config, deps).await?;
        let desk = follow(&made.anchor, dir.join("desk"), &net, &disk, &clock).await?;
        let mut consumer = Site::lay_out(dir, &made.anchor, "pensions", "benefits", CONSUMER)?;
        if let Some(keys) = in_token {
            consumer.keep_in_token(keys)?;
        }
        let provider = Site::lay_out(dir, &made.anchor, "vital-events", "registry", PROVIDER)?;
        let mut world = Self {
            dir: dir.to_owned(),
            consumer,
            provider,
            agreement: Digest::of(b""),
            registry: Some(registry),
            anchor: made.anchor,
            clock,
            desk,
            registrar: made.registrar,
            registrars,
            keys,
        };
        for site in [&world.consumer, &world.provider] {
            world.admit(site).await?;
            world.register(site).await?;
        }
        world.publish().await?;
        world.agreement = world.agree(AGREEMENT).await?;
        Ok(world)
    }

    /// Starts a site's server.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn start(&self, site: &Site, deps: Deps) -> anyhow::Result<Running> {
        let config = Config::load(&site.config)?;
        Ok(SecurityServer::start(config, deps).await?)
    }

    /// Starts the provider's system, which answers with a date of death.
    ///
    /// # Errors
    /// When it cannot listen.
    pub async fn serve_source(&self) -> anyhow::Result<Source> {
        let source = Source::answering(answer("2026-03-04", "canary-cause"));
        source.serve(&self.provider.source_socket()).await?;
        Ok(source)
    }

    /// The newest verified view of the registry.
    pub fn view(&self) -> Arc<View> {
        self.desk.directory().view()
    }

    /// The registry, to ask things of.
    pub fn client(&self) -> RegistryClient {
        self.desk.client()
    }

    /// Signs and submits one change, and waits until it is verified here.
    ///
    /// # Errors
    /// When the registry refuses.
    pub async fn submit(
        &self,
        author: Author,
        signer: &dyn Signer,
        change: &Change,
        blobs: Vec<Bytes>,
    ) -> anyhow::Result<()> {
        let mut pen = Pen::new(&self.view().state, author, signer, self.clock.now())?;
        let accepted = pen.submit(change, blobs, &self.desk.client()).await?;
        self.reach(accepted.size).await
    }

    /// Makes the agreement of `yaml` active: proposed by the provider, accepted by the consumer.
    ///
    /// # Errors
    /// When it is refused.
    pub async fn agree(&self, yaml: &str) -> anyhow::Result<Digest> {
        let contract = Digest::of(VITAL_EVENTS_DESCRIPTOR_SET).to_string();
        let yaml = yaml.replace("{contract}", &contract);
        let agreement = Agreement::of(&Document::from_yaml(&yaml)?)?;
        let id = agreement.id();
        let blob = Bytes::from(agreement.document().canonical().into_bytes());
        let act = next_act(&self.view().state, id, None);
        let provider = &self.provider;
        let author = Author::Member(provider.member.clone());
        let change = Change::AgreementPropose(act);
        self.submit(author, &*provider.officer, &change, vec![blob])
            .await?;
        let act = next_act(&self.view().state, id, None);
        let author = Author::Member(self.consumer.member.clone());
        let change = Change::AgreementAccept(act);
        self.submit(author, &*self.consumer.officer, &change, Vec::new())
            .await?;
        Ok(id)
    }

    /// The registrars put another ledger key in office, made beside the present one.
    ///
    /// # Errors
    /// When it is refused.
    pub async fn replace_ledger_key(&self) -> anyhow::Result<NoteKey> {
        let state = self.view().state.clone();
        let registry = state.registry().context("a registry")?;
        let store = KeyStore::open(&self.keys)?;
        let next = registry::LedgerKeys::prepare(&store, Some(registry))?;
        let change = Change::LedgerKey(LedgerKey::prove(registry, &*next, None)?);
        self.submit(Author::Registrar, &*self.registrar, &change, Vec::new())
            .await?;
        if let Some(second) = self.registrars.first() {
            let state = self.view().state.clone();
            let tabled = state.proposals().next().context("a proposal")?;
            let act = ProposalAct {
                change: tabled.change.hash(),
            };
            let change = Change::ProposalApprove(act);
            self.submit(Author::Registrar, second, &change, Vec::new())
                .await?;
        }
        let key = NoteKey::new(&registry.origin, next.verifying_key().clone())?;
        Ok(key)
    }

    /// The provider ends the agreement.
    ///
    /// # Errors
    /// When it is refused.
    pub async fn revoke(&self) -> anyhow::Result<()> {
        let act = next_act(&self.view().state, self.agreement, Some("TEST".to_owned()));
        let author = Author::Member(self.provider.member.clone());
        let change = Change::AgreementRevoke(act);
        self.submit(author, &*self.provider.officer, &change, Vec::new())
            .await
    }

    async fn admit(&self, site: &Site) -> anyhow::Result<()> {
        let (registry, member) = (&self.view().origin, &site.member);
        let change = admission(registry, member, &*site.officer, &*site.key)?;
        self.submit(Author::Registrar, &*self.registrar, &change, Vec::new())
            .await
    }

    async fn register(&self, site: &Site) -> anyhow::Result<()> {
        let store = site.key_store()?;
        let keys = match &site.server_key {
            None => ServerKeys::load_or_create(&store)?,
            Some(key) => ServerKeys::with_server_key(&store, Arc::clone(key))?,
        };
        let key = keys.server.verifying_key();
        ServerKeys::keep_chain(&store, key, &self.certify(site, &*site.key, key)?)?;
        let systems = BTreeSet::from([site.system.clone()]);
        let address = site.address.parse()?;
        let registration = keys.registration(&site.server, systems, vec![address])?;
        let author = Author::Member(site.member.clone());
        let change = Change::ServerRegister(registration);
        self.submit(author, &*site.key, &change, Vec::new()).await
    }

    async fn publish(&self) -> anyhow::Result<()> {
        let provider = &self.provider;
        let author = Author::Member(provider.member.clone());
        let blobs = vec![Bytes::from_static(VITAL_EVENTS_DESCRIPTOR_SET)];
        let change = publication(&provider.system)?;
        self.submit(author, &*provider.key, &change, blobs).await
    }

    async fn reach(&self, size: u64) -> anyhow::Result<()> {
        let mut views = self.desk.directory().views();
        let wait = views.wait_for(|view| view.size >= size);
        tokio::time::timeout(std::time::Duration::from_secs(20), wait)
            .await
            .context("the registry did not show the change")??;
        Ok(())
    }
}

async fn follow(
    anchor: &Anchor,
    dir: PathBuf,
    net: &Arc<dyn Net>,
    disk: &Arc<dyn Disk>,
    clock: &Arc<dyn Clock>,
) -> anyhow::Result<Follower> {
    let identity = Identity::self_signed(Arc::new(P256Key::generate()?), &[])?;
    let config = FollowerConfig {
        anchor: anchor.clone(),
        dir,
        net: net.clone(),
        identity: identity.into(),
        keep: Keep::None,
        clock: clock.clone(),
        disk: disk.clone(),
    };
    let follower = Follower::open(config).await?;
    let mut views = follower.directory().views();
    let genesis = views.wait_for(|view| view.size > 0);
    tokio::time::timeout(std::time::Duration::from_secs(20), genesis)
        .await
        .context("the registry did not show its genesis")??;
    Ok(follower)
}

/// What a registrar signs to admit a member with an officer's key and one of its own.
pub(crate) fn admission(
    registry: &str,
    member: &MemberId,
    officer: &dyn Signer,
    key: &dyn Signer,
) -> anyhow::Result<Change> {
    let keys = [(KeyRole::Officer, officer), (KeyRole::Member, key)];
    let keys = keys.map(|(role, key)| NewKey {
        role,
        key: key.verifying_key().clone(),
    });
    let application = Application {
        registry: registry.to_owned(),
        member: member.clone(),
        class: "gov".parse::<MemberClass>()?,
        name: Name {
            en: member.label().to_owned(),
            fr: member.label().to_owned(),
        },
        keys: keys.to_vec(),
    };
    let signed = application.sign(&[officer, key])?;
    Ok(Change::MemberAdmit(MemberAdmit {
        member: application.member,
        class: application.class,
        name: application.name,
        keys: application.keys,
        application: signed,
    }))
}

/// What a provider signs to publish the service every scenario calls, at one system.
pub(crate) fn publication(system: &SystemId) -> anyhow::Result<Change> {
    Ok(Change::ServicePublish(ServicePublish {
        service: METHOD.parse::<MethodName>()?.service(),
        systems: BTreeSet::from([system.clone()]),
        descriptor_set: Digest::of(VITAL_EVENTS_DESCRIPTOR_SET),
        version: 1,
    }))
}

const CONSUMER: &str = "    callers: [{unix: ./caller.sock}]\n";
const PROVIDER: &str = "    serves: {live: {unix: ./source.sock}}\n";

/// The agreement of every scenario; `{contract}` is put in.
pub const AGREEMENT: &str = include_str!("world/agreement.yaml");
