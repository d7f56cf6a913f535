//! The ways in: local systems that ask, and other servers.
//!
//! A local system proves which system it is by the socket it may open, the token it was given, or its
//! TLS key; never by what it says. Any gRPC method is taken, as bytes.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use entente_evidence::answer::Answer;
use entente_identity::{MethodName, SystemId};
use entente_keys::LocalToken;
use entente_proto::exchange::v1 as wire;
use entente_proto::exchange::v1::peer_exchange_server::PeerExchange;
use entente_proto::raw::RawCodec;
use entente_reason::{GrpcCode, Lang, Reason};
use entente_signing::Digest;
use entente_tls::PeerInfo;
use tokio_util::sync::CancellationToken;
use tonic::body::Body;
use tonic::metadata::{AsciiMetadataValue, MetadataMap};
use tonic::server::{Grpc, UnaryService};
use tonic::{Request, Response, Status, Streaming};
use tower::Service;

use crate::call::{Call, Given, parse_timeout};
use crate::config::{MAX_DEADLINE, MAX_MESSAGE};
use crate::consumer::Answered;
use crate::limits::Place;
use crate::refusal::Refusal;
use crate::server::Server;
use crate::system::{SOURCE_DATE_SEALED, is_the_sources_to_say};

/// How callers of one door prove who they are.
#[derive(Clone, Debug)]
pub(crate) enum Proof {
    /// Being able to open the socket.
    Socket(SystemId),
    /// A client key, by its SHA-256.
    Tls(Arc<BTreeMap<Digest, SystemId>>),
    /// A token.
    Token(SystemId, Arc<LocalToken>),
}

/// Takes any call of a local system.
#[derive(Clone, Debug)]
pub(crate) struct LocalDoor {
    server: Arc<Server>,
    proof: Proof,
}

/// Takes envelopes of other servers.
#[derive(Clone, Debug)]
pub(crate) struct PeerDoor {
    server: Arc<Server>,
}

/// A call whose caller is known, and whose message is still to come.
#[derive(Debug)]
struct LocalCall {
    server: Arc<Server>,
    caller: SystemId,
    /// None when the path is no method's.
    method: Option<MethodName>,
    lang: Lang,
    /// Taken when the message is there.
    place: Option<Place<SystemId>>,
    /// Says so.
    is_read: Arc<AtomicBool>,
}

type Answering<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// Room for what tonic counts beside the payload, so that our own bound refuses with a reason.
const SLACK: usize = 64 * 1024;

/// gRPC's code for a message above the bound.
const OUT_OF_RANGE: http::HeaderValue = http::HeaderValue::from_static("11");

/// An envelope's overhead beyond its payload: subjects, at most 256 KiB, statement, chain and salts.
const ENVELOPE: usize = 512 * 1024;

// === impl LocalDoor ===

impl LocalDoor {
    pub(crate) const fn new(server: Arc<Server>, proof: Proof) -> Self {
        Self { server, proof }
    }

    fn caller(&self, peer: Option<&PeerInfo>, given: &Given) -> Option<SystemId> {
        match &self.proof {
            Proof::Socket(system) => Some(system.clone()),
            Proof::Tls(keys) => keys.get(peer?.spki.as_ref()?).cloned(),
            Proof::Token(system, token) => {
                let presented = given.token.as_ref()?;
                token.matches(presented).then(|| system.clone())
            }
        }
    }

    /// Who calls is known, and has a place, before a byte of the message is read.
    async fn take(self, request: http::Request<Body>) -> http::Response<Body> {
        let given = Given::from_headers(request.headers());
        let peer = request.extensions().get::<PeerInfo>();
        let Some(caller) = self.caller(peer, &given) else {
            return self.turn_away(None, Reason::CallerUnknown, given.lang);
        };
        let Some(place) = self.server.callers.enter(&caller) else {
            return self.turn_away(Some(&caller), Reason::Overloaded, given.lang);
        };
        let method = MethodName::from_path(request.uri().path()).ok();
        let is_read = Arc::new(AtomicBool::new(false));
        let call = LocalCall {
            server: Arc::clone(&self.server),
            caller: caller.clone(),
            method: method.clone(),
            lang: given.lang,
            place: Some(place),
            is_read: Arc::clone(&is_read),
        };
        let mut grpc = Grpc::new(RawCodec)
            .max_decoding_message_size(MAX_MESSAGE + SLACK)
            .max_encoding_message_size(MAX_MESSAGE + SLACK);
        let answer = grpc.unary(call, request).await;
        if is_read.load(Ordering::Acquire) {
            return answer;
        }
        // What came is no message, or is too large to be one. Whoever sent it is known, so it is a
        // refusal like any other.
        let too_large = answer.headers().get("grpc-status") == Some(&OUT_OF_RANGE);
        let reason = if too_large {
            Reason::MessageTooLarge
        } else {
            Reason::RequestMalformed
        };
        let refused = self
            .server
            .deny_unread(&caller, method.as_ref(), reason.into());
        refused.await.into_status(given.lang).into_http()
    }

    fn turn_away(
        &self,
        caller: Option<&SystemId>,
        reason: Reason,
        lang: Lang,
    ) -> http::Response<Body> {
        let server = &self.server;
        server.metrics.refusal(reason);
        let caller = caller.map(SystemId::as_str);
        server.noise.count(caller, reason, server.clock.now());
        Refusal::new(reason).into_status(lang).into_http()
    }
}

// === impl LocalCall ===

impl LocalCall {
    fn answer(&mut self, request: Request<Bytes>) -> Answering<Result<Response<Bytes>, Status>> {
        self.is_read.store(true, Ordering::Release);
        let server = Arc::clone(&self.server);
        let (caller, method) = (self.caller.clone(), self.method.clone());
        let (lang, place) = (self.lang, self.place.take());
        Box::pin(async move {
            let call = match &method {
                Some(method) => Call::parse(method.clone(), request.metadata()),
                None => Err(Reason::UnknownMethod.into()),
            };
            let call = match call {
                Ok(call) => call,
                Err(refusal) => {
                    let refused = server.deny_unread(&caller, method.as_ref(), refusal);
                    return Err(refused.await.into_status(lang));
                }
            };
            let cancelled = CancellationToken::new();
            // Dropped with this future when the caller goes away. The exchange itself runs on: what
            // it began must reach the ledger.
            let _guard = cancelled.clone().drop_guard();
            let exchange =
                Arc::clone(&server).consume(caller, call, request.into_inner(), cancelled);
            // Five kilobytes, moved once here and not at every step of the spawning.
            let exchange = Box::pin(exchange);
            let exchange = server.calls.spawn(async move {
                let ended = exchange.await;
                drop(place);
                ended
            });
            match exchange.await {
                Ok(Ok(answered)) => into_response(answered, lang),
                Ok(Err(refusal)) => Err(refusal.into_status(lang)),
                Err(_) => Err(Refusal::new(Reason::OutcomeUnknown).into_status(lang)),
            }
        })
    }
}

impl Service<http::Request<Body>> for LocalDoor {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Answering<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let door = self.clone();
        Box::pin(async move { Ok(door.take(request).await) })
    }
}

impl tonic::server::NamedService for LocalDoor {
    const NAME: &'static str = "entente.LocalDoor";
}

impl UnaryService<Bytes> for LocalCall {
    type Response = Bytes;
    type Future = Answering<Result<Response<Bytes>, Status>>;

    fn call(&mut self, request: Request<Bytes>) -> Self::Future {
        self.answer(request)
    }
}

fn into_response(answered: Answered, lang: Lang) -> Result<Response<Bytes>, Status> {
    let Answered {
        answer,
        transaction,
        receipt,
    } = answered;
    let receipt = format!("{} {} {}", receipt.origin, receipt.index, receipt.leaf_hash);
    let pairs = [
        ("entente-transaction", transaction.to_string()),
        ("entente-receipt", receipt),
    ];
    if answer.code != 0 {
        let mut status = system_status(&answer, lang);
        put(status.metadata_mut(), &pairs);
        return Err(status);
    }
    let mut response = Response::new(answer.message);
    put(response.metadata_mut(), &pairs);
    if let Some(date) = answer.metadata.get(SOURCE_DATE_SEALED) {
        put(
            response.metadata_mut(),
            &[("entente-source-date", date.clone())],
        );
    }
    Ok(response)
}

/// The system's own refusal: its code, and the reason it was mapped to. Its words stayed behind.
fn system_status(answer: &Answer, lang: Lang) -> Status {
    let known = answer.reason.as_ref().and_then(|reason| reason.known());
    let known = known.filter(|reason| is_the_sources_to_say(*reason));
    let status = Refusal::new(known.unwrap_or(Reason::SourceRefused)).into_status(lang);
    let code = GrpcCode(i32::from(answer.code));
    let details = Bytes::copy_from_slice(status.details());
    Status::with_details(tonic::Code::from_i32(code.0), status.message(), details)
}

fn put(metadata: &mut MetadataMap, pairs: &[(&'static str, String)]) {
    for (key, value) in pairs {
        if let Ok(value) = AsciiMetadataValue::try_from(value.as_str()) {
            metadata.insert(*key, value);
        }
    }
}

// === impl PeerDoor ===

impl PeerDoor {
    pub(crate) const fn new(server: Arc<Server>) -> Self {
        Self { server }
    }

    /// The largest frame taken from a peer, in bytes.
    pub(crate) const MAX_FRAME: usize = MAX_MESSAGE + ENVELOPE;
}

#[tonic::async_trait]
impl PeerExchange for PeerDoor {
    type ExchangeStream = tokio_stream::Once<Result<wire::ExchangeResponse, Status>>;

    async fn exchange(
        &self,
        request: Request<Streaming<wire::ExchangeRequest>>,
    ) -> Result<Response<Self::ExchangeStream>, Status> {
        let spki = request
            .extensions()
            .get::<PeerInfo>()
            .and_then(|peer| peer.spki);
        let deadline = request
            .metadata()
            .get("grpc-timeout")
            .and_then(|value| parse_timeout(value.to_str().ok()?))
            .unwrap_or_else(|| self.server.limits.deadline.get())
            .min(MAX_DEADLINE);
        let mut frames = request.into_inner();
        let refuse = |reason| self.server.refuse_frame(spki, reason).into_status(Lang::En);
        let place = self.server.place_for(spki);
        let place = place.ok_or_else(|| refuse(Reason::Overloaded))?;
        let first = tokio::time::timeout(deadline.min(FIRST_FRAME), frames.message());
        let first = first.await.map_err(|_| refuse(Reason::DeadlinePassed))?;
        let frame = first.map_err(|status| match status.code() {
            // It went away, and nobody listens.
            tonic::Code::Cancelled => status,
            tonic::Code::OutOfRange => refuse(Reason::MessageTooLarge),
            _ => refuse(Reason::StatementMalformed),
        })?;
        let Some(wire::exchange_request::Frame::Open(open)) = frame.and_then(|frame| frame.frame)
        else {
            return Err(refuse(Reason::StatementMalformed));
        };
        let cancelled = CancellationToken::new();
        let _guard = cancelled.clone().drop_guard();
        let exchange = Arc::clone(&self.server).provide(spki, open, deadline, cancelled);
        let exchange = Box::pin(exchange);
        let exchange = self.server.calls.spawn(async move {
            let ended = exchange.await;
            drop(place);
            ended
        });
        match exchange.await {
            Ok(Ok(open)) => {
                let frame = wire::ExchangeResponse {
                    frame: Some(wire::exchange_response::Frame::Open(open)),
                };
                Ok(Response::new(tokio_stream::once(Ok(frame))))
            }
            Ok(Err(refusal)) => Err(refusal.into_status(Lang::En)),
            Err(_) => Err(Refusal::new(Reason::OutcomeUnknown).into_status(Lang::En)),
        }
    }
}

/// How long a peer may take to send its first frame.
const FIRST_FRAME: Duration = Duration::from_secs(10);
