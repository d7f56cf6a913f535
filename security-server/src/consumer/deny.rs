//! Saying no to a local system, with a DENIED entry.

use entente_contract::{Direction, Outline};
use entente_identity::{MethodName, SystemId};
use entente_ledger::entry::{Attempt, Body, Denied, DeniedCall};
use entente_policy::Which;

use crate::call::Call;
use crate::refusal::Refusal;
use crate::server::Server;
use crate::view::Adopted;

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
        let adopted = self.views.current();
        let known = |method: &&MethodName| {
            let adopted = adopted.as_deref();
            adopted.is_some_and(|adopted| outline_of(adopted, method).is_some())
        };
        let attempt = Attempt {
            system: Some(caller.to_string()),
            method: method.filter(known).map(ToString::to_string),
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
        let attempt = match self.views.current() {
            Some(adopted) => attempt(&adopted, caller, call),
            None => Attempt {
                system: Some(caller.to_string()),
                ..Attempt::default()
            },
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

/// What was tried, in names the directory knows. One that nobody registered may be anything, also a
/// person's number in the wrong place, and what is in the ledger stays in it.
fn attempt(adopted: &Adopted, caller: &SystemId, call: &Call) -> Attempt {
    let federation = adopted.federation();
    let outline = outline_of(adopted, &call.method);
    let purposes = adopted.policy().map(|policy| &policy.purposes);
    let elements = outline
        .and_then(|outline| outline.elements(&call.method, Direction::Response).ok())
        .unwrap_or_default();
    let asked = call.elements.iter().flatten();
    let asked = asked.filter(|element| elements.contains(*element));
    Attempt {
        system: Some(caller.to_string()),
        to: federation
            .servers_for(&call.to)
            .next()
            .map(|_| call.to.to_string()),
        method: outline.map(|_| call.method.to_string()),
        purpose: call
            .purpose
            .as_ref()
            .filter(|purpose| purposes.is_some_and(|known| known.contains(*purpose)))
            .map(ToString::to_string),
        agreement: call
            .agreement
            .as_ref()
            .and_then(|named| match &named.which {
                Which::Hash(hash) => federation.agreement(hash).map(|_| *hash),
                Which::Name(_) => None,
            }),
        elements: asked.map(ToString::to_string).collect(),
    }
}

/// Of the newest contract, of anybody's, that has this method.
fn outline_of<'a>(adopted: &'a Adopted, method: &MethodName) -> Option<&'a Outline> {
    let service = method.service();
    let mut offers = adopted.federation().offers(&service);
    offers.find_map(|offer| {
        let outline = &offer.newest()?.outline;
        outline.declares(method).then_some(&**outline)
    })
}
