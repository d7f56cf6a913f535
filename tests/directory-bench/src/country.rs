//! A country's directory, made up: members, their servers and services, and agreements between them.

use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;

use entente_agreement::Document;
use entente_clock::Timestamp;
use entente_directory::{
    AgreementAct, Application, Author, Change, ChangeHeader, Genesis, HpkeKey, KeyRole,
    MemberAdmit, Mode, Name, NewKey, Policy, ServerRegister, ServerUpdate, ServicePublish,
    ShardOpen, SignedChange, Suite,
};
use entente_identity::{MemberId, ServerId, ServiceName, SystemId};
use entente_proto::VITAL_EVENTS_DESCRIPTOR_SET;
use entente_signing::{Digest, Ed25519Key, P256Key, Signer};

use crate::pack::Writing;

/// How much of everything there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Country {
    /// Institutions.
    pub members: u32,
    /// Servers of each.
    pub servers: u32,
    /// Services that each offers.
    pub services: u32,
    /// Agreements that each is the source in.
    pub agreements: u32,
}

/// What signs and counts while changes are made.
struct Scribe<'a> {
    country: &'a Country,
    out: Writing,
    at: Timestamp,
    positions: HashMap<Author, (u64, Digest)>,
    registrar: P256Key,
    /// The agreement's bytes, with names to be put in.
    agreement: String,
}

// === impl Country ===

impl Country {
    /// A country of so many members: three servers, five services and ten agreements each.
    pub const fn of(members: u32) -> Self {
        Self {
            members,
            servers: 3,
            services: 5,
            agreements: 10,
        }
    }
}

/// Writes all changes of a country, and the blobs they rest on, to files in a folder.
///
/// # Errors
/// When something cannot be signed or written.
pub fn write(country: &Country, folder: &Path) -> anyhow::Result<()> {
    let sample: Document = Document::from_yaml(SAMPLE)?;
    let mut scribe = Scribe {
        country,
        out: Writing::create(folder)?,
        at: "2026-01-01T00:00:00Z".parse()?,
        positions: HashMap::new(),
        registrar: registrar_key()?,
        agreement: String::from_utf8(sample.canonical().into_bytes())?,
    };
    scribe.genesis()?;
    for member in 0..country.members {
        scribe.admit(member)?;
    }
    for member in 0..country.members {
        for server in 0..country.servers {
            scribe.register(member, server)?;
        }
    }
    for member in 0..country.members {
        for server in 0..country.servers {
            scribe.open_shard(member, server)?;
        }
    }
    for contract in 0..country.contracts() {
        scribe.out.blob(&descriptor_set(contract))?;
    }
    for member in 0..country.members {
        for service in 0..country.services {
            scribe.publish(member, service)?;
        }
    }
    for member in 0..country.members {
        for agreement in 0..country.agreements {
            scribe.agree(member, agreement)?;
        }
    }
    scribe.out.later()?;
    for number in 0..LATER {
        scribe.move_server(number)?;
    }
    scribe.out.end()
}

// === impl Country ===

impl Country {
    /// Ten members offer each contract.
    const fn contracts(&self) -> u32 {
        (self.members * self.services).div_ceil(10)
    }

    /// The contract of a member's n-th service.
    const fn contract(&self, member: u32, n: u32) -> u32 {
        (member * self.services + n) % self.contracts()
    }
}

// === impl Scribe ===

impl Scribe<'_> {
    fn genesis(&mut self) -> anyhow::Result<()> {
        let ledger = ledger_key()?;
        let change = Change::Genesis(Genesis {
            jurisdiction: JURISDICTION.parse()?,
            origin: ORIGIN.to_owned(),
            ledger: ledger.verifying_key().clone(),
            registrars: vec![self.registrar.verifying_key().clone()],
            quorum: 1,
            policy: Policy::usual(),
            clerk: None,
        });
        self.by_registrar(&change)
    }

    fn admit(&mut self, member: u32) -> anyhow::Result<()> {
        let roles = [KeyRole::Recovery, KeyRole::Officer, KeyRole::Member];
        let keys = [
            key("recovery", member)?,
            key("officer", member)?,
            key("member", member)?,
        ];
        let new = |(role, key): (KeyRole, &P256Key)| NewKey {
            role,
            key: key.verifying_key().clone(),
        };
        let application = Application {
            registry: ORIGIN.to_owned(),
            member: member_id(member)?,
            class: "ministry".parse()?,
            name: Name {
                en: format!("Ministry number {member}"),
                fr: format!("Ministère numéro {member}"),
            },
            keys: roles.into_iter().zip(&keys).map(new).collect(),
        };
        let bytes = application.sign(&[&keys[0], &keys[1], &keys[2]])?;
        let change = Change::MemberAdmit(MemberAdmit {
            member: application.member,
            class: application.class,
            name: application.name,
            keys: application.keys,
            application: bytes,
        });
        self.by_registrar(&change)
    }

    fn register(&mut self, member: u32, n: u32) -> anyhow::Result<()> {
        let number = member * self.country.servers + n;
        let server = server_id(member, n)?;
        let server_key = key("server", number)?;
        let ledger = Ed25519Key::from_seed(&seed("shard", number))?;
        let mut public = vec![0; Suite::XWing.public_len()];
        public[..32].copy_from_slice(&seed("hpke", number));
        let suite = Suite::XWing;
        let mut body = ServerRegister {
            server,
            systems: [system_id(member)?].into(),
            addresses: vec![format!("ss{n}.m{member:05}.example:7443").parse()?],
            key: server_key.verifying_key().clone(),
            tls: vec![key("tls", number)?.verifying_key().clone()],
            hpke: vec![HpkeKey { suite, public }],
            ledger: ledger.verifying_key().clone(),
            protocols: [1].into(),
            proof: [0; 64],
        };
        body.prove(&server_key)?;
        let signer = key("member", member)?;
        let author = Author::Member(member_id(member)?);
        self.push(author, &signer, &Change::ServerRegister(body))
    }

    fn open_shard(&mut self, member: u32, n: u32) -> anyhow::Result<()> {
        let number = member * self.country.servers + n;
        let server = server_id(member, n)?;
        let ledger = Ed25519Key::from_seed(&seed("shard", number))?;
        let shard = Change::ShardOpen(ShardOpen {
            server: server.clone(),
            mode: Mode::Live,
            origin: ShardOpen::origin_of(&server, "2026h1", 1),
            key: ledger.verifying_key().clone(),
            previous: None,
        });
        let signer = key("server", number)?;
        self.push(Author::Server(server), &signer, &shard)
    }

    fn publish(&mut self, member: u32, n: u32) -> anyhow::Result<()> {
        let contract = self.country.contract(member, n);
        let change = Change::ServicePublish(ServicePublish {
            service: service(contract)?,
            systems: [system_id(member)?].into(),
            descriptor_set: Digest::of(&descriptor_set(contract)),
            version: 1,
        });
        let signer = key("member", member)?;
        self.push(Author::Member(member_id(member)?), &signer, &change)
    }

    /// The member agrees with another on one of its services.
    fn agree(&mut self, member: u32, n: u32) -> anyhow::Result<()> {
        let other = (member + 1 + n) % self.country.members;
        let contract = self.country.contract(member, n % self.country.services);
        let digest = Digest::of(&descriptor_set(contract)).to_string();
        let number = member * self.country.agreements + n;
        let names = [
            (
                "ca-demo/vital-events/register",
                system_id(member)?.to_string(),
            ),
            ("ca-demo/pensions/benefits", system_id(other)?.to_string()),
            ("ca-demo/vital-events", member_id(member)?.to_string()),
            ("ca-demo/pensions", member_id(other)?.to_string()),
            ("DEMO-001", format!("AG-{number:07}")),
            (SAMPLE_SERVICE, service(contract)?.to_string()),
            (&"0".repeat(64), digest),
        ];
        let mut text = self.agreement.clone();
        for (old, new) in names {
            text = text.replace(old, &new);
        }
        self.out.blob(text.as_bytes())?;
        let mut act = AgreementAct {
            agreement: Digest::of(text.as_bytes()),
            sequence: 1,
            previous: None,
            reason: None,
        };
        let propose = Change::AgreementPropose(act.clone());
        let signer = key("officer", member)?;
        let author = Author::Member(member_id(member)?);
        self.push(author.clone(), &signer, &propose)?;
        act.sequence = 2;
        act.previous = self.positions.get(&author).map(|(_, last)| *last);
        let signer = key("officer", other)?;
        let author = Author::Member(member_id(other)?);
        self.push(author, &signer, &Change::AgreementAccept(act))
    }

    /// One of the servers, in turn, is reached elsewhere from now on.
    fn move_server(&mut self, number: u32) -> anyhow::Result<()> {
        let member = number % self.country.members;
        let n = number / self.country.members % self.country.servers;
        let server = server_id(member, n)?;
        let mut update = ServerUpdate::of(server.clone());
        update.addresses = Some(vec![
            format!("moved{number}.m{member:05}.example:7443").parse()?,
        ]);
        let signer = key("server", member * self.country.servers + n)?;
        self.push(
            Author::Server(server),
            &signer,
            &Change::ServerUpdate(update),
        )
    }

    fn by_registrar(&mut self, change: &Change) -> anyhow::Result<()> {
        let signer = registrar_key()?;
        self.push(Author::Registrar, &signer, change)
    }

    /// Signs the author's next change and writes it down, a minute after the one before.
    fn push(&mut self, author: Author, signer: &P256Key, change: &Change) -> anyhow::Result<()> {
        self.at = self.at.saturating_add(Duration::from_secs(60));
        let (sequence, previous) = match self.positions.get(&author) {
            None => (1, None),
            Some((sequence, last)) => (sequence + 1, Some(*last)),
        };
        let header = ChangeHeader {
            registry: ORIGIN.to_owned(),
            author: author.clone(),
            sequence,
            previous,
            not_after: self.at.saturating_add(Duration::from_secs(3600)),
        };
        let signed = SignedChange::sign(signer, &header, change)?;
        self.out.entry(self.at, &signed)?;
        self.positions.insert(author, (sequence, signed.hash()));
        Ok(())
    }
}

pub(crate) fn member_id(member: u32) -> anyhow::Result<MemberId> {
    Ok(format!("{JURISDICTION}/m{member:05}").parse()?)
}

/// The key of the registry's ledger.
pub(crate) fn ledger_key() -> anyhow::Result<Ed25519Key> {
    Ok(Ed25519Key::from_seed(&seed("ledger", 0))?)
}

/// The key of its one registrar.
pub(crate) fn registrar_key() -> anyhow::Result<P256Key> {
    key("registrar", 0)
}

fn server_id(member: u32, n: u32) -> anyhow::Result<ServerId> {
    Ok(format!("{JURISDICTION}/m{member:05}/@ss{n}").parse()?)
}

fn system_id(member: u32) -> anyhow::Result<SystemId> {
    Ok(format!("{JURISDICTION}/m{member:05}/records").parse()?)
}

/// As long as the name it takes the place of, so that the descriptor set stays one.
fn package(contract: u32) -> String {
    format!("service{contract:04}")
}

fn service(contract: u32) -> anyhow::Result<ServiceName> {
    Ok(SAMPLE_SERVICE
        .replace(SAMPLE_PACKAGE, &package(contract))
        .parse()?)
}

fn descriptor_set(contract: u32) -> Vec<u8> {
    let package = package(contract);
    let mut set = VITAL_EVENTS_DESCRIPTOR_SET.to_vec();
    for at in 0..set.len() - package.len() {
        if set[at..].starts_with(SAMPLE_PACKAGE.as_bytes()) {
            set[at..at + package.len()].copy_from_slice(package.as_bytes());
        }
    }
    set
}

fn seed(of: &str, number: u32) -> [u8; 32] {
    *Digest::of_parts(&[of.as_bytes(), &number.to_be_bytes()]).as_bytes()
}

/// The P-256 key whose scalar is the seed: the same in every run, and no secret.
fn key(of: &str, number: u32) -> anyhow::Result<P256Key> {
    const HEAD: &[u8] =
        b"\x30\x41\x02\x01\x00\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86\
          \x48\xce\x3d\x03\x01\x07\x04\x27\x30\x25\x02\x01\x01\x04\x20";
    Ok(P256Key::from_pkcs8_der(
        &[HEAD, &seed(of, number)].concat(),
    )?)
}

const SAMPLE: &str = include_str!("../../../crates/agreement/tests/samples/demo-pensions.yaml");
const SAMPLE_SERVICE: &str = "entente.demo.vitalevents.v1.VitalEvents";
const SAMPLE_PACKAGE: &str = "vitalevents";
/// Changes that come after the country was made.
const LATER: u32 = 1000;
pub(crate) const JURISDICTION: &str = "ca-demo";
pub(crate) const ORIGIN: &str = "registry.ca-demo/changes";
