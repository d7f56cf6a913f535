//! Where a peer is reached: a host and a port.

use std::fmt;
use std::net::Ipv6Addr;
use std::str::FromStr;

/// `host:port`, where host is a DNS name, an IPv4 address or an IPv6 address in brackets.
///
/// Lower case only, so that one address has one spelling.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address(String);

/// A text that is not an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an address: expected host:port, lower case")]
pub struct InvalidAddress;

// === impl Address ===

impl Address {
    /// As text, ready to connect to.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Address {
    type Err = InvalidAddress;

    fn from_str(text: &str) -> Result<Self, InvalidAddress> {
        let (host, port) = text.rsplit_once(':').ok_or(InvalidAddress)?;
        let number: u16 = port.parse().map_err(|_| InvalidAddress)?;
        if number == 0 || number.to_string() != port || !is_host(host) {
            return Err(InvalidAddress);
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

fn is_host(host: &str) -> bool {
    if let Some(inner) = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')) {
        return inner
            .parse::<Ipv6Addr>()
            .is_ok_and(|address| address.to_string() == inner);
    }
    host.len() <= 253
        && host.split('.').all(|label| {
            (1..=63).contains(&label.len())
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label
                    .bytes()
                    .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_names_and_addresses_in_their_one_spelling() {
        for text in [
            "ss1.gov.on.ca:7443",
            "127.0.0.1:1",
            "[::1]:7443",
            "localhost:65535",
        ] {
            assert_eq!(text.parse::<Address>().unwrap().as_str(), text);
        }
        for text in [
            "",
            "host",
            "host:",
            "host:0",
            "host:065",
            "host:65536",
            "HOST:1",
            "a..b:1",
            ":1",
            "::1:7443",
            "[0:0:0:0:0:0:0:1]:1",
            "-a:1",
            "a b:1",
            "u@h:1",
            "h/p:1",
        ] {
            assert!(text.parse::<Address>().is_err(), "{text:?}");
        }
    }
}
