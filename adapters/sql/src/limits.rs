//! Limits, always on: how often, how many at once, how long, how many rows and bytes.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use entente_clock::{Clock, Timestamp};
use entente_config::Rate;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::file::{ByteLimit, LimitsSpec};

/// The limits of one method.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) deadline: Duration,
    pub(crate) in_flight: u32,
    pub(crate) rate: Rate,
    pub(crate) rows: u64,
    pub(crate) bytes: u64,
}

/// Lets calls through, or says when to come back.
#[derive(Debug)]
pub(crate) struct Gate {
    clock: Arc<dyn Clock>,
    rate: Rate,
    places: Arc<Semaphore>,
    bucket: Mutex<Bucket>,
}

/// Why a call is not let through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Closed {
    /// As many calls as allowed are being answered.
    Full,
    /// Too many in a short time; the next is let through after this long.
    Often(Duration),
}

/// A bucket of tokens, counted in millionths so that slow rates fill evenly.
#[derive(Debug)]
struct Bucket {
    micro_tokens: u64,
    filled: Timestamp,
}

// === impl Limits ===

impl Limits {
    /// The method's own limits over the file's, over the defaults. The error is a sentence for the
    /// file's owner.
    pub(crate) fn compile(method: &LimitsSpec, file: &LimitsSpec) -> Result<Self, String> {
        let deadline = method.deadline.or(file.deadline);
        let in_flight = method.in_flight.or(file.in_flight);
        let rate = method.rate.or(file.rate);
        let rows = method.rows.or(file.rows);
        let bytes = match method.bytes.or(file.bytes) {
            None => DEFAULT_BYTES,
            Some(ByteLimit::At(size)) => size.as_bytes(),
            Some(ByteLimit::None) => {
                return Err("`bytes: none` is for streams only, which come later".to_owned());
            }
        };
        let limits = Self {
            deadline: deadline.map_or(DEFAULT_DEADLINE, Duration::from),
            in_flight: in_flight.unwrap_or(DEFAULT_IN_FLIGHT),
            rate: match rate {
                Some(rate) => rate,
                None => DEFAULT_RATE.parse().map_err(|_| "no default rate")?,
            },
            rows: rows.unwrap_or(DEFAULT_ROWS),
            bytes,
        };
        if limits.deadline.is_zero() || limits.deadline > MAX_DEADLINE {
            return Err("`deadline` is at most 5m".to_owned());
        }
        if limits.in_flight == 0 || limits.in_flight > MAX_IN_FLIGHT {
            return Err(format!("`in_flight` is 1 to {MAX_IN_FLIGHT}"));
        }
        if limits.rows == 0 || limits.rows > MAX_ROWS {
            return Err(format!("`rows` is 1 to {MAX_ROWS} for one answer"));
        }
        if limits.bytes == 0 || limits.bytes > MAX_BYTES {
            return Err("`bytes` is at most 16MiB for one answer".to_owned());
        }
        Ok(limits)
    }
}

// === impl Gate ===

impl Gate {
    pub(crate) fn new(limits: &Limits, clock: Arc<dyn Clock>) -> Self {
        let bucket = Bucket {
            micro_tokens: u64::from(limits.rate.count()) * TOKEN,
            filled: clock.now(),
        };
        Self {
            clock,
            rate: limits.rate,
            places: Arc::new(Semaphore::new(limits.in_flight as usize)),
            bucket: Mutex::new(bucket),
        }
    }

    /// Lets one call through; its place is free again when the permit is dropped.
    pub(crate) fn enter(&self) -> Result<OwnedSemaphorePermit, Closed> {
        let place = Arc::clone(&self.places)
            .try_acquire_owned()
            .map_err(|_| Closed::Full)?;
        let now = self.clock.now();
        let mut bucket = self.bucket.lock().unwrap_or_else(PoisonError::into_inner);
        bucket.take(now, self.rate).map_err(Closed::Often)?;
        Ok(place)
    }
}

// === impl Bucket ===

impl Bucket {
    fn take(&mut self, now: Timestamp, rate: Rate) -> Result<(), Duration> {
        let per = u64::try_from(rate.per().as_millis()).unwrap_or(u64::MAX);
        let full = u64::from(rate.count()) * TOKEN;
        let elapsed = u64::try_from(now.since(self.filled).as_millis()).unwrap_or(u64::MAX);
        let gained = u128::from(elapsed) * u128::from(full) / u128::from(per);
        let gained = u64::try_from(gained).unwrap_or(u64::MAX);
        self.micro_tokens = self.micro_tokens.saturating_add(gained).min(full);
        self.filled = now;
        if self.micro_tokens >= TOKEN {
            self.micro_tokens -= TOKEN;
            return Ok(());
        }
        let missing = u128::from(TOKEN - self.micro_tokens);
        let wait = (missing * u128::from(per)).div_ceil(u128::from(full));
        Err(Duration::from_millis(u64::try_from(wait).unwrap_or(per)))
    }
}

const TOKEN: u64 = 1_000_000;

/// The deadline of a call whose file sets none: 3 s.
const DEFAULT_DEADLINE: Duration = Duration::from_secs(3);
/// Calls at once when the file sets no number.
const DEFAULT_IN_FLIGHT: u32 = 16;
/// The rate when the file sets none.
const DEFAULT_RATE: &str = "50/s";
/// Rows of one answer when the file sets no number.
const DEFAULT_ROWS: u64 = 1000;
/// Bytes of one answer when the file sets no number: 1 MiB.
const DEFAULT_BYTES: u64 = 1 << 20;
const MAX_DEADLINE: Duration = Duration::from_secs(300);
const MAX_IN_FLIGHT: u32 = 1000;
const MAX_ROWS: u64 = 100_000;
const MAX_BYTES: u64 = 16 << 20;

#[cfg(test)]
mod tests {
    use super::*;
    use entente_clock::ManualClock;

    fn limits(rate: &str, in_flight: u32) -> Limits {
        let spec = LimitsSpec {
            rate: Some(rate.parse().unwrap()),
            in_flight: Some(in_flight),
            ..LimitsSpec::default()
        };
        Limits::compile(&spec, &LimitsSpec::default()).unwrap()
    }

    #[test]
    fn lets_a_burst_through_then_one_for_each_share_of_time() {
        let clock = ManualClock::at(Timestamp::from_millis(1_000_000));
        let gate = Gate::new(&limits("2/s", 9), Arc::new(clock.clone()));
        assert!(gate.enter().is_ok());
        assert!(gate.enter().is_ok());
        let wait = Duration::from_millis(500);
        assert_eq!(gate.enter().unwrap_err(), Closed::Often(wait));
        clock.advance(Duration::from_millis(499));
        assert!(gate.enter().is_err());
        clock.advance(Duration::from_millis(1));
        assert!(gate.enter().is_ok());
        assert!(gate.enter().is_err());
        clock.advance(Duration::from_secs(3600));
        assert!(gate.enter().is_ok());
        assert!(gate.enter().is_ok());
        assert!(gate.enter().is_err());
        clock.set(Timestamp::from_millis(0));
        assert!(
            gate.enter().is_err(),
            "a clock that goes back gives nothing"
        );
    }

    #[test]
    fn lets_as_many_in_as_there_are_places() {
        let clock = Arc::new(ManualClock::at(Timestamp::from_millis(0)));
        let gate = Gate::new(&limits("100/s", 2), clock);
        let first = gate.enter().unwrap();
        let _second = gate.enter().unwrap();
        assert_eq!(gate.enter().unwrap_err(), Closed::Full);
        drop(first);
        assert!(gate.enter().is_ok());
    }

    #[test]
    fn a_method_takes_its_own_limits_then_the_files_then_the_defaults() {
        let own: LimitsSpec = entente_config::parse("{rows: 5}", "own").unwrap();
        let file: LimitsSpec = entente_config::parse("{rows: 9, deadline: 1s}", "file").unwrap();
        let limits = Limits::compile(&own, &file).unwrap();
        assert_eq!((limits.rows, limits.bytes), (5, DEFAULT_BYTES));
        assert_eq!(limits.deadline, Duration::from_secs(1));
        for refused in [
            "{rows: 0}",
            "{rows: 5000000}",
            "{bytes: none}",
            "{bytes: 17MiB}",
            "{deadline: 10m}",
            "{in_flight: 0}",
        ] {
            let spec: LimitsSpec = entente_config::parse(refused, "x").unwrap();
            assert!(Limits::compile(&spec, &file).is_err(), "{refused}");
        }
    }
}
