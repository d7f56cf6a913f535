//! A source with its breaker, and what was last known of it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use entente_clock::{Clock, Timestamp};
use entente_reason::Reason;

use crate::breaker::Breaker;
use crate::file::Driver;
use crate::source::{ColumnKind, Question, Rows, Source, SourceError};

/// One source of an adapter.
#[derive(Debug)]
pub(super) struct Guarded {
    source: Source,
    breaker: Breaker,
    clock: Arc<dyn Clock>,
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    /// When the source was last shown to be there and not writable.
    verified: Option<Timestamp>,
    /// What it said of itself then.
    note: Option<String>,
    fault: Option<SourceError>,
}

// === impl Guarded ===

impl Guarded {
    pub(super) fn new(source: Source, clock: Arc<dyn Clock>) -> Self {
        Self {
            source,
            breaker: Breaker::new(Arc::clone(&clock)),
            clock,
            known: Mutex::new(Known {
                fault: Some(SourceError::Down("not reached yet".to_owned())),
                ..Known::default()
            }),
        }
    }

    pub(super) fn driver(&self) -> Driver {
        self.source.driver()
    }

    /// What is wrong with it, as last known.
    pub(super) fn fault(&self) -> Option<SourceError> {
        self.known().fault.clone()
    }

    pub(super) fn note(&self) -> Option<String> {
        self.known().note.clone()
    }

    /// Why it cannot be asked; none when it can.
    pub(super) fn reason(&self) -> Option<Reason> {
        if let Some(fault) = &self.known().fault {
            return Some(reason(fault));
        }
        (!self.breaker.is_closed()).then_some(Reason::SourceDown)
    }

    /// Verifies the source when that is due: it is at fault, its breaker is not closed, or the last
    /// time was long ago. Says whether it can be asked.
    pub(super) async fn look_after(&self, name: &str) -> bool {
        let now = self.clock.now();
        let due = {
            let known = self.known();
            let fresh = known
                .verified
                .is_some_and(|verified| now.since(verified) < VERIFY_EVERY);
            known.fault.is_some() || !fresh || !self.breaker.is_closed()
        };
        if !due {
            return true;
        }
        let Ok(passage) = self.breaker.pass() else {
            return false;
        };
        let verified = self.source.verify().await;
        passage.tell(!is_failure(verified.as_ref().err()));
        let mut known = self.known();
        match verified {
            Ok(note) => {
                if known.fault.is_some() {
                    tracing::info!(source = name, "a source can be asked");
                }
                known.note = Some(note);
                known.verified = Some(now);
                known.fault = None;
                true
            }
            Err(fault) => {
                if known.fault.as_ref() != Some(&fault) {
                    tracing::warn!(source = name, %fault, "a source cannot be asked");
                }
                known.fault = Some(fault);
                false
            }
        }
    }

    pub(super) async fn prepare(&self, sql: &str) -> Result<Vec<ColumnKind>, SourceError> {
        self.source.prepare(sql).await
    }

    /// Asks the source, unless its breaker is open. `left` is the time the caller has: a source is
    /// not blamed for a caller in a hurry.
    pub(super) async fn ask(
        &self,
        question: Question,
        deadline: Duration,
        left: Duration,
    ) -> Result<Rows, SourceError> {
        if let Some(SourceError::Writable(powers)) = self.fault() {
            return Err(SourceError::Writable(powers));
        }
        let passage = self
            .breaker
            .pass()
            .map_err(|_| SourceError::Down("left alone after failures".to_owned()))?;
        let answer = self.source.ask(question, deadline.min(left)).await;
        let failed = match answer.as_ref().err() {
            Some(SourceError::Slow) => left >= deadline,
            error => is_failure(error),
        };
        passage.tell(!failed);
        if let Err(fault @ SourceError::Writable(_)) = &answer {
            self.known().fault = Some(fault.clone());
        }
        answer
    }

    fn known(&self) -> std::sync::MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether this says that the source is not there, rather than what it thinks of a question.
fn is_failure(error: Option<&SourceError>) -> bool {
    matches!(error, Some(SourceError::Down(_) | SourceError::Slow))
}

/// What a caller is told of a source's failure.
pub(super) fn reason(error: &SourceError) -> Reason {
    match error {
        SourceError::BadValue => Reason::BadField,
        SourceError::Busy => Reason::SourceBusy,
        SourceError::Down(_) => Reason::SourceDown,
        SourceError::Record => Reason::BadRecord,
        SourceError::Refused(_) | SourceError::Writable(_) => Reason::SourceRefused,
        SourceError::Slow => Reason::SourceSlow,
        SourceError::TooManyBytes => Reason::TooManyBytes,
        SourceError::TooManyRows => Reason::TooManyRows,
    }
}

/// How long a source that answers is trusted to be as it was.
const VERIFY_EVERY: Duration = Duration::from_secs(30);
