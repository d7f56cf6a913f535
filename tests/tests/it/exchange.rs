//! One exchange, end to end: what crosses, what is logged, and what both sides can prove.

use entente_security_server::Deps;
use entente_tests::world::{Consumer, Source, World, answer, lookup};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_carries_only_the_elements_released_and_both_sides_logged_it() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::build(dir.path()).await.unwrap();
    let source = Source::answering(answer("2026-03-04", "canary-cause"));
    source.serve(&world.provider.source_socket()).await.unwrap();
    let provider = world.start(&world.provider, Deps::real()).await.unwrap();
    let consumer = world.start(&world.consumer, Deps::real()).await.unwrap();
    let system = Consumer::at(&world.consumer.caller_socket());
    let response = system.ask(lookup("046454286"), &[]).await.unwrap();
    assert_eq!(
        response.get_ref(),
        &[&[0x08, 1, 0x12, 10][..], b"2026-03-04"].concat()
    );
    assert!(response.metadata().contains_key("entente-transaction"));
    assert!(response.metadata().contains_key("entente-receipt"));
    assert_eq!(source.asked(), 1);
    consumer.shutdown().await;
    provider.shutdown().await;
}
