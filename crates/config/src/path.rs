//! Places: files, and addresses to listen on or to dial.

use std::cell::RefCell;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use crate::scalar::text_value;
use crate::value::InvalidValue;

/// A file or folder. A relative path is taken from the folder of the file it is written in.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FilePath(PathBuf);

/// Where to listen: `127.0.0.1:7443`, `[::1]:7443`, `localhost:7443` or `unix:./exchange.sock`.
///
/// Port 0 lets the system choose.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ListenAddr {
    /// A TCP address. `localhost` is read as 127.0.0.1, without asking a resolver.
    Tcp(SocketAddr),
    /// A Unix socket, relative to the configuration's folder unless absolute.
    Unix(PathBuf),
}

/// Whom to dial: `registry.example:7100`, `10.0.0.7:7443`, `[::1]:7443` or `unix:./adapter.sock`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Endpoint {
    /// A host and port; the host is a DNS name or an address (IPv6 without its brackets).
    Tcp {
        /// DNS name or address.
        host: String,
        /// Port, never 0.
        port: u16,
    },
    /// A Unix socket, relative to the configuration's folder unless absolute.
    Unix(PathBuf),
}

text_value!(FilePath, "a path", "^.+$");
text_value!(
    ListenAddr,
    "an address to listen on such as 127.0.0.1:7443 or unix:./name.sock",
    "^(unix:.+|.+:[0-9]+)$"
);
text_value!(
    Endpoint,
    "an address to dial such as host.example:7443 or unix:./name.sock",
    "^(unix:.+|.+:[0-9]+)$"
);

thread_local! {
    // The folder of the document being read. Serde hands no context to a `Deserialize`, and a
    // document is read on one thread from beginning to end.
    static FOLDER: RefCell<Option<PathBuf>> = const { RefCell::new(None) };
}

/// Runs `read` with relative paths taken from `folder`.
pub(crate) fn within<T>(folder: Option<&Path>, read: impl FnOnce() -> T) -> T {
    struct Restore(Option<PathBuf>);
    impl Drop for Restore {
        fn drop(&mut self) {
            FOLDER.with(|slot| *slot.borrow_mut() = self.0.take());
        }
    }
    let before = FOLDER.with(|slot| slot.replace(folder.map(Path::to_path_buf)));
    let _restore = Restore(before);
    read()
}

pub(crate) fn resolve(text: &str) -> PathBuf {
    let path = Path::new(text);
    FOLDER.with(|slot| match slot.borrow().as_deref() {
        Some(folder) => folder.join(path.strip_prefix(".").unwrap_or(path)),
        None => path.to_path_buf(),
    })
}

fn is_path(text: &str) -> bool {
    !text.is_empty() && !text.contains('\0')
}

// === impl FilePath ===

impl FilePath {
    /// The resolved path.
    pub fn as_path(&self) -> &Path {
        &self.0
    }
}

impl From<PathBuf> for FilePath {
    fn from(path: PathBuf) -> Self {
        Self(path)
    }
}

impl AsRef<Path> for FilePath {
    fn as_ref(&self) -> &Path {
        &self.0
    }
}

impl FromStr for FilePath {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        if is_path(text) {
            Ok(Self(resolve(text)))
        } else {
            Err(Self::invalid())
        }
    }
}

impl fmt::Display for FilePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0.display(), f)
    }
}

// === impl ListenAddr ===

impl ListenAddr {
    /// Whether only this machine can reach the address.
    pub fn is_local(&self) -> bool {
        match self {
            Self::Tcp(address) => address.ip().is_loopback(),
            Self::Unix(_) => true,
        }
    }
}

impl FromStr for ListenAddr {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        if let Some(path) = text.strip_prefix("unix:") {
            return if is_path(path) {
                Ok(Self::Unix(resolve(path)))
            } else {
                Err(Self::invalid())
            };
        }
        if let Some(port) = text.strip_prefix("localhost:") {
            let port = parse_port(port).ok_or_else(Self::invalid)?;
            return Ok(Self::Tcp(SocketAddr::from((Ipv4Addr::LOCALHOST, port))));
        }
        text.parse().map(Self::Tcp).map_err(|_| Self::invalid())
    }
}

impl fmt::Display for ListenAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => fmt::Display::fmt(address, f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

// === impl Endpoint ===

impl Endpoint {
    /// Whether the endpoint is on this machine by its spelling: a Unix socket, a loopback address
    /// or `localhost`. A DNS name that happens to resolve to loopback does not count.
    pub fn is_local(&self) -> bool {
        match self {
            Self::Tcp { host, .. } => {
                host == "localhost" || host.parse().is_ok_and(|ip: IpAddr| ip.is_loopback())
            }
            Self::Unix(_) => true,
        }
    }
}

impl FromStr for Endpoint {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        if let Some(path) = text.strip_prefix("unix:") {
            return if is_path(path) {
                Ok(Self::Unix(resolve(path)))
            } else {
                Err(Self::invalid())
            };
        }
        if let Ok(address) = text.parse::<SocketAddr>() {
            return if address.port() == 0 {
                Err(Self::invalid())
            } else {
                Ok(Self::Tcp {
                    host: address.ip().to_string(),
                    port: address.port(),
                })
            };
        }
        let (host, port) = text.rsplit_once(':').ok_or_else(Self::invalid)?;
        let port = parse_port(port).filter(|port| *port != 0);
        match port {
            Some(port) if is_dns_name(host) => Ok(Self::Tcp {
                host: host.to_owned(),
                port,
            }),
            _ => Err(Self::invalid()),
        }
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

fn parse_port(text: &str) -> Option<u16> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten()
}

/// RFC 1123 host names: labels of letters, digits and inner hyphens, 253 characters in all.
fn is_dns_name(text: &str) -> bool {
    let numeric = text.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    text.len() <= 253
        && !numeric
        && text.split('.').all(|label| {
            (1..=63).contains(&label.len())
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b == b'-')
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_addresses_and_writes_them_back() {
        for text in ["127.0.0.1:7443", "[::1]:0", "0.0.0.0:1", "unix:/run/a.sock"] {
            assert_eq!(text.parse::<ListenAddr>().unwrap().to_string(), text);
        }
        let local: ListenAddr = "localhost:7443".parse().unwrap();
        assert_eq!(local.to_string(), "127.0.0.1:7443");
        assert!(local.is_local());
        assert!(!"0.0.0.0:1".parse::<ListenAddr>().unwrap().is_local());
        for text in [
            "a.example:7443",
            "10.0.0.7:1",
            "[::1]:9",
            "unix:/run/a.sock",
        ] {
            assert_eq!(text.parse::<Endpoint>().unwrap().to_string(), text);
        }
        assert!("localhost:1".parse::<Endpoint>().unwrap().is_local());
        assert!(!"local.example:1".parse::<Endpoint>().unwrap().is_local());
    }

    #[test]
    fn refuses_addresses_that_only_look_right() {
        for text in [
            "",
            ":1",
            "7443",
            "a.example:7443",
            "127.0.0.1",
            "unix:",
            "localhost:x",
        ] {
            assert!(text.parse::<ListenAddr>().is_err(), "{text:?}");
        }
        for text in [
            "",
            ":1",
            "a:0",
            "a:99999",
            "a b:1",
            "-a:1",
            "a..b:1",
            "unix:",
            "1.2.3:4",
            "::1:1",
            "http://a:1",
            "a:+1",
        ] {
            assert!(text.parse::<Endpoint>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn takes_relative_paths_from_the_folder_of_the_file_only_while_reading_it() {
        let inside = within(Some(Path::new("/etc/entente")), || {
            let path: FilePath = "./a/b.pem".parse().unwrap();
            let socket: ListenAddr = "unix:x.sock".parse().unwrap();
            (path.to_string(), socket.to_string())
        });
        assert_eq!(inside.0, "/etc/entente/a/b.pem");
        assert_eq!(inside.1, "unix:/etc/entente/x.sock");
        assert_eq!("a/b".parse::<FilePath>().unwrap().to_string(), "a/b");
    }
}
