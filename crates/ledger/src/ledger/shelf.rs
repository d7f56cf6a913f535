//! Reading entries and proofs of an open ledger: from memory where they are new, else from tiles.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use entente_signing::Digest;

use super::ReadError;
use crate::disk::Disk;
use crate::layout::Layout;
use crate::log::LogError;
use crate::log::nodes::Tiles;
use crate::log::tail::Tail;
use crate::proof::{self, ConsistencyProof, InclusionProof};
use crate::tile::{Level, MAX_LEVEL, TileId, WIDTH};

/// What can be read.
#[derive(Debug)]
pub(crate) struct Shelf {
    disk: Arc<dyn Disk>,
    layout: Layout,
    tail: Arc<Tail>,
    /// Reads full bundles.
    bundles: Mutex<Tiles>,
    /// Reads the tree of the newest checkpoint.
    nodes: Mutex<Tiles>,
}

// === impl Shelf ===

impl Shelf {
    pub(super) fn new(disk: Arc<dyn Disk>, layout: Layout, tail: Arc<Tail>) -> Self {
        let tiles = || Mutex::new(Tiles::new(Arc::clone(&disk), layout.clone(), 0));
        Self {
            bundles: tiles(),
            nodes: tiles(),
            tail,
            disk,
            layout,
        }
    }

    pub(super) fn size(&self) -> u64 {
        self.tail.size()
    }

    /// An entry that is in memory still.
    pub(super) fn held(&self, index: u64) -> Option<Bytes> {
        self.tail.entry(index).map(|held| held.entry)
    }

    pub(super) fn entry(&self, index: u64) -> Result<Bytes, ReadError> {
        let entries = self.entries(index, 1)?;
        entries.into_iter().next().ok_or(ReadError::Beyond)
    }

    pub(super) fn entries(&self, start: u64, limit: usize) -> Result<Vec<Bytes>, ReadError> {
        let end = self.size().min(start.saturating_add(limit as u64));
        let mut entries = Vec::new();
        let mut bytes = 0;
        let mut at = start;
        while at < end && bytes < PAGE_BYTES {
            // Memory is looked at first: what it lets go of is in full bundles by then.
            let held = self.tail.slice(at, end);
            let found = if held.is_empty() {
                let mut tiles = lock(&self.bundles);
                tiles.grow(self.tail.start());
                let (bundle, place) = tiles.bundle(at)?;
                bundle[place..].to_vec()
            } else {
                held.into_iter().map(|held| held.entry).collect()
            };
            for entry in found {
                if at == end || bytes >= PAGE_BYTES {
                    break;
                }
                bytes += entry.len();
                at += 1;
                entries.push(entry);
            }
        }
        Ok(entries)
    }

    pub(super) fn inclusion(
        &self,
        index: u64,
        size: u64,
        published: u64,
    ) -> Result<(Digest, InclusionProof), ReadError> {
        if size > published {
            return Err(ReadError::Beyond);
        }
        let mut nodes = lock(&self.nodes);
        nodes.grow(published);
        let proof = InclusionProof::build(&mut *nodes, index, size)?;
        let proof = proof.ok_or(ReadError::Beyond)?;
        Ok((nodes.hash(0, index)?, proof))
    }

    pub(super) fn root(&self, size: u64, published: u64) -> Result<Digest, ReadError> {
        if size > published {
            return Err(ReadError::Beyond);
        }
        let mut nodes = lock(&self.nodes);
        nodes.grow(published);
        Ok(proof::root(&mut *nodes, size)?)
    }

    /// A tile's bytes; it must be one of the tree of `published`.
    pub(super) fn tile(
        &self,
        level: u8,
        index: u64,
        width: u16,
        published: u64,
    ) -> Result<Vec<u8>, ReadError> {
        if level > MAX_LEVEL {
            return Err(ReadError::Beyond);
        }
        let held = TileId::in_tree(Level::Hashes(level), index, published);
        let held = held.ok_or(ReadError::Beyond)?;
        let width = if width == 0 { WIDTH as u16 } else { width };
        if width > held.width {
            return Err(ReadError::Beyond);
        }
        let read = |id| self.disk.read(&self.layout.tile(id));
        // Once the full tile is there, narrower ones go.
        let found = read(held).or_else(|_| read(held.full()));
        let mut bytes = found.map_err(LogError::from)?;
        // A narrower tile is the beginning of a wider one.
        bytes.truncate(usize::from(width) * HASH_BYTES);
        Ok(bytes)
    }

    pub(crate) fn consistency(
        &self,
        old_size: u64,
        new_size: u64,
        published: u64,
    ) -> Result<ConsistencyProof, ReadError> {
        if new_size > published {
            return Err(ReadError::Beyond);
        }
        let mut nodes = lock(&self.nodes);
        nodes.grow(published);
        let proof = ConsistencyProof::build(&mut *nodes, old_size, new_size)?;
        proof.ok_or(ReadError::Beyond)
    }
}

/// What is cached under these locks is whole at any time.
fn lock(tiles: &Mutex<Tiles>) -> MutexGuard<'_, Tiles> {
    tiles.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A SHA-256, in a tile.
const HASH_BYTES: usize = 32;
/// Where a page of entries ends.
const PAGE_BYTES: usize = 1024 * 1024;
