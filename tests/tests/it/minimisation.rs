//! Minimisation (G6): whatever systems and servers say, only what was agreed crosses, either way.
//!
//! Contracts, agreements, requests, answers and errors are random; both servers are real. Every value
//! outside the permitted elements holds a text that is looked for in everything the other end sees.

mod case;
mod hostile;
mod margins;
mod stage;

use bytes::Bytes;
use entente_follow::RegistryError;
use entente_follow::author::AuthorError;
use entente_proto::status::Told;
use entente_reason::Reason;
use entente_testkit::contracts::{Entropy, STEM, compile_source, source_of};
use entente_tests::offer::offer;
use entente_tests::plain::Says;
use entente_tests::world::{METHOD, PURPOSE, World, answer, lookup};

use case::Case;
use margins::{check_reserved, decorate};
use stage::Stage;

/// Contracts drawn; each is published, agreed upon and asked several times.
const CONTRACTS: u64 = 48;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_outside_the_permitted_elements_crosses_in_either_direction() {
    let first = seed();
    println!("seeds {first} to {}", first + CONTRACTS - 1);
    let dir = tempfile::tempdir().unwrap();
    let world = World::build(dir.path()).await.unwrap();
    let mut cases: Vec<Case> = (first..first + CONTRACTS).map(Case::draw).collect();
    for case in &mut cases {
        case.register(&world).await;
    }
    let stage = Stage::start(&world).await;
    stage.agreed(cases.last().unwrap()).await;
    for case in &cases {
        for round in 0..3 {
            case.check_answer(&stage, &mut case.entropy(round)).await;
        }
        for round in 3..6 {
            case.check_question(&stage, &mut case.entropy(round)).await;
        }
        for round in 6..8 {
            case.check_error(&stage, &mut case.entropy(round)).await;
        }
    }
    hostile::check_forger(&stage, &world, &cases).await;
    stage.stop().await;
    hostile::check_impostor(&world, &cases).await;
    stage::check_files(dir.path());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_broken_system_says_stays_behind() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::build(dir.path()).await.unwrap();
    let stage = Stage::start(&world).await;
    let good = answer("2026-03-04", &format!("{STEM}cause>"));
    let secret = format!("{STEM}of the source>");
    let framed = |message: &[u8]| Bytes::from(entente_tests::plain::framed(message));
    let mut broken: Vec<(&str, Says)> = Vec::new();
    for (what, status) in [("a redirect", 302), ("not found", 404), ("a fault", 500)] {
        let mut says = Says::message(&good).header("location", &secret);
        says.status = status;
        broken.push((what, says));
    }
    let mut add = |what, change: &dyn Fn(&mut Says)| {
        let mut says = Says::message(&good);
        change(&mut says);
        broken.push((what, says));
    };
    add("a page", &|says| {
        says.headers.clear();
        *says = says.clone().header("content-type", "text/html");
        says.body = Bytes::from(secret.clone());
        says.trailers.clear();
    });
    add("no status", &|says| says.trailers.clear());
    add("a status that is none", &|says| {
        says.trailers.clear();
        *says = says.clone().trailer("grpc-status", &secret);
    });
    add("a status out of range", &|says| {
        says.trailers.clear();
        *says = says.clone().trailer("grpc-status", "99");
    });
    add("no message", &|says| says.body = Bytes::new());
    add("half a frame", &|says| says.body = says.body.slice(..9));
    add("a frame that claims to be compressed", &|says| {
        let mut body = says.body.to_vec();
        body[0] = 1;
        says.body = body.into();
    });
    add("a frame of 4 GiB", &|says| {
        says.body = [&[0, 0xff, 0xff, 0xff, 0xff][..], secret.as_bytes()]
            .concat()
            .into();
    });
    add("two messages", &|says| {
        says.body = [&says.body[..], &says.body[..]].concat().into();
    });
    add("text that is not UTF-8", &|says| {
        let text = [secret.as_bytes(), &[0xff]].concat();
        let field = [&[0x12, text.len() as u8][..], &text].concat();
        says.body = framed(&field);
    });
    add("a group", &|says| {
        let group = [&[0x13, 0x0a, secret.len() as u8][..], secret.as_bytes()].concat();
        says.body = framed(&group);
    });
    add("a connection that breaks", &|says| says.breaks = true);
    add("details that are not base64", &|says| {
        *says = Says::refusal(5, &secret, b"");
        *says = says.clone().trailer("grpc-status-details-bin", &secret);
    });
    for (what, says) in broken {
        stage.puppet.say(decorate(says, &mut Entropy::seeded(1, 0)));
        let seen = stage.ask(METHOD, &lookup("046454286"), &[]).await;
        check_reserved(&seen, 0);
        let status = seen.status().unwrap();
        match seen.message() {
            // What is an answer in spite of all is treated as one.
            Some(message) => assert_eq!(message, answer("2026-03-04", "")[..14], "{what}"),
            None => assert!(Told::from_status(&status).is_some(), "{what}"),
        }
    }
    stage.stop().await;
    stage::check_files(dir.path());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_date_of_the_source_passes_and_nothing_in_its_place() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::build(dir.path()).await.unwrap();
    let stage = Stage::start(&world).await;
    let good = answer("2026-03-04", "x");
    for (said, passed) in [
        ("2026-03-04", Some("2026-03-04")),
        ("2026-03-04T05:06:07Z", Some("2026-03-04T05:06:07.000Z")),
        ("046454286", None),
        ("2026-03-04 046454286", None),
        ("Marie Tremblay", None),
        ("", None),
    ] {
        let says = Says::message(&good).header("entente-source-date", said);
        stage.puppet.say(says);
        let seen = stage.ask(METHOD, &lookup("046454286"), &[]).await;
        assert_eq!(seen.reason(), "", "{said}");
        let date = seen.headers.get("entente-source-date");
        assert_eq!(date.map(|date| date.to_str().unwrap()), passed, "{said}");
    }
    stage.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn metadata_of_ours_that_nobody_knows_is_refused_also_when_binary() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::build(dir.path()).await.unwrap();
    let stage = Stage::start(&world).await;
    for name in [
        "entente-client",
        "entente-client-bin",
        "entente-transaction",
        "entente-user-bin",
    ] {
        let more = [(name, "PGNhbmFyeSAxPg")];
        let seen = stage.ask(METHOD, &lookup("046454286"), &more).await;
        assert_eq!(seen.reason(), "METADATA_INVALID", "{name}");
        assert_eq!(seen.told().unwrap().metadata["key"], name);
    }
    assert!(stage.puppet.heard().is_empty());
    stage.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_registry_publishes_no_contract_that_can_hold_anything() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::build(dir.path()).await.unwrap();
    let element = "[(entente.v1.privacy) = {element: \"e.a\"}]";
    for (number, field) in [
        "google.protobuf.Any f = 1;",
        "repeated google.protobuf.Any f = 1;",
        "google.protobuf.Struct f = 1;",
        "google.protobuf.Value f = 1;",
        "google.protobuf.ListValue f = 1;",
        "bytes f = 1;",
        "repeated bytes f = 1;",
        "map<string, bytes> f = 1;",
        "map<string, google.protobuf.Any> f = 1;",
        "oneof o { bytes f = 1; string g = 2; }",
        "message In { In again = 1; bytes f = 2; } In inner = 1;",
    ]
    .into_iter()
    .enumerate()
    {
        for (side, request, response) in
            [("request", "Holder", "Fine"), ("answer", "Fine", "Holder")]
        {
            let package = format!("test.open{number}.{side}.v1");
            let body = format!(
                "import \"google/protobuf/any.proto\"; import \"google/protobuf/struct.proto\";
                service S {{ rpc M({request}) returns ({response}); }}
                message Fine {{ string a = 1 {element}; }} message Holder {{ {field} }}"
            );
            let set = compile_source(&source_of(&package, &body));
            let service = format!("{package}.S").parse().unwrap();
            let error = offer(&world, &service, set.into()).await.unwrap_err();
            let Some(AuthorError::Registry(RegistryError::Refused { reason, .. })) =
                error.downcast_ref()
            else {
                panic!("{field}: {error:?}");
            };
            assert_eq!(*reason, Reason::ContractInvalid, "{field}");
        }
    }
    // Wholly one element, each of them may be published.
    let body = format!(
        "import \"google/protobuf/any.proto\"; import \"google/protobuf/struct.proto\";
        service S {{ rpc M(A) returns (A); }}
        message A {{ bytes f = 1 {element}; google.protobuf.Any g = 2 {element};
        google.protobuf.Struct h = 3 {element}; map<string, bytes> i = 4 {element}; }}"
    );
    let set = compile_source(&source_of("test.whole.v1", &body));
    let service = "test.whole.v1.S".parse().unwrap();
    offer(&world, &service, set.into()).await.unwrap();
}

/// The first seed: of this run, or the usual one.
fn seed() -> u64 {
    let given = std::env::var("ENTENTE_SEED").ok();
    given.map_or(1, |seed| seed.parse().expect("ENTENTE_SEED is a number"))
}

/// The metadata of every honest call.
fn usual() -> [(&'static str, &'static str); 2] {
    [
        ("entente-to", "ca-demo/vital-events/registry"),
        ("entente-purpose", PURPOSE),
    ]
}
