//! Whom to ask, as configuration and policies write it.

use std::fmt;
use std::str::FromStr;

use http::uri::PathAndQuery;
use http::{HeaderValue, Uri};
use serde::{Deserialize, Serialize, Serializer};

use crate::net::Endpoint;

/// An `http://` address. Not `https`: what comes back is signed, and checked against a key or roots.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct HttpUrl {
    /// Where to connect.
    pub(super) endpoint: Endpoint,
    /// `Host:` as the address writes it.
    pub(super) host: HeaderValue,
    /// Path and query.
    pub(super) path: PathAndQuery,
}

/// A text that is no such address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected an address such as http://tsa.example/ (http, not https)")]
pub struct InvalidHttpUrl;

// === impl HttpUrl ===

impl HttpUrl {
    /// The address `path` has when this one is a prefix, which has no query.
    ///
    /// # Errors
    /// When that is no address.
    pub fn beneath(&self, path: &str) -> Result<Self, InvalidHttpUrl> {
        if self.path.query().is_some() || !path.starts_with('/') {
            return Err(InvalidHttpUrl);
        }
        let prefix = self.path.path().trim_end_matches('/');
        let path = format!("{prefix}{path}").parse();
        Ok(Self {
            path: path.map_err(|_| InvalidHttpUrl)?,
            ..self.clone()
        })
    }
}

/// The text that reads back as the same.
impl fmt::Display for HttpUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Taken from a text when it was made.
        let host = self.host.to_str().map_err(|_| fmt::Error)?;
        write!(f, "http://{host}{}", self.path)
    }
}

impl Serialize for HttpUrl {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl FromStr for HttpUrl {
    type Err = InvalidHttpUrl;

    fn from_str(text: &str) -> Result<Self, InvalidHttpUrl> {
        let url: Uri = text.parse().map_err(|_| InvalidHttpUrl)?;
        let authority = url.authority().ok_or(InvalidHttpUrl)?.as_str();
        if url.scheme_str() != Some("http") || authority.contains('@') {
            return Err(InvalidHttpUrl);
        }
        // Not `port_u16`, which takes a port that is none for none at all.
        let endpoint = match url.host() == Some(authority) {
            true => format!("{authority}:80"),
            false => authority.to_owned(),
        };
        let path = url.path_and_query().cloned();
        Ok(Self {
            endpoint: endpoint.parse().map_err(|_| InvalidHttpUrl)?,
            host: HeaderValue::from_str(authority).map_err(|_| InvalidHttpUrl)?,
            path: path.unwrap_or_else(|| PathAndQuery::from_static("/")),
        })
    }
}

impl TryFrom<String> for HttpUrl {
    type Error = InvalidHttpUrl;

    fn try_from(text: String) -> Result<Self, InvalidHttpUrl> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_a_host_perhaps_a_port_and_perhaps_a_path() {
        for (text, endpoint, host, path) in [
            (
                "http://tsa.example:318/tsr?p=1",
                "tsa.example:318",
                "tsa.example:318",
                "/tsr?p=1",
            ),
            ("http://w.example", "w.example:80", "w.example", "/"),
            (
                "http://w.example:81/a/b",
                "w.example:81",
                "w.example:81",
                "/a/b",
            ),
            ("http://[::1]", "[::1]:80", "[::1]", "/"),
            ("http://[::1]:81", "[::1]:81", "[::1]:81", "/"),
        ] {
            let url: HttpUrl = text.parse().unwrap();
            assert_eq!(url.endpoint.to_string(), endpoint);
            assert_eq!(url.host, host);
            assert_eq!(url.path, path);
            assert_eq!(url.to_string().parse(), Ok(url));
        }
    }

    #[test]
    fn an_address_lies_beneath_another() {
        for (prefix, path) in [("", "/tile"), ("/", "/tile"), ("/a/b/", "/a/b/tile")] {
            let prefix: HttpUrl = format!("http://w.example{prefix}").parse().unwrap();
            let beneath: HttpUrl = format!("http://w.example{path}").parse().unwrap();
            assert_eq!(prefix.beneath("/tile"), Ok(beneath));
            assert!(prefix.beneath("tile").is_err() && prefix.beneath("/a b").is_err());
        }
        let asking: HttpUrl = "http://w.example/?a".parse().unwrap();
        assert!(asking.beneath("/tile").is_err());
    }

    #[test]
    fn refuses_what_it_could_not_ask() {
        for text in [
            "",
            "tsa.example",
            "https://tsa.example/",
            "http://",
            "http://unix:/w",
            "http://a:b@tsa.example/",
            "http://tsa.example:99999/",
            "http://tsa.example/a b",
        ] {
            assert_eq!(text.parse::<HttpUrl>(), Err(InvalidHttpUrl), "{text}");
        }
    }
}
