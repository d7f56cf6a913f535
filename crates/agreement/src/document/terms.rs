//! Small values with a syntax: names, texts, hours, and how dates and hashes are written.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use entente_clock::Timestamp;
use serde::{Deserialize, Serialize};

/// A sentence or a name in both official languages, equally authoritative.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Text {
    /// English.
    pub en: String,
    /// French.
    pub fr: String,
}

/// When calls may be made, in a fixed offset from UTC so that two servers never disagree.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hours {
    /// On which days.
    pub days: BTreeSet<Weekday>,
    /// First minute of the day, 0 to 1,439.
    pub from_minute: u32,
    /// The minute at which it closes, `from_minute` + 1 to 1,440.
    pub until_minute: u32,
    /// Minutes east of UTC, -840 to 840: Toronto's winter is -300.
    pub utc_offset_minutes: i32,
}

/// A day of the week.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Weekday {
    /// Monday.
    Mon,
    /// Tuesday.
    Tue,
    /// Wednesday.
    Wed,
    /// Thursday.
    Thu,
    /// Friday.
    Fri,
    /// Saturday.
    Sat,
    /// Sunday.
    Sun,
}

/// A text that is not the term it should be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not {expected}: expected {syntax}")]
pub struct InvalidTerm {
    /// What it should have been.
    pub expected: &'static str,
    /// Its syntax.
    pub syntax: &'static str,
}

macro_rules! term {
    ($(#[$doc:meta])* $name:ident, $expected:literal, $syntax:literal, $valid:path) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// As text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = InvalidTerm;

            fn from_str(text: &str) -> Result<Self, InvalidTerm> {
                Self::try_from(text.to_owned())
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidTerm;

            fn try_from(text: String) -> Result<Self, InvalidTerm> {
                if $valid(&text) {
                    Ok(Self(text))
                } else {
                    Err(InvalidTerm { expected: $expected, syntax: $syntax })
                }
            }
        }

        impl From<$name> for String {
            fn from(term: $name) -> Self {
                term.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }
    };
}

term!(
    /// The short name of an agreement, as people and the `entente-agreement` header write it.
    AgreementName, "an agreement's short name", "[A-Z][A-Z0-9-]{0,62}", is_agreement_name
);
term!(
    /// A retention class, which names the key destroyed at its end.
    RetentionClass, "a retention class", "[a-z][a-z0-9-]{0,31}", is_class
);
term!(
    /// Whose data a clause is about: `deceased`, `resident`.
    SubjectClass, "a subject class", "[a-z][a-z0-9-]{0,31}", is_class
);

// === impl Hours ===

impl Hours {
    /// Whether calls may be made at this time.
    pub fn open_at(&self, now: Timestamp) -> bool {
        let offset = i64::from(self.utc_offset_minutes);
        let minutes = i64::try_from(now.as_millis() / 60_000).unwrap_or(i64::MAX - 1440) + offset;
        let day = WEEK[usize::try_from(minutes.div_euclid(1440).rem_euclid(7)).unwrap_or(0)];
        let minute = u32::try_from(minutes.rem_euclid(1440)).unwrap_or(0);
        self.days.contains(&day) && (self.from_minute..self.until_minute).contains(&minute)
    }
}

// The epoch was a Thursday.
const WEEK: [Weekday; 7] = [
    Weekday::Thu,
    Weekday::Fri,
    Weekday::Sat,
    Weekday::Sun,
    Weekday::Mon,
    Weekday::Tue,
    Weekday::Wed,
];

// === syntax ===

fn is_agreement_name(text: &str) -> bool {
    text.len() <= 63
        && text.starts_with(|c: char| c.is_ascii_uppercase())
        && text
            .bytes()
            .all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'-')
}

fn is_class(text: &str) -> bool {
    text.len() <= 32
        && text.starts_with(|c: char| c.is_ascii_lowercase())
        && text
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

/// An instant as RFC 3339 text; a bare date is midnight UTC at its start.
fn read_instant(text: &str) -> Option<Timestamp> {
    let day = || text.parse().ok().map(entente_clock::Day::start);
    text.parse().ok().or_else(day)
}

pub(super) mod instant {
    use super::{Timestamp, read_instant};
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(in crate::document) fn serialize<S: Serializer>(
        at: &Timestamp,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        to.collect_str(at)
    }

    pub(in crate::document) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Timestamp, D::Error> {
        let text = String::deserialize(from)?;
        read_instant(&text).ok_or_else(|| D::Error::custom("not a date or an RFC 3339 time"))
    }
}

pub(super) mod instant_option {
    use super::Timestamp;
    use serde::{Deserializer, Serializer};

    #[expect(clippy::ref_option, reason = "the shape serde calls")]
    pub(in crate::document) fn serialize<S: Serializer>(
        at: &Option<Timestamp>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        match at {
            Some(at) => super::instant::serialize(at, to),
            None => to.serialize_none(),
        }
    }

    pub(in crate::document) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<Timestamp>, D::Error> {
        super::instant::deserialize(from).map(Some)
    }
}

pub(super) mod digest {
    use entente_signing::Digest;
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(in crate::document) fn serialize<S: Serializer>(
        digest: &Digest,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        to.collect_str(digest)
    }

    pub(in crate::document) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Digest, D::Error> {
        let text = String::deserialize(from)?;
        text.parse()
            .map_err(|_| D::Error::custom("not a SHA-256 in hexadecimal"))
    }
}

pub(super) mod digest_option {
    use entente_signing::Digest;
    use serde::{Deserializer, Serializer};

    #[expect(clippy::ref_option, reason = "the shape serde calls")]
    pub(in crate::document) fn serialize<S: Serializer>(
        digest: &Option<Digest>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        match digest {
            Some(digest) => super::digest::serialize(digest, to),
            None => to.serialize_none(),
        }
    }

    pub(in crate::document) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<Digest>, D::Error> {
        super::digest::deserialize(from).map(Some)
    }
}
