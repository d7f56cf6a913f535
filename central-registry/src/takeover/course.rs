//! What a tree goes on from, and whether it is all that anybody has seen.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use entente_directory::{Blobs, RegistryEntry, State, apply};
use entente_follow::VerifiedCopy;
use entente_follow::witness::Survey;
use entente_ledger::Reader;
use entente_ledger::disk::{Disk, DiskErrorKind, DiskLock, durable};
use entente_ledger::layout::Layout;
use entente_ledger::tree::{leaf_hash, root_of};
use entente_signing::Digest;

use super::TakeoverError;
use crate::config::FENCED;

/// The state, with the entries that lead there.
pub(super) struct Course<'a> {
    pub(super) state: State,
    pub(super) entries: Vec<Bytes>,
    blobs: Vec<&'a dyn Blobs>,
}

/// The ledger of the registry before, which nobody else has open.
pub(super) struct Fenced {
    disk: Arc<dyn Disk>,
    data: PathBuf,
    reader: Reader,
    _lock: Box<dyn DiskLock>,
}

// === impl Course ===

impl<'a> Course<'a> {
    /// As the copy has it. `blobs` are there beside the copy's.
    pub(super) fn of(copy: &'a VerifiedCopy, blobs: Option<&'a dyn Blobs>) -> Self {
        let held = copy.blobs();
        Self {
            state: copy.view().state.clone(),
            entries: copy.entries().to_vec(),
            blobs: std::iter::once(held).chain(blobs).collect(),
        }
    }

    pub(super) fn size(&self) -> u64 {
        self.entries.len() as u64
    }

    /// Takes one more entry, if the rules do.
    pub(super) fn go_on(&mut self, entry: &RegistryEntry) -> bool {
        let Ok(state) = apply(&self.state, &entry.change, entry.at, &*self) else {
            return false;
        };
        self.state = state;
        self.entries.push(entry.encode().into());
        true
    }

    /// Whether it is all that these witnesses have seen.
    ///
    /// # Errors
    /// When one has seen more, or another tree, or so many are silent that one could have.
    pub(super) fn judge(&self, survey: &Survey) -> Result<(), TakeoverError> {
        if let Some(newest) = &survey.newest {
            let (seen, held) = (newest.size(), self.size());
            let begin = usize::try_from(seen).ok();
            let begin = begin.and_then(|seen| self.entries.get(..seen));
            let begin = begin.ok_or(TakeoverError::Behind { seen, held })?;
            let leaves: Vec<_> = begin.iter().map(|entry| leaf_hash(entry)).collect();
            if root_of(&leaves) != newest.root() {
                return Err(TakeoverError::Forked);
            }
        }
        match survey.is_complete {
            true => Ok(()),
            false => Err(TakeoverError::Silent),
        }
    }
}

impl Blobs for Course<'_> {
    fn blob(&self, hash: &Digest) -> Option<Bytes> {
        self.blobs.iter().find_map(|blobs| blobs.blob(hash))
    }
}

// === impl Fenced ===

impl Fenced {
    /// Opens the data folder of a registry that is not running.
    ///
    /// # Errors
    /// When it is running, or its ledger cannot be read.
    pub(super) fn open(disk: &Arc<dyn Disk>, data: &Path) -> Result<Self, TakeoverError> {
        let layout = Layout::new(data.join("ledger"));
        let lock = disk
            .lock(&layout.lock())
            .map_err(|error| match error.kind {
                DiskErrorKind::Locked => TakeoverError::Running,
                _ => TakeoverError::Disk(error),
            })?;
        Ok(Self {
            disk: Arc::clone(disk),
            data: data.to_owned(),
            reader: Reader::open(Arc::clone(disk), layout.dir())?,
            _lock: lock,
        })
    }

    /// Takes the entries that the copy lacks: they were durable, and so accepted, though perhaps nobody has
    /// seen them.
    ///
    /// # Errors
    /// When its ledger is not the one in the copy, or cannot be read.
    pub(super) fn recover(&mut self, course: &mut Course<'_>) -> Result<(), TakeoverError> {
        let last = course.size().saturating_sub(1);
        let mut entries = self.reader.entries(last);
        if let Some(same) = entries.next()
            && Some(&same?.1) != course.entries.last()
        {
            return Err(TakeoverError::Forked);
        }
        for entry in entries {
            let (_, bytes) = entry?;
            let entry = RegistryEntry::parse(&bytes).map_err(|_| TakeoverError::Forked)?;
            if !course.go_on(&entry) {
                return Err(TakeoverError::Forked);
            }
        }
        Ok(())
    }

    /// Never again is anything served from it.
    ///
    /// # Errors
    /// When that cannot be written there.
    pub(super) fn close(&self, size: u64) -> Result<(), TakeoverError> {
        let text = format!("another server took over with {size} changes\n");
        durable::replace(&*self.disk, &self.data.join(FENCED), text.as_bytes())?;
        Ok(())
    }
}
