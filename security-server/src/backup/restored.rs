//! The note that data was put back from a backup, and what a start makes of it.
//!
//! `<data>/restored` names the shards that were put back. What was written after the backup is missing in
//! them, and nobody can say how much: entries become durable before they are signed, and answers promise them.
//! So none of them is written to again, and neither is a shard that the registry knows beside them and
//! that is not here. There is one way to know that nothing is missing: the server was down while the
//! backup was made, and the mark beside its keys, which is no part of a backup, names exactly what was put
//! back. For whatever a server writes after a start, it signs before it listens.

use std::path::Path;
use std::sync::Arc;

use entente_ledger::disk::{Disk, DiskError, durable};
use entente_ledger::{Reader, SignedCheckpoint};

use super::manifest::Manifest;

/// What was put back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Restored {
    /// The names of the shards' folders.
    shards: Vec<String>,
    /// Whether the server was down while they were copied.
    was_down: bool,
}

/// What the note says of the shard that a server would write to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// It was opened since, or nothing was ever put back.
    Untouched,
    /// It was put back, and nothing was written since.
    Whole,
    /// It was put back, or ought to have been: what was written since is missing.
    Short,
}

// === impl Restored ===

impl Restored {
    pub(super) fn of(manifest: &Manifest) -> Self {
        let shards = manifest.shards.iter();
        Self {
            shards: shards.map(|shard| shard.name.clone()).collect(),
            was_down: manifest.was_down,
        }
    }

    /// Written into data before it has its name.
    pub(super) fn keep(&self, disk: &dyn Disk, data: &Path) -> Result<(), DiskError> {
        let state = if self.was_down { "down" } else { "running" };
        let mut text = format!("{FORMAT}{state}\n");
        for shard in &self.shards {
            text.push_str(shard);
            text.push('\n');
        }
        durable::replace(disk, &data.join(NAME), text.as_bytes())
    }

    /// What the data folder says; none when nothing was ever put back. A note that cannot be read says that
    /// it was, and nothing else.
    pub(crate) fn read(disk: &dyn Disk, data: &Path) -> Result<Option<Self>, DiskError> {
        let bytes = durable::read(disk, &data.join(NAME))?;
        Ok(bytes.map(|bytes| {
            let text = String::from_utf8_lossy(&bytes);
            let said = text.strip_prefix(FORMAT).unwrap_or_default();
            let mut lines = said.lines();
            Self {
                was_down: lines.next() == Some("down"),
                shards: lines.map(str::to_owned).collect(),
            }
        }))
    }

    /// How it stands with the shard in `folder`. `begun` is whether this server's own note says that it
    /// opened the shard after it was put back.
    pub(crate) fn judge(
        &self,
        disk: &Arc<dyn Disk>,
        folder: &Path,
        marked: Option<&SignedCheckpoint>,
        begun: bool,
    ) -> Standing {
        let name = folder.file_name().unwrap_or_default().to_string_lossy();
        if !self.shards.iter().any(|shard| *shard == name) {
            let is_there = disk.exists(&folder.join("FORMAT")).unwrap_or(false);
            return match is_there || begun {
                true => Standing::Untouched,
                // The registry knows it: it was opened after the backup, and is lost.
                false => Standing::Short,
            };
        }
        let Some(marked) = marked.filter(|_| self.was_down) else {
            return Standing::Short;
        };
        let Ok(mut reader) = Reader::open(Arc::clone(disk), folder) else {
            return Standing::Short;
        };
        let is_all = reader.size() == marked.size();
        let is_same = matches!(reader.root(marked.size()), Ok(Some(root)) if root == marked.root());
        match is_all && is_same {
            true => Standing::Whole,
            false => Standing::Short,
        }
    }

    /// Takes the note away, once it is known that nothing is missing, and before anything is written.
    pub(crate) fn settle(disk: &dyn Disk, data: &Path) -> Result<(), DiskError> {
        // If we crash after this, nothing was written yet, and the next start judges without it.
        durable::remove(disk, &data.join(NAME))
    }
}

/// The note's file.
pub(super) const NAME: &str = "restored";
const FORMAT: &str = "entente-restored 1\n";
