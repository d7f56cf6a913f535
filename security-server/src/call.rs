//! What a consumer system says with a call: the `entente-*` metadata, read strictly and consumed.

use std::collections::BTreeSet;
use std::time::Duration;

use entente_evidence::statement::{MessageId, Mode};
use entente_identity::{ElementName, MethodName, PurposeCode, SystemId};
use entente_policy::Named;
use entente_reason::{Lang, Reason};
use tonic::metadata::{KeyAndValueRef, MetadataMap};
use zeroize::Zeroizing;

use crate::config::MAX_DEADLINE;
use crate::refusal::Refusal;

/// A call as its caller put it. Nothing in it is believed yet except its syntax.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    /// The method called.
    pub(crate) method: MethodName,
    /// `entente-to`: the provider system.
    pub(crate) to: SystemId,
    /// `entente-from`: whom the caller says it is; it must be who it proved to be.
    pub(crate) from: Option<SystemId>,
    /// `entente-purpose`.
    pub(crate) purpose: Option<PurposeCode>,
    /// `entente-agreement`: the agreement relied on, by name or hash, with a clause or without.
    pub(crate) agreement: Option<Named>,
    /// `entente-elements`: the elements asked for, when fewer than the clause releases.
    pub(crate) elements: Option<BTreeSet<ElementName>>,
    /// `entente-user`: the official behind the call, as the consumer names them.
    pub(crate) user: Option<Zeroizing<String>>,
    /// `entente-case`: the consumer's file number.
    pub(crate) case: Option<Zeroizing<String>>,
    /// `entente-assurance`: how strongly the official was authenticated, 0 to 4.
    pub(crate) assurance: u8,
    /// `entente-mode`.
    pub(crate) mode: Mode,
    /// `entente-retry-of`: the transaction this call repeats.
    pub(crate) retry_of: Option<MessageId>,
    /// `grpc-timeout`, bounded.
    pub(crate) deadline: Option<Duration>,
}

/// What the local caller gave beside the call itself.
#[derive(Clone, Debug, Default)]
pub(crate) struct Given {
    /// `entente-token`.
    pub(crate) token: Option<Zeroizing<String>>,
    /// `accept-language`.
    pub(crate) lang: Lang,
}

/// The most metadata a call may carry, in bytes (DESIGN.md §16).
pub(crate) const MAX_METADATA: usize = 16 * 1024;

const MAX_USER: usize = 256;
const MAX_ELEMENTS: usize = 256;

// === impl Given ===

impl Given {
    /// Reads language and token; never fails, so that even a malformed call is answered in the
    /// caller's language.
    pub(crate) fn from_headers(headers: &http::HeaderMap) -> Self {
        let text = |key: &str| headers.get(key).and_then(|value| value.to_str().ok());
        let french = text("accept-language").is_some_and(|lang| lang.trim().starts_with("fr"));
        Self {
            token: text("entente-token").map(|token| Zeroizing::new(token.to_owned())),
            lang: if french { Lang::Fr } else { Lang::En },
        }
    }
}

// === impl Call ===

impl Call {
    /// Reads a call's metadata.
    ///
    /// # Errors
    /// `METADATA_INVALID`, with the offending key, when any `entente-*` pair is unknown, repeated,
    /// too long or malformed.
    pub(crate) fn parse(method: MethodName, metadata: &MetadataMap) -> Result<Self, Refusal> {
        let invalid = |key: &str| Refusal::new(Reason::MetadataInvalid).with("key", key);
        let size: usize = metadata
            .iter()
            .map(|pair| match pair {
                KeyAndValueRef::Ascii(key, value) => key.as_str().len() + value.len(),
                KeyAndValueRef::Binary(key, value) => {
                    key.as_str().len() + value.as_encoded_bytes().len()
                }
            })
            .sum();
        if size > MAX_METADATA {
            return Err(invalid("metadata"));
        }
        let mut call = Self {
            method,
            to: PLACEHOLDER.parse().map_err(|_| invalid("entente-to"))?,
            from: None,
            purpose: None,
            agreement: None,
            elements: None,
            user: None,
            case: None,
            assurance: 0,
            mode: Mode::Live,
            retry_of: None,
            deadline: None,
        };
        let mut seen = BTreeSet::new();
        for pair in metadata.iter() {
            let (key, value) = match pair {
                KeyAndValueRef::Ascii(key, value) => (key.as_str(), value),
                // None of ours is binary.
                KeyAndValueRef::Binary(key, _) if key.as_str().starts_with("entente-") => {
                    return Err(invalid(key.as_str()));
                }
                KeyAndValueRef::Binary(..) => continue,
            };
            if !key.starts_with("entente-") && key != "grpc-timeout" {
                continue;
            }
            let value = value.to_str().map_err(|_| invalid(key))?;
            if !seen.insert(key) || !call.read(key, value) {
                return Err(invalid(key));
            }
        }
        if !seen.contains("entente-to") {
            return Err(invalid("entente-to"));
        }
        Ok(call)
    }

    fn read(&mut self, key: &str, value: &str) -> bool {
        fn set<T: std::str::FromStr>(slot: &mut Option<T>, value: &str) -> bool {
            *slot = value.parse().ok();
            slot.is_some()
        }
        match key {
            "entente-to" => value.parse().is_ok_and(|to| {
                self.to = to;
                true
            }),
            "entente-from" => set(&mut self.from, value),
            "entente-purpose" => set(&mut self.purpose, value),
            "entente-agreement" => set(&mut self.agreement, value),
            "entente-retry-of" => set(&mut self.retry_of, value),
            "entente-elements" => {
                let names = value.split(',').map(|name| name.trim().parse());
                let names: Result<BTreeSet<_>, _> = names.take(MAX_ELEMENTS + 1).collect();
                self.elements = names.ok().filter(|names| names.len() <= MAX_ELEMENTS);
                self.elements.is_some()
            }
            "entente-user" => set_personal(&mut self.user, value),
            "entente-case" => set_personal(&mut self.case, value),
            "entente-assurance" => value.parse().is_ok_and(|level| {
                self.assurance = level;
                level <= 4
            }),
            "entente-mode" => match value {
                "live" => true,
                "test" => {
                    self.mode = Mode::Test;
                    true
                }
                _ => false,
            },
            "grpc-timeout" => {
                self.deadline = parse_timeout(value).map(|deadline| deadline.min(MAX_DEADLINE));
                self.deadline.is_some()
            }
            "entente-token" => true,
            _ => false,
        }
    }
}

fn set_personal(slot: &mut Option<Zeroizing<String>>, value: &str) -> bool {
    let good = (1..=MAX_USER).contains(&value.len());
    *slot = good.then(|| Zeroizing::new(value.to_owned()));
    good
}

/// Reads `grpc-timeout`: up to 8 digits and a unit.
pub(crate) fn parse_timeout(value: &str) -> Option<Duration> {
    let (digits, unit) = value.split_at_checked(value.len().checked_sub(1)?)?;
    if !(1..=8).contains(&digits.len()) || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let number: u64 = digits.parse().ok()?;
    Some(match unit {
        "H" => Duration::from_secs(number * 3600),
        "M" => Duration::from_secs(number * 60),
        "S" => Duration::from_secs(number),
        "m" => Duration::from_millis(number),
        "u" => Duration::from_micros(number),
        "n" => Duration::from_nanos(number),
        _ => return None,
    })
}

/// Stands for `entente-to` until it is read; a call without one is refused.
const PLACEHOLDER: &str = "aa/none/none";

#[cfg(test)]
mod tests {
    use super::*;

    fn metadata(pairs: &[(&'static str, &str)]) -> MetadataMap {
        let mut map = MetadataMap::new();
        for (key, value) in pairs {
            map.append(*key, value.parse().unwrap());
        }
        map
    }

    fn parse(pairs: &[(&'static str, &str)]) -> Result<Call, Refusal> {
        Call::parse("a.v1.B/Get".parse().unwrap(), &metadata(pairs))
    }

    #[test]
    fn reads_every_pair_it_knows() {
        let call = parse(&[
            ("entente-to", "ca/b/c"),
            ("entente-purpose", "AUDIT"),
            ("entente-elements", "a.b, c"),
            ("entente-user", "u-7f3a"),
            ("entente-mode", "test"),
            ("grpc-timeout", "5S"),
            ("user-agent", "anything"),
        ])
        .unwrap();
        assert_eq!(call.to.as_str(), "ca/b/c");
        assert_eq!(call.elements.unwrap().len(), 2);
        assert_eq!(call.mode, Mode::Test);
        assert_eq!(call.deadline, Some(Duration::from_secs(5)));
    }

    #[test]
    fn refuses_unknown_repeated_and_malformed_pairs_by_name() {
        for (pairs, key) in [
            (&[("entente-purpose", "AUDIT")][..], "entente-to"),
            (&[("entente-to", "nobody")], "entente-to"),
            (
                &[("entente-to", "ca/b/c"), ("entente-to", "ca/b/d")],
                "entente-to",
            ),
            (
                &[("entente-to", "ca/b/c"), ("entente-too", "x")],
                "entente-too",
            ),
            (
                &[("entente-to", "ca/b/c"), ("entente-purpose", "audit")],
                "entente-purpose",
            ),
            (
                &[("entente-to", "ca/b/c"), ("entente-mode", "prod")],
                "entente-mode",
            ),
            (
                &[("entente-to", "ca/b/c"), ("grpc-timeout", "5")],
                "grpc-timeout",
            ),
            (
                &[("entente-to", "ca/b/c"), ("entente-assurance", "9")],
                "entente-assurance",
            ),
        ] {
            let refusal = parse(pairs).unwrap_err();
            assert_eq!(refusal.reason, Reason::MetadataInvalid);
            assert_eq!(refusal.metadata, vec![("key", key.to_owned())]);
        }
        let long = "x".repeat(MAX_METADATA);
        assert!(parse(&[("entente-to", "ca/b/c"), ("x", &long)]).is_err());
    }

    #[test]
    fn reads_grpc_timeouts_without_overflow() {
        assert_eq!(
            parse_timeout("99999999H"),
            Some(Duration::from_secs(99_999_999 * 3600))
        );
        assert_eq!(parse_timeout("20m"), Some(Duration::from_millis(20)));
        for bad in ["", "S", "1", "-1S", "123456789S", "1é"] {
            assert_eq!(parse_timeout(bad), None, "{bad:?}");
        }
    }
}
