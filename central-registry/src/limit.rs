//! At most so many calls at once, counted before a byte of their message is read.
//!
//! A message may be 8 MiB, so this is what bounds memory. Answers that are streams count only until
//! they begin; [`crate::feed`] bounds those.

use std::sync::Arc;
use std::task::{Context, Poll};

use entente_reason::Lang;
use http::{Request, Response};
use tokio::sync::Semaphore;
use tonic::body::Body;
use tower::{Layer, Service};

use crate::refusal::Refused;

/// Wraps a service with a bound on its calls.
#[derive(Clone, Debug)]
pub(crate) struct Limit(Arc<Semaphore>);

/// A service of which so many calls may be under way.
#[derive(Clone, Debug)]
pub(crate) struct Limited<S> {
    inner: S,
    free: Arc<Semaphore>,
}

// === impl Limit ===

impl Limit {
    pub(crate) fn new(calls: usize) -> Self {
        Self(Arc::new(Semaphore::new(calls)))
    }
}

impl<S> Layer<S> for Limit {
    type Service = Limited<S>;

    fn layer(&self, inner: S) -> Limited<S> {
        Limited {
            inner,
            free: self.0.clone(),
        }
    }
}

// === impl Limited ===

impl<S, B> Service<Request<B>> for Limited<S>
where
    S: Service<Request<B>, Response = Response<Body>>,
    S::Future: Send + 'static,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = std::pin::Pin<Box<dyn Future<Output = Result<Response<Body>, S::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let Ok(place) = self.free.clone().try_acquire_owned() else {
            let refused = Refused::Overloaded.into_status(Lang::En).into_http();
            return Box::pin(async move { Ok(refused) });
        };
        let answer = self.inner.call(request);
        Box::pin(async move {
            let answer = answer.await;
            drop(place);
            answer
        })
    }
}
