//! How a process listens and dials: mutual TLS or plain, TCP or Unix socket.

use std::convert::Infallible;
use std::io::Write as _;
use std::sync::Arc;

use anyhow::{Context as _, ensure};
use axum::body::Body;
use clap::Args;
use entente_tls::Channel;
use entente_tls::net::{Endpoint, Net as _, TokioNet};
use entente_tls::{
    AcceptLimits, ChannelOptions, ClientTls, ServerSecurity, ServerTls, channel, incoming, server,
};
use http::{Request, Response};
use tonic::service::Routes;
use tower::Service;

use super::keys::Holder;

/// Where to listen, and for whom.
#[derive(Clone, Debug, Args)]
pub struct Listen {
    /// `127.0.0.1:0` or `unix:/path`.
    #[arg(long)]
    listen: Endpoint,
    /// Accept only the holder of this key, by mutual TLS. Without it the bytes are in clear.
    #[arg(long, requires = "identity")]
    admit: Option<Holder>,
}

/// Where to connect, and to whom.
#[derive(Clone, Debug, Args)]
pub struct Dial {
    /// `127.0.0.1:PORT` or `unix:/path`.
    #[arg(long)]
    to: Endpoint,
    /// Connect only to the holder of this key, by mutual TLS. Without it the bytes are in clear.
    #[arg(long, requires = "identity")]
    expect: Option<Holder>,
}

// === impl Listen ===

impl Listen {
    /// Serves every path with `service` until the process ends, after one line on stdout that says
    /// where: `listening 127.0.0.1:41234`.
    ///
    /// # Errors
    /// When the address is taken or the keys cannot be read.
    pub async fn serve<S>(&self, identity: Option<&Holder>, service: S) -> anyhow::Result<()>
    where
        S: Service<Request<Body>, Response = Response<tonic::body::Body>, Error = Infallible>,
        S: Clone + Send + Sync + 'static,
        S::Future: Send + 'static,
    {
        let security = match (&self.admit, identity) {
            (Some(admit), Some(identity)) => {
                ServerSecurity::Tls(ServerTls::pinned(identity.identity()?, admit.pins()?)?)
            }
            _ => {
                ensure!(self.listen.is_local(), "in clear only on this machine");
                ServerSecurity::Plain { system: None }
            }
        };
        let listener = TokioNet
            .listen(&self.listen)
            .await
            .with_context(|| format!("listening at {}", self.listen))?;
        announce(listener.endpoint())?;
        let routes = axum::Router::new().fallback_service(service);
        server()
            .add_routes(Routes::from(routes))
            .serve_with_incoming(incoming(listener, security, AcceptLimits::default()))
            .await
            .context("serving")
    }
}

// === impl Dial ===

impl Dial {
    /// A channel that connects at its first call.
    ///
    /// # Errors
    /// When the keys cannot be read.
    pub fn channel(
        &self,
        identity: Option<&Holder>,
        options: &ChannelOptions,
    ) -> anyhow::Result<Channel> {
        let tls = match (&self.expect, identity) {
            (Some(expect), Some(identity)) => {
                Some(ClientTls::new(identity.identity()?, expect.pins()?)?)
            }
            _ => {
                ensure!(self.to.is_local(), "in clear only on this machine");
                None
            }
        };
        Ok(channel(Arc::new(TokioNet), self.to.clone(), tls, options))
    }
}

fn announce(endpoint: &Endpoint) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "listening {endpoint}")?;
    out.flush().context("saying where we listen")
}
