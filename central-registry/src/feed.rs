//! One follower's stream: entries as they become durable, checkpoints as they are signed, heartbeats.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use entente_clock::Clock;
use entente_ledger::{Ledger, SignedCheckpoint};
use entente_proto::registry::v1::follow_response::Step;
use entente_proto::registry::v1::{Entries, FollowResponse, Heartbeat};
use entente_reason::Lang;
use tokio::sync::{OwnedSemaphorePermit, mpsc, watch};
use tokio::time::{MissedTickBehavior, interval, timeout};
use tonic::Status;

use crate::cosigning::{Cosigning, NotVouched};
use crate::passages::Passages;
use crate::refusal::Refused;
use crate::tasks::until;

/// What feeds one follower.
#[derive(Debug)]
pub(crate) struct Feed {
    pub(crate) ledger: Ledger,
    pub(crate) passages: Arc<Passages>,
    pub(crate) cosigning: Arc<Cosigning>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) to: mpsc::Sender<Result<FollowResponse, Status>>,
    pub(crate) stop: watch::Receiver<bool>,
    pub(crate) lang: Lang,
    /// Frees the follower's place when it is gone.
    pub(crate) _place: OwnedSemaphorePermit,
}

/// The follower is gone, or too slow.
#[derive(Debug)]
struct Gone;

// === impl Feed ===

impl Feed {
    /// Feeds from entry `from` on, until the follower is gone or the registry stops.
    pub(crate) async fn run(self, from: u64) {
        let mut stopped = std::pin::pin!(until(self.stop.clone()));
        let mut sizes = self.ledger.sizes();
        let mut checkpoints = self.ledger.checkpoint();
        let mut finality = self.ledger.finality();
        let mut heartbeat = interval(HEARTBEAT);
        heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // A follower that says it has more than there is gets the checkpoint, which proves one of
        // the two wrong, and nothing else.
        let mut sent = from;
        let mut reached = from;
        let mut shown: Option<Arc<SignedCheckpoint>> = None;
        loop {
            let size = *sizes.borrow_and_update();
            // Other witnesses' checkpoints are believed only once the passage to them is.
            let passage = self.passages.after(reached);
            let upto = passage.as_ref().map_or(size, |held| held.size().min(size));
            while sent < upto {
                match self.send_entries(sent, upto).await {
                    Ok(0) => break,
                    Ok(count) => sent += count,
                    Err(Gone) => return,
                }
            }
            // The newest that a quorum cosigned, before one that may lack it; never back.
            let cosigned = finality.borrow_and_update().clone();
            let newest = checkpoints.borrow_and_update().clone();
            let ahead = |held: &Arc<SignedCheckpoint>| held.size() >= reached;
            let cosigned = passage.clone().or(cosigned).filter(ahead);
            for checkpoint in cosigned.into_iter().chain(newest) {
                if checkpoint.size() > sent || shown.as_ref() == Some(&checkpoint) {
                    continue;
                }
                let note = Bytes::from(checkpoint.note().to_string());
                if self.send(Step::Checkpoint(note)).await.is_err() {
                    return;
                }
                reached = reached.max(checkpoint.size());
                shown = Some(checkpoint);
            }
            if passage.is_some_and(|held| held.size() <= sent) {
                continue;
            }
            let grown = tokio::select! {
                changed = sizes.changed() => changed,
                changed = checkpoints.changed() => changed,
                changed = finality.changed() => changed,
                _ = heartbeat.tick() => {
                    if self.send_heartbeat().await.is_err() {
                        return;
                    }
                    Ok(())
                }
                () = self.to.closed() => return,
                () = &mut stopped => {
                    let status = Refused::ShuttingDown.into_status(self.lang);
                    let _ = self.to.try_send(Err(status));
                    return;
                }
            };
            if grown.is_err() {
                return;
            }
        }
    }

    /// Sends what fits one step, below `upto`; says how many that were.
    async fn send_entries(&self, first_index: u64, upto: u64) -> Result<u64, Gone> {
        let limit = usize::try_from(upto - first_index).unwrap_or(MAX_STEP);
        let limit = limit.min(MAX_STEP);
        let entry = match self.ledger.entries(first_index, limit).await {
            Ok(entries) => entries,
            Err(error) => {
                tracing::error!(event = "feed.unreadable", index = first_index, %error);
                let status = Refused::Internal.into_status(self.lang);
                let _ = self.to.try_send(Err(status));
                return Err(Gone);
            }
        };
        let count = entry.len() as u64;
        if count > 0 {
            self.send(Step::Entries(Entries { first_index, entry }))
                .await?;
        }
        Ok(count)
    }

    async fn send_heartbeat(&self) -> Result<(), Gone> {
        if let Err(why @ NotVouched::Dissent) = self.cosigning.check() {
            // Witnesses go with another tree: whoever serves that one is the registry.
            let status = Refused::from(why).into_status(self.lang);
            let _ = self.to.try_send(Err(status));
            return Err(Gone);
        }
        self.send(Step::Heartbeat(Heartbeat {
            sent_at_ms: self.clock.now().as_millis(),
            size: self.ledger.size(),
        }))
        .await
    }

    async fn send(&self, step: Step) -> Result<(), Gone> {
        let step = FollowResponse { step: Some(step) };
        match timeout(PATIENCE, self.to.send(Ok(step))).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(Gone),
            Err(_) => {
                tracing::info!(event = "feed.slow");
                Err(Gone)
            }
        }
    }
}

/// Steps waiting for the connection.
pub(crate) const QUEUE: usize = 4;
/// Between heartbeats; followers think the connection lost after three.
const HEARTBEAT: Duration = Duration::from_secs(1);
/// How long a follower may leave a step or a blob lying: one that begins with nothing, at the end of a slow
/// line, fetches some thousand blobs between steps.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
/// Entries in one step; the ledger bounds their bytes to about 1 MiB.
const MAX_STEP: usize = 256;
