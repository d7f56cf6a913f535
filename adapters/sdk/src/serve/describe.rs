//! `entente.adapter.v1.AdapterService`: how each method stands, for operators and the server.

use std::sync::Arc;

use entente_proto::adapter::v1::adapter_service_server::{AdapterService, AdapterServiceServer};
use entente_proto::adapter::v1::{
    DescribeAdapterRequest, DescribeAdapterResponse, Method, MethodStatus,
};
use tonic::{Request, Response, Status};

use crate::adapter::{Adapter, Standing};

pub(super) struct Describe<A>(Arc<A>);

pub(super) fn service<A: Adapter>(adapter: Arc<A>) -> AdapterServiceServer<Describe<A>> {
    AdapterServiceServer::new(Describe(adapter))
}

#[tonic::async_trait]
impl<A: Adapter> AdapterService for Describe<A> {
    async fn describe_adapter(
        &self,
        _: Request<DescribeAdapterRequest>,
    ) -> Result<Response<DescribeAdapterResponse>, Status> {
        let description = self.0.describe();
        let methods = description
            .methods
            .into_iter()
            .map(|state| {
                let (status, reason) = match state.standing {
                    Standing::Serving => (MethodStatus::Serving, ""),
                    Standing::NotServing(reason) => (MethodStatus::NotServing, reason.code()),
                    Standing::Unbound => (MethodStatus::Unbound, ""),
                };
                Method {
                    method: state.method,
                    status: status.into(),
                    source: state.source,
                    writes: state.writes,
                    reason: reason.to_owned(),
                    in_flight: state.in_flight,
                    deadline_ms: u32::try_from(state.deadline.as_millis()).unwrap_or(u32::MAX),
                }
            })
            .collect();
        Ok(Response::new(DescribeAdapterResponse {
            name: description.name,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            service: description.service.as_str().to_owned(),
            contract: description
                .contract
                .map(|hash| hash.to_vec())
                .unwrap_or_default()
                .into(),
            methods,
        }))
    }
}
