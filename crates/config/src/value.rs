//! Quantities written with a unit: sizes, durations and rates.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use crate::scalar::text_value;

/// A number of bytes: `512B`, `64KiB`, `16MiB`, `2GiB`, or a plain whole number of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ByteSize(u64);

/// A length of time: a whole number and one unit of `ms`, `s`, `m`, `h` or `d`, as in `250ms`.
///
/// At most 3,650 days.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DurationText(Duration);

/// How often something may happen: a whole number per `s`, `m`, `h` or `d`, as in `50/s`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Rate {
    count: u32,
    per: Duration,
}

/// A text that is not the value it should be. The text itself is not kept.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected {expected}")]
pub struct InvalidValue {
    /// What was expected, with an example.
    pub expected: &'static str,
}

text_value!(
    ByteSize,
    "a size such as 512B, 64KiB or 16MiB",
    "^[0-9]+(B|KiB|MiB|GiB)?$"
);
text_value!(
    DurationText,
    "a duration such as 250ms, 3s, 10m or 24h",
    "^[0-9]+(ms|s|m|h|d)$"
);
text_value!(
    Rate,
    "a rate such as 50/s, 100/m or 6/h",
    "^[0-9]+/(s|m|h|d)$"
);

// === impl ByteSize ===

impl ByteSize {
    /// From a number of bytes.
    pub const fn from_bytes(bytes: u64) -> Self {
        Self(bytes)
    }

    /// The number of bytes.
    pub const fn as_bytes(self) -> u64 {
        self.0
    }

    /// The number of bytes as a length in memory; saturates on a 32-bit machine.
    pub fn as_usize(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

impl FromStr for ByteSize {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        let (number, unit) = split_unit(text);
        let shift = match unit {
            "" | "B" => 0,
            "KiB" => 10,
            "MiB" => 20,
            "GiB" => 30,
            _ => return Err(Self::invalid()),
        };
        let number = whole(number).ok_or_else(Self::invalid)?;
        let bytes = number.checked_mul(1 << shift).ok_or_else(Self::invalid)?;
        Ok(Self(bytes))
    }
}

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (shift, unit) in [(30, "GiB"), (20, "MiB"), (10, "KiB")] {
            if self.0 != 0 && self.0.trailing_zeros() >= shift {
                return write!(f, "{}{unit}", self.0 >> shift);
            }
        }
        write!(f, "{}B", self.0)
    }
}

// === impl DurationText ===

impl DurationText {
    /// From whole milliseconds.
    pub const fn from_millis(millis: u64) -> Self {
        Self(Duration::from_millis(millis))
    }

    /// From whole seconds.
    pub const fn from_secs(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }

    /// The duration.
    pub const fn get(self) -> Duration {
        self.0
    }
}

impl FromStr for DurationText {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        let (number, unit) = split_unit(text);
        let millis = match unit {
            "ms" => 1,
            "s" => SECOND_MS,
            "m" => 60 * SECOND_MS,
            "h" => 3600 * SECOND_MS,
            "d" => DAY_MS,
            _ => return Err(Self::invalid()),
        };
        whole(number)
            .and_then(|number| number.checked_mul(millis))
            .filter(|total| *total <= MAX_DURATION_MS)
            .map(Self::from_millis)
            .ok_or_else(Self::invalid)
    }
}

impl fmt::Display for DurationText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX);
        for (size, unit) in [
            (DAY_MS, "d"),
            (3600 * SECOND_MS, "h"),
            (60 * SECOND_MS, "m"),
            (SECOND_MS, "s"),
        ] {
            if millis != 0 && millis.is_multiple_of(size) {
                return write!(f, "{}{unit}", millis / size);
            }
        }
        write!(f, "{millis}ms")
    }
}

impl From<DurationText> for Duration {
    fn from(text: DurationText) -> Self {
        text.0
    }
}

// === impl Rate ===

impl Rate {
    /// How many times within [`Rate::per`]; never zero.
    pub const fn count(self) -> u32 {
        self.count
    }

    /// The length of the window.
    pub const fn per(self) -> Duration {
        self.per
    }
}

impl FromStr for Rate {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        let (count, unit) = text.split_once('/').ok_or_else(Self::invalid)?;
        let seconds = match unit {
            "s" => 1,
            "m" => 60,
            "h" => 3600,
            "d" => 86_400,
            _ => return Err(Self::invalid()),
        };
        let count = whole(count)
            .and_then(|count| u32::try_from(count).ok())
            .filter(|count| *count > 0)
            .ok_or_else(Self::invalid)?;
        Ok(Self {
            count,
            per: Duration::from_secs(seconds),
        })
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = match self.per.as_secs() {
            1 => "s",
            60 => "m",
            3600 => "h",
            _ => "d",
        };
        write!(f, "{}/{unit}", self.count)
    }
}

fn split_unit(text: &str) -> (&str, &str) {
    let end = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    text.split_at(end)
}

/// A whole number without sign or redundant leading zeros, of at most 19 digits.
fn whole(text: &str) -> Option<u64> {
    let plain = !text.is_empty() && text.len() <= 19 && (text == "0" || !text.starts_with('0'));
    plain.then(|| text.parse().ok()).flatten()
}

const SECOND_MS: u64 = 1000;
const DAY_MS: u64 = 86_400 * SECOND_MS;
const MAX_DURATION_MS: u64 = 3650 * DAY_MS;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_sizes_durations_and_rates_and_writes_them_back() {
        for text in ["512B", "64KiB", "16MiB", "2GiB", "1000B", "0B"] {
            assert_eq!(text.parse::<ByteSize>().unwrap().to_string(), text);
        }
        assert_eq!("4096".parse::<ByteSize>().unwrap().to_string(), "4KiB");
        for text in ["250ms", "3s", "10m", "24h", "0ms"] {
            let shown = text.parse::<DurationText>().unwrap().to_string();
            assert_eq!(shown.parse::<DurationText>(), text.parse());
        }
        assert_eq!("90s".parse::<DurationText>().unwrap().to_string(), "90s");
        for text in ["50/s", "100/m", "6/h", "1/d"] {
            assert_eq!(text.parse::<Rate>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn refuses_quantities_that_only_look_right() {
        for text in [
            "",
            "MiB",
            "1MB",
            "1.5MiB",
            "-1B",
            "01B",
            "1 MiB",
            "99999999999GiB",
        ] {
            assert!(text.parse::<ByteSize>().is_err(), "{text:?}");
        }
        for text in ["", "s", "3", "3 s", "3sec", "1h30m", "-3s", "4000d"] {
            assert!(text.parse::<DurationText>().is_err(), "{text:?}");
        }
        for text in ["", "50", "0/s", "50/ms", "50 / s", "/s", "5000000000/s"] {
            assert!(text.parse::<Rate>().is_err(), "{text:?}");
        }
    }
}
