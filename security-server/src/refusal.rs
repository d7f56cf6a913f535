//! The one place where this role's errors become what a caller receives.

use std::time::Duration;

use entente_proto::status::Refusal as Wire;
use entente_reason::{At, Lang, Reason};
use tonic::Status;

/// A call turned down, by this server or by the one it asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// Why.
    pub(crate) reason: Reason,
    /// Who must act, when it is not who the catalogue says.
    pub(crate) at: Option<At>,
    /// Further facts for `ErrorInfo.metadata`: allowed purposes, a field's name. Never a value from
    /// the call.
    pub(crate) metadata: Vec<(&'static str, String)>,
}

// === impl Refusal ===

impl Refusal {
    /// A refusal for `reason`, with nothing to add.
    pub(crate) const fn new(reason: Reason) -> Self {
        Self {
            reason,
            at: None,
            metadata: Vec::new(),
        }
    }

    /// Adds a fact.
    #[must_use]
    pub(crate) fn with(mut self, key: &'static str, value: impl Into<String>) -> Self {
        self.metadata.push((key, value.into()));
        self
    }

    /// Says who must act.
    #[must_use]
    pub(crate) const fn at(mut self, at: At) -> Self {
        self.at = Some(at);
        self
    }

    /// What the caller receives, in its language.
    pub(crate) fn into_status(self, lang: Lang) -> Status {
        let reason = self.reason;
        let localized = format!("{} {}", reason.text(lang), reason.remedy(lang));
        let retry_after = matches!(
            reason,
            Reason::LogUnavailable
                | Reason::Overloaded
                | Reason::RegistryBehind
                | Reason::SourceBusy
        )
        .then_some(Duration::from_secs(1));
        Wire {
            code: reason.grpc().0,
            reason: reason.code(),
            at: self.at.unwrap_or_else(|| reason.at()).as_str(),
            message: reason.text(Lang::En),
            locale: match lang {
                Lang::En => "en",
                Lang::Fr => "fr",
            },
            localized: &localized,
            metadata: self.metadata,
            retry_after,
        }
        .into_status()
    }
}

impl From<Reason> for Refusal {
    fn from(reason: Reason) -> Self {
        Self::new(reason)
    }
}

/// What a caller is told of a reason that a peer gave without signing it: the reason, when it is one
/// that a server gives before it accepts a request. Everything else a server signs; whoever says it
/// unsigned may have acted.
pub(crate) const fn unsigned(reason: Reason) -> Reason {
    match reason {
        Reason::ClockOff
        | Reason::DeadlinePassed
        | Reason::InternalFault
        | Reason::JurisdictionNotRecognised
        | Reason::KeyUnknown
        | Reason::LogForked
        | Reason::LogUnavailable
        | Reason::LogUnwitnessed
        | Reason::MessageTooLarge
        | Reason::Misaddressed
        | Reason::Overloaded
        | Reason::PeerUnknown
        | Reason::PeerUntrusted
        | Reason::PeerVersion
        | Reason::RegistryStale
        | Reason::RegistryUnreachable
        | Reason::Replayed
        | Reason::SessionExpired
        | Reason::SessionInvalid
        | Reason::SessionRevoked
        | Reason::SessionUnknown
        | Reason::ShuttingDown
        | Reason::SignatureInvalid
        | Reason::StatementMalformed
        | Reason::StatementStale
        | Reason::TimeUnproven => reason,
        _ => Reason::OutcomeUnknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unsigned_reason_is_believed_only_if_a_server_gives_it_before_it_accepts_a_request() {
        let believed: Vec<&str> = Reason::ALL
            .iter()
            .filter(|reason| unsigned(**reason) == **reason)
            .map(|reason| reason.code())
            .collect();
        assert_eq!(
            believed,
            [
                "CLOCK_OFF",
                "DEADLINE_PASSED",
                "INTERNAL_FAULT",
                "JURISDICTION_NOT_RECOGNISED",
                "KEY_UNKNOWN",
                "LOG_FORKED",
                "LOG_UNAVAILABLE",
                "LOG_UNWITNESSED",
                "MESSAGE_TOO_LARGE",
                "MISADDRESSED",
                // What the others become.
                "OUTCOME_UNKNOWN",
                "OVERLOADED",
                "PEER_UNKNOWN",
                "PEER_UNTRUSTED",
                "PEER_VERSION",
                "REGISTRY_STALE",
                "REGISTRY_UNREACHABLE",
                "REPLAYED",
                "SESSION_EXPIRED",
                "SESSION_INVALID",
                "SESSION_REVOKED",
                "SESSION_UNKNOWN",
                "SHUTTING_DOWN",
                "SIGNATURE_INVALID",
                "STATEMENT_MALFORMED",
                "STATEMENT_STALE",
                "TIME_UNPROVEN",
            ]
        );
        for reason in Reason::ALL {
            assert!(unsigned(*reason) == *reason || unsigned(*reason) == Reason::OutcomeUnknown);
        }
    }
}
