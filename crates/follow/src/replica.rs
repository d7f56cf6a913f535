//! A server's own copy of a registry: what it verified, on its own disk.
//!
//! ```text
//! FORMAT        "entente-follow 2"
//! lock          empty; locked by the one follower
//! entries       the ledger's entries in order: u32be length ‖ u32be crc32c ‖ entry, each
//! checkpoint    the newest checkpoint verified over them, a signed note
//! early         entries that deny, seen ahead of their checkpoint, framed the same way
//! heard         when the registry was last heard to have nothing newer, in ms since the epoch
//! blobs         descriptor sets and agreements by SHA-256
//! evidence/     what alarms were raised over
//! ```
//!
//! `entries` may go on beyond the checkpoint: what came since, not yet proven to be in the ledger.
//!
//! Trusted: whoever can write here can make this server believe an older registry, though no change
//! without its author's signature. Loss costs following anew, and the memory of the newest size seen.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, Bytes};
use entente_clock::Timestamp;
use entente_ledger::disk::{Disk, DiskError, DiskFile, DiskLock, durable};

use crate::pack::BlobPack;

/// The folder, open for writing.
#[derive(Debug)]
pub(crate) struct Replica {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    entries: Box<dyn DiskFile>,
    /// How long the frames of entries under the checkpoint are.
    verified: u64,
    /// How long all whole frames are; what follows is overwritten.
    end: u64,
    /// How far the blobs went when the checkpoint was kept.
    blobs_verified: u64,
    /// What `heard` says.
    heard: Timestamp,
    /// When the quorum had cosigned what `checkpoint` says; the beginning of time where that was not said.
    cosigned: Timestamp,
    pub(crate) blobs: Arc<BlobPack>,
    _lock: Box<dyn DiskLock>,
}

/// What the folder held when it was opened; nothing of it is verified here.
#[derive(Debug, Default)]
pub(crate) struct Held {
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
        let blobs = Arc::new(BlobPack::open(&*disk, dir, BLOBS)?);
        let path = dir.join(ENTRIES);
        if !disk.exists(&path)? {
            disk.create(&path)?.sync_data()?;
            disk.sync_dir(dir)?;
        }
        let read = |name| durable::read(&*disk, &dir.join(name));
        let held = Held {
            checkpoint: read(CHECKPOINT)?,
            early: read(EARLY)?.map_or_else(Vec::new, |bytes| frames(bytes.into())),
            heard: read(HEARD)?
                .and_then(|text| std::str::from_utf8(&text).ok()?.trim_end().parse().ok())
                .map(Timestamp::from_millis),
        };
        let replica = Self {
            entries: disk.open(&path)?,
            disk,
            dir: dir.to_owned(),
            verified: 0,
            end: 0,
            blobs_verified: blobs.end(),
            heard: held.heard.unwrap_or_default(),
            cosigned: Timestamp::default(),
            blobs,
            _lock: lock,
        };
        Ok((replica, held))
    }

    /// Reads the next whole frames, about [`READ`] bytes of them, after those read or written so far; none
    /// at the end, or where one is cut short or altered. For the time before anything is written.
    pub(crate) fn read_on(&self) -> Result<Vec<Bytes>, DiskError> {
        let mut bytes = vec![0; READ];
        let read = self.entries.read_at(self.end, &mut bytes)?;
        bytes.truncate(read);
        Ok(frames(bytes.into()))
    }

    /// Goes on after entries that [`Self::read_on`] gave.
    pub(crate) fn pass(&mut self, entries: &[Bytes]) {
        self.end += entries.iter().map(frame_len).sum::<u64>();
    }

    /// Says that the entries passed or written so far are under the checkpoint.
    pub(crate) fn set_verified(&mut self) {
        self.verified = self.end;
        self.blobs_verified = self.blobs.end();
    }

    /// Writes entries down, which nothing proves yet.
    pub(crate) fn append(&mut self, entries: &[Bytes]) -> Result<(), DiskError> {
        let mut frames = Vec::new();
        for entry in entries {
            write_frame(&mut frames, entry);
        }
        self.blobs.sync()?;
        // If we crash here, blobs are held that no entry names; they are found when entries do.
        //
        // What a crash left beyond the last whole entry must not run on after a shorter batch.
        self.entries.set_len(self.end)?;
        self.entries.write_at(self.end, &frames)?;
        self.entries.sync_data()?;
        // If we crash here, entries without a checkpoint follow those under it. They are applied at
        // start, ahead of the view, and not fetched again.
        self.end += frames.len() as u64;
        Ok(())
    }

    /// Keeps a checkpoint over all entries written so far.
    pub(crate) fn settle(&mut self, checkpoint: &[u8]) -> Result<(), DiskError> {
        durable::replace(&*self.disk, &self.dir.join(CHECKPOINT), checkpoint)?;
        // If we crash here, the next start works from the new checkpoint before anybody was shown it.
        self.set_verified();
        Ok(())
    }

    /// Gives up the entries that no checkpoint covers, and their blobs.
    pub(crate) fn forget_unproven(&mut self) -> Result<(), DiskError> {
        self.end = self.verified;
        self.entries.set_len(self.end)?;
        self.blobs.cut(self.blobs_verified)
        // If we crash here, some of them are still there, and given up again when they do not fit.
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
    Ok(frames(disk.read(&dir.join(ENTRIES))?.into()))
}

fn write_frame(to: &mut Vec<u8>, entry: &[u8]) {
    // An entry is at most 65,535 bytes.
    to.extend_from_slice(&(entry.len() as u32).to_be_bytes());
    to.extend_from_slice(&crc32c::crc32c(entry).to_be_bytes());
    to.extend_from_slice(entry);
}

const fn frame_len(entry: &Bytes) -> u64 {
    8 + entry.len() as u64
}

/// Whole frames; stops at the first that is cut short or altered.
fn frames(mut bytes: Bytes) -> Vec<Bytes> {
    let mut entries = Vec::new();
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
    }
    entries
}

const FORMAT: &str = "entente-follow 2\n";
const ENTRIES: &str = "entries";
const BLOBS: &str = "blobs";
const CHECKPOINT: &str = "checkpoint";
const EARLY: &str = "early";
const HEARD: &str = "heard";
const EVIDENCE: &str = "evidence";

/// Bytes of the entries read at a time.
const READ: usize = 1 << 20;

/// Files kept as evidence; one fault can be shown in ever new ways.
const MAX_EVIDENCE: usize = 64;

#[cfg(test)]
mod tests {
    use entente_ledger::disk::RealDisk;

    use super::*;

    /// Reads on to the end.
    fn read_all(replica: &mut Replica) -> Vec<Bytes> {
        let mut all = Vec::new();
        loop {
            let entries = replica.read_on().unwrap();
            if entries.is_empty() {
                return all;
            }
            replica.pass(&entries);
            all.extend(entries);
        }
    }

    #[test]
    fn finds_again_what_it_kept_and_overwrites_what_was_given_up() {
        let dir = tempfile::tempdir().unwrap();
        let open = || Replica::open(Arc::new(RealDisk), dir.path()).unwrap();
        let (mut replica, held) = open();
        assert!(read_all(&mut replica).is_empty() && held.checkpoint.is_none());
        replica.append(&["one".into(), "two".into()]).unwrap();
        replica.settle(b"2").unwrap();
        replica.append(&["three".into()]).unwrap();
        replica
            .keep_heard(Timestamp::from_millis(7), Duration::ZERO)
            .unwrap();
        replica.keep_early(&[b"no".to_vec()]).unwrap();
        drop(replica);

        let (mut replica, held) = open();
        assert_eq!(read_all(&mut replica), ["one", "two", "three"]);
        assert_eq!(held.checkpoint.as_deref(), Some(&b"2"[..]));
        assert_eq!(held.heard, Some(Timestamp::from_millis(7)));
        assert_eq!(held.early, ["no"]);
        drop(replica);

        // As if the checkpoint had only reached the first entry.
        let (mut replica, _) = open();
        let first = replica.read_on().unwrap()[..1].to_vec();
        replica.pass(&first);
        replica.set_verified();
        read_all(&mut replica);
        replica.forget_unproven().unwrap();
        replica.append(&["2".into()]).unwrap();
        drop(replica);
        assert_eq!(read_all(&mut open().0), ["one", "2"]);
    }

    #[test]
    fn reads_more_entries_than_it_reads_at_a_time() {
        let dir = tempfile::tempdir().unwrap();
        let open = || Replica::open(Arc::new(RealDisk), dir.path()).unwrap().0;
        let entries: Vec<Bytes> = (0..40_u8).map(|n| vec![n; 60_000].into()).collect();
        open().append(&entries).unwrap();
        let mut replica = open();
        assert!(replica.read_on().unwrap().len() < entries.len());
        assert_eq!(read_all(&mut replica), entries);
    }

    #[test]
    fn stops_at_a_torn_or_altered_frame() {
        let mut whole = Vec::new();
        write_frame(&mut whole, b"one");
        write_frame(&mut whole, b"two");
        for cut in 11..22 {
            assert_eq!(frames(whole[..cut].to_vec().into()), ["one"], "{cut}");
        }
        whole[10] ^= 1;
        assert!(frames(whole.into()).is_empty());
    }

    #[test]
    fn refuses_a_folder_of_another_format() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("FORMAT"), "entente-follow 1\n").unwrap();
        let refused = Replica::open(Arc::new(RealDisk), dir.path());
        assert!(matches!(refused, Err(ReplicaError::Format)));
    }
}
