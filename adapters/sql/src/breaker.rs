//! The circuit breaker of a source: after a few failures in a row it is left alone for a while,
//! then one call tries it again.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use entente_clock::{Clock, Timestamp};

/// Guards one source.
#[derive(Debug)]
pub(crate) struct Breaker {
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Calls pass; so many failed since the last that did not.
    Closed { failures: u32 },
    /// No call passes before this time.
    Open { until: Timestamp },
    /// One call is trying the source; others wait for its result, at most until this time.
    Trying { until: Timestamp },
}

/// One call let through. Dropped without a verdict, it leaves a trial as failed.
#[derive(Debug)]
pub(crate) struct Passage<'a> {
    breaker: &'a Breaker,
    trial: bool,
    told: bool,
}

// === impl Breaker ===

impl Breaker {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            state: Mutex::new(State::Closed { failures: 0 }),
        }
    }

    /// Lets a call through, or says after how long one may be.
    pub(crate) fn pass(&self) -> Result<Passage<'_>, Duration> {
        let now = self.clock.now();
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let trial = match *state {
            State::Closed { .. } => false,
            State::Open { until } | State::Trying { until } if now < until => {
                return Err(until.since(now));
            }
            State::Open { .. } | State::Trying { .. } => {
                *state = State::Trying {
                    until: now.saturating_add(OPEN_FOR),
                };
                true
            }
        };
        Ok(Passage {
            breaker: self,
            trial,
            told: false,
        })
    }

    /// Whether calls pass.
    pub(crate) fn is_closed(&self) -> bool {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        matches!(*state, State::Closed { .. })
    }

    fn tell(&self, answered: bool, trial: bool) {
        let now = self.clock.now();
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        *state = match (*state, answered) {
            (_, true) if trial => State::Closed { failures: 0 },
            (State::Closed { .. }, true) => State::Closed { failures: 0 },
            (State::Closed { failures }, false) if failures + 1 < FAILURES => State::Closed {
                failures: failures + 1,
            },
            (State::Closed { .. }, false) => State::Open {
                until: now.saturating_add(OPEN_FOR),
            },
            (State::Trying { .. }, false) if trial => State::Open {
                until: now.saturating_add(OPEN_FOR),
            },
            // A call from before the breaker opened says nothing new.
            (state, _) => state,
        };
    }
}

// === impl Passage ===

impl Passage<'_> {
    /// Says whether the source answered, whatever the answer was.
    pub(crate) fn tell(mut self, answered: bool) {
        self.told = true;
        self.breaker.tell(answered, self.trial);
    }
}

impl Drop for Passage<'_> {
    fn drop(&mut self) {
        if self.trial && !self.told {
            self.breaker.tell(false, true);
        }
    }
}

/// Failures in a row that open the breaker.
pub(crate) const FAILURES: u32 = 5;

/// How long an open breaker leaves the source alone.
pub(crate) const OPEN_FOR: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;
    use entente_clock::ManualClock;

    #[test]
    fn leaves_a_failing_source_alone_then_lets_one_call_try_it() {
        let clock = ManualClock::at(Timestamp::from_millis(1_000_000));
        let breaker = Breaker::new(Arc::new(clock.clone()));
        for _ in 0..FAILURES - 1 {
            breaker.pass().unwrap().tell(false);
        }
        breaker.pass().unwrap().tell(true);
        for _ in 0..FAILURES {
            breaker.pass().unwrap().tell(false);
        }
        assert_eq!(breaker.pass().unwrap_err(), OPEN_FOR);
        clock.advance(OPEN_FOR);
        let trial = breaker.pass().unwrap();
        assert!(breaker.pass().is_err(), "only one call tries");
        trial.tell(false);
        assert!(breaker.pass().is_err());
        clock.advance(OPEN_FOR);
        drop(breaker.pass().unwrap());
        assert!(breaker.pass().is_err(), "a trial given up counts as failed");
        clock.advance(OPEN_FOR);
        breaker.pass().unwrap().tell(true);
        assert!(breaker.pass().is_ok());
        assert!(breaker.is_closed());
    }
}
