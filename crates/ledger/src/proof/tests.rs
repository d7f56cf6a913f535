use std::convert::Infallible;

use super::*;
use crate::tree::{leaf_hash, root_of};

/// All leaves in memory.
struct Leaves(Vec<Digest>);

impl Nodes for Leaves {
    type Error = Infallible;

    fn node(&mut self, level: u8, index: u64) -> Result<Digest, Infallible> {
        let (start, end) = (index << level, (index + 1) << level);
        Ok(root_of(&self.0[start as usize..end as usize]))
    }
}

fn tree(size: u64) -> Leaves {
    Leaves((0..size).map(|i| leaf_hash(&i.to_be_bytes())).collect())
}

fn root_at(tree: &Leaves, size: u64) -> Digest {
    root_of(&tree.0[..size as usize])
}

#[test]
fn every_leaf_of_small_trees_is_proven_and_nothing_else() {
    let mut tree = tree(34);
    for size in 1..=34 {
        let root = root_at(&tree, size);
        assert_eq!(super::root(&mut tree, size), Ok(root));
        for index in 0..size {
            let proof = InclusionProof::build(&mut tree, index, size)
                .unwrap()
                .unwrap();
            let leaf = tree.0[index as usize];
            assert_eq!(proof.verify(&leaf, &root), Ok(()), "{index} of {size}");
            assert!(
                proof
                    .verify(&tree.0[(index as usize + 1) % 34], &root)
                    .is_err()
            );
            for wrong in 0..size {
                let moved = InclusionProof {
                    index: wrong,
                    ..proof.clone()
                };
                assert_eq!(moved.verify(&leaf, &root).is_ok(), wrong == index);
            }
            let mut longer = proof.clone();
            longer.path.push(leaf);
            assert!(longer.verify(&leaf, &root).is_err());
            if proof.path.len() > 1 {
                let mut shorter = proof;
                shorter.path.pop();
                assert!(shorter.verify(&leaf, &root).is_err());
            }
        }
        assert_eq!(InclusionProof::build(&mut tree, size, size), Ok(None));
    }
}

#[test]
fn every_pair_of_small_trees_is_proven_and_no_fork() {
    let mut tree = tree(34);
    for new_size in 1..=34 {
        for old_size in 1..=new_size {
            let proof = ConsistencyProof::build(&mut tree, old_size, new_size)
                .unwrap()
                .unwrap();
            let (old, new) = (root_at(&tree, old_size), root_at(&tree, new_size));
            assert_eq!(proof.verify(&old, &new), Ok(()), "{old_size} to {new_size}");
            assert!(proof.verify(&Digest::of(b"x"), &new).is_err());
            assert!(proof.verify(&old, &Digest::of(b"x")).is_err());
            let mut longer = proof.clone();
            longer.path.push(old);
            assert!(longer.verify(&old, &new).is_err());
            if !proof.path.is_empty() {
                let mut shorter = proof;
                shorter.path.pop();
                assert!(shorter.verify(&old, &new).is_err());
            }
        }
        assert_eq!(ConsistencyProof::build(&mut tree, 0, new_size), Ok(None));
        assert_eq!(
            ConsistencyProof::build(&mut tree, new_size + 1, new_size),
            Ok(None)
        );
    }
}
