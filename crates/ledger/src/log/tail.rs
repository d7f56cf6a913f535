//! The entries that are durable but not all in full bundles yet: what the appender hands the integrator.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use entente_signing::Digest;

use crate::disk::DiskFile;
use crate::ledger::Append;
use crate::tree::leaf_hash;

/// Shared by the two halves of a [`super::Log`], and by readers.
#[derive(Debug, Default)]
pub(crate) struct Tail {
    /// How many entries are durable. Stored after `held` holds them.
    size: AtomicU64,
    /// Bytes of the active segment that are written.
    written: AtomicU64,
    held: Mutex<Held>,
    /// Told when entries or attachments were let go.
    drained: Condvar,
    /// Segments that take no more entries, oldest first.
    sealed: Mutex<VecDeque<SealedSegment>>,
    /// The segment filled ahead of use.
    spare: Mutex<Option<Box<dyn DiskFile>>>,
}

#[derive(Debug, Default)]
struct Held {
    /// Index of the first one; a multiple of the bundle's width.
    start: u64,
    entries: VecDeque<TailEntry>,
    /// Bytes of entries and attachments.
    bytes: u64,
}

/// One entry, hashed; durable once it is in a [`Tail`].
#[derive(Clone, Debug)]
pub(crate) struct TailEntry {
    pub(crate) entry: Bytes,
    pub(crate) leaf: Digest,
    /// Until the companion has it.
    pub(crate) attachment: Option<Bytes>,
}

/// A segment that takes no more entries.
#[derive(Debug)]
pub(crate) struct SealedSegment {
    pub(crate) path: PathBuf,
    /// The index after its last entry.
    pub(crate) end: u64,
}

// === impl Tail ===

impl Tail {
    /// Starts with the entries from `start`, a multiple of the bundle's width.
    pub(crate) fn new(start: u64) -> Self {
        let tail = Self::default();
        tail.held().start = start;
        tail.size.store(start, Ordering::Release);
        tail
    }

    /// Adds entries that are durable.
    pub(crate) fn push(&self, entries: impl IntoIterator<Item = TailEntry>) {
        let mut held = self.held();
        for entry in entries {
            held.bytes += entry.bytes();
            held.entries.push_back(entry);
        }
        let size = held.start + held.entries.len() as u64;
        self.size.store(size, Ordering::Release);
    }

    /// How many entries are durable.
    pub(crate) fn size(&self) -> u64 {
        self.size.load(Ordering::Acquire)
    }

    /// Index of the first entry held.
    pub(crate) fn start(&self) -> u64 {
        self.held().start
    }

    /// Bytes held, in entries and attachments.
    pub(crate) fn bytes(&self) -> u64 {
        self.held().bytes
    }

    /// Copies of the entries in `range`, as far as they are held.
    pub(crate) fn slice(&self, start: u64, end: u64) -> Vec<TailEntry> {
        let held = self.held();
        let Some(from) = start.checked_sub(held.start) else {
            return Vec::new();
        };
        let to = (end.max(held.start) - held.start).min(held.entries.len() as u64);
        if from >= to {
            return Vec::new();
        }
        held.entries
            .range(from as usize..to as usize)
            .cloned()
            .collect()
    }

    /// One entry, when it is held.
    pub(crate) fn entry(&self, index: u64) -> Option<TailEntry> {
        let held = self.held();
        let at = index.checked_sub(held.start)?;
        held.entries.get(usize::try_from(at).ok()?).cloned()
    }

    /// Lets go of the attachments below `end`: the companion has them durably.
    pub(crate) fn drop_attachments(&self, end: u64) {
        let mut held = self.held();
        let count = end.saturating_sub(held.start) as usize;
        let entries = held.entries.iter_mut().take(count);
        let dropped: Vec<Bytes> = entries.filter_map(|e| e.attachment.take()).collect();
        held.bytes -= dropped.iter().map(|a| a.len() as u64).sum::<u64>();
        drop(held);
        self.drained.notify_all();
        // Memory is given back where no append waits for it.
        drop(dropped);
    }

    /// Lets go of the entries below `end`: they are in full bundles.
    pub(crate) fn drop_entries(&self, end: u64) {
        let mut held = self.held();
        let count = (end.saturating_sub(held.start) as usize).min(held.entries.len());
        let dropped: Vec<TailEntry> = held.entries.drain(..count).collect();
        held.start += count as u64;
        held.bytes -= dropped.iter().map(TailEntry::bytes).sum::<u64>();
        drop(held);
        self.drained.notify_all();
        // As above.
        drop(dropped);
    }

    /// Waits until fewer than `bytes` are held; `false` when that took too long.
    pub(crate) fn wait_below(&self, bytes: u64, timeout: Duration) -> bool {
        let is_full = |held: &mut Held| held.bytes >= bytes;
        match self
            .drained
            .wait_timeout_while(self.held(), timeout, is_full)
        {
            Ok((_, waited)) => !waited.timed_out(),
            Err(_) => false,
        }
    }

    /// Bytes written to the active segment.
    pub(crate) fn written(&self) -> u64 {
        self.written.load(Ordering::Relaxed)
    }

    pub(crate) fn note_written(&self, bytes: u64) {
        self.written.store(bytes, Ordering::Relaxed);
    }

    /// Adds a segment that takes no more entries.
    pub(crate) fn seal(&self, segment: SealedSegment) {
        lock(&self.sealed).push_back(segment);
    }

    /// Takes the oldest segment when all its entries are below `end`.
    pub(crate) fn take_sealed(&self, end: u64) -> Option<SealedSegment> {
        let mut sealed = lock(&self.sealed);
        let oldest = sealed.front()?;
        (oldest.end <= end).then(|| sealed.pop_front())?
    }

    /// Puts back a segment that could not be removed.
    pub(crate) fn put_back(&self, segment: SealedSegment) {
        lock(&self.sealed).push_front(segment);
    }

    pub(crate) fn take_spare(&self) -> Option<Box<dyn DiskFile>> {
        lock(&self.spare).take()
    }

    pub(crate) fn put_spare(&self, spare: Box<dyn DiskFile>) {
        *lock(&self.spare) = Some(spare);
    }

    /// Whether the active segment, of `segment_bytes`, is half full and there is no spare.
    pub(crate) fn wants_spare(&self, segment_bytes: u64) -> bool {
        self.written() > segment_bytes / 2 && lock(&self.spare).is_none()
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        lock(&self.held)
    }
}

// === impl TailEntry ===

impl TailEntry {
    /// Bytes of the entry and its attachment.
    pub(crate) fn bytes(&self) -> u64 {
        (self.entry.len() + self.attachment.as_ref().map_or(0, Bytes::len)) as u64
    }
}

impl From<Append> for TailEntry {
    fn from(append: Append) -> Self {
        Self {
            leaf: leaf_hash(&append.entry),
            entry: append.entry,
            attachment: append.attachment,
        }
    }
}

/// No code panics while it holds one of these locks, and none leaves half a change behind.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
