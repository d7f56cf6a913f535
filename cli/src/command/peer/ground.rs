//! On what ground a call would pass: the clauses that join this server's systems with the one asked, and why
//! others do not.

use std::collections::BTreeSet;

use entente_agreement::{Clause, lifecycle};
use entente_clock::Timestamp;
use entente_directory::{AgreementRecord, Federation};
use entente_follow::View;
use entente_identity::{MethodName, SystemId};

use crate::output::Screen;
use crate::texts::{Fact, Text};

/// What agreements say.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Ground {
    /// Clauses in force: `DEMO-001#1`, from which system to which, for which service.
    pub(super) clauses: Vec<String>,
    /// Those that are not, and why.
    pub(super) others: Vec<String>,
}

// === impl Ground ===

impl Ground {
    /// Of calls from any of `ours` to any of `theirs`, of one method when one is named.
    pub(super) fn of(
        view: &View,
        federation: &Federation,
        ours: &BTreeSet<SystemId>,
        theirs: &BTreeSet<SystemId>,
        method: Option<&MethodName>,
        now: Timestamp,
        screen: &Screen,
    ) -> Self {
        let mut ground = Self::default();
        let state = &view.state;
        for record in state.agreements() {
            let Some(agreement) = view.agreement(&record.id()) else {
                continue;
            };
            let document = agreement.document();
            for clause in &document.clauses {
                let from = clause.consumers.intersection(ours);
                let from: Vec<&str> = from.map(SystemId::as_str).collect();
                let to = clause.providers.intersection(theirs);
                let to: Vec<&str> = to.map(SystemId::as_str).collect();
                if from.is_empty() || to.is_empty() {
                    continue;
                }
                let number = format!("{}#{}", document.id, clause.number);
                match why_not(federation, record, clause, method, now, screen) {
                    Some(why) => ground.others.push(format!("{number}: {why}")),
                    None => ground.clauses.push(format!(
                        "{number}: {} → {}, {}",
                        from.join(", "),
                        to.join(", "),
                        clause.service
                    )),
                }
            }
        }
        ground
    }
}

/// Why a clause permits nothing, or not this.
fn why_not(
    federation: &Federation,
    record: &AgreementRecord,
    clause: &Clause,
    method: Option<&MethodName>,
    now: Timestamp,
    screen: &Screen,
) -> Option<String> {
    // Each party signs in its own registry.
    let parties = record.terms.parties.iter();
    let missing = parties.filter(|party| !federation.is_signed_by(&record.id(), party));
    let missing: Vec<&str> = missing.map(|member| member.as_str()).collect();
    if !missing.is_empty() {
        let missing = missing.join(", ");
        return Some(screen.text(Text::TraceUnsigned, &[("members", &missing)]));
    }
    let stands = federation.agreement_state(record, now);
    if stands != lifecycle::State::Active {
        let stands = stands.as_str();
        return Some(screen.text(Text::TraceNotActive, &[("state", &stands)]));
    }
    let pairs = clause.consumers.iter().flat_map(|consumer| {
        let providers = clause.providers.iter();
        providers.map(move |provider| (consumer, provider))
    });
    let mut pairs = pairs.filter(|(from, to)| federation.may_cross(from, to, &clause.service));
    if pairs.next().is_none() {
        return Some(screen.text(Text::TraceNotRecognised, &[("service", &clause.service)]));
    }
    let method = method?;
    let is_it = clause.service == method.service() && clause.methods.contains_key(method.method());
    let methods = || {
        let methods = clause.methods.keys();
        let methods = methods.map(|name| format!("{}/{name}", clause.service));
        methods.collect::<Vec<_>>().join(", ")
    };
    (!is_it).then(|| {
        let methods = methods();
        let facts: [Fact<'_>; 1] = [("methods", &methods)];
        screen.text(Text::TraceOtherMethod, &facts)
    })
}
