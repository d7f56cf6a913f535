//! How long a record is kept, and what one key covers.
//!
//! The term stands in the key's own name. What is due can so be told from the keys alone: by a server
//! whose agreement ended long ago, and by an auditor who has only the ledger.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use entente_clock::{Day, Timestamp};
use entente_signing::Digest;

use crate::SidecarError;

/// A retention class and its term, written `standard.730d`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Retention {
    class: String,
    days: u32,
}

/// What one key covers: everything of one [`Retention`] in one span of time.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Period {
    /// How long.
    pub retention: Retention,
    /// Of when.
    pub span: Span,
}

/// A span of time, and for what: `2026-11-22` for the records of a day, `2026-11/immediate` for the
/// subject tags of a month and notice class.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Span {
    /// Records of one day.
    Day(Day),
    /// Subject tags of one month (`2026-11`) and notice class.
    Tags {
        /// The month, as [`Timestamp::month`] writes it.
        month: String,
        /// The notice class.
        notice: String,
    },
}

/// One key of a period. A period has more than one after each other when a single record of it was
/// erased; written `standard.730d/2026-11-22/1`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyName {
    /// What it covers.
    pub period: Period,
    /// Which of them, from 1.
    pub number: u32,
}

/// A name that is not one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not the name of a retention class, a period or a key")]
pub struct InvalidName;

// === impl Retention ===

impl Retention {
    /// The longest class, in bytes.
    pub const MAX_CLASS: usize = 32;
    /// The longest term, in days: a hundred years.
    pub const MAX_DAYS: u32 = 36_525;

    /// A class (`[a-z0-9-]{1,32}`) and a term of 1 to 36,525 whole days.
    ///
    /// # Errors
    /// When one of them is out of bounds.
    pub fn new(class: &str, days: u32) -> Result<Self, SidecarError> {
        if !is_label(class, Self::MAX_CLASS) || !(1..=Self::MAX_DAYS).contains(&days) {
            return Err(SidecarError::Size);
        }
        Ok(Self {
            class: class.to_owned(),
            days,
        })
    }

    /// The class, as agreements name it.
    pub fn class(&self) -> &str {
        &self.class
    }

    /// The term, in days.
    pub const fn days(&self) -> u32 {
        self.days
    }
}

impl fmt::Display for Retention {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}d", self.class, self.days)
    }
}

impl FromStr for Retention {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        let (class, days) = text.split_once('.').ok_or(InvalidName)?;
        let days = days.strip_suffix('d').ok_or(InvalidName)?;
        let parsed = days.parse().map_err(|_| InvalidName)?;
        let retention = Self::new(class, parsed).map_err(|_| InvalidName)?;
        // One spelling only.
        (retention.to_string() == text)
            .then_some(retention)
            .ok_or(InvalidName)
    }
}

// === impl Span ===

impl Span {
    /// When it is over.
    fn end(&self) -> Timestamp {
        match self {
            Self::Day(day) => start(*day).saturating_add(DAY),
            // The last day of a month lies 31 days after some moment of its first: no month is longer,
            // and none is so short that its first day plus 31 is in the month after the next.
            Self::Tags { month, .. } => first_of(month).map_or(Timestamp::MAX, |first| {
                let next = start(first).saturating_add(31 * DAY).month();
                first_of(&next).map_or(Timestamp::MAX, start)
            }),
        }
    }

    /// What ends are compared by: for which use, and when.
    pub(crate) fn series(&self) -> (&str, String) {
        match self {
            Self::Day(day) => ("", day.to_string()),
            Self::Tags { month, notice } => (notice, month.clone()),
        }
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Day(day) => day.fmt(f),
            Self::Tags { month, notice } => write!(f, "{month}/{notice}"),
        }
    }
}

impl FromStr for Span {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        let Some((month, notice)) = text.split_once('/') else {
            return text.parse().map(Self::Day).map_err(|_| InvalidName);
        };
        if first_of(month).is_none() || !is_label(notice, Retention::MAX_CLASS) {
            return Err(InvalidName);
        }
        Ok(Self::Tags {
            month: month.to_owned(),
            notice: notice.to_owned(),
        })
    }
}

// === impl Period ===

impl Period {
    /// The records of a day.
    pub const fn of_day(retention: Retention, day: Day) -> Self {
        Self {
            retention,
            span: Span::Day(day),
        }
    }

    /// The subject tags of a month (`2026-11`) and notice class (`[a-z0-9-]{1,32}`).
    ///
    /// # Errors
    /// When one of them is not such a name.
    pub fn of_tags(retention: Retention, month: &str, notice: &str) -> Result<Self, SidecarError> {
        let span = format!("{month}/{notice}").parse();
        Ok(Self {
            retention,
            span: span.map_err(|InvalidName| SidecarError::Size)?,
        })
    }

    /// When its key must go: the last thing in it has then been kept for the whole term.
    pub fn due(&self) -> Timestamp {
        let term = DAY.saturating_mul(self.retention.days);
        self.span.end().saturating_add(term)
    }
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.retention, self.span)
    }
}

// === impl KeyName ===

impl KeyName {
    /// What SHRED says of the key: the SHA-256 of its name.
    pub fn hash(&self) -> Digest {
        Digest::of(self.to_string().as_bytes())
    }
}

impl fmt::Display for KeyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.period, self.number)
    }
}

impl FromStr for KeyName {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        let (retention, rest) = text.split_once('/').ok_or(InvalidName)?;
        let (span, number) = rest.rsplit_once('/').ok_or(InvalidName)?;
        let name = Self {
            period: Period {
                retention: retention.parse()?,
                span: span.parse()?,
            },
            number: number.parse().map_err(|_| InvalidName)?,
        };
        (name.number > 0 && name.to_string() == text)
            .then_some(name)
            .ok_or(InvalidName)
    }
}

/// When a day begins. A day beyond all times begins after them, and not at their beginning: it must never
/// look as if its term were over.
fn start(day: Day) -> Timestamp {
    let start = day.start();
    if start.day() == day {
        start
    } else {
        Timestamp::MAX
    }
}

fn first_of(month: &str) -> Option<Day> {
    format!("{month}-01").parse().ok()
}

fn is_label(text: &str, most: usize) -> bool {
    let named = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    (1..=most).contains(&text.len()) && text.bytes().all(named)
}

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

#[cfg(test)]
mod tests {
    use super::*;

    fn due(name: &str) -> String {
        let name: KeyName = name.parse().unwrap();
        name.period.due().to_string()
    }

    #[test]
    fn a_name_reads_back_and_has_one_spelling() {
        for name in [
            "standard.730d/2026-11-22/1",
            "long-7d.36525d/2024-02-29/12",
            "standard.1d/2026-11/immediate/1",
        ] {
            assert_eq!(name.parse::<KeyName>().unwrap().to_string(), name);
        }
        for name in [
            "standard/2026-11-22/1",
            "standard.0d/2026-11-22/1",
            "standard.36526d/2026-11-22/1",
            "standard.07d/2026-11-22/1",
            "standard.7d/2026-11-22/0",
            "standard.7d/2026-11-22/01",
            "standard.7d/2026-11-22",
            "standard.7d/2026-13/immediate/1",
            "Standard.7d/2026-11-22/1",
            "a.b.7d/2026-11-22/1",
        ] {
            assert!(name.parse::<KeyName>().is_err(), "{name}");
        }
    }

    #[test]
    fn the_last_moment_of_a_period_is_kept_for_the_whole_term() {
        assert_eq!(
            due("standard.1d/2026-11-22/1"),
            "2026-11-24T00:00:00.000Z",
            "a record of 23:59 is kept until 23:59 the day after"
        );
        assert_eq!(
            due("standard.365d/2027-02-28/1"),
            "2028-02-29T00:00:00.000Z"
        );
        assert_eq!(
            due("standard.1d/2026-12/withheld/1"),
            "2027-01-02T00:00:00.000Z"
        );
        assert_eq!(
            due("standard.1d/2028-02/withheld/1"),
            "2028-03-02T00:00:00.000Z"
        );
        assert_eq!(
            due("standard.36525d/9999-12-31/1"),
            Timestamp::MAX.to_string()
        );
    }
}
