//! Integrates and publishes, when it is time and when asked.

use std::sync::Arc;

use tokio::sync::oneshot;

use super::signals::Signals;
use crate::checkpoint::SignedCheckpoint;
use crate::log::{Integrator, LogError};

/// The integrating half, with whom it tells.
#[derive(Debug)]
pub(super) struct Publisher {
    integrator: Integrator,
    signals: Signals,
    /// Whether the last attempt to publish failed; then each tick tries again.
    is_overdue: bool,
}

/// What the integrating half is asked to do.
#[derive(Debug)]
pub(super) enum Command {
    /// Integrate everything, publish, and stop.
    Close(oneshot::Sender<Result<(), LogError>>),
    /// Integrate now: much is waiting.
    Integrate,
    /// Publish a checkpoint over everything durable now.
    Publish(oneshot::Sender<Result<Arc<SignedCheckpoint>, LogError>>),
    /// Publish a checkpoint when the ledger grew.
    PublishWhenGrown,
}

// === impl Publisher ===

impl Publisher {
    pub(super) const fn new(integrator: Integrator, signals: Signals) -> Self {
        Self {
            integrator,
            signals,
            is_overdue: false,
        }
    }

    /// Carries out a command; `None` when it was the last.
    pub(super) fn execute(mut self, command: Command) -> Option<Self> {
        match command {
            Command::Close(reply) => {
                let published = self.publish();
                self.integrator.close();
                // The lock on the folder goes with the halves; only then may another open it.
                drop(self);
                let _ = reply.send(published.map(|_| ()));
                return None;
            }
            Command::Integrate => {
                let integrated = if self.is_overdue {
                    self.publish().map(|_| ())
                } else {
                    self.integrator.integrate()
                };
                self.note(integrated.as_ref().err());
                // Without a spare the next segment grows as it is written; that is no failure.
                let _ = self.integrator.prepare_spare();
            }
            Command::Publish(reply) => {
                let published = self.publish();
                self.note(published.as_ref().err());
                let _ = reply.send(published);
            }
            Command::PublishWhenGrown => {
                if self.integrator.has_grown() {
                    let published = self.publish();
                    self.note(published.as_ref().err());
                }
            }
        }
        Some(self)
    }

    fn publish(&mut self) -> Result<Arc<SignedCheckpoint>, LogError> {
        let published = self.publish_newest();
        self.is_overdue = published.is_err();
        published
    }

    fn publish_newest(&mut self) -> Result<Arc<SignedCheckpoint>, LogError> {
        if let Some(checkpoint) = self.integrator.prepare_checkpoint()? {
            // Here the witnesses are asked, outside of any lock; the quorum is zero for now.
            self.integrator.publish(checkpoint)?;
            self.signals.checkpoint(self.integrator.checkpoint());
        }
        self.integrator.checkpoint().ok_or(LogError::Unpublished)
    }

    fn note(&self, failed: Option<&LogError>) {
        if let Some(error) = failed {
            let error: &dyn std::error::Error = error;
            tracing::warn!(error, "integrating the ledger failed");
        }
        self.signals.integrates(failed.is_none());
    }
}
