//! The benchmark's own parts, small: what it measures is an exchange that works.

use bytes::Bytes;
use entente_security_server::Deps;
use entente_tests::bench::{Federation, Load};
use entente_tests::world::Source;

/// `message { bytes payload = 1; }` with the four bytes the load sends first.
const PAYLOAD: &[u8] = &[0x0a, 4, 0, 31, 62, 93];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_benchmarks_federation_answers_its_load() {
    let dir = tempfile::tempdir().unwrap();
    let federation = Federation::build(dir.path()).await.unwrap();
    let world = federation.world();
    let source = Source::answering(Bytes::from_static(PAYLOAD));
    source.serve(&world.provider.source_socket()).await.unwrap();
    let provider = world.start(&world.provider, Deps::real()).await.unwrap();
    let consumer = world.start(&world.consumer, Deps::real()).await.unwrap();

    let said = federation.json();
    let to = format!("unix:{}", said["caller"].as_str().unwrap());
    let mut words = vec!["--to", &to, "--payload", "4"];
    words.extend(["--in-flight", "4", "--connections", "2"]);
    words.extend(["--warm-up-ms", "0", "--measure-ms", "300"]);
    for pair in said["metadata"].as_array().unwrap() {
        words.extend(["--metadata", pair.as_str().unwrap()]);
    }
    let load = Load::from_words(&words).unwrap();
    let summary = load.run().await.unwrap().json();
    assert_eq!(summary["errors"], 0, "{}", summary["first_error"]);
    assert!(summary["calls"].as_u64().unwrap() > 0);
    assert!(source.asked() > 0);

    consumer.shutdown().await;
    provider.shutdown().await;
}
