//! The one task that signs statements, fed in batches.
//!
//! A task takes whatever has gathered since it last looked, signs it, and wakes all who wait. Each
//! statement is signed alone for now (`direct`); signing one tree root for the whole batch changes
//! this file and nothing else.

use std::sync::Arc;

use entente_evidence::proof::{SignedStatement, sign_direct};
use entente_evidence::statement::Statement;
use entente_reason::Reason;
use tokio::sync::{mpsc, oneshot};

use crate::session::OwnSession;

/// Hands statements to the signing task. Clones share it.
#[derive(Clone, Debug)]
pub(crate) struct SigningTask {
    jobs: mpsc::Sender<Job>,
}

#[derive(Debug)]
struct Job {
    session: Arc<OwnSession>,
    statement: Statement,
    done: oneshot::Sender<Result<SignedStatement, Reason>>,
}

/// The most statements signed between two looks at the queue.
const BATCH: usize = 256;

/// Statements that may wait; beyond that the caller waits to hand one over.
const QUEUE: usize = 2_048;

// === impl SigningTask ===

impl SigningTask {
    /// Starts the task. It ends when the last handle is gone.
    pub(crate) fn start() -> Self {
        let (jobs, mut queue) = mpsc::channel::<Job>(QUEUE);
        tokio::spawn(async move {
            let mut batch = Vec::with_capacity(BATCH);
            while queue.recv_many(&mut batch, BATCH).await > 0 {
                for job in batch.drain(..) {
                    let signed = sign_direct(job.session.signer(), job.statement)
                        .map_err(|error| error.reason());
                    // Whoever no longer waits has no use for it.
                    let _ = job.done.send(signed);
                }
            }
        });
        Self { jobs }
    }

    /// Signs a statement with a session's key.
    pub(crate) async fn sign(
        &self,
        session: &Arc<OwnSession>,
        statement: Statement,
    ) -> Result<SignedStatement, Reason> {
        let (done, signed) = oneshot::channel();
        let job = Job {
            session: Arc::clone(session),
            statement,
            done,
        };
        self.jobs
            .send(job)
            .await
            .map_err(|_| Reason::ShuttingDown)?;
        signed.await.map_err(|_| Reason::ShuttingDown)?
    }
}
