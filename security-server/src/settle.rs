//! Paying what the ledger is owed: at once where possible, else when it can be written again.

use std::sync::Arc;
use std::time::Duration;

use entente_evidence::statement::Failure;
use entente_ledger::entry::{Body, Outcome};
use entente_reason::Reason;
use tokio_util::sync::CancellationToken;

use crate::owed::Debt;
use crate::server::Server;

/// How often summaries are looked at, and debts when the ledger did not take them.
const TICK: Duration = Duration::from_secs(1);

// === impl Server ===

impl Server {
    /// Writes the debts there are, oldest first, until the ledger refuses one. Only one task calls
    /// it, so each is paid once.
    pub(crate) async fn pay(&self) {
        while let Some(debt) = self.owed.oldest() {
            let paid = match &debt {
                Debt::Outcome { request, kind } => {
                    let outcome = Outcome {
                        request: *request,
                        kind: *kind,
                    };
                    self.journal
                        .append(Body::Outcome(outcome))
                        .await
                        .map(|_| ())
                }
                Debt::Fault { request, receipt } => match self.views.current() {
                    Some(adopted) => {
                        let failure = Failure::Failed(Reason::OutcomeUnknown.into());
                        self.fault(request, &adopted, receipt.clone(), failure)
                            .await
                            .map(|_| ())
                    }
                    None => Err(Reason::RegistryUnreachable),
                },
            };
            if paid.is_err() {
                return;
            }
            self.owed.paid();
        }
    }

    /// Writes summaries as they fall due and debts as they can be paid. Runs until `settled`, and
    /// ends between two debts.
    pub(crate) async fn settle(self: Arc<Self>, settled: CancellationToken) {
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = tick.tick() => {}
                () = self.owed.arrival() => {}
                () = settled.cancelled() => return,
            }
            self.pay().await;
            self.write_summaries(false).await;
        }
    }

    /// Writes the refusals that were only counted; all of them when the server stops.
    pub(crate) async fn write_summaries(&self, all: bool) {
        for summary in self.noise.due(self.clock.now(), all) {
            let entry = Body::Summary(summary.clone());
            if self.journal.append(entry).await.is_err() {
                self.noise.put_back(&summary);
            }
        }
    }
}
