//! Reading tree nodes and entries from tiles.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use entente_signing::Digest;

use crate::disk::Disk;
use crate::layout::Layout;
use crate::log::LogError;
use crate::proof::Nodes;
use crate::tile::{HEIGHT, Level, TileId, WIDTH, decode_bundle, decode_hashes};
use crate::tree::root_of;

/// Reads a tree of one size from its tiles.
///
/// Tiles that are full, and the narrower ones of exactly this size, are all it needs; a higher tile
/// that is not written yet is computed from the full ones below it.
#[derive(Debug)]
pub(crate) struct Tiles {
    disk: Arc<dyn Disk>,
    layout: Layout,
    size: u64,
    hashes: Recent<Arc<Vec<Digest>>>,
    bundles: Recent<Vec<Bytes>>,
}

/// A few values, the least recently used forgotten first.
#[derive(Debug)]
struct Recent<T> {
    held: VecDeque<(TileId, T)>,
    most: usize,
}

// === impl Tiles ===

impl Tiles {
    pub(crate) fn new(disk: Arc<dyn Disk>, layout: Layout, size: u64) -> Self {
        Self {
            disk,
            layout,
            size,
            hashes: Recent::new(64),
            bundles: Recent::new(2),
        }
    }

    /// Reads a tree that has grown.
    pub(crate) const fn grow(&mut self, size: u64) {
        self.size = size;
    }

    pub(crate) const fn size(&self) -> u64 {
        self.size
    }

    /// The bundle that holds entry `index`, which is below the size, and the entry's place in it.
    pub(crate) fn bundle(&mut self, index: u64) -> Result<(&[Bytes], usize), LogError> {
        let (bundle, place) = (index / WIDTH, (index % WIDTH) as usize);
        let id = self.id(Level::Entries, bundle)?;
        if self.bundles.find(id).is_none() {
            let (id, bytes) = self.read(id)?;
            let entries = decode_bundle(&bytes.into(), id.width);
            let entries = entries.map_err(|_| self.damaged(id, "it is not a bundle"))?;
            self.bundles.put(id, entries);
        }
        // Found by place: a wider bundle than asked for may have been there.
        let entries = self.bundles.newest();
        match entries {
            Some(entries) if place < entries.len() => Ok((entries, place)),
            _ => Err(self.damaged(id, "it is cut short")),
        }
    }

    /// The hash at tile level `level` and position `index` along it.
    pub(crate) fn hash(&mut self, level: u8, index: u64) -> Result<Digest, LogError> {
        self.subtree(level, index, 1)
    }

    /// The root over `count` hashes from position `start` along tile level `level`, all in one tile.
    fn subtree(&mut self, level: u8, start: u64, count: u64) -> Result<Digest, LogError> {
        let id = self.id(Level::Hashes(level), start / WIDTH)?;
        let place = (start % WIDTH) as usize;
        match self.tile(id) {
            Ok(hashes) => match hashes.get(place..place + count as usize) {
                Some(hashes) => Ok(root_of(hashes)),
                None => Err(self.damaged(id, "it is cut short")),
            },
            // Higher tiles that are not full are written for checkpoints alone. The nodes are complete, so
            // the tiles below them are full.
            Err(LogError::Disk(error)) if error.is_missing() && level > 0 && !id.is_full() => {
                let below = (start..start + count).map(|index| {
                    let id = TileId {
                        level: Level::Hashes(level - 1),
                        index,
                        width: WIDTH as u16,
                    };
                    Ok(root_of(&self.tile(id)?))
                });
                Ok(root_of(&below.collect::<Result<Vec<_>, LogError>>()?))
            }
            Err(error) => Err(error),
        }
    }

    fn tile(&mut self, id: TileId) -> Result<Arc<Vec<Digest>>, LogError> {
        if let Some(hashes) = self.hashes.find(id) {
            return Ok(Arc::clone(hashes));
        }
        let (found, bytes) = self.read(id)?;
        let hashes = decode_hashes(&bytes, found.width);
        let hashes = Arc::new(hashes.map_err(|_| self.damaged(found, "it is not a tile"))?);
        self.hashes.put(found, Arc::clone(&hashes));
        Ok(hashes)
    }

    /// Reads a tile, or the full one in its place: a narrower one is removed when the full one is there.
    fn read(&self, id: TileId) -> Result<(TileId, Vec<u8>), LogError> {
        match self.disk.read(&self.layout.tile(id)) {
            Ok(bytes) => Ok((id, bytes)),
            Err(error) if error.is_missing() && !id.is_full() => {
                match self.disk.read(&self.layout.tile(id.full())) {
                    Ok(bytes) => Ok((id.full(), bytes)),
                    Err(full) if full.is_missing() => Err(error.into()),
                    Err(full) => Err(full.into()),
                }
            }
            Err(error) => Err(error.into()),
        }
    }

    fn id(&self, level: Level, index: u64) -> Result<TileId, LogError> {
        TileId::in_tree(level, index, self.size).ok_or_else(|| LogError::Damaged {
            path: self.layout.served(),
            what: "a tile beyond its end was asked for",
        })
    }

    fn damaged(&self, id: TileId, what: &'static str) -> LogError {
        let path: PathBuf = self.layout.tile(id);
        LogError::Damaged { path, what }
    }
}

impl Nodes for Tiles {
    type Error = LogError;

    fn node(&mut self, level: u8, index: u64) -> Result<Digest, LogError> {
        // A subtree inside a tile: at most 128 of its hashes, never across two tiles.
        let (tile_level, within) = (level / HEIGHT, level % HEIGHT);
        self.subtree(tile_level, index << within, 1 << within)
    }
}

// === impl Recent ===

impl<T> Recent<T> {
    const fn new(most: usize) -> Self {
        Self {
            held: VecDeque::new(),
            most,
        }
    }

    /// Finds the tile itself or the full one in its place, and makes it the newest.
    fn find(&mut self, id: TileId) -> Option<&T> {
        let at = self
            .held
            .iter()
            .position(|(held, _)| *held == id || *held == id.full())?;
        let found = self.held.remove(at)?;
        self.held.push_back(found);
        self.newest()
    }

    fn put(&mut self, id: TileId, value: T) {
        if self.held.len() == self.most {
            self.held.pop_front();
        }
        self.held.push_back((id, value));
    }

    fn newest(&self) -> Option<&T> {
        self.held.back().map(|(_, value)| value)
    }
}
