//! What a running server says of itself: whether it is ready, why not, and its gauges.

use std::sync::Arc;

use entente_reason::Reason;
use entente_telemetry::{Condition, Health};

use super::TICK;
use crate::server::Server;

/// Looks each second, and when the ledger can be written again or no more.
pub(super) async fn watch_health(server: Arc<Server>, health: Health) {
    let mut writable = server.journal.ledger().writable();
    let mut tick = tokio::time::interval(TICK);
    loop {
        tokio::select! {
            _ = tick.tick() => {}
            changed = writable.changed() => {
                if changed.is_err() {
                    return;
                }
            }
        }
        look(&server, &health);
    }
}

/// Says which conditions hold, and how things are in metrics.
pub(super) fn look(server: &Server, health: &Health) {
    let ledger = server.journal.ledger();
    if *ledger.writable().borrow() {
        health.pass(Condition::Log);
    } else {
        health.fail(
            Condition::Log,
            "the ledger cannot be written; calls are refused",
        );
    }
    if server.adopted().is_ok() {
        health.pass(Condition::Registry);
    } else {
        health.fail(
            Condition::Registry,
            "the registry has not been heard for too long",
        );
    }
    let policy = server.views.current();
    let policy = policy.as_ref().and_then(|adopted| adopted.policy());
    match policy.map(|policy| server.witnessing.check(policy, server.clock.now())) {
        Some(Err(Reason::LogForked)) => health.fail(
            Condition::Witnesses,
            "a witness has seen another ledger of this server; calls are refused",
        ),
        Some(Err(_)) => health.fail(
            Condition::Witnesses,
            "no quorum of witnesses cosigns the ledger; calls are refused",
        ),
        Some(Ok(())) | None => health.pass(Condition::Witnesses),
    }
    if server.journal.clock_is_on() {
        health.pass(Condition::Clock);
    } else {
        health.fail(
            Condition::Clock,
            "the clock is behind the newest entry; calls are refused",
        );
    }
    if server.sessions.is_usable() {
        health.pass(Condition::Keys);
    } else {
        health.fail(
            Condition::Keys,
            "no session key could be certified; see to the server's key or its token",
        );
    }
    let is_demanded = policy.is_some_and(|policy| policy.stamped_within().is_some());
    if server.stamping.is_some() || is_demanded {
        if server.time_is_proven(policy).is_ok() {
            health.pass(Condition::Time);
        } else {
            health.fail(
                Condition::Time,
                "no time stamp for too long; calls are refused",
            );
        }
        let age = server.journal.unproven().age(server.clock.now());
        server.metrics.time_stamp_age(age);
    }
    let cosigned_age = server.witnessing.watch(policy, server.clock.now());
    server.metrics.log_cosigned_age(cosigned_age);
    server.metrics.log_size(ledger.size());
    server.metrics.registry_age(server.views.directory().age());
    server.metrics.recognised_ages(server.views.ages_abroad());
}

/// Passes on whether it is ready, to whoever asks by gRPC.
pub(super) async fn report(health: Health, reporter: tonic_health::server::HealthReporter) {
    let mut ready = health.watch_ready();
    loop {
        let status = if *ready.borrow_and_update() {
            tonic_health::ServingStatus::Serving
        } else {
            tonic_health::ServingStatus::NotServing
        };
        reporter.set_service_status("", status).await;
        if ready.changed().await.is_err() {
            return;
        }
    }
}
