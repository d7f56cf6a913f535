//! The one task that signs statements, fed in batches.
//!
//! It takes whatever has gathered since it last looked and signs it at once: a statement that is alone
//! by itself (`direct`), several with one signature over the root of their tree (`batch`, DESIGN.md
//! §6). Nobody waits for a batch to fill: it is what came while the runtime was busy.

use std::sync::Arc;

use entente_evidence::proof::{Draft, SignedStatement, sign_batch};
use entente_evidence::statement::Statement;
use entente_identity::ServerId;
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
    draft: Draft,
    done: Done,
}

type Done = oneshot::Sender<Result<SignedStatement, Reason>>;

/// The most statements signed between two looks at the queue. Their proofs have paths of 8 hashes.
const BATCH: usize = 256;

/// Statements that may wait; beyond that the caller waits to hand one over.
const QUEUE: usize = 2_048;

// === impl SigningTask ===

impl SigningTask {
    /// Starts the task, which signs what `server` sends. It ends when the last handle is gone.
    pub(crate) fn start(server: ServerId) -> Self {
        let (jobs, mut queue) = mpsc::channel::<Job>(QUEUE);
        tokio::spawn(async move {
            let mut gathered = Vec::with_capacity(BATCH);
            while queue.recv_many(&mut gathered, 1).await > 0 {
                // Whoever became ready in the same turn of the runtime is let go first: one signature
                // then covers them too.
                tokio::task::yield_now().await;
                while gathered.len() < BATCH
                    && let Ok(job) = queue.try_recv()
                {
                    gathered.push(job);
                }
                sign_all(&server, &mut gathered);
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
        // Here and not in the task: what cannot be written is its caller's concern alone.
        let draft = Draft::new(statement).map_err(|error| error.reason())?;
        let (done, signed) = oneshot::channel();
        let job = Job {
            session: Arc::clone(session),
            draft,
            done,
        };
        self.jobs
            .send(job)
            .await
            .map_err(|_| Reason::ShuttingDown)?;
        signed.await.map_err(|_| Reason::ShuttingDown)?
    }
}

/// Signs each session's statements together, and wakes all who wait.
fn sign_all(server: &ServerId, gathered: &mut Vec<Job>) {
    while let Some(first) = gathered.first() {
        let session = Arc::clone(&first.session);
        // Nearly always all of them: a key is replaced once a day, and test has its own.
        let (same, rest): (Vec<Job>, Vec<Job>) = gathered
            .drain(..)
            .partition(|job| Arc::ptr_eq(&job.session, &session));
        gathered.extend(rest);
        sign_together(server, &session, same);
    }
}

fn sign_together(server: &ServerId, session: &OwnSession, jobs: Vec<Job>) {
    let (drafts, waiting): (Vec<Draft>, Vec<Done>) =
        jobs.into_iter().map(|job| (job.draft, job.done)).unzip();
    // Whoever no longer waits has no use for it.
    match sign_batch(session.signer(), server, drafts) {
        Ok(signed) => {
            for (done, signed) in waiting.into_iter().zip(signed) {
                let _ = done.send(Ok(signed));
            }
        }
        Err(error) => {
            for done in waiting {
                let _ = done.send(Err(error.reason()));
            }
        }
    }
}
