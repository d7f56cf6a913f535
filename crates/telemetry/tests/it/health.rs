//! Liveness, start and readiness.

use entente_telemetry::{Condition, Health};

#[test]
fn is_ready_only_when_started_and_every_condition_holds() {
    let health = Health::new(&[Condition::Keys, Condition::Log]);
    assert!(health.live().ok);
    assert!(!health.startup().ok);
    health.started();
    assert!(health.startup().ok);
    assert!(!health.is_ready());
    health.pass(Condition::Keys);
    assert!(!health.is_ready());
    health.pass(Condition::Log);
    assert!(health.is_ready());

    health.fail(Condition::Log, "disk is full");
    let report = health.ready();
    assert!(!report.ok);
    assert_eq!(
        report.text,
        "[+] keys ok\n[-] log failed: disk is full\nnot ready\n"
    );
    // Serves again by itself.
    health.pass(Condition::Log);
    assert!(health.is_ready());

    health.drain();
    assert!(!health.is_ready());
    assert!(health.live().ok);
    assert!(health.ready().text.contains("draining"));
}

#[test]
fn a_dead_process_is_neither_live_nor_ready() {
    let health = Health::new(&[]);
    health.started();
    assert!(health.is_ready());
    health.died("the ledger's writer ended");
    assert!(!health.is_ready());
    assert_eq!(health.live().text, "the ledger's writer ended\n");
}

#[tokio::test]
async fn tells_of_each_change_of_readiness() {
    let health = Health::new(&[Condition::Clock]);
    let mut ready = health.watch_ready();
    assert!(!*ready.borrow_and_update());
    health.started();
    assert!(!ready.has_changed().unwrap());
    health.pass(Condition::Clock);
    ready.changed().await.unwrap();
    assert!(*ready.borrow_and_update());
    health.drain();
    ready.changed().await.unwrap();
    assert!(!*ready.borrow());
}
