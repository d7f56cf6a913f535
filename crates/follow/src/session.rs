//! One stream from the registry, until it ends or shows something it must never show.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use entente_clock::Timestamp;
use entente_directory::{Policy, RegistryEntry};
use entente_ledger::SignedCheckpoint;
use entente_ledger::disk::DiskError;
use entente_proto::registry::v1::follow_response::Step;
use entente_proto::registry::v1::{Entries, Heartbeat};
use entente_signing::Digest;
use entente_signing::cbor::Writer;
use tokio::time::timeout;

use crate::alarm::{Alarm, AlarmKind};
use crate::blob::BlobError;
use crate::client::{RegistryClient, RegistryError};
use crate::demand;
use crate::directory::Shared;
use crate::replica::Replica;
use crate::view::NotAdvanced;

/// Everything a follower has, between streams and during one.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) shared: Arc<Shared>,
    replica: Replica,
    client: RegistryClient,
    /// Denying changes in effect that the ledger has not brought yet.
    early: Vec<RegistryEntry>,
    /// Entries received after the view's, not yet under a checkpoint.
    pending: Vec<Bytes>,
    pending_bytes: usize,
    /// Whether this stream brought a view forward.
    advanced: bool,
}

/// How a stream ended.
#[derive(Debug)]
pub(crate) enum End {
    /// The registry is at fault; the alarm is raised.
    Alarmed,
    /// The stream broke, or something here did.
    Lost { advanced: bool },
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
    #[error("opening the registry's stream")]
    Open(#[source] RegistryError),
    #[error("the registry was silent for {} s", SILENCE.as_secs())]
    Silent,
    #[error("reading the registry's stream")]
    Stream(#[source] Box<tonic::Status>),
    #[error("the registry's stream is out of step: {0}")]
    Unexpected(&'static str),
}

// === impl Session ===

impl Session {
    pub(crate) const fn new(
        shared: Arc<Shared>,
        replica: Replica,
        client: RegistryClient,
        early: Vec<RegistryEntry>,
    ) -> Self {
        Self {
            shared,
            replica,
            client,
            early,
            pending: Vec::new(),
            pending_bytes: 0,
            advanced: false,
        }
    }

    /// Follows one stream to its end.
    pub(crate) async fn follow(&mut self) -> End {
        self.advanced = false;
        self.drop_pending();
        let Err(broken) = self.steps().await;
        match broken {
            Broken::Alarm(kind, shown) => {
                self.raise(kind, &shown);
                End::Alarmed
            }
            broken => {
                let cause = std::error::Error::source(&broken).map(ToString::to_string);
                tracing::debug!(event = "registry.stream_ended", why = %broken, cause);
                End::Lost {
                    advanced: self.advanced,
                }
            }
        }
    }

    async fn steps(&mut self) -> Result<std::convert::Infallible, Broken> {
        let from = self.shared.view().size;
        let mut stream = timeout(OPENING, self.client.follow(from))
            .await
            .map_err(|_| Broken::Silent)?
            .map_err(Broken::Open)?;
        self.shared.count_session();
        loop {
            let step = timeout(SILENCE, stream.message())
                .await
                .map_err(|_| Broken::Silent)?
                .map_err(|status| Broken::Stream(Box::new(status)))?
                .ok_or(Broken::Unexpected("it ended"))?;
            self.shared.heard();
            match step.step {
                Some(Step::Entries(entries)) => self.receive(entries)?,
                Some(Step::Checkpoint(note)) => self.conclude(note).await?,
                Some(Step::Heartbeat(heartbeat)) => self.compare(&heartbeat)?,
                None => return Err(Broken::Unexpected("an unknown step")),
            }
        }
    }

    /// Takes entries in; of them, only what denies has an effect yet.
    fn receive(&mut self, entries: Entries) -> Result<(), Broken> {
        let next = self.shared.view().size + self.pending.len() as u64;
        if entries.first_index != next || entries.entry.len() > MAX_STEP {
            return Err(Broken::Unexpected("entries with a gap"));
        }
        for entry in entries.entry {
            self.pending_bytes += entry.len();
            if entry.len() > entente_ledger::MAX_ENTRY || self.pending_bytes > MAX_PENDING {
                return Err(Broken::Unexpected("too much without a checkpoint"));
            }
            self.deny_early(&entry)?;
            self.pending.push(entry);
        }
        Ok(())
    }

    /// Puts a denying change into effect on sight of its author's signature.
    fn deny_early(&mut self, entry: &Bytes) -> Result<(), Broken> {
        // What cannot be read is judged when its checkpoint comes.
        let Ok(entry) = RegistryEntry::parse(entry) else {
            return Ok(());
        };
        let change = &entry.change;
        let same = |early: &RegistryEntry| early.change.hash() == change.hash();
        let known = self.early.iter().any(same);
        if !change.kind().denies() || known || self.early.len() >= MAX_EARLY {
            return Ok(());
        }
        let view = self.shared.view();
        // Refused here for instance because its author is only admitted by an entry before it.
        let Ok(state) = view.state.deny(change, entry.at) else {
            return Ok(());
        };
        self.shared.count_denied();
        self.shared.publish(view.with_state(state));
        self.early.push(entry);
        // In effect before it is durable: if we crash here, the stream brings it again, and until
        // then the registry has not been heard by this process either.
        self.keep_early()?;
        Ok(())
    }

    /// Believes what a checkpoint covers, when everything about it holds.
    async fn conclude(&mut self, note: Bytes) -> Result<(), Broken> {
        let anchor = &self.shared.anchor;
        let Ok(checkpoint) = SignedCheckpoint::verify(&note, &anchor.ledger) else {
            return Err(Broken::Alarm(AlarmKind::BadSignature, note));
        };
        let view = self.shared.view();
        if let Some(fault) = view.contradicts(&checkpoint) {
            return Err(Broken::Alarm(fault, note));
        }
        let checkpoint = Arc::new(checkpoint);
        let before = view.state.policy();
        if checkpoint.size() == view.size {
            self.reaffirm(&checkpoint, before)?;
            if self.pending.is_empty() {
                self.freshen()?;
            }
            return Ok(());
        }
        // Judged before the work of verifying what it covers, and again by the policy that comes of it.
        let demanded = demand::of(anchor, before);
        if demanded.judge(&checkpoint, self.shared.now()).is_none() {
            self.hold(&checkpoint);
            return Ok(());
        }
        let count = usize::try_from(checkpoint.size() - view.size).unwrap_or(usize::MAX);
        let Some(entries) = self.pending.get(..count).map(<[Bytes]>::to_vec) else {
            return Err(Broken::Unexpected("a checkpoint over entries not sent"));
        };
        self.fetch_blobs(&entries).await?;
        let advanced = view.advance(
            &entries,
            Arc::clone(&checkpoint),
            &self.shared.anchor,
            self.shared.now(),
        );
        let advanced = advanced.map_err(|fault| match fault {
            NotAdvanced::Alarm(kind) => Broken::Alarm(kind, note.clone()),
            NotAdvanced::BlobMissing => Broken::Unexpected("a blob was lost"),
            NotAdvanced::Incomplete => Broken::Unexpected("a checkpoint over entries not sent"),
        })?;
        let demanded = demand::of(anchor, before.into_iter().chain(advanced.state.policy()));
        let Some(judged) = demanded.judge(&checkpoint, self.shared.now()) else {
            self.hold(&checkpoint);
            return Ok(());
        };
        // Durable first: a view that was used must never be forgotten.
        self.replica.append(&entries, &note)?;
        let size = advanced.size;
        self.shared.count_advanced();
        // Before the view is shown: who waited for it must not find it stale.
        match judged.at() {
            Some(at) => self.shared.cosigned(at),
            None if count == self.pending.len() => self.shared.fresh(self.shared.now()),
            None => {}
        }
        self.shared.publish(advanced);
        self.advanced = true;
        tracing::debug!(event = "registry.advanced", size);
        self.pending.drain(..count);
        self.pending_bytes = self.pending.iter().map(Bytes::len).sum();
        self.settle_early(&entries)?;
        if self.pending.is_empty() {
            self.freshen()?;
        }
        Ok(())
    }

    /// Takes a checkpoint over what the view rests on already for what it says of its age.
    fn reaffirm(
        &mut self,
        checkpoint: &Arc<SignedCheckpoint>,
        policy: Option<&Policy>,
    ) -> Result<(), DiskError> {
        let demanded = demand::of(&self.shared.anchor, policy);
        if !demanded.is_demanding() {
            return Ok(());
        }
        let Some(judged) = demanded.judge(checkpoint, self.shared.now()) else {
            self.hold(checkpoint);
            return Ok(());
        };
        if let Some(at) = judged.at() {
            // Kept with its cosignatures: after a restart the view is as old as they are.
            self.replica
                .reaffirm(&checkpoint.note().to_string(), at, KEPT_EVERY)?;
            self.shared.cosigned(at);
        }
        Ok(())
    }

    /// Leaves a checkpoint aside that lacks cosignatures: what it covers stays pending, and of that what
    /// denies stays in effect. No fault of the registry's, until the view goes stale over it.
    fn hold(&self, checkpoint: &SignedCheckpoint) {
        self.shared.count_held();
        tracing::debug!(event = "registry.checkpoint_held", size = checkpoint.size());
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
        if heartbeat.size == view.size {
            self.freshen()?;
        }
        Ok(())
    }

    /// Fetches the blobs that entries rest on and that are not held yet.
    async fn fetch_blobs(&self, entries: &[Bytes]) -> Result<(), Broken> {
        for entry in entries {
            let blob = RegistryEntry::parse(entry).map_or(None, |entry| entry.change.blob());
            let Some(hash) = blob else { continue };
            if self.replica.blobs.holds(&hash)? {
                continue;
            }
            let blob = self.client.fetch_blob(&hash).await.map_err(Broken::Blob)?;
            self.replica
                .blobs
                .keep(&hash, &blob)
                .map_err(Broken::BlobKept)?;
            self.shared.heard();
        }
        Ok(())
    }

    /// Forgets early denials that the ledger has brought.
    fn settle_early(&mut self, entries: &[Bytes]) -> Result<(), DiskError> {
        if self.early.is_empty() {
            return Ok(());
        }
        let brought: Vec<Digest> = entries
            .iter()
            .filter_map(|entry| RegistryEntry::parse(entry).ok())
            .map(|entry| entry.change.hash())
            .collect();
        self.early
            .retain(|early| !brought.contains(&early.change.hash()));
        self.keep_early()
    }

    fn keep_early(&self) -> Result<(), DiskError> {
        let early: Vec<Vec<u8>> = self.early.iter().map(RegistryEntry::encode).collect();
        self.replica.keep_early(&early)
    }

    /// The view is all there is, says the registry. Written down once a minute, for the age after a
    /// restart. Where cosignatures are demanded, their age is the view's, whatever the registry says.
    fn freshen(&mut self) -> Result<(), DiskError> {
        self.shared.confirm();
        if self.shared.is_witnessed() {
            return Ok(());
        }
        let now = self.shared.now();
        self.shared.fresh(now);
        self.replica.keep_heard(now, KEPT_EVERY)
    }

    fn raise(&self, kind: AlarmKind, shown: &[u8]) {
        let (view, at) = (self.shared.view(), self.shared.now());
        let held = view.checkpoint.as_ref().map(|held| held.note().to_string());
        let digest = Digest::of_parts(&[shown, &view.size.to_be_bytes()]).to_string();
        let mut evidence = Writer::new();
        evidence.array(5).uint(1).text(kind.as_str());
        match &held {
            Some(note) => evidence.bytes(note.as_bytes()),
            None => evidence.null(),
        };
        evidence.bytes(shown);
        let entries = self.evident_entries();
        evidence.array(entries.len());
        for entry in entries {
            evidence.bytes(entry);
        }
        let name = format!("{}-{}.cbor", kind.as_str(), &digest[..16]);
        let kept = self.replica.keep_evidence(&name, evidence.as_slice());
        let origin = self.shared.anchor.origin().to_owned();
        tracing::error!(
            event = "registry.alarm",
            kind = kind.as_str(),
            origin,
            size = view.size,
            kept = matches!(kept, Ok(Some(_))),
        );
        self.shared.raise(Alarm {
            kind,
            at,
            origin,
            evidence: kept.unwrap_or_default(),
        });
    }

    /// The pending entries, as many as fit beside a note.
    fn evident_entries(&self) -> &[Bytes] {
        let mut room = MAX_EVIDENT;
        let fits = self.pending.iter().take_while(|entry| {
            let left = room.checked_sub(entry.len());
            room = left.unwrap_or(0);
            left.is_some()
        });
        &self.pending[..fits.count()]
    }

    fn drop_pending(&mut self) {
        self.pending.clear();
        self.pending_bytes = 0;
    }
}

/// A registry sends a heartbeat every second. Longer than this without a word is no connection.
const SILENCE: Duration = Duration::from_secs(5);
/// Dialling, the handshake and the stream's headers.
const OPENING: Duration = Duration::from_secs(10);
/// Entries in one step.
const MAX_STEP: usize = 256;
/// Bytes of entries held without a checkpoint over them: a registry of a million changes.
const MAX_PENDING: usize = 512 << 20;
/// Denials in effect ahead of the ledger.
const MAX_EARLY: usize = 1024;
/// Bytes of entries kept beside a note as evidence.
const MAX_EVIDENT: usize = 1 << 20;
/// How stale the kept time of freshness may be.
const KEPT_EVERY: Duration = Duration::from_secs(60);
