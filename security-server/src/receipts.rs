//! Whether providers keep what they promised: each answer names the place of its request in the
//! provider's ledger, and that place is checked in a checkpoint the provider signed later. (G5)
//!
//! Promises are read from our own ledger, shard by shard, so none is forgotten: one that the provider does
//! not answer for stays open for as long as it takes, over restarts and the end of its shard. A broken one
//! becomes a proof that anybody can check ([`entente_bundle::omission`]), kept as an incident.

mod asking;
mod memory;
mod own;

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use entente_bundle::omission::{Omission, Shown};
use entente_directory::Mode;
use entente_evidence::statement::LogOrigin;
use entente_identity::ServerId;
use entente_ledger::SignedCheckpoint;
use entente_ledger::disk::{Disk, DiskError, durable};
use entente_ledger::note::NoteKey;
use entente_reason::Reason;
use entente_signing::{Digest, VerifyingKey};

use crate::incidents::Against;
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
    #[error("keeping what was proven")]
    Disk(#[from] DiskError),
    #[error("reading our own ledger, or keeping a proof: {0}")]
    Own(Reason),
    #[error("finding the certificate of the session that signed the answer")]
    Session,
    #[error("the directory does not know its ledger")]
    Unknown,
    #[error("what it answered proves nothing")]
    Unproven,
}

/// The folder of peers' checkpoints, each by the SHA-256 of its ledger's origin.
const PEERS: &str = "peers";
/// How often promises are checked; each is within a day (DESIGN.md §13).
pub(crate) const EVERY: Duration = Duration::from_secs(600);
/// Entries of our own ledger looked at before what came of them is written down.
const ROUND: usize = 65_536;
/// Promises proven at a time.
const CHUNK: usize = 256;
/// A promise that is open for so long is alarmed over, each time it is found open.
const REACHED_WITHIN: Duration = Duration::from_secs(24 * 3600);
// === impl Receipts ===

impl Receipts {
    /// Remembers in this folder.
    pub(crate) const fn new(disk: Arc<dyn Disk>, data: PathBuf) -> Self {
        Self { disk, data }
    }

    /// The newest checkpoint of a peer's ledger that was shown to continue the ones before.
    fn proven(&self, key: &NoteKey) -> Result<Option<SignedCheckpoint>, DiskError> {
        let bytes = durable::read(&*self.disk, &self.proven_at(key.name()))?;
        Ok(bytes.and_then(|bytes| SignedCheckpoint::verify(&bytes, key).ok()))
    }

    fn keep_proven(&self, checkpoint: &SignedCheckpoint) -> Result<(), DiskError> {
        self.disk.create_dir_all(&self.data.join(PEERS))?;
        let path = self.proven_at(&checkpoint.checkpoint().origin);
        let note = checkpoint.note().to_string();
        // If we crash before this, the same is proven again.
        durable::replace(&*self.disk, &path, note.as_bytes())
    }

    /// The directory knows every ledger that is asked about, so they are few.
    fn proven_at(&self, origin: &str) -> PathBuf {
        let name = Digest::of(origin.as_bytes()).to_string();
        self.data.join(PEERS).join(name)
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
        for shard in adopted.federation().shards(&self.id, Mode::Live) {
            let Ok(origin) = shard.origin.parse::<LogOrigin>() else {
                continue;
            };
            if origin == *self.journal.origin() {
                continue;
            }
            let opened = self.in_closed(&origin, Ok).await;
            match opened {
                Ok(reader) => closed.push((origin, Own::Closed(Arc::new(Mutex::new(reader))))),
                Err(reason) => {
                    let (shard, reason) = (origin.as_str(), reason.code());
                    tracing::warn!(event = "receipts.unchecked", shard, reason);
                }
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
        let mut remembered = Remembered {
            position: begin.position,
            open: Vec::new(),
        };
        // What was open at the beginning, once; then what was not looked at.
        for open in begin.open.chunks(ROUND) {
            let mut promises = Promises::new();
            own.promises_at(open, &mut promises).await?;
            self.check_batch(adopted, own, promises, checked, &mut remembered)
                .await;
        }
        loop {
            let room = remembered.room().min(ROUND) as u64;
            let end = size.min(remembered.position.saturating_add(room));
            let mut promises = Promises::new();
            own.promises(remembered.position, end, &mut promises)
                .await?;
            self.check_batch(adopted, own, promises, checked, &mut remembered)
                .await;
            remembered.open.sort_unstable();
            remembered.position = end;
            if remembered != begin {
                // If we crash before this, the same promises are checked again.
                let kept = memory.keep(&remembered);
                kept.map_err(|_| Reason::LogUnavailable)?;
            }
            if end == size {
                return Ok(());
            }
            if room == 0 {
                tracing::error!(event = "receipts.full", shard = origin.as_str(), at = end);
                return Ok(());
            }
        }
    }

    async fn check_batch(
        &self,
        adopted: &Adopted,
        own: &Own,
        promises: Promises,
        checked: &mut Checked,
        remembered: &mut Remembered,
    ) {
        for (of, promises) in promises {
            let found = self.check_provider(adopted, own, &of, promises).await;
            checked.kept += found.kept;
            checked.broken += found.broken;
            checked.open += found.open.len() as u64;
            let open = found.open.iter().map(|promise| promise.at);
            remembered.open.extend(open);
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
                let (covered, waiting): (Vec<Promise>, Vec<Promise>) = (covered, waiting);
                // Where the ledger has ended, what it did not reach it never will.
                let end = adopted.federation().shard_end(origin.as_str());
                let last = Digest::of(checkpoint.note().to_string().as_bytes());
                let mut broken = Vec::new();
                if end == Some(&last) {
                    broken.extend(waiting.into_iter().map(|promise| (promise, Shown::Ended)));
                } else {
                    if end.is_some() && !waiting.is_empty() {
                        // It ended elsewhere than it shows: no proof, and nothing an honest one does but when
                        // its witnesses were away.
                        tracing::error!(event = "receipts.ended_elsewhere", peer = %server);
                    }
                    found.open = waiting;
                }
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
                        let leaf_hash = leaf;
                        broken.push((promise.clone(), Shown::Another { leaf_hash, path }));
                    }
                }
                for (promise, shown) in broken {
                    let at = (checkpoint.note().to_string(), shown);
                    let proven = self.prove_broken(adopted, own, server, &asking, &promise, at);
                    match proven.await {
                        Ok(()) => found.broken += 1,
                        // One that cannot be proven now hides no other.
                        Err(error) => {
                            warn(&error);
                            found.open.push(promise);
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
        let shard = adopted.federation().shard_by_origin(origin.as_str());
        let shard = shard.ok_or(Unchecked::Unknown)?;
        let key = NoteKey::new(origin.as_str(), shard.key.clone());
        let key = key.map_err(|_| Unchecked::Unknown)?;
        let channel = self.peers.channel(&view).map_err(Unchecked::Asking)?;
        let mut asking = Asking::new(channel, key);
        let checkpoint = Arc::new(asking.checkpoint().await?);
        let told = self.gossip.newest(server, origin);
        let proven = self.receipts.proven(asking.key())?.map(Arc::new);
        // Two of one size are a fork, also when one was shown to an earlier process.
        for seen in proven.iter().chain([&checkpoint]) {
            self.gossip.learn(adopted, server, seen).await;
        }
        let policy = adopted.federation().policy_of(server);
        let now = self.clock.now();
        let judged = policy.and_then(|policy| policy.witnesses.judge(&checkpoint, now));
        // What no quorum cosigned may still be given up by the provider, with our evidence.
        if judged.is_none() {
            return Err(Unchecked::Unproven);
        }
        match proven.or(told) {
            Some(before) => {
                self.check_continued(server, &mut asking, &before, &checkpoint)
                    .await?;
            }
            None => self.receipts.keep_proven(&checkpoint)?,
        }
        Ok((asking, Arc::unwrap_or_clone(checkpoint)))
    }

    /// Checks that a provider's ledger only grew since the checkpoint that was proven last. It stays that one
    /// until the provider shows that another continues it: what is shown in between changes nothing.
    async fn check_continued(
        &self,
        server: &ServerId,
        asking: &mut Asking,
        before: &SignedCheckpoint,
        now: &SignedCheckpoint,
    ) -> Result<(), Unchecked> {
        let (old, new) = match before.size() <= now.size() {
            true => (before, now),
            false => (now, before),
        };
        match asking.check_continued(old, new).await {
            Ok(()) => Ok(self.receipts.keep_proven(new)?),
            Err(Unchecked::Unproven | Unchecked::Asking(Reason::NoRecord)) => {
                // No proof against it: it may just have answered nonsense. Both notes are kept for whoever
                // asks it, and broken promises are looked for all the same: they are proof.
                tracing::error!(event = "peer.inconsistent", peer = %server, size = now.size());
                let notes = [before, now].map(|checkpoint| checkpoint.note().to_string());
                let against = Against::Inconsistent(notes);
                let kept = self.gossip.incidents().keep(server, against).await;
                kept.map_err(Unchecked::Own)
            }
            // Asked again in the next round.
            Err(error) => {
                let error: &dyn std::error::Error = &error;
                tracing::warn!(event = "receipts.unchecked", peer = %server, error);
                Ok(())
            }
        }
    }

    /// Keeps the proof that another entry stands where a promise said.
    async fn prove_broken(
        &self,
        adopted: &Adopted,
        own: &Own,
        server: &ServerId,
        asking: &Asking,
        promise: &Promise,
        (checkpoint, shown): (String, Shown),
    ) -> Result<(), Unchecked> {
        let record = adopted
            .federation()
            .server(server)
            .ok_or(Unchecked::Unknown)?;
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
            shown,
        };
        // Proven here as it will be elsewhere.
        omission.verify().map_err(|_| Unchecked::Unproven)?;
        tracing::error!(event = "receipt.broken", peer = %server, entry = promise.at);
        let against = Against::Omission(Box::new(omission));
        let kept = self.gossip.incidents().keep(server, against).await;
        kept.map_err(Unchecked::Own)
    }
}
