//! The one place that turns this role's errors into what a caller is told.

use std::time::Duration;

use entente_directory::{ApplicationError, MalformedChange, Refusal as ChangeRefusal};
use entente_follow::BlobError;
use entente_ledger::AppendError;
use entente_proto::status::Refusal;
use entente_reason::{Lang, Reason};
use tonic::Status;
use tonic::metadata::MetadataMap;

use crate::cosigning::NotVouched;
use crate::office::NoKey;

/// Why a call was not answered as asked. Variants are alphabetical.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum Refused {
    /// The ledger did not take it.
    #[error("appending a change")]
    Append(#[from] AppendError),
    /// The application does not hold.
    #[error("reading an application")]
    Application(#[source] ApplicationError),
    /// The changes offered do not admit this application.
    #[error("approval is of something other than the application")]
    ApprovalDiffers,
    /// A blob cannot be kept.
    #[error("keeping a blob")]
    Blob(#[from] BlobError),
    /// No such blob.
    #[error("blob is not held here")]
    BlobUnknown,
    /// A blob came along that no change names.
    #[error("blob is named by no change")]
    BlobUnnamed,
    /// The directory's rule refuses it.
    #[error("{0}")]
    Change(#[from] ChangeRefusal),
    /// Something here failed.
    #[error("internal fault")]
    Internal,
    /// Not a change.
    #[error("{0}")]
    Malformed(#[from] MalformedChange),
    /// A name is applied for that is not free, or not ours.
    #[error("name is taken or not ours")]
    Name(Reason),
    /// The key that signs its checkpoints is not here.
    #[error("registry's ledger key is not at hand")]
    NoKey,
    /// Its ledger may not be the newest there was, or another of it was shown.
    #[error("registry's ledger may not grow now")]
    NotVouched(NotVouched),
    /// Too much at once.
    #[error("too many calls, followers or applications")]
    Overloaded,
    /// A field is missing or of the wrong size.
    #[error("request is malformed")]
    Request,
    /// The registry is being stopped.
    #[error("registry is shutting down")]
    ShuttingDown,
    /// No such application.
    #[error("application is not known here")]
    UnknownApplication,
}

/// The language a caller asked for.
pub(crate) fn lang(metadata: &MetadataMap) -> Lang {
    let asked = metadata.get("accept-language");
    asked
        .and_then(|value| value.to_str().ok())
        .map_or(Lang::En, Lang::from_tag)
}

// === impl Refused ===

impl From<NotVouched> for Refused {
    fn from(why: NotVouched) -> Self {
        Self::NotVouched(why)
    }
}

impl From<NoKey> for Refused {
    fn from(_: NoKey) -> Self {
        Self::NoKey
    }
}

impl Refused {
    pub(crate) const fn reason(&self) -> Reason {
        match self {
            Self::Append(error) => error.reason(),
            Self::Application(ApplicationError::Proof) => Reason::SignatureInvalid,
            Self::Application(ApplicationError::WeakKey) => Reason::KeyWeak,
            Self::Application(_) | Self::ApprovalDiffers => Reason::ChangeMalformed,
            Self::Blob(error) => error.reason(),
            Self::BlobUnknown => Reason::BlobMissing,
            Self::BlobUnnamed => Reason::BlobMismatch,
            Self::Change(refusal) => refusal.reason(),
            Self::Internal => Reason::InternalFault,
            Self::Malformed(MalformedChange::TooLarge) => Reason::ChangeTooLarge,
            Self::Malformed(MalformedChange::WeakKey) => Reason::KeyWeak,
            Self::Malformed(_) => Reason::ChangeMalformed,
            Self::Name(reason) => *reason,
            Self::NoKey => Reason::LedgerKeyMissing,
            Self::NotVouched(NotVouched::Dissent) => Reason::RegistrySplit,
            Self::NotVouched(NotVouched::Unconfirmed) => Reason::RegistryUnwitnessed,
            Self::Overloaded => Reason::Overloaded,
            Self::Request => Reason::RequestMalformed,
            Self::ShuttingDown => Reason::ShuttingDown,
            Self::UnknownApplication => Reason::ApplicationUnknown,
        }
    }

    /// What the directory's rule found, in names and numbers that are public anyway. Of anything
    /// else nothing is said beyond the reason.
    fn detail(&self) -> Option<String> {
        match self {
            Self::Change(refusal) => Some(refusal.to_string()),
            Self::Malformed(error) => Some(error.to_string()),
            _ => None,
        }
    }

    pub(crate) fn into_status(self, lang: Lang) -> Status {
        let reason = self.reason();
        let localized = format!("{} {}", reason.text(lang), reason.remedy(lang));
        let mut metadata = Vec::new();
        if let Some(mut detail) = self.detail() {
            detail.truncate(detail.floor_char_boundary(MAX_DETAIL));
            metadata.push(("detail", detail));
        }
        Refusal {
            code: reason.grpc().0,
            reason: reason.code(),
            at: reason.at().as_str(),
            message: reason.text(Lang::En),
            locale: lang.locale(),
            localized: &localized,
            metadata,
            retry_after: matches!(reason, Reason::Overloaded).then_some(RETRY_AFTER),
        }
        .into_status()
    }
}

const RETRY_AFTER: Duration = Duration::from_secs(1);
/// Details travel in a trailer.
const MAX_DETAIL: usize = 512;

#[cfg(test)]
mod tests {
    use entente_proto::status::Told;
    use entente_signing::Digest;

    use super::*;

    #[test]
    fn tells_reason_and_remedy_in_the_language_asked_for() {
        let mut metadata = MetadataMap::new();
        metadata.insert("accept-language", "fr-CA".parse().unwrap());
        let refused = Refused::Change(ChangeRefusal::BlobMissing(Digest::of(b"x")));
        let told = Told::from_status(&refused.into_status(lang(&metadata))).unwrap();
        assert_eq!(told.reason, "BLOB_MISSING");
        assert!(
            told.localized
                .starts_with(Reason::BlobMissing.text(Lang::Fr))
        );
        assert!(told.metadata["detail"].contains(&Digest::of(b"x").to_string()));
        assert_eq!(lang(&MetadataMap::new()), Lang::En);
    }

    #[test]
    fn says_nothing_about_what_failed_inside() {
        let told = Told::from_status(&Refused::Internal.into_status(Lang::En)).unwrap();
        assert!(!told.metadata.contains_key("detail"));
    }
}
