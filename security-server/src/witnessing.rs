//! Whether the witnesses cosign our ledger: without a quorum for longer than the policy allows, nothing is
//! exchanged. (DESIGN.md §7)

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use entente_clock::{Clock, Timestamp};
use entente_directory::Policy;
use entente_follow::witness::{Witnesses, WitnessesConfig};
use entente_ledger::disk::DiskError;
use entente_ledger::{Cosigner, CosignerFuture, Ledger, SignedCheckpoint, SignedTree};
use entente_reason::Reason;
use entente_tls::net::Net;

use crate::mark::Mark;

/// The witnesses of this server's ledger, and what they last said.
#[derive(Debug)]
pub(crate) struct Witnessing {
    witnesses: Arc<Witnesses>,
    mark: Mark,
    clock: Arc<dyn Clock>,
    /// From when on cosignatures are missed, in milliseconds: when the quorum had seen the newest final
    /// checkpoint of an earlier run, or when the policy began to ask for witnesses in this one.
    since: AtomicU64,
}

/// The mark, before anybody is asked; then the witnesses.
#[derive(Debug)]
struct Vouching {
    witnesses: Arc<Witnesses>,
    mark: Mark,
}

// === impl Witnessing ===

impl Witnessing {
    /// Asks nobody until [`Witnessing::follow`].
    pub(crate) fn new(net: Arc<dyn Net>, clock: Arc<dyn Clock>, mark: Mark) -> Self {
        let config = WitnessesConfig::new(net, Arc::clone(&clock));
        Self {
            witnesses: Arc::new(Witnesses::new(config)),
            mark,
            clock,
            since: AtomicU64::new(0),
        }
    }

    /// Whom the ledger asks.
    pub(crate) fn cosigner(&self) -> Arc<dyn Cosigner> {
        Arc::new(Vouching {
            witnesses: Arc::clone(&self.witnesses),
            mark: self.mark.clone(),
        })
    }

    /// The witnesses themselves.
    pub(crate) const fn witnesses(&self) -> &Arc<Witnesses> {
        &self.witnesses
    }

    /// Takes up the witnesses a policy names. Before the ledger is opened: nobody asked so far, and
    /// nothing is overlooked.
    pub(crate) fn begin(&self, policy: Option<&Policy>) {
        if let Some(policy) = policy {
            self.witnesses.set_policy(policy.witnesses.clone());
        }
    }

    /// Takes up what an earlier run had cosigned.
    pub(crate) fn recall(&self, ledger: &Ledger) {
        let newest = ledger.finality().borrow().clone();
        let policy = self.witnesses.policy();
        let judged = newest.and_then(|newest| policy.judge(&newest, self.clock.now()));
        if let Some(at) = judged.and_then(|judged| judged.at()) {
            self.since.store(at.as_millis(), Ordering::Relaxed);
        }
    }

    /// Takes up the witnesses of a policy that came into force while this server runs: they have as long
    /// to cosign as it gives them.
    pub(crate) fn follow(&self, policy: &Policy) {
        if *self.witnesses.policy() != policy.witnesses {
            self.witnesses.set_policy(policy.witnesses.clone());
            let now = self.clock.now().as_millis();
            self.since.store(now, Ordering::Relaxed);
        }
    }

    /// Whether exchange may go on under this policy.
    ///
    /// # Errors
    /// `LOG_FORKED` when a witness has seen another ledger, `LOG_UNWITNESSED` when a quorum's
    /// cosignatures are too old.
    pub(crate) fn check(&self, policy: &Policy, now: Timestamp) -> Result<(), Reason> {
        if policy.witnesses.fewest() == 0 {
            return Ok(());
        }
        if self.witnesses.dissent().is_some() {
            return Err(Reason::LogForked);
        }
        let since = Timestamp::from_millis(self.since.load(Ordering::Relaxed));
        let newest = since.max(self.witnesses.cosigned_at());
        if now.since(newest) > policy.cosigned_within() {
            return Err(Reason::LogUnwitnessed);
        }
        Ok(())
    }
}

// === impl Vouching ===

impl Cosigner for Vouching {
    fn remember(&self, signed: &SignedCheckpoint) -> Result<(), DiskError> {
        // What a witness holds against this ledger stays: whatever is signed until the stop, the next start
        // is not to go on in it.
        let dissent = self.witnesses.dissent().map(|held| &held.checkpoint);
        self.mark.keep(dissent.unwrap_or(signed))
    }

    fn cosign(&self, signed: SignedTree) -> CosignerFuture<'_> {
        self.witnesses.cosign(signed)
    }

    fn is_settled(&self, checkpoint: &Arc<SignedCheckpoint>) -> bool {
        self.witnesses.is_settled(checkpoint)
    }
}
