//! The two ends of a TLS connection.

use std::fmt;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use entente_reason::Reason;
use entente_signing::Digest;
use rustls::client::Resumption;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::ServerName;
use rustls::server::NoServerSessionStorage;
use rustls::{ClientConfig, ServerConfig};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use crate::identity::IdentitySlot;
use crate::net::{Endpoint, Stream};
use crate::pins::Pins;
use crate::verifier::{PinVerifier, leaf_key};

/// The accepting end. Cheap to clone.
#[derive(Clone)]
pub struct ServerTls(TlsAcceptor);

/// The connecting end: connects only to a holder of one of its pinned keys. Cheap to clone.
#[derive(Clone)]
pub struct ClientTls(TlsConnector);

/// An established connection: mutual TLS 1.3, both keys proven, ALPN `h2`.
pub struct TlsStream {
    io: tokio_rustls::TlsStream<Stream>,
    peer: Digest,
}

/// Why a connection was not established. None of it names a person; keys appear as digests.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// The other side did not choose HTTP/2.
    #[error("peer did not negotiate h2")]
    Alpn,
    /// The TLS configuration is impossible.
    #[error("configuring TLS")]
    Config(#[source] rustls::Error),
    /// The address the connection comes from has its share of connections.
    #[error("too many connections from one address")]
    Crowded,
    /// The handshake failed: bad certificate, no certificate, wrong version, connection lost.
    #[error("TLS handshake")]
    Handshake(#[source] io::Error),
    /// The handshake took too long.
    #[error("TLS handshake timed out")]
    Timeout,
    /// The peer's certificate is malformed, its key of a kind we refuse, not one we expect, or not
    /// proven.
    #[error("peer's certificate is not acceptable")]
    Untrusted(#[source] io::Error),
}

// === impl ServerTls ===

impl ServerTls {
    /// Admits any client that proves a key; the application then looks the key up
    /// ([`TlsStream::peer_spki`]). For the peer port.
    ///
    /// # Errors
    /// When the provider does not offer what TLS 1.3 needs.
    pub fn any_key(identity: impl Into<IdentitySlot>) -> Result<Self, TlsError> {
        Self::new(identity.into(), None)
    }

    /// Admits only clients that prove one of `pins`. For local systems.
    ///
    /// # Errors
    /// As [`Self::any_key`].
    pub fn pinned(identity: impl Into<IdentitySlot>, pins: Pins) -> Result<Self, TlsError> {
        Self::new(identity.into(), Some(pins))
    }

    fn new(identity: IdentitySlot, pins: Option<Pins>) -> Result<Self, TlsError> {
        let provider = provider();
        let verifier = PinVerifier::new(provider.clone(), pins);
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .map_err(TlsError::Config)?
            .with_client_cert_verifier(Arc::new(verifier))
            .with_cert_resolver(Arc::new(identity));
        config.alpn_protocols = vec![ALPN.to_vec()];
        // A resumed session would skip the verifier, and with it a pin that was taken back.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        config.max_early_data_size = 0;
        Ok(Self(Arc::new(config).into()))
    }

    /// Performs the server's side of a handshake. Not bounded in time: the caller is.
    ///
    /// # Errors
    /// When the client proves no key, or none that is admitted, or does not speak TLS 1.3 and h2.
    pub async fn accept(&self, stream: Stream) -> Result<TlsStream, TlsError> {
        let io = self.0.accept(stream).await.map_err(TlsError::handshake)?;
        TlsStream::checked(io.into())
    }
}

impl fmt::Debug for ServerTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ServerTls")
    }
}

// === impl ClientTls ===

impl ClientTls {
    /// Connects as `identity` to holders of `pins`.
    ///
    /// # Errors
    /// When the provider does not offer what TLS 1.3 needs.
    pub fn new(identity: impl Into<IdentitySlot>, pins: Pins) -> Result<Self, TlsError> {
        let provider = provider();
        let verifier = PinVerifier::new(provider.clone(), Some(pins));
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .map_err(TlsError::Config)?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_client_cert_resolver(Arc::new(identity.into()));
        config.alpn_protocols = vec![ALPN.to_vec()];
        config.resumption = Resumption::disabled();
        Ok(Self(Arc::new(config).into()))
    }

    /// Performs the client's side of a handshake. A host name in `to` is sent as SNI, for
    /// perimeters that route by it; nothing is verified against it. Not bounded in time.
    ///
    /// # Errors
    /// When the server does not prove one of the pinned keys, or does not speak TLS 1.3 and h2.
    pub async fn connect(&self, stream: Stream, to: &Endpoint) -> Result<TlsStream, TlsError> {
        let name = to
            .host()
            .and_then(|host| ServerName::try_from(host.to_owned()).ok())
            .unwrap_or_else(|| ServerName::IpAddress(NOWHERE.into()));
        let io = self
            .0
            .connect(name, stream)
            .await
            .map_err(TlsError::handshake)?;
        TlsStream::checked(io.into())
    }
}

impl fmt::Debug for ClientTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClientTls")
    }
}

// === impl TlsStream ===

impl TlsStream {
    fn checked(io: tokio_rustls::TlsStream<Stream>) -> Result<Self, TlsError> {
        let (_, session) = io.get_ref();
        if session.alpn_protocol() != Some(ALPN) {
            return Err(TlsError::Alpn);
        }
        let peer = session
            .peer_certificates()
            .and_then(|chain| chain.first())
            .ok_or(rustls::Error::NoCertificatesPresented)
            .and_then(leaf_key)
            .map_err(|error| TlsError::handshake(io::Error::other(error)))?
            .spki_digest();
        Ok(Self { io, peer })
    }

    /// SHA-256 of the SubjectPublicKeyInfo the other side proved.
    pub const fn peer_spki(&self) -> Digest {
        self.peer
    }

    /// The negotiated key exchange group, for instance `X25519MLKEM768`.
    pub fn key_exchange(&self) -> Option<String> {
        let (_, session) = self.io.get_ref();
        session
            .negotiated_key_exchange_group()
            .map(|group| format!("{:?}", group.name()))
    }
}

impl fmt::Debug for TlsStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TlsStream({})", self.peer)
    }
}

impl AsyncRead for TlsStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, buffer)
    }
}

impl AsyncWrite for TlsStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(cx, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }
}

// === impl TlsError ===

impl TlsError {
    /// The refusal this amounts to.
    pub const fn reason(&self) -> Reason {
        match self {
            Self::Alpn | Self::Untrusted(_) => Reason::PeerUntrusted,
            Self::Config(_) => Reason::InternalFault,
            Self::Crowded => Reason::Overloaded,
            Self::Handshake(_) | Self::Timeout => Reason::PeerUnreachable,
        }
    }

    fn handshake(error: io::Error) -> Self {
        let cause = error
            .get_ref()
            .and_then(|inner| inner.downcast_ref::<rustls::Error>());
        match cause {
            Some(rustls::Error::InvalidCertificate(_)) => Self::Untrusted(error),
            _ => Self::Handshake(error),
        }
    }
}

impl From<TlsError> for io::Error {
    fn from(error: TlsError) -> Self {
        let kind = match &error {
            TlsError::Alpn | TlsError::Untrusted(_) => io::ErrorKind::PermissionDenied,
            TlsError::Config(_) => io::ErrorKind::InvalidInput,
            TlsError::Crowded => io::ErrorKind::QuotaExceeded,
            TlsError::Handshake(source) => source.kind(),
            TlsError::Timeout => io::ErrorKind::TimedOut,
        };
        Self::new(kind, error)
    }
}

/// aws-lc-rs, with the hybrid group first. X25519 and P-256 stay for perimeters and tools that
/// know nothing newer; TLS protects the choice itself from downgrade.
fn provider() -> Arc<CryptoProvider> {
    Arc::new(CryptoProvider {
        kx_groups: vec![
            aws_lc_rs::kx_group::X25519MLKEM768,
            aws_lc_rs::kx_group::X25519,
            aws_lc_rs::kx_group::SECP256R1,
        ],
        ..aws_lc_rs::default_provider()
    })
}

/// HTTP/2, RFC 9113.
const ALPN: &[u8] = b"h2";

/// Stands for "no name": an address is never sent as SNI.
const NOWHERE: std::net::Ipv4Addr = std::net::Ipv4Addr::UNSPECIFIED;
