//! One exchange, end to end: what crosses, what is logged, and what both sides can prove.

use entente_evidence::proof::{Form, SignedStatement};
use entente_tests::town::Town;
use entente_tests::world::Site;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_carries_only_the_elements_released_and_both_sides_logged_it() {
    let town = Town::start().await.unwrap();
    let response = town.ask().await.unwrap();
    assert_eq!(
        response.get_ref(),
        &[&[0x08, 1, 0x12, 10][..], b"2026-03-04"].concat()
    );
    assert!(response.metadata().contains_key("entente-transaction"));
    assert!(response.metadata().contains_key("entente-receipt"));
    assert_eq!(town.source.asked(), 1);
    town.stop().await;
}

/// Statements signed while others wait are proven by one signature over the root of their tree.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn statements_signed_together_are_each_accepted_logged_and_provable_alone() {
    let town = Town::start().await.unwrap();
    let asking = (0..CALLS).map(|_| town.ask());
    for answered in futures_util::future::join_all(asking).await {
        answered.unwrap();
    }
    assert_eq!(town.source.asked(), CALLS);
    let (world, _dir) = town.stop().await;
    // Requests and answers, as sent and as received: the same bytes.
    let statements = world.consumer.statements().unwrap();
    assert_eq!(statements.len(), 2 * CALLS);
    assert_eq!(statements, world.provider.statements().unwrap());
    let sessions = world.sessions(&world.consumer).unwrap();
    for signed in statements.values() {
        let keys = sessions.iter().map(|session| session.key());
        let mut signers = keys.filter(|key| key.key_id() == signed.key_id());
        signed.verify(signers.next().unwrap()).unwrap();
    }
    let together = |signed: &&SignedStatement| signed.form() == Form::Batch;
    let by = |site: &Site| {
        let theirs = statements.values().filter(together);
        theirs
            .filter(|signed| signed.statement().sender_server == site.server)
            .count()
    };
    assert!(by(&world.consumer) > 1 && by(&world.provider) > 1);
}

/// Calls at once.
const CALLS: usize = 128;
