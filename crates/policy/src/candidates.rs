//! Which clauses could be meant by a call.

use entente_agreement::lifecycle::State as Lifecycle;
use entente_agreement::{Agreement, Clause, Mode as ClauseMode};
use entente_clock::Timestamp;
use entente_directory::{AgreementRecord, Federation};
use entente_reason::Reason;

use crate::call::{Call, Named, Which};
use crate::refusal::Refusal;

/// One clause that joins the two systems for the method, and its agreement's state.
#[derive(Clone, Copy)]
pub(crate) struct Candidate<'a> {
    pub(crate) agreement: &'a Agreement,
    pub(crate) clause: &'a Clause,
    pub(crate) state: Lifecycle,
}

/// Every clause, of any agreement all parties signed, that is about this call.
pub(crate) fn find<'a>(
    federation: &'a Federation,
    call: &Call<'_>,
    now: Timestamp,
) -> Vec<Candidate<'a>> {
    let service = call.method.service();
    let mut found = Vec::new();
    for record in federation.agreements_between(call.consumer, call.provider) {
        if call.named.is_some_and(|named| !names(named, record)) {
            continue;
        }
        // A server keeps what its own member is a party to, and decides no other calls: what is not kept
        // permits nothing.
        let Some(agreement) = federation.document(&record.id()) else {
            continue;
        };
        let lifecycle = federation.agreement_state(record, now);
        for clause in &agreement.document().clauses {
            let about_it = clause.service == service
                && clause.joins(call.consumer, call.provider)
                && clause.methods.contains_key(call.method.method())
                && clause.mode != ClauseMode::Event
                && call
                    .named
                    .and_then(|n| n.clause)
                    .is_none_or(|n| n == clause.number);
            if about_it {
                let state = lifecycle;
                found.push(Candidate {
                    agreement,
                    clause,
                    state,
                });
            }
        }
    }
    found
}

fn names(named: &Named, record: &AgreementRecord) -> bool {
    match &named.which {
        Which::Hash(hash) => record.id() == *hash,
        Which::Name(name) => record.terms.name == *name,
    }
}

/// Why none of them is in force: the state the caller can do something about comes first.
pub(crate) fn none_in_force(found: &[Candidate<'_>]) -> Refusal {
    let reasons = [
        (
            Lifecycle::Suspended,
            Reason::AgreementSuspended,
            "agreement.suspended",
        ),
        (
            Lifecycle::Filed,
            Reason::AgreementNotStarted,
            "agreement.not_before",
        ),
        (
            Lifecycle::Revoked,
            Reason::AgreementRevoked,
            "agreement.revoked",
        ),
        (
            Lifecycle::Expired,
            Reason::AgreementExpired,
            "agreement.not_after",
        ),
        (
            Lifecycle::Superseded,
            Reason::AgreementExpired,
            "agreement.superseded",
        ),
    ];
    for (state, reason, rule) in reasons {
        if let Some(candidate) = found.iter().find(|c| c.state == state) {
            let document = candidate.agreement.document();
            let refusal = Refusal::new(reason, rule).under(candidate.id(), candidate.clause.number);
            return match state {
                Lifecycle::Filed => refusal.allowing([document.not_before]),
                Lifecycle::Expired => refusal.allowing([document.not_after]),
                _ => refusal,
            };
        }
    }
    Refusal::new(Reason::NoAgreement, "agreement.exists")
}

// === impl Candidate ===

impl Candidate<'_> {
    pub(crate) fn id(&self) -> entente_agreement::AgreementId {
        self.agreement.id()
    }

    /// How a caller names this clause: `DEMO-001#2`.
    pub(crate) fn label(&self) -> String {
        let name = &self.agreement.document().id;
        format!("{name}#{}", self.clause.number)
    }
}
