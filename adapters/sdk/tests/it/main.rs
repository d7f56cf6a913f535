//! An adapter served for real, and dialled by a fake security server.
#![allow(clippy::unwrap_used, reason = "a test may fail where it stands")]

use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use entente_adapter_sdk::fake::{FakeServer, context};
use entente_adapter_sdk::{
    Adapter, AdapterError, Answer, Context, Description, MAX_MESSAGE_BYTES, ServeError,
    ServeOptions, Standing, bind,
};
use entente_config::{ListenAddr, Secret};
use entente_contract::{Contract, Direction, ReleasePlan};
use entente_identity::MethodName;
use entente_proto::VITAL_EVENTS_DESCRIPTOR_SET;
use entente_proto::adapter::v1::DescribeAdapterRequest;
use entente_proto::adapter::v1::adapter_service_client::AdapterServiceClient;
use entente_proto::status::Told;
use entente_reason::Reason;
use tokio::sync::{Notify, oneshot};
use tokio::task::JoinHandle;
use tonic::{Code, Request, Status};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

const SERVICE: &str = "entente.demo.vitalevents.v1.VitalEvents";

/// Answers with the request, or as its first byte tells.
#[derive(Default)]
struct Echo {
    entered: Notify,
    release: Notify,
}

impl Adapter for Echo {
    fn describe(&self) -> Description {
        let service = SERVICE.parse().unwrap();
        let mut description =
            Description::serving("echo", service, ["LookupDeath", "ListDeaths", "Later"]);
        description.methods[1].standing = Standing::NotServing(Reason::SourceDown);
        description.methods[2].standing = Standing::Unbound;
        description
    }

    async fn call(
        &self,
        context: Context,
        method: &MethodName,
        request: Bytes,
    ) -> Result<Answer, AdapterError> {
        if method.method() == "ListDeaths" {
            return Err(AdapterError::new(Reason::SourceDown).caused_by("canary"));
        }
        match request.first() {
            Some(b'h') => std::future::pending().await,
            Some(b'w') => {
                self.entered.notify_one();
                self.release.notified().await;
                Ok(Answer::from(request))
            }
            Some(b'b') => Ok(Answer::from(Bytes::from(vec![0; MAX_MESSAGE_BYTES + 1]))),
            Some(b'f') => {
                let set = VITAL_EVENTS_DESCRIPTOR_SET;
                let contract = Contract::parse(set, &method.service()).unwrap();
                let direction = Direction::Response;
                let plan =
                    ReleasePlan::compile(&contract, method, direction, &context.elements).unwrap();
                // registered = true, date_of_death = "2", cause_of_death = "3"
                let whole = Bytes::from_static(b"\x08\x01\x12\x012\x22\x013");
                Ok(Answer::from(context.release(&plan, &whole)?))
            }
            _ => Ok(Answer {
                message: request,
                rows: Some(1),
            }),
        }
    }
}

struct Served {
    adapter: Arc<Echo>,
    address: ListenAddr,
    stop: oneshot::Sender<()>,
    done: JoinHandle<Result<(), ServeError>>,
}

fn start(address: &str, options: ServeOptions) -> Served {
    let bound = bind(&address.parse().unwrap()).unwrap();
    let address = bound.address();
    let (stop, stopped) = oneshot::channel();
    let adapter = Arc::new(Echo::default());
    let serving = Arc::clone(&adapter);
    let done = tokio::spawn(async move {
        let stopped = async move {
            let _ = stopped.await;
        };
        bound.serve(serving, options, stopped).await
    });
    Served {
        adapter,
        address,
        stop,
        done,
    }
}

fn method(name: &str) -> MethodName {
    format!("{SERVICE}/{name}").parse().unwrap()
}

fn told(status: &Status) -> String {
    Told::from_status(status).unwrap().reason
}

#[tokio::test]
async fn answers_any_method_of_its_service_over_a_socket_only_its_owner_can_open() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("echo.sock");
    let served = start(&format!("unix:{}", path.display()), ServeOptions::default());
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let left: Vec<_> = std::fs::read_dir(folder.path()).unwrap().collect();
    assert_eq!(left.len(), 1, "only the socket is left behind");

    let server = FakeServer::connect(&served.address, None).await.unwrap();
    let context = context([]);
    let lookup = method("LookupDeath");
    let answer = server
        .call(&context, &lookup, Bytes::from_static(b"x"))
        .await
        .unwrap();
    assert_eq!(answer.metadata().get("entente-rows").unwrap(), "1");
    assert_eq!(answer.into_inner(), Bytes::from_static(b"x"));

    for (name, reason) in [
        (method("ListDeaths"), "SOURCE_DOWN"),
        (method("Later"), "UNKNOWN_METHOD"),
        (method("Nothing"), "UNKNOWN_METHOD"),
        ("other.v1.Service/Get".parse().unwrap(), "UNKNOWN_SERVICE"),
    ] {
        let status = server
            .call(&context, &name, Bytes::new())
            .await
            .unwrap_err();
        assert_eq!(told(&status), reason, "{name}");
        assert!(!format!("{status:?}").contains("canary"));
    }

    served.stop.send(()).unwrap();
    served.done.await.unwrap().unwrap();
    assert!(!path.exists(), "the socket is removed at the end");
}

#[tokio::test]
async fn releases_only_what_the_agreement_permits() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("echo.sock");
    let served = start(&format!("unix:{}", path.display()), ServeOptions::default());
    let server = FakeServer::connect(&served.address, None).await.unwrap();
    let context = context(["death.date".parse().unwrap()]);
    let answer = server
        .call(&context, &method("LookupDeath"), Bytes::from_static(b"f"))
        .await
        .unwrap();
    assert_eq!(answer.into_inner(), Bytes::from_static(b"\x12\x012"));
}

#[tokio::test]
async fn refuses_a_call_without_a_verified_context() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("echo.sock");
    let served = start(&format!("unix:{}", path.display()), ServeOptions::default());
    let server = FakeServer::connect(&served.address, None).await.unwrap();
    let status = server
        .call_raw(&method("LookupDeath"), Request::new(Bytes::new()), None)
        .await
        .unwrap_err();
    assert_eq!(told(&status), "METADATA_INVALID");
}

#[tokio::test]
async fn loopback_is_served_only_with_a_token_and_only_to_who_holds_it() {
    let bound = bind(&"127.0.0.1:0".parse().unwrap()).unwrap();
    let refused = bound
        .serve(
            Arc::new(Echo::default()),
            ServeOptions::default(),
            std::future::pending(),
        )
        .await;
    assert!(matches!(refused, Err(ServeError::TokenMissing)));
    let refused = bind(&"0.0.0.0:0".parse().unwrap());
    assert!(matches!(refused, Err(ServeError::NotLocal { .. })));

    let options = ServeOptions {
        token: Some(Secret::new("right")),
        ..ServeOptions::default()
    };
    let served = start("127.0.0.1:0", options);
    for (token, admitted) in [(None, false), (Some("wrong"), false), (Some("right"), true)] {
        let server = FakeServer::connect(&served.address, token.map(Secret::new))
            .await
            .unwrap();
        let answer = server
            .call(&context([]), &method("LookupDeath"), Bytes::new())
            .await;
        assert_eq!(answer.is_ok(), admitted, "{token:?}");
        if let Err(status) = answer {
            assert_eq!(told(&status), "CALLER_UNKNOWN");
        }
    }
}

#[tokio::test]
async fn an_answer_or_a_request_above_16_mib_is_refused_and_a_slow_one_is_cut_off() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("echo.sock");
    let served = start(&format!("unix:{}", path.display()), ServeOptions::default());
    let server = FakeServer::connect(&served.address, None).await.unwrap();
    let lookup = method("LookupDeath");
    let mut context = context([]);
    let status = server
        .call(&context, &lookup, Bytes::from_static(b"b"))
        .await
        .unwrap_err();
    assert_eq!(told(&status), "TOO_MANY_BYTES");
    let large = Bytes::from(vec![b'x'; MAX_MESSAGE_BYTES + 1]);
    let status = server.call(&context, &lookup, large).await.unwrap_err();
    assert_eq!(status.code(), Code::OutOfRange);
    context.timeout = Some(Duration::from_millis(100));
    let status = server
        .call(&context, &lookup, Bytes::from_static(b"h"))
        .await
        .unwrap_err();
    assert_eq!(told(&status), "SOURCE_SLOW");
}

#[tokio::test]
async fn health_and_description_tell_each_method_by_itself() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("echo.sock");
    let served = start(&format!("unix:{}", path.display()), ServeOptions::default());
    let server = FakeServer::connect(&served.address, None).await.unwrap();
    let mut health = HealthClient::new(server.channel());
    for (service, status) in [
        (SERVICE.to_owned(), 1),
        (method("LookupDeath").to_string(), 1),
        (method("ListDeaths").to_string(), 2),
        (method("Later").to_string(), 2),
    ] {
        let request = HealthCheckRequest {
            service: service.clone(),
        };
        let told = health.check(request).await.unwrap().into_inner().status;
        assert_eq!(told, status, "{service}");
    }
    let mut client = AdapterServiceClient::new(server.channel());
    let description = client
        .describe_adapter(DescribeAdapterRequest {})
        .await
        .unwrap()
        .into_inner();
    let methods: Vec<_> = description
        .methods
        .iter()
        .map(|method| {
            (
                method.method.as_str(),
                method.status,
                method.reason.as_str(),
            )
        })
        .collect();
    assert_eq!(
        methods,
        [
            ("LookupDeath", 1, ""),
            ("ListDeaths", 2, "SOURCE_DOWN"),
            ("Later", 3, "")
        ]
    );
}

#[tokio::test]
async fn finishes_the_call_in_flight_before_it_stops() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("echo.sock");
    let served = start(&format!("unix:{}", path.display()), ServeOptions::default());
    let server = FakeServer::connect(&served.address, None).await.unwrap();
    let calling = {
        let server = server.clone();
        tokio::spawn(async move {
            server
                .call(
                    &context([]),
                    &method("LookupDeath"),
                    Bytes::from_static(b"w"),
                )
                .await
        })
    };
    served.adapter.entered.notified().await;
    served.stop.send(()).unwrap();
    served.adapter.release.notify_one();
    assert!(calling.await.unwrap().is_ok());
    served.done.await.unwrap().unwrap();
}

#[tokio::test]
async fn takes_the_place_of_a_dead_process_but_not_of_a_living_one_or_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("echo.sock");
    let address: ListenAddr = format!("unix:{}", path.display()).parse().unwrap();
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    let bound = bind(&address).unwrap();
    assert!(bind(&address).is_err());
    drop(bound);
    std::fs::write(&path, "a file").unwrap();
    assert!(bind(&address).is_err());
    assert_eq!(std::fs::read(&path).unwrap(), b"a file");
}
