//! Addresses, as configuration and the directory write them.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use entente_config::{self as config, ListenAddr};
use serde::{Deserialize, Serialize};

/// Where to connect or listen: `host:port`, `[v6]:port`, or `unix:/absolute/path`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Endpoint {
    /// A host name or address, and a port. The host has no brackets.
    Tcp {
        /// Host name (at most 253 bytes) or IP address.
        host: String,
        /// The port; 0, when listening, takes a free one.
        port: u16,
    },
    /// A Unix stream socket at an absolute path of at most 96 bytes.
    Unix(PathBuf),
}

/// A text that is not an endpoint.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not `host:port` or `unix:/path`")]
pub struct InvalidEndpoint;

// === impl Endpoint ===

impl Endpoint {
    /// A loopback endpoint on a free port.
    pub fn loopback() -> Self {
        SocketAddr::from(([127, 0, 0, 1], 0)).into()
    }

    /// The host, for TCP.
    pub fn host(&self) -> Option<&str> {
        match self {
            Self::Tcp { host, .. } => Some(host),
            Self::Unix(_) => None,
        }
    }

    /// The socket's path, for a Unix socket.
    pub fn path(&self) -> Option<&Path> {
        match self {
            Self::Tcp { .. } => None,
            Self::Unix(path) => Some(path),
        }
    }

    /// Whether only this machine can reach it: a Unix socket, a loopback address or `localhost`.
    pub fn is_local(&self) -> bool {
        match self {
            Self::Tcp { host, .. } => {
                host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
            }
            Self::Unix(_) => true,
        }
    }
}

impl From<SocketAddr> for Endpoint {
    fn from(address: SocketAddr) -> Self {
        Self::Tcp {
            host: address.ip().to_string(),
            port: address.port(),
        }
    }
}

impl From<ListenAddr> for Endpoint {
    fn from(address: ListenAddr) -> Self {
        match address {
            ListenAddr::Tcp(address) => address.into(),
            ListenAddr::Unix(path) => Self::Unix(path),
        }
    }
}

impl From<config::Endpoint> for Endpoint {
    fn from(endpoint: config::Endpoint) -> Self {
        match endpoint {
            config::Endpoint::Tcp { host, port } => Self::Tcp { host, port },
            config::Endpoint::Unix(path) => Self::Unix(path),
        }
    }
}

impl FromStr for Endpoint {
    type Err = InvalidEndpoint;

    fn from_str(text: &str) -> Result<Self, InvalidEndpoint> {
        if let Some(path) = text.strip_prefix("unix:") {
            let fits = path.starts_with('/') && path.len() <= MAX_PATH && !path.contains('\0');
            return if fits {
                Ok(Self::Unix(path.into()))
            } else {
                Err(InvalidEndpoint)
            };
        }
        let (host, port) = text.rsplit_once(':').ok_or(InvalidEndpoint)?;
        if !port.bytes().all(|b| b.is_ascii_digit()) {
            return Err(InvalidEndpoint);
        }
        let port = port.parse().map_err(|_| InvalidEndpoint)?;
        let bracketed = host.strip_prefix('[').and_then(|h| h.strip_suffix(']'));
        let valid = match bracketed {
            Some(v6) => v6.parse::<std::net::Ipv6Addr>().is_ok(),
            None => is_host(host),
        };
        if !valid {
            return Err(InvalidEndpoint);
        }
        Ok(Self::Tcp {
            host: bracketed.unwrap_or(host).to_owned(),
            port,
        })
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { host, port } if host.contains(':') => write!(f, "[{host}]:{port}"),
            Self::Tcp { host, port } => write!(f, "{host}:{port}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

impl TryFrom<String> for Endpoint {
    type Error = InvalidEndpoint;

    fn try_from(text: String) -> Result<Self, InvalidEndpoint> {
        text.parse()
    }
}

impl From<Endpoint> for String {
    fn from(endpoint: Endpoint) -> Self {
        endpoint.to_string()
    }
}

/// RFC 1123 host names and dotted addresses.
fn is_host(host: &str) -> bool {
    host.len() <= 253
        && host.split('.').all(|label| {
            (1..=63).contains(&label.len())
                && label
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
                && !label.starts_with('-')
                && !label.ends_with('-')
        })
}

/// `sun_path` holds 108 bytes, and listening needs a few for its temporary name.
const MAX_PATH: usize = 96;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_and_prints_each_form_one_way() {
        for text in [
            "127.0.0.1:7443",
            "ss1.example.ca:443",
            "[::1]:0",
            "unix:/run/entente/vital-events.sock",
        ] {
            let endpoint: Endpoint = text.parse().unwrap();
            assert_eq!(endpoint.to_string(), text);
        }
    }

    #[test]
    fn refuses_what_is_neither() {
        let long = format!("unix:/{}", "x".repeat(200));
        for text in [
            "",
            ":1",
            "host",
            "host:",
            "host:70000",
            "host:+1",
            "::1:80",
            "[::1]",
            "[host]:1",
            "a b:1",
            "-a:1",
            "a..b:1",
            "unix:relative",
            "unix:",
            "unix:/a\0b",
            &long,
            "http://host:1",
        ] {
            assert_eq!(text.parse::<Endpoint>(), Err(InvalidEndpoint), "{text}");
        }
    }

    #[test]
    fn knows_what_only_this_machine_reaches() {
        for (text, local) in [
            ("127.0.0.2:1", true),
            ("[::1]:1", true),
            ("localhost:1", true),
            ("unix:/s", true),
            ("0.0.0.0:1", false),
            ("localhost.example:1", false),
        ] {
            assert_eq!(
                text.parse::<Endpoint>().unwrap().is_local(),
                local,
                "{text}"
            );
        }
    }
}
