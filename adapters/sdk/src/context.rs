//! The context of a call, as the security server verified it.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use bytes::Bytes;
use entente_contract::{FilterError, ReleasePlan};
use entente_identity::{ElementName, PurposeCode, SystemId};
use entente_reason::Reason;
use tonic::metadata::{AsciiMetadataValue, MetadataMap};

/// Who asks, why, and what may be released. Every value was verified by the security server.
///
/// Its `Debug` hides the end user and the case.
#[derive(Clone, PartialEq, Eq)]
pub struct Context {
    /// The exchange's id, the same in both servers' logs.
    pub transaction: String,
    /// The consumer system.
    pub client: SystemId,
    /// The purpose it stated, which the agreement permits.
    pub purpose: PurposeCode,
    /// The agreement and clause the call rests on.
    pub agreement: String,
    /// The data elements the answer is to hold: what the agreement releases to this call, and what says whom
    /// the answer is about, which the security server logs and takes out again.
    pub elements: BTreeSet<ElementName>,
    /// The end user's pseudonym, where given. Personal: never log it.
    pub user: Option<String>,
    /// The case reference, where given. Personal: never log it.
    pub case: Option<String>,
    /// Whether the call is live.
    pub mode: Mode,
    /// How much time is left for the answer, where the caller said so.
    pub timeout: Option<Duration>,
}

/// Live or test. A test call must never reach a live source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mode {
    /// A real question about real people.
    Live,
    /// A test, answered from examples.
    Test,
}

/// A header of the context is missing, repeated or unreadable.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("header {header} is missing, repeated or unreadable")]
pub struct InvalidContext {
    /// The header.
    pub header: &'static str,
}

/// An answer could not be cleared of what is not released.
#[derive(Debug, thiserror::Error)]
#[error("failed to clear what the agreement does not release")]
pub struct ReleaseError(#[source] FilterError);

// === impl Context ===

impl Context {
    /// Reads the context from the metadata of a request.
    ///
    /// # Errors
    /// When a header that is always there is missing, when one is repeated, or is not of its form.
    pub fn from_metadata(metadata: &MetadataMap) -> Result<Self, InvalidContext> {
        let elements =
            one(metadata, "entente-elements")?.ok_or_else(|| missing("entente-elements"))?;
        let elements = elements
            .split(',')
            .map(str::trim)
            .filter(|element| !element.is_empty())
            .map(|element| element.parse().map_err(|_| missing("entente-elements")))
            .collect::<Result<_, _>>()?;
        let timeout = one(metadata, "grpc-timeout")?
            .map(|text| parse_timeout(&text).ok_or_else(|| missing("grpc-timeout")))
            .transpose()?;
        Ok(Self {
            transaction: required(metadata, "entente-transaction")?,
            client: required(metadata, "entente-client")?,
            purpose: required(metadata, "entente-purpose")?,
            agreement: required(metadata, "entente-agreement")?,
            elements,
            user: one(metadata, "entente-user")?,
            case: one(metadata, "entente-case")?,
            mode: required(metadata, "entente-mode")?,
            timeout,
        })
    }

    /// Writes the context as a security server does; for tests of adapters.
    ///
    /// # Errors
    /// When a text cannot stand in a header.
    pub fn write_to(&self, metadata: &mut MetadataMap) -> Result<(), InvalidContext> {
        let elements: Vec<&str> = self.elements.iter().map(ElementName::as_str).collect();
        let pairs = [
            ("entente-transaction", Some(self.transaction.as_str())),
            ("entente-client", Some(self.client.as_str())),
            ("entente-purpose", Some(self.purpose.as_str())),
            ("entente-agreement", Some(self.agreement.as_str())),
            ("entente-elements", Some(&elements.join(","))),
            ("entente-user", self.user.as_deref()),
            ("entente-case", self.case.as_deref()),
            ("entente-mode", Some(self.mode.as_str())),
        ];
        for (header, value) in pairs {
            let Some(value) = value else { continue };
            let value = AsciiMetadataValue::try_from(value).map_err(|_| missing(header))?;
            metadata.insert(header, value);
        }
        Ok(())
    }

    /// Whether this element may be released.
    pub fn releases(&self, element: &ElementName) -> bool {
        self.elements.contains(element)
    }

    /// Clears from an encoded answer every field that `plan` does not release, nested and repeated
    /// ones too. The security server does the same again.
    ///
    /// # Errors
    /// When the bytes are not a message of the plan's type.
    pub fn release(&self, plan: &ReleasePlan, message: &Bytes) -> Result<Bytes, ReleaseError> {
        plan.filter(message).map_err(ReleaseError)
    }
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context")
            .field("transaction", &self.transaction)
            .field("client", &self.client)
            .field("purpose", &self.purpose)
            .field("agreement", &self.agreement)
            .field("elements", &self.elements)
            .field("mode", &self.mode)
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

// === impl Mode ===

impl Mode {
    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Test => "test",
        }
    }
}

impl FromStr for Mode {
    type Err = ();

    fn from_str(word: &str) -> Result<Self, ()> {
        match word {
            "live" => Ok(Self::Live),
            "test" => Ok(Self::Test),
            _ => Err(()),
        }
    }
}

// === impl InvalidContext ===

impl InvalidContext {
    /// What the caller is told.
    pub fn reason(&self) -> Reason {
        Reason::MetadataInvalid
    }
}

// === impl ReleaseError ===

impl ReleaseError {
    /// What the caller is told.
    pub fn reason(&self) -> Reason {
        Reason::InvalidAnswer
    }
}

fn missing(header: &'static str) -> InvalidContext {
    InvalidContext { header }
}

/// The value of a header that may stand at most once.
fn one(metadata: &MetadataMap, header: &'static str) -> Result<Option<String>, InvalidContext> {
    let mut values = metadata.get_all(header).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    if values.next().is_some() {
        return Err(missing(header));
    }
    let text = value.to_str().map_err(|_| missing(header))?;
    Ok(Some(text.to_owned()))
}

fn required<T: FromStr>(metadata: &MetadataMap, header: &'static str) -> Result<T, InvalidContext> {
    one(metadata, header)?
        .filter(|text| !text.is_empty())
        .and_then(|text| text.parse().ok())
        .ok_or_else(|| missing(header))
}

/// `grpc-timeout`: at most eight digits and one unit.
fn parse_timeout(text: &str) -> Option<Duration> {
    let unit = text.chars().last().filter(char::is_ascii)?;
    let digits = &text[..text.len() - 1];
    if digits.is_empty() || digits.len() > 8 || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let number: u64 = digits.parse().ok()?;
    Some(match unit {
        'H' => Duration::from_secs(number * 3600),
        'M' => Duration::from_secs(number * 60),
        'S' => Duration::from_secs(number),
        'm' => Duration::from_millis(number),
        'u' => Duration::from_micros(number),
        'n' => Duration::from_nanos(number),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn context() -> Context {
        Context {
            transaction: "01J7".to_owned(),
            client: "ca-demo/pensions/benefits".parse().unwrap(),
            purpose: "PROGRAM_ADMINISTRATION".parse().unwrap(),
            agreement: "ISA-1@1".to_owned(),
            elements: ["death.date", "death.registered"]
                .map(|element| element.parse().unwrap())
                .into(),
            user: Some("canary-user".to_owned()),
            case: Some("canary-case".to_owned()),
            mode: Mode::Live,
            timeout: None,
        }
    }

    #[test]
    fn reads_what_a_server_writes_and_shows_neither_user_nor_case() {
        let mut metadata = MetadataMap::new();
        context().write_to(&mut metadata).unwrap();
        metadata.insert("grpc-timeout", "250m".parse().unwrap());
        let read = Context::from_metadata(&metadata).unwrap();
        assert_eq!(read.timeout, Some(Duration::from_millis(250)));
        assert!(read.releases(&"death.date".parse().unwrap()));
        assert!(!read.releases(&"death.cause".parse().unwrap()));
        assert!(!format!("{read:?}").contains("canary"));
        let expected = Context {
            timeout: read.timeout,
            ..context()
        };
        assert_eq!(read, expected);
    }

    #[test]
    fn refuses_a_context_with_a_header_missing_repeated_or_unreadable() {
        for header in [
            "entente-transaction",
            "entente-client",
            "entente-purpose",
            "entente-agreement",
            "entente-elements",
            "entente-mode",
        ] {
            let mut metadata = MetadataMap::new();
            context().write_to(&mut metadata).unwrap();
            metadata.append(header, "x".parse().unwrap());
            assert_eq!(
                Context::from_metadata(&metadata).unwrap_err().header,
                header
            );
            metadata.remove(header);
            assert_eq!(
                Context::from_metadata(&metadata).unwrap_err().header,
                header
            );
        }
        for timeout in ["", "S", "123456789S", "1x", "+1S", "1.5S", "1é"] {
            assert_eq!(parse_timeout(timeout), None, "{timeout:?}");
        }
    }

    #[test]
    fn an_agreement_that_releases_nothing_is_an_empty_list_not_a_missing_one() {
        let mut metadata = MetadataMap::new();
        let mut context = context();
        context.elements.clear();
        context.write_to(&mut metadata).unwrap();
        assert!(
            Context::from_metadata(&metadata)
                .unwrap()
                .elements
                .is_empty()
        );
    }
}
