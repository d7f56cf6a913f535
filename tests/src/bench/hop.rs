//! The project's raw proxy: what a security server would be if it only forwarded.
//!
//! Same TLS, same gRPC library, same codec; no statement, no seal, no ledger, no decision.

use std::convert::Infallible;

use axum::body::Body;
use bytes::Bytes;
use entente_proto::raw::RawCodec;
use entente_tls::Channel;
use entente_tls::ChannelOptions;
use http::Request;
use http::uri::PathAndQuery;
use tonic::{Extensions, Response, Status, client, server};
use tower::service_fn;

use super::MAX_MESSAGE;
use super::door::{Dial, Listen};
use super::keys::Holder;

/// Forwards every unary call, with its metadata, until the process ends.
///
/// # Errors
/// When it cannot listen, or its keys cannot be read.
pub async fn hop(at: &Listen, to: &Dial, identity: Option<&Holder>) -> anyhow::Result<()> {
    let next = to.channel(identity, &ChannelOptions::default())?;
    let forward = service_fn(move |request: Request<Body>| {
        let next = next.clone();
        async move {
            let path = request.uri().path_and_query().cloned();
            let path = path.unwrap_or_else(|| PathAndQuery::from_static("/"));
            let mut grpc = server::Grpc::new(RawCodec).max_decoding_message_size(MAX_MESSAGE);
            let through = service_fn(move |call| pass_on(next.clone(), path.clone(), call));
            Ok::<_, Infallible>(grpc.unary(through, request).await)
        }
    });
    at.serve(identity, forward).await
}

async fn pass_on(
    next: Channel,
    path: PathAndQuery,
    call: tonic::Request<Bytes>,
) -> Result<Response<Bytes>, Status> {
    let (metadata, _, message) = call.into_parts();
    let call = tonic::Request::from_parts(metadata, Extensions::new(), message);
    let mut grpc = client::Grpc::new(next).max_decoding_message_size(MAX_MESSAGE);
    grpc.ready()
        .await
        .map_err(|_| Status::unavailable("the next hop is not there"))?;
    grpc.unary(call, path, RawCodec).await
}
