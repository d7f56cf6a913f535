//! What runs beside the calls for as long as the registry does.

use std::sync::Arc;
use std::time::Duration;

use entente_ledger::Ledger;
use entente_proto::registry::v1::registry_service_server::RegistryServiceServer;
use entente_telemetry::{Condition, Health, Metrics};
use tokio::sync::{Notify, watch};

use crate::cosigning::Cosigning;
use crate::office::Office;
use crate::service::Service;

/// Publishes a checkpoint whenever the ledger grew, at once: followers wait for it.
pub(crate) async fn publish(ledger: Ledger, grown: Arc<Notify>, stopped: watch::Receiver<bool>) {
    let mut stopped = std::pin::pin!(until(stopped));
    // What was appended just before a crash has no checkpoint yet, and nothing may follow for long.
    grown.notify_one();
    loop {
        tokio::select! {
            () = grown.notified() => {}
            () = &mut stopped => return,
        }
        if let Err(error) = ledger.publish_now().await {
            // The ledger's own timer tries again.
            tracing::warn!(event = "checkpoint.not_published", %error);
        }
    }
}

pub(crate) async fn watch_ledger(
    ledger: Ledger,
    office: Arc<Office>,
    health: Health,
    metrics: Metrics,
    stopped: watch::Receiver<bool>,
) {
    let mut writable = ledger.writable();
    let mut sizes = ledger.sizes();
    let mut stopped = std::pin::pin!(until(stopped));
    loop {
        let can_sign = office.can_sign();
        match (*writable.borrow_and_update(), can_sign) {
            (true, true) => health.pass(Condition::Log),
            (false, _) => health.fail(Condition::Log, "the ledger cannot be written"),
            (true, false) => {
                health.fail(Condition::Log, "the key that signs checkpoints is not here");
            }
        }
        metrics.log_size(*sizes.borrow_and_update());
        let changed = tokio::select! {
            changed = writable.changed() => changed,
            changed = sizes.changed() => changed,
            () = tokio::time::sleep(WATCH), if !can_sign => Ok(()),
            () = &mut stopped => return,
        };
        if changed.is_err() {
            return;
        }
    }
}

/// Says how long ago a quorum cosigned, once a second.
pub(crate) async fn watch_witnesses(
    cosigning: Arc<Cosigning>,
    metrics: Metrics,
    stopped: watch::Receiver<bool>,
) {
    let mut stopped = std::pin::pin!(until(stopped));
    let mut tick = tokio::time::interval(WATCH);
    loop {
        metrics.log_cosigned_age(cosigning.watch());
        tokio::select! {
            _ = tick.tick() => {}
            () = &mut stopped => return,
        }
    }
}

pub(crate) async fn report_health(
    reporter: tonic_health::server::HealthReporter,
    health: Health,
    stopped: watch::Receiver<bool>,
) {
    let mut ready = health.watch_ready();
    let mut stopped = std::pin::pin!(until(stopped));
    loop {
        let serving = *ready.borrow_and_update();
        if serving {
            reporter
                .set_serving::<RegistryServiceServer<Service>>()
                .await;
        } else {
            reporter
                .set_not_serving::<RegistryServiceServer<Service>>()
                .await;
        }
        tokio::select! {
            changed = ready.changed() => if changed.is_err() { return },
            () = &mut stopped => return,
        }
    }
}

pub(crate) async fn until(mut stopped: watch::Receiver<bool>) {
    // An error means that nobody can stop us any more, which is as good.
    let _ = stopped.wait_for(|stop| *stop).await;
}

const WATCH: Duration = Duration::from_secs(1);
