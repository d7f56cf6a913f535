//! Two ends of a connection, over real sockets on loopback.
#![allow(
    clippy::unwrap_used,
    reason = "clippy.toml allows it in tests, and does not see that these are their parts"
)]

mod grpc;
mod handshake;
mod hostile;
mod http;
mod identity;
mod line;
mod sockets;

use std::sync::Arc;

use entente_signing::{Ed25519Key, P256Key, Signer};
use entente_tls::net::{Endpoint, Listener, Net, TokioNet};
use entente_tls::{ClientTls, Identity, Pins};

fn p256() -> Identity {
    Identity::self_signed(p256_key(), &["localhost", "127.0.0.1"]).unwrap()
}

fn ed25519() -> Identity {
    Identity::self_signed(Arc::new(Ed25519Key::generate().unwrap()), &[]).unwrap()
}

fn p256_key() -> Arc<dyn Signer> {
    Arc::new(P256Key::generate().unwrap())
}

async fn listener() -> Listener {
    TokioNet.listen(&Endpoint::loopback()).await.unwrap()
}

fn client_of(server: &Identity, identity: &Identity) -> ClientTls {
    ClientTls::new(identity.clone(), Pins::new([server.spki()])).unwrap()
}
