//! The half of a log that makes entries durable.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use entente_clock::{Clock, Timestamp};

use crate::disk::{Disk, DiskLock};
use crate::layout::Layout;
use crate::ledger::{Append, AppendError, Appended};
use crate::log::tail::{SealedSegment, Tail, TailEntry};
use crate::log::{LogError, MAX_COMMIT_BYTES};
use crate::wal::{Segment, encode_entry, segment_name};
use crate::{Entry, MAX_ATTACHMENT, MAX_ENTRY};

/// Appends to the write-ahead log. There is one.
#[derive(Debug)]
pub struct Appender {
    pub(super) disk: Arc<dyn Disk>,
    pub(super) layout: Layout,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) tail: Arc<Tail>,
    /// `None` after a failure, until a new one could be started.
    pub(super) segment: Option<Segment>,
    pub(super) next_number: u64,
    pub(super) next_index: u64,
    /// The time in the newest entry.
    pub(super) newest: Timestamp,
    pub(super) keeps_attachments: bool,
    pub(super) segment_bytes: u64,
    pub(super) preallocate: bool,
    /// Set when entries that were durable can no longer be read: nothing may go on.
    pub(super) is_lost: bool,
    pub(super) frames: Vec<u8>,
    /// Held as long as either half lives.
    pub(super) _lock: Arc<dyn DiskLock>,
}

// === impl Appender ===

impl Appender {
    /// Checks what does not depend on the disk: sizes, and that the clock is not behind.
    ///
    /// # Errors
    /// [`AppendError::Size`] or [`AppendError::ClockOff`].
    pub(crate) fn check(&self, entries: &[TailEntry]) -> Result<(), AppendError> {
        let mut bytes = 0;
        for entry in entries {
            let attached = entry.attachment.as_ref().map_or(0, |a| a.len());
            let refused = !self.keeps_attachments && entry.attachment.is_some();
            if !(1..=MAX_ENTRY).contains(&entry.entry.len()) || attached > MAX_ATTACHMENT || refused
            {
                return Err(AppendError::Size);
            }
            bytes += entry.entry.len() + attached;
        }
        if bytes > MAX_COMMIT_BYTES {
            return Err(AppendError::Size);
        }
        if self.clock.now() < self.newest.saturating_sub(CLOCK_BEHIND) {
            return Err(AppendError::ClockOff);
        }
        Ok(())
    }

    /// Appends entries in one commit: all are durable when this returns, or none was appended and no
    /// index was used.
    ///
    /// # Errors
    /// When a check fails, or the disk does; then [`Appender::reopen`] may mend it.
    pub fn append_batch(&mut self, appends: &[Append]) -> Result<Vec<Appended>, LogAppendError> {
        self.append_entries(appends.iter().cloned().map(TailEntry::from).collect())
    }

    /// The same, of entries whose callers hashed them.
    pub(crate) fn append_entries(
        &mut self,
        entries: Vec<TailEntry>,
    ) -> Result<Vec<Appended>, LogAppendError> {
        self.check(&entries)?;
        if entries.is_empty() {
            return Ok(Vec::new());
        }
        let first = self.next_index;
        let mut frames = std::mem::take(&mut self.frames);
        frames.clear();
        for (index, entry) in (first..).zip(&entries) {
            let attachment = entry.attachment.as_deref();
            encode_entry(&mut frames, index, first, &entry.entry, attachment);
        }
        let committed = self.commit(&frames);
        // One huge commit does not keep its memory.
        frames.shrink_to(KEPT_BUFFER);
        self.frames = frames;
        committed?;

        // The entries are durable. If we crash here they are found again, and nobody was told yet: the
        // exchange they belong to is closed at the next start.
        let mut appended = Vec::with_capacity(entries.len());
        for (index, entry) in (first..).zip(&entries) {
            appended.push(Appended {
                index,
                leaf_hash: entry.leaf,
            });
            if let Some(at) = Entry::time_of(&entry.entry) {
                self.newest = self.newest.max(at);
            }
        }
        self.next_index += entries.len() as u64;
        self.tail.push(entries);
        Ok(appended)
    }

    /// Whether a segment is open, so that appending may work.
    pub const fn is_open(&self) -> bool {
        self.segment.is_some()
    }

    /// Tries to start a new segment after a failure. It reserves room first, so that a disk that is
    /// still full is not taken for one that has space.
    ///
    /// # Errors
    /// When there is still no room, or entries are lost.
    pub fn reopen(&mut self) -> Result<(), LogError> {
        if self.is_lost {
            return Err(LogError::Damaged {
                path: self.layout.wal(),
                what: "durable entries can no longer be read",
            });
        }
        if self.segment.is_none() {
            self.start_segment(PROBE_BYTES)?;
        }
        Ok(())
    }

    /// How many entries are durable.
    pub const fn size(&self) -> u64 {
        self.next_index
    }

    /// Where durable entries are handed on.
    pub(crate) fn tail(&self) -> Arc<Tail> {
        Arc::clone(&self.tail)
    }

    fn commit(&mut self, frames: &[u8]) -> Result<(), LogError> {
        let len = frames.len() as u64;
        match &self.segment {
            Some(segment) if segment.fits(len, self.segment_bytes) => {}
            Some(segment) if segment.first_index() == self.next_index => {
                // Empty, and the commit is larger than a segment: it may grow.
            }
            Some(_) => {
                self.seal();
                self.start_segment(0)?;
            }
            None => return Err(closed(self.layout.wal())),
        }
        let Some(segment) = &mut self.segment else {
            return Err(closed(self.layout.wal()));
        };
        match segment.commit(frames) {
            Ok(()) => {
                self.tail.note_written(segment.written());
                Ok(())
            }
            Err(error) => {
                self.abandon();
                Err(error.into())
            }
        }
    }

    /// Gives up a segment whose last write failed, after reading back what was durable before it.
    fn abandon(&mut self) {
        let Some(segment) = self.segment.take() else {
            return;
        };
        let (path, first, end) = (
            segment.path().to_owned(),
            segment.first_index(),
            self.next_index,
        );
        // Best effort: takes away the frames that were refused. Where it fails, the next segment's header
        // says that they do not count.
        let _ = segment.seal();
        drop(segment);
        if first == end {
            // Nothing in it was ever durable.
            let _ = self.disk.remove(&path);
            return;
        }
        // The system may have dropped pages it could not write, older ones too, and would not say so
        // twice. What we told others is durable must still be there.
        let whole = self.disk.read(&path).map(|bytes| {
            let scan = crate::wal::scan(&bytes.into());
            first + scan.frames.len() as u64 >= end
        });
        if !matches!(whole, Ok(true)) {
            tracing::error!("durable ledger entries cannot be read back; refusing to go on");
            self.is_lost = true;
        }
        self.tail.seal(SealedSegment { path, end });
    }

    fn seal(&mut self) {
        if let Some(segment) = self.segment.take() {
            // Best effort: the zeros at its end are only wasted room.
            let _ = segment.seal();
            self.tail.seal(SealedSegment {
                path: segment.path().to_owned(),
                end: self.next_index,
            });
        }
    }

    /// Starts the next segment: the spare one, or a new file with at least `least` bytes of room.
    pub(super) fn start_segment(&mut self, least: u64) -> Result<(), LogError> {
        let number = self.next_number;
        self.next_number += 1;
        let spare = self.tail.take_spare();
        let wal = self.layout.wal();
        let start = |spare, reserve| {
            Segment::start(&*self.disk, &wal, number, self.next_index, reserve, spare)
        };
        let started = match spare {
            Some(spare) => start(Some(spare), 0),
            // Inline zeros cost milliseconds, once: at the start, or when the one who fills segments ahead
            // did not keep up; then growing is the cheaper of two evils.
            None => start(None, least),
        };
        let segment = started?;
        tracing::debug!(segment = segment_name(segment.number()), "new segment");
        self.tail.note_written(segment.written());
        self.segment = Some(segment);
        Ok(())
    }

    /// How much room a segment gets ahead of use.
    pub(super) const fn reserve(&self) -> u64 {
        if self.preallocate {
            self.segment_bytes
        } else {
            0
        }
    }

    /// Whether it is time to fill the next segment ahead of use.
    pub(crate) fn wants_spare(&self) -> bool {
        self.preallocate && self.tail.wants_spare(self.segment_bytes)
    }

    /// Ends the segment when the log is closed.
    pub(crate) fn close(&self) {
        if let Some(segment) = &self.segment {
            let _ = segment.seal();
        }
    }
}

/// Why a commit failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LogAppendError {
    /// Refused before anything was written.
    #[error("failed to append to the ledger")]
    Refused(#[from] AppendError),
    /// The disk failed.
    #[error("failed to write the ledger")]
    Log(#[from] LogError),
}

fn closed(path: PathBuf) -> LogError {
    LogError::Damaged {
        path,
        what: "its last write failed, and no new segment could be started yet",
    }
}

/// How far the clock may be behind the newest entry.
const CLOCK_BEHIND: Duration = Duration::from_secs(60);
/// Room a new segment must get after a failure.
const PROBE_BYTES: u64 = 256 * 1024;
/// How large the buffer of frames stays between commits.
const KEPT_BUFFER: usize = 1024 * 1024;
