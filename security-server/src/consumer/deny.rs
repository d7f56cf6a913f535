//! Saying no to a local system, with a DENIED entry.

use entente_identity::{MethodName, SystemId};
use entente_ledger::entry::{Attempt, Body, Denied, DeniedCall};
use entente_policy::Which;

use crate::call::Call;
use crate::refusal::Refusal;
use crate::server::Server;

// === impl Server ===

impl Server {
    /// Refuses a call that was permitted but could not be logged: nothing left, and the count is
    /// written when the ledger is back.
    pub(super) fn refuse_unlogged_call(&self, caller: &SystemId, refusal: Refusal) -> Refusal {
        self.metrics.refusal(refusal.reason);
        let now = self.clock.now();
        self.noise.count(Some(caller.as_str()), refusal.reason, now);
        refusal
    }

    /// Refuses a call whose path or metadata could not be read, with a DENIED entry.
    pub(crate) async fn deny_unread(
        &self,
        caller: &SystemId,
        method: Option<&MethodName>,
        refusal: Refusal,
    ) -> Refusal {
        let attempt = Attempt {
            system: Some(caller.to_string()),
            method: method.map(ToString::to_string),
            ..Attempt::default()
        };
        self.deny_attempt(caller, attempt, refusal).await
    }

    /// Refuses a local call, with a DENIED entry.
    pub(super) async fn deny_local(
        &self,
        caller: &SystemId,
        call: &Call,
        refusal: Refusal,
    ) -> Refusal {
        let elements = call.elements.iter().flatten();
        let attempt = Attempt {
            system: Some(caller.to_string()),
            to: Some(call.to.to_string()),
            method: Some(call.method.to_string()),
            purpose: call.purpose.as_ref().map(ToString::to_string),
            agreement: call
                .agreement
                .as_ref()
                .and_then(|named| match &named.which {
                    Which::Hash(hash) => Some(*hash),
                    Which::Name(_) => None,
                }),
            elements: elements.map(ToString::to_string).collect(),
        };
        self.deny_attempt(caller, attempt, refusal).await
    }

    async fn deny_attempt(&self, caller: &SystemId, attempt: Attempt, refusal: Refusal) -> Refusal {
        let now = self.clock.now();
        self.metrics.refusal(refusal.reason);
        if !self
            .noise
            .admits_denial(caller.as_str(), refusal.reason, now)
        {
            return refusal;
        }
        let denied = Body::Denied(Denied {
            reason: refusal.reason.code().to_owned(),
            peer: None,
            call: DeniedCall::Attempt(attempt),
            sidecar: None,
            view: self.views.current().map(|adopted| adopted.index),
            tags: Vec::new(),
        });
        match self.journal.append(denied).await {
            Ok(_) => refusal,
            Err(reason) => {
                // The caller learns that nothing is being logged; the count is written when the
                // ledger is back.
                self.noise.count(Some(caller.as_str()), reason, now);
                reason.into()
            }
        }
    }
}
