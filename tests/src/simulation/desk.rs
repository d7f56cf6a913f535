//! The people: registrars, officers and operators, who sign what they decide and submit it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use bytes::Bytes;
use entente_agreement::{Agreement, Document};
use entente_clock::Clock;
use entente_directory::{
    Author, Change, Keep, MemberAct, Recognise, RecognitionAct, RecognitionLimits, SessionRevoke,
};
use entente_follow::author::{AuthorError, Pen, next_act};
use entente_follow::{Follower, FollowerConfig, RegistryError, View};
use entente_keys::KeyStore;
use entente_proto::VITAL_EVENTS_DESCRIPTOR_SET;
use entente_security_server::enrol::ServerKeys;
use entente_signing::{Digest, P256Key, Signer};
use entente_testkit::MemDisk;
use entente_testkit::net::SimNet;
use entente_tls::Identity;
use entente_tls::net::Net;
use tokio::time::timeout;

use super::cast::{Machine, Pair};
use super::founding::{Founded, PEER_PORT, WITNESS_PORT};
use super::machine::{Host, WorldClock};
use super::op::SKEW;
use crate::world::{admission, publication};

/// The keys of a member's people.
#[derive(Debug)]
struct People {
    officer: P256Key,
    operator: P256Key,
}

/// Everybody who signs, at one desk that no fault touches.
#[derive(Debug)]
pub(super) struct Desk {
    clock: WorldClock,
    hosts: Arc<[Host]>,
    registries: BTreeMap<Machine, (Founded, Follower)>,
    people: BTreeMap<Machine, People>,
    agreements: BTreeMap<Pair, Digest>,
    drafted: u32,
}

/// How long something takes at most that nothing holds up.
const SOON: Duration = Duration::from_secs(30);

// === impl Desk ===

impl Desk {
    /// Begins to follow both registries.
    pub(super) async fn open(
        clock: &WorldClock,
        hosts: Arc<[Host]>,
        founded: impl IntoIterator<Item = (Machine, Founded)>,
    ) -> anyhow::Result<Self> {
        let net: Arc<dyn Net> = Arc::new(SimNet::default());
        let mut registries = BTreeMap::new();
        for (machine, founded) in founded {
            let identity = Identity::self_signed(Arc::new(P256Key::generate()?), &[])?;
            let follower = Follower::open(FollowerConfig {
                anchor: founded.anchor.clone(),
                dir: "/desk".into(),
                net: net.clone(),
                identity: identity.into(),
                keep: Keep::None,
                clock: Arc::new(clock.clone()),
                disk: Arc::new(MemDisk::new()),
            })
            .await?;
            registries.insert(machine, (founded, follower));
        }
        let people = Machine::SERVERS.map(|machine| {
            let keys = || P256Key::generate();
            Ok((
                machine,
                People {
                    officer: keys()?,
                    operator: keys()?,
                },
            ))
        });
        let people: anyhow::Result<BTreeMap<_, _>> = people.into_iter().collect();
        Ok(Self {
            clock: clock.clone(),
            hosts,
            registries,
            people: people?,
            agreements: BTreeMap::new(),
            drafted: 0,
        })
    }

    /// Everything that is registered before the first call: witnesses, recognitions, members, servers, a
    /// contract, agreements.
    pub(super) async fn set_up(&mut self) -> anyhow::Result<()> {
        let mut is_done = true;
        for registry in Machine::REGISTRIES {
            is_done &= self.ask_for_witnesses(registry).await?;
            is_done &= self.recognise(registry).await?;
        }
        for server in Machine::SERVERS {
            is_done &= self.admit(server).await?;
            is_done &= self.register(server).await?;
        }
        for provider in [Machine::Vital, Machine::Health] {
            is_done &= self.publish(provider).await?;
        }
        for pair in Pair::ALL {
            is_done &= self.agree(pair).await?;
        }
        ensure!(is_done, "something was refused");
        Ok(())
    }

    /// Waits a little until everything a registry accepted is believed here. It may not be: while no witness
    /// cosigns, what permits is not.
    pub(super) async fn has_all(&self, registry: Machine) -> bool {
        let Some(size) = self.host(registry).and_then(Host::registry_size) else {
            return false;
        };
        let directory = self.follower(registry).directory();
        directory
            .catch_up(size, Duration::from_secs(2))
            .await
            .is_ok()
    }

    /// The registrar suspends or resumes a member.
    pub(super) async fn stand(&self, member: Machine, is_suspended: bool) -> anyhow::Result<bool> {
        let act = MemberAct {
            member: member.member(),
            reason: Some("TEST".to_owned()),
        };
        let change = match is_suspended {
            true => Change::MemberSuspend(act),
            false => Change::MemberResume(act),
        };
        self.as_registrar(member.registry(), &change).await
    }

    /// A registrar suspends or resumes what it said of the other registry.
    pub(super) async fn trust(&self, by: Machine, is_suspended: bool) -> anyhow::Result<bool> {
        let act = RecognitionAct {
            jurisdiction: by.other_registry().jurisdiction(),
            reason: Some("TEST".to_owned()),
        };
        let change = match is_suspended {
            true => Change::RecognitionSuspend(act),
            false => Change::RecognitionResume(act),
        };
        self.as_registrar(by, &change).await
    }

    /// The provider acts on an agreement, in its own registry.
    pub(super) async fn act(
        &self,
        pair: Pair,
        change: impl FnOnce(entente_directory::AgreementAct) -> Change,
    ) -> anyhow::Result<bool> {
        let id = *self.agreements.get(&pair).context("an agreement")?;
        let provider = pair.provider();
        let view = self.view(provider.registry());
        let act = next_act(&view.state, id, Some("TEST".to_owned()));
        self.as_officer(provider, provider.registry(), &change(act), Vec::new())
            .await
    }

    /// A member revokes the sessions of its server that have begun, by however wrong a clock.
    pub(super) async fn revoke_sessions(&self, machine: Machine) -> anyhow::Result<bool> {
        let change = Change::SessionRevoke(SessionRevoke {
            server: machine.server(),
            issued_before: self.clock.now().saturating_add(SKEW),
        });
        self.as_operator(machine, &change, Vec::new()).await
    }

    /// Both parties sign an agreement: within a jurisdiction one after the other, across each in its own
    /// registry.
    pub(super) async fn agree(&mut self, pair: Pair) -> anyhow::Result<bool> {
        self.drafted += 1;
        let agreement = draft(pair, self.drafted)?;
        let id = agreement.id();
        let blob = Bytes::from(agreement.document().canonical().into_bytes());
        let (provider, consumer) = (pair.provider(), pair.consumer());
        for (party, registry) in [
            (provider, provider.registry()),
            (consumer, consumer.registry()),
        ] {
            self.catch_up(registry).await?;
            let act = next_act(&self.view(registry).state, id, None);
            let is_first = act.sequence == 1;
            let (change, blobs) = match is_first {
                true => (Change::AgreementPropose(act), vec![blob.clone()]),
                false => (Change::AgreementAccept(act), Vec::new()),
            };
            if !self.as_officer(party, registry, &change, blobs).await? {
                return Ok(false);
            }
        }
        self.agreements.insert(pair, id);
        Ok(true)
    }

    async fn ask_for_witnesses(&self, registry: Machine) -> anyhow::Result<bool> {
        let mut text = String::new();
        for (name, machine) in [
            ("peer", registry.other_registry()),
            ("watch", Machine::Watch),
        ] {
            let witness = self.host(machine).and_then(Host::witness);
            let (_, key) = witness.context("a witness")?;
            let host = machine.host();
            text += &format!("witness {name} {key} http://{host}:{WITNESS_PORT}\n");
        }
        text += "group either any peer watch\nquorum either\n";
        self.catch_up(registry).await?;
        let view = self.view(registry);
        let mut policy = view.state.policy().context("a policy")?.clone();
        policy.registry_witnesses = text.parse()?;
        self.as_registrar(registry, &Change::Policy(policy)).await
    }

    async fn recognise(&self, by: Machine) -> anyhow::Result<bool> {
        let other = by.other_registry();
        let anchor = self.founded(other).anchor.to_foreign();
        let change = Change::Recognise(Recognise {
            jurisdiction: other.jurisdiction(),
            anchor: anchor.context("an address that others reach")?,
            limits: RecognitionLimits::default(),
        });
        self.as_registrar(by, &change).await
    }

    async fn admit(&self, machine: Machine) -> anyhow::Result<bool> {
        let People { officer, operator } = self.people(machine);
        let registry = machine.registry();
        let origin = &self.view(registry).origin;
        let change = admission(origin, &machine.member(), officer, operator)?;
        self.as_registrar(registry, &change).await
    }

    async fn register(&self, machine: Machine) -> anyhow::Result<bool> {
        let host = self.host(machine).context("a machine")?;
        let keys = ServerKeys::load_or_create(&KeyStore::open(host.dir.join("keys"))?)?;
        let systems = BTreeSet::from([machine.system()]);
        let address = format!("{}:{PEER_PORT}", machine.host()).parse()?;
        let registration = keys.registration(&machine.server(), systems, vec![address])?;
        let change = Change::ServerRegister(registration);
        self.as_operator(machine, &change, Vec::new()).await
    }

    async fn publish(&self, provider: Machine) -> anyhow::Result<bool> {
        let blobs = vec![Bytes::from_static(VITAL_EVENTS_DESCRIPTOR_SET)];
        let change = publication(&provider.system())?;
        self.as_operator(provider, &change, blobs).await
    }

    async fn as_registrar(&self, registry: Machine, change: &Change) -> anyhow::Result<bool> {
        let signer = &*self.founded(registry).registrar;
        self.submit(registry, Author::Registrar, signer, change, Vec::new())
            .await
    }

    async fn as_operator(
        &self,
        machine: Machine,
        change: &Change,
        blobs: Vec<Bytes>,
    ) -> anyhow::Result<bool> {
        let (author, signer) = (
            Author::Member(machine.member()),
            &self.people(machine).operator,
        );
        self.submit(machine.registry(), author, signer, change, blobs)
            .await
    }

    async fn as_officer(
        &self,
        machine: Machine,
        registry: Machine,
        change: &Change,
        blobs: Vec<Bytes>,
    ) -> anyhow::Result<bool> {
        let (author, signer) = (
            Author::Member(machine.member()),
            &self.people(machine).officer,
        );
        self.submit(registry, author, signer, change, blobs).await
    }

    /// Signs a change and submits it; does not wait until it is believed. False when the registry refuses it.
    async fn submit(
        &self,
        registry: Machine,
        author: Author,
        signer: &dyn Signer,
        change: &Change,
        blobs: Vec<Bytes>,
    ) -> anyhow::Result<bool> {
        self.catch_up(registry).await?;
        let view = self.view(registry);
        let mut pen = Pen::new(&view.state, author, signer, self.clock.now())?;
        let client = self.follower(registry).client();
        let submitted = pen.submit(change, blobs, &client);
        let submitted = timeout(SOON, submitted).await;
        match submitted.with_context(|| format!("{registry:?} does not answer"))? {
            Ok(_) => Ok(true),
            Err(AuthorError::Registry(RegistryError::Refused { reason, .. })) => {
                tracing::info!(?registry, ?reason, "refused");
                Ok(false)
            }
            Err(error) => Err(error.into()),
        }
    }

    async fn catch_up(&self, registry: Machine) -> anyhow::Result<()> {
        let until = self.clock.elapsed() + SOON;
        while !self.has_all(registry).await {
            ensure!(self.clock.elapsed() < until, "{registry:?} is not believed");
        }
        Ok(())
    }

    fn host(&self, machine: Machine) -> Option<&Host> {
        self.hosts.iter().find(|host| host.machine == machine)
    }

    fn view(&self, registry: Machine) -> Arc<View> {
        self.follower(registry).directory().view()
    }

    fn founded(&self, registry: Machine) -> &Founded {
        &self.registries[&registry].0
    }

    fn follower(&self, registry: Machine) -> &Follower {
        &self.registries[&registry].1
    }

    fn people(&self, machine: Machine) -> &People {
        &self.people[&machine]
    }
}

/// The agreement of two members, under a number of its own.
fn draft(pair: Pair, number: u32) -> anyhow::Result<Agreement> {
    let contract = Digest::of(VITAL_EVENTS_DESCRIPTOR_SET).to_string();
    let (provider, consumer) = (pair.provider(), pair.consumer());
    let yaml = AGREEMENT
        .replace("ca-demo/vital-events/registry", "@PROVIDER_SYSTEM")
        .replace("ca-demo/pensions/benefits", "@CONSUMER_SYSTEM")
        .replace("ca-demo/vital-events", provider.member().as_str())
        .replace("ca-demo/pensions", consumer.member().as_str())
        .replace("@PROVIDER_SYSTEM", provider.system().as_str())
        .replace("@CONSUMER_SYSTEM", consumer.system().as_str())
        .replace("DEMO-001", &format!("DEMO-{number:03}"))
        .replace("{contract}", &contract);
    Ok(Agreement::of(&Document::from_yaml(&yaml)?)?)
}

const AGREEMENT: &str = include_str!("../world/agreement.yaml");
