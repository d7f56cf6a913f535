//! Checks a whole ledger: every byte of every file, recomputed from the entries.
//!
//! An inclusion proof for one entry says nothing about its neighbours; only rehashing every bundle does.
//! Memory does not grow with the ledger, but for the list of its files.

mod listing;
mod replay;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use entente_signing::{Digest, VerifyingKey};

use crate::checkpoint::{Checkpoint, SignedCheckpoint};
use crate::disk::{Disk, DiskErrorKind};
use crate::layout::{Layout, State};
use crate::log::files::check_format;
use crate::log::nodes::Tiles;
use crate::log::open::read_state;
use crate::log::{LogError, SIGNED, TREE};
use crate::note::{NoteKey, SignedNote};
use crate::tree::{empty_root, leaf_hash};

use listing::Listing;
use replay::Replayed;

/// What a check found.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// Entries in the tiles, all rehashed.
    pub size: u64,
    /// The root over them, recomputed.
    pub root: Digest,
    /// Entries that are only in the write-ahead log so far.
    pub waiting: u64,
    /// Size of the newest checkpoint, when it is there and its signature verifies.
    pub checkpoint: Option<u64>,
    /// Size that the ledger noted before it signed, which no signature confirms.
    pub signed: Option<u64>,
    /// Everything that is not as it must be; empty when the ledger is sound.
    pub findings: Vec<Finding>,
    /// Bytes after the last whole frame of the write-ahead log: what a crash leaves, cut off at the
    /// next start.
    pub torn_bytes: u64,
}

/// Something that is not as it must be.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// The file, below the ledger's folder.
    pub path: String,
    /// What is wrong with it.
    pub fault: Fault,
}

/// What is wrong with a file. Variants are alphabetical.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Fault {
    /// Its bytes are not what the entries give.
    Differs,
    /// It must be there, and is not.
    Missing,
    /// Its signature is not the ledger key's.
    Signature,
    /// Nothing writes a file of this name.
    Unexpected,
    /// It cannot be read.
    Unreadable,
}

/// One check under way.
#[derive(Debug)]
struct Check<'a> {
    disk: Arc<dyn Disk>,
    layout: Layout,
    key: &'a VerifyingKey,
    findings: Vec<Finding>,
}

/// What the state files and the checkpoint claim, before anything is believed.
#[derive(Debug, Default)]
struct Claims {
    tree: Option<State>,
    signed: Option<State>,
    checkpoint: Option<Checkpoint>,
    finality: Option<Checkpoint>,
}

/// Replays a ledger whole. `progress(done, all)` counts entries. Stops adding findings after 1,000.
///
/// The folder must not be written to meanwhile: check a copy, or a ledger that is shut down.
///
/// # Errors
/// When the folder is not a ledger's, or of a newer format. Damage is not an error, but a finding.
pub fn fsck(
    disk: Arc<dyn Disk>,
    dir: impl Into<PathBuf>,
    key: &VerifyingKey,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Report, LogError> {
    let layout = Layout::new(dir);
    if !check_format(&*disk, &layout)? {
        return Err(LogError::Format {
            path: layout.dir().to_owned(),
            found: String::new(),
        });
    }
    let mut check = Check {
        disk,
        layout,
        key,
        findings: Vec::new(),
    };
    let mut listing = Listing::of(&mut check);
    let claims = check.claims();
    let size = claims.size();
    let (waiting, torn_bytes) = check.check_wal(size, &claims);
    let replayed = check.replay(&claims, &waiting, &mut listing, progress);
    check.check_claims(&claims, &replayed);
    listing.report_rest(&mut check);
    check.findings.sort();
    check.findings.dedup();
    Ok(Report {
        size: replayed.size,
        root: replayed.root_at(size).unwrap_or_else(empty_root),
        waiting: waiting.len() as u64,
        checkpoint: claims.checkpoint.map(|checkpoint| checkpoint.size),
        signed: claims.signed.map(|signed| signed.size),
        findings: check.findings,
        torn_bytes: torn_bytes + listing.torn_bytes(),
    })
}

// === impl Report ===

impl Report {
    /// Whether nothing was found. A ledger may be sound and yet nobody's: see [`Report::is_unsigned`].
    pub fn is_sound(&self) -> bool {
        self.findings.is_empty()
    }

    /// Whether there is something to sign and no checkpoint. A crash before the first one leaves that, and
    /// so does whoever makes up a ledger without its key: it proves nothing.
    pub fn is_unsigned(&self) -> bool {
        let is_begun = self.size > 0 || self.waiting > 0 || self.signed.is_some();
        is_begun && self.checkpoint.is_none()
    }
}

// === impl Check ===

impl Check<'_> {
    fn find(&mut self, path: &Path, fault: Fault) {
        let path = path.strip_prefix(self.layout.dir()).unwrap_or(path);
        if self.findings.len() < MAX_FINDINGS {
            self.findings.push(Finding {
                path: path.to_string_lossy().into_owned(),
                fault,
            });
        }
    }

    /// Notes an error that came up while looking at `path`.
    fn find_error(&mut self, path: &Path, error: &LogError) {
        match error {
            LogError::Damaged { path, .. } => self.find(path, Fault::Differs),
            LogError::Disk(error) if error.kind == DiskErrorKind::Missing => {
                self.find(&error.path, Fault::Missing);
            }
            _ => self.find(path, Fault::Unreadable),
        }
    }

    fn read(&mut self, path: &Path) -> Option<Vec<u8>> {
        match self.disk.read(path) {
            Ok(bytes) => Some(bytes),
            Err(error) => {
                self.find_error(path, &error.into());
                None
            }
        }
    }

    /// Reads what the small files claim; what does not even read is a finding.
    fn claims(&mut self) -> Claims {
        let (tree, signed) = (self.layout.tree_state(), self.layout.signed());
        let mut state = |path: PathBuf, kind| match read_state(&*self.disk, path.clone(), kind) {
            Ok(state) => state,
            Err(error) => {
                self.find_error(&path, &error);
                None
            }
        };
        let (tree, signed) = (state(tree, TREE), state(signed, SIGNED));
        Claims {
            tree,
            signed,
            checkpoint: self.checkpoint(self.layout.checkpoint()),
            finality: self.checkpoint(self.layout.finality()),
        }
    }

    /// A checkpoint, when its signature by the ledger's key verifies. Its cosignatures are for whoever
    /// knows the witnesses: [`crate::witness::WitnessPolicy::judge`].
    fn checkpoint(&mut self, path: PathBuf) -> Option<Checkpoint> {
        if !self.disk.exists(&path).unwrap_or(true) {
            return None;
        }
        let bytes = self.read(&path)?;
        let verified = SignedNote::parse(&bytes).ok().and_then(|note| {
            // The key is named by the origin, which is what the note itself says: its signature counts,
            // and the other files must agree.
            let origin = note.text().split('\n').next()?;
            let key = NoteKey::new(origin, self.key.clone()).ok()?;
            let checkpoint = SignedCheckpoint::verify(&bytes, &key).ok()?;
            (note.to_string().as_bytes() == bytes).then_some(checkpoint)
        });
        if verified.is_none() {
            self.find(&path, Fault::Signature);
        }
        verified.map(|signed| signed.checkpoint().clone())
    }

    /// Checks frames, continuity, and that what is also in tiles is the same there. Answers with the
    /// leaf hashes and bytes of what is not, and how many bytes are torn.
    fn check_wal(&mut self, size: u64, claims: &Claims) -> (Vec<bytes::Bytes>, u64) {
        let wal = self.layout.wal();
        let mut tiles = Tiles::new(Arc::clone(&self.disk), self.layout.clone(), size);
        let mut waiting: Vec<bytes::Bytes> = Vec::new();
        let mut gap = false;
        let disk = Arc::clone(&self.disk);
        let replayed = crate::wal::replay(&*disk, &wal, |frame| {
            let next = size + waiting.len() as u64;
            if frame.index < size {
                // Tiles are judged on their own; here only a difference counts.
                let differs = matches!(tiles.hash(0, frame.index), Ok(leaf) if leaf != leaf_hash(&frame.entry));
                if differs {
                    return Err(LogError::Damaged {
                        path: wal.clone(),
                        what: "an entry is not the one in the tiles",
                    });
                }
            } else if frame.index == next {
                waiting.push(bytes::Bytes::copy_from_slice(&frame.entry));
            } else {
                gap = true;
            }
            Ok(())
        });
        match replayed {
            Ok(replayed) => {
                let is_short = replayed
                    .next_index
                    .map_or_else(|| size > 0 || claims.signed.is_some(), |next| next < size);
                if gap || is_short {
                    self.find(&wal, Fault::Missing);
                }
                // The newest may be one whose start a crash cut short; an older one was begun.
                let newest = replayed.last_number.map(crate::wal::segment_name);
                for path in &replayed.empty {
                    if newest.as_ref().is_none_or(|newest| !path.ends_with(newest)) {
                        self.find(path, Fault::Differs);
                    }
                }
                (waiting, replayed.torn_bytes)
            }
            Err(error) => {
                self.find_error(&wal, &error);
                (waiting, 0)
            }
        }
    }

    /// Compares what the small files claim with what the entries gave.
    fn check_claims(&mut self, claims: &Claims, replayed: &Replayed) {
        let origin = claims.origin().unwrap_or_default().to_owned();
        // Where the entries could not be read, that is the finding; what they would have given is not
        // held against the claims.
        let is_blamed = !self.findings.is_empty();
        let root_is = |size, root| match replayed.root_at(size) {
            Some(found) => found == root,
            None => is_blamed,
        };
        let state_holds = |state: &Option<State>| match state {
            Some(state) => state.origin == origin && root_is(state.size, state.root),
            None => true,
        };
        if !state_holds(&claims.tree) {
            self.find(&self.layout.tree_state(), Fault::Differs);
        }
        if !state_holds(&claims.signed) {
            self.find(&self.layout.signed(), Fault::Differs);
        }
        let tree_size = claims.tree.as_ref().map_or(0, |tree| tree.size);
        let signed_size = claims.signed.as_ref().map(|signed| signed.size);
        // Each is persisted before the next, so each is at least as large as the next.
        if signed_size.is_some_and(|size| size > tree_size) {
            self.find(&self.layout.tree_state(), Fault::Missing);
        }
        let published = [
            (&claims.checkpoint, self.layout.checkpoint()),
            (&claims.finality, self.layout.finality()),
        ];
        for (checkpoint, path) in published {
            let Some(checkpoint) = checkpoint else {
                continue;
            };
            if checkpoint.origin != origin || !root_is(checkpoint.size, checkpoint.root) {
                self.find(&path, Fault::Differs);
            }
            if signed_size.is_none_or(|size| size < checkpoint.size) {
                self.find(&self.layout.signed(), Fault::Missing);
            }
        }
    }
}

// === impl Claims ===

impl Claims {
    /// How many entries are in the tiles, as far as any file that can be read says.
    fn size(&self) -> u64 {
        match (&self.tree, &self.signed, &self.checkpoint) {
            (Some(tree), _, _) => tree.size,
            (None, Some(signed), _) => signed.size,
            (None, None, Some(checkpoint)) => checkpoint.size,
            (None, None, None) => 0,
        }
    }

    /// The origin: the signed one when there is a checkpoint.
    fn origin(&self) -> Option<&str> {
        let state = self.tree.as_ref().or(self.signed.as_ref());
        let checkpoint = self.checkpoint.as_ref().map(|c| c.origin.as_str());
        checkpoint.or_else(|| state.map(|state| state.origin.as_str()))
    }

    /// Sizes a root is claimed for.
    fn sizes(&self) -> Vec<u64> {
        let states = [&self.tree, &self.signed];
        let states = states.into_iter().flatten().map(|state| state.size);
        let checkpoints = self.checkpoints().map(|c| c.size);
        states.chain(checkpoints).chain([self.size()]).collect()
    }

    /// The root claimed for a size.
    fn root_at(&self, size: u64) -> Option<Digest> {
        let states = [&self.tree, &self.signed].into_iter().flatten();
        let mut claimed = states.map(|state| (state.size, state.root));
        let mut checkpoints = self.checkpoints().map(|c| (c.size, c.root));
        let found = claimed.find(|(at, _)| *at == size);
        found
            .or_else(|| checkpoints.find(|(at, _)| *at == size))
            .map(|(_, root)| root)
    }

    /// Sizes whose tiles must all be there, narrower ones included.
    fn published(&self) -> Vec<u64> {
        let signed = self.signed.as_ref().map(|state| state.size);
        let checkpoint = self.checkpoint.as_ref().map(|c| c.size);
        signed.into_iter().chain(checkpoint).collect()
    }

    fn checkpoints(&self) -> impl Iterator<Item = &Checkpoint> {
        self.checkpoint.iter().chain(&self.finality)
    }
}

const MAX_FINDINGS: usize = 1_000;
