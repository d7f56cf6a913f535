//! How a command ends: its exit code, and what it says when it did not do what was asked.

use std::error::Error;
use std::fmt::Display;

use entente_reason::{GrpcCode, Lang, Reason};

use crate::texts::Text;

/// The exit codes, fixed for scripts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Exit {
    /// Something failed that none of the others name.
    Failed = 1,
    /// The command was given wrongly, or a file it needs is wrong.
    Usage = 2,
    /// An agreement, the registry or a server refused.
    Refused = 3,
    /// There is no such thing.
    NotFound = 4,
    /// A server, peer or source does not answer.
    Unavailable = 5,
    /// Evidence does not hold.
    Integrity = 6,
    /// A person must decide.
    NeedsPerson = 7,
}

/// Why a command did not do what was asked.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    pub(crate) exit: Exit,
    /// What happened, in the language of the command.
    pub(crate) what: String,
    /// What brought it about, outermost first. English: it is for whoever looks after the machine.
    pub(crate) because: Vec<String>,
    /// Labelled lines below: who, what to do, where to read on.
    pub(crate) notes: Vec<(Text, String)>,
    pub(crate) reason: Option<Reason>,
    /// Whether the result said it already, so that only the exit code is left.
    pub(crate) is_told: bool,
}

// === impl Failure ===

impl Failure {
    pub(crate) fn new(exit: Exit, what: impl Into<String>) -> Self {
        Self {
            exit,
            what: what.into(),
            because: Vec::new(),
            notes: Vec::new(),
            reason: None,
            is_told: false,
        }
    }

    /// An end that the result itself explains: nothing more is said.
    pub(crate) fn told(exit: Exit) -> Self {
        Self {
            is_told: true,
            ..Self::new(exit, "")
        }
    }

    /// An error with the chain of its causes.
    pub(crate) fn of(exit: Exit, error: &(dyn Error + 'static)) -> Self {
        let mut failure = Self::new(exit, error.to_string());
        failure.blame(error.source());
        failure
    }

    /// An error of an operation that knows its reason.
    pub(crate) fn for_reason(reason: Reason, error: &(dyn Error + 'static), lang: Lang) -> Self {
        let failure = Self::of(Exit::of(reason), error);
        if reason == Reason::InternalFault {
            return failure;
        }
        failure.explained(reason, lang)
    }

    /// Adds what the catalogue says of a reason.
    pub(crate) fn explained(mut self, reason: Reason, lang: Lang) -> Self {
        self.reason = Some(reason);
        self = self.note(Text::LabelReason, reason.text(lang));
        self = self.note(Text::LabelDo, reason.remedy(lang));
        self.note(Text::LabelMore, format!("entente help {}", reason.code()))
    }

    pub(crate) fn because(mut self, error: &(dyn Error + 'static)) -> Self {
        self.blame(Some(error));
        self
    }

    pub(crate) fn note(mut self, label: Text, text: impl Display) -> Self {
        self.notes.push((label, text.to_string()));
        self
    }

    fn blame(&mut self, mut cause: Option<&(dyn Error + 'static)>) {
        while let Some(error) = cause {
            let text = error.to_string();
            if self.because.last().unwrap_or(&self.what) != &text {
                self.because.push(text);
            }
            cause = error.source();
        }
    }
}

impl From<entente_config::ConfigError> for Failure {
    fn from(error: entente_config::ConfigError) -> Self {
        // It shows the line and the nearest known key by itself.
        Self::new(Exit::Usage, error.to_string())
    }
}

// === impl Exit ===

impl Exit {
    /// What a reason amounts to for a script.
    pub(crate) fn of(reason: Reason) -> Self {
        match reason {
            Reason::CommitmentMismatch
            | Reason::ReceiptMissing
            | Reason::RegistrySplit
            | Reason::ResponseMismatch
            | Reason::SignatureInvalid
            | Reason::BlobMismatch => return Self::Integrity,
            Reason::MetadataInvalid | Reason::RequestMalformed | Reason::BadField => {
                return Self::Usage;
            }
            Reason::OutcomeUnknown => return Self::Unavailable,
            _ => {}
        }
        match reason.grpc() {
            GrpcCode::NOT_FOUND | GrpcCode::UNIMPLEMENTED => Self::NotFound,
            GrpcCode::UNAVAILABLE | GrpcCode::DEADLINE_EXCEEDED => Self::Unavailable,
            GrpcCode::INVALID_ARGUMENT
            | GrpcCode::ALREADY_EXISTS
            | GrpcCode::PERMISSION_DENIED
            | GrpcCode::RESOURCE_EXHAUSTED
            | GrpcCode::FAILED_PRECONDITION
            | GrpcCode::ABORTED
            | GrpcCode::UNAUTHENTICATED => Self::Refused,
            _ => Self::Failed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_the_exit_code_a_script_would_expect() {
        for (reason, exit) in [
            (Reason::PurposeNotAgreed, Exit::Refused),
            (Reason::PurposeMissing, Exit::Refused),
            (Reason::NoAgreement, Exit::Refused),
            (Reason::NoRecord, Exit::NotFound),
            (Reason::UnknownMethod, Exit::NotFound),
            (Reason::PeerUnreachable, Exit::Unavailable),
            (Reason::SourceDown, Exit::Unavailable),
            (Reason::OutcomeUnknown, Exit::Unavailable),
            (Reason::SignatureInvalid, Exit::Integrity),
            (Reason::RegistrySplit, Exit::Integrity),
            (Reason::BadField, Exit::Usage),
        ] {
            assert_eq!(Exit::of(reason), exit, "{reason}");
        }
        for reason in Reason::ALL {
            assert_ne!(Exit::of(*reason), Exit::NeedsPerson, "{reason}");
        }
    }
}
