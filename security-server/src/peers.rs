//! The peer side: connections to other security servers, one set for each.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use entente_identity::ServerId;
use entente_proto::exchange::v1 as wire;
use entente_proto::status::Told;
use entente_reason::Reason;
use entente_signing::{Digest, KeyId};
use entente_tls::line::{self, Line};
use entente_tls::net::Net;
use entente_tls::{
    Channel, ChannelOptions, ClientTls, IdentitySlot, Pins, channel, never_sent, reason_of,
};
use http::uri::PathAndQuery;
use prost::Message as _;
use tonic::metadata::MetadataMap;

use crate::config::MAX_MESSAGE;
use crate::refusal::unsigned;
use crate::session::OwnSession;
use crate::view::ServerView;

/// Connections, made when first needed and shared by every call to the same server.
pub(crate) struct Peers {
    net: Arc<dyn Net>,
    identity: IdentitySlot,
    known: Mutex<HashMap<ServerId, Peer>>,
}

#[derive(Clone)]
struct Peer {
    address: String,
    /// The keys it may show; with others it is another connection.
    keys: Vec<Digest>,
    line: Line,
    /// Our session that it has accepted: its certificate need not be sent again.
    accepted: Option<KeyId>,
}

/// Why the peer gave no envelope back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum NoEnvelope {
    /// It said, unsigned, that it refused; with the reason a caller may be told.
    Refused(Reason),
    /// Nothing was sent: no connection.
    NotSent(Reason),
    /// Sent, and then nothing that counts.
    Lost,
}

/// `PeerExchange/Exchange`: a unary call is one Open each way.
static EXCHANGE: LazyLock<PathAndQuery> =
    LazyLock::new(|| PathAndQuery::from_static("/entente.exchange.v1.PeerExchange/Exchange"));

/// An envelope's overhead beyond its payload: subjects, at most 256 KiB, statement, chain and salts.
const OVERHEAD: usize = 512 * 1024;

// === impl Peers ===

impl Peers {
    /// With the identity this server shows in TLS.
    pub(crate) fn new(net: Arc<dyn Net>, identity: IdentitySlot) -> Self {
        Self {
            net,
            identity,
            known: Mutex::default(),
        }
    }

    /// Sends one envelope and takes the one that comes back.
    pub(crate) async fn exchange(
        &self,
        server: &ServerView<'_>,
        open: wire::Open,
        deadline: Duration,
    ) -> Result<wire::Open, NoEnvelope> {
        let line = self.line(server).map_err(NoEnvelope::NotSent)?;
        let frame = wire::ExchangeRequest {
            frame: Some(wire::exchange_request::Frame::Open(open)),
        };
        let framed = line::frame(frame.encoded_len(), |buffer| frame.encode_raw(buffer));
        let answer = line.call(&EXCHANGE, MetadataMap::new(), deadline, framed);
        let mut answer = answer.await.map_err(|status| no_envelope(&status))?;
        let message = answer.message(MAX_MESSAGE + OVERHEAD).await;
        // Used at once: nothing that may still come changes what was signed.
        answer.read_to_its_end();
        let message = message.map_err(|status| no_envelope(&status))?;
        match message.map(wire::ExchangeResponse::decode) {
            Some(Ok(wire::ExchangeResponse {
                frame: Some(wire::exchange_response::Frame::Open(open)),
            })) => Ok(open),
            _ => Err(NoEnvelope::Lost),
        }
    }

    /// The chain of our session, unless the peer has it.
    pub(crate) fn chain_for(&self, server: &ServerId, session: &OwnSession) -> Vec<Bytes> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let key_id = session.signer().verifying_key().key_id();
        match known.get(server) {
            Some(peer) if peer.accepted == Some(key_id) => Vec::new(),
            _ => session.chain(),
        }
    }

    /// The peer answered with a verified statement, so it has our session's certificate.
    pub(crate) fn knows_session(&self, server: &ServerId, session: &OwnSession) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(peer) = known.get_mut(server) {
            peer.accepted = Some(session.signer().verifying_key().key_id());
        }
    }

    /// A connection for questions that are not exchanges.
    pub(crate) fn channel(&self, server: &ServerView<'_>) -> Result<Channel, Reason> {
        let address = server.addresses().next().ok_or(Reason::PeerUnreachable)?;
        let endpoint = address.parse().map_err(|_| Reason::PeerUnreachable)?;
        let pins = Pins::new(server.tls_keys());
        let tls = ClientTls::new(self.identity.clone(), pins).map_err(|error| error.reason())?;
        let net = Arc::clone(&self.net);
        Ok(channel(
            net,
            endpoint,
            Some(tls),
            &ChannelOptions::default(),
        ))
    }

    fn line(&self, server: &ServerView<'_>) -> Result<Line, Reason> {
        let address = server.addresses().next().ok_or(Reason::PeerUnreachable)?;
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        // A connection proven by a key that was taken back since is not used again.
        if let Some(peer) = known.get(server.id())
            && peer.address == address
            && server.tls_keys().eq(peer.keys.iter().copied())
        {
            return Ok(peer.line.clone());
        }
        let endpoint = address.parse().map_err(|_| Reason::PeerUnreachable)?;
        let keys: Vec<Digest> = server.tls_keys().collect();
        let pins = Pins::new(keys.iter().copied());
        let tls = ClientTls::new(self.identity.clone(), pins).map_err(|error| error.reason())?;
        let net = Arc::clone(&self.net);
        let line = Line::new(net, endpoint, Some(tls), ChannelOptions::default());
        let peer = Peer {
            address: address.to_owned(),
            keys,
            line: line.clone(),
            accepted: None,
        };
        known.insert(server.id().clone(), peer);
        Ok(line)
    }
}

impl fmt::Debug for Peers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Peers").finish_non_exhaustive()
    }
}

fn no_envelope(status: &tonic::Status) -> NoEnvelope {
    if let Some(reason) = Told::from_status(status).and_then(|told| Reason::parse(&told.reason)) {
        return NoEnvelope::Refused(unsigned(reason));
    }
    if never_sent(status) {
        return NoEnvelope::NotSent(reason_of(status));
    }
    NoEnvelope::Lost
}
