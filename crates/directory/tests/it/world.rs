//! A small federation for tests: fixed keys, a log, and the state it adds up to.

use std::time::Duration;

use entente_agreement::{Agreement, Document};
use entente_clock::Timestamp;
use entente_directory::{
    AgreementAct, Application, Author, Change, Genesis, HpkeKey, Keep, KeyRole, MemberAdmit,
    MemoryBlobs, Mode, Name, NewKey, Policy, Refusal, ServerRegister, ServicePublish, ShardOpen,
    SignedChange, State, Suite, apply,
};
use entente_identity::{Jurisdiction, MemberId, ServerId};
use entente_signing::{Digest, Ed25519Key, P256Key, Signer};

/// Everything the tests sign with, and what came of it.
pub(crate) struct World {
    pub(crate) jurisdiction: Jurisdiction,
    pub(crate) state: State,
    pub(crate) at: Timestamp,
    pub(crate) blobs: MemoryBlobs,
    pub(crate) log: Vec<(Timestamp, SignedChange)>,
    pub(crate) registrar: P256Key,
    pub(crate) vital: Member,
    pub(crate) pensions: Member,
    pub(crate) transport: Member,
    pub(crate) descriptor_set: Digest,
    pub(crate) agreement: Digest,
}

/// One institution's private keys.
pub(crate) struct Member {
    pub(crate) id: MemberId,
    pub(crate) server: ServerId,
    pub(crate) system: &'static str,
    pub(crate) recovery: P256Key,
    pub(crate) officer: P256Key,
    pub(crate) member: P256Key,
    pub(crate) server_key: P256Key,
    pub(crate) tls: P256Key,
    pub(crate) ledger: Ed25519Key,
    pub(crate) hpke: u8,
}

const SAMPLE: &str = include_str!("../../../agreement/tests/samples/demo-pensions.yaml");
const SERVICE: &str = "entente.demo.vitalevents.v1.VitalEvents";

/// The P-256 key whose scalar is 32 bytes of `n`: the same in every run, and no secret.
pub(crate) fn key(n: u8) -> P256Key {
    let mut der =
        hex::decode("3041020100301306072a8648ce3d020106082a8648ce3d030107042730250201010420")
            .unwrap();
    der.extend([n; 32]);
    P256Key::from_pkcs8_der(&der).unwrap()
}

impl Member {
    fn new(jurisdiction: &str, label: &str, system: &'static str, base: u8) -> Self {
        let id = format!("{jurisdiction}/{label}");
        Self {
            server: format!("{id}/@ss1").parse().unwrap(),
            id: id.parse().unwrap(),
            system,
            recovery: key(base + 1),
            officer: key(base + 2),
            member: key(base + 3),
            server_key: key(base + 4),
            tls: key(base + 5),
            ledger: Ed25519Key::from_seed(&[base + 6; 32]).unwrap(),
            hpke: base + 7,
        }
    }

    pub(crate) fn author(&self) -> Author {
        Author::Member(self.id.clone())
    }

    pub(crate) fn server_author(&self) -> Author {
        Author::Server(self.server.clone())
    }

    pub(crate) fn application(&self) -> (Application, Vec<u8>) {
        let new = |role, key: &P256Key| NewKey {
            role,
            key: key.verifying_key().clone(),
        };
        let application = Application {
            registry: Genesis::origin_of(&self.id.jurisdiction()),
            member: self.id.clone(),
            class: "ministry".parse().unwrap(),
            name: Name {
                en: format!("Ministry of {}", self.id.label()),
                fr: format!("Ministère : {}", self.id.label()),
            },
            keys: vec![
                new(KeyRole::Recovery, &self.recovery),
                new(KeyRole::Officer, &self.officer),
                new(KeyRole::Member, &self.member),
            ],
        };
        let bytes = application
            .sign(&[&self.recovery, &self.officer, &self.member])
            .unwrap();
        (application, bytes)
    }

    pub(crate) fn admission(&self) -> Change {
        let (application, bytes) = self.application();
        Change::MemberAdmit(MemberAdmit {
            member: application.member,
            class: application.class,
            name: application.name,
            keys: application.keys,
            application: bytes,
        })
    }

    pub(crate) fn registration(&self) -> ServerRegister {
        let mut body = ServerRegister {
            server: self.server.clone(),
            systems: [format!("{}/{}", self.id, self.system).parse().unwrap()].into(),
            addresses: vec!["127.0.0.1:7443".parse().unwrap()],
            key: self.server_key.verifying_key().clone(),
            tls: vec![self.tls.verifying_key().clone()],
            hpke: vec![hpke(self.hpke)],
            ledger: self.ledger.verifying_key().clone(),
            protocols: [1].into(),
            proof: [0; 64],
        };
        body.prove(&self.server_key).unwrap();
        body
    }

    pub(crate) fn shard(&self, n: u32, previous: Option<Digest>) -> Change {
        Change::ShardOpen(ShardOpen {
            server: self.server.clone(),
            mode: Mode::Live,
            origin: ShardOpen::origin_of(&self.server, "2026h2", n),
            key: self.ledger.verifying_key().clone(),
            previous,
        })
    }
}

/// A key of the right length; the directory does not look inside.
pub(crate) fn hpke(n: u8) -> HpkeKey {
    let public = vec![n; Suite::XWing.public_len()];
    HpkeKey {
        suite: Suite::XWing,
        public,
    }
}

impl World {
    /// Before genesis.
    pub(crate) fn before() -> Self {
        Self::before_in("ca-demo")
    }

    /// Before genesis, of another jurisdiction's registry.
    pub(crate) fn before_in(jurisdiction: &str) -> Self {
        let mut blobs = MemoryBlobs::new();
        let descriptor_set = blobs.insert(entente_proto::VITAL_EVENTS_DESCRIPTOR_SET);
        let agreement = blobs.insert(
            agreement(descriptor_set)
                .document()
                .canonical()
                .into_bytes(),
        );
        Self {
            jurisdiction: jurisdiction.parse().unwrap(),
            state: State::keeping(Keep::All),
            at: "2026-11-22T02:00:00Z".parse().unwrap(),
            blobs,
            log: Vec::new(),
            registrar: key(1),
            vital: Member::new(jurisdiction, "vital-events", "register", 0x10),
            pensions: Member::new(jurisdiction, "pensions", "benefits", 0x20),
            transport: Member::new(jurisdiction, "transport", "licences", 0x30),
            descriptor_set,
            agreement,
        }
    }

    /// Members, servers, shards, the service and the agreement, signed by both.
    pub(crate) fn demo() -> Self {
        let mut world = Self::before();
        for change in world.story() {
            world.push(change).unwrap();
        }
        world
    }

    /// The changes that make the demo, each signed when its turn comes.
    pub(crate) fn story(&self) -> Vec<Step> {
        let registrar = |change| Step {
            author: Author::Registrar,
            signer: key(1),
            change,
        };
        let mut steps = vec![registrar(self.genesis())];
        for member in [&self.vital, &self.pensions, &self.transport] {
            steps.push(registrar(member.admission()));
        }
        for member in [&self.vital, &self.pensions] {
            let register = Change::ServerRegister(member.registration());
            steps.push(Step::by_member(member, register));
            steps.push(Step::by_server(member, member.shard(1, None)));
        }
        steps.push(Step::by_member(&self.vital, self.publication()));
        let propose = Change::AgreementPropose(self.act(1, None));
        steps.push(Step::by_officer(&self.vital, propose));
        steps.push(Step::by_officer(
            &self.pensions,
            Change::AgreementAccept(self.act(2, None)),
        ));
        steps
    }

    /// The first version of the service.
    pub(crate) fn publication(&self) -> Change {
        let system = format!("{}/{}", self.vital.id, self.vital.system);
        Change::ServicePublish(ServicePublish {
            service: SERVICE.parse().unwrap(),
            systems: [system.parse().unwrap()].into(),
            descriptor_set: self.descriptor_set,
            version: 1,
        })
    }

    pub(crate) fn genesis(&self) -> Change {
        let ledger = Ed25519Key::from_seed(&[2; 32]).unwrap();
        Change::Genesis(Genesis {
            jurisdiction: self.jurisdiction.clone(),
            origin: Genesis::origin_of(&self.jurisdiction),
            ledger: ledger.verifying_key().clone(),
            registrars: vec![self.registrar.verifying_key().clone()],
            quorum: 1,
            policy: Policy::usual(),
            clerk: None,
        })
    }

    pub(crate) fn act(&self, sequence: u64, previous: Option<Digest>) -> AgreementAct {
        AgreementAct {
            agreement: self.agreement,
            sequence,
            previous,
            reason: None,
        }
    }

    /// The next act of the agreement, after the last one in the state.
    pub(crate) fn next_act(&self) -> AgreementAct {
        let record = self.state.agreement(&self.agreement).unwrap();
        self.act(record.acts + 1, Some(record.last_act))
    }

    /// Signs the author's next change.
    pub(crate) fn sign(
        &self,
        author: Author,
        signer: &dyn Signer,
        change: &Change,
    ) -> SignedChange {
        let not_after = self.at.saturating_add(Duration::from_secs(3600));
        let header = self.state.next_header(author.clone(), not_after);
        let header = header.unwrap_or_else(|| entente_directory::ChangeHeader {
            registry: Genesis::origin_of(&self.jurisdiction),
            author,
            sequence: 1,
            previous: None,
            not_after,
        });
        SignedChange::sign(signer, &header, change).unwrap()
    }

    /// Applies a signed change one second later, and keeps it if it holds.
    pub(crate) fn apply(&mut self, change: SignedChange) -> Result<(), Refusal> {
        let at = self.at.saturating_add(Duration::from_secs(1));
        self.state = apply(&self.state, &change, at, &self.blobs)?;
        self.at = at;
        self.log.push((at, change));
        Ok(())
    }

    /// Signs and applies a step. An act without its previous one gets the last one's hash.
    pub(crate) fn push(&mut self, step: Step) -> Result<(), Refusal> {
        let mut change = step.change;
        if let Change::AgreementAccept(act) = &mut change {
            act.previous = self
                .state
                .agreement(&act.agreement)
                .map(|record| record.last_act);
        }
        let signed = self.sign(step.author, &step.signer, &change);
        self.apply(signed)
    }

    pub(crate) fn by(
        &mut self,
        author: Author,
        signer: &dyn Signer,
        change: Change,
    ) -> Result<(), Refusal> {
        let signed = self.sign(author, signer, &change);
        self.apply(signed)
    }

    pub(crate) fn by_registrar(&mut self, change: Change) -> Result<(), Refusal> {
        self.by(Author::Registrar, &key(1), change)
    }
}

/// A change, and who is to sign it.
pub(crate) struct Step {
    pub(crate) author: Author,
    pub(crate) signer: P256Key,
    pub(crate) change: Change,
}

impl Step {
    fn with(author: Author, signer: &P256Key, change: Change) -> Self {
        let signer = P256Key::from_pkcs8_der(&signer.to_pkcs8_der().unwrap()).unwrap();
        Self {
            author,
            signer,
            change,
        }
    }

    pub(crate) fn by_member(member: &Member, change: Change) -> Self {
        Self::with(member.author(), &member.member, change)
    }

    pub(crate) fn by_officer(member: &Member, change: Change) -> Self {
        Self::with(member.author(), &member.officer, change)
    }

    pub(crate) fn by_server(member: &Member, change: Change) -> Self {
        Self::with(member.server_author(), &member.server_key, change)
    }
}

/// The sample agreement, over this descriptor set.
pub(crate) fn document(descriptor_set: Digest) -> Document {
    let mut document = Document::from_yaml(SAMPLE).unwrap();
    for clause in &mut document.clauses {
        clause.descriptor_set = descriptor_set;
    }
    document
}

fn agreement(descriptor_set: Digest) -> Agreement {
    Agreement::of(&document(descriptor_set)).unwrap()
}
