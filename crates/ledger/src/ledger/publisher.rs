//! Integrates and publishes, when it is time and when asked.
//!
//! Between signing a checkpoint and publishing it the witnesses are asked. Nothing waits for them here:
//! entries go on to be integrated, and what they answered comes back as a command.

use std::sync::Arc;

use entente_clock::Clock;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};

use super::shelf::Shelf;
use super::signals::Signals;
use crate::checkpoint::SignedCheckpoint;
use crate::cosigner::{Cosigner, SignedTree, Tree, Witnessed};
use crate::log::{Integrator, LogError};
use crate::note::NoteKey;
use crate::signatory::Signatory;
use crate::witness::WitnessPolicy;

/// The integrating half, with whom it tells.
#[derive(Debug)]
pub(super) struct Publisher {
    integrator: Integrator,
    signals: Signals,
    witnesses: Witnesses,
    /// Whoever waits for the checkpoint that the witnesses are being asked about; none while they are not.
    asking: Option<Vec<Waiter>>,
    /// Whoever waits for the one after it.
    next: Vec<Waiter>,
    /// Whether the last attempt to publish failed; then each tick tries again.
    is_overdue: bool,
}

/// How witnesses are asked.
#[derive(Debug)]
pub(super) struct Witnesses {
    /// None: nobody has to cosign, and every checkpoint is final.
    pub(super) cosigner: Option<Arc<dyn Cosigner>>,
    pub(super) clock: Arc<dyn Clock>,
    /// The ledger's own keys.
    pub(super) keys: Arc<dyn Signatory>,
    pub(super) shelf: Arc<Shelf>,
    /// Where they are asked, and where what they answer is sent.
    pub(super) runtime: Handle,
    pub(super) commands: mpsc::WeakUnboundedSender<Command>,
    /// Whether files may be read on the runtime itself: in simulations.
    pub(super) may_block: bool,
}

/// Whoever is told of a published checkpoint.
type Waiter = oneshot::Sender<Result<Arc<SignedCheckpoint>, LogError>>;

/// What the integrating half is asked to do.
#[derive(Debug)]
pub(super) enum Command {
    /// Integrate everything, publish, and stop.
    Close(oneshot::Sender<Result<(), LogError>>),
    /// The witnesses have answered.
    Cosigned(Witnessed),
    /// Integrate now: much is waiting.
    Integrate,
    /// Fill the next segment of the write-ahead log ahead of use.
    PrepareSpare,
    /// Publish a checkpoint over everything durable now.
    Publish(Waiter),
    /// Publish a checkpoint when the ledger grew, its newest one is not final, or its cosignatures have
    /// grown old.
    PublishWhenDue,
}

// === impl Publisher ===

impl Publisher {
    pub(super) const fn new(
        integrator: Integrator,
        signals: Signals,
        witnesses: Witnesses,
    ) -> Self {
        Self {
            integrator,
            signals,
            witnesses,
            asking: None,
            next: Vec::new(),
            is_overdue: false,
        }
    }

    /// Carries out a command; `None` when it was the last.
    pub(super) fn execute(mut self, command: Command) -> Option<Self> {
        match command {
            Command::Close(reply) => {
                let published = self.publish_as_it_is();
                self.integrator.close();
                // The lock on the folder goes with the halves; only then may another open it.
                drop(self);
                let _ = reply.send(published);
                return None;
            }
            Command::Cosigned(witnessed) => {
                let waiters = self.asking.take().unwrap_or_default();
                self.publish(&witnessed, waiters);
                if !self.next.is_empty() {
                    let next = std::mem::take(&mut self.next);
                    self.begin(next);
                }
            }
            Command::Integrate => {
                if self.is_overdue {
                    self.begin(Vec::new());
                } else {
                    let integrated = self.integrator.integrate();
                    self.note(integrated.as_ref().err());
                }
                self.prepare_spare();
            }
            Command::PrepareSpare => self.prepare_spare(),
            Command::Publish(waiter) => self.begin(vec![waiter]),
            Command::PublishWhenDue => {
                let is_due = self.integrator.has_grown() || !self.is_settled();
                if is_due && self.asking.is_none() {
                    self.begin(Vec::new());
                }
            }
        }
        Some(self)
    }

    fn prepare_spare(&self) {
        // Without a spare the next segment grows as it is written; that is no failure.
        let _ = self.integrator.prepare_spare();
    }

    /// Signs a checkpoint over everything durable now, or takes the newest when it covers that, and asks
    /// the witnesses about it unless it is final. One at a time.
    fn begin(&mut self, waiters: Vec<Waiter>) {
        if self.asking.is_some() {
            self.next.extend(waiters);
            return;
        }
        let prepared = match self.sign() {
            Ok(Some(signed)) => Ok(Some(Arc::new(signed))),
            Ok(None) if self.is_settled() => Ok(None),
            Ok(None) => Ok(self.integrator.checkpoint()),
            Err(error) => Err(error),
        };
        match prepared {
            Ok(Some(signed)) => match self.witnesses.cosigner.clone() {
                Some(cosigner) => match self.witnesses.keys.at(signed.size()) {
                    Some(key) => {
                        self.asking = Some(waiters);
                        self.witnesses.ask(cosigner, signed, key);
                    }
                    None => self.tell(Err(LogError::NoKey), waiters),
                },
                None => {
                    let policy = WitnessPolicy::default();
                    let now = self.witnesses.clock.now();
                    let witnessed = match policy.judge(&signed, now) {
                        Some(cosigned) => Witnessed::Final(cosigned),
                        None => Witnessed::Short(signed),
                    };
                    self.publish(&witnessed, waiters);
                }
            },
            Ok(None) => self.tell(Ok(()), waiters),
            Err(error) => self.tell(Err(error), waiters),
        }
    }

    /// Signs a checkpoint over everything durable now, if that is more than the newest covers.
    fn sign(&mut self) -> Result<Option<SignedCheckpoint>, LogError> {
        let signed = self.integrator.prepare_checkpoint()?;
        if let (Some(signed), Some(cosigner)) = (&signed, &self.witnesses.cosigner) {
            // If we crash before this, it was signed and nobody has seen it.
            cosigner.remember(signed)?;
        }
        Ok(signed)
    }

    fn publish(&mut self, witnessed: &Witnessed, waiters: Vec<Waiter>) {
        let published = self.integrator.publish(witnessed);
        if published.is_ok() {
            self.signals.checkpoint(self.integrator.checkpoint());
            if matches!(witnessed, Witnessed::Final(_)) {
                self.signals.finality(self.integrator.finality());
            }
        }
        self.tell(published, waiters);
    }

    fn tell(&mut self, published: Result<(), LogError>, mut waiters: Vec<Waiter>) {
        // A key that is not at hand is no failure of the disk: entries go on to be integrated.
        let failed = published.as_ref().err();
        let failed = failed.filter(|error| !matches!(error, LogError::NoKey));
        self.is_overdue = failed.is_some();
        self.note(failed);
        // The first hears why; the others hear that there was something.
        if let Some(first) = waiters.pop() {
            let checkpoint = self.integrator.checkpoint();
            let failed = published.is_err();
            let result = published.and_then(|()| checkpoint.clone().ok_or(LogError::Unpublished));
            let _ = first.send(result);
            for waiter in waiters {
                let held = checkpoint.clone().filter(|_| !failed);
                let _ = waiter.send(held.ok_or(LogError::Unpublished));
            }
        }
    }

    /// Whether the newest published checkpoint is final, and those who cosigned it would say so still.
    fn is_settled(&self) -> bool {
        let (newest, cosigner) = (self.integrator.checkpoint(), &self.witnesses.cosigner);
        self.integrator.is_final()
            && match (newest, cosigner) {
                (Some(newest), Some(cosigner)) => cosigner.is_settled(&newest),
                _ => true,
            }
    }

    /// Publishes with the cosignatures there are: who closes a ledger does not wait for others. The next
    /// start asks them.
    fn publish_as_it_is(&mut self) -> Result<(), LogError> {
        let signed = match self.sign() {
            Ok(Some(signed)) => signed,
            // What is durable has a checkpoint, or gets one once the key is at hand.
            Ok(None) | Err(LogError::NoKey) => return Ok(()),
            Err(error) => return Err(error),
        };
        self.integrator
            .publish(&Witnessed::Short(Arc::new(signed)))?;
        self.signals.checkpoint(self.integrator.checkpoint());
        Ok(())
    }

    fn note(&self, failed: Option<&LogError>) {
        if let Some(error) = failed {
            let error: &dyn std::error::Error = error;
            tracing::warn!(error, "integrating the ledger failed");
        }
        self.signals.integrates(failed.is_none());
    }
}

// === impl Witnesses ===

impl Witnesses {
    fn ask(&self, cosigner: Arc<dyn Cosigner>, checkpoint: Arc<SignedCheckpoint>, key: NoteKey) {
        let tree = SignedTree {
            checkpoint,
            key,
            keys: Arc::clone(&self.keys) as _,
            tree: Tree::Open {
                shelf: Arc::clone(&self.shelf),
                may_block: self.may_block,
            },
        };
        let commands = self.commands.clone();
        self.runtime.spawn(async move {
            let witnessed = cosigner.cosign(tree).await;
            // Nobody is left to publish it when this fails.
            if let Some(commands) = commands.upgrade() {
                let _ = commands.send(Command::Cosigned(witnessed));
            }
        });
    }
}
