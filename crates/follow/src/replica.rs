//! A server's own copy of a registry: what it verified, on its own disk.
//!
//! ```text
//! FORMAT        "entente-follow 1"
//! lock          empty; locked by the one follower
//! entries       the ledger's entries in order: u32be length ‖ u32be crc32c ‖ entry, each
//! checkpoint    the newest checkpoint verified over them, a signed note
//! early         entries that deny, seen ahead of their checkpoint, framed the same way
//! heard         when the registry was last heard to have nothing newer, in ms since the epoch
//! blob/<hex>    descriptor sets and agreements by SHA-256
//! evidence/     what alarms were raised over
//! ```
//!
//! Trusted: whoever can write here can make this server believe an older registry, though no change
//! without its author's signature. Loss costs following anew, and the memory of the newest size seen.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, Bytes};
use entente_clock::Timestamp;
use entente_ledger::disk::{Disk, DiskError, DiskFile, DiskLock, durable};

use crate::blob::BlobStore;

/// The folder, open for writing.
#[derive(Debug)]
pub(crate) struct Replica {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    entries: Box<dyn DiskFile>,
    /// How long the frames of verified entries are; what follows is overwritten.
    verified: u64,
    /// What `heard` says.
    heard: Timestamp,
    /// When the quorum had cosigned what `checkpoint` says; the beginning of time where that was not said.
    cosigned: Timestamp,
    pub(crate) blobs: Arc<BlobStore>,
    _lock: Box<dyn DiskLock>,
}

/// What the folder held when it was opened; nothing of it is verified here.
#[derive(Debug, Default)]
pub(crate) struct Held {
    /// Whole frames from the beginning; may go on beyond the checkpoint.
    pub(crate) entries: Vec<Bytes>,
    /// Where each of those frames ends, in bytes.
    pub(crate) ends: Vec<u64>,
    pub(crate) checkpoint: Option<Vec<u8>>,
    pub(crate) early: Vec<Bytes>,
    pub(crate) heard: Option<Timestamp>,
}

/// Why a folder cannot be used. Variants are alphabetical.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReplicaError {
    /// The disk failed, or another process holds the folder.
    #[error("opening the copy of the registry")]
    Disk(#[from] DiskError),
    /// The folder holds something else, or a copy by a newer version.
    #[error("the copy of the registry is not in a format this version knows")]
    Format,
}

// === impl Replica ===

impl Replica {
    pub(crate) fn open(disk: Arc<dyn Disk>, dir: &Path) -> Result<(Self, Held), ReplicaError> {
        if !durable::claim(&*disk, dir, FORMAT)? {
            return Err(ReplicaError::Format);
        }
        let lock = disk.lock(&dir.join("lock"))?;
        durable::sweep(&*disk, dir)?;
        disk.create_dir_all(&dir.join(EVIDENCE))?;
        let blobs = BlobStore::open(disk.clone(), &dir.join("blob"), u64::MAX)?;
        let path = dir.join(ENTRIES);
        if !disk.exists(&path)? {
            disk.create(&path)?.sync_data()?;
            disk.sync_dir(dir)?;
        }
        let (entries, ends) = frames(disk.read(&path)?.into());
        let read = |name| durable::read(&*disk, &dir.join(name));
        let held = Held {
            entries,
            ends,
            checkpoint: read(CHECKPOINT)?,
            early: read(EARLY)?.map_or_else(Vec::new, |bytes| frames(bytes.into()).0),
            heard: read(HEARD)?
                .and_then(|text| std::str::from_utf8(&text).ok()?.trim_end().parse().ok())
                .map(Timestamp::from_millis),
        };
        let replica = Self {
            entries: disk.open(&path)?,
            disk,
            dir: dir.to_owned(),
            verified: 0,
            heard: held.heard.unwrap_or_default(),
            cosigned: Timestamp::default(),
            blobs: Arc::new(blobs),
            _lock: lock,
        };
        Ok((replica, held))
    }

    /// Says up to which byte the entries found at opening were verified.
    pub(crate) const fn resume_at(&mut self, verified: u64) {
        self.verified = verified;
    }

    /// Keeps entries that were just verified, and the checkpoint over them.
    pub(crate) fn append(&mut self, entries: &[Bytes], checkpoint: &[u8]) -> Result<(), DiskError> {
        if !entries.is_empty() {
            let mut frames = Vec::new();
            for entry in entries {
                write_frame(&mut frames, entry);
            }
            // What a crash left beyond the verified entries must not run on after a shorter batch.
            self.entries.set_len(self.verified)?;
            self.entries.write_at(self.verified, &frames)?;
            self.entries.sync_data()?;
            // If we crash here, entries without a checkpoint follow the verified ones. They are
            // ignored at start and fetched again.
            self.verified += frames.len() as u64;
        }
        durable::replace(&*self.disk, &self.dir.join(CHECKPOINT), checkpoint)
        // If we crash here, the next start works from the new checkpoint before anybody was shown it.
    }

    /// Replaces the entries of denying changes seen ahead of their checkpoint.
    pub(crate) fn keep_early(&self, entries: &[Vec<u8>]) -> Result<(), DiskError> {
        let mut frames = Vec::new();
        for entry in entries {
            write_frame(&mut frames, entry);
        }
        durable::replace(&*self.disk, &self.dir.join(EARLY), &frames)
    }

    /// Keeps the checkpoint of the same tree with the cosignatures it has since `at`, if those kept are
    /// older than that by `every`.
    pub(crate) fn reaffirm(
        &mut self,
        checkpoint: &str,
        at: Timestamp,
        every: Duration,
    ) -> Result<(), DiskError> {
        if at.since(self.cosigned) >= every {
            let path = self.dir.join(CHECKPOINT);
            durable::replace(&*self.disk, &path, checkpoint.as_bytes())?;
            self.cosigned = at;
        }
        Ok(())
    }

    /// Remembers when the registry was last heard to have nothing newer, if what is remembered is
    /// older than `every`.
    pub(crate) fn keep_heard(&mut self, at: Timestamp, every: Duration) -> Result<(), DiskError> {
        if at.since(self.heard) < every && self.heard <= at {
            return Ok(());
        }
        let text = format!("{}\n", at.as_millis());
        durable::replace(&*self.disk, &self.dir.join(HEARD), text.as_bytes())?;
        self.heard = at;
        Ok(())
    }

    /// Keeps what an alarm is raised over; none when enough is kept already.
    pub(crate) fn keep_evidence(
        &self,
        name: &str,
        bytes: &[u8],
    ) -> Result<Option<PathBuf>, DiskError> {
        let folder = self.dir.join(EVIDENCE);
        let path = folder.join(name);
        if self.disk.exists(&path)? {
            return Ok(Some(path));
        }
        if self.disk.list(&folder)?.len() >= MAX_EVIDENCE {
            return Ok(None);
        }
        durable::replace(&*self.disk, &path, bytes)?;
        Ok(Some(path))
    }
}

/// The entries in a copy of a registry, from its folder alone; nothing of them is verified. A [`View`]
/// over them says which are in the registry's ledger.
///
/// [`View`]: crate::View
///
/// # Errors
/// When the folder cannot be read.
pub fn copied_entries(disk: &dyn Disk, dir: &Path) -> Result<Vec<Bytes>, DiskError> {
    Ok(frames(disk.read(&dir.join(ENTRIES))?.into()).0)
}

fn write_frame(to: &mut Vec<u8>, entry: &[u8]) {
    // An entry is at most 65,535 bytes.
    to.extend_from_slice(&(entry.len() as u32).to_be_bytes());
    to.extend_from_slice(&crc32c::crc32c(entry).to_be_bytes());
    to.extend_from_slice(entry);
}

/// Whole frames, and where each ends; stops at the first that is cut short or altered.
fn frames(mut bytes: Bytes) -> (Vec<Bytes>, Vec<u64>) {
    let total = bytes.len();
    let (mut entries, mut ends) = (Vec::new(), Vec::new());
    while bytes.len() >= 8 {
        let (length, crc) = (bytes.get_u32() as usize, bytes.get_u32());
        if length > bytes.len() || length > entente_ledger::MAX_ENTRY {
            break;
        }
        let entry = bytes.split_to(length);
        if crc32c::crc32c(&entry) != crc {
            break;
        }
        entries.push(entry);
        ends.push((total - bytes.len()) as u64);
    }
    (entries, ends)
}

const FORMAT: &str = "entente-follow 1\n";
const ENTRIES: &str = "entries";
const CHECKPOINT: &str = "checkpoint";
const EARLY: &str = "early";
const HEARD: &str = "heard";
const EVIDENCE: &str = "evidence";

/// Files kept as evidence; one fault can be shown in ever new ways.
const MAX_EVIDENCE: usize = 64;

#[cfg(test)]
mod tests {
    use entente_ledger::disk::RealDisk;

    use super::*;

    #[test]
    fn finds_again_what_it_kept_and_overwrites_what_was_not_verified() {
        let dir = tempfile::tempdir().unwrap();
        let open = || Replica::open(Arc::new(RealDisk), dir.path()).unwrap();
        let (mut replica, held) = open();
        assert!(held.entries.is_empty() && held.checkpoint.is_none());
        replica.append(&["one".into(), "two".into()], b"2").unwrap();
        replica.append(&["three".into()], b"3").unwrap();
        replica
            .keep_heard(Timestamp::from_millis(7), Duration::ZERO)
            .unwrap();
        replica.keep_early(&[b"no".to_vec()]).unwrap();
        drop(replica);

        let (mut replica, held) = open();
        assert_eq!(held.entries, ["one", "two", "three"]);
        assert_eq!(held.checkpoint.as_deref(), Some(&b"3"[..]));
        assert_eq!(held.heard, Some(Timestamp::from_millis(7)));
        assert_eq!(held.early, ["no"]);
        // As if the checkpoint had only reached the first entry.
        replica.resume_at(held.ends[0]);
        replica.append(&["2".into()], b"2'").unwrap();
        drop(replica);
        assert_eq!(open().1.entries, ["one", "2"]);
    }

    #[test]
    fn stops_at_a_torn_or_altered_frame() {
        let mut whole = Vec::new();
        write_frame(&mut whole, b"one");
        write_frame(&mut whole, b"two");
        for cut in 11..22 {
            assert_eq!(frames(whole[..cut].to_vec().into()).0, ["one"], "{cut}");
        }
        whole[10] ^= 1;
        assert!(frames(whole.into()).0.is_empty());
    }

    #[test]
    fn refuses_a_folder_of_another_format() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("FORMAT"), "entente-follow 2\n").unwrap();
        let refused = Replica::open(Arc::new(RealDisk), dir.path());
        assert!(matches!(refused, Err(ReplicaError::Format)));
    }
}
