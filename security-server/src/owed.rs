//! What the ledger is still owed: ends of exchanges that could not be written when they happened.
//!
//! A request without an answer gets its OUTCOME, a request accepted but not answered gets its fault,
//! as soon as the ledger can be written again. What is lost by a crash in between is owed anew at
//! the next start, from the ledger itself (`recover.rs`).

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use entente_evidence::proof::SignedStatement;
use entente_evidence::receipt::Receipt;
use entente_ledger::entry::OutcomeKind;
use entente_signing::Digest;
use tokio::sync::Notify;

/// One end of an exchange that is not in the ledger yet.
#[derive(Clone, Debug)]
pub(crate) enum Debt {
    /// A provider's fault for a request it accepted.
    Fault {
        /// The request.
        request: SignedStatement,
        /// Where the request stands.
        receipt: Receipt,
    },
    /// A consumer's note that its request will get no answer.
    Outcome {
        /// Statement hash of the request.
        request: Digest,
        /// Why.
        kind: OutcomeKind,
    },
}

/// Debts in the order they arose.
#[derive(Debug, Default)]
pub(crate) struct Owed {
    debts: Mutex<VecDeque<Debt>>,
    arrived: Notify,
}

// === impl Owed ===

impl Owed {
    /// Adds a debt. There are never more than calls in flight when the ledger failed.
    pub(crate) fn add(&self, debt: Debt) {
        let mut debts = self.debts.lock().unwrap_or_else(PoisonError::into_inner);
        debts.push_back(debt);
        drop(debts);
        self.arrived.notify_one();
    }

    /// The oldest debt; it stays until [`Owed::paid`].
    pub(crate) fn oldest(&self) -> Option<Debt> {
        let debts = self.debts.lock().unwrap_or_else(PoisonError::into_inner);
        debts.front().cloned()
    }

    /// Removes the oldest debt.
    pub(crate) fn paid(&self) {
        let mut debts = self.debts.lock().unwrap_or_else(PoisonError::into_inner);
        debts.pop_front();
    }

    /// Waits until a debt was added.
    pub(crate) async fn arrival(&self) {
        self.arrived.notified().await;
    }
}
