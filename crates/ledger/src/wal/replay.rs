//! Reading segments back: what is whole, what is torn, what is damaged.

use std::path::{Path, PathBuf};

use bytes::Bytes;

use super::frame::{EntryFrame, HEAD, Header, body_at, decode_entry, decode_header};
use super::segment_number;
use crate::disk::Disk;
use crate::log::LogError;

/// One segment, read.
#[derive(Debug)]
pub(crate) struct SegmentScan {
    /// `None` when not even the header is whole.
    pub(crate) header: Option<Header>,
    /// Its frames up to the first that is not whole, without gaps.
    pub(crate) frames: Vec<EntryFrame>,
    /// Where the whole frames end, in bytes.
    pub(crate) whole: u64,
    /// Bytes that follow and are not zero, up to the last that is not.
    pub(crate) torn_bytes: u64,
    /// Whether a later commit follows what is not whole: then it had been durable, and is damaged.
    pub(crate) is_damaged: bool,
}

/// What replaying the whole write-ahead log came to.
#[derive(Debug, Default)]
pub(crate) struct Replay {
    /// Segments, oldest first.
    pub(crate) segments: Vec<ReplayedSegment>,
    /// Bytes that follow the last whole frame.
    pub(crate) torn_bytes: u64,
    /// The index after the last entry; `None` when there is no whole header.
    pub(crate) next_index: Option<u64>,
    /// Segments in which no frame can be, because not even their header is whole: to be removed.
    pub(crate) empty: Vec<PathBuf>,
    /// The highest number a segment has.
    pub(crate) last_number: Option<u64>,
}

/// A segment with what of it counts.
#[derive(Debug)]
pub(crate) struct ReplayedSegment {
    pub(crate) number: u64,
    pub(crate) first_index: u64,
    /// Where its whole frames end, in bytes.
    pub(crate) whole: u64,
    pub(crate) path: PathBuf,
}

/// Reads a segment's bytes.
pub(crate) fn scan(bytes: &Bytes) -> SegmentScan {
    let header = body_at(bytes, 0).and_then(|body| {
        let header = decode_header(body).ok()?;
        Some((header, HEAD + body.len()))
    });
    let mut frames: Vec<EntryFrame> = Vec::new();
    let mut at = 0;
    if let Some((header, end)) = header {
        at = end;
        let mut next = header.first_index;
        while let Some((frame, end)) = entry_at(bytes, at) {
            let commit = frames.last().map(|last| last.commit);
            let follows =
                frame.index == next && (frame.commit == next || Some(frame.commit) == commit);
            if !follows {
                break;
            }
            at = end;
            next += 1;
            frames.push(frame);
        }
    }
    let next = header.map(|(header, _)| header.first_index + frames.len() as u64);
    let rest = &bytes[at..];
    let torn_bytes = rest
        .iter()
        .rposition(|b| *b != 0)
        .map_or(0, |last| last + 1);
    let is_damaged = torn_bytes > 0 && later_commit(bytes, at + 1, at + torn_bytes, next);
    SegmentScan {
        header: header.map(|(header, _)| header),
        frames,
        whole: at as u64,
        torn_bytes: torn_bytes as u64,
        is_damaged,
    }
}

/// Reads all segments in order and hands each entry that counts to `entry`, oldest first.
pub(crate) fn replay(
    disk: &dyn Disk,
    wal: &Path,
    mut entry: impl FnMut(EntryFrame) -> Result<(), LogError>,
) -> Result<Replay, LogError> {
    let mut numbers: Vec<_> = disk
        .list(wal)?
        .iter()
        .filter_map(|item| segment_number(&item.name))
        .collect();
    numbers.sort_unstable();
    let mut replay = Replay {
        last_number: numbers.last().copied(),
        ..Replay::default()
    };
    // A segment is judged when the one after it is known: its header says where this one ends.
    let mut pending: Option<(PathBuf, SegmentScan)> = None;
    for number in numbers {
        let path = wal.join(super::segment_name(number));
        let scanned = scan(&Bytes::from(disk.read(&path)?));
        let Some(header) = scanned.header else {
            if scanned.is_damaged {
                return Err(damaged(&path, "its header is not whole"));
            }
            // The start of a segment that was never finished, so nothing was written to it.
            replay.torn_bytes += scanned.torn_bytes;
            replay.empty.push(path);
            continue;
        };
        if header.number != number {
            return Err(damaged(&path, "it is named like another segment"));
        }
        if let Some((before, scan)) = pending.replace((path, scanned)) {
            take(
                &mut replay,
                before,
                scan,
                Some(header.first_index),
                &mut entry,
            )?;
        }
    }
    if let Some((path, scan)) = pending {
        if scan.is_damaged {
            return Err(damaged(&path, "an entry is not whole and later ones are"));
        }
        take(&mut replay, path, scan, None, &mut entry)?;
    }
    Ok(replay)
}

/// Takes one segment's frames, those below `end`: what lies beyond was refused to its callers, and its
/// indices were given to others in the segment that follows.
fn take(
    replay: &mut Replay,
    path: PathBuf,
    scan: SegmentScan,
    end: Option<u64>,
    entry: &mut impl FnMut(EntryFrame) -> Result<(), LogError>,
) -> Result<(), LogError> {
    let Some(header) = scan.header else {
        return Ok(());
    };
    let mut next = header.first_index;
    if replay.next_index.is_some_and(|expected| expected != next) {
        return Err(damaged(&path, "entries before it are missing"));
    }
    for frame in scan.frames {
        if end.is_some_and(|end| frame.index >= end) {
            break;
        }
        next = frame.index + 1;
        entry(frame)?;
    }
    if end.is_some_and(|end| next != end) {
        return Err(damaged(&path, "entries at its end are missing"));
    }
    replay.torn_bytes += scan.torn_bytes;
    replay.next_index = Some(next);
    replay.segments.push(ReplayedSegment {
        number: header.number,
        first_index: header.first_index,
        whole: scan.whole,
        path,
    });
    Ok(())
}

/// Whether anywhere in `from..to` starts a whole frame of a commit after the one that `next` was part
/// of. A header counts: segments are only begun when the one before is done.
fn later_commit(bytes: &Bytes, from: usize, to: usize, next: Option<u64>) -> bool {
    (from..to).any(|at| {
        // Bodies are arrays of four; most bytes are passed over by this alone.
        if bytes.get(at + HEAD) != Some(&0x84) {
            return false;
        }
        match (entry_at(bytes, at), next) {
            (Some((frame, _)), Some(next)) => frame.commit > next || frame.index <= next,
            (Some(_), None) => true,
            (None, _) => false,
        }
    })
}

/// The entry whose frame starts at `at`, and where it ends.
fn entry_at(bytes: &Bytes, at: usize) -> Option<(EntryFrame, usize)> {
    let body = body_at(bytes, at)?;
    let frame = decode_entry(&bytes.slice_ref(body)).ok()?;
    Some((frame, at + HEAD + body.len()))
}

fn damaged(path: &Path, what: &'static str) -> LogError {
    LogError::Damaged {
        path: path.to_owned(),
        what,
    }
}
