//! The sample adapter served on its socket, and dialled by a fake security server.

use std::sync::Arc;

use entente_adapter_sdk::fake::{FakeServer, context};
use entente_adapter_sdk::{ServeOptions, bind};
use entente_adapter_sql::{SqlAdapter, samples};
use entente_contract::Direction;
use entente_identity::MethodName;
use entente_proto::adapter::v1::DescribeAdapterRequest;
use entente_proto::adapter::v1::adapter_service_client::AdapterServiceClient;
use entente_proto::status::Told;
use serde_json::json;
use tokio::sync::oneshot;

use crate::support::Fixture;

#[tokio::test]
async fn the_sample_answers_over_its_socket_and_tells_how_each_method_stands() {
    let fixture = Fixture::new();
    let path = samples::vital_events(fixture.folder.path()).unwrap();
    // The owner breaks one method; the other goes on.
    let file = std::fs::read_to_string(&path).unwrap();
    let broken = file.replace("ORDER BY d.DEATH_DT, d.REG_NO", "ORDER BY d.NO_SUCH_COLUMN");
    assert_ne!(broken, file);
    std::fs::write(&path, broken).unwrap();
    let adapter = Arc::new(SqlAdapter::open(&path, &fixture.options()).await.unwrap());
    let contract = adapter.contract().clone();

    let socket = fixture.path("vital-events.sock");
    let bound = bind(&format!("unix:{}", socket.display()).parse().unwrap()).unwrap();
    let address = bound.address();
    let (stop, stopped) = oneshot::channel::<()>();
    let serving = tokio::spawn(async move {
        let stopped = async move {
            let _ = stopped.await;
        };
        bound.serve(adapter, ServeOptions::default(), stopped).await
    });
    let server = FakeServer::connect(&address, None).await.unwrap();
    let method =
        |name: &str| -> MethodName { format!("{}/{name}", contract.service()).parse().unwrap() };

    let lookup = method("LookupDeath");
    let request = json!({ "personNumber": "046-454-286" }).to_string();
    let request = contract
        .decode_json(&lookup, Direction::Request, &request)
        .unwrap();
    let released = ["death.registered", "informant.name"].map(|name| name.parse().unwrap());
    let answer = server
        .call(&context(released), &lookup, request)
        .await
        .unwrap();
    assert_eq!(answer.metadata().get("entente-rows").unwrap(), "1");
    let answer = contract
        .encode_json(&lookup, Direction::Response, answer.get_ref())
        .unwrap();
    assert_eq!(
        answer,
        json!({"registered": true, "informant": {"name": "Ines Vantara"}})
    );

    let list = method("ListDeaths");
    let refused = server
        .call(&context([]), &list, Default::default())
        .await
        .unwrap_err();
    assert_eq!(Told::from_status(&refused).unwrap().reason, "BAD_FIELD");

    let described = AdapterServiceClient::new(server.channel())
        .describe_adapter(DescribeAdapterRequest {})
        .await
        .unwrap()
        .into_inner();
    assert_eq!(described.name, "vital-events");
    assert_eq!(described.contract.len(), 32);
    let methods: Vec<_> = described
        .methods
        .iter()
        .map(|m| {
            (
                m.method.as_str(),
                m.status,
                m.reason.as_str(),
                m.source.as_str(),
            )
        })
        .collect();
    assert_eq!(
        methods,
        [
            ("ListDeaths", 2, "SOURCE_REFUSED", "register"),
            ("LookupDeath", 1, "", "register"),
        ]
    );
    stop.send(()).unwrap();
    serving.await.unwrap().unwrap();
    assert!(!socket.exists());
}
