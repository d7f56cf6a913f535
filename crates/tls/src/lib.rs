//! Transport: TLS 1.3 whose trust is a set of pinned public keys, over TCP or Unix sockets.
//!
//! The only Entente crate that names rustls. A certificate is a carrier here, nothing more: what is
//! trusted is the SHA-256 of its SubjectPublicKeyInfo, which the directory (for peers) or the
//! configuration (for local systems) binds to a name. So no CA, no host name and no validity date
//! is looked at; possession of the key is proven by the handshake, anew for every connection,
//! because sessions are never resumed.
//!
//! X25519MLKEM768 is offered first, TLS 1.2 is not built, ALPN is `h2`, leaf keys are Ed25519 or
//! P-256. What this crate does not do: decide who may connect. A server admits any peer that proves
//! its key and hands the key's digest to the application in [`PeerInfo`].

mod channel;
mod config;
mod details;
pub mod http;
mod identity;
mod incoming;
pub mod line;
pub mod net;
mod pins;
mod signer;
mod verifier;

pub use channel::{
    Channel, ChannelOptions, KEEPALIVE_INTERVAL, KEEPALIVE_TIMEOUT, MAX_CONCURRENT_STREAMS,
    MAX_FRAME, MAX_HEADER_LIST, WINDOW, channel, never_sent, reason_of, server,
};
pub use config::{ClientTls, ServerTls, TlsError, TlsStream};
pub use identity::{Identity, IdentityError, IdentitySlot};
pub use incoming::{
    AcceptLimits, Conn, Incoming, PeerInfo, RefusalObserver, ServerSecurity, StopListening,
    incoming,
};
pub use pins::Pins;
