//! The half of a log that moves durable entries to bundles and tiles, and signs checkpoints.

use std::sync::Arc;

use entente_signing::Digest;

use crate::checkpoint::{Checkpoint, SignedCheckpoint};
use crate::companion::{Companion, CompanionError};
use crate::cosigner::Witnessed;
use crate::disk::{Disk, DiskLock};
use crate::layout::{Layout, State};
use crate::log::files::Files;
use crate::log::tail::{Tail, TailEntry};
use crate::log::{LogError, SIGNED, TREE};
use crate::signatory::Signatory;
use crate::tile::{Level, TileId, WIDTH, encode_bundle, encode_hashes};
use crate::tree::{empty_root, root_of};
use crate::wal::Segment;

/// Writes everything but the write-ahead log. There is one.
#[derive(Debug)]
pub struct Integrator {
    pub(super) disk: Arc<dyn Disk>,
    pub(super) layout: Layout,
    pub(super) files: Files,
    pub(super) origin: String,
    pub(super) signer: Arc<dyn Signatory>,
    pub(super) companion: Box<dyn Companion>,
    pub(super) tail: Arc<Tail>,
    /// How many entries are in full bundles.
    pub(super) full: u64,
    /// The hashes of the last tile of each level from 1 up, which is not full.
    pub(super) edge: Vec<Vec<Digest>>,
    /// How many entries' attachments the companion has durably.
    pub(super) companion_size: u64,
    /// What `.state/tree` says.
    pub(super) tree: State,
    /// What `.state/signed` says.
    pub(super) signed: Option<State>,
    /// The newest published checkpoint.
    pub(super) checkpoint: Option<Arc<SignedCheckpoint>>,
    /// The newest published checkpoint with a quorum of cosignatures.
    pub(super) finality: Option<Arc<SignedCheckpoint>>,
    /// Whether witnesses are asked at all.
    pub(super) is_witnessed: bool,
    /// Tiles and bundles narrower than full that are durable.
    pub(super) partials: Vec<TileId>,
    /// The same, found at start: perhaps durable, perhaps not. Written again when needed.
    pub(super) found: Vec<TileId>,
    pub(super) segment_bytes: u64,
    pub(super) preallocate: bool,
    /// Held as long as either half lives.
    pub(super) _lock: Arc<dyn DiskLock>,
}

// === impl Integrator ===

impl Integrator {
    /// Stores attachments, writes the bundles and tiles that are full by now, and lets go of the
    /// segments and memory that are no longer needed. Calling it again after an error is safe.
    ///
    /// # Errors
    /// When the disk or the companion fails; nothing is lost.
    pub fn integrate(&mut self) -> Result<(), LogError> {
        self.integrate_to(self.tail.size())
    }

    /// Integrates the first `size` entries. More may become durable meanwhile, and wait.
    fn integrate_to(&mut self, size: u64) -> Result<(), LogError> {
        self.store_attachments(size)?;
        let full = size - size % WIDTH;
        if full > self.full {
            let mut edge = self.edge.clone();
            let mut at = self.full;
            while at < full {
                self.write_full(at, &mut edge)?;
                at += WIDTH;
                // What is appended meanwhile does not wait for all of this to find room. Without a spare the
                // next segment grows as it is written; that is no failure.
                let _ = self.prepare_spare();
            }
            let root = root_with(&edge, &[]);
            self.files.sync()?;
            // If we crash here, the tiles are there and the state file is the old one: the entries are
            // still in the write-ahead log, and the same tiles are written again.
            if full > self.tree.size {
                self.write_tree(full, root)?;
            }
            self.edge = edge;
            self.full = full;
            self.tail.drop_entries(full);
            self.remove_partials()?;
        }
        self.release()
    }

    /// Integrates everything that is durable, tiles that are not full included, then persists what
    /// will be signed, and signs it. `None` when that size is published already.
    ///
    /// # Errors
    /// When the disk fails, the key cannot sign or is not at hand, or another root was signed for this size.
    pub fn prepare_checkpoint(&mut self) -> Result<Option<SignedCheckpoint>, LogError> {
        // Looked at once: what is appended from here on is for the next checkpoint.
        let size = self.tail.size();
        self.integrate_to(size)?;
        if self.checkpoint.as_ref().is_some_and(|c| c.size() == size) {
            return Ok(None);
        }
        // Before anything is said to be signed: without it, nothing is.
        let signer = self.signer.signer(size).ok_or(LogError::NoKey)?;
        let entries = self.tail.slice(self.full, size);
        let leaves: Vec<_> = entries.iter().map(|entry| entry.leaf).collect();
        let root = root_with(&self.edge, &leaves);
        self.write_partials(size, &entries, &leaves)?;
        // If we crash here, partial tiles are there that no state file names. They are what the entries
        // give, so they are harmless.
        if size > self.tree.size {
            self.write_tree(size, root)?;
        }
        self.persist_signed(size, root)?;
        // If we crash here, nothing was signed, or something was that nobody has seen. The next start
        // finds this root for this size again, or refuses to start.
        let checkpoint = Checkpoint {
            origin: self.origin.clone(),
            size,
            root,
        };
        SignedCheckpoint::sign(checkpoint, &*signer)
            .map(Some)
            .map_err(LogError::Sign)
    }

    /// Publishes what [`Integrator::prepare_checkpoint`] signed, with the cosignatures that were gathered
    /// in between; or the published one again, with more of them.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn publish(&mut self, witnessed: &Witnessed) -> Result<(), LogError> {
        let checkpoint = witnessed.checkpoint();
        let note = checkpoint.note().to_string();
        let is_final = matches!(witnessed, Witnessed::Final(_));
        if is_final && self.is_witnessed {
            self.files.write(&self.layout.finality(), note.as_bytes())?;
            self.files.sync()?;
            // If we crash here, a checkpoint is known to be final that is not published yet: the next start
            // signs the same one and asks the witnesses again.
        }
        self.files
            .write(&self.layout.checkpoint(), note.as_bytes())?;
        self.files.sync()?;
        // If we crash here, the checkpoint is out; `.state/signed` has had it since before it was signed.
        self.checkpoint = Some(Arc::clone(checkpoint));
        if is_final {
            self.finality = Some(Arc::clone(checkpoint));
        }
        self.release()
    }

    /// The newest published checkpoint.
    pub fn checkpoint(&self) -> Option<Arc<SignedCheckpoint>> {
        self.checkpoint.clone()
    }

    /// The newest published checkpoint that the witnesses' quorum cosigned.
    pub fn finality(&self) -> Option<Arc<SignedCheckpoint>> {
        self.finality.clone()
    }

    /// Whether the newest published checkpoint, if any, is final.
    pub fn is_final(&self) -> bool {
        let size = |held: &Option<Arc<SignedCheckpoint>>| held.as_ref().map(|c| c.size());
        size(&self.checkpoint) == size(&self.finality)
    }

    /// Whether entries are durable that no published checkpoint covers.
    pub fn has_grown(&self) -> bool {
        let published = self.checkpoint.as_ref().map(|c| c.size());
        published.is_none_or(|published| published < self.tail.size())
    }

    /// Fills the next segment with zeros ahead of use, when the active one is half full.
    ///
    /// # Errors
    /// When the disk fails; appending goes on in a segment that grows.
    pub fn prepare_spare(&self) -> Result<(), LogError> {
        if self.preallocate && self.tail.wants_spare(self.segment_bytes) {
            let spare = Segment::spare(&*self.disk, &self.layout.wal(), self.segment_bytes)?;
            self.tail.put_spare(spare);
        }
        Ok(())
    }

    /// Removes the segment prepared ahead of use, when the log is closed.
    pub(crate) fn close(&self) {
        if self.tail.take_spare().is_some() {
            // Best effort: the next start removes it otherwise.
            let _ = self.disk.remove(&self.layout.wal().join(crate::wal::SPARE));
        }
    }

    fn store_attachments(&mut self, size: u64) -> Result<(), LogError> {
        if self.companion_size >= size {
            return Ok(());
        }
        self.store_since(size).map_err(LogError::Companion)?;
        // If we crash here, the attachments are in both places, and are stored again without effect.
        self.companion_size = size;
        self.tail.drop_attachments(size);
        Ok(())
    }

    fn store_since(&mut self, size: u64) -> Result<(), CompanionError> {
        let mut any = false;
        let entries = self.tail.slice(self.companion_size, size);
        for (index, entry) in (self.companion_size..).zip(&entries) {
            if let Some(attachment) = &entry.attachment {
                self.companion.store(index, attachment)?;
                any = true;
            }
        }
        if any { self.companion.sync() } else { Ok(()) }
    }

    /// Writes the full bundle that starts at entry `at`, its tile, and every tile it completes.
    fn write_full(&mut self, at: u64, edge: &mut Vec<Vec<Digest>>) -> Result<(), LogError> {
        let entries = self.tail.slice(at, at + WIDTH);
        let tile = |level, index| TileId {
            level,
            index,
            width: WIDTH as u16,
        };
        let bundle = encode_bundle(entries.iter().map(|entry| &entry.entry));
        let id = tile(Level::Entries, at / WIDTH);
        let path = self.layout.tile(id);
        let bundle = bundle.map_err(|_| LogError::Damaged {
            path: path.clone(),
            what: "an entry is too long",
        })?;
        self.files.write_immutable(&path, &bundle)?;

        let mut hashes: Vec<_> = entries.iter().map(|entry| entry.leaf).collect();
        let mut index = at / WIDTH;
        for level in 0.. {
            let id = tile(Level::Hashes(level), index);
            let path = self.layout.tile(id);
            self.files.write_immutable(&path, &encode_hashes(&hashes))?;
            let above = usize::from(level);
            if edge.len() == above {
                edge.push(Vec::new());
            }
            edge[above].push(root_of(&hashes));
            if (edge[above].len() as u64) < WIDTH {
                break;
            }
            hashes = std::mem::take(&mut edge[above]);
            index /= WIDTH;
        }
        Ok(())
    }

    /// Writes the bundle and the tiles that are not full in a tree of `size`, as a checkpoint needs.
    fn write_partials(
        &mut self,
        size: u64,
        entries: &[TailEntry],
        leaves: &[Digest],
    ) -> Result<(), LogError> {
        let mut written = Vec::new();
        if let Some(id) = TileId::in_tree(Level::Entries, self.full / WIDTH, size) {
            let path = self.layout.tile(id);
            let bundle = encode_bundle(entries.iter().map(|entry| &entry.entry));
            let bundle = bundle.map_err(|_| LogError::Damaged {
                path: path.clone(),
                what: "an entry is too long",
            })?;
            self.files.write_immutable(&path, &bundle)?;
            written.push(id);
        }
        let levels = std::iter::once(leaves).chain(self.edge.iter().map(Vec::as_slice));
        for (level, hashes) in (0..).zip(levels) {
            let index = (size >> Level::Hashes(level).shift()) / WIDTH;
            let Some(id) = TileId::in_tree(Level::Hashes(level), index, size) else {
                continue;
            };
            if !self.partials.contains(&id) {
                let path = self.layout.tile(id);
                self.files.write_immutable(&path, &encode_hashes(hashes))?;
                written.push(id);
            }
        }
        self.files.sync()?;
        self.partials.extend(written);
        Ok(())
    }

    /// Removes tiles that are not full where the full one is durable by now.
    fn remove_partials(&mut self) -> Result<(), LogError> {
        let full = self.full;
        let is_gone = |id: &TileId| {
            TileId::in_tree(id.level, id.index, full).is_some_and(|now| now.is_full())
        };
        for held in [&mut self.partials, &mut self.found] {
            for id in held.extract_if(.., |id| is_gone(id)) {
                if let Some(dir) = self.layout.tile(id).parent() {
                    self.files.remove_all(dir)?;
                }
            }
        }
        Ok(())
    }

    fn write_tree(&mut self, size: u64, root: Digest) -> Result<(), LogError> {
        let state = State {
            origin: self.origin.clone(),
            size,
            root,
        };
        let path = self.layout.tree_state();
        self.files.write(&path, state.encode(TREE).as_bytes())?;
        self.files.sync()?;
        // If we crash here, the next start goes on from the tiles; what the write-ahead log repeats of
        // them is compared with them.
        self.tree = state;
        Ok(())
    }

    /// Makes durable what is about to be signed; refuses a second root for a size.
    fn persist_signed(&mut self, size: u64, root: Digest) -> Result<(), LogError> {
        if let Some(signed) = &self.signed {
            if signed.size == size && signed.root == root {
                return Ok(());
            }
            if signed.size >= size {
                return Err(LogError::Damaged {
                    path: self.layout.signed(),
                    what: "another tree of this size was signed",
                });
            }
        }
        let state = State {
            origin: self.origin.clone(),
            size,
            root,
        };
        let path = self.layout.signed();
        self.files.write(&path, state.encode(SIGNED).as_bytes())?;
        self.files.sync()?;
        self.signed = Some(state);
        Ok(())
    }

    /// Removes segments whose entries are in the tiles and whose attachments the companion has.
    fn release(&self) -> Result<(), LogError> {
        let end = self.tree.size.min(self.companion_size);
        while let Some(segment) = self.tail.take_sealed(end) {
            let removed = match self.disk.remove(&segment.path) {
                Err(error) if !error.is_missing() => Err(error),
                // Synced one by one, so that a crash never brings back one without those after it.
                _ => self.disk.sync_dir(&self.layout.wal()),
            };
            if let Err(error) = removed {
                self.tail.put_back(segment);
                return Err(error.into());
            }
        }
        Ok(())
    }
}

/// The root over complete tiles' hashes from level 1 up, and leaves that fill no bundle.
pub(crate) fn root_with(edge: &[Vec<Digest>], leaves: &[Digest]) -> Digest {
    let mut carried = (!leaves.is_empty()).then(|| root_of(leaves));
    for hashes in edge {
        if !hashes.is_empty() {
            // The subtree that is not complete is the last node of the level above it.
            let mut nodes = hashes.clone();
            nodes.extend(carried);
            carried = Some(root_of(&nodes));
        }
    }
    carried.unwrap_or_else(empty_root)
}
