//! Asking the witnesses of a policy, all at once, until there is a quorum or no time left.

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use entente_clock::{Clock, Timestamp};
use entente_ledger::note::NoteSignature;
use entente_ledger::witness::{AddCheckpoint, Witness, WitnessPolicy};
use entente_ledger::{
    Cosigner, CosignerFuture, LogKeys, SignedCheckpoint, SignedTree, Witnessed, cosignature,
};
use entente_tls::http::HttpUrl;
use entente_tls::net::Net;
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tokio::time::{Instant, sleep_until, timeout};

use super::ask::{self, Answer, AskError};

/// How witnesses are asked.
#[derive(Debug)]
pub struct WitnessesConfig {
    /// The network they are on.
    pub net: Arc<dyn Net>,
    /// For judging the time in their cosignatures.
    pub clock: Arc<dyn Clock>,
    /// The longest one checkpoint waits for its quorum. Default 5 s.
    pub wait: Duration,
}

/// The witnesses of one ledger: its [`Cosigner`].
#[derive(Debug)]
pub struct Witnesses {
    config: WitnessesConfig,
    policy: ArcSwap<WitnessPolicy>,
    /// How old cosignatures grow before a checkpoint is cosigned again, in milliseconds.
    again: AtomicU64,
    /// What each witness cosigned last, by its key's name; only to save a round trip.
    seen: Mutex<HashMap<String, u64>>,
    /// When the quorum had seen the newest checkpoint of this run, in milliseconds; 0 before.
    cosigned_at: AtomicU64,
    dissent: OnceLock<Dissent>,
}

/// A witness has cosigned another tree than this ledger's: the ledger was rolled back or forked. Both
/// signatures on what it showed were verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dissent {
    /// Who says so.
    pub witness: String,
    /// What it has cosigned: a larger tree than this ledger's, or one that it does not continue.
    pub checkpoint: SignedCheckpoint,
}

/// What came of submitting a checkpoint to one witness.
enum Submitted {
    Cosigned(NoteSignature),
    /// It says that it has cosigned another tree.
    Contradicted,
}

/// What the witnesses know of a ledger.
#[derive(Clone, Debug, Default)]
pub struct Survey {
    /// The largest checkpoint any of them has cosigned, verified both ways.
    pub newest: Option<SignedCheckpoint>,
    /// Whether so many answered that those who did not are no quorum: nothing newer can be final.
    pub is_complete: bool,
}

// === impl Witnesses ===

impl Witnesses {
    /// Witnesses of a policy that asks for none, until it is told another.
    pub fn new(config: WitnessesConfig) -> Self {
        Self {
            config,
            policy: ArcSwap::default(),
            again: AtomicU64::new(0),
            seen: Mutex::default(),
            cosigned_at: AtomicU64::new(0),
            dissent: OnceLock::new(),
        }
    }

    /// Puts a policy in force; the next checkpoint is judged by it. `again` is how old cosignatures grow
    /// before a checkpoint is cosigned anew: peers and readers go by their time.
    pub fn set_policy(&self, policy: WitnessPolicy, again: Duration) {
        let again = u64::try_from(again.as_millis()).unwrap_or(u64::MAX);
        self.again.store(again, Ordering::Relaxed);
        self.policy.store(Arc::new(policy));
    }

    /// The policy in force.
    pub fn policy(&self) -> Arc<WitnessPolicy> {
        self.policy.load_full()
    }

    /// When the quorum had seen the newest final checkpoint of this run; the beginning of time before
    /// there is one.
    pub fn cosigned_at(&self) -> Timestamp {
        Timestamp::from_millis(self.cosigned_at.load(Ordering::Relaxed))
    }

    /// What a witness holds against this ledger; stays, once it is there.
    pub fn dissent(&self) -> Option<&Dissent> {
        self.dissent.get()
    }

    /// Asks every witness for the newest checkpoint of the log that it cosigned. For a start: is the ledger
    /// on this disk the newest there was? `held` is the checkpoint on the disk. A witness that shows nothing
    /// newer has to cosign that one anew: anybody on the way can say that it has seen nothing, or show what
    /// it said long ago.
    pub async fn survey(
        &self,
        origin: &str,
        log: &dyn LogKeys,
        held: Option<&SignedTree>,
    ) -> Survey {
        let policy = self.policy();
        let asked = policy.witnesses().iter().filter_map(|witness| {
            let at: HttpUrl = witness.url.as_deref()?.parse().ok()?;
            Some(async move {
                let known = timeout(
                    self.config.wait,
                    self.known_to(witness, &at, (origin, log), held),
                );
                (witness, known.await.unwrap_or(Err(AskError::Slow)))
            })
        });
        let mut asked: FuturesUnordered<_> = asked.collect();
        // Whom nobody can ask has seen nothing of this ledger.
        let askable = policy.witnesses().iter().filter(|w| w.url.is_some());
        let mut silent: BTreeSet<&str> = askable.map(|w| w.name.as_str()).collect();
        let mut survey = Survey::default();
        while let Some((witness, known)) = asked.next().await {
            match known {
                Ok(newest) => {
                    silent.remove(&*witness.name);
                    let newest = survey.newest.take().into_iter().chain(newest);
                    survey.newest = newest.max_by_key(SignedCheckpoint::size);
                }
                Err(error) => note_failure(&witness.name, &error),
            }
        }
        survey.is_complete = !policy.is_quorum(&silent);
        survey
    }

    /// What a witness has seen that is newer than what is held; none when it has just said, signed, that
    /// there is nothing.
    async fn known_to(
        &self,
        witness: &Witness,
        at: &HttpUrl,
        (origin, log): (&str, &dyn LogKeys),
        held: Option<&SignedTree>,
    ) -> Result<Option<SignedCheckpoint>, AskError> {
        let shown = ask::latest(&*self.config.net, at, origin, log, &witness.key).await?;
        let Some(held) = held.filter(|held| held.checkpoint().size() > 0) else {
            return Ok(shown);
        };
        let is_newer = |shown: &SignedCheckpoint| {
            let held = held.checkpoint();
            shown.size() > held.size()
                || (shown.size() == held.size() && shown.root() != held.root())
        };
        if let Some(newer) = shown.filter(is_newer) {
            return Ok(Some(newer));
        }
        let old = held.checkpoint().size();
        let Submitted::Cosigned(line) = self.submit(witness, at, held, old).await? else {
            return Err(AskError::Unexpected);
        };
        let cosigned = cosignature::verify_line(held.checkpoint(), &line, &witness.key);
        let cosigned = cosigned.map_err(AskError::Cosignature)?;
        match self.config.clock.now().since(cosigned) <= LATELY {
            true => Ok(None),
            false => Err(AskError::Unexpected),
        }
    }

    async fn gather(&self, signed: &SignedTree) -> Witnessed {
        let policy = self.policy();
        let mut checkpoint = Arc::clone(signed.checkpoint());
        let mut asked: FuturesUnordered<_> = policy
            .witnesses()
            .iter()
            .filter_map(|witness| {
                let at: HttpUrl = witness.url.as_deref()?.parse().ok()?;
                Some(async move {
                    let asked = self.ask(witness, &at, signed).await;
                    (witness, asked)
                })
            })
            .collect();
        let mut until = Instant::now() + self.config.wait;
        let mut is_final = false;
        loop {
            let judged = policy.judge(&checkpoint, self.config.clock.now());
            if judged.is_some() && !is_final {
                // The others get a moment more, so that they do not fall behind.
                is_final = true;
                until = until.min(Instant::now() + STRAGGLERS);
            }
            let next = tokio::select! {
                next = asked.next() => next,
                () = sleep_until(until) => None,
            };
            let Some((witness, answered)) = next else {
                return match judged {
                    Some(cosigned) => Witnessed::Final(cosigned),
                    None => Witnessed::Short(checkpoint),
                };
            };
            match answered {
                Ok(Some(line)) => Arc::make_mut(&mut checkpoint).add(line),
                Ok(None) => {}
                Err(error) => note_failure(&witness.name, &error),
            }
        }
    }

    /// Asks one witness to cosign.
    async fn ask(
        &self,
        witness: &Witness,
        at: &HttpUrl,
        signed: &SignedTree,
    ) -> Result<Option<NoteSignature>, AskError> {
        let name = witness.key.name();
        let old = self.seen().get(name).copied().unwrap_or(0);
        match self.submit(witness, at, signed, old).await? {
            Submitted::Cosigned(line) => {
                let size = signed.checkpoint().size();
                self.seen().insert(name.to_owned(), size);
                Ok(Some(line))
            }
            Submitted::Contradicted => self.hear_dissent(witness, at, signed).await,
        }
    }

    /// Submits a checkpoint to one witness; tells it how the tree grew since it last looked, which was
    /// perhaps at size `old`.
    async fn submit(
        &self,
        witness: &Witness,
        at: &HttpUrl,
        signed: &SignedTree,
        mut old: u64,
    ) -> Result<Submitted, AskError> {
        let checkpoint = signed.checkpoint();
        for _ in 0..ATTEMPTS {
            if old > checkpoint.size() {
                return Ok(Submitted::Contradicted);
            }
            let proof = match old {
                0 => Vec::new(),
                old if old == checkpoint.size() => Vec::new(),
                old => signed.consistency(old).await?.path,
            };
            let request = AddCheckpoint {
                old_size: old,
                proof,
                note: checkpoint.note().clone(),
            };
            let net = &*self.config.net;
            match ask::add_checkpoint(net, at, &request, checkpoint, &witness.key).await? {
                Answer::Cosigned(line) => return Ok(Submitted::Cosigned(line)),
                // The very size that it was shown the proof from: so the tree is another.
                Answer::HasSeen(size) if size == old => return Ok(Submitted::Contradicted),
                Answer::HasSeen(size) => old = size,
                Answer::Inconsistent => return Ok(Submitted::Contradicted),
            }
        }
        Err(AskError::Unexpected)
    }

    /// A witness says that it has seen another tree. That alone is anybody's word; what it has cosigned,
    /// signed by this ledger's own key, is proof.
    async fn hear_dissent(
        &self,
        witness: &Witness,
        at: &HttpUrl,
        signed: &SignedTree,
    ) -> Result<Option<NoteSignature>, AskError> {
        let net = &*self.config.net;
        let origin = signed.key().name();
        let shown = ask::latest(net, at, origin, signed.keys(), &witness.key).await?;
        let shown = shown.ok_or(AskError::Unexpected)?;
        if continues(signed, &shown).await? {
            self.seen()
                .insert(witness.key.name().to_owned(), shown.size());
            return Err(AskError::Unexpected);
        }
        let size = shown.size();
        tracing::error!(event = "ledger.dissent", witness = witness.name, size);
        let dissent = Dissent {
            witness: witness.name.clone(),
            checkpoint: shown,
        };
        // The first one stands.
        let _ = self.dissent.set(dissent);
        Ok(None)
    }

    fn seen(&self) -> MutexGuard<'_, HashMap<String, u64>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Cosigner for Witnesses {
    fn cosign(&self, signed: SignedTree) -> CosignerFuture<'_> {
        Box::pin(async move {
            let witnessed = self.gather(&signed).await;
            if let Witnessed::Final(cosigned) = &witnessed
                && let Some(at) = cosigned.at()
            {
                self.cosigned_at
                    .fetch_max(at.as_millis(), Ordering::Relaxed);
            }
            witnessed
        })
    }

    fn is_settled(&self, checkpoint: &Arc<SignedCheckpoint>) -> bool {
        let now = self.config.clock.now();
        let again = Duration::from_millis(self.again.load(Ordering::Relaxed));
        let judged = self.policy.load().judge(checkpoint, now);
        judged.is_some_and(|judged| judged.at().is_none_or(|at| now.since(at) < again))
    }
}

// === impl WitnessesConfig ===

impl WitnessesConfig {
    /// The defaults.
    pub fn new(net: Arc<dyn Net>, clock: Arc<dyn Clock>) -> Self {
        Self {
            net,
            clock,
            wait: Duration::from_secs(5),
        }
    }
}

/// Whether the tree that is to be cosigned continues the one shown.
async fn continues(signed: &SignedTree, shown: &SignedCheckpoint) -> Result<bool, AskError> {
    let now = signed.checkpoint();
    if shown.size() == 0 {
        return Ok(true);
    }
    if shown.size() >= now.size() {
        return Ok(shown.size() == now.size() && shown.root() == now.root());
    }
    let proof = signed.consistency(shown.size()).await?;
    Ok(proof.verify(&shown.root(), &now.root()).is_ok())
}

fn note_failure(witness: &str, error: &AskError) {
    let error: &dyn std::error::Error = error;
    tracing::warn!(event = "witness.no_cosignature", witness, error);
}

/// How long ago a witness may have cosigned what it is asked about now; clocks differ.
const LATELY: Duration = Duration::from_secs(300);
/// How long witnesses may answer after there is a quorum.
const STRAGGLERS: Duration = Duration::from_millis(250);
/// A witness that names ever new sizes is not asked for ever.
const ATTEMPTS: usize = 3;
