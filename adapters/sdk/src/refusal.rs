//! Refusing a call: one error type, and the only place that turns it into a gRPC status.

use std::borrow::Cow;
use std::error::Error;
use std::time::Duration;

use entente_proto::status::Refusal;
use entente_reason::{At, GrpcCode, Lang, Reason};
use tonic::Status;

use crate::context::{InvalidContext, ReleaseError};

/// Why an adapter did not answer. It carries a reason from the catalogue, or a code of the adapter's
/// own such as `NO_SUCH_PERMIT`; never a value from the call or the source.
#[derive(Debug, thiserror::Error)]
#[error("refused with {code}")]
pub struct AdapterError {
    code: Cow<'static, str>,
    grpc: GrpcCode,
    at: At,
    reason: Reason,
    metadata: Vec<(&'static str, String)>,
    retry_after: Option<Duration>,
    #[source]
    cause: Option<Box<dyn Error + Send + Sync>>,
}

// === impl AdapterError ===

impl AdapterError {
    /// A refusal with a reason of the catalogue.
    pub fn new(reason: Reason) -> Self {
        Self {
            code: Cow::Borrowed(reason.code()),
            grpc: reason.grpc(),
            at: reason.at(),
            reason,
            metadata: Vec::new(),
            retry_after: None,
            cause: None,
        }
    }

    /// A refusal with a code of the adapter's own and the status the contract gives it. A code that
    /// is not `[A-Z][A-Z0-9_]{0,62}` becomes the catalogue's nearest reason.
    pub fn with_code(grpc: GrpcCode, code: &str) -> Self {
        if let Some(reason) = Reason::parse(code).filter(|reason| reason.grpc() == grpc) {
            return Self::new(reason);
        }
        let reason = nearest_reason(grpc);
        let mut error = Self::new(reason);
        error.grpc = grpc;
        if is_code(code) {
            error.code = Cow::Owned(code.to_owned());
        }
        error
    }

    /// The source holds nothing for this question; `code` says what is not there.
    pub fn not_found(code: &str) -> Self {
        Self::with_code(GrpcCode::NOT_FOUND, code)
    }

    /// A field of the request is not acceptable. Names the field, never its value.
    pub fn bad_field(field: &str) -> Self {
        Self::new(Reason::BadField).with("field", field.chars().take(128).collect())
    }

    /// More rows than `limit`.
    pub fn too_many_rows(limit: u64) -> Self {
        Self::new(Reason::TooManyRows).with("limit", limit.to_string())
    }

    /// More bytes than `limit`.
    pub fn too_many_bytes(limit: u64) -> Self {
        Self::new(Reason::TooManyBytes).with("limit", limit.to_string())
    }

    /// Adds a pair for the caller; never a personal value.
    #[must_use]
    pub fn with(mut self, key: &'static str, value: String) -> Self {
        self.metadata.push((key, value));
        self
    }

    /// Says when trying again makes sense.
    #[must_use]
    pub fn retry_after(mut self, after: Duration) -> Self {
        self.retry_after = Some(after);
        self
    }

    /// Keeps the cause for the adapter's own log. It never leaves the adapter, and must not hold a
    /// personal value.
    #[must_use]
    pub fn caused_by(mut self, cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.cause = Some(cause.into());
        self
    }

    /// The reason of the catalogue; for a code of the adapter's own, the nearest one.
    pub fn reason(&self) -> Reason {
        self.reason
    }

    /// The code on the wire.
    pub fn code(&self) -> &str {
        &self.code
    }

    /// The gRPC status code.
    pub fn grpc(&self) -> GrpcCode {
        self.grpc
    }

    /// The pairs for the caller.
    pub fn metadata(&self) -> &[(&'static str, String)] {
        &self.metadata
    }

    /// The cause, for the adapter's own log.
    pub(crate) fn cause_text(&self) -> Option<String> {
        self.cause.as_ref().map(ToString::to_string)
    }

    /// The gRPC status, in English: the security server speaks the caller's language.
    pub fn into_status(self) -> Status {
        let text = self.reason.text(Lang::En);
        let localized = format!("{text} {}", self.reason.remedy(Lang::En));
        Refusal {
            code: self.grpc.0,
            reason: &self.code,
            at: self.at.as_str(),
            message: text,
            locale: Lang::En.locale(),
            localized: &localized,
            metadata: self.metadata,
            retry_after: self.retry_after,
        }
        .into_status()
    }
}

impl From<InvalidContext> for AdapterError {
    fn from(error: InvalidContext) -> Self {
        Self::new(error.reason()).with("header", error.header.to_owned())
    }
}

impl From<ReleaseError> for AdapterError {
    fn from(error: ReleaseError) -> Self {
        Self::new(error.reason()).caused_by(error)
    }
}

fn is_code(code: &str) -> bool {
    code.len() <= 63
        && code.starts_with(|c: char| c.is_ascii_uppercase())
        && code
            .bytes()
            .all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_')
}

fn nearest_reason(grpc: GrpcCode) -> Reason {
    match grpc {
        GrpcCode::INVALID_ARGUMENT => Reason::BadField,
        GrpcCode::NOT_FOUND => Reason::NoRecord,
        GrpcCode::UNAVAILABLE => Reason::SourceDown,
        GrpcCode::DEADLINE_EXCEEDED => Reason::SourceSlow,
        GrpcCode::RESOURCE_EXHAUSTED => Reason::SourceBusy,
        GrpcCode::DATA_LOSS => Reason::BadRecord,
        GrpcCode::INTERNAL => Reason::InvalidAnswer,
        _ => Reason::SourceRefused,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use entente_proto::status::Told;

    #[test]
    fn tells_the_reason_and_the_field_and_keeps_the_cause_to_itself() {
        let status = AdapterError::bad_field("person_number")
            .caused_by("canary")
            .into_status();
        assert_eq!(status.code(), tonic::Code::InvalidArgument);
        let told = Told::from_status(&status).unwrap();
        assert_eq!(told.reason, "BAD_FIELD");
        assert_eq!(told.metadata["field"], "person_number");
        assert_eq!(told.metadata["at"], "caller");
        assert!(!format!("{status:?}").contains("canary"));
    }

    #[test]
    fn an_adapters_own_code_travels_with_its_status_and_a_malformed_one_does_not() {
        let error = AdapterError::not_found("NO_SUCH_PERMIT");
        assert_eq!(error.code(), "NO_SUCH_PERMIT");
        assert_eq!(error.reason(), Reason::NoRecord);
        assert_eq!(error.into_status().code(), tonic::Code::NotFound);
        assert_eq!(AdapterError::not_found("no such").code(), "NO_RECORD");
        let lent = AdapterError::not_found("SOURCE_DOWN");
        assert_eq!(lent.grpc(), GrpcCode::NOT_FOUND);
    }
}
