//! The name types and their syntax.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::InvalidName;

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $expected:literal, $valid:path) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Arc<str>);

        impl $name {
            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = InvalidName;

            fn from_str(text: &str) -> Result<Self, InvalidName> {
                if $valid(text) {
                    Ok(Self(text.into()))
                } else {
                    Err(InvalidName::new($expected, text))
                }
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidName;

            fn try_from(text: String) -> Result<Self, InvalidName> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0.as_ref().into()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }
    };
}

name!(
    /// A jurisdiction: an ISO 3166 code (`ca`, `ca-on`) or one delegated by such (`ca-on.sudbury`).
    Jurisdiction, "jurisdiction", is_jurisdiction
);
name!(
    /// An institution registered in a jurisdiction: `ca-on/service-ontario`.
    MemberId, "member", is_member
);
name!(
    /// A system of a member, the party of every exchange: `ca-on/service-ontario/vital-events`.
    SystemId, "system", is_system
);
name!(
    /// A security server of a member: `ca-on/service-ontario/@ss1`.
    ServerId, "server", is_server
);
name!(
    /// A full protobuf service name: `ca.demo.benefits.v1.Benefits`.
    ServiceName, "service", is_service
);
name!(
    /// A method of a service: `ca.demo.benefits.v1.Benefits/GetEligibility`.
    MethodName, "method", is_method
);
name!(
    /// A data element named by contracts and agreements: `person.number`.
    ElementName, "data element", is_element
);
name!(
    /// A purpose from the registry's closed list: `PROGRAM_ADMINISTRATION`.
    PurposeCode, "purpose", is_purpose
);

// === impl MemberId ===

impl MemberId {
    /// The jurisdiction that speaks for this member.
    pub fn jurisdiction(&self) -> Jurisdiction {
        Jurisdiction(head(&self.0))
    }

    /// The last part of the name.
    pub fn label(&self) -> &str {
        tail(&self.0)
    }
}

// === impl SystemId ===

impl SystemId {
    /// The member whose system this is.
    pub fn member(&self) -> MemberId {
        MemberId(head(&self.0))
    }

    /// The jurisdiction that speaks for the member.
    pub fn jurisdiction(&self) -> Jurisdiction {
        self.member().jurisdiction()
    }

    /// The last part of the name.
    pub fn label(&self) -> &str {
        tail(&self.0)
    }
}

// === impl ServerId ===

impl ServerId {
    /// Jurisdiction, member and server, each by its own name.
    pub fn parts(&self) -> (&str, &str, &str) {
        let (jurisdiction, rest) = self.0.split_once('/').unwrap_or_default();
        let (member, server) = rest.split_once("/@").unwrap_or_default();
        (jurisdiction, member, server)
    }

    /// The member that runs this server.
    pub fn member(&self) -> MemberId {
        MemberId(head(&self.0))
    }

    /// The jurisdiction that speaks for the member.
    pub fn jurisdiction(&self) -> Jurisdiction {
        self.member().jurisdiction()
    }

    /// The last part of the name, without the `@`.
    pub fn label(&self) -> &str {
        tail(&self.0).trim_start_matches('@')
    }
}

// === impl MethodName ===

impl MethodName {
    /// The service half.
    pub fn service(&self) -> ServiceName {
        ServiceName(head(&self.0))
    }

    /// The method half.
    pub fn method(&self) -> &str {
        tail(&self.0)
    }

    /// The HTTP/2 path gRPC uses: `/pkg.Service/Method`.
    pub fn path(&self) -> String {
        format!("/{}", self.0)
    }

    /// Parses a gRPC path, with its leading slash.
    ///
    /// # Errors
    /// When the path is not `/pkg.Service/Method`.
    pub fn from_path(path: &str) -> Result<Self, InvalidName> {
        path.strip_prefix('/')
            .ok_or_else(|| InvalidName::new("method", path))?
            .parse()
    }
}

// === syntax ===

const MAX_LABEL: usize = 63;
const MAX_JURISDICTION: usize = 128;
const MAX_PROTOBUF_NAME: usize = 255;

fn head(name: &str) -> Arc<str> {
    name.rsplit_once('/').map_or("", |(head, _)| head).into()
}

fn tail(name: &str) -> &str {
    name.rsplit_once('/').map_or(name, |(_, tail)| tail)
}

fn is_label(text: &str) -> bool {
    (1..=MAX_LABEL).contains(&text.len())
        && text
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

fn is_jurisdiction(text: &str) -> bool {
    if text.len() > MAX_JURISDICTION {
        return false;
    }
    let mut parts = text.split('.');
    let code = parts.next().unwrap_or_default();
    let (country, subdivision) = match code.split_once('-') {
        Some((country, subdivision)) => (country, Some(subdivision)),
        None => (code, None),
    };
    country.len() == 2
        && country.bytes().all(|b| b.is_ascii_lowercase())
        && subdivision.is_none_or(is_label)
        && parts.all(is_label)
}

fn is_member(text: &str) -> bool {
    text.split_once('/')
        .is_some_and(|(jurisdiction, member)| is_jurisdiction(jurisdiction) && is_label(member))
}

fn is_system(text: &str) -> bool {
    text.rsplit_once('/')
        .is_some_and(|(member, system)| is_member(member) && is_label(system))
}

fn is_server(text: &str) -> bool {
    text.rsplit_once("/@")
        .is_some_and(|(member, server)| is_member(member) && is_label(server))
}

fn is_identifier(text: &str) -> bool {
    let mut bytes = text.bytes();
    bytes
        .next()
        .is_some_and(|b| b.is_ascii_alphabetic() || b == b'_')
        && bytes.all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

fn is_service(text: &str) -> bool {
    text.len() <= MAX_PROTOBUF_NAME && text.split('.').all(is_identifier)
}

fn is_method(text: &str) -> bool {
    text.split_once('/')
        .is_some_and(|(service, method)| is_service(service) && is_identifier(method))
        && text.len() <= MAX_PROTOBUF_NAME
}

fn is_element(text: &str) -> bool {
    text.len() <= MAX_LABEL
        && text.starts_with(|c: char| c.is_ascii_lowercase())
        && text
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"_.-".contains(&b))
}

fn is_purpose(text: &str) -> bool {
    text.len() <= 64
        && text.starts_with(|c: char| c.is_ascii_uppercase())
        && text
            .bytes()
            .all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_the_names_of_the_design() {
        for name in ["ca", "ca-on", "ca-on.sudbury", "ca-demo"] {
            assert_eq!(name.parse::<Jurisdiction>().unwrap().as_str(), name);
        }
        let system: SystemId = "ca-on/service-ontario/vital-events".parse().unwrap();
        assert_eq!(system.member().as_str(), "ca-on/service-ontario");
        assert_eq!(system.jurisdiction().as_str(), "ca-on");
        assert_eq!(system.label(), "vital-events");
        let server: ServerId = "ca-on/service-ontario/@ss1".parse().unwrap();
        assert_eq!(server.label(), "ss1");
        assert_eq!(server.parts(), ("ca-on", "service-ontario", "ss1"));
        assert_eq!(server.member().label(), "service-ontario");
        let method = MethodName::from_path("/a.v1.B/Get").unwrap();
        assert_eq!(
            (method.service().as_str(), method.method()),
            ("a.v1.B", "Get")
        );
        assert_eq!(method.path(), "/a.v1.B/Get");
    }

    #[test]
    fn refuses_what_only_looks_like_a_name() {
        for name in [
            "", "CA", "can", "ca-", "ca..x", "ca/x", "c", "ca-on.", "ca on",
        ] {
            assert!(name.parse::<Jurisdiction>().is_err(), "{name:?}");
        }
        for name in ["ca", "ca/", "ca/A", "ca/a/b", "ca/a.b", "/a", "ca/@ss1"] {
            assert!(name.parse::<MemberId>().is_err(), "{name:?}");
        }
        for name in ["ca/a", "ca/a/@ss1", "ca/a/b/c", "ca/a/B", "ca//b"] {
            assert!(name.parse::<SystemId>().is_err(), "{name:?}");
        }
        for name in ["ca/a/ss1", "ca/@a/@b", "ca/a/@", "@ss1"] {
            assert!(name.parse::<ServerId>().is_err(), "{name:?}");
        }
        for name in [
            "a.B", "a.B/", "/a.B/C", "a..B/C", "a.B/C/D", "1a/B", "a.B/C-D",
        ] {
            assert!(name.parse::<MethodName>().is_err(), "{name:?}");
        }
        assert!("x".repeat(64).parse::<ElementName>().is_err());
        assert!("program_administration".parse::<PurposeCode>().is_err());
    }
}
