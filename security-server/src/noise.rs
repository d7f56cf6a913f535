//! Refusals that get no entry of their own: counted, and written as one SUMMARY entry each.
//!
//! Unauthenticated noise is joined per peer, reason and minute. Denials of an authenticated caller
//! are entries, up to ten a second for each; beyond that they are joined per second.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use entente_clock::Timestamp;
use entente_ledger::entry::Summary;
use entente_reason::Reason;

/// Counts refusals until they are due to be written.
#[derive(Debug, Default)]
pub(crate) struct Noise {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    counts: HashMap<Key, Count>,
    denials: HashMap<String, Window>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Key {
    peer: Option<String>,
    reason: Reason,
}

#[derive(Clone, Copy, Debug)]
struct Count {
    count: u64,
    first: Timestamp,
    last: Timestamp,
    join: Duration,
}

#[derive(Clone, Copy, Debug)]
struct Window {
    began: Timestamp,
    entries: u32,
}

/// Entries of its own one party may cause in a second (DESIGN.md §5).
const DENIALS_PER_SECOND: u32 = 10;

/// Distinct peers and reasons remembered; beyond that peers are joined into one nameless count.
const MOST: usize = 1_024;

const MINUTE: Duration = Duration::from_secs(60);
const SECOND: Duration = Duration::from_secs(1);

// === impl Noise ===

impl Noise {
    /// Counts a refusal that came before its caller was authenticated.
    pub(crate) fn count(&self, peer: Option<&str>, reason: Reason, now: Timestamp) {
        self.add(peer, reason, now, MINUTE);
    }

    /// Whether a denial of this party gets an entry of its own. If not, it was counted.
    pub(crate) fn admits_denial(&self, party: &str, reason: Reason, now: Timestamp) -> bool {
        let admitted = {
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            if state.denials.len() >= MOST {
                state
                    .denials
                    .retain(|_, window| now.since(window.began) < SECOND);
            }
            if state.denials.len() >= MOST && !state.denials.contains_key(party) {
                false
            } else {
                let fresh = Window {
                    began: now,
                    entries: 0,
                };
                let window = state.denials.entry(party.to_owned()).or_insert(fresh);
                if now.since(window.began) >= SECOND {
                    *window = fresh;
                }
                window.entries += 1;
                window.entries <= DENIALS_PER_SECOND
            }
        };
        if !admitted {
            self.add(Some(party), reason, now, SECOND);
        }
        admitted
    }

    /// Takes the summaries that are due; all of them when `all`.
    pub(crate) fn due(&self, now: Timestamp, all: bool) -> Vec<Summary> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let due: Vec<Key> = state
            .counts
            .iter()
            .filter(|(_, count)| all || now.since(count.first) >= count.join)
            .map(|(key, _)| key.clone())
            .collect();
        due.into_iter()
            .filter_map(|key| {
                let count = state.counts.remove(&key)?;
                Some(Summary {
                    peer: key.peer,
                    reason: key.reason.code().to_owned(),
                    count: count.count,
                    first: count.first,
                    last: count.last,
                })
            })
            .collect()
    }

    /// Puts back a summary that could not be written.
    pub(crate) fn put_back(&self, summary: &Summary) {
        let Some(reason) = Reason::parse(&summary.reason) else {
            return;
        };
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let key = Key {
            peer: summary.peer.clone(),
            reason,
        };
        let count = state.counts.entry(key).or_insert(Count {
            count: 0,
            first: summary.first,
            last: summary.last,
            join: SECOND,
        });
        count.count += summary.count;
        count.first = count.first.min(summary.first);
        count.last = count.last.max(summary.last);
    }

    fn add(&self, peer: Option<&str>, reason: Reason, now: Timestamp, join: Duration) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let mut key = Key {
            peer: peer.map(ToOwned::to_owned),
            reason,
        };
        if state.counts.len() >= MOST && !state.counts.contains_key(&key) {
            key.peer = None;
        }
        let count = state.counts.entry(key).or_insert(Count {
            count: 0,
            first: now,
            last: now,
            join,
        });
        count.count += 1;
        count.last = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_000_000);

    #[test]
    fn noise_is_one_summary_for_each_peer_reason_and_minute() {
        let noise = Noise::default();
        for _ in 0..3 {
            noise.count(Some("a"), Reason::SignatureInvalid, NOW);
        }
        noise.count(Some("b"), Reason::SignatureInvalid, NOW);
        noise.count(Some("a"), Reason::Replayed, NOW);
        assert!(noise.due(NOW, false).is_empty());
        let mut due = noise.due(NOW.saturating_add(MINUTE), false);
        due.sort_by_key(|summary| (summary.peer.clone(), summary.reason.clone()));
        let counts: Vec<u64> = due.iter().map(|summary| summary.count).collect();
        assert_eq!(counts, [1, 3, 1]);
        noise.put_back(&due[1]);
        assert_eq!(noise.due(NOW, true)[0].count, 3);
    }

    #[test]
    fn ten_denials_a_second_get_entries_and_the_rest_one_summary() {
        let noise = Noise::default();
        let entries = (0..25)
            .filter(|_| noise.admits_denial("a", Reason::NoAgreement, NOW))
            .count();
        assert_eq!(entries, 10);
        assert!(noise.admits_denial("b", Reason::NoAgreement, NOW));
        let later = NOW.saturating_add(SECOND);
        assert_eq!(noise.due(later, false)[0].count, 15);
        assert!(noise.admits_denial("a", Reason::NoAgreement, later));
    }

    #[test]
    fn a_flood_of_names_stays_bounded() {
        let noise = Noise::default();
        for peer in 0..5_000 {
            noise.count(Some(&peer.to_string()), Reason::Replayed, NOW);
            noise.admits_denial(&peer.to_string(), Reason::NoAgreement, NOW);
        }
        let due = noise.due(NOW, true);
        assert!(due.len() <= MOST + 2);
        assert_eq!(
            due.iter().map(|summary| summary.count).sum::<u64>() % 5_000,
            5_000 - MOST as u64
        );
    }
}
