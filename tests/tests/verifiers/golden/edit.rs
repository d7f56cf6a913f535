//! Good objects with one thing changed: each says something else, or says it in another way.

mod ledger;
mod statements;

use crate::ledgers::Written;

/// Kind, name, why, bytes.
pub(super) type Refused = (&'static str, &'static str, &'static str, Vec<u8>);

/// What the refused objects were made from.
pub(super) fn accepted(written: &Written) -> Vec<(&'static str, Vec<u8>)> {
    let statements = statements::accepted().into_iter();
    let mut all: Vec<_> = statements.map(|bytes| ("statement", bytes)).collect();
    all.push(("checkpoint", written.checkpoint().note().to_string().into()));
    all.push(("proof", written.proof(15).to_string().into()));
    all.push(("receipt", ledger::receipt(written)));
    all
}

pub(super) fn refused(written: &Written) -> Vec<Refused> {
    let mut all = statements::statements();
    all.extend(statements::proofs());
    all.extend(ledger::entries());
    all.extend(ledger::checkpoints(written));
    all
}
