//! Why a registry did not do what was asked.

use entente_proto::status::Told;
use entente_reason::Reason;
use entente_tls::{TlsError, reason_of};
use tonic::Status;

/// Why a registry did not do what was asked. Variants are alphabetical.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RegistryError {
    /// It answered something that is not an answer, or not to this question.
    #[error("registry gave an answer that does not fit the question")]
    Answer,
    /// It refused.
    #[error("registry refused: {reason}")]
    Refused {
        /// Why.
        reason: Reason,
        /// What it said, in the language asked for.
        told: Box<Told>,
    },
    /// TLS cannot be set up here.
    #[error("preparing to ask the registry")]
    Tls(#[source] TlsError),
    /// No address answered.
    #[error("asking the registry")]
    Unreachable(#[source] Box<Status>),
}

// === impl RegistryError ===

impl RegistryError {
    pub(super) fn of(status: Status) -> Self {
        let Some(told) = Told::from_status(&status) else {
            return Self::Unreachable(Box::new(status));
        };
        let reason = Reason::parse(&told.reason).unwrap_or(Reason::InternalFault);
        let told = Box::new(told);
        Self::Refused { reason, told }
    }

    /// What the caller is told.
    pub fn reason(&self) -> Reason {
        match self {
            Self::Answer => Reason::RegistryUnreachable,
            Self::Refused { reason, .. } => *reason,
            Self::Tls(error) => error.reason(),
            Self::Unreachable(status) => match reason_of(&**status) {
                Reason::PeerUntrusted => Reason::PeerUntrusted,
                _ => Reason::RegistryUnreachable,
            },
        }
    }
}
