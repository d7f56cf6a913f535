//! Whether the witnesses cosign our ledger: without a quorum for longer than the policy allows, nothing is
//! exchanged. (DESIGN.md §7)

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

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
    /// Whether it was said that cosignatures are missed.
    is_missed: AtomicBool,
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
            is_missed: AtomicBool::new(false),
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
            self.ask_as(policy);
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
        let is_other = *self.witnesses.policy() != policy.witnesses;
        self.ask_as(policy);
        if is_other {
            let now = self.clock.now().as_millis();
            self.since.store(now, Ordering::Relaxed);
        }
    }

    /// Three times, before it is an alarm that nobody cosigns.
    fn ask_as(&self, policy: &Policy) {
        let again = alarm_after(policy) / 3;
        self.witnesses.set_policy(policy.witnesses.clone(), again);
    }

    /// How long ago a quorum saw this ledger, where the policy asks for one.
    fn age(&self, policy: &Policy, now: Timestamp) -> Option<Duration> {
        if policy.witnesses.fewest() == 0 {
            return None;
        }
        let since = Timestamp::from_millis(self.since.load(Ordering::Relaxed));
        Some(now.since(since.max(self.witnesses.cosigned_at())))
    }

    /// Says once that no quorum cosigns, long before exchange stops for it; and once that one does again.
    /// Answers how long ago one did; zero where nobody asks for one.
    pub(crate) fn watch(&self, policy: Option<&Policy>, now: Timestamp) -> Duration {
        let asked = policy.and_then(|policy| Some((policy, self.age(policy, now)?)));
        let is_missed = asked.is_some_and(|(policy, age)| age > alarm_after(policy));
        let was_missed = self.is_missed.swap(is_missed, Ordering::Relaxed);
        let age = asked.map_or(Duration::ZERO, |(_, age)| age);
        let seconds = age.as_secs();
        match (was_missed, is_missed) {
            (false, true) => tracing::error!(event = "log.unwitnessed", age = seconds),
            (true, false) => tracing::info!(event = "log.witnessed", age = seconds),
            _ => {}
        }
        age
    }

    /// Whether exchange may go on under this policy.
    ///
    /// # Errors
    /// `LOG_FORKED` when a witness has seen another ledger, `LOG_UNWITNESSED` when a quorum's
    /// cosignatures are too old.
    pub(crate) fn check(&self, policy: &Policy, now: Timestamp) -> Result<(), Reason> {
        let Some(age) = self.age(policy, now) else {
            return Ok(());
        };
        if self.witnesses.dissent().is_some() {
            return Err(Reason::LogForked);
        }
        if age > policy.cosigned_within() {
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

/// How long nobody may cosign before it is an alarm.
fn alarm_after(policy: &Policy) -> Duration {
    ALARM.min(policy.cosigned_within() / 3)
}

/// Unless a third of what the policy allows is less.
const ALARM: Duration = Duration::from_secs(300);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_alarm_comes_at_five_minutes_or_a_third_of_what_the_policy_allows() {
        for (allowed, alarm) in [(60, 20), (600, 200), (900, 300), (86_400, 300)] {
            let policy = Policy {
                cosigned_within_seconds: allowed,
                ..Policy::usual()
            };
            assert_eq!(alarm_after(&policy), Duration::from_secs(alarm));
        }
    }
}
