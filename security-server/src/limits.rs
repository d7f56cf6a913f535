//! How much may be in flight: a bound for the whole role, and a share of it for each party.
//!
//! Nobody waits here: what does not fit is refused at once, so that a flood costs one map look-up.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Counts calls in flight, in all and per party.
#[derive(Debug)]
pub(crate) struct InFlight<K> {
    counts: Mutex<Counts<K>>,
    most: usize,
    most_each: usize,
}

#[derive(Debug)]
struct Counts<K> {
    all: usize,
    each: HashMap<K, usize>,
}

/// A place taken; given back when dropped.
#[derive(Debug)]
pub(crate) struct Place<K: Eq + Hash> {
    of: Arc<InFlight<K>>,
    party: K,
}

/// What is left of a deadline for whoever is asked next: a twentieth less, at most 250 ms, so that
/// what we say when it passes still arrives.
pub(crate) fn passed_on(deadline: Duration) -> Duration {
    deadline - (deadline / 20).min(MOST_KEPT)
}

// === impl InFlight ===

impl<K: Clone + Eq + Hash> InFlight<K> {
    /// At most `most` in all, and `share_percent` of that for one party (at least one).
    pub(crate) fn new(most: usize, share_percent: usize) -> Arc<Self> {
        Arc::new(Self {
            counts: Mutex::new(Counts {
                all: 0,
                each: HashMap::new(),
            }),
            most,
            most_each: (most.saturating_mul(share_percent) / 100).max(1),
        })
    }

    /// Takes a place for `party`, unless there is none.
    pub(crate) fn enter(self: &Arc<Self>, party: &K) -> Option<Place<K>> {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if counts.all >= self.most {
            return None;
        }
        let each = counts.each.entry(party.clone()).or_insert(0);
        if *each >= self.most_each {
            return None;
        }
        *each += 1;
        counts.all += 1;
        Some(Place {
            of: Arc::clone(self),
            party: party.clone(),
        })
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        let counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        counts.all
    }
}

// === impl Place ===

impl<K: Eq + Hash> Drop for Place<K> {
    fn drop(&mut self) {
        let mut counts = self
            .of
            .counts
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        counts.all -= 1;
        if let Some(each) = counts.each.get_mut(&self.party) {
            *each -= 1;
            if *each == 0 {
                counts.each.remove(&self.party);
            }
        }
    }
}

/// The most of a deadline kept for our own answer.
const MOST_KEPT: Duration = Duration::from_millis(250);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_is_passed_on_shortened() {
        let passed = |millis| passed_on(Duration::from_millis(millis)).as_millis();
        assert_eq!([0, 20, 1_000, 300_000].map(passed), [0, 19, 950, 299_750]);
    }

    #[test]
    fn one_party_cannot_take_more_than_its_share_nor_all_more_than_the_bound() {
        let places = InFlight::new(5, 40);
        let first = (places.enter(&"a"), places.enter(&"a"));
        assert!(first.0.is_some() && first.1.is_some());
        assert!(places.enter(&"a").is_none());
        let second = (places.enter(&"b"), places.enter(&"b"), places.enter(&"c"));
        assert!(second.2.is_some());
        assert!(places.enter(&"d").is_none());
        drop(first);
        assert_eq!(places.len(), 3);
        assert!(places.enter(&"a").is_some());
        drop(second);
        assert_eq!(places.len(), 0);
    }
}
