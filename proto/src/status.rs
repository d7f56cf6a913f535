//! The one shape of every refusal: `google.rpc.Status` with `ErrorInfo`, `LocalizedMessage`, `Help`
//! and, where a retry may help, `RetryInfo` (DESIGN.md §11, AIP-193).
//!
//! Each role maps its errors to a [`Refusal`] in its own `refusal.rs`; only the wire form is here.

use std::collections::HashMap;
use std::time::Duration;

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

/// The domain of every reason.
const DOMAIN: &str = "entente";

/// The most metadata pairs read from a peer's status.
const MAX_METADATA: usize = 16;

/// What a refused caller is told.
#[derive(Clone, Debug)]
pub struct Refusal<'a> {
    /// gRPC status code.
    pub code: i32,
    /// Reason code: `NO_AGREEMENT`.
    pub reason: &'a str,
    /// Who must act: `caller`, `provider_server`, …
    pub at: &'a str,
    /// English, for developers (the status message).
    pub message: &'a str,
    /// `en` or `fr`.
    pub locale: &'a str,
    /// The sentence and its remedy in that language.
    pub localized: &'a str,
    /// Further pairs for `ErrorInfo.metadata`. Never a personal value.
    pub metadata: Vec<(&'static str, String)>,
    /// When trying again makes sense.
    pub retry_after: Option<Duration>,
}

/// What a status received from an Entente server says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Told {
    /// Reason code.
    pub reason: String,
    /// Pairs of `ErrorInfo.metadata`.
    pub metadata: HashMap<String, String>,
    /// The sentence in the language asked for.
    pub localized: String,
}

// === impl Refusal ===

impl Refusal<'_> {
    /// The gRPC status.
    pub fn into_status(self) -> Status {
        let mut metadata: HashMap<String, String> = self
            .metadata
            .into_iter()
            .map(|(key, value)| (key.to_owned(), value))
            .collect();
        metadata.insert("at".to_owned(), self.at.to_owned());
        let mut details = ErrorDetails::with_error_info(self.reason, DOMAIN, metadata);
        details
            .set_localized_message(self.locale, self.localized)
            .add_help_link(self.reason, format!("entente help {}", self.reason));
        if self.retry_after.is_some() {
            details.set_retry_info(self.retry_after);
        }
        Status::with_error_details(Code::from_i32(self.code), self.message, details)
    }
}

// === impl Told ===

impl Told {
    /// Reads the details of a status; none when it carries no reason of the domain `entente`.
    pub fn from_status(status: &Status) -> Option<Self> {
        let details = status.get_error_details();
        let info = details.error_info()?;
        if info.domain != DOMAIN || info.metadata.len() > MAX_METADATA {
            return None;
        }
        Some(Self {
            reason: info.reason.clone(),
            metadata: info.metadata.clone(),
            localized: details
                .localized_message()
                .map(|localized| localized.message.clone())
                .unwrap_or_default(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_tells_its_reason_who_must_act_and_the_remedy_in_the_callers_language() {
        let status = Refusal {
            code: 7,
            reason: "NO_AGREEMENT",
            at: "caller_server",
            message: "no agreement",
            locale: "fr",
            localized: "Aucune entente.",
            metadata: vec![("transaction", "00".to_owned())],
            retry_after: None,
        }
        .into_status();
        assert_eq!(status.code(), Code::PermissionDenied);
        let told = Told::from_status(&status).unwrap();
        assert_eq!(told.reason, "NO_AGREEMENT");
        assert_eq!(told.localized, "Aucune entente.");
        assert_eq!(told.metadata["at"], "caller_server");
        assert_eq!(Told::from_status(&Status::internal("x")), None);
    }
}
