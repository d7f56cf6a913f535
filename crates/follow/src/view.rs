//! What a server works from: a verified state of the directory, and the tree it was verified under.

use std::sync::Arc;

use bytes::Bytes;
use entente_clock::Timestamp;
use entente_directory::{Blobs, Change, Refusal, RegistryEntry, State, apply};
use entente_ledger::SignedCheckpoint;
use entente_ledger::proof::InclusionProof;
use entente_signing::Digest;

use crate::alarm::AlarmKind;
use crate::anchor::Anchor;
use crate::demand;
use crate::tree::Tree;

/// One verified view of a registry. Never changes; a newer one takes its place.
#[derive(Clone, Debug)]
pub struct View {
    /// The directory. Denials seen ahead of the ledger are in effect in it already.
    pub state: State,
    /// The origin of the registry's ledger.
    pub origin: String,
    /// How many entries the state rests on.
    pub size: u64,
    /// The root of the tree over them.
    pub root: Digest,
    /// The checkpoint that says so; none before the first.
    pub checkpoint: Option<Arc<SignedCheckpoint>>,
    /// When it was verified, by this machine's clock.
    pub verified_at: Timestamp,
    tree: Tree,
}

/// Why entries and a checkpoint do not continue a view.
#[derive(Debug)]
pub(crate) enum NotAdvanced {
    /// The registry is at fault.
    Alarm(AlarmKind),
    /// A blob is not held here; not the registry's fault until it cannot give it.
    BlobMissing,
    /// The checkpoint covers entries that were not sent.
    Incomplete,
}

// === impl View ===

impl View {
    /// Before the first change.
    pub(crate) fn empty(anchor: &Anchor) -> Self {
        let tree = Tree::default();
        Self {
            state: State::empty(),
            origin: anchor.origin().to_owned(),
            size: 0,
            root: tree.root(),
            checkpoint: None,
            verified_at: Timestamp::default(),
            tree,
        }
    }

    /// The root this registry's tree had at an earlier size: what a peer's view of that size must
    /// show. None when this view does not reach so far.
    pub fn root_at(&self, size: u64) -> Option<Digest> {
        self.tree.root_at(size)
    }

    /// Proves a change under the view's checkpoint.
    pub fn inclusion(&self, index: u64) -> Option<InclusionProof> {
        self.tree.inclusion(index, self.checkpoint.as_ref()?.size())
    }

    /// The view after `entries`, which follow this one's, under a checkpoint signed by the ledger's
    /// key. Nothing is believed unless all of it holds.
    pub(crate) fn advance(
        &self,
        entries: &[Bytes],
        checkpoint: Arc<SignedCheckpoint>,
        anchor: &Anchor,
        blobs: &dyn Blobs,
        now: Timestamp,
    ) -> Result<Self, NotAdvanced> {
        if checkpoint.size() != self.size + entries.len() as u64 {
            return Err(NotAdvanced::Incomplete);
        }
        let mut tree = self.tree.clone();
        for entry in entries {
            tree.push(entry);
        }
        if tree.root() != checkpoint.root() {
            return Err(NotAdvanced::Alarm(AlarmKind::Fork));
        }
        let mut state = self.state.clone();
        for (index, bytes) in (self.size..).zip(entries) {
            let refused = |_| NotAdvanced::Alarm(AlarmKind::RefusedChange);
            let entry = RegistryEntry::parse(bytes).map_err(refused)?;
            if index == 0 && entry.change.hash() != anchor.genesis {
                return Err(NotAdvanced::Alarm(AlarmKind::OtherGenesis));
            }
            if let Change::Policy(policy) = entry.change.change()
                && let Some(field) = demand::falls_below(anchor, state.policy(), policy)
            {
                tracing::error!(event = "registry.policy_weakened", index, ?field);
                return Err(NotAdvanced::Alarm(AlarmKind::WeakenedPolicy));
            }
            state =
                apply(&state, &entry.change, entry.at, blobs).map_err(|refusal| match refusal {
                    Refusal::BlobMissing(_) => NotAdvanced::BlobMissing,
                    refusal => {
                        tracing::error!(
                            event = "registry.change_refused",
                            index,
                            reason = refusal.reason().code(),
                        );
                        NotAdvanced::Alarm(AlarmKind::RefusedChange)
                    }
                })?;
            let fits = state.registry().is_some_and(|registry| {
                registry.origin == anchor.origin()
                    && registry.ledger == *anchor.ledger.key()
                    && registry.jurisdiction == anchor.jurisdiction
            });
            if index == 0 && !fits {
                return Err(NotAdvanced::Alarm(AlarmKind::OtherGenesis));
            }
        }
        Ok(Self {
            state,
            origin: self.origin.clone(),
            size: checkpoint.size(),
            root: checkpoint.root(),
            checkpoint: Some(checkpoint),
            verified_at: now,
            tree,
        })
    }

    /// What a checkpoint signed by the ledger's key proves about the registry when it is over no more
    /// than this view: nothing, or a fault.
    pub(crate) fn contradicts(&self, checkpoint: &SignedCheckpoint) -> Option<AlarmKind> {
        match self.root_at(checkpoint.size()) {
            Some(root) if root != checkpoint.root() => Some(AlarmKind::Fork),
            Some(_) if checkpoint.size() < self.size => Some(AlarmKind::Rollback),
            _ => None,
        }
    }

    /// The same view with another state over it.
    pub(crate) fn with_state(&self, state: State) -> Self {
        Self {
            state,
            ..self.clone()
        }
    }
}
