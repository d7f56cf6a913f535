//! The checkpoints under which the registry went from one policy of witnesses to the next: cosigned as
//! both ask. A follower that was away meanwhile believes no other that leads beyond it.
//!
//! ```text
//! passage/<size>   a signed note, with its cosignatures
//! ```
//!
//! Not trusted: each note is signed. If they are lost, who was away has to begin anew.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use entente_ledger::disk::{Disk, DiskError, durable};
use entente_ledger::{LogKeys, SignedCheckpoint};

/// The passages so far, smallest first.
#[derive(Debug)]
pub(crate) struct Passages {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    held: ArcSwap<Vec<Arc<SignedCheckpoint>>>,
    /// One writer at a time.
    writing: Mutex<()>,
}

// === impl Passages ===

impl Passages {
    /// Reads the folder; what is not a checkpoint of this ledger is left out.
    pub(crate) fn open(
        disk: Arc<dyn Disk>,
        dir: &Path,
        keys: &dyn LogKeys,
    ) -> Result<Self, DiskError> {
        disk.create_dir_all(dir)?;
        durable::sweep(&*disk, dir)?;
        durable::settle(&*disk, dir)?;
        let mut held = Vec::new();
        for item in disk.list(dir)? {
            let bytes = disk.read(&dir.join(&item.name))?;
            match SignedCheckpoint::verify_by(&bytes, keys) {
                Ok(checkpoint) => held.push(Arc::new(checkpoint)),
                Err(_) => tracing::warn!(event = "passage.unreadable", name = item.name),
            }
        }
        held.sort_by_key(|checkpoint| checkpoint.size());
        Ok(Self {
            disk,
            dir: dir.to_owned(),
            held: ArcSwap::from_pointee(held),
            writing: Mutex::default(),
        })
    }

    /// The first beyond this size.
    pub(crate) fn after(&self, size: u64) -> Option<Arc<SignedCheckpoint>> {
        let held = self.held.load();
        let mut beyond = held.iter().filter(|held| held.size() > size);
        beyond.next().cloned()
    }

    /// The size of the newest; 0 where there is none.
    pub(crate) fn newest(&self) -> u64 {
        self.held.load().last().map_or(0, |held| held.size())
    }

    /// Keeps the next one. Durable when it returns.
    pub(crate) fn keep(&self, checkpoint: &Arc<SignedCheckpoint>) -> Result<(), DiskError> {
        let _one = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let path = self.dir.join(checkpoint.size().to_string());
        let note = checkpoint.note().to_string();
        durable::replace(&*self.disk, &path, note.as_bytes())?;
        // If we crash here, the passage is made and nothing was published that needs it.
        let mut held = Vec::clone(&self.held.load());
        held.retain(|held| held.size() != checkpoint.size());
        held.push(Arc::clone(checkpoint));
        held.sort_by_key(|checkpoint| checkpoint.size());
        self.held.store(Arc::new(held));
        Ok(())
    }
}
