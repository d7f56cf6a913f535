//! Which time-stamping authority vouches for this server's ledger, and how much that matters.

use std::time::Duration;

use entente_config::{DurationText, FilePath};
use entente_timestamp::Policy;
use entente_tls::net::Endpoint;
use serde::Deserialize;

/// `timestamp:` of `security-server.yaml`.
#[derive(Clone, Debug, Deserialize)]
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

/// An `http://` address. Not `https`: what comes back is signed, and checked against the roots.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct HttpUrl {
    /// Where to connect.
    pub(crate) endpoint: Endpoint,
    /// `Host:` as the address writes it.
    pub(crate) host: String,
    /// Path and query.
    pub(crate) path: String,
}

/// A time-stamping policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct PolicyId(pub Policy);

/// From 1 s to 1 h.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "DurationText")]
pub struct Every(pub Duration);

/// A value that is not what it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected {0}")]
pub struct Unexpected(&'static str);

// === impl HttpUrl ===

impl TryFrom<String> for HttpUrl {
    type Error = Unexpected;

    fn try_from(text: String) -> Result<Self, Unexpected> {
        let expected = Unexpected("an address such as http://tsa.example/ (http, not https)");
        let url: http::Uri = text.parse().map_err(|_| expected)?;
        let authority = url.authority().ok_or(expected)?;
        if url.scheme_str() != Some("http") || authority.as_str().contains('@') {
            return Err(expected);
        }
        // Not `port_u16`, which takes a port that is none for none at all.
        let endpoint = match authority.as_str() == authority.host() {
            true => format!("{}:80", authority.host()),
            false => authority.as_str().to_owned(),
        };
        let path = url.path_and_query().map_or("/", |path| path.as_str());
        Ok(Self {
            endpoint: endpoint.parse().map_err(|_| expected)?,
            host: authority.as_str().to_owned(),
            path: path.to_owned(),
        })
    }
}

// === impl PolicyId ===

impl TryFrom<String> for PolicyId {
    type Error = entente_timestamp::InvalidPolicy;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse().map(Self)
    }
}

// === impl Every ===

impl Default for Every {
    fn default() -> Self {
        Self(Duration::from_secs(60))
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
    fn reads_an_address_and_refuses_what_it_could_not_ask() {
        let read = |text: &str| HttpUrl::try_from(text.to_owned());
        let url = read("http://tsa.example:318/tsr?p=1").unwrap();
        assert_eq!(url.endpoint.to_string(), "tsa.example:318");
        assert_eq!(
            (url.host.as_str(), url.path.as_str()),
            ("tsa.example:318", "/tsr?p=1")
        );
        let url = read("http://[::1]").unwrap();
        assert_eq!(
            (url.endpoint.to_string().as_str(), url.path.as_str()),
            ("[::1]:80", "/")
        );
        for text in [
            "",
            "tsa.example",
            "https://tsa.example/",
            "http://",
            "http://a:b@tsa.example/",
            "http://tsa.example:99999/",
        ] {
            assert!(read(text).is_err(), "{text}");
        }
    }

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
