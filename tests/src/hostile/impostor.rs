//! A provider's server that answers what a test makes up.

use std::pin::Pin;
use std::sync::{Arc, Mutex};

use anyhow::Context as _;
use bytes::Bytes;
use entente_clock::Timestamp;
use entente_evidence::answer::Answer;
use entente_evidence::opening::Openings;
use entente_evidence::proof::{SignedStatement, sign_direct};
use entente_evidence::receipt::Receipt;
use entente_evidence::seal::{ReceiveSession, SealParties, SealRandom};
use entente_evidence::statement::{Body, Failure, Statement};
use entente_proto::exchange::v1 as wire;
use entente_proto::exchange::v1::peer_exchange_server::{PeerExchange, PeerExchangeServer};
use entente_signing::Digest;
use entente_tls::net::{Net as _, TokioNet};
use entente_tls::{AcceptLimits, ServerSecurity, ServerTls, incoming};
use futures_util::{Stream, StreamExt as _};
use tonic::{Request, Response, Status, Streaming};

use super::{Forger, Session};
use crate::world::Site;

/// Listens in a provider's place, with its keys.
#[derive(Clone, Debug)]
pub struct Impostor {
    heard: Arc<Mutex<Vec<wire::Open>>>,
}

/// What it answers.
pub enum Says {
    /// An envelope.
    Open(Box<wire::Open>),
    /// An envelope, whose stream ends with the future.
    OpenUntil(Box<wire::Open>, End),
    /// A status.
    Status(Status),
    /// Nothing, ever.
    Nothing,
}

/// When a stream ends.
pub type End = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A request it was sent.
#[derive(Clone, Debug)]
pub struct Heard {
    /// The request.
    pub request: SignedStatement,
    /// The frame it came in.
    pub open: wire::Open,
    /// How many came before it.
    pub before: usize,
    /// None when the request names a session that nobody set up.
    under: Option<ReceiveSession>,
}

/// An answer that is not signed yet. Every part may be changed apart from the others.
#[derive(Clone, Debug)]
pub struct Reply {
    /// What will be signed.
    pub statement: Statement,
    /// What will be sealed.
    pub openings: Openings,
    /// Who signs.
    pub session: Session,
}

type Frames = Pin<Box<dyn Stream<Item = Result<wire::ExchangeResponse, Status>> + Send>>;

struct Stage<F> {
    forger: Forger,
    says: F,
    heard: Arc<Mutex<Vec<wire::Open>>>,
    sessions: Mutex<Vec<ReceiveSession>>,
}

// === impl Impostor ===

impl Impostor {
    /// Listens at the address of `site` and answers what `says` returns, until the runtime ends.
    ///
    /// # Errors
    /// When it cannot listen.
    pub async fn serve<F>(site: &Site, forger: Forger, says: F) -> anyhow::Result<Self>
    where
        F: Fn(&Forger, &Heard) -> anyhow::Result<Says> + Send + Sync + 'static,
    {
        let listener = TokioNet.listen(&site.address.parse()?).await?;
        let tls = ServerTls::any_key(forger.keys.identity()?)?;
        let arriving = incoming(listener, ServerSecurity::Tls(tls), AcceptLimits::default());
        let impostor = Self {
            heard: Arc::default(),
        };
        let stage = Stage {
            forger,
            says,
            heard: Arc::clone(&impostor.heard),
            sessions: Mutex::default(),
        };
        let routes = PeerExchangeServer::new(stage).max_decoding_message_size(32 * 1024 * 1024);
        let served = entente_tls::server()
            .add_service(routes)
            .serve_with_incoming(arriving);
        tokio::spawn(async move { served.await.expect("the impostor's address is served") });
        Ok(impostor)
    }

    /// The frames it was sent.
    pub fn heard(&self) -> Vec<wire::Open> {
        self.heard.lock().expect("no holder panics").clone()
    }
}

#[tonic::async_trait]
impl<F> PeerExchange for Stage<F>
where
    F: Fn(&Forger, &Heard) -> anyhow::Result<Says> + Send + Sync + 'static,
{
    type ExchangeStream = Frames;

    async fn exchange(
        &self,
        request: Request<Streaming<wire::ExchangeRequest>>,
    ) -> Result<Response<Self::ExchangeStream>, Status> {
        let frame = request.into_inner().message().await?;
        let Some(wire::exchange_request::Frame::Open(open)) = frame.and_then(|frame| frame.frame)
        else {
            return Err(Status::internal("not an Open"));
        };
        let before = {
            let mut heard = self.heard.lock().expect("no holder panics");
            heard.push(open.clone());
            heard.len() - 1
        };
        let heard = {
            let mut sessions = self.sessions.lock().expect("no holder panics");
            Heard::of(&self.forger, open, before, &mut sessions)
        };
        let says = heard.and_then(|heard| (self.says)(&self.forger, &heard));
        match says.map_err(|error| Status::internal(format!("{error:#}")))? {
            Says::Open(open) => Ok(Response::new(frames(*open, Box::pin(async {})))),
            Says::OpenUntil(open, end) => Ok(Response::new(frames(*open, end))),
            Says::Status(status) => Err(status),
            Says::Nothing => std::future::pending().await,
        }
    }
}

/// One frame, and then the stream's end.
fn frames(open: wire::Open, end: End) -> Frames {
    let frame = wire::ExchangeResponse {
        frame: Some(wire::exchange_response::Frame::Open(open)),
    };
    let end = futures_util::stream::once(end).filter_map(|()| std::future::ready(None));
    Box::pin(tokio_stream::once(Ok(frame)).chain(end))
}

// === impl Heard ===

impl Heard {
    fn of(
        forger: &Forger,
        open: wire::Open,
        before: usize,
        sessions: &mut Vec<ReceiveSession>,
    ) -> anyhow::Result<Self> {
        let request = SignedStatement::parse(open.statement.clone())?;
        let statement = request.statement();
        let parties = SealParties {
            sender: statement.sender_server.clone(),
            receiver: statement.receiver_server.clone(),
            mode: statement.mode,
        };
        let seal = open.seal.as_ref().context("the request is not sealed")?;
        let now = statement.issued_at;
        sessions.extend(ReceiveSession::accept(
            &parties,
            &forger.keys.hpke[0],
            &seal.enc,
            now,
        ));
        let named = |session: &&ReceiveSession| session.id().0.as_bytes()[..] == seal.session[..];
        Ok(Self {
            under: sessions.iter().find(named).cloned(),
            request,
            open,
            before,
        })
    }

    /// An honest answer: this message, and a receipt in the forger's own ledger.
    ///
    /// # Errors
    /// When the randomness fails.
    pub fn response(&self, forger: &Forger, message: Bytes) -> anyhow::Result<Reply> {
        let request = self.request.statement();
        let Body::Request { asked, .. } = &request.body else {
            anyhow::bail!("not a request");
        };
        let body = Body::Response {
            request: self.request.hash(),
            receipt: self.receipt(forger)?,
            permitted: asked.clone(),
        };
        let openings = Openings::builder().payload(Answer::ok(message).to_value()?);
        self.reply(forger, body, openings.build()?)
    }

    /// An honest fault.
    ///
    /// # Errors
    /// When its ledger cannot be named.
    pub fn fault(&self, forger: &Forger, failure: Failure) -> anyhow::Result<Reply> {
        let body = Body::Fault {
            request: self.request.hash(),
            receipt: self.receipt(forger)?,
            failure,
        };
        self.reply(forger, body, Openings::default())
    }

    /// When it was issued: near enough to now for every honest answer.
    pub fn at(&self) -> Timestamp {
        self.request.statement().issued_at
    }

    fn receipt(&self, forger: &Forger) -> anyhow::Result<Receipt> {
        Ok(Receipt {
            origin: forger.log(self.at())?,
            index: 7,
            leaf_hash: Digest::of(b"an entry nobody has"),
        })
    }

    fn reply(&self, forger: &Forger, body: Body, openings: Openings) -> anyhow::Result<Reply> {
        let request = self.request.statement();
        let log = forger.log(self.at())?;
        let mut statement = Statement::answering(request, self.at(), log, body);
        statement.views = request.views.clone();
        statement.commitments = openings.commitments();
        Ok(Reply {
            statement,
            openings,
            session: forger.session.clone(),
        })
    }
}

// === impl Reply ===

impl Reply {
    /// Signs and seals it as it stands, under the session of `heard`.
    ///
    /// # Errors
    /// When a key cannot be used.
    pub fn seal(self, heard: &Heard) -> anyhow::Result<wire::Open> {
        let answer = sign_direct(&*self.session.key, self.statement)?;
        let session_chain = self.session.chain;
        let mut open = wire::Open {
            statement: answer.bytes().clone(),
            session_chain,
            ..wire::Open::default()
        };
        if self.openings.as_slice().is_empty() {
            return Ok(open);
        }
        let asked = heard.open.seal.clone().unwrap_or_default();
        let message_id = &answer.statement().message_id;
        let random = SealRandom::generate()?;
        let under = heard.under.as_ref().context("a session set up before")?;
        let mut sealer = under.seal_response(message_id, random, answer.hash());
        open.seal = Some(wire::Seal {
            enc: Bytes::new(),
            r: Bytes::copy_from_slice(sealer.random()),
            ..asked
        });
        open.sealed = sealer.seal(self.openings.seal_plaintext(), true)?;
        Ok(open)
    }
}

// === impl Says ===

impl From<wire::Open> for Says {
    fn from(open: wire::Open) -> Self {
        Self::Open(Box::new(open))
    }
}

impl std::fmt::Debug for Says {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Nothing => "Nothing",
            Self::Open(_) => "Open",
            Self::OpenUntil(..) => "OpenUntil",
            Self::Status(_) => "Status",
        })
    }
}

impl<F> std::fmt::Debug for Stage<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stage").finish_non_exhaustive()
    }
}
