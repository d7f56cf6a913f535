//! Rehashing all entries, and comparing every tile with what they give.

use std::collections::BTreeMap;

use bytes::Bytes;
use entente_signing::Digest;

use super::listing::Listing;
use super::{Check, Claims, Fault};
use crate::log::integrator::root_with;
use crate::tile::{
    Level, MAX_LEVEL, TileId, WIDTH, decode_bundle, decode_hashes, encode_bundle, encode_hashes,
};
use crate::tree::{empty_root, leaf_hash, root_of};

/// What the entries gave.
#[derive(Debug, Default)]
pub(super) struct Replayed {
    /// How many entries of the tiles were hashed.
    pub(super) size: u64,
    /// Roots at the sizes that something claims a root for.
    roots: BTreeMap<u64, Digest>,
}

/// The replay under way.
#[derive(Debug)]
struct State<'a> {
    claims: &'a Claims,
    waiting: &'a [Bytes],
    /// Entries in the tiles.
    size: u64,
    /// Entries in the tiles and the write-ahead log.
    all: u64,
    /// Hashes of the last tile of each level from 1 up.
    edge: Vec<Vec<Digest>>,
    replayed: Replayed,
}

// === impl Replayed ===

impl Replayed {
    pub(super) fn root_at(&self, size: u64) -> Option<Digest> {
        self.roots.get(&size).copied()
    }
}

// === impl Check ===

impl Check<'_> {
    /// Goes through all bundles in order.
    pub(super) fn replay(
        &mut self,
        claims: &Claims,
        waiting: &[Bytes],
        listing: &mut Listing,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Replayed {
        let size = claims.size();
        let mut state = State {
            claims,
            waiting,
            size,
            all: size + waiting.len() as u64,
            edge: Vec::new(),
            replayed: Replayed::default(),
        };
        state.replayed.roots.insert(0, empty_root());
        let mut bundle = 0;
        while bundle * WIDTH < state.all {
            let start = bundle * WIDTH;
            let leaves = match self.bundle(&state, bundle, listing) {
                Some(entries) => Some(self.check_bundle(&state, bundle, &entries, listing)),
                None => self.leaves_of_tile(&state, bundle, listing),
            };
            let Some(leaves) = leaves else {
                // Without the leaves nothing after can be computed; other tiles are not blamed.
                listing.take_all();
                return state.replayed;
            };
            state.note_roots(start, &leaves);
            let is_full = leaves.len() as u64 == WIDTH;
            if is_full {
                self.push_full(&mut state, bundle, &leaves, listing);
            } else {
                self.check_edge(&state, bundle, &leaves, listing);
            }
            bundle += 1;
            state.replayed.size = size.min(bundle * WIDTH);
            progress(state.replayed.size, size);
        }
        if state.all.is_multiple_of(WIDTH) {
            self.check_edge(&state, bundle, &[], listing);
        }
        state.replayed
    }

    /// The entries of one bundle: from the widest file there is, completed from the write-ahead log.
    fn bundle(&mut self, state: &State<'_>, bundle: u64, listing: &Listing) -> Option<Vec<Bytes>> {
        let start = bundle * WIDTH;
        let wanted = TileId::in_tree(Level::Entries, bundle, state.all)?.width;
        let in_tiles = TileId::in_tree(Level::Entries, bundle, state.size);
        let mut entries = Vec::new();
        if let Some(id) = in_tiles {
            let place = u64::from(id.width) - 1;
            let Some(found) = listing.wider(Level::Entries, bundle, place) else {
                self.find(&self.layout.tile(id), Fault::Missing);
                return None;
            };
            let path = self.layout.tile(found);
            let bytes = Bytes::from(self.read(&path)?);
            let Ok(decoded) = decode_bundle(&bytes, found.width) else {
                self.find(&path, Fault::Differs);
                return None;
            };
            entries = decoded;
            // What reaches beyond the tiles' size was written before a crash; the log has it too.
            entries.truncate(usize::from(id.width));
        }
        let from = (start + entries.len() as u64).saturating_sub(state.size) as usize;
        let missing = usize::from(wanted) - entries.len();
        entries.extend(state.waiting.iter().skip(from).take(missing).cloned());
        Some(entries)
    }

    /// Compares a bundle's files and the tile of its leaves, and answers with the leaves that are right.
    fn check_bundle(
        &mut self,
        state: &State<'_>,
        bundle: u64,
        entries: &[Bytes],
        listing: &mut Listing,
    ) -> Vec<Digest> {
        let leaves: Vec<_> = entries.iter().map(|entry| leaf_hash(entry)).collect();
        let known = self.believed(state, bundle, &leaves, listing);
        let files = listing.take(Level::Entries, bundle);
        self.require(state, Level::Entries, bundle, &files);
        for id in files {
            let width = usize::from(id.width);
            let path = self.layout.tile(id);
            let Some(bytes) = self.read(&path) else {
                continue;
            };
            let given = entries.get(..width).map(encode_bundle);
            let is_same = matches!(given, Some(Ok(given)) if given == bytes);
            let is_right = known.get(..width) == leaves.get(..width);
            if !is_same || !is_right {
                self.find(&path, Fault::Differs);
            }
        }
        known
    }

    /// Where a bundle and the tile above it disagree, the one that leads to the known hash above is
    /// believed, so that the other one is blamed.
    fn believed(
        &self,
        state: &State<'_>,
        bundle: u64,
        leaves: &[Digest],
        listing: &Listing,
    ) -> Vec<Digest> {
        let Some(in_tiles) = TileId::in_tree(Level::Entries, bundle, state.size) else {
            return leaves.to_vec();
        };
        let (mine, waiting) = leaves.split_at(usize::from(in_tiles.width));
        let Some(tile) = self.tile_of(bundle, in_tiles.width, listing) else {
            return leaves.to_vec();
        };
        if tile == mine {
            return leaves.to_vec();
        }
        let (known, given) = if in_tiles.is_full() {
            let (index, place) = (bundle / WIDTH, bundle % WIDTH);
            let parent = listing.wider(Level::Hashes(1), index, place);
            let hashes = parent.and_then(|parent| self.hashes(parent));
            let known = hashes.and_then(|hashes| hashes.get(place as usize).copied());
            (known, root_of(&tile))
        } else {
            let known = state.claims.root_at(state.size);
            (known, root_with(&state.edge, &tile))
        };
        if known == Some(given) {
            [&tile, waiting].concat()
        } else {
            leaves.to_vec()
        }
    }

    /// The leaves of a bundle that cannot be read, from the tile above it.
    fn leaves_of_tile(
        &self,
        state: &State<'_>,
        bundle: u64,
        listing: &mut Listing,
    ) -> Option<Vec<Digest>> {
        let in_tiles = TileId::in_tree(Level::Entries, bundle, state.size)?;
        let mut leaves = self.tile_of(bundle, in_tiles.width, listing)?;
        if !in_tiles.is_full() {
            leaves.extend(state.waiting.iter().map(|entry| leaf_hash(entry)));
            leaves.truncate(WIDTH as usize);
        }
        listing.take(Level::Entries, bundle);
        Some(leaves)
    }

    /// The first `width` hashes of the tile over a bundle.
    fn tile_of(&self, bundle: u64, width: u16, listing: &Listing) -> Option<Vec<Digest>> {
        let id = listing.wider(Level::Hashes(0), bundle, u64::from(width) - 1)?;
        let mut hashes = self.hashes(id)?;
        hashes.truncate(usize::from(width));
        Some(hashes)
    }

    fn hashes(&self, id: TileId) -> Option<Vec<Digest>> {
        let bytes = self.disk.read(&self.layout.tile(id)).ok()?;
        decode_hashes(&bytes, id.width).ok()
    }

    /// Checks the tile a full bundle gives, and every tile that completes.
    fn push_full(
        &mut self,
        state: &mut State<'_>,
        bundle: u64,
        leaves: &[Digest],
        listing: &mut Listing,
    ) {
        let (mut hashes, mut index) = (leaves.to_vec(), bundle);
        for level in 0..=MAX_LEVEL {
            self.check_tile(state, level, index, &hashes, listing);
            let above = usize::from(level);
            if state.edge.len() == above {
                state.edge.push(Vec::new());
            }
            state.edge[above].push(root_of(&hashes));
            if (state.edge[above].len() as u64) < WIDTH {
                break;
            }
            hashes = std::mem::take(&mut state.edge[above]);
            index /= WIDTH;
        }
    }

    /// Checks the tiles at the right edge, which are not full.
    fn check_edge(
        &mut self,
        state: &State<'_>,
        bundle: u64,
        leaves: &[Digest],
        listing: &mut Listing,
    ) {
        let levels = std::iter::once(leaves).chain(state.edge.iter().map(Vec::as_slice));
        let mut index = bundle;
        for (level, hashes) in (0..).zip(levels) {
            if !hashes.is_empty() {
                self.check_tile(state, level, index, hashes, listing);
            }
            index /= WIDTH;
        }
    }

    /// Compares all files of one tile, of whatever width, with its hashes.
    fn check_tile(
        &mut self,
        state: &State<'_>,
        level: u8,
        index: u64,
        hashes: &[Digest],
        listing: &mut Listing,
    ) {
        let files = listing.take(Level::Hashes(level), index);
        self.require(state, Level::Hashes(level), index, &files);
        for id in files {
            let path = self.layout.tile(id);
            let Some(bytes) = self.read(&path) else {
                continue;
            };
            let given = hashes.get(..usize::from(id.width)).map(encode_hashes);
            if given.is_none_or(|given| given != bytes) {
                self.find(&path, Fault::Differs);
            }
        }
    }

    /// Reports the widths of a tile that must be there and are not.
    fn require(&mut self, state: &State<'_>, level: Level, index: u64, files: &[TileId]) {
        let has_full = files.iter().any(TileId::is_full);
        let mut require = |id: Option<TileId>| {
            if let Some(id) = id
                && !has_full
                && !files.contains(&id)
            {
                self.find(&self.layout.tile(id), Fault::Missing);
            }
        };
        let now = TileId::in_tree(level, index, state.size);
        // Narrow tiles above the lowest level are written for checkpoints alone.
        let is_lowest = matches!(level, Level::Entries | Level::Hashes(0));
        require(now.filter(|id| id.is_full() || is_lowest));
        for size in state.claims.published() {
            if size <= state.size {
                require(TileId::in_tree(level, index, size));
            }
        }
    }
}

// === impl State ===

impl State<'_> {
    /// Notes the roots of all claimed sizes within this bundle.
    fn note_roots(&mut self, start: u64, leaves: &[Digest]) {
        let end = start + leaves.len() as u64;
        for size in self.claims.sizes() {
            if (start + 1..=end).contains(&size) && size <= self.size {
                let leaves = &leaves[..(size - start) as usize];
                // Even when they fill the tile, its hash stands where a partial one would.
                let root = root_with(&self.edge, leaves);
                self.replayed.roots.insert(size, root);
            }
        }
    }
}
