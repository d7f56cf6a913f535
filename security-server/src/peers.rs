//! The peer side: connections to other security servers, one set for each.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use entente_identity::ServerId;
use entente_proto::exchange::v1 as wire;
use entente_proto::exchange::v1::peer_exchange_client::PeerExchangeClient;
use entente_proto::status::Told;
use entente_reason::Reason;
use entente_signing::{Digest, KeyId};
use entente_tls::net::Net;
use entente_tls::{ChannelOptions, ClientTls, IdentitySlot, Pins, channel, never_sent, reason_of};
use tonic::Request;
use tonic::transport::Channel;

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
    client: PeerExchangeClient<Channel>,
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
        let mut client = self.client(server).map_err(NoEnvelope::NotSent)?;
        let frame = wire::ExchangeRequest {
            frame: Some(wire::exchange_request::Frame::Open(open)),
        };
        let mut request = Request::new(tokio_stream::once(frame));
        request.set_timeout(deadline);
        let mut frames = match client.exchange(request).await {
            Ok(response) => response.into_inner(),
            Err(status) => return Err(no_envelope(&status)),
        };
        match frames.message().await {
            Ok(Some(wire::ExchangeResponse {
                frame: Some(wire::exchange_response::Frame::Open(open)),
            })) => Ok(open),
            Ok(_) => Err(NoEnvelope::Lost),
            Err(status) => Err(no_envelope(&status)),
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

    fn client(&self, server: &ServerView<'_>) -> Result<PeerExchangeClient<Channel>, Reason> {
        let address = server.addresses().next().ok_or(Reason::PeerUnreachable)?;
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        // A connection proven by a key that was taken back since is not used again.
        if let Some(peer) = known.get(server.id())
            && peer.address == address
            && server.tls_keys().eq(peer.keys.iter().copied())
        {
            return Ok(peer.client.clone());
        }
        let endpoint = address.parse().map_err(|_| Reason::PeerUnreachable)?;
        let keys: Vec<Digest> = server.tls_keys().collect();
        let pins = Pins::new(keys.iter().copied());
        let tls = ClientTls::new(self.identity.clone(), pins).map_err(|error| error.reason())?;
        let channel = channel(
            Arc::clone(&self.net),
            endpoint,
            Some(tls),
            &ChannelOptions::default(),
        );
        let client = PeerExchangeClient::new(channel)
            .max_decoding_message_size(MAX_MESSAGE + OVERHEAD)
            .max_encoding_message_size(MAX_MESSAGE + OVERHEAD);
        let peer = Peer {
            address: address.to_owned(),
            keys,
            client: client.clone(),
            accepted: None,
        };
        known.insert(server.id().clone(), peer);
        Ok(client)
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
