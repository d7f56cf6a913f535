//! Opening a ledger: replaying the write-ahead log over the tiles, and refusing what does not agree.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use entente_clock::Timestamp;
use entente_signing::Digest;

use crate::Entry;
use crate::checkpoint::SignedCheckpoint;
use crate::disk::{Disk, DiskLock};
use crate::layout::{Layout, State};
use crate::ledger::LedgerConfig;
use crate::log::files::{Files, claim_format};
use crate::log::integrator::root_with;
use crate::log::nodes::Tiles;
use crate::log::tail::{SealedSegment, Tail, TailEntry};
use crate::log::{Appender, Integrator, Log, LogError, Recovery, SIGNED, TREE};
use crate::proof;
use crate::signatory::Signatory;
use crate::tile::{Level, MAX_LEVEL, TileId, WIDTH};
use crate::tree::{empty_root, leaf_hash};
use crate::wal::{Replay, SPARE, replay};

impl Log {
    /// Opens a ledger, or creates it in an empty folder, and recovers what a crash left.
    ///
    /// # Errors
    /// When the folder is another ledger's or format's, is open elsewhere, cannot be read, or holds
    /// what no crash could have left.
    pub fn open(config: LedgerConfig) -> Result<Self, LogError> {
        let layout = Layout::new(&config.dir);
        let disk = Arc::clone(&config.disk);
        disk.create_dir_all(layout.dir())?;
        let lock: Arc<dyn DiskLock> = Arc::from(disk.lock(&layout.lock())?);
        claim_format(&disk, &layout)?;
        for dir in [layout.state(), layout.wal()] {
            disk.create_dir_all(&dir)?;
        }
        let files = Files::new(Arc::clone(&disk), &layout);
        files.clear_tmp()?;
        // What is visible after the process died need not be durable. From here on it is.
        let above = layout.dir().parent().map(Path::to_owned);
        let above = above.filter(|above| !above.as_os_str().is_empty());
        let held = [layout.dir().to_owned(), layout.served(), layout.state()];
        for dir in above.into_iter().chain(held) {
            disk.sync_dir(&dir)?;
        }

        let state = |path: PathBuf, kind| match read_state(&*disk, path, kind)? {
            Some(state) if state.origin != config.origin => Err(LogError::Origin {
                path: layout.dir().to_owned(),
            }),
            state => Ok(state),
        };
        let signed = state(layout.signed(), SIGNED)?;
        let tree = state(layout.tree_state(), TREE)?.unwrap_or_else(|| State {
            origin: config.origin.clone(),
            size: 0,
            root: empty_root(),
        });
        let mut tiles = Tiles::new(Arc::clone(&disk), layout.clone(), tree.size);
        let edge = load_edge(&mut tiles)?;
        let tail = Arc::new(load_tail(&mut tiles, &edge, &tree, &layout)?);
        check_signed(&mut tiles, signed.as_ref(), &layout)?;
        let mut load = |path| load_checkpoint(path, &mut tiles, signed.as_ref(), &config);
        let checkpoint = load(layout.checkpoint())?;
        let finality = match config.cosigner {
            Some(_) => load(layout.finality())?,
            None => checkpoint.clone(),
        };

        let replayed = replay_onto(&tail, &mut tiles, &layout, &*disk)?;
        let next_index = tail.size();
        let is_gone = replayed.next_index.is_none() && (tree.size > 0 || signed.is_some());
        let is_short = replayed.next_index.is_some_and(|next| next != next_index);
        if is_gone || is_short {
            return Err(LogError::Lost {
                path: layout.dir().to_owned(),
            });
        }
        mend_wal(&*disk, &layout, &replayed, &tail)?;

        let recovery = Recovery {
            size: next_index,
            replayed: next_index - tree.size,
            torn_bytes: replayed.torn_bytes,
        };
        if recovery.torn_bytes > 0 {
            tracing::warn!(
                bytes = recovery.torn_bytes,
                "cut off a torn tail of the ledger"
            );
        }
        let mut appender = Appender {
            disk: Arc::clone(&disk),
            layout: layout.clone(),
            clock: config.clock,
            newest: newest_time(&tail, &mut tiles)?,
            tail: Arc::clone(&tail),
            segment: None,
            next_number: replayed.last_number.map_or(0, |number| number + 1),
            next_index,
            keeps_attachments: config.companion.keeps_attachments(),
            segment_bytes: config.segment_bytes.clamp(MIN_SEGMENT, MAX_SEGMENT),
            preallocate: config.preallocate,
            is_lost: false,
            frames: Vec::new(),
            _lock: Arc::clone(&lock),
        };
        match appender.start_segment(appender.reserve()) {
            // A full disk does not keep us from starting: with less room at first, and when there is not
            // even that, it is tried again until there is.
            Err(error) if error.is_no_space() => {
                let _ = appender.reopen();
            }
            started => started?,
        }
        let integrator = Integrator {
            found: find_partials(&*disk, &layout, tree.size)?,
            disk,
            files,
            layout,
            origin: config.origin,
            signer: config.signer,
            companion: config.companion,
            full: tail.start(),
            tail,
            edge,
            companion_size: tree.size,
            tree,
            signed,
            checkpoint,
            finality,
            is_witnessed: config.cosigner.is_some(),
            partials: Vec::new(),
            segment_bytes: appender.segment_bytes,
            preallocate: config.preallocate,
            _lock: lock,
        };
        Ok(Self {
            appender,
            integrator,
            recovery,
        })
    }
}

/// Reads a state file; `None` when there is none.
pub(crate) fn read_state(
    disk: &dyn Disk,
    path: PathBuf,
    kind: &str,
) -> Result<Option<State>, LogError> {
    match disk.read(&path) {
        Ok(bytes) => match State::decode(kind, &bytes) {
            Some(state) => Ok(Some(state)),
            None => Err(damaged(path, "it does not read as a state file")),
        },
        Err(error) if error.is_missing() => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// The hashes of the last tile of each level from 1 up.
fn load_edge(tiles: &mut Tiles) -> Result<Vec<Vec<Digest>>, LogError> {
    let mut edge = Vec::new();
    for level in 1..=MAX_LEVEL {
        let count = tiles.size() >> Level::Hashes(level).shift();
        if count == 0 {
            break;
        }
        let hashes = (count - count % WIDTH..count).map(|index| tiles.hash(level, index));
        edge.push(hashes.collect::<Result<_, _>>()?);
    }
    Ok(edge)
}

/// The entries of the bundle that is not full, checked against the tree's root.
fn load_tail(
    tiles: &mut Tiles,
    edge: &[Vec<Digest>],
    tree: &State,
    layout: &Layout,
) -> Result<Tail, LogError> {
    let width = (tree.size % WIDTH) as usize;
    let tail = Tail::new(tree.size - tree.size % WIDTH);
    if width > 0 {
        let (entries, _) = tiles.bundle(tree.size - 1)?;
        tail.push(entries[..width].iter().map(|entry| TailEntry {
            entry: entry.clone(),
            leaf: leaf_hash(entry),
            attachment: None,
        }));
    }
    let held = tail.slice(tail.start(), tree.size);
    let leaves: Vec<_> = held.iter().map(|entry| entry.leaf).collect();
    if root_with(edge, &leaves) != tree.root {
        let what = "its root is not that of the tiles";
        return Err(damaged(layout.tree_state(), what));
    }
    Ok(tail)
}

/// Refuses tiles that are not the tree that was signed.
fn check_signed(
    tiles: &mut Tiles,
    signed: Option<&State>,
    layout: &Layout,
) -> Result<(), LogError> {
    let Some(signed) = signed else {
        return Ok(());
    };
    // Persisted only after the tiles: a smaller tree has lost entries that were signed for.
    if signed.size > tiles.size() || proof::root(tiles, signed.size)? != signed.root {
        let what = "the tiles are not the tree that was signed";
        return Err(damaged(layout.signed(), what));
    }
    Ok(())
}

fn load_checkpoint(
    path: PathBuf,
    tiles: &mut Tiles,
    signed: Option<&State>,
    config: &LedgerConfig,
) -> Result<Option<Arc<SignedCheckpoint>>, LogError> {
    let bytes = match config.disk.read(&path) {
        Ok(bytes) => bytes,
        Err(error) if error.is_missing() => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let keys: &dyn Signatory = &*config.signer;
    let Ok(checkpoint) = SignedCheckpoint::verify_by(&bytes, keys) else {
        return Err(damaged(path, "it is not signed by this ledger's key"));
    };
    if signed.is_none_or(|signed| signed.size < checkpoint.size())
        || proof::root(tiles, checkpoint.size())? != checkpoint.root()
    {
        return Err(damaged(path, "the tiles are not the tree it is of"));
    }
    Ok(Some(Arc::new(checkpoint)))
}

/// Adds what is only in the write-ahead log, and compares what is in both.
fn replay_onto(
    tail: &Tail,
    tiles: &mut Tiles,
    layout: &Layout,
    disk: &dyn Disk,
) -> Result<Replay, LogError> {
    let wal = layout.wal();
    replay(disk, &wal, |frame| {
        let leaf = leaf_hash(&frame.entry);
        if frame.index < tiles.size() {
            return match tiles.hash(0, frame.index)? {
                known if known == leaf => Ok(()),
                _ => Err(damaged(wal.clone(), "an entry is not the one in the tiles")),
            };
        }
        if frame.index != tail.size() {
            return Err(damaged(
                wal.clone(),
                "entries are missing between it and the tiles",
            ));
        }
        // Copied, so that it does not hold the whole segment in memory.
        let copy = |bytes: &bytes::Bytes| bytes::Bytes::copy_from_slice(bytes);
        tail.push([TailEntry {
            entry: copy(&frame.entry),
            leaf,
            attachment: frame.attachment.as_ref().map(copy),
        }]);
        Ok(())
    })
}

/// Cuts off the torn tail, makes durable what was replayed, and removes what was never used.
fn mend_wal(
    disk: &dyn Disk,
    layout: &Layout,
    replayed: &Replay,
    tail: &Tail,
) -> Result<(), LogError> {
    let wal = layout.wal();
    if let Some(last) = replayed.segments.last() {
        let file = disk.open(&last.path)?;
        if file.len()? > last.whole {
            file.set_len(last.whole)?;
        }
        // The process may have died between write and sync: the frames were read from memory, and only
        // now are they durable. If we crash here, the same is found again, or less that nobody was told.
        file.sync_data()?;
    }
    for path in &replayed.empty {
        disk.remove(path)?;
    }
    match disk.remove(&wal.join(SPARE)) {
        Err(error) if !error.is_missing() => return Err(error.into()),
        _ => {}
    }
    disk.sync_dir(&wal)?;
    let ends = replayed
        .segments
        .iter()
        .skip(1)
        .map(|next| next.first_index);
    for (segment, end) in replayed.segments.iter().zip(ends.chain([tail.size()])) {
        tracing::debug!(segment = segment.number, end, "replayed");
        tail.seal(SealedSegment {
            path: segment.path.clone(),
            end,
        });
    }
    Ok(())
}

fn newest_time(tail: &Tail, tiles: &mut Tiles) -> Result<Timestamp, LogError> {
    let held = tail.slice(tail.start(), tail.size());
    let held = held.iter().filter_map(|entry| Entry::time_of(&entry.entry));
    if let Some(newest) = held.max() {
        return Ok(newest);
    }
    let last = match tiles.size() {
        0 => None,
        size => {
            let (entries, _) = tiles.bundle(size - 1)?;
            entries
                .iter()
                .filter_map(|entry| Entry::time_of(entry))
                .max()
        }
    };
    Ok(last.unwrap_or_else(|| Timestamp::from_millis(0)))
}

/// Tiles narrower than full at the right edge of a tree of `size`.
fn find_partials(disk: &dyn Disk, layout: &Layout, size: u64) -> Result<Vec<TileId>, LogError> {
    let mut found = Vec::new();
    for level in [Level::Entries]
        .into_iter()
        .chain((0..=MAX_LEVEL).map(Level::Hashes))
    {
        let id = |width| TileId {
            level,
            index: size.checked_shr(level.shift()).unwrap_or(0) / WIDTH,
            width,
        };
        let path = layout.tile(id(1));
        let Some(dir) = path.parent() else {
            continue;
        };
        if disk.exists(dir)? {
            let items = disk.list(dir)?;
            found.extend(
                items
                    .iter()
                    .filter_map(|item| item.name.parse().ok())
                    .map(id),
            );
        }
    }
    Ok(found)
}

fn damaged(path: PathBuf, what: &'static str) -> LogError {
    LogError::Damaged { path, what }
}

/// Bounds of a segment, in bytes.
const MIN_SEGMENT: u64 = 4 * 1024;
const MAX_SEGMENT: u64 = 64 * 1024 * 1024;
