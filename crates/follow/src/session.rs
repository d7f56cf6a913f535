//! One stream from the registry, until it ends or shows something it must never show.

mod cosigned;
mod early;
mod fetch;
mod mirrored;
mod open;
mod raise;
mod signed;
mod stream;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use entente_clock::Timestamp;
use entente_directory::RegistryEntry;
use entente_ledger::disk::DiskError;
use entente_proto::registry::v1::follow_response::Step;
use entente_proto::registry::v1::{Entries, Heartbeat};

use crate::ahead::Ahead;
use crate::alarm::AlarmKind;
use crate::blob::BlobError;
use crate::client::{RegistryClient, RegistryError};
use crate::demand;
use crate::directory::Shared;
use crate::mirror::{Mirror, MirrorError};
use crate::replica::Replica;
use stream::Stream;

/// Everything a follower has, between streams and during one.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) shared: Arc<Shared>,
    replica: Replica,
    client: RegistryClient,
    mirrors: Vec<Arc<Mirror>>,
    /// The one that is looked at; none while the registry itself is followed.
    mirror: Option<Arc<Mirror>>,
    /// Denying changes in effect that the ledger has not brought yet.
    early: Vec<RegistryEntry>,
    /// What the entries after the view's add up to, as far as they were worked off.
    ahead: Ahead,
    /// Entries received after those.
    pending: Vec<Pending>,
    pending_bytes: usize,
    /// Bytes of entries taken without a checkpoint over them.
    max_unproven: usize,
    /// Whether this stream brought a view forward.
    advanced: bool,
    /// What is followed; none before it is opened, and while a mirror is looked at.
    stream: Option<Stream>,
}

/// An entry as it came.
#[derive(Debug)]
struct Pending {
    bytes: Bytes,
    /// None when it is no entry at all, which is judged when its checkpoint comes.
    entry: Option<RegistryEntry>,
}

/// How a stream ended.
#[derive(Debug)]
pub(crate) enum End {
    /// The registry is at fault; the alarm is raised.
    Alarmed,
    /// The stream broke, or something here did. Whether it was of use: it brought a view forward, or lasted.
    Lost { was_of_use: bool },
}

/// Why a stream is given up. Variants are alphabetical.
#[derive(Debug, thiserror::Error)]
enum Broken {
    #[error("the registry is at fault")]
    Alarm(AlarmKind, Bytes),
    #[error("fetching a blob from the registry")]
    Blob(#[source] RegistryError),
    #[error("keeping a blob")]
    BlobKept(#[source] BlobError),
    #[error("keeping what was verified")]
    Disk(#[from] DiskError),
    #[error("following a mirror")]
    Mirror(#[source] MirrorError),
    #[error("opening the registry's stream")]
    Open(#[source] RegistryError),
    #[error("the registry was silent for {} s", stream::SILENCE.as_secs())]
    Silent,
    #[error("reading the registry's stream")]
    Stream(#[source] Box<tonic::Status>),
    #[error("the registry's stream is out of step: {0}")]
    Unexpected(&'static str),
    #[error("what it sent is not what it stands by: {0}")]
    Unproven(&'static str),
}

// === impl Session ===

impl Session {
    pub(crate) const fn new(
        shared: Arc<Shared>,
        replica: Replica,
        client: RegistryClient,
        mirrors: Vec<Arc<Mirror>>,
        early: Vec<RegistryEntry>,
        ahead: Ahead,
    ) -> Self {
        Self {
            shared,
            replica,
            client,
            mirrors,
            mirror: None,
            early,
            ahead,
            pending: Vec::new(),
            pending_bytes: 0,
            max_unproven: MAX_UNPROVEN,
            advanced: false,
            stream: None,
        }
    }

    /// Follows one stream to its end.
    pub(crate) async fn follow(&mut self) -> End {
        self.begin();
        let Err(broken) = self.steps().await;
        self.end(broken)
    }

    fn begin(&mut self) {
        self.advanced = false;
        self.stream = None;
        self.pending.clear();
        self.pending_bytes = 0;
        self.ahead.is_resumed = self.ahead.size() > self.shared.view().size;
    }

    fn end(&mut self, broken: Broken) -> End {
        // Hung up at once: whoever waits before the next attempt keeps no place at the registry.
        let stream = self.stream.take();
        match broken {
            Broken::Alarm(kind, shown) => {
                self.raise(kind, &shown);
                self.forget_unproven();
                End::Alarmed
            }
            broken => {
                // Of a stream that was only lost, what was worked off is kept: a country is not fetched
                // twice. A disk that failed may not hold it.
                if matches!(broken, Broken::Disk(_) | Broken::Unproven(_)) {
                    self.forget_unproven();
                }
                let cause = std::error::Error::source(&broken).map(ToString::to_string);
                tracing::debug!(event = "registry.stream_ended", why = %broken, cause);
                let has_lasted = stream.as_ref().is_some_and(Stream::has_lasted);
                End::Lost {
                    was_of_use: self.advanced || has_lasted,
                }
            }
        }
    }

    async fn steps(&mut self) -> Result<std::convert::Infallible, Broken> {
        self.stream = Some(self.open().await?);
        self.shared.count_session();
        loop {
            match self.next().await? {
                Step::Entries(entries) => self.receive(entries).await?,
                Step::Checkpoint(note) => self.conclude(note).await?,
                Step::Heartbeat(heartbeat) => self.compare(&heartbeat)?,
            }
        }
    }

    /// Takes entries in; of them, only what denies has an effect yet. Of many, those that came first are
    /// worked off: memory holds a part of a country's, however long its checkpoint is in coming.
    async fn receive(&mut self, entries: Entries) -> Result<(), Broken> {
        let next = self.sent();
        if entries.first_index != next || entries.entry.len() > MAX_STEP {
            return Err(Broken::Unexpected("entries with a gap"));
        }
        for bytes in entries.entry {
            self.pending_bytes += bytes.len();
            let unproven = self.ahead.bytes + self.pending_bytes;
            if bytes.len() > entente_ledger::MAX_ENTRY || unproven > self.max_unproven {
                return Err(Broken::Unproven("too much without a checkpoint"));
            }
            let entry = RegistryEntry::parse(&bytes).ok();
            if let Some(entry) = &entry {
                self.deny_early(entry)?;
                // What has notice takes effect by the registry's own time: that may not run ahead of ours.
                if entry.at.since(self.shared.now()) > FUTURE {
                    return Err(Broken::Unexpected("an entry of a time to come"));
                }
            }
            self.pending.push(Pending { bytes, entry });
        }
        if self.pending.len() >= MOST_PENDING || self.pending_bytes >= MOST_PENDING_BYTES {
            // Not the newest: the checkpoint that comes next may be over less than was sent.
            self.work_off(self.pending.len() * 2 / 3).await?;
        }
        Ok(())
    }

    /// Applies the first pending entries ahead of the view, and writes them down.
    async fn work_off(&mut self, count: usize) -> Result<(), Broken> {
        let rest = self.pending.split_off(count.min(self.pending.len()));
        let chunk = std::mem::replace(&mut self.pending, rest);
        self.pending_bytes = self.pending.iter().map(|entry| entry.bytes.len()).sum();
        let (mut worked_off, mut outcome) = (Vec::with_capacity(chunk.len()), Ok(()));
        let missing = self.missing_blobs(&chunk);
        self.meanwhile(self.fetching().blobs(missing)).await?;
        for pending in &chunk {
            outcome = self.apply(pending).await;
            if outcome.is_err() {
                break;
            }
            worked_off.push(pending.bytes.clone());
        }
        // What was applied is written down, whatever became of the rest: the two never differ.
        self.replica.append(&worked_off)?;
        outcome
    }

    async fn apply(&mut self, pending: &Pending) -> Result<(), Broken> {
        let (entry, mut fetched) = (pending.entry.as_ref(), None);
        loop {
            let (anchor, blobs) = (&self.shared.anchor, &*self.replica.blobs);
            let Err(missing) = self.ahead.push(&pending.bytes, entry, anchor, blobs) else {
                return Ok(());
            };
            // Held once, and damaged since; or named by an entry before.
            if fetched == Some(missing) {
                return Err(Broken::Unexpected("a blob was lost"));
            }
            self.meanwhile(self.fetching().blobs(vec![missing.0]))
                .await?;
            fetched = Some(missing);
        }
    }

    /// Believes what a checkpoint covers, when everything about it holds.
    async fn conclude(&mut self, note: Bytes) -> Result<(), Broken> {
        let checkpoint = self.verify(&note).await?;
        let (anchor, view) = (&self.shared.anchor, self.shared.view());
        match view.contradicts(&checkpoint) {
            // It lags; the registry need not know.
            Some(AlarmKind::Rollback) if self.mirror.is_some() => return Ok(()),
            Some(fault) => return Err(Broken::Alarm(fault, note)),
            None => {}
        }
        let checkpoint = Arc::new(checkpoint);
        let (size, before) = (checkpoint.size(), view.state.policy());
        if size == view.size {
            self.reaffirm(&checkpoint, before)?;
            if self.has_all() && self.mirror.is_none() {
                self.freshen()?;
            }
            return Ok(());
        }
        // Judged before the work of verifying what it covers, and again by the policy that comes of it.
        let demanded = demand::of(anchor, before);
        if demanded.judge(&checkpoint, self.shared.now()).is_none() {
            return self.hold(&checkpoint);
        }
        let behind = size.saturating_sub(self.ahead.size());
        if behind > self.pending.len() as u64 {
            return Err(Broken::Unexpected("a checkpoint over entries not sent"));
        }
        self.work_off(behind as usize).await?;
        if self.ahead.root_at(size) != Some(checkpoint.root()) {
            // It signed none of what it sent in another stream, and may have lost it since; nor perhaps of
            // what lies on a mirror.
            if self.ahead.is_resumed || self.mirror.is_some() {
                return Err(Broken::Unproven("its ledger continues otherwise"));
            }
            return Err(Broken::Alarm(AlarmKind::Fork, note));
        }
        if let Some(kind) = self.ahead.fault_within(size) {
            return Err(Broken::Alarm(kind, note));
        }
        // Now that its entries are known: is it signed with the key that they name?
        self.verify_known(&note)?;
        if size < self.ahead.size() {
            if demanded.is_demanding() {
                // Other witnesses may have to cosign what follows, and be known from this alone.
                return Err(Broken::Unproven("its cosignatures are for a part of it"));
            }
            // Of a long run of entries, more was worked off than this covers: the next one will.
            return Ok(());
        }
        let anchor = &self.shared.anchor;
        let demanded = demand::of(anchor, before.into_iter().chain(self.ahead.policy()));
        let Some(judged) = demanded.judge(&checkpoint, self.shared.now()) else {
            return self.hold(&checkpoint);
        };
        if view.size == 0 && !self.ahead.knows_ledger(&anchor.ledger) {
            // The anchor is newer than all this: whoever has an older key could show it to a newcomer.
            tracing::warn!(event = "registry.anchor_key_awaited", size);
            return self.hold(&checkpoint);
        }
        let advanced = self
            .ahead
            .view(&view, Arc::clone(&checkpoint), self.shared.now());
        let advanced = self.with_early(advanced);
        // Durable first: a view that was used must never be forgotten.
        self.replica.settle(&note)?;
        self.shared.count_advanced();
        // Before the view is shown: who waited for it must not find it stale.
        match judged.at() {
            Some(at) => self.shared.fresh_since(at),
            None if self.pending.is_empty() && self.mirror.is_none() => {
                self.shared.fresh(self.shared.now());
            }
            None => {}
        }
        self.ahead = Ahead::of(&advanced);
        self.shared.publish(advanced);
        self.show_unproven();
        self.advanced = true;
        tracing::debug!(event = "registry.advanced", size);
        self.settle_early()?;
        if self.has_all() && self.mirror.is_none() {
            self.freshen()?;
        }
        Ok(())
    }

    /// Whether nothing was sent that the view does not cover.
    fn has_all(&self) -> bool {
        self.sent() == self.shared.view().size
    }

    /// How many entries there are with those that no checkpoint covers.
    fn sent(&self) -> u64 {
        self.ahead.size() + self.pending.len() as u64
    }

    /// Compares what the registry says it holds with what was verified.
    fn compare(&mut self, heartbeat: &Heartbeat) -> Result<(), Broken> {
        self.shared
            .told(Timestamp::from_millis(heartbeat.sent_at_ms));
        let view = self.shared.view();
        if heartbeat.size < view.size {
            // Not signed, but said over TLS by the key in the anchor.
            let said = format!("heartbeat of size {}", heartbeat.size);
            return Err(Broken::Alarm(AlarmKind::Rollback, said.into()));
        }
        if heartbeat.size < self.ahead.size() {
            return Err(Broken::Unproven("its ledger is shorter"));
        }
        if heartbeat.size == self.sent() {
            self.show_unproven();
        }
        if heartbeat.size == view.size {
            // Not a checkpoint: the registry may show an earlier one on the way to its newest.
            self.shared.confirm();
            self.freshen()?;
        }
        Ok(())
    }

    /// Gives up what was worked off ahead of the view.
    fn forget_unproven(&mut self) {
        self.ahead = Ahead::of(&self.shared.view());
        self.shared.show_unproven(None);
        if let Err(error) = self.replica.forget_unproven() {
            // Overwritten by what comes next, or given up at the next start.
            tracing::warn!(event = "registry.unproven_kept", %error);
        }
    }

    /// The view is all there is, says the registry. Written down once a minute, for the age after a
    /// restart. Where cosignatures are demanded, their age is the view's, whatever the registry says.
    fn freshen(&mut self) -> Result<(), DiskError> {
        if self.shared.is_witnessed() {
            return Ok(());
        }
        let now = self.shared.now();
        self.shared.fresh(now);
        self.replica.keep_heard(now, KEPT_EVERY)
    }
}

/// How far the registry's clock, as its entries show it, may be ahead of ours. What is later waits for its time.
const FUTURE: Duration = Duration::from_secs(300);
/// Entries in one step.
const MAX_STEP: usize = 256;
/// A registry of a million changes.
const MAX_UNPROVEN: usize = 512 << 20;
/// Entries, and bytes of entries, of which two thirds are worked off.
const MOST_PENDING: usize = 1536;
const MOST_PENDING_BYTES: usize = 6 << 20;
/// How stale the kept time of freshness may be.
const KEPT_EVERY: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests;
