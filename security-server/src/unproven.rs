//! Which entries no time stamp covers yet, and since when.
//!
//! Kept in memory: the ledger says it again at the next start ([`search`]).

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use entente_clock::Timestamp;
use entente_ledger::entry::{Body, Entry};
use entente_ledger::{Ledger, ReadError};

/// The entries that wait for a token.
#[derive(Debug, Default)]
pub(crate) struct Unproven(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// Entries that wait, a few of them: always the oldest, and each others' times within [`APART`]
    /// unless there are too many.
    marks: VecDeque<Mark>,
    /// Index of the newest that asks for a token.
    newest: Option<u64>,
    /// How far tokens reach.
    stamped: u64,
}

#[derive(Clone, Copy, Debug)]
struct Mark {
    index: u64,
    at: Timestamp,
}

/// How far apart marks are kept, and so how exact ages are.
const APART: Duration = Duration::from_secs(5);
/// The most marks; 5 hours without a token.
const MARKS: usize = 4_096;
/// Entries read at a time.
const CHUNK: u64 = 1_024;

/// Reads from the ledger's end what no token covers, back to `reach` before `now` and no further:
/// older entries have waited too long already.
pub(crate) async fn search(
    ledger: &Ledger,
    now: Timestamp,
    reach: Duration,
) -> Result<Unproven, ReadError> {
    let mut found = VecDeque::new();
    let mut stamped = 0;
    let mut end = ledger.size();
    'back: while end > 0 {
        let start = end.saturating_sub(CHUNK);
        let mut chunk = Vec::new();
        while start + (chunk.len() as u64) < end {
            let next = start + chunk.len() as u64;
            let more = ledger.entries(next, (end - next) as usize).await?;
            if more.is_empty() {
                return Err(ReadError::Beyond);
            }
            chunk.extend(more);
        }
        for (offset, bytes) in chunk.iter().enumerate().rev() {
            let index = start + offset as u64;
            // What is no entry is reported by whoever searched before.
            let Ok(entry) = Entry::decode(bytes) else {
                continue;
            };
            if let Body::TimeStamp(stamp) = &entry.body {
                stamped = stamped.max(stamp.size);
            }
            if index < stamped {
                break 'back;
            }
            if entry.body.asks_for_gossip() {
                let mark = Mark {
                    index,
                    at: entry.at,
                };
                found.push_front(mark);
                if now.since(entry.at) > reach {
                    break 'back;
                }
            }
        }
        end = start;
    }
    let unproven = Unproven::default();
    unproven.state().stamped = stamped;
    for mark in found {
        unproven.logged(mark.index, mark.at);
    }
    Ok(unproven)
}

// === impl Unproven ===

impl Unproven {
    /// Notes an entry that asks for a token, once it is durable.
    pub(crate) fn logged(&self, index: u64, at: Timestamp) {
        let mut state = self.state();
        state.newest = state.newest.max(Some(index));
        // Two appends may be told in the other order; an older one only makes ages older.
        let is_apart = state
            .marks
            .back()
            .is_none_or(|last| at.since(last.at) >= APART);
        if index < state.stamped || !is_apart {
            return;
        }
        if state.marks.len() >= MARKS {
            let mut keep = false;
            state.marks.retain(|_| {
                keep = !keep;
                keep
            });
        }
        state.marks.push_back(Mark { index, at });
    }

    /// Notes a token over the first `size` entries.
    pub(crate) fn stamped(&self, size: u64) {
        let mut state = self.state();
        state.stamped = state.stamped.max(size);
        let stamped = state.stamped;
        if state.newest.is_none_or(|newest| newest < stamped) {
            state.marks.clear();
            return;
        }
        // The oldest that still waits came after the last mark that waits no more, and is taken to be
        // as old.
        while state.marks.get(1).is_some_and(|next| next.index < stamped) {
            state.marks.pop_front();
        }
    }

    /// Whether a checkpoint of `size` would cover an entry that asks for it.
    pub(crate) fn is_due(&self, size: u64) -> bool {
        let state = self.state();
        let waits = state.newest.is_some_and(|newest| newest >= state.stamped);
        waits && size > state.stamped
    }

    /// How long the oldest entry has waited, or a little longer; zero when none waits.
    pub(crate) fn age(&self, now: Timestamp) -> Duration {
        let state = self.state();
        let oldest = state.marks.front();
        oldest.map_or(Duration::ZERO, |mark| now.since(mark.at))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_millis(seconds * 1_000)
    }

    fn age(unproven: &Unproven, now: u64) -> u64 {
        unproven.age(at(now)).as_secs()
    }

    #[test]
    fn is_as_old_as_the_oldest_entry_without_a_token() {
        let unproven = Unproven::default();
        assert!(!unproven.is_due(10));
        assert_eq!(age(&unproven, 1_000), 0);
        unproven.logged(3, at(100));
        unproven.logged(4, at(102));
        unproven.logged(5, at(110));
        assert_eq!(age(&unproven, 130), 30);
        assert!(unproven.is_due(4) && unproven.is_due(6));
        // Entry 4 is still without one; how old it is, is known to within five seconds.
        unproven.stamped(4);
        assert_eq!(age(&unproven, 130), 30);
        unproven.stamped(5);
        assert_eq!(age(&unproven, 130), 30);
        assert!(unproven.is_due(6) && !unproven.is_due(5));
        unproven.stamped(6);
        assert_eq!(age(&unproven, 130), 0);
        assert!(!unproven.is_due(60));
        unproven.logged(6, at(120));
        assert_eq!(age(&unproven, 130), 10);
        assert!(unproven.is_due(7));
    }

    #[test]
    fn goes_on_when_stamped_under_load() {
        let unproven = Unproven::default();
        for second in 0..1_000 {
            unproven.logged(second, at(second));
            if second >= 10 && second.is_multiple_of(60) {
                unproven.stamped(second - 10);
            }
            assert!(age(&unproven, second) < 80, "{second}");
        }
    }

    #[test]
    fn holds_few_marks_however_long_no_token_comes() {
        let unproven = Unproven::default();
        for hour in 0..100_000 {
            unproven.logged(hour, at(hour * 3_600));
        }
        assert!(unproven.state().marks.len() <= MARKS);
        assert_eq!(age(&unproven, 3_600 * 100_000), 3_600 * 100_000);
    }
}
