//! A provider's system that can be held at work.

use std::convert::Infallible;
use std::future::Future;
use std::path::Path;
use std::pin::Pin;

use anyhow::Context as _;
use bytes::Bytes;
use entente_proto::raw::RawCodec;
use entente_tls::ServerSecurity;
use entente_tls::net::{Endpoint, Net as _, TokioNet};
use tokio::sync::watch;
use tonic::server::UnaryService;
use tonic::{Request, Response, Status};

/// Answers every call alike, as soon as it is open; counts the calls. Clones share it.
#[derive(Clone, Debug)]
pub struct Gate {
    asked: watch::Sender<usize>,
    open: watch::Sender<bool>,
    answer: Bytes,
}

// === impl Gate ===

impl Gate {
    /// An open one.
    pub fn answering(answer: Bytes) -> Self {
        Self {
            asked: watch::Sender::new(0),
            open: watch::Sender::new(true),
            answer,
        }
    }

    /// How often it was asked.
    pub fn asked(&self) -> usize {
        *self.asked.borrow()
    }

    /// Lets no answer out any more.
    pub fn close(&self) {
        self.open.send_replace(false);
    }

    /// Lets answers out again, those held too.
    pub fn open(&self) {
        self.open.send_replace(true);
    }

    /// Waits until it was asked `times` in all.
    ///
    /// # Errors
    /// When that takes more than 20 s.
    pub async fn arrival(&self, times: usize) -> anyhow::Result<()> {
        let mut asked = self.asked.subscribe();
        let arrived = asked.wait_for(|asked| *asked >= times);
        let waited = tokio::time::timeout(std::time::Duration::from_secs(20), arrived).await;
        waited.context("the provider's system was not asked")??;
        Ok(())
    }

    /// Listens at `socket` for as long as the runtime lives.
    ///
    /// # Errors
    /// When it cannot listen.
    pub async fn serve(&self, socket: &Path) -> anyhow::Result<()> {
        let listener = TokioNet.listen(&Endpoint::Unix(socket.to_owned())).await?;
        let plain = ServerSecurity::Plain { system: None };
        let incoming = entente_tls::incoming(listener, plain, Default::default());
        let gate = self.clone();
        let app = axum::Router::new().fallback(move |request: axum::extract::Request| {
            let gate = gate.clone();
            async move {
                let mut grpc = tonic::server::Grpc::new(RawCodec);
                let request = request.map(tonic::body::Body::new);
                Ok::<_, Infallible>(grpc.unary(gate, request).await)
            }
        });
        let routes = tonic::service::Routes::from(app);
        tokio::spawn(async move {
            let served = entente_tls::server().serve_with_incoming(routes, incoming);
            served.await.expect("the system's socket is served")
        });
        Ok(())
    }
}

impl UnaryService<Bytes> for Gate {
    type Response = Bytes;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Bytes>, Status>> + Send>>;

    fn call(&mut self, _: Request<Bytes>) -> Self::Future {
        self.asked.send_modify(|asked| *asked += 1);
        let (mut open, answer) = (self.open.subscribe(), self.answer.clone());
        Box::pin(async move {
            let opened = open.wait_for(|open| *open).await;
            opened.map_err(|_| Status::unavailable("the test is over"))?;
            Ok(Response::new(answer))
        })
    }
}
