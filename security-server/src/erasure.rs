//! Destroying keys at the end of retention, logged before it happens (DESIGN.md §8, G9).
//!
//! The order is: the plan is durable, then its SHRED entries, then the keys go, then the plan. A stop at
//! any point leaves a plan that the next start finishes; a key is never gone without its entry.

mod order;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use entente_clock::Day;
use entente_ledger::entry::{Body, Entry, Shred};
use entente_ledger::{Ledger, LedgerError, ReadError};
use entente_reason::Reason;
use entente_sidecar::{Plan, Sidecar, SidecarError, Target};
use tokio_util::sync::CancellationToken;

use crate::journal::Journal;
use crate::server::Server;

pub use order::{Named, Order, OrderError};

/// Why nothing was destroyed, or not all of it. Variants are alphabetical.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EraseError {
    /// What waits in the write-ahead log could not be stored; nothing was destroyed then.
    #[error("storing what was appended")]
    Ledger(#[from] LedgerError),
    /// SHRED entries could not be written; nothing was destroyed then.
    #[error("logging what is to be destroyed: {0}")]
    Log(Reason),
    /// The ledger could not be read.
    #[error("reading what was logged as destroyed")]
    Read(#[from] ReadError),
    /// The sidecar or its keys.
    #[error("destroying keys")]
    Sidecar(#[from] SidecarError),
}

/// Finishes what was planned, if anything was: logs what is not logged yet, then destroys it. Answers with
/// how many keys and records went.
pub(crate) async fn finish(journal: &Journal) -> Result<usize, EraseError> {
    let sidecar = journal.sidecar().clone();
    let Some(plan) = blocking(move || sidecar.planned()).await? else {
        return Ok(0);
    };
    let ledger = journal.ledger();
    // What is only in the write-ahead log yet would be sealed under a key that goes.
    ledger.publish_now().await?;
    // Planned while another ledger was open: said again in this one, rather than perhaps in none.
    let is_ours = plan.origin == journal.origin().as_str();
    let since = if is_ours { plan.since } else { ledger.size() };
    let mut logged = logged_since(ledger, since).await?;
    for shred in plan.shreds() {
        if logged.insert(shred.key_hash) {
            // If we crash here, some of the entries are there; the next start writes the others.
            let entry = journal.append(Body::Shred(shred)).await;
            entry.map_err(EraseError::Log)?;
        }
    }
    // If we crash here, everything is logged and nothing destroyed; the next start destroys it.
    let sidecar = journal.sidecar().clone();
    blocking(move || sidecar.carry_out()).await?;
    tracing::info!(event = "keys.destroyed", count = plan.targets.len());
    Ok(plan.targets.len())
}

/// What SHRED entries name, from `since` on.
async fn logged_since(
    ledger: &Ledger,
    since: u64,
) -> Result<HashSet<entente_signing::Digest>, EraseError> {
    let mut logged = HashSet::new();
    let mut next = since;
    while next < ledger.size() {
        let entries: Vec<Bytes> = ledger.entries(next, CHUNK).await?;
        if entries.is_empty() {
            break;
        }
        next += entries.len() as u64;
        let shreds = entries.iter().filter_map(shred_in);
        logged.extend(shreds.map(|shred| shred.key_hash));
    }
    Ok(logged)
}

fn shred_in(bytes: &Bytes) -> Option<Shred> {
    match Entry::decode(bytes).ok()?.body {
        Body::Shred(shred) => Some(shred),
        _ => None,
    }
}

/// Runs what waits for the disk where it holds up nobody.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, SidecarError> + Send + 'static,
) -> Result<T, SidecarError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        // It panicked, or the runtime ends: either way nobody knows, and the next start looks.
        Err(_) => Err(SidecarError::Seal),
    }
}

// === impl Server ===

impl Server {
    /// Destroys what is due, at once and then as each day begins, until `ended`. It ends between two
    /// steps, never within one.
    pub(crate) async fn retain(self: Arc<Self>, ended: CancellationToken) {
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut done: Option<Day> = None;
        let mut failed_on: Option<Day> = None;
        loop {
            tokio::select! {
                _ = tick.tick() => {}
                () = ended.cancelled() => return,
            }
            let today = self.clock.now().day();
            if done == Some(today) || !self.time_is_confirmed() {
                continue;
            }
            match self.destroy_due().await {
                Ok(_) => done = Some(today),
                // It is tried again with every tick; once a day is enough to say so.
                Err(error) if failed_on != Some(today) => {
                    failed_on = Some(today);
                    tracing::error!(event = "retention.failed", %error);
                }
                Err(_) => {}
            }
        }
    }

    /// Whether others confirm our clock. One that jumped ahead would destroy years too early, and what is
    /// destroyed does not come back.
    fn time_is_confirmed(&self) -> bool {
        self.views.directory().confirms_clock() && self.journal.clock_is_on()
    }

    /// Destroys every key whose term is over. Answers with how many.
    pub(crate) async fn destroy_due(&self) -> Result<usize, EraseError> {
        let mut destroyed = finish(&self.journal).await?;
        loop {
            let sidecar = self.journal.sidecar().clone();
            let now = self.clock.now();
            let since = self.journal.ledger().size();
            let origin = self.journal.origin().as_str().to_owned();
            let planned = blocking(move || plan_due(&sidecar, now, since, origin)).await?;
            if !planned {
                return Ok(destroyed);
            }
            destroyed += finish(&self.journal).await?;
        }
    }
}

/// Plans the destruction of what is due, of one retention at a time. False when nothing is.
fn plan_due(
    sidecar: &Sidecar,
    now: entente_clock::Timestamp,
    since: u64,
    origin: String,
) -> Result<bool, SidecarError> {
    let due = sidecar.due(now)?;
    if due.is_empty() {
        return Ok(false);
    }
    let plan = Plan {
        authority: END_OF_RETENTION.to_owned(),
        origin,
        since,
        targets: due.into_iter().map(Target::Key).collect(),
    };
    // If we crash here, the next start finds the plan and goes on with it.
    sidecar.plan(&plan).map(|()| true)
}

/// The authority of what is destroyed by rule; the class says the term.
pub const END_OF_RETENTION: &str = "end of retention";

/// How often the day is looked at.
const TICK: Duration = Duration::from_secs(1);

/// Entries read at a time.
const CHUNK: usize = 1_024;

#[cfg(test)]
mod tests;
