//! The newest checkpoint this server signed, kept beside its keys and so apart from its data, before anybody
//! sees it.
//!
//! Data that was lost, or put back from an older copy, is told by it even where no witness answers. A whole
//! machine put back takes the mark with it: then only witnesses can tell.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use entente_ledger::SignedCheckpoint;
use entente_ledger::disk::{Disk, DiskError, durable};
use entente_ledger::note::{NoteKey, SignedNote};
use entente_signing::VerifyingKey;

/// Where the mark is.
#[derive(Clone, Debug)]
pub(crate) struct Mark {
    disk: Arc<dyn Disk>,
    path: PathBuf,
    /// Held while it is written: the ledger's writer is not alone.
    writing: Arc<Mutex<()>>,
}

// === impl Mark ===

impl Mark {
    /// In the folder of the server's keys; created when missing.
    pub(crate) fn open(disk: Arc<dyn Disk>, keys: &Path) -> Result<Self, DiskError> {
        disk.create_dir_all(keys)?;
        Ok(Self {
            disk,
            path: keys.join(NAME),
            writing: Arc::default(),
        })
    }

    /// The newest checkpoint of any shard whose ledger has this key; none when there is none.
    pub(crate) fn newest(&self, key: &VerifyingKey) -> Result<Option<SignedCheckpoint>, DiskError> {
        let bytes = durable::read(&*self.disk, &self.path)?;
        // One that does not verify says nothing. Whoever can write here has the keys as well.
        Ok(bytes.and_then(|bytes| {
            let note = SignedNote::parse(&bytes).ok()?;
            let key = NoteKey::new(note.text().lines().next()?, key.clone()).ok()?;
            SignedCheckpoint::verify(&bytes, &key).ok()
        }))
    }

    pub(crate) fn keep(&self, checkpoint: &SignedCheckpoint) -> Result<(), DiskError> {
        let note = checkpoint.note().to_string();
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        // If we crash before this, the mark is of an older tree, and nobody has seen the newer one.
        durable::replace(&*self.disk, &self.path, note.as_bytes())
    }
}

pub(crate) const NAME: &str = "newest-checkpoint";
