//! A provider's system that does nothing: it answers with what it was asked.

use std::convert::Infallible;

use axum::body::Body;
use bytes::Bytes;
use entente_proto::raw::RawCodec;
use http::Request;
use tonic::server::Grpc;
use tonic::{Response, Status};
use tower::service_fn;

use super::MAX_MESSAGE;
use super::door::Listen;
use super::keys::Holder;

/// Serves the echo until the process ends.
///
/// # Errors
/// When it cannot listen.
pub async fn echo(at: &Listen, identity: Option<&Holder>) -> anyhow::Result<()> {
    let answer = service_fn(|request: Request<Body>| async move {
        let mut grpc = Grpc::new(RawCodec).max_decoding_message_size(MAX_MESSAGE);
        let same = service_fn(|request: tonic::Request<Bytes>| async move {
            Ok::<_, Status>(Response::new(request.into_inner()))
        });
        Ok::<_, Infallible>(grpc.unary(same, request).await)
    });
    at.serve(identity, answer).await
}
