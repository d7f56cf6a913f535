//! Inclusion and consistency proofs (RFC 6962 §2.1.1 and §2.1.2; verified as in RFC 9162 §2.1.3, §2.1.4).

mod text;

use entente_signing::Digest;

use crate::tree::node_hash;

pub(crate) use text::decimal;
pub use text::{TlogProof, TlogProofError};

/// That an entry is in a tree: the hashes beside its way up, leaf to root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InclusionProof {
    /// Position of the entry.
    pub index: u64,
    /// Size of the tree.
    pub size: u64,
    /// At most 64 hashes.
    pub path: Vec<Digest>,
}

/// That a tree is the beginning of a larger one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsistencyProof {
    /// Size of the smaller tree.
    pub old_size: u64,
    /// Size of the larger tree.
    pub new_size: u64,
    /// At most 64 hashes.
    pub path: Vec<Digest>,
}

/// A proof that does not prove what it should.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("tree proof does not hold")]
pub struct ProofInvalid;

/// Where nodes of a tree are read from.
pub trait Nodes {
    /// Why one could not be read.
    type Error;

    /// The root of the complete subtree over leaves `[index << level, (index + 1) << level)`.
    ///
    /// # Errors
    /// When the tree has no such subtree or it cannot be read.
    fn node(&mut self, level: u8, index: u64) -> Result<Digest, Self::Error>;
}

// === impl InclusionProof ===

impl InclusionProof {
    /// Builds the proof for leaf `index` of a tree of `size`; `None` when there is no such leaf.
    ///
    /// # Errors
    /// Those of `nodes`.
    pub fn build<N: Nodes>(nodes: &mut N, index: u64, size: u64) -> Result<Option<Self>, N::Error> {
        if index >= size {
            return Ok(None);
        }
        let mut path = Vec::new();
        let (mut start, mut len) = (0, size);
        while len > 1 {
            let left = split(len);
            if index - start < left {
                path.push(subtree(nodes, start + left, len - left)?);
                len = left;
            } else {
                path.push(subtree(nodes, start, left)?);
                start += left;
                len -= left;
            }
        }
        path.reverse();
        Ok(Some(Self { index, size, path }))
    }

    /// Checks that the leaf is at its index in the tree with this root.
    ///
    /// # Errors
    /// When that is not proven.
    pub fn verify(&self, leaf_hash: &Digest, root: &Digest) -> Result<(), ProofInvalid> {
        if self.root(leaf_hash)? == *root {
            Ok(())
        } else {
            Err(ProofInvalid)
        }
    }

    /// The root the path leads to from this leaf; it proves nothing until it is found to be signed.
    ///
    /// # Errors
    /// When index, size and length of the path do not fit each other.
    pub fn root(&self, leaf_hash: &Digest) -> Result<Digest, ProofInvalid> {
        if self.index >= self.size {
            return Err(ProofInvalid);
        }
        let (mut node, mut last) = (self.index, self.size - 1);
        let mut hash = *leaf_hash;
        for sibling in &self.path {
            if last == 0 {
                return Err(ProofInvalid);
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
        if last == 0 {
            Ok(hash)
        } else {
            Err(ProofInvalid)
        }
    }
}

// === impl ConsistencyProof ===

impl ConsistencyProof {
    /// Builds the proof from `old_size` to `new_size`; `None` when the old tree is empty or larger.
    ///
    /// # Errors
    /// Those of `nodes`.
    pub fn build<N: Nodes>(
        nodes: &mut N,
        old_size: u64,
        new_size: u64,
    ) -> Result<Option<Self>, N::Error> {
        if old_size == 0 || old_size > new_size {
            return Ok(None);
        }
        let mut path = Vec::new();
        let (mut start, mut len, mut old, mut whole) = (0, new_size, old_size, true);
        while old < len {
            let left = split(len);
            if old <= left {
                path.push(subtree(nodes, start + left, len - left)?);
                len = left;
            } else {
                path.push(subtree(nodes, start, left)?);
                start += left;
                len -= left;
                old -= left;
                whole = false;
            }
        }
        if !whole {
            path.push(subtree(nodes, start, len)?);
        }
        path.reverse();
        Ok(Some(Self {
            old_size,
            new_size,
            path,
        }))
    }

    /// Checks that the tree with `new_root` begins with the tree with `old_root`.
    ///
    /// # Errors
    /// When that is not proven.
    pub fn verify(&self, old_root: &Digest, new_root: &Digest) -> Result<(), ProofInvalid> {
        if self.old_size == 0 || self.old_size > self.new_size {
            return Err(ProofInvalid);
        }
        if self.old_size == self.new_size {
            return if self.path.is_empty() && old_root == new_root {
                Ok(())
            } else {
                Err(ProofInvalid)
            };
        }
        let mut path = self.path.iter();
        let (mut node, mut last) = (self.old_size - 1, self.new_size - 1);
        while node & 1 == 1 {
            node >>= 1;
            last >>= 1;
        }
        let first = if self.old_size.is_power_of_two() {
            old_root
        } else {
            path.next().ok_or(ProofInvalid)?
        };
        let (mut old, mut new) = (*first, *first);
        for sibling in path {
            if last == 0 {
                return Err(ProofInvalid);
            }
            if node & 1 == 1 || node == last {
                old = node_hash(sibling, &old);
                new = node_hash(sibling, &new);
                while node & 1 == 0 && node != 0 {
                    node >>= 1;
                    last >>= 1;
                }
            } else {
                new = node_hash(&new, sibling);
            }
            node >>= 1;
            last >>= 1;
        }
        if last == 0 && old == *old_root && new == *new_root {
            Ok(())
        } else {
            Err(ProofInvalid)
        }
    }
}

/// The root of a tree of `size`, from its complete subtrees.
///
/// # Errors
/// Those of `nodes`.
pub fn root<N: Nodes>(nodes: &mut N, size: u64) -> Result<Digest, N::Error> {
    if size == 0 {
        return Ok(crate::tree::empty_root());
    }
    subtree(nodes, 0, size)
}

/// The root over leaves `[start, start + len)`; `start` is aligned so that only the right edge is
/// incomplete.
fn subtree<N: Nodes>(nodes: &mut N, start: u64, len: u64) -> Result<Digest, N::Error> {
    if len.is_power_of_two() {
        let level = len.trailing_zeros();
        return nodes.node(level as u8, start >> level);
    }
    let left = split(len);
    let left_hash = subtree(nodes, start, left)?;
    let right_hash = subtree(nodes, start + left, len - left)?;
    Ok(node_hash(&left_hash, &right_hash))
}

/// The largest power of two below `len`, which is at least 2.
const fn split(len: u64) -> u64 {
    1 << (63 - (len - 1).leading_zeros())
}

#[cfg(test)]
mod tests;
