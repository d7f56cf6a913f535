//! Which time-stamping authority vouches for this server's ledger, and how much that matters.

use std::time::Duration;

use entente_config::{DurationText, FilePath};
use entente_timestamp::Policy;
use entente_tls::http::HttpUrl;
use serde::{Deserialize, Serialize};

/// `timestamp:` of `security-server.yaml`.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Timestamp {
    /// The authority's address: `http://tsa.example/`.
    pub url: HttpUrl,
    /// Its roots, certificates in PEM. *Trusted: they decide whose time is believed.*
    pub roots: FilePath,
    /// The policy to ask for, as in `1.2.3.4.1`; tokens under others are refused. Default any.
    #[serde(default)]
    pub policy: Option<PolicyId>,
    /// How often the newest checkpoint is stamped, when the ledger grew. 1s to 1h, default 1m.
    #[serde(default)]
    pub every: Every,
    /// How long an entry may go without a token before exchange stops with `TIME_UNPROVEN`. At least
    /// twice `every`, to mean anything. Default: exchange goes on without.
    #[serde(default)]
    pub required_within: Option<DurationText>,
}

/// A time-stamping policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct PolicyId(pub Policy);

/// From 1 s to 1 h.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "DurationText", into = "DurationText")]
pub struct Every(pub Duration);

/// A value that is not what it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected {0}")]
pub struct Unexpected(&'static str);

// === impl PolicyId ===

impl TryFrom<String> for PolicyId {
    type Error = entente_timestamp::InvalidPolicy;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse().map(Self)
    }
}

impl From<PolicyId> for String {
    fn from(policy: PolicyId) -> Self {
        policy.0.to_string()
    }
}

// === impl Every ===

impl Default for Every {
    fn default() -> Self {
        Self(Duration::from_secs(60))
    }
}

impl From<Every> for DurationText {
    fn from(every: Every) -> Self {
        Self::from_millis(u64::try_from(every.0.as_millis()).unwrap_or(u64::MAX))
    }
}

impl TryFrom<DurationText> for Every {
    type Error = Unexpected;

    fn try_from(text: DurationText) -> Result<Self, Unexpected> {
        let every = text.get();
        if (MIN_EVERY..=MAX_EVERY).contains(&every) {
            Ok(Self(every))
        } else {
            Err(Unexpected("a duration from 1s to 1h"))
        }
    }
}

const MIN_EVERY: Duration = Duration::from_secs(1);
const MAX_EVERY: Duration = Duration::from_secs(3_600);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_read_strictly_and_with_its_defaults() {
        let read = |text: &str| entente_config::parse::<Timestamp>(text, "test");
        let found = read("url: http://tsa.example/\nroots: ./tsa.pem").unwrap();
        assert_eq!(found.every.0, Duration::from_secs(60));
        assert!(found.required_within.is_none() && found.policy.is_none());
        for more in [
            "every: 2h",
            "every: 10ms",
            "policy: any",
            "required_within: 4",
            "x: 1",
        ] {
            let text = format!("url: http://tsa.example/\nroots: ./tsa.pem\n{more}");
            assert!(read(&text).is_err(), "{more}");
        }
    }
}
