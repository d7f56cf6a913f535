//! A fake security server, for tests of adapters: it dials an adapter and vouches for whatever
//! context it is given. It signs, logs and verifies nothing.

use std::time::Duration;

use bytes::Bytes;
use entente_config::{ListenAddr, Secret};
use entente_identity::{ElementName, MethodName};
use entente_proto::raw::RawCodec;
use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;
use tonic::client::Grpc;
use tonic::metadata::AsciiMetadataValue;
use tonic::transport::{Channel, Endpoint, Error};
use tonic::{Request, Response, Status};
use tower::service_fn;

use crate::context::{Context, Mode};
use crate::service::MAX_MESSAGE_BYTES;

/// Dials one adapter.
#[derive(Clone, Debug)]
pub struct FakeServer {
    channel: Channel,
    token: Option<Secret>,
}

// === impl FakeServer ===

impl FakeServer {
    /// Connects to an adapter.
    ///
    /// # Errors
    /// When nothing listens there.
    pub async fn connect(address: &ListenAddr, token: Option<Secret>) -> Result<Self, Error> {
        let channel = match address.clone() {
            ListenAddr::Tcp(address) => {
                Endpoint::from_shared(format!("http://{address}"))?
                    .tcp_nodelay(true)
                    .connect()
                    .await?
            }
            ListenAddr::Unix(path) => {
                let dial = service_fn(move |_| {
                    let path = path.clone();
                    async move { UnixStream::connect(path).await.map(TokioIo::new) }
                });
                Endpoint::from_static("http://adapter")
                    .connect_with_connector(dial)
                    .await?
            }
        };
        Ok(Self { channel, token })
    }

    /// The connection, for other services of the adapter such as gRPC health.
    pub fn channel(&self) -> Channel {
        self.channel.clone()
    }

    /// Makes one call in a context.
    ///
    /// # Errors
    /// What the adapter refused with.
    pub async fn call(
        &self,
        context: &Context,
        method: &MethodName,
        request: Bytes,
    ) -> Result<Response<Bytes>, Status> {
        let mut request = Request::new(request);
        let unfit = |_| Status::invalid_argument("the context cannot stand in headers");
        context.write_to(request.metadata_mut()).map_err(unfit)?;
        self.call_raw(method, request, context.timeout).await
    }

    /// Makes one call with whatever headers the request has.
    ///
    /// # Errors
    /// What the adapter refused with.
    pub async fn call_raw(
        &self,
        method: &MethodName,
        mut request: Request<Bytes>,
        timeout: Option<Duration>,
    ) -> Result<Response<Bytes>, Status> {
        if let Some(token) = &self.token {
            let unfit = |_| Status::invalid_argument("the token cannot stand in a header");
            let value = AsciiMetadataValue::try_from(token.expose()).map_err(unfit)?;
            request.metadata_mut().insert("entente-token", value);
        }
        if let Some(timeout) = timeout {
            request.set_timeout(timeout);
        }
        let mut grpc = Grpc::new(self.channel.clone()).max_decoding_message_size(MAX_MESSAGE_BYTES);
        let unready = |error: Error| Status::unavailable(error.to_string());
        grpc.ready().await.map_err(unready)?;
        let path = http::uri::PathAndQuery::try_from(method.path())
            .map_err(|_| Status::invalid_argument("not a path"))?;
        grpc.unary(request, path, RawCodec).await
    }
}

/// A live context of the fictional `ca-demo/pensions/benefits` that releases `elements`.
pub fn context(elements: impl IntoIterator<Item = ElementName>) -> Context {
    Context {
        transaction: "00000000000000000000000000000001".to_owned(),
        client: "ca-demo/pensions/benefits"
            .parse()
            .expect("a constant system name is valid"),
        purpose: "PROGRAM_ADMINISTRATION"
            .parse()
            .expect("a constant purpose is valid"),
        agreement: "DEMO-001@1".to_owned(),
        elements: elements.into_iter().collect(),
        user: None,
        case: None,
        mode: Mode::Live,
        timeout: None,
    }
}
