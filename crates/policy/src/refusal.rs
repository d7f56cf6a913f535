//! Why a call may not pass.

use entente_agreement::AgreementId;
use entente_reason::Reason;

/// A refusal, with what helps the caller and nothing personal.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("call refused by rule {rule}: {reason}")]
pub struct Refusal {
    /// The reason on the wire.
    pub reason: Reason,
    /// The agreement it was decided under, when there was one.
    pub agreement: Option<AgreementId>,
    /// The clause, when there was one.
    pub clause: Option<u32>,
    /// The rule that refused, for `policy why`: `purpose.agreed`.
    pub rule: &'static str,
    /// What would have been allowed: purposes, elements, agreements; or the date or level asked
    /// for. At most 64, public terms of the agreement only.
    pub allowed: Vec<String>,
}

// === impl Refusal ===

impl Refusal {
    pub(crate) fn new(reason: Reason, rule: &'static str) -> Self {
        Self {
            reason,
            agreement: None,
            clause: None,
            rule,
            allowed: Vec::new(),
        }
    }

    pub(crate) fn under(mut self, agreement: AgreementId, clause: u32) -> Self {
        self.agreement = Some(agreement);
        self.clause = Some(clause);
        self
    }

    pub(crate) fn allowing<T: ToString>(mut self, allowed: impl IntoIterator<Item = T>) -> Self {
        let mut allowed: Vec<_> = allowed.into_iter().map(|item| item.to_string()).collect();
        allowed.sort();
        allowed.dedup();
        allowed.truncate(MAX_ALLOWED);
        self.allowed = allowed;
        self
    }

    /// What the caller is told.
    pub const fn reason(&self) -> Reason {
        self.reason
    }

    /// Metadata for the caller's `ErrorInfo`.
    pub fn metadata(&self) -> Vec<(&'static str, String)> {
        let mut metadata = vec![("rule", self.rule.to_owned())];
        if !self.allowed.is_empty() {
            metadata.push(("allowed", self.allowed.join(",")));
        }
        if let Some(agreement) = &self.agreement {
            metadata.push(("agreement", agreement.to_string()));
        }
        if let Some(clause) = self.clause {
            metadata.push(("clause", clause.to_string()));
        }
        metadata
    }
}

const MAX_ALLOWED: usize = 64;
