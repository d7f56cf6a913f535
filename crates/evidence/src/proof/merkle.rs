//! Small RFC 9162 trees, held whole: the statements of one batch. (The ledger has its own tree code,
//! for trees that do not fit in memory.)

use entente_signing::Digest;

/// A tree, level by level: its leaves first, its root last.
pub(super) struct Tree {
    levels: Vec<Vec<Digest>>,
}

/// Most leaves of a batch.
pub(super) const MAX_SIZE: usize = 4096;

/// The longest path in such a tree.
pub(super) const MAX_PATH: usize = 12;

// === impl Tree ===

impl Tree {
    /// The tree over these leaf hashes, of which there is at least one.
    pub(super) fn of(leaves: Vec<Digest>) -> Self {
        let mut levels = vec![leaves];
        while let Some(level) = levels.last().filter(|level| level.len() > 1) {
            // A last hash without a sibling moves up unchanged (RFC 9162 §2.1.1: the left subtree is
            // the largest power of two).
            let next = level
                .chunks(2)
                .map(|pair| match pair {
                    [left, right] => node_hash(left, right),
                    odd => odd[0],
                })
                .collect();
            levels.push(next);
        }
        Self { levels }
    }

    /// Number of leaves.
    pub(super) fn len(&self) -> usize {
        self.levels[0].len()
    }

    /// The root.
    pub(super) fn root(&self) -> Digest {
        self.levels[self.levels.len() - 1][0]
    }

    /// The inclusion path of leaf `index`, leaf to root.
    pub(super) fn path(&self, mut index: usize) -> Vec<Digest> {
        let mut path = Vec::with_capacity(MAX_PATH);
        for level in &self.levels {
            path.extend(level.get(index ^ 1).copied());
            index >>= 1;
        }
        path
    }
}

/// `SHA-256(00 ‖ leaf)`.
pub(super) fn leaf_hash(leaf: &[u8]) -> Digest {
    Digest::of_parts(&[&[0], leaf])
}

/// The root a path leads to (RFC 9162 §2.1.3.2); nothing when size, index and path do not fit each
/// other or the bounds of a batch.
pub(super) fn root_from_path(
    size: u64,
    index: u64,
    leaf: Digest,
    path: &[Digest],
) -> Option<Digest> {
    if size < 2 || size > MAX_SIZE as u64 || index >= size {
        return None;
    }
    let (mut node, mut last, mut hash) = (index, size - 1, leaf);
    for sibling in path {
        if last == 0 {
            return None;
        }
        if node & 1 == 1 || node == last {
            hash = node_hash(sibling, &hash);
            while node & 1 == 0 && node != 0 {
                node >>= 1;
                last >>= 1;
            }
        } else {
            hash = node_hash(&hash, sibling);
        }
        node >>= 1;
        last >>= 1;
    }
    (last == 0).then_some(hash)
}

fn node_hash(left: &Digest, right: &Digest) -> Digest {
    Digest::of_parts(&[&[1], left.as_bytes(), right.as_bytes()])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 9162 §2.1.1, written as the RFC writes it.
    fn tree_head(leaves: &[Digest]) -> Digest {
        if let [one] = leaves {
            return *one;
        }
        let split = leaves.len().next_power_of_two() / 2;
        node_hash(&tree_head(&leaves[..split]), &tree_head(&leaves[split..]))
    }

    #[test]
    fn every_path_of_every_small_tree_leads_to_the_root_of_the_rfc() {
        for size in 2..=70_usize {
            let leaves: Vec<Digest> = (0..size).map(|n| leaf_hash(&[n as u8])).collect();
            let tree = Tree::of(leaves.clone());
            assert_eq!(tree.root(), tree_head(&leaves));
            for index in 0..size {
                let path = tree.path(index);
                let root = |size: usize, index: usize, path: &[Digest]| {
                    root_from_path(
                        size as u64,
                        index as u64,
                        leaves[index % leaves.len()],
                        path,
                    )
                };
                assert_eq!(root(size, index, &path), Some(tree.root()));
                assert_eq!(
                    root(size, index, &path[1..]).filter(|r| *r == tree.root()),
                    None
                );
                let longer = [path.as_slice(), &[tree.root()]].concat();
                assert_eq!(root(size, index, &longer), None);
                assert_eq!(root(size, size, &path), None);
            }
        }
    }

    #[test]
    fn a_tree_of_the_largest_batch_fits_the_longest_path() {
        let tree = Tree::of((0..MAX_SIZE).map(|n| leaf_hash(&n.to_be_bytes())).collect());
        assert_eq!(tree.path(MAX_SIZE - 1).len(), MAX_PATH);
    }
}
