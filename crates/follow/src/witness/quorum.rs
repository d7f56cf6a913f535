//! Asking the witnesses of a policy, all at once, until there is a quorum or no time left.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use entente_clock::{Clock, Timestamp};
use entente_ledger::note::{NoteKey, NoteSignature};
use entente_ledger::witness::{AddCheckpoint, CosignedCheckpoint, Witness, WitnessPolicy};
use entente_ledger::{Cosigner, CosignerFuture, SignedCheckpoint, SignedTree, Witnessed};
use entente_tls::net::Net;
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout};

use super::ask::{self, Address, Answer, AskError};

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
    /// What each witness cosigned last, by its key's name; only to save a round trip.
    seen: Mutex<HashMap<String, u64>>,
    standing: watch::Sender<Option<CosignedCheckpoint>>,
    dissent: watch::Sender<Option<Dissent>>,
}

/// A witness has seen another tree than this ledger's: the ledger was rolled back or forked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dissent {
    /// Who says so.
    pub witness: String,
    /// What it says.
    pub kind: DissentKind,
    /// When, by this machine's clock.
    pub at: Timestamp,
}

/// In what a witness differs. Variants are alphabetical.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DissentKind {
    /// It has cosigned a larger tree, of this size: this ledger lost entries.
    Ahead(u64),
    /// It has cosigned a tree that this one does not continue.
    Inconsistent,
}

// === impl Witnesses ===

impl Witnesses {
    /// Witnesses of a policy that asks for none, until it is told another.
    pub fn new(config: WitnessesConfig) -> Self {
        Self {
            config,
            policy: ArcSwap::default(),
            seen: Mutex::default(),
            standing: watch::channel(None).0,
            dissent: watch::channel(None).0,
        }
    }

    /// Puts a policy in force; the next checkpoint is judged by it.
    pub fn set_policy(&self, policy: WitnessPolicy) {
        self.policy.store(Arc::new(policy));
    }

    /// The policy in force.
    pub fn policy(&self) -> Arc<WitnessPolicy> {
        self.policy.load_full()
    }

    /// The newest checkpoint of this run that has its quorum.
    pub fn standing(&self) -> watch::Receiver<Option<CosignedCheckpoint>> {
        self.standing.subscribe()
    }

    /// When the quorum had seen the newest of them.
    pub fn cosigned_at(&self) -> Option<Timestamp> {
        let standing = self.standing.borrow();
        standing.as_ref().and_then(CosignedCheckpoint::at)
    }

    /// Whether a witness holds something against this ledger.
    pub fn has_dissent(&self) -> bool {
        self.dissent.borrow().is_some()
    }

    /// What a witness holds against this ledger; stays, once it is there.
    pub fn dissent(&self) -> watch::Receiver<Option<Dissent>> {
        self.dissent.subscribe()
    }

    /// Asks every witness that can be reached for the newest checkpoint of the log it cosigned, and
    /// answers with the largest. For a start: is the ledger on this disk the newest there was?
    pub async fn newest(&self, log: &NoteKey) -> Option<SignedCheckpoint> {
        let policy = self.policy();
        let asked = policy.witnesses().iter().filter_map(|witness| {
            let at = Address::parse(witness.url.as_deref()?)?;
            Some(async move {
                let latest = ask::latest(&*self.config.net, &at, log, &witness.key);
                match timeout(self.config.wait, latest).await {
                    Ok(Ok(latest)) => latest,
                    Ok(Err(error)) => {
                        note_failure(&witness.name, &error);
                        None
                    }
                    Err(_) => None,
                }
            })
        });
        let asked: FuturesUnordered<_> = asked.collect();
        let found: Vec<_> = asked.filter_map(std::future::ready).collect().await;
        found.into_iter().max_by_key(SignedCheckpoint::size)
    }

    async fn gather(&self, signed: &SignedTree) -> Witnessed {
        let policy = self.policy();
        let mut checkpoint = Arc::clone(signed.checkpoint());
        let mut asked: FuturesUnordered<_> = policy
            .witnesses()
            .iter()
            .filter_map(|witness| {
                let at = Address::parse(witness.url.as_deref()?)?;
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

    /// Asks one witness; tells it how the tree grew since it last looked.
    async fn ask(
        &self,
        witness: &Witness,
        at: &Address,
        signed: &SignedTree,
    ) -> Result<Option<NoteSignature>, AskError> {
        let checkpoint = signed.checkpoint();
        let mut old = self.seen().get(witness.key.name()).copied().unwrap_or(0);
        for _ in 0..ATTEMPTS {
            if old > checkpoint.size() {
                self.raise(witness, DissentKind::Ahead(old));
                return Ok(None);
            }
            let proof = match old {
                0 => Vec::new(),
                old if old == checkpoint.size() => Vec::new(),
                old => {
                    let proof = signed.consistency(old).await;
                    proof.map_err(|error| AskError::Http(Box::new(error)))?.path
                }
            };
            let request = AddCheckpoint {
                old_size: old,
                proof,
                note: checkpoint.note().clone(),
            };
            let net = &*self.config.net;
            match ask::add_checkpoint(net, at, &request, checkpoint, &witness.key).await? {
                Answer::Cosigned(line) => {
                    let name = witness.key.name().to_owned();
                    self.seen().insert(name, checkpoint.size());
                    return Ok(Some(line));
                }
                Answer::HasSeen(size) => old = size,
                Answer::Inconsistent => {
                    self.raise(witness, DissentKind::Inconsistent);
                    return Ok(None);
                }
            }
        }
        Err(AskError::Unexpected)
    }

    fn raise(&self, witness: &Witness, kind: DissentKind) {
        tracing::error!(event = "ledger.dissent", witness = witness.name, ?kind);
        self.dissent.send_if_modified(|held| {
            let is_first = held.is_none();
            held.get_or_insert_with(|| Dissent {
                witness: witness.name.clone(),
                kind,
                at: self.config.clock.now(),
            });
            is_first
        });
    }

    fn seen(&self) -> MutexGuard<'_, HashMap<String, u64>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Cosigner for Witnesses {
    fn cosign(&self, signed: SignedTree) -> CosignerFuture<'_> {
        Box::pin(async move {
            let witnessed = self.gather(&signed).await;
            if let Witnessed::Final(cosigned) = &witnessed {
                self.standing.send_replace(Some(cosigned.clone()));
            }
            witnessed
        })
    }

    fn is_settled(&self, checkpoint: &Arc<SignedCheckpoint>) -> bool {
        let now = self.config.clock.now();
        let judged = self.policy.load().judge(checkpoint, now);
        judged.is_some_and(|judged| judged.at().is_none_or(|at| now.since(at) < COSIGN_AGAIN))
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

// === impl DissentKind ===

impl DissentKind {
    /// The word for it, as in metrics and incidents.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ahead(_) => "ahead",
            Self::Inconsistent => "inconsistent",
        }
    }
}

fn note_failure(witness: &str, error: &AskError) {
    let error: &dyn std::error::Error = error;
    tracing::warn!(event = "witness.no_cosignature", witness, error);
}

/// How old cosignatures grow before a checkpoint is cosigned again: peers and readers go by their time.
const COSIGN_AGAIN: Duration = Duration::from_secs(300);
/// How long witnesses may answer after there is a quorum.
const STRAGGLERS: Duration = Duration::from_millis(250);
/// A witness that names ever new sizes is not asked for ever.
const ATTEMPTS: usize = 3;
