//! Whom the registry asks to cosign its own checkpoints, and what it does not do without them.
//! (DESIGN.md §9)
//!
//! It asks the witnesses its configuration names and those of the policy in force, and, after the policy
//! changed, those of the one before as well until both have cosigned one checkpoint. Nothing is accepted
//! before they have confirmed at a start that its ledger is the newest there was, nor after one of them has
//! shown another tree of it.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use entente_clock::{Clock, Timestamp};
use entente_directory::Policy;
use entente_follow::demand;
use entente_follow::witness::{Dissent, Witnesses, WitnessesConfig};
use entente_ledger::witness::WitnessPolicy;
use entente_ledger::{Cosigner, CosignerFuture, LogKeys, SignedCheckpoint, SignedTree, Witnessed};
use entente_tls::net::Net;

use crate::desk::Record;
use crate::passages::Passages;

/// The witnesses of the registry's ledger, and what they last said.
#[derive(Debug)]
pub(crate) struct Cosigning {
    witnesses: Witnesses,
    /// Those the configuration names.
    own: WitnessPolicy,
    clock: Arc<dyn Clock>,
    /// Set when the ledger was replayed: before, nobody knows whom to ask.
    begun: OnceLock<Begun>,
    /// Whether the witnesses confirmed in this run that nobody has seen more.
    is_vouched: AtomicBool,
    /// Since when cosignatures are missed, in milliseconds.
    since: AtomicU64,
    is_missed: AtomicBool,
}

#[derive(Debug)]
struct Begun {
    record: Arc<Record>,
    passages: Arc<Passages>,
}

/// Why nothing is accepted now. Variants are alphabetical.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NotVouched {
    /// A witness has shown another tree.
    Dissent,
    /// They have not confirmed yet that this ledger is the newest there was.
    Unconfirmed,
}

/// Somebody has seen more than there is here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Behind {
    /// How large the tree was that a witness cosigned.
    pub(crate) seen: u64,
}

// === impl Cosigning ===

impl Cosigning {
    /// Asks nobody until [`Cosigning::begin`].
    pub(crate) fn new(net: Arc<dyn Net>, clock: Arc<dyn Clock>, own: WitnessPolicy) -> Self {
        let config = WitnessesConfig::new(net, Arc::clone(&clock));
        Self {
            witnesses: Witnesses::new(config),
            own,
            since: AtomicU64::new(clock.now().as_millis()),
            clock,
            begun: OnceLock::new(),
            is_vouched: AtomicBool::new(false),
            is_missed: AtomicBool::new(false),
        }
    }

    /// Takes up what the ledger says, and asks the witnesses what they have seen of it. `held` is the
    /// checkpoint on the disk, `size` how many entries are durable.
    pub(crate) async fn begin(
        &self,
        record: Arc<Record>,
        passages: Arc<Passages>,
        (origin, keys): (&str, &dyn LogKeys),
        held: Option<&SignedTree>,
        size: u64,
    ) -> Result<(), Behind> {
        let begun = self.begun.get_or_init(|| Begun { record, passages });
        // Those who have cosigned before, and not those that a policy names who never did: it could
        // never be put right.
        let passed = begun.passages.newest();
        let demanded = self.demand(begun.record.policy_at(passed).as_deref(), None);
        if !demanded.is_demanding() {
            self.is_vouched.store(true, Ordering::Release);
            return Ok(());
        }
        self.witnesses.set_policy(demanded, AGAIN);
        let survey = self.witnesses.survey(origin, keys, held).await;
        match survey.newest {
            Some(newest) if newest.size() > size => {
                return Err(Behind {
                    seen: newest.size(),
                });
            }
            _ => self.is_vouched.store(survey.is_complete, Ordering::Release),
        }
        Ok(())
    }

    /// Whether changes may be accepted.
    pub(crate) fn check(&self) -> Result<(), NotVouched> {
        if self.dissent().is_some() {
            return Err(NotVouched::Dissent);
        }
        match self.is_vouched.load(Ordering::Acquire) {
            true => Ok(()),
            false => Err(NotVouched::Unconfirmed),
        }
    }

    /// What a witness holds against this ledger.
    pub(crate) fn dissent(&self) -> Option<&Dissent> {
        self.witnesses.dissent()
    }

    /// Says once that no quorum cosigns, and once that one does again. Answers how long ago one did; zero
    /// where nobody asks for one.
    pub(crate) fn watch(&self) -> Duration {
        let now = self.clock.now();
        let is_demanding = self.witnesses.policy().is_demanding();
        if !is_demanding {
            self.since.store(now.as_millis(), Ordering::Relaxed);
        }
        let since = Timestamp::from_millis(self.since.load(Ordering::Relaxed));
        let age = match is_demanding {
            true => now.since(since.max(self.witnesses.cosigned_at())),
            false => Duration::ZERO,
        };
        let is_missed = age > MISSED;
        match (self.is_missed.swap(is_missed, Ordering::Relaxed), is_missed) {
            (false, true) => tracing::error!(event = "log.unwitnessed", age = age.as_secs()),
            (true, false) => tracing::info!(event = "log.witnessed", age = age.as_secs()),
            _ => {}
        }
        age
    }

    fn demand(&self, before: Option<&Policy>, now: Option<&Policy>) -> WitnessPolicy {
        demand(&self.own, 0, before.into_iter().chain(now))
    }

    async fn gather(&self, begun: &Begun, signed: SignedTree) -> Witnessed {
        let size = signed.checkpoint().size();
        let passed = begun.passages.newest();
        let before = begun.record.policy_at(passed);
        let now = begun.record.policy_at(size);
        let (before, now) = (before.as_deref(), now.as_deref());
        let demanded = self.demand(before, now);
        self.witnesses.set_policy(demanded, again(now));
        let witnessed = match self.check() {
            Err(NotVouched::Unconfirmed) => {
                let earlier = Arc::clone(signed.checkpoint());
                let witnessed = self.witnesses.cosign(signed.bare()).await;
                self.vouch(&witnessed, &self.demand(before, None));
                with_earlier(witnessed, earlier)
            }
            _ => self.witnesses.cosign(signed).await,
        };
        if let Witnessed::Final(cosigned) = &witnessed
            && self.demand(before, None) != self.demand(now, None)
        {
            let kept = begun.passages.keep(cosigned.checkpoint());
            if let Err(error) = kept {
                // Not final then: the next attempt asks as both policies do again.
                tracing::error!(event = "passage.not_kept", %error);
                return Witnessed::Short(Arc::clone(cosigned.checkpoint()));
            }
            tracing::info!(event = "passage.made", size);
        }
        witnessed
    }

    /// Notes that those who always cosigned just did. What they said long ago anybody on the way can
    /// repeat.
    fn vouch(&self, witnessed: &Witnessed, demanded: &WitnessPolicy) {
        let now = self.clock.now();
        let judged = demanded.judge(witnessed.checkpoint(), now);
        let is_now =
            judged.is_some_and(|judged| judged.at().is_none_or(|at| now.since(at) <= LATELY));
        if is_now {
            self.is_vouched.store(true, Ordering::Release);
            tracing::info!(event = "log.vouched");
        }
    }
}

impl Cosigner for Cosigning {
    fn cosign(&self, signed: SignedTree) -> CosignerFuture<'_> {
        Box::pin(async move {
            match self.begun.get() {
                Some(begun) => self.gather(begun, signed).await,
                None => Witnessed::Short(Arc::clone(signed.checkpoint())),
            }
        })
    }

    fn is_settled(&self, checkpoint: &Arc<SignedCheckpoint>) -> bool {
        let Some(begun) = self.begun.get() else {
            return true;
        };
        let policy = begun.record.policy_at(checkpoint.size());
        let passed = begun.record.policy_at(begun.passages.newest());
        let (before, now) = (passed.as_deref(), policy.as_deref());
        if self.demand(before, None) != self.demand(now, None) {
            return false;
        }
        match self.check() {
            Ok(()) => self.witnesses.is_settled(checkpoint),
            Err(NotVouched::Unconfirmed) => false,
            // They will not cosign this one however often they are asked.
            Err(NotVouched::Dissent) => true,
        }
    }
}

/// Puts back what witnesses said before, where they have not said it again: others may still go by it.
fn with_earlier(witnessed: Witnessed, mut earlier: Arc<SignedCheckpoint>) -> Witnessed {
    let Witnessed::Short(checkpoint) = &witnessed else {
        return witnessed;
    };
    let all = Arc::make_mut(&mut earlier);
    for line in checkpoint.note().signatures() {
        all.add(line.clone());
    }
    Witnessed::Short(earlier)
}

/// How old cosignatures grow before the newest checkpoint is cosigned again: followers are as fresh as
/// they are.
fn again(policy: Option<&Policy>) -> Duration {
    policy.map_or(AGAIN, |policy| AGAIN.min(policy.freshness() / 3))
}

/// Unless a third of what the policy calls fresh is less.
const AGAIN: Duration = Duration::from_secs(300);
/// How long ago a witness may have cosigned what it is asked about now; clocks differ.
const LATELY: Duration = Duration::from_secs(300);
/// How long nobody may cosign before it is an alarm.
const MISSED: Duration = Duration::from_secs(420);

#[cfg(test)]
mod tests;
