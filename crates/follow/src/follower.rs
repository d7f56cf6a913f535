//! Following: from opening the own copy to reconnecting for ever.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use entente_clock::Clock;
use entente_directory::{Keep, RegistryEntry};
use entente_ledger::disk::{Disk, DiskError};
use entente_ledger::{Checkpoint, SignedCheckpoint};
use entente_reason::Reason;
use entente_tls::IdentitySlot;
use entente_tls::net::Net;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use crate::ahead::Ahead;
use crate::anchor::Anchor;
use crate::client::{RegistryClient, RegistryError};
use crate::demand;
use crate::directory::{Directory, Shared};
use crate::mirror::Mirror;
use crate::replica::{Held, Replica, ReplicaError};
use crate::session::{End, Session};
use crate::view::View;

/// What following a registry takes.
#[derive(Debug)]
pub struct FollowerConfig {
    /// The registry, and what to believe of it.
    pub anchor: Anchor,
    /// The folder of the own copy; created when missing.
    pub dir: PathBuf,
    /// How to reach the registry.
    pub net: Arc<dyn Net>,
    /// What to show it in TLS.
    pub identity: IdentitySlot,
    /// Which agreements are kept whole in memory. A view gives the others from disk.
    pub keep: Keep,
    /// For ages.
    pub clock: Arc<dyn Clock>,
    /// Where the folder is.
    pub disk: Arc<dyn Disk>,
}

/// Follows one registry until it is dropped.
///
/// Its task writes to disk where it runs: a few syncs for each checkpoint, which are rare. Opening and
/// catching up verify one signature an entry.
#[derive(Debug)]
pub struct Follower {
    directory: Directory,
    client: RegistryClient,
    task: JoinHandle<()>,
}

/// Why following could not begin. An unreachable registry is no such reason. Variants are
/// alphabetical.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// TLS cannot be set up.
    #[error("preparing to follow the registry")]
    Client(#[from] RegistryError),
    /// The own copy is not what was verified when it was written. Move it away to follow anew.
    #[error("the copy of the registry in `{}` is damaged or of another registry", dir.display())]
    Damaged {
        /// The folder.
        dir: PathBuf,
    },
    /// The own copy cannot be opened.
    #[error("opening the copy of the registry in `{}`", dir.display())]
    Replica {
        /// The folder.
        dir: PathBuf,
        /// Why.
        #[source]
        source: ReplicaError,
    },
}

// === impl Follower ===

impl Follower {
    /// Opens the own copy, verifies all of it again, and starts to follow. The view is usable at
    /// once; it is empty when there was no copy. Call it within a runtime.
    ///
    /// # Errors
    /// When the copy cannot be used. It is never thrown away by itself: it remembers the newest size
    /// seen, without which an older registry could be shown.
    pub async fn open(config: FollowerConfig) -> Result<Self, OpenError> {
        let FollowerConfig {
            anchor,
            dir,
            net,
            identity,
            keep,
            clock,
            disk,
        } = config;
        let client = RegistryClient::new(&anchor, &net, identity)?;
        let (mut replica, held) =
            Replica::open(disk, &dir).map_err(|source| OpenError::Replica {
                dir: dir.clone(),
                source,
            })?;
        let now = clock.now();
        let heard = held.heard;
        let replayed = replay(&anchor, &mut replica, held, keep, &*clock);
        let replayed = replayed.map_err(|source| OpenError::Replica {
            dir: dir.clone(),
            source: source.into(),
        })?;
        let Replayed { view, early, ahead } = replayed.ok_or(OpenError::Damaged { dir })?;
        let demanded = demand::of(&anchor, view.state.policy());
        let cosigned = view.checkpoint.as_ref();
        let cosigned = cosigned.and_then(|held| demanded.judge(held, now)?.at());
        let shared = Arc::new(Shared::new(anchor, clock, view));
        match (heard, demanded.is_demanding()) {
            (_, true) => cosigned.into_iter().for_each(|at| shared.fresh_since(at)),
            // A clock that was set back must not make the copy look fresher than just now.
            (Some(heard), false) => shared.fresh(heard.min(now)),
            (None, false) => {}
        }
        let directory = Directory::new(shared.clone());
        let mirrors = shared.anchor.mirrors.iter();
        let mirrors = mirrors.map(|at| Arc::new(Mirror::new(Arc::clone(&net), at.clone())));
        let mirrors = mirrors.collect();
        let session = Session::new(shared, replica, client.clone(), mirrors, early, ahead);
        Ok(Self {
            directory,
            client,
            task: tokio::spawn(run(session)),
        })
    }

    /// What is followed.
    pub fn directory(&self) -> Directory {
        self.directory.clone()
    }

    /// The same registry, to ask things of.
    pub fn client(&self) -> RegistryClient {
        self.client.clone()
    }

    /// Stops following, and waits until the own copy is closed. The directory keeps its last view.
    pub async fn shutdown(mut self) {
        self.task.abort();
        // Ends with the cancellation asked for.
        let _ = (&mut self.task).await;
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// What a copy holds.
pub(crate) struct Replayed {
    pub(crate) view: View,
    /// Denying changes in effect ahead of the ledger.
    pub(crate) early: Vec<RegistryEntry>,
    /// What came after the view and waits for a checkpoint.
    pub(crate) ahead: Ahead,
}

/// Works out what the copy holds, part by part. None when it does not hold together.
pub(crate) fn replay(
    anchor: &Anchor,
    replica: &mut Replica,
    held: Held,
    keep: Keep,
    clock: &dyn Clock,
) -> Result<Option<Replayed>, DiskError> {
    let mut view = View::empty(anchor, keep, replica.blobs.clone());
    let mut ahead = Ahead::of(&view);
    if let Some(note) = &held.checkpoint {
        let Ok(Checkpoint { size, .. }) = Checkpoint::claimed(note) else {
            return Ok(None);
        };
        read_up_to(size, &mut ahead, anchor, replica)?;
        // With the key that these entries name, whichever the anchor does.
        let key = ahead.ledger_at(size);
        let key = key.as_ref().unwrap_or(&anchor.ledger);
        let Ok(checkpoint) = SignedCheckpoint::verify(note, key) else {
            let read = ahead.size();
            tracing::error!(event = "registry.copy_unsigned", size, read);
            return Ok(None);
        };
        let fault = ahead.fault_within(size);
        if ahead.root_at(size) != Some(checkpoint.root()) || fault.is_some() {
            let read = ahead.size();
            tracing::error!(event = "registry.copy_damaged", size, read, ?fault);
            return Ok(None);
        }
        view = ahead.view(&view, Arc::new(checkpoint), clock.now());
        replica.set_verified();
        ahead = Ahead::of(&view);
    }
    let mut early = Vec::new();
    for bytes in held.early {
        let Ok(entry) = RegistryEntry::parse(&bytes) else {
            continue;
        };
        if let Ok(state) = view.state.deny(&entry.change, entry.at) {
            view = view.with_state(state);
            early.push(entry);
        }
    }
    read_up_to(u64::MAX, &mut ahead, anchor, replica)?;
    if ahead.fault_within(u64::MAX).is_some() {
        // Nothing proves it of the registry, so it proves nothing against it: fetched again.
        replica.forget_unproven()?;
        ahead = Ahead::of(&view);
    }
    Ok(Some(Replayed { view, early, ahead }))
}

/// Applies entries of the copy until there are `size`, or no more that can be.
fn read_up_to(
    size: u64,
    ahead: &mut Ahead,
    anchor: &Anchor,
    replica: &mut Replica,
) -> Result<(), DiskError> {
    loop {
        let wanted = size.saturating_sub(ahead.size());
        let mut entries = replica.read_on()?;
        entries.truncate(usize::try_from(wanted).unwrap_or(usize::MAX));
        let mut applied = 0;
        for bytes in &entries {
            let entry = RegistryEntry::parse(bytes).ok();
            let blobs = &*replica.blobs;
            if ahead.push(bytes, entry.as_ref(), anchor, blobs).is_err() {
                break;
            }
            applied += 1;
        }
        replica.pass(&entries[..applied]);
        if applied == 0 || applied < entries.len() {
            return Ok(());
        }
    }
}

async fn run(mut session: Session) {
    let mut failures = 0;
    // Mirrors are other people's: looked at now and then, however often the registry is tried.
    let mut look_at = Instant::now();
    loop {
        let mut end = session.follow().await;
        session.shared.lost();
        let has_mirrors = !session.shared.anchor.mirrors.is_empty();
        if has_mirrors && matches!(end, End::Lost { .. }) && Instant::now() >= look_at {
            end = session.look_at_mirrors().await;
            look_at = Instant::now() + LOOK_EVERY;
        }
        let pause = match end {
            End::Alarmed => ALARMED,
            End::Lost { was_of_use } => {
                failures = if was_of_use { 0 } else { failures + 1 };
                backoff(failures)
            }
        };
        tracing::info!(
            event = "registry.lost",
            origin = session.shared.anchor.origin(),
            alarmed = matches!(end, End::Alarmed),
            retry_ms = pause.as_millis() as u64,
        );
        sleep(pause.min(SHORTEST)).await;
        tokio::select! {
            () = sleep(pause.saturating_sub(SHORTEST)) => {}
            // A call waits for the registry: it shall not wait for our patience too.
            () = session.shared.nudge.notified() => {}
        }
    }
}

/// 100 ms, doubled with each failure up to 2 s, of which a random half to the whole is waited: many servers
/// lose one registry at the same moment. No longer: what was revoked meanwhile holds within 5 s of when the
/// registry can be reached again.
fn backoff(failures: u32) -> Duration {
    let longest = SHORTEST.saturating_mul(1 << failures.min(8)).min(LONGEST);
    let mut random = [0; 2];
    // Without randomness all wait the same, which does no harm but to the registry.
    let _ = getrandom::fill(&mut random);
    let half = longest / 2;
    half + half.mul_f64(f64::from(u16::from_be_bytes(random)) / f64::from(u16::MAX))
}

// === impl OpenError ===

impl OpenError {
    /// What the caller is told.
    pub fn reason(&self) -> Reason {
        match self {
            Self::Client(error) => error.reason(),
            Self::Damaged { .. } | Self::Replica { .. } => Reason::InternalFault,
        }
    }
}

const SHORTEST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(2);
/// Between looks at the mirrors while the registry does not answer.
const LOOK_EVERY: Duration = Duration::from_secs(10);
/// A registry at fault is asked again, in case it comes back to what it had signed.
const ALARMED: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_longer_after_each_failure_but_never_beyond_two_seconds() {
        for failures in 0..100 {
            let full = SHORTEST.saturating_mul(1 << failures.min(8)).min(LONGEST);
            let pause = backoff(failures);
            assert!(pause >= full / 2 && pause <= full, "{failures}: {pause:?}");
        }
    }
}
