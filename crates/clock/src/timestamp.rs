//! Milliseconds since the Unix epoch, and the calendar periods derived from them (all in UTC).

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

/// A point in time: whole milliseconds since 1970-01-01T00:00:00Z.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Timestamp(u64);

/// A calendar day in UTC, written `2026-11-22`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Day(Date);

/// A text that is not a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidTime;

// === impl Timestamp ===

impl Timestamp {
    /// The latest time that can be written as a date (9999-12-30T22:00:00Z).
    pub const MAX: Self = Self(253_402_207_200_000);

    /// From milliseconds since the epoch. Later than [`Timestamp::MAX`] becomes `MAX`.
    pub const fn from_millis(millis: u64) -> Self {
        if millis > Self::MAX.0 {
            Self::MAX
        } else {
            Self(millis)
        }
    }

    /// Milliseconds since the epoch.
    pub const fn as_millis(self) -> u64 {
        self.0
    }

    /// This time plus a duration; stops at [`Timestamp::MAX`].
    pub fn saturating_add(self, by: Duration) -> Self {
        let by = u64::try_from(by.as_millis()).unwrap_or(u64::MAX);
        Self::from_millis(self.0.saturating_add(by))
    }

    /// This time minus a duration; stops at the epoch.
    pub fn saturating_sub(self, by: Duration) -> Self {
        let by = u64::try_from(by.as_millis()).unwrap_or(u64::MAX);
        Self(self.0.saturating_sub(by))
    }

    /// How long before this time `earlier` was; zero when it was later.
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }

    /// The day, in UTC.
    pub fn day(self) -> Day {
        Day(self.zoned().date())
    }

    /// The month, in UTC: `2026-11`.
    pub fn month(self) -> String {
        let date = self.zoned().date();
        format!("{:04}-{:02}", date.year(), date.month())
    }

    /// The half-year that names ledger shards: `2026h2`.
    pub fn half_year(self) -> String {
        let date = self.zoned().date();
        format!(
            "{:04}h{}",
            date.year(),
            if date.month() <= 6 { 1 } else { 2 }
        )
    }

    /// Minutes since midnight UTC, 0 to 1439.
    pub const fn minute_of_day(self) -> u32 {
        (self.0 / 60_000 % 1440) as u32
    }

    fn zoned(self) -> jiff::Zoned {
        let millis = i64::try_from(self.0).unwrap_or(i64::MAX);
        jiff::Timestamp::from_millisecond(millis)
            .unwrap_or(jiff::Timestamp::MAX)
            .to_zoned(TimeZone::UTC)
    }
}

impl fmt::Display for Timestamp {
    /// RFC 3339 with milliseconds: `2026-11-22T02:08:23.000Z`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let zoned = self.zoned();
        let (date, time) = (zoned.date(), zoned.time());
        write!(
            f,
            "{date}T{:02}:{:02}:{:02}.{:03}Z",
            time.hour(),
            time.minute(),
            time.second(),
            time.millisecond()
        )
    }
}

impl FromStr for Timestamp {
    type Err = InvalidTime;

    fn from_str(text: &str) -> Result<Self, InvalidTime> {
        let time: jiff::Timestamp = text.parse().map_err(|_| InvalidTime)?;
        let millis = u64::try_from(time.as_millisecond()).map_err(|_| InvalidTime)?;
        Ok(Self::from_millis(millis))
    }
}

// === impl Day ===

impl Day {
    /// Midnight UTC at which the day begins.
    pub fn start(self) -> Timestamp {
        let millis = self
            .0
            .to_zoned(TimeZone::UTC)
            .map_or(0, |zoned| zoned.timestamp().as_millisecond());
        Timestamp::from_millis(u64::try_from(millis).unwrap_or(0))
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl FromStr for Day {
    type Err = InvalidTime;

    fn from_str(text: &str) -> Result<Self, InvalidTime> {
        let day: Date = text.parse().map_err(|_| InvalidTime)?;
        // One spelling only: the name of a day is also the name of a folder.
        if day.to_string() == text && day.year() >= 1970 {
            Ok(Self(day))
        } else {
            Err(InvalidTime)
        }
    }
}

impl TryFrom<String> for Day {
    type Error = InvalidTime;

    fn try_from(text: String) -> Result<Self, InvalidTime> {
        text.parse()
    }
}

impl From<Day> for String {
    fn from(day: Day) -> Self {
        day.to_string()
    }
}

// === impl InvalidTime ===

impl fmt::Display for InvalidTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a time")
    }
}

impl std::error::Error for InvalidTime {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_and_reads_rfc_3339_with_milliseconds() {
        let time = Timestamp::from_millis(1_795_305_600_007);
        assert_eq!(time.to_string(), "2026-11-22T00:00:00.007Z");
        assert_eq!(time.to_string().parse(), Ok(time));
        assert!("yesterday".parse::<Timestamp>().is_err());
        assert!("1969-12-31T23:59:59Z".parse::<Timestamp>().is_err());
    }

    #[test]
    fn names_days_months_and_half_years_in_utc() {
        let time = Timestamp::from_millis(1_795_305_600_000);
        assert_eq!(time.day().to_string(), "2026-11-22");
        assert_eq!(time.day().start(), time);
        assert_eq!(time.month(), "2026-11");
        assert_eq!(time.half_year(), "2026h2");
        assert_eq!("2026-11-22".parse::<Day>().unwrap(), time.day());
        assert!("2026-11-31".parse::<Day>().is_err());
        assert!("20261122".parse::<Day>().is_err());
    }

    #[test]
    fn stays_in_range_whatever_the_number() {
        assert_eq!(Timestamp::from_millis(u64::MAX), Timestamp::MAX);
        assert_eq!(Timestamp::MAX.saturating_add(Duration::MAX), Timestamp::MAX);
        assert_eq!(
            Timestamp::default().saturating_sub(Duration::from_secs(1)),
            Timestamp::default()
        );
        assert!(Timestamp::MAX.to_string().starts_with("9999-12-30"));
    }
}
