//! What a server works from: a verified state of the directory, and the tree it was verified under.

use std::sync::Arc;

use entente_agreement::{Agreement, AgreementId};
use entente_clock::Timestamp;
use entente_contract::Contract;
use entente_directory::{Blobs as _, Keep, State};
use entente_identity::ServiceName;
use entente_ledger::SignedCheckpoint;
use entente_ledger::note::NoteKey;
use entente_ledger::proof::InclusionProof;
use entente_signing::Digest;

use crate::alarm::AlarmKind;
use crate::anchor::Anchor;
use crate::pack::BlobPack;
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
    blobs: Arc<BlobPack>,
}

// === impl View ===

impl View {
    /// Before the first change.
    pub(crate) fn empty(anchor: &Anchor, keep: Keep, blobs: Arc<BlobPack>) -> Self {
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

    /// The key that signs the registry's checkpoint of this size, as far as this view knows; none before the
    /// first change.
    pub fn ledger_at(&self, size: u64) -> Option<NoteKey> {
        let registry = self.state.registry()?;
        NoteKey::new(&self.origin, registry.ledger_at(size).clone()).ok()
    }

    /// The key that signs the registry's checkpoints from this view on.
    pub fn ledger_key(&self) -> Option<NoteKey> {
        self.ledger_at(self.size)
    }

    /// Proves a change under the view's checkpoint.
    pub fn inclusion(&self, index: u64) -> Option<InclusionProof> {
        self.tree.inclusion(index, self.checkpoint.as_ref()?.size())
    }

    pub(crate) const fn tree(&self) -> &Tree {
        &self.tree
    }

    /// The view after this one, under a checkpoint that was verified to be over that tree.
    pub(crate) fn after(
        &self,
        state: State,
        tree: Tree,
        checkpoint: Arc<SignedCheckpoint>,
        now: Timestamp,
    ) -> Self {
        Self {
            state,
            origin: self.origin.clone(),
            size: checkpoint.size(),
            root: checkpoint.root(),
            checkpoint: Some(checkpoint),
            verified_at: now,
            tree,
            blobs: self.blobs.clone(),
        }
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
