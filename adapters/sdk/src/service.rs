//! The gRPC service that takes every method of every service and hands its bytes to the adapter.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};
use std::time::Duration;

use bytes::Bytes;
use entente_config::Secret;
use entente_identity::{MethodName, ServiceName};
use entente_proto::raw::RawCodec;
use entente_reason::Reason;
use subtle::ConstantTimeEq;
use tonic::body::Body;
use tonic::server::{Grpc, UnaryService};
use tonic::{Request, Response, Status};
use tower::Service;

use crate::adapter::{Adapter, Standing};
use crate::context::Context;
use crate::refusal::AdapterError;

/// Answers any path with one adapter.
pub(crate) struct Dispatch<A> {
    shared: Arc<Shared<A>>,
}

struct Shared<A> {
    adapter: Arc<A>,
    token: Option<Secret>,
    service: ServiceName,
    /// The methods the adapter binds; how each stands changes, this does not.
    bound: BTreeSet<String>,
}

/// One call of one method.
struct Call<A> {
    shared: Arc<Shared<A>>,
    method: MethodName,
}

type Answering<T> = Pin<Box<dyn Future<Output = T> + Send>>;

// === impl Dispatch ===

impl<A: Adapter> Dispatch<A> {
    pub(crate) fn new(adapter: Arc<A>, token: Option<Secret>) -> Self {
        let description = adapter.describe();
        let bound = description
            .methods
            .into_iter()
            .filter(|state| state.standing != Standing::Unbound)
            .map(|state| state.method)
            .collect();
        Self {
            shared: Arc::new(Shared {
                adapter,
                token,
                service: description.service,
                bound,
            }),
        }
    }
}

impl<A> Clone for Dispatch<A> {
    fn clone(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
        }
    }
}

impl<A, B> Service<http::Request<B>> for Dispatch<A>
where
    A: Adapter,
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Answering<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut TaskContext<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<B>) -> Self::Future {
        let shared = Arc::clone(&self.shared);
        Box::pin(async move {
            let Ok(method) = MethodName::from_path(request.uri().path()) else {
                let status = AdapterError::new(Reason::UnknownMethod).into_status();
                return Ok(status.into_http());
            };
            let mut grpc = Grpc::new(RawCodec)
                .max_decoding_message_size(MAX_MESSAGE_BYTES)
                .max_encoding_message_size(MAX_MESSAGE_BYTES);
            let call = Call { shared, method };
            Ok(grpc.unary(call, request.map(Body::new)).await)
        })
    }
}

// === impl Call ===

impl<A: Adapter> UnaryService<Bytes> for Call<A> {
    type Response = Bytes;
    type Future = Answering<Result<Response<Bytes>, Status>>;

    fn call(&mut self, request: Request<Bytes>) -> Self::Future {
        let shared = Arc::clone(&self.shared);
        let method = self.method.clone();
        Box::pin(async move {
            match shared.answer(&method, request).await {
                Ok(response) => Ok(response),
                Err(error) => {
                    tracing::info!(
                        %method,
                        reason = error.code(),
                        cause = error.cause_text(),
                        "refused a call"
                    );
                    Err(error.into_status())
                }
            }
        })
    }
}

// === impl Shared ===

impl<A: Adapter> Shared<A> {
    async fn answer(
        &self,
        method: &MethodName,
        request: Request<Bytes>,
    ) -> Result<Response<Bytes>, AdapterError> {
        self.admit(&request)?;
        self.find(method)?;
        let context = Context::from_metadata(request.metadata())?;
        let left = context.timeout.unwrap_or(DEFAULT_TIMEOUT);
        // Answer a little before the caller stops listening, so that it learns the reason.
        let left = left.saturating_sub(MARGIN).max(left / 2);
        let answering = self.adapter.call(context, method, request.into_inner());
        let answer = tokio::time::timeout(left, answering)
            .await
            .map_err(|_| AdapterError::new(Reason::SourceSlow))??;
        if answer.message.len() > MAX_MESSAGE_BYTES {
            return Err(AdapterError::too_many_bytes(MAX_MESSAGE_BYTES as u64));
        }
        let mut response = Response::new(answer.message);
        if let Some(rows) = answer.rows {
            response.metadata_mut().insert("entente-rows", rows.into());
        }
        Ok(response)
    }

    /// Refuses whoever does not hold the token, when there is one.
    fn admit(&self, request: &Request<Bytes>) -> Result<(), AdapterError> {
        let Some(token) = &self.token else {
            return Ok(());
        };
        let shown = request.metadata().get(TOKEN_HEADER);
        let shown = shown.map_or(&[][..], |value| value.as_encoded_bytes());
        if token.expose().ct_eq(shown).into() {
            Ok(())
        } else {
            Err(AdapterError::new(Reason::CallerUnknown))
        }
    }

    fn find(&self, method: &MethodName) -> Result<(), AdapterError> {
        if method.service() != self.service {
            return Err(AdapterError::new(Reason::UnknownService));
        }
        // A method whose source is down is asked all the same: only the adapter can tell.
        if self.bound.contains(method.method()) {
            Ok(())
        } else {
            Err(AdapterError::new(Reason::UnknownMethod))
        }
    }
}

/// The largest request or answer: 16 MiB (DESIGN.md §16).
pub const MAX_MESSAGE_BYTES: usize = 16 << 20;

/// The most metadata of one request: 16 KiB (DESIGN.md §16).
pub const MAX_METADATA_BYTES: u32 = 16 << 10;

/// Where a server shows its token.
const TOKEN_HEADER: &str = "entente-token";
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);
const MARGIN: Duration = Duration::from_millis(20);
