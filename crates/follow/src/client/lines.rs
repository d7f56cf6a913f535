//! The connections to one registry.

use std::sync::Arc;

use entente_directory::MAX_BLOB;
use entente_proto::registry::v1::registry_service_client::RegistryServiceClient;
use entente_tls::net::{Endpoint, Net};
use entente_tls::{Channel, ChannelOptions, ClientTls, IdentitySlot, Pins, TlsError, channel};

use crate::anchor::Anchor;

/// Connections to each of a registry's addresses, best first, each made when it is needed.
#[derive(Debug)]
pub(super) struct Lines {
    /// For questions, and the one stream that is followed.
    pub(super) calls: Box<[RegistryServiceClient<Channel>]>,
    /// For many blobs: on the connection of a stream that nobody reads meanwhile, its bytes would leave no
    /// room for them.
    pub(super) bulk: Box<[RegistryServiceClient<Channel>]>,
}

/// What makes them.
#[derive(Debug)]
pub(super) struct Dialling {
    addresses: Vec<Endpoint>,
    net: Arc<dyn Net>,
    tls: ClientTls,
}

// === impl Dialling ===

impl Dialling {
    /// To the anchor's registry, showing `identity` in TLS.
    pub(super) fn new(
        anchor: &Anchor,
        net: &Arc<dyn Net>,
        identity: impl Into<IdentitySlot>,
    ) -> Result<Self, TlsError> {
        let pins = Pins::new(anchor.tls_keys.iter().copied());
        Ok(Self {
            addresses: anchor.addresses.clone(),
            net: net.clone(),
            tls: ClientTls::new(identity, pins)?,
        })
    }

    /// New ones; nothing is dialled yet.
    pub(super) fn lines(&self) -> Lines {
        let connect = |address: &Endpoint| {
            let (net, tls) = (self.net.clone(), Some(self.tls.clone()));
            let channel = channel(net, address.clone(), tls, &ChannelOptions::default());
            RegistryServiceClient::new(channel)
                .max_decoding_message_size(MAX_MESSAGE)
                .max_encoding_message_size(MAX_MESSAGE)
        };
        Lines {
            calls: self.addresses.iter().map(connect).collect(),
            bulk: self.addresses.iter().map(connect).collect(),
        }
    }
}

/// The largest message either way: two blobs and their framing.
const MAX_MESSAGE: usize = 2 * MAX_BLOB + (64 << 10);
