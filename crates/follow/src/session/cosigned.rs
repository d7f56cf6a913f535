//! Checkpoints by their cosignatures: those that make a view fresher, and those that lack some.

use std::sync::Arc;

use entente_directory::Policy;
use entente_ledger::SignedCheckpoint;

use super::{Broken, KEPT_EVERY, Session};
use crate::demand;

impl Session {
    /// Takes a checkpoint over what the view rests on already for what it says of its age.
    pub(super) fn reaffirm(
        &mut self,
        checkpoint: &Arc<SignedCheckpoint>,
        policy: Option<&Policy>,
    ) -> Result<(), Broken> {
        let demanded = demand::of(&self.shared.anchor, policy);
        if !demanded.is_demanding() {
            return Ok(());
        }
        let Some(judged) = demanded.judge(checkpoint, self.shared.now()) else {
            return self.hold(checkpoint);
        };
        if let Some(at) = judged.at() {
            // Kept with its cosignatures: after a restart the view is as old as they are.
            self.replica
                .reaffirm(&checkpoint.note().to_string(), at, KEPT_EVERY)?;
            self.shared.fresh_since(at);
        }
        Ok(())
    }

    /// Leaves a checkpoint aside that lacks cosignatures: what it covers stays pending, and of that what
    /// denies stays in effect. No fault of the registry's, until the view goes stale over it.
    pub(super) fn hold(&self, checkpoint: &SignedCheckpoint) -> Result<(), Broken> {
        self.shared.count_held();
        tracing::debug!(event = "registry.checkpoint_held", size = checkpoint.size());
        self.show_unproven();
        if self.ahead.is_resumed && self.mirror.is_none() {
            // The stream began beyond the view, and so perhaps beyond the one that would do.
            return Err(Broken::Unproven("it may not have shown who cosigns"));
        }
        Ok(())
    }
}
