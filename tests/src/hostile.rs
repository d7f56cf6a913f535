//! Forging: whoever holds the keys of a registered server, and sends or answers what they like.
//!
//! A [`Forger`] speaks as one server. What it drafts is honest in every part, so that a test changes
//! exactly the one thing it is about. An [`Impostor`] listens in a provider's place, with its keys.

mod certificate;
mod impostor;
mod raw;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use bytes::Bytes;
use entente_clock::Timestamp;
use entente_directory::ShardOpen;
use entente_evidence::answer::Answer;
use entente_evidence::commitment::Subject;
use entente_evidence::opening::Openings;
use entente_evidence::proof::{SignedStatement, sign_direct};
use entente_evidence::seal::{SealParties, SealPublicKey, SealRandom, SendSession};
use entente_evidence::statement::{
    Actor, Body, Links, LogOrigin, MessageId, Mode, Statement, View,
};
use entente_identity::{ServerId, SystemId};
use entente_keys::{KeyStore, Mode as SessionMode, SessionCertificate, SessionOrder};
use entente_proto::exchange::v1 as wire;
use entente_proto::exchange::v1::peer_exchange_client::PeerExchangeClient;
use entente_proto::oversight::v1::ledger_service_client::LedgerServiceClient;
use entente_security_server::enrol::ServerKeys;
use entente_signing::{Ed25519Key, Signer, VerifyingKey};
use entente_tls::Channel;
use entente_tls::net::TokioNet;
use entente_tls::{ChannelOptions, ClientTls, Identity, Pins, channel};
use tonic::{Request, Status};

use crate::world::{METHOD, PURPOSE, Site, World, lookup};

pub use certificate::stretched;
pub use impostor::{End, Heard, Impostor, Reply, Says};
pub use raw::{sign_payload, without_key};

/// Speaks as a server whose keys it has.
#[derive(Debug)]
pub struct Forger {
    /// The server.
    pub server: ServerId,
    /// Its system.
    pub system: SystemId,
    /// Its keys.
    pub keys: ServerKeys,
    /// A session of its own, begun an hour ago.
    pub session: Session,
}

/// A session key and the certificate that goes with it.
#[derive(Clone, Debug)]
pub struct Session {
    /// Signs statements.
    pub key: Arc<Ed25519Key>,
    /// The certificate, DER.
    pub chain: Vec<Bytes>,
}

/// A connection to a server, as whoever the TLS key says.
#[derive(Clone, Debug)]
pub struct Wire {
    exchange: PeerExchangeClient<Channel>,
    ledger: LedgerServiceClient<Channel>,
}

/// A request that is not signed yet. Every part may be changed apart from the others.
#[derive(Clone, Debug)]
pub struct Draft {
    /// What will be signed.
    pub statement: Statement,
    /// What will be sealed.
    pub openings: Openings,
    /// Who signs.
    pub session: Session,
    /// Whom the seal session names.
    pub parties: SealParties,
    /// The key it is sealed to.
    pub seal_to: SealPublicKey,
}

/// A request as it is sent.
#[derive(Clone, Debug)]
pub struct Envelope {
    /// The signed request.
    pub request: SignedStatement,
    /// The frame.
    pub open: wire::Open,
    seal: SendSession,
}

// === impl Forger ===

impl Forger {
    /// With the keys of `site`.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn of(world: &World, site: &Site) -> anyhow::Result<Self> {
        let folder = site.dir.join("keys");
        Self::with_keys(world, folder, site.server.clone(), site.system.as_str())
    }

    fn with_keys(
        world: &World,
        folder: PathBuf,
        server: ServerId,
        system: &str,
    ) -> anyhow::Result<Self> {
        let keys = ServerKeys::load_or_create(&KeyStore::open(folder)?)?;
        let began = world.now().saturating_sub(HOUR);
        let until = began.saturating_add(12 * HOUR);
        let session = Session::issue(&*keys.server, &server, SessionMode::Live, began, until)?;
        Ok(Self {
            server,
            system: system.parse()?,
            keys,
            session,
        })
    }

    /// A server with good keys that no registry knows: `ca-demo/nobody/@ss1`.
    ///
    /// # Errors
    /// When keys cannot be made.
    pub fn stranger(world: &World) -> anyhow::Result<Self> {
        let server: ServerId = "ca-demo/nobody/@ss1".parse()?;
        Self::with_keys(
            world,
            world.dir.join("nobody"),
            server,
            "ca-demo/nobody/none",
        )
    }

    /// Connects to `site` under this server's own TLS key.
    ///
    /// # Errors
    /// When keys cannot be used.
    pub fn dial(&self, site: &Site) -> anyhow::Result<Wire> {
        Wire::dial(site, self.keys.identity()?)
    }

    /// The ledger it would log in.
    ///
    /// # Errors
    /// Never, for a registered server.
    pub fn log(&self, now: Timestamp) -> anyhow::Result<LogOrigin> {
        Ok(ShardOpen::origin_of(&self.server, &now.half_year(), 1).parse()?)
    }

    /// An honest request of this server's system to that of `site`.
    ///
    /// # Errors
    /// When the randomness fails.
    pub fn draft(&self, world: &World, site: &Site) -> anyhow::Result<Draft> {
        let now = world.now();
        let openings = openings_about("046454286")?;
        let view = world.view();
        let seen = View {
            size: view.size,
            root: view.root,
        };
        let asked = ["death.registered", "death.date"].map(str::parse);
        let statement = Statement {
            message_id: MessageId::generate()?,
            sender: self.system.clone(),
            receiver: site.system.clone(),
            method: METHOD.parse()?,
            issued_at: now,
            commitments: openings.commitments(),
            tags: entente_evidence::tag::Tags::none(),
            purpose: PURPOSE.parse()?,
            views: BTreeMap::from([(view.origin.parse()?, seen)]),
            agreement: world.agreement,
            clause: 1,
            mode: Mode::Live,
            receiver_server: site.server.clone(),
            sender_server: self.server.clone(),
            log: self.log(now)?,
            body: Body::Request {
                asked: asked.into_iter().collect::<Result<BTreeSet<_>, _>>()?,
                mandate: Vec::new(),
                links: Links::default(),
                actor: Some(Actor {
                    assurance: 0,
                    automated: true,
                }),
            },
            extensions: Default::default(),
        };
        let receiver = site.server_keys()?;
        Ok(Draft {
            parties: SealParties {
                sender: statement.sender_server.clone(),
                receiver: statement.receiver_server.clone(),
                mode: statement.mode,
            },
            seal_to: receiver.hpke[0].public().clone(),
            session: self.session.clone(),
            statement,
            openings,
        })
    }
}

// === impl Session ===

impl Session {
    /// A new key, certified by `by` as `server`'s for a period.
    ///
    /// # Errors
    /// When the period is not one a certificate may have.
    pub fn issue(
        by: &dyn Signer,
        server: &ServerId,
        mode: SessionMode,
        not_before: Timestamp,
        not_after: Timestamp,
    ) -> anyhow::Result<Self> {
        let key = Ed25519Key::generate()?;
        let order = SessionOrder {
            server,
            mode,
            key: key.verifying_key(),
            not_before,
            not_after,
        };
        let certificate = SessionCertificate::issue(by, &order)?;
        Ok(Self {
            key: Arc::new(key),
            chain: vec![certificate.into()],
        })
    }
}

// === impl Wire ===

impl Wire {
    /// Connects to `site` under any identity.
    ///
    /// # Errors
    /// When keys cannot be used.
    pub fn dial(site: &Site, identity: Identity) -> anyhow::Result<Self> {
        let there = site.server_keys()?;
        let pins = Pins::new(there.tls_public().iter().map(VerifyingKey::spki_digest));
        let tls = ClientTls::new(identity, pins)?;
        let endpoint = site.address.parse()?;
        let options = ChannelOptions::default();
        let channel = channel(Arc::new(TokioNet), endpoint, Some(tls), &options);
        let exchange = PeerExchangeClient::new(channel.clone());
        Ok(Self {
            exchange: exchange.max_decoding_message_size(32 * 1024 * 1024),
            ledger: LedgerServiceClient::new(channel),
        })
    }

    /// The server's ledger, as a peer may read it.
    pub fn ledger(&self) -> LedgerServiceClient<Channel> {
        self.ledger.clone()
    }

    /// Sends one Open and takes the one that comes back.
    ///
    /// # Errors
    /// The status, when there is one instead.
    pub async fn send(&self, open: wire::Open) -> Result<wire::Open, Status> {
        self.send_frame(wire::exchange_request::Frame::Open(open))
            .await
    }

    /// Sends one frame of any kind, and nothing after it.
    ///
    /// # Errors
    /// The status, when there is one instead.
    pub async fn send_frame(
        &self,
        frame: wire::exchange_request::Frame,
    ) -> Result<wire::Open, Status> {
        let frame = wire::ExchangeRequest { frame: Some(frame) };
        let request = Request::new(tokio_stream::once(frame));
        let mut frames = self.exchange.clone().exchange(request).await?.into_inner();
        match frames.message().await? {
            Some(wire::ExchangeResponse {
                frame: Some(wire::exchange_response::Frame::Open(open)),
            }) => Ok(open),
            _ => Err(Status::internal("no Open came back")),
        }
    }
}

// === impl Draft ===

impl Draft {
    /// Says and seals these openings.
    pub fn say(&mut self, openings: Openings) {
        self.statement.commitments = openings.commitments();
        self.openings = openings;
    }

    /// Signs and seals it as it stands.
    ///
    /// # Errors
    /// When a key cannot be used.
    pub fn seal(self, now: Timestamp) -> anyhow::Result<Envelope> {
        let session = SendSession::establish(&self.parties, &self.seal_to, now)?;
        self.seal_under(session)
    }

    /// Signs it, and seals it under a seal session there is.
    ///
    /// # Errors
    /// When a key cannot be used.
    pub fn seal_under(self, seal: SendSession) -> anyhow::Result<Envelope> {
        let request = sign_direct(&*self.session.key, self.statement)?;
        let message_id = &request.statement().message_id;
        let mut sealer = seal.seal_request(message_id, SealRandom::generate()?, request.hash());
        let frame = wire::Seal {
            suite: seal.suite().name().to_owned(),
            hpke_key_id: Bytes::copy_from_slice(&seal.recipient().0),
            session: Bytes::copy_from_slice(seal.id().0.as_bytes()),
            enc: seal.enc().clone(),
            r: Bytes::copy_from_slice(sealer.random()),
        };
        let sealed = sealer.seal(self.openings.seal_plaintext(), true)?;
        let open = wire::Open {
            statement: request.bytes().clone(),
            session_chain: self.session.chain,
            seal: Some(frame),
            sealed,
            checkpoint: Bytes::new(),
        };
        Ok(Envelope {
            request,
            open,
            seal,
        })
    }
}

// === impl Envelope ===

impl Envelope {
    /// The seal session it was sealed under, to seal another one.
    pub const fn seal_session(&self) -> &SendSession {
        &self.seal
    }

    /// Opens the answer to it.
    ///
    /// # Errors
    /// When it is no answer.
    pub fn answer(&self, open: &wire::Open) -> anyhow::Result<Answer> {
        let response = SignedStatement::parse(open.statement.clone())?;
        let seal = open.seal.as_ref().context("the answer is not sealed")?;
        let random = SealRandom::from_slice(&seal.r).context("r is not 32 bytes")?;
        let message_id = &response.statement().message_id;
        let mut opener = self
            .seal
            .open_response(message_id, &random, response.hash());
        let plaintext = opener.open(open.sealed.clone(), true)?;
        let opened = Openings::decode(&plaintext)?.check(&response.statement().commitments)?;
        Ok(Answer::decode(opened.payload()?)?)
    }
}

/// The openings of a request about one person.
///
/// # Errors
/// When the randomness fails.
pub fn openings_about(person_number: &str) -> anyhow::Result<Openings> {
    let subject = Subject::new("ca.sin", person_number)?;
    let openings = Openings::builder()
        .payload(lookup(person_number))
        .subjects(&[subject]);
    Ok(openings.build()?)
}

const HOUR: Duration = Duration::from_secs(3600);
