//! What a server works from: a verified state of the directory, and the tree it was verified under.

use std::sync::Arc;

use bytes::Bytes;
use entente_agreement::{Agreement, AgreementId};
use entente_clock::Timestamp;
use entente_contract::Contract;
use entente_directory::{Blobs as _, Change, Keep, Refusal, RegistryEntry, State, apply};
use entente_identity::ServiceName;
use entente_ledger::SignedCheckpoint;
use entente_ledger::proof::InclusionProof;
use entente_signing::Digest;

use crate::alarm::AlarmKind;
use crate::anchor::Anchor;
use crate::blob::BlobStore;
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
    /// What it rests on besides the state: contracts and agreements, on disk.
    blobs: Arc<BlobStore>,
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
    pub(crate) fn empty(anchor: &Anchor, keep: Keep, blobs: Arc<BlobStore>) -> Self {
        let tree = Tree::default();
        Self {
            state: State::keeping(keep),
            origin: anchor.origin().to_owned(),
            size: 0,
            root: tree.root(),
            checkpoint: None,
            verified_at: Timestamp::default(),
            tree,
            blobs,
        }
    }

    /// The whole of an agreement in the directory: as the state keeps it, or read from this follower's own
    /// disk. None when it was never proposed, or the disk lost it.
    pub fn agreement(&self, id: &AgreementId) -> Option<Arc<Agreement>> {
        self.state.agreement(id)?;
        if let Some(kept) = self.state.document(id) {
            return Some(kept.clone());
        }
        let agreement = Agreement::parse(&self.blobs.blob(id)?).ok()?;
        Some(Arc::new(agreement))
    }

    /// A published contract, read from this follower's own disk. None when nobody published that, or the
    /// disk lost it.
    pub fn contract(&self, descriptor_set: &Digest, service: &ServiceName) -> Option<Contract> {
        self.state.outline(descriptor_set, service)?;
        Contract::parse(&self.blobs.blob(descriptor_set)?, service).ok()
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
            state = apply(&state, &entry.change, entry.at, &*self.blobs).map_err(|refusal| {
                match refusal {
                    Refusal::BlobMissing(_) => NotAdvanced::BlobMissing,
                    refusal => {
                        tracing::error!(
                            event = "registry.change_refused",
                            index,
                            reason = refusal.reason().code(),
                        );
                        NotAdvanced::Alarm(AlarmKind::RefusedChange)
                    }
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
            blobs: self.blobs.clone(),
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
