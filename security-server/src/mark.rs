//! The newest checkpoint this server published, kept beside its keys and so apart from its data.
//!
//! Data that was lost, or put back from an older copy, is told by it even where no witness answers. A whole
//! machine put back takes the mark with it: then only witnesses can tell.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use entente_ledger::disk::{Disk, DiskError, durable};
use entente_ledger::note::NoteKey;
use entente_ledger::{Ledger, SignedCheckpoint};

/// Where the mark is.
#[derive(Clone, Debug)]
pub(crate) struct Mark {
    disk: Arc<dyn Disk>,
    path: PathBuf,
}

// === impl Mark ===

impl Mark {
    /// In the folder of the server's keys; created when missing.
    pub(crate) fn open(disk: Arc<dyn Disk>, keys: &Path) -> Result<Self, DiskError> {
        disk.create_dir_all(keys)?;
        let path = keys.join(NAME);
        Ok(Self { disk, path })
    }

    /// What it says of the ledger whose key this is; none when it is of another, or there is none.
    pub(crate) fn of(&self, key: &NoteKey) -> Result<Option<SignedCheckpoint>, DiskError> {
        let bytes = durable::read(&*self.disk, &self.path)?;
        // One that does not verify says nothing. Whoever can write here has the keys as well.
        Ok(bytes.and_then(|bytes| SignedCheckpoint::verify(&bytes, key).ok()))
    }

    /// Keeps the newest checkpoint of a ledger, and each one after it, until the ledger is closed.
    pub(crate) async fn follow(self, ledger: Ledger) {
        let mut newest = ledger.checkpoint();
        loop {
            let checkpoint = newest.borrow_and_update().clone();
            if let Some(checkpoint) = checkpoint {
                let mark = self.clone();
                let kept = tokio::task::spawn_blocking(move || mark.keep(&checkpoint)).await;
                if !matches!(kept, Ok(Ok(()))) {
                    tracing::warn!(event = "mark.not_kept");
                }
            }
            if newest.changed().await.is_err() {
                return;
            }
        }
    }

    fn keep(&self, checkpoint: &SignedCheckpoint) -> Result<(), DiskError> {
        let note = checkpoint.note().to_string();
        // If we crash before this, the mark is of an older tree: it tells less, and nothing false.
        durable::replace(&*self.disk, &self.path, note.as_bytes())
    }
}

const NAME: &str = "newest-checkpoint";
