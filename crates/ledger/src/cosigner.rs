//! Whom a ledger asks for cosignatures before it publishes a checkpoint.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use crate::checkpoint::SignedCheckpoint;
use crate::ledger::{ReadError, Shelf};
use crate::note::NoteKey;
use crate::proof::ConsistencyProof;
use crate::witness::CosignedCheckpoint;

/// Asks witnesses. [`crate::Ledger`] calls it for each checkpoint it signed, one at a time, and again
/// for one that was published without a quorum.
pub trait Cosigner: fmt::Debug + Send + Sync {
    /// Gathers cosignatures for what this ledger signed. Bounds its own time: the checkpoint is
    /// published when it answers.
    fn cosign(&self, signed: SignedTree) -> CosignerFuture<'_>;

    /// Whether a checkpoint that was final needs no asking: its quorum is one still, and lately was.
    fn is_settled(&self, checkpoint: &Arc<SignedCheckpoint>) -> bool;
}

/// The future of [`Cosigner::cosign`].
pub type CosignerFuture<'a> = Pin<Box<dyn Future<Output = Witnessed> + Send + 'a>>;

/// A signed checkpoint with the tree it is of, from which witnesses are shown what they ask for.
#[derive(Clone, Debug)]
pub struct SignedTree {
    pub(crate) checkpoint: Arc<SignedCheckpoint>,
    pub(crate) key: NoteKey,
    pub(crate) shelf: Arc<Shelf>,
    pub(crate) may_block: bool,
}

/// What came of asking.
#[derive(Clone, Debug)]
pub enum Witnessed {
    /// The quorum cosigned.
    Final(CosignedCheckpoint),
    /// It did not, in time; these did.
    Short(Arc<SignedCheckpoint>),
}

// === impl SignedTree ===

impl SignedTree {
    /// The checkpoint, with whatever cosignatures an earlier attempt gathered.
    pub const fn checkpoint(&self) -> &Arc<SignedCheckpoint> {
        &self.checkpoint
    }

    /// The ledger's key: what its checkpoints are signed with.
    pub const fn key(&self) -> &NoteKey {
        &self.key
    }

    /// Proves that the tree of `old_size` is the beginning of this one.
    ///
    /// # Errors
    /// When `old_size` is 0 or larger than this tree, or the files cannot be read.
    pub async fn consistency(&self, old_size: u64) -> Result<ConsistencyProof, ReadError> {
        let size = self.checkpoint.size();
        let shelf = Arc::clone(&self.shelf);
        let build = move || shelf.consistency(old_size, size, size);
        if self.may_block {
            return build();
        }
        let built = tokio::task::spawn_blocking(build).await;
        built.map_err(|_| ReadError::Beyond)?
    }
}

// === impl Witnessed ===

impl Witnessed {
    /// The checkpoint with the cosignatures there are.
    pub const fn checkpoint(&self) -> &Arc<SignedCheckpoint> {
        match self {
            Self::Final(cosigned) => cosigned.checkpoint(),
            Self::Short(checkpoint) => checkpoint,
        }
    }
}
