//! At most so many calls at once, and of them at most half from one address, counted before a byte of
//! their message is read: whoever holds calls open holds up nobody's revocation but its own.
//!
//! A message may be 8 MiB, so this is what bounds memory. Answers that are streams count only until
//! they begin; [`crate::feed`] bounds those.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use entente_reason::Lang;
use entente_tls::PeerInfo;
use entente_tls::net::Remote;
use http::{Request, Response};
use tonic::body::Body;
use tower::{Layer, Service};

use crate::refusal::Refused;

/// Wraps a service with a bound on its calls.
#[derive(Clone, Debug)]
pub(crate) struct Limit(Arc<Calls>);

/// A service of which so many calls may be under way.
#[derive(Clone, Debug)]
pub(crate) struct Limited<S> {
    inner: S,
    calls: Arc<Calls>,
}

#[derive(Debug)]
struct Calls {
    most: usize,
    under_way: Mutex<UnderWay>,
}

#[derive(Debug, Default)]
struct UnderWay {
    all: usize,
    each: HashMap<IpAddr, usize>,
}

/// A call counted, until it is dropped.
#[derive(Debug)]
struct Place {
    calls: Arc<Calls>,
    from: Option<IpAddr>,
}

// === impl Limit ===

impl Limit {
    pub(crate) fn new(most: usize) -> Self {
        let under_way = Mutex::default();
        Self(Arc::new(Calls { most, under_way }))
    }
}

// === impl Calls ===

impl Calls {
    fn enter(self: &Arc<Self>, from: Option<IpAddr>) -> Option<Place> {
        let mut under_way = self.under_way();
        if under_way.all >= self.most {
            return None;
        }
        if let Some(from) = from {
            let each = under_way.each.entry(from).or_insert(0);
            // Half, rounded up: never nothing.
            if *each >= self.most.div_ceil(2) {
                return None;
            }
            *each += 1;
        }
        under_way.all += 1;
        let calls = Arc::clone(self);
        Some(Place { calls, from })
    }

    fn under_way(&self) -> MutexGuard<'_, UnderWay> {
        self.under_way
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Place ===

impl Drop for Place {
    fn drop(&mut self) {
        let mut under_way = self.calls.under_way();
        under_way.all -= 1;
        let Some(from) = self.from else { return };
        if let Some(each) = under_way.each.get_mut(&from) {
            *each -= 1;
            if *each == 0 {
                under_way.each.remove(&from);
            }
        }
    }
}

impl<S> Layer<S> for Limit {
    type Service = Limited<S>;

    fn layer(&self, inner: S) -> Limited<S> {
        Limited {
            inner,
            calls: self.0.clone(),
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
        let Some(place) = self.calls.enter(address(&request)) else {
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

fn address<B>(request: &Request<B>) -> Option<IpAddr> {
    match request.extensions().get::<PeerInfo>()?.remote {
        Remote::Tcp(address) => Some(address.ip()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_address_cannot_take_every_place_for_calls() {
        let limit = Limit::new(5);
        let enter = |from: &str| limit.0.enter(Some(from.parse().unwrap()));
        let mut held: Vec<_> = (0..3).map(|_| enter("192.0.2.1").unwrap()).collect();
        assert!(enter("192.0.2.1").is_none());
        held.push(enter("192.0.2.2").unwrap());
        held.push(limit.0.enter(None).unwrap());
        assert!(enter("192.0.2.3").is_none());
        held.clear();
        assert!(limit.0.under_way().each.is_empty());
        assert!(enter("192.0.2.1").is_some());
        assert!(Limit::new(1).0.enter(Some([192, 0, 2, 1].into())).is_some());
        assert!(Limit::new(0).0.enter(None).is_none());
    }
}
