//! Whom a ledger asks for cosignatures before it publishes a checkpoint.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use crate::checkpoint::SignedCheckpoint;
use crate::disk::DiskError;
use crate::ledger::{ReadError, Shelf};
use crate::log::LogError;
use crate::note::NoteKey;
use crate::proof::ConsistencyProof;
use crate::reader::Reader;
use crate::signatory::LogKeys;
use crate::witness::CosignedCheckpoint;

/// Asks witnesses. [`crate::Ledger`] calls it for each checkpoint it signed, one at a time, and again
/// for one that was published without a quorum.
pub trait Cosigner: fmt::Debug + Send + Sync {
    /// Keeps a checkpoint in mind that was just signed, before anybody sees it; durably when it returns. By
    /// default nothing is kept but the ledger's own files.
    ///
    /// # Errors
    /// Then the checkpoint is shown to nobody, and signed again later.
    fn remember(&self, _signed: &SignedCheckpoint) -> Result<(), DiskError> {
        Ok(())
    }

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
    pub(crate) keys: Arc<dyn LogKeys>,
    pub(crate) tree: Tree,
}

/// Where its tree is.
#[derive(Clone, Debug)]
pub(crate) enum Tree {
    /// In a ledger that is open.
    Open {
        shelf: Arc<Shelf>,
        /// Whether files may be read on the runtime itself: in simulations.
        may_block: bool,
    },
    /// In a folder that nobody writes to.
    Folder(Arc<Mutex<Reader>>),
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
    /// The newest published checkpoint in a folder that nobody writes to; none when there is none.
    ///
    /// # Errors
    /// When it cannot be read, or is not signed with the key for its size.
    pub fn of_folder(reader: Reader, keys: Arc<dyn LogKeys>) -> Result<Option<Self>, LogError> {
        let Some(checkpoint) = reader.checkpoint(&*keys)? else {
            return Ok(None);
        };
        let key = keys.at(checkpoint.size()).ok_or(LogError::NoKey)?;
        let tree = Tree::Folder(Arc::new(Mutex::new(reader)));
        Ok(Some(Self {
            checkpoint: Arc::new(checkpoint),
            key,
            keys,
            tree,
        }))
    }

    /// The checkpoint, with whatever cosignatures an earlier attempt gathered.
    pub const fn checkpoint(&self) -> &Arc<SignedCheckpoint> {
        &self.checkpoint
    }

    /// The same without the cosignatures of earlier attempts: who cosigns it now does so now.
    #[must_use]
    pub fn bare(mut self) -> Self {
        Arc::make_mut(&mut self.checkpoint).strip(&self.key);
        self
    }

    /// What this checkpoint is signed with.
    pub const fn key(&self) -> &NoteKey {
        &self.key
    }

    /// What the ledger's checkpoints are signed with, each by its size.
    pub fn keys(&self) -> &dyn LogKeys {
        &*self.keys
    }

    /// Proves that the tree of `old_size` is the beginning of this one.
    ///
    /// # Errors
    /// When `old_size` is 0 or larger than this tree, or the files cannot be read.
    pub async fn consistency(&self, old_size: u64) -> Result<ConsistencyProof, ReadError> {
        let size = self.checkpoint.size();
        match self.tree.clone() {
            Tree::Open {
                shelf,
                may_block: true,
            } => shelf.consistency(old_size, size, size),
            Tree::Open { shelf, .. } => {
                let build = move || shelf.consistency(old_size, size, size);
                let built = tokio::task::spawn_blocking(build).await;
                built.map_err(|_| ReadError::Beyond)?
            }
            Tree::Folder(reader) => {
                let mut reader = reader.lock().unwrap_or_else(PoisonError::into_inner);
                let built = reader.consistency(old_size, size)?;
                built.ok_or(ReadError::Beyond)
            }
        }
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
