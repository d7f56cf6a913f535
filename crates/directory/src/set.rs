//! A small sorted set in one allocation: a directory holds hundreds of thousands, most of one or two.

use std::collections::BTreeSet;
use std::ops::Deref;

/// A set as a sorted slice without repetition. Reading it is reading the slice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Set<T>(Box<[T]>);

// === impl Set ===

impl<T: Ord> Set<T> {
    /// Holds nothing.
    pub fn new() -> Self {
        Self(Box::new([]))
    }

    /// Whether it holds this.
    pub fn contains(&self, item: &T) -> bool {
        self.0.binary_search(item).is_ok()
    }

    pub(crate) fn insert(&mut self, item: T) {
        if let Err(at) = self.0.binary_search(&item) {
            let mut items = std::mem::take(&mut self.0).into_vec();
            items.insert(at, item);
            self.0 = items.into();
        }
    }

    /// Whether it was there.
    pub(crate) fn remove(&mut self, item: &T) -> bool {
        let found = self.0.binary_search(item);
        if let Ok(at) = found {
            let mut items = std::mem::take(&mut self.0).into_vec();
            items.remove(at);
            self.0 = items.into();
        }
        found.is_ok()
    }
}

impl<T: Ord> Default for Set<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Deref for Set<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.0
    }
}

impl<T: Ord> FromIterator<T> for Set<T> {
    fn from_iter<I: IntoIterator<Item = T>>(items: I) -> Self {
        let mut items: Vec<T> = items.into_iter().collect();
        items.sort_unstable();
        items.dedup();
        Self(items.into())
    }
}

impl<T: Ord> PartialEq<BTreeSet<T>> for Set<T> {
    fn eq(&self, other: &BTreeSet<T>) -> bool {
        self.0.len() == other.len() && self.0.iter().eq(other)
    }
}

impl<'a, T> IntoIterator for &'a Set<T> {
    type Item = &'a T;
    type IntoIter = std::slice::Iter<'a, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_sorted_and_holds_each_once() {
        let mut set: Set<u32> = [3, 1, 3, 2].into_iter().collect();
        assert_eq!(&set[..], [1, 2, 3]);
        set.insert(2);
        set.insert(5);
        set.insert(0);
        assert!(set.remove(&3) && !set.remove(&3));
        assert_eq!(set, BTreeSet::from([0, 1, 2, 5]));
        assert!(set.contains(&5) && !set.contains(&3));
    }
}
