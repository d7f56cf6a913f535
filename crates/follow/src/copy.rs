//! A follower's copy of a registry, opened to be read: what a registry is made whole from.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use entente_clock::Clock;
use entente_directory::{Blobs, Keep, RegistryEntry};
use entente_ledger::disk::Disk;

use crate::anchor::Anchor;
use crate::follower::{OpenError, Replayed, replay};
use crate::replica::{Replica, ReplicaError, copied_entries};
use crate::view::View;

/// A copy in which every entry was verified again under its newest checkpoint. While it is open nobody
/// follows into it.
#[derive(Debug)]
pub struct VerifiedCopy {
    replica: Replica,
    view: View,
    entries: Vec<Bytes>,
    early: Vec<RegistryEntry>,
}

// === impl VerifiedCopy ===

impl VerifiedCopy {
    /// Opens the copy that a [`crate::Follower`] of this registry keeps in `dir`. Without a copy there it is
    /// empty.
    ///
    /// # Errors
    /// When a follower has it open, or it is not what was verified when it was written.
    pub fn open(
        disk: Arc<dyn Disk>,
        dir: &Path,
        anchor: &Anchor,
        clock: &dyn Clock,
    ) -> Result<Self, OpenError> {
        let to_read = Arc::clone(&disk);
        let opened = Replica::open(disk, dir);
        let (mut replica, held) = opened.map_err(|source| OpenError::Replica {
            dir: dir.to_owned(),
            source,
        })?;
        let disk_error = |source: ReplicaError| OpenError::Replica {
            dir: dir.to_owned(),
            source,
        };
        let replayed = replay(anchor, &mut replica, held, Keep::None, clock);
        let replayed = replayed.map_err(|error| disk_error(error.into()))?;
        let Replayed { view, early, .. } = replayed.ok_or_else(|| OpenError::Damaged {
            dir: dir.to_owned(),
        })?;
        let entries = copied_entries(&*to_read, dir);
        let mut entries = entries.map_err(|error| disk_error(error.into()))?;
        entries.truncate(usize::try_from(view.size).unwrap_or(usize::MAX));
        Ok(Self {
            replica,
            view,
            entries,
            early,
        })
    }

    /// What it adds up to, and the checkpoint that says so.
    pub const fn view(&self) -> &View {
        &self.view
    }

    /// The entries that the checkpoint covers.
    pub fn entries(&self) -> &[Bytes] {
        &self.entries
    }

    /// Denying changes that were seen ahead of a checkpoint over them.
    pub fn early(&self) -> &[RegistryEntry] {
        &self.early
    }

    /// What they rest on.
    pub fn blobs(&self) -> &dyn Blobs {
        &*self.replica.blobs
    }
}
