//! Whether providers keep what they promised: each answer names the place of its request in the
//! provider's ledger, and that place is checked in a checkpoint the provider signed later. (G5)
//!
//! Promises are read from our own ledger, shard by shard, so none is forgotten: one that the provider does
//! not answer for stays open for as long as it takes, over restarts and the end of its shard. A broken one
//! becomes a proof that anybody can check ([`entente_bundle::omission`]), kept as an incident.

mod asking;
mod memory;
mod own;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use entente_bundle::omission::Omission;
use entente_directory::Mode;
use entente_evidence::statement::LogOrigin;
use entente_identity::ServerId;
use entente_ledger::disk::{Disk, DiskError};
use entente_ledger::note::NoteKey;
use entente_ledger::{Reader, SignedCheckpoint};
use entente_reason::Reason;
use entente_signing::{Digest, VerifyingKey};

use crate::server::Server;
use crate::shard::folder_of;
use crate::view::Adopted;

use asking::Asking;
use memory::{Memory, Remembered};
use own::{Own, Promise, Promises};

/// Where it is kept how far promises were checked.
#[derive(Debug)]
pub(crate) struct Receipts {
    disk: Arc<dyn Disk>,
    data: PathBuf,
}

/// What came of a round of checks. Counts are of promises.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Checked {
    /// The entry stands where it was promised.
    pub kept: u64,
    /// Another entry stands there: a proof of it is kept.
    pub broken: u64,
    /// The provider has not published that far yet, or could not be asked.
    pub open: u64,
}

/// What came of one provider's promises.
#[derive(Debug, Default)]
struct Found {
    kept: u64,
    broken: u64,
    open: Vec<Promise>,
}

/// Why a provider's promises could not be checked.
#[derive(Debug, thiserror::Error)]
enum Unchecked {
    #[error("asking the provider's server: {0}")]
    Asking(Reason),
    #[error("keeping a proof")]
    Disk(#[from] DiskError),
    #[error("reading our own ledger: {0}")]
    Own(Reason),
    #[error("finding the certificate of the session that signed the answer")]
    Session,
    #[error("the directory does not know its ledger")]
    Unknown,
    #[error("what it answered proves nothing")]
    Unproven,
}

/// How often promises are checked; each is within a day (DESIGN.md §13).
pub(crate) const EVERY: Duration = Duration::from_secs(600);
/// Entries of our own ledger looked at before what came of them is written down.
const ROUND: u64 = 65_536;
/// Promises proven at a time.
const CHUNK: usize = 256;
/// A promise that is open for so long is alarmed over, each time it is found open.
const REACHED_WITHIN: Duration = Duration::from_secs(24 * 3600);
/// Open promises about one provider's ledger that are watched, of each shard of ours; those after them stay
/// in our ledger, where `entente log prove-omission` finds them.
const MAX_OPEN_OF_ONE: usize = 16_384;

// === impl Receipts ===

impl Receipts {
    /// Remembers in this folder.
    pub(crate) const fn new(disk: Arc<dyn Disk>, data: PathBuf) -> Self {
        Self { disk, data }
    }

    fn memory(&self, shard: &LogOrigin) -> Memory {
        let name = format!("receipts.{}", folder_of(shard).display());
        Memory::new(Arc::clone(&self.disk), self.data.join(name))
    }
}

// === impl Server ===

impl Server {
    /// Checks every promise that was not checked yet, provider by provider. Providers that cannot be
    /// reached, or have not published that far, are asked again in the next round.
    pub(crate) async fn check_receipts(&self) -> Result<Checked, Reason> {
        let adopted = self.adopted()?;
        let mut checked = Checked::default();
        for (origin, own) in self.closed_shards(&adopted).await {
            let checking = self.check_shard(&adopted, &origin, &own, &mut checked);
            if let Err(reason) = checking.await {
                let (shard, reason) = (origin.as_str(), reason.code());
                tracing::warn!(event = "receipts.unchecked", shard, reason);
            }
        }
        let own = Own::Open(self.journal.ledger().clone());
        let origin = self.journal.origin();
        self.check_shard(&adopted, origin, &own, &mut checked)
            .await?;
        Ok(checked)
    }

    /// Our earlier shards, as far as they are still here.
    async fn closed_shards(&self, adopted: &Adopted) -> Vec<(LogOrigin, Own)> {
        let mut closed = Vec::new();
        for shard in adopted.state().shards(&self.id, Mode::Live) {
            let Ok(origin) = shard.origin.parse::<LogOrigin>() else {
                continue;
            };
            if origin == *self.journal.origin() {
                continue;
            }
            let folder = self.config.data.as_path().join("ledger");
            let (disk, folder) = (Arc::clone(&self.disk), folder.join(folder_of(&origin)));
            let opened = tokio::task::spawn_blocking(move || Reader::open(disk, folder)).await;
            if let Ok(Ok(reader)) = opened {
                closed.push((origin, Own::Closed(Arc::new(Mutex::new(reader)))));
            }
        }
        closed
    }

    async fn check_shard(
        &self,
        adopted: &Adopted,
        origin: &LogOrigin,
        own: &Own,
        checked: &mut Checked,
    ) -> Result<(), Reason> {
        let memory = self.receipts.memory(origin);
        let (begin, size) = (memory.recall(), own.size());
        // Of another shard, or damaged.
        let begin = if begin.position > size {
            Remembered::default()
        } else {
            begin
        };
        let mut remembered = begin.clone();
        let mut open_of: BTreeMap<(ServerId, LogOrigin), usize> = BTreeMap::new();
        loop {
            let before = remembered.clone();
            let room = u64::try_from(remembered.room()).unwrap_or(ROUND);
            let end = size.min(before.position.saturating_add(room.min(ROUND)));
            let mut promises = Promises::new();
            // What was open at the beginning, once; then what was not looked at.
            if before.position == begin.position {
                own.promises_at(&before.open, &mut promises).await?;
                remembered.open.clear();
            }
            own.promises(before.position, end, &mut promises).await?;
            for (of, promises) in promises {
                let found = self.check_provider(adopted, own, &of, promises).await;
                checked.kept += found.kept;
                checked.broken += found.broken;
                checked.open += found.open.len() as u64;
                let watched = open_of.entry(of).or_default();
                let room = MAX_OPEN_OF_ONE.saturating_sub(*watched);
                let open = found.open.iter().take(room).map(|promise| promise.at);
                remembered.open.extend(open);
                *watched += found.open.len().min(room);
                if found.open.len() > room {
                    let unwatched = found.open.len() - room;
                    tracing::error!(event = "receipts.unwatched", promises = unwatched);
                }
            }
            remembered.open.sort_unstable();
            remembered.position = end;
            if remembered != before {
                // If we crash before this, the same promises are checked again.
                let kept = memory.keep(&remembered);
                kept.map_err(|_| Reason::LogUnavailable)?;
            }
            if end == size || end == before.position {
                return Ok(());
            }
        }
    }

    /// Checks one provider's promises about one of its ledgers.
    async fn check_provider(
        &self,
        adopted: &Adopted,
        own: &Own,
        (server, origin): &(ServerId, LogOrigin),
        promises: Vec<Promise>,
    ) -> Found {
        let warn = |error: &Unchecked| {
            let error: &dyn std::error::Error = error;
            tracing::warn!(event = "receipts.unchecked", peer = %server, error);
        };
        let mut found = Found::default();
        match self.newest_of(adopted, server, origin).await {
            Ok((mut asking, checkpoint)) => {
                let (covered, waiting) = promises
                    .into_iter()
                    .partition(|promise| promise.receipt.index < checkpoint.size());
                found.open = waiting;
                let covered: Vec<_> = covered;
                for chunk in covered.chunks(CHUNK) {
                    let indices = chunk.iter().map(|promise| promise.receipt.index).collect();
                    let proven = match asking.prove(&checkpoint, indices).await {
                        Ok(proven) => proven,
                        Err(error) => {
                            warn(&error);
                            found.open.extend_from_slice(chunk);
                            continue;
                        }
                    };
                    for (promise, (leaf, path)) in chunk.iter().zip(proven) {
                        if leaf == promise.receipt.leaf_hash {
                            found.kept += 1;
                            continue;
                        }
                        let at = (checkpoint.note().to_string(), leaf, path);
                        let proven = self.prove_broken(adopted, own, server, &asking, promise, at);
                        match proven.await {
                            Ok(()) => found.broken += 1,
                            // One that cannot be proven now hides no other.
                            Err(error) => {
                                warn(&error);
                                found.open.push(promise.clone());
                            }
                        }
                    }
                }
            }
            Err(error) => {
                warn(&error);
                found.open = promises;
            }
        }
        let now = self.clock.now();
        let overdue = |promise: &&Promise| now.since(promise.made) >= REACHED_WITHIN;
        if let Some(oldest) = found.open.iter().find(overdue) {
            let overdue = found.open.iter().filter(overdue).count();
            tracing::error!(event = "receipts.overdue", peer = %server, promises = overdue, oldest = oldest.at);
        }
        found
    }

    /// Asks a provider for the newest checkpoint of one of its ledgers that its witnesses cosigned.
    async fn newest_of(
        &self,
        adopted: &Adopted,
        server: &ServerId,
        origin: &LogOrigin,
    ) -> Result<(Asking, SignedCheckpoint), Unchecked> {
        let view = adopted.registered(server).ok_or(Unchecked::Unknown)?;
        let shard = adopted.state().shard_by_origin(origin.as_str());
        let shard = shard.ok_or(Unchecked::Unknown)?;
        let key = NoteKey::new(origin.as_str(), shard.key.clone());
        let key = key.map_err(|_| Unchecked::Unknown)?;
        let channel = self.peers.channel(&view).map_err(Unchecked::Asking)?;
        let mut asking = Asking::new(channel, key);
        let checkpoint = Arc::new(asking.checkpoint().await?);
        let before = self.gossip.newest(server, origin);
        self.gossip.learn(adopted, server, &checkpoint).await;
        let policy = adopted.state().policy();
        let now = self.clock.now();
        let judged = policy.and_then(|policy| policy.witnesses.judge(&checkpoint, now));
        // What no quorum cosigned may still be given up by the provider, with our evidence.
        if judged.is_none() {
            return Err(Unchecked::Unproven);
        }
        if let Some(before) = before
            && let Err(Unchecked::Unproven) = asking.check_continued(&before, &checkpoint).await
        {
            // No proof against it: it may just have answered nonsense. Both notes are kept for whoever asks
            // it, and broken promises are looked for all the same: they are proof.
            tracing::error!(event = "peer.inconsistent", peer = %server, size = checkpoint.size());
            let kept = self
                .gossip
                .keep_inconsistent(server, [&before, &checkpoint]);
            kept.await?;
        }
        Ok((asking, Arc::unwrap_or_clone(checkpoint)))
    }

    /// Keeps the proof that another entry stands where a promise said.
    async fn prove_broken(
        &self,
        adopted: &Adopted,
        own: &Own,
        server: &ServerId,
        asking: &Asking,
        promise: &Promise,
        (checkpoint, leaf_hash, path): (String, Digest, Vec<Digest>),
    ) -> Result<(), Unchecked> {
        let record = adopted.state().server(server).ok_or(Unchecked::Unknown)?;
        // Any it ever had: the newest first. Whether one was revoked is for who judges.
        let keys = record.keys.iter().rev().map(|key| key.value.clone());
        let keys: Vec<VerifyingKey> = keys.collect();
        let answer = own.answer(promise, &keys).await.map_err(Unchecked::Own)?;
        let answer = answer.ok_or(Unchecked::Session)?;
        let omission = Omission {
            answer: answer.bytes,
            session: answer.session,
            server_key: answer.server_key,
            ledger_key: asking.key().clone(),
            checkpoint,
            leaf_hash,
            path,
        };
        // Proven here as it will be elsewhere.
        omission.verify().map_err(|_| Unchecked::Unproven)?;
        tracing::error!(event = "receipt.broken", peer = %server, entry = promise.at);
        self.gossip.keep_omission(server, omission).await?;
        Ok(())
    }
}
