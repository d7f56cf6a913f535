//! A small federation for scenarios: one registry, one consumer, one provider, one agreement.
//!
//! Everything is the real thing, registered by the real acts. What a scenario may replace are the
//! seams: clock, disk and probe of either server, and the provider's system, which is a [`Source`]
//! that counts how often it was asked.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

use anyhow::Context as _;
use bytes::Bytes;
use entente_agreement::{Agreement, Document};
use entente_central_registry as registry;
use entente_clock::{Clock, SystemClock};
use entente_directory::{
    Application, Author, Change, KeyRole, MemberAdmit, MemberClass, Name, NewKey, Policy,
    ServicePublish,
};
use entente_follow::author::{Pen, next_act};
use entente_follow::{Anchor, Follower, FollowerConfig, RegistryClient, View};
use entente_identity::{MemberId, MethodName, ServerId, SystemId};
use entente_keys::KeyStore;
use entente_ledger::Runner;
use entente_ledger::disk::{Disk, RealDisk};
use entente_proto::VITAL_EVENTS_DESCRIPTOR_SET;
use entente_proto::raw::RawCodec;
use entente_security_server::enrol::ServerKeys;
use entente_security_server::{Config, Deps, Running, SecurityServer};
use entente_signing::{Digest, P256Key, Signer};
use entente_tls::net::{Endpoint, Net, TokioNet};
use entente_tls::{ChannelOptions, Identity, channel};
use tonic::client::Grpc;
use tonic::metadata::{AsciiMetadataKey, MetadataMap};
use tonic::{Request, Response, Status};

mod acts;
mod logged;

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
}

/// One member with one server.
#[derive(Debug)]
pub struct Site {
    /// The member.
    pub member: MemberId,
    /// Its server.
    pub server: ServerId,
    /// Its one system.
    pub system: SystemId,
    /// Where the server's configuration is.
    pub config: PathBuf,
    /// The folder of the site.
    pub dir: PathBuf,
    /// The address peers reach the server at.
    pub address: String,
    officer: Arc<dyn Signer>,
    /// Signs for the member.
    pub key: Arc<dyn Signer>,
    /// The server's key, when it is not in its folder.
    server_key: Option<Arc<dyn Signer>>,
}

/// The keys of a site that are in a token.
#[derive(Clone, Debug)]
pub struct InToken {
    /// The member's.
    pub member: Arc<dyn Signer>,
    /// The server's.
    pub server: Arc<dyn Signer>,
    /// Where the server finds its own.
    pub server_uri: String,
}

/// The provider's system: answers every call alike and counts them.
#[derive(Clone, Debug)]
pub struct Source {
    asked: Arc<AtomicUsize>,
    answer: Arc<std::sync::Mutex<Result<Bytes, Status>>>,
}

/// A consumer system with its socket.
#[derive(Clone, Debug)]
pub struct Consumer {
    grpc: Grpc<entente_tls::Channel>,
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
        Self::build_with(dir, clock, None).await
    }

    /// Builds it in `dir`, with the consumer's keys in a token.
    ///
    /// # Errors
    /// When any act is refused.
    pub async fn build_with_token(dir: &Path, keys: InToken) -> anyhow::Result<Self> {
        Self::build_with(dir, Arc::new(SystemClock), Some(keys)).await
    }

    async fn build_with(
        dir: &Path,
        clock: Arc<dyn Clock>,
        in_token: Option<InToken>,
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
        let made = registry::init(
            &config,
            Policy::usual(),
            clock.clone(),
            disk.clone(),
            runner,
        )
        .await?;
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
        let blob = Bytes::copy_from_slice(agreement.canonical());
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
        let keys = vec![
            NewKey {
                role: KeyRole::Officer,
                key: site.officer.verifying_key().clone(),
            },
            NewKey {
                role: KeyRole::Member,
                key: site.key.verifying_key().clone(),
            },
        ];
        let application = Application {
            registry: self.view().origin.clone(),
            member: site.member.clone(),
            class: "gov".parse::<MemberClass>()?,
            name: name(site.member.label()),
            keys: keys.clone(),
        };
        let signed = application.sign(&[&*site.officer, &*site.key])?;
        let admit = MemberAdmit {
            member: site.member.clone(),
            class: application.class,
            name: application.name,
            keys,
            application: signed,
        };
        let change = Change::MemberAdmit(admit);
        self.submit(Author::Registrar, &*self.registrar, &change, Vec::new())
            .await
    }

    async fn register(&self, site: &Site) -> anyhow::Result<()> {
        let store = KeyStore::open(site.dir.join("keys"))?;
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
        let publish = ServicePublish {
            service: METHOD.parse::<MethodName>()?.service(),
            systems: BTreeSet::from([provider.system.clone()]),
            descriptor_set: Digest::of(VITAL_EVENTS_DESCRIPTOR_SET),
            version: 1,
        };
        let author = Author::Member(provider.member.clone());
        let blobs = vec![Bytes::from_static(VITAL_EVENTS_DESCRIPTOR_SET)];
        self.submit(
            author,
            &*provider.key,
            &Change::ServicePublish(publish),
            blobs,
        )
        .await
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

// === impl Site ===

impl Site {
    fn lay_out(
        dir: &Path,
        anchor: &Anchor,
        member: &str,
        system: &str,
        systems: &str,
    ) -> anyhow::Result<Self> {
        let dir = dir.join(member);
        let address = own_address();
        let member: MemberId = format!("ca-demo/{member}").parse()?;
        let site = Self {
            server: format!("{member}/@ss1").parse()?,
            system: format!("{member}/{system}").parse()?,
            config: dir.join("server.yaml"),
            officer: Arc::new(P256Key::generate()?),
            key: Arc::new(P256Key::generate()?),
            server_key: None,
            address,
            member,
            dir,
        };
        write(&site.dir.join("anchor.yaml"), &anchor.to_string())?;
        let text = format!(
            "server: {}\ndata: ./data\nkeys: ./keys\nanchor: ./anchor.yaml\n\
             peer: {{listen: \"{}\"}}\nadmin: {{listen: \"127.0.0.1:0\"}}\n\
             systems:\n  {}:\n{systems}",
            site.server, site.address, site.system,
        );
        write(&site.config, &text)?;
        Ok(site)
    }

    fn keep_in_token(&mut self, keys: InToken) -> anyhow::Result<()> {
        let line = format!("server_key: \"{}\"\n", keys.server_uri);
        let text = std::fs::read_to_string(&self.config)?;
        write(&self.config, &[line, text].concat())?;
        self.key = keys.member;
        self.server_key = Some(keys.server);
        Ok(())
    }

    /// The socket its consumer system calls.
    pub fn caller_socket(&self) -> PathBuf {
        self.dir.join("caller.sock")
    }

    /// The socket its provider system answers at.
    pub fn source_socket(&self) -> PathBuf {
        self.dir.join("source.sock")
    }

    /// The folder of one shard of its access ledger, as in `2026h2.1`.
    pub fn shard_dir(&self, shard: &str) -> PathBuf {
        self.dir.join("data/ledger").join(shard)
    }

    /// The folder of its newest access ledger.
    ///
    /// # Errors
    /// When there is none.
    pub fn ledger_dir(&self) -> anyhow::Result<PathBuf> {
        let shards = std::fs::read_dir(self.dir.join("data/ledger"))?;
        let mut folders: Vec<PathBuf> = shards
            .flatten()
            .map(|item| item.path())
            .filter(|path| path.is_dir())
            .collect();
        folders.sort();
        folders.pop().context("no ledger yet")
    }
}

// === impl Source ===

impl Source {
    /// A system that answers with `answer`.
    pub fn answering(answer: Bytes) -> Self {
        Self {
            asked: Arc::default(),
            answer: Arc::new(std::sync::Mutex::new(Ok(answer))),
        }
    }

    /// Answers otherwise from now on.
    pub fn answer_with(&self, answer: Result<Bytes, Status>) {
        *self.answer.lock().expect("no holder panics") = answer;
    }

    /// How often it was asked.
    pub fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    /// Listens at `socket` until it is dropped with the runtime.
    ///
    /// # Errors
    /// When it cannot listen.
    pub async fn serve(&self, socket: &Path) -> anyhow::Result<()> {
        let listener = TokioNet.listen(&Endpoint::Unix(socket.to_owned())).await?;
        let plain = entente_tls::ServerSecurity::Plain { system: None };
        let incoming = entente_tls::incoming(listener, plain, Default::default());
        let source = self.clone();
        let app = axum::Router::new().fallback(move |request: axum::extract::Request| {
            let source = source.clone();
            async move {
                let mut grpc = tonic::server::Grpc::new(RawCodec);
                let request = request.map(tonic::body::Body::new);
                grpc.unary(Asked(source), request).await
            }
        });
        let routes = tonic::service::Routes::from(app);
        tokio::spawn(async move {
            let served = entente_tls::server().serve_with_incoming(routes, incoming);
            served.await.expect("the source's socket is served")
        });
        Ok(())
    }
}

struct Asked(Source);

impl tonic::server::UnaryService<Bytes> for Asked {
    type Response = Bytes;
    type Future = std::future::Ready<Result<Response<Bytes>, Status>>;

    fn call(&mut self, _: Request<Bytes>) -> Self::Future {
        self.0.asked.fetch_add(1, Ordering::SeqCst);
        let answer = self.0.answer.lock().expect("no holder panics").clone();
        std::future::ready(answer.map(Response::new))
    }
}

// === impl Consumer ===

impl Consumer {
    /// A system that calls through this socket.
    pub fn at(socket: &Path) -> Self {
        Self::at_endpoint(Endpoint::Unix(socket.to_owned()))
    }

    /// A system that calls at any local address.
    pub fn at_endpoint(endpoint: Endpoint) -> Self {
        let net: Arc<dyn Net> = Arc::new(TokioNet);
        let channel = channel(net, endpoint, None, &ChannelOptions::default());
        Self {
            grpc: Grpc::new(channel),
        }
    }

    /// Calls the method with the usual metadata, and `more` in its place or beside it.
    ///
    /// # Errors
    /// What the server answers.
    pub async fn ask(&self, body: Bytes, more: &[(&str, &str)]) -> Result<Response<Bytes>, Status> {
        self.call(&format!("/{METHOD}"), body, more).await
    }

    /// As [`Consumer::ask`], at any path.
    ///
    /// # Errors
    /// What the server answers.
    pub async fn call(
        &self,
        path: &str,
        body: Bytes,
        more: &[(&str, &str)],
    ) -> Result<Response<Bytes>, Status> {
        let usual = [
            ("entente-to", "ca-demo/vital-events/registry"),
            ("entente-purpose", PURPOSE),
        ];
        let mut metadata = MetadataMap::new();
        for (key, value) in usual.iter().chain(more) {
            let key: AsciiMetadataKey = key.parse().expect("a metadata key");
            match *value {
                "" => metadata.remove(&key),
                value => metadata.insert(key, value.parse().expect("a metadata value")),
            };
        }
        let mut request = Request::new(body);
        *request.metadata_mut() = metadata;
        let mut grpc = self.grpc.clone();
        grpc.ready()
            .await
            .map_err(|error| Status::unavailable(error.to_string()))?;
        let path = path.parse().expect("a path");
        grpc.unary(request, path, RawCodec).await
    }
}

/// A request for one person: field 1 of the demonstration's contract.
pub fn lookup(person_number: &str) -> Bytes {
    text_field(1, person_number).into()
}

/// An answer with a date and a cause of death; the agreement releases only the date.
pub fn answer(date: &str, cause: &str) -> Bytes {
    [&[0x08, 1][..], &text_field(2, date), &text_field(4, cause)]
        .concat()
        .into()
}

fn text_field(number: u8, text: &str) -> Vec<u8> {
    let length = u8::try_from(text.len()).expect("a short text");
    [&[number << 3 | 2, length], text.as_bytes()].concat()
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

/// A loopback address no other test uses: scenarios run side by side, also in other processes.
pub fn own_address() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let next = NEXT.fetch_add(1, Ordering::SeqCst);
    let process = std::process::id();
    let [_, _, high, low] = process.to_be_bytes();
    format!(
        "127.{}.{high}.{low}:{}",
        1 + (process >> 16) % 250,
        20_000 + next
    )
}

fn name(label: &str) -> Name {
    Name {
        en: label.to_owned(),
        fr: label.to_owned(),
    }
}

fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    Ok(std::fs::write(path, text)?)
}

const CONSUMER: &str = "    callers: [{unix: ./caller.sock}]\n";
const PROVIDER: &str = "    serves: {live: {unix: ./source.sock}}\n";

/// The agreement of every scenario; `{contract}` is put in.
pub const AGREEMENT: &str = include_str!("world/agreement.yaml");
