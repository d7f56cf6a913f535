//! The tree over everything followed, able to tell its root at any earlier size.
//!
//! Every complete subtree's hash is kept (RFC 9162 §2.1.1), level by level: 64 bytes an entry in all.
//! A clone shares them, so that each view owns its tree.

use std::sync::Arc;

use entente_ledger::proof::{InclusionProof, Nodes};
use entente_ledger::tree::{empty_root, leaf_hash, node_hash};
use entente_signing::Digest;
use rpds::VectorSync;

/// An RFC 9162 tree with SHA-256 that remembers.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tree {
    /// At index k, the hashes of the complete subtrees of 2ᵏ leaves, from the left.
    levels: Vec<Level>,
}

/// Hashes in a row, kept by the block: one by one, what holds them would be larger than they are.
#[derive(Clone, Debug)]
struct Level {
    full: VectorSync<Arc<[Digest; BLOCK]>>,
    rest: Vec<Digest>,
}

// === impl Tree ===

impl Tree {
    /// How many leaves it has.
    pub(crate) fn size(&self) -> u64 {
        self.levels.first().map_or(0, |leaves| leaves.len() as u64)
    }

    /// Adds an entry at the right.
    pub(crate) fn push(&mut self, entry: &[u8]) {
        let mut hash = leaf_hash(entry);
        for level in 0.. {
            if self.levels.len() == level {
                self.levels.push(Level::new());
            }
            let hashes = &mut self.levels[level];
            hashes.push(hash);
            if hashes.len() % 2 == 1 {
                return;
            }
            let left = hashes.get(hashes.len() - 2);
            hash = node_hash(
                &left.expect("an even number of hashes has a last but one"),
                &hash,
            );
        }
    }

    /// The root over all leaves.
    pub(crate) fn root(&self) -> Digest {
        self.root_at(self.size()).unwrap_or_else(empty_root)
    }

    /// The root over the first `size` leaves; none when there are fewer. Takes O(log size).
    pub(crate) fn root_at(&self, size: u64) -> Option<Digest> {
        if size > self.size() {
            return None;
        }
        if size == 0 {
            return Some(empty_root());
        }
        // From the smallest subtree of the decomposition, at the right, to the largest.
        let mut root: Option<Digest> = None;
        for (level, hashes) in self.levels.iter().enumerate() {
            if size >> level & 1 == 0 {
                continue;
            }
            let left = hashes.get((size >> level) as usize - 1)?;
            root = Some(root.map_or(left, |right| node_hash(&left, &right)));
        }
        root
    }

    /// The way from a leaf to the root over the first `size` leaves; none when there is no such leaf.
    pub(crate) fn inclusion(&self, index: u64, size: u64) -> Option<InclusionProof> {
        if size > self.size() {
            return None;
        }
        InclusionProof::build(&mut Complete(self), index, size).ok()?
    }
}

// === impl Level ===

impl Level {
    fn new() -> Self {
        Self {
            full: VectorSync::new_sync(),
            rest: Vec::new(),
        }
    }

    fn len(&self) -> usize {
        self.full.len() * BLOCK + self.rest.len()
    }

    fn push(&mut self, hash: Digest) {
        self.rest.push(hash);
        if let Ok(block) = <[Digest; BLOCK]>::try_from(&self.rest[..]) {
            self.full.push_back_mut(Arc::new(block));
            self.rest = Vec::new();
        }
    }

    fn get(&self, at: usize) -> Option<Digest> {
        match self.full.get(at / BLOCK) {
            Some(block) => Some(block[at % BLOCK]),
            None => self.rest.get(at - self.full.len() * BLOCK).copied(),
        }
    }
}

/// The complete subtrees of a tree.
struct Complete<'a>(&'a Tree);

impl Nodes for Complete<'_> {
    type Error = ();

    fn node(&mut self, level: u8, index: u64) -> Result<Digest, ()> {
        let hashes = self.0.levels.get(usize::from(level)).ok_or(())?;
        hashes.get(index as usize).ok_or(())
    }
}

/// Hashes in a block.
const BLOCK: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    /// The definition, word for word.
    fn by_definition(entries: &[Vec<u8>]) -> Digest {
        match entries {
            [] => empty_root(),
            [entry] => leaf_hash(entry),
            _ => {
                let split = (entries.len() as u64).div_ceil(2).next_power_of_two() as usize;
                let (left, right) = entries.split_at(split);
                node_hash(&by_definition(left), &by_definition(right))
            }
        }
    }

    #[test]
    fn tells_its_root_at_every_size_it_ever_had() {
        let entries: Vec<Vec<u8>> = (0..150_u32).map(|n| n.to_be_bytes().to_vec()).collect();
        let mut tree = Tree::default();
        for entry in &entries {
            tree.push(entry);
        }
        for size in 0..=entries.len() {
            let expected = by_definition(&entries[..size]);
            assert_eq!(tree.root_at(size as u64), Some(expected), "size {size}");
        }
        assert_eq!(tree.root_at(151), None);
        assert_eq!(tree.root(), by_definition(&entries));
    }

    #[test]
    fn proves_every_leaf_at_every_size() {
        let mut tree = Tree::default();
        for number in 0..40_u8 {
            tree.push(&[number]);
        }
        for size in 1..=40 {
            let root = tree.root_at(size).unwrap();
            for index in 0..size {
                let proof = tree.inclusion(index, size).unwrap();
                proof.verify(&leaf_hash(&[index as u8]), &root).unwrap();
            }
            assert_eq!(tree.inclusion(size, size), None);
        }
        assert_eq!(tree.inclusion(0, 41), None);
    }

    #[test]
    fn a_clone_does_not_see_what_is_pushed_later() {
        let mut tree = Tree::default();
        tree.push(b"a");
        let earlier = tree.clone();
        tree.push(b"b");
        assert_eq!((earlier.size(), tree.size()), (1, 2));
        assert_eq!(earlier.root(), leaf_hash(b"a"));
    }
}
