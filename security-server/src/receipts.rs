//! Whether providers keep what they promised: each answer names the place of its request in the
//! provider's ledger, and that place is checked in a checkpoint the provider signed later. (G5)
//!
//! Promises are read from our own ledger, where each answer is an IN entry, so none is forgotten. A
//! broken one becomes a proof that anybody can check ([`entente_bundle::omission`]), kept as an incident.

use std::collections::BTreeMap;
use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use entente_bundle::omission::Omission;
use entente_clock::Timestamp;
use entente_evidence::proof::SignedStatement;
use entente_evidence::receipt::Receipt;
use entente_evidence::statement::LogOrigin;
use entente_follow::durable;
use entente_identity::ServerId;
use entente_keys::SessionCertificate;
use entente_ledger::disk::{Disk, DiskError};
use entente_ledger::entry::{Body, Entry};
use entente_ledger::note::NoteKey;
use entente_ledger::proof::{ConsistencyProof, InclusionProof};
use entente_ledger::{Ledger, SignedCheckpoint};
use entente_proto::oversight::v1 as wire;
use entente_proto::oversight::v1::ledger_service_client::LedgerServiceClient;
use entente_reason::Reason;
use entente_signing::{Digest, VerifyingKey};
use entente_tls::{Channel, reason_of};
use tokio::time::timeout;
use tonic::{Response, Status};

use crate::server::Server;
use crate::view::Adopted;

/// How far promises were checked, durably.
#[derive(Debug)]
pub(crate) struct Receipts {
    disk: Arc<dyn Disk>,
    path: PathBuf,
}

/// A promise in our ledger.
#[derive(Clone, Debug)]
struct Promise {
    /// Index of our IN entry.
    at: u64,
    answer: SignedStatement,
    receipt: Receipt,
}

/// Questions to one provider's server about its ledger.
struct Asking {
    client: LedgerServiceClient<Channel>,
    key: NoteKey,
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

/// Why a provider's promises could not be checked.
#[derive(Debug, thiserror::Error)]
enum Unchecked {
    #[error("asking the provider's server: {0}")]
    Asking(Reason),
    #[error("keeping a proof")]
    Disk(#[from] DiskError),
    #[error("the directory does not know its ledger")]
    Unknown,
    #[error("what it answered proves nothing")]
    Unproven,
}

/// How often promises are checked; each is within a day (DESIGN.md §13).
pub(crate) const EVERY: Duration = Duration::from_secs(600);
/// Entries of our own ledger looked at in one round.
const ROUND: u64 = 65_536;
/// Entries read, and promises proven, at a time.
const CHUNK: usize = 256;
/// How long one question to a provider may take.
const ANSWERED_WITHIN: Duration = Duration::from_secs(10);
/// A promise that its provider's ledger does not reach for so long is not waited for: the round goes on
/// without it, and it is alarmed over.
const REACHED_WITHIN: Duration = Duration::from_secs(24 * 3600);

// === impl Receipts ===

impl Receipts {
    /// Remembers in this file.
    pub(crate) const fn new(disk: Arc<dyn Disk>, path: PathBuf) -> Self {
        Self { disk, path }
    }

    /// The first entry of our ledger whose promise was not checked.
    fn position(&self) -> u64 {
        let bytes = durable::read(&*self.disk, &self.path).ok().flatten();
        let text = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
        // Without it everything is checked again: that costs time, and nothing else.
        text.and_then(|text| text.trim_end().parse().ok())
            .unwrap_or(0)
    }

    fn remember(&self, position: u64) -> Result<(), DiskError> {
        durable::replace(&*self.disk, &self.path, format!("{position}\n").as_bytes())
    }
}

// === impl Server ===

impl Server {
    /// Checks every promise that was not checked yet, provider by provider. Providers that cannot be
    /// reached, or have not published that far, are asked again in the next round.
    pub(crate) async fn check_receipts(&self) -> Result<Checked, Reason> {
        let adopted = self.adopted()?;
        let ledger = self.journal.ledger();
        let begin = self.receipts.position();
        let end = ledger.size().min(begin.saturating_add(ROUND));
        let promises = promises(ledger, begin, end).await?;
        let mut checked = Checked::default();
        let mut open_from = end;
        for ((server, origin), promises) in promises {
            let outcome = self.check_provider(&adopted, &server, &origin, &promises);
            match outcome.await {
                Ok((of_provider, open)) => {
                    checked.kept += of_provider.kept;
                    checked.broken += of_provider.broken;
                    checked.open += of_provider.open;
                    open_from = open_from.min(open.unwrap_or(end));
                }
                Err(error) => {
                    let error: &dyn std::error::Error = &error;
                    tracing::warn!(event = "receipts.unchecked", peer = %server, error);
                    checked.open += promises.len() as u64;
                    open_from = open_from.min(self.first_waited_for(&promises).unwrap_or(end));
                }
            }
        }
        if open_from > begin {
            // If we crash before this, the same promises are checked again.
            let kept = self.receipts.remember(open_from);
            kept.map_err(|_| Reason::LogUnavailable)?;
        }
        Ok(checked)
    }

    /// Checks one provider's promises. Also answers with the first of our entries whose promise is
    /// still open.
    async fn check_provider(
        &self,
        adopted: &Adopted,
        server: &ServerId,
        origin: &LogOrigin,
        promises: &[Promise],
    ) -> Result<(Checked, Option<u64>), Unchecked> {
        let view = adopted.registered(server).ok_or(Unchecked::Unknown)?;
        let shard = adopted.state().shard_by_origin(origin.as_str());
        let shard = shard.ok_or(Unchecked::Unknown)?;
        let key = NoteKey::new(origin.as_str(), shard.key.clone());
        let key = key.map_err(|_| Unchecked::Unknown)?;
        let channel = self.peers.channel(&view).map_err(Unchecked::Asking)?;
        let mut asking = Asking {
            client: LedgerServiceClient::new(channel),
            key,
        };
        let checkpoint = asking.checkpoint().await?;
        let before = self.gossip.newest(server);
        let note = checkpoint.note().to_string();
        self.gossip.hear(adopted, server, origin, note.as_bytes());
        let policy = adopted.state().policy();
        let judged = policy.and_then(|policy| {
            let checkpoint = Arc::new(checkpoint.clone());
            policy.witnesses.judge(&checkpoint, self.clock.now())
        });
        // What no quorum cosigned may still be given up by the provider, with our evidence.
        if judged.is_none() {
            return Err(Unchecked::Unproven);
        }
        if let Some(before) = before
            && let Err(Unchecked::Unproven) = asking.check_continued(&before, &checkpoint).await
        {
            // No proof against it: it may just have answered nonsense. Broken promises are looked for all
            // the same, and they are proof.
            tracing::error!(event = "peer.inconsistent", peer = %server, size = checkpoint.size());
        }
        let mut checked = Checked::default();
        let (covered, waiting): (Vec<_>, Vec<_>) = promises
            .iter()
            .partition(|promise| promise.receipt.index < checkpoint.size());
        for chunk in covered.chunks(CHUNK) {
            let indices = chunk.iter().map(|promise| promise.receipt.index).collect();
            let proven = asking.prove(&checkpoint, indices).await?;
            for (promise, (leaf, path)) in chunk.iter().zip(proven) {
                if leaf == promise.receipt.leaf_hash {
                    checked.kept += 1;
                    continue;
                }
                let server_key = view.key().ok_or(Unchecked::Unknown)?;
                let session = session_of(self.journal.ledger(), promise, server_key).await;
                let omission = Omission {
                    answer: promise.answer.bytes().clone(),
                    session: session.ok_or(Unchecked::Unknown)?,
                    server_key: server_key.clone(),
                    ledger_key: asking.key.clone(),
                    checkpoint: checkpoint.note().to_string(),
                    leaf_hash: leaf,
                    path,
                };
                // Proven here as it will be elsewhere.
                omission.verify().map_err(|_| Unchecked::Unproven)?;
                tracing::error!(event = "receipt.broken", peer = %server, entry = promise.at);
                self.gossip.incidents().keep_omission(server, &omission)?;
                checked.broken += 1;
            }
        }
        checked.open += waiting.len() as u64;
        let waiting: Vec<_> = waiting.into_iter().cloned().collect();
        Ok((checked, self.first_waited_for(&waiting)))
    }

    /// The first of our entries whose promise is waited for still; those that are too old are not.
    fn first_waited_for(&self, promises: &[Promise]) -> Option<u64> {
        let now = self.clock.now();
        let is_due = |at: Timestamp| now.since(at) < REACHED_WITHIN;
        let mut waited_for = None;
        for promise in promises {
            if is_due(promise.answer.statement().issued_at) {
                waited_for = waited_for.or(Some(promise.at));
            } else {
                tracing::error!(event = "receipt.overdue", entry = promise.at);
            }
        }
        waited_for
    }
}

/// The promises in a range of our ledger, by provider and ledger.
async fn promises(
    ledger: &Ledger,
    begin: u64,
    end: u64,
) -> Result<BTreeMap<(ServerId, LogOrigin), Vec<Promise>>, Reason> {
    let mut promises: BTreeMap<_, Vec<Promise>> = BTreeMap::new();
    let mut at = begin;
    while at < end {
        let wanted = usize::try_from(end - at).unwrap_or(CHUNK).min(CHUNK);
        let entries = ledger.entries(at, wanted).await;
        let entries = entries.map_err(|error| error.reason())?;
        if entries.is_empty() {
            return Err(Reason::LogUnavailable);
        }
        for (index, bytes) in (at..).zip(&entries) {
            if let Some(promise) = promise(index, bytes) {
                let server = promise.answer.statement().sender_server.clone();
                let key = (server, promise.receipt.origin.clone());
                promises.entry(key).or_default().push(promise);
            }
        }
        at += entries.len() as u64;
    }
    Ok(promises)
}

/// The certificate of the session that signed a promise: logged before the answer was accepted.
async fn session_of(
    ledger: &Ledger,
    promise: &Promise,
    server_key: &VerifyingKey,
) -> Option<Bytes> {
    let (key, at) = (
        promise.answer.key_id(),
        promise.answer.statement().issued_at,
    );
    let mut end = promise.at;
    while end > 0 {
        let start = end.saturating_sub(CHUNK as u64);
        let wanted = usize::try_from(end - start).unwrap_or(CHUNK);
        let entries = ledger.entries(start, wanted).await.ok()?;
        for bytes in entries.iter().rev() {
            let Ok(Body::Session(session)) = Entry::decode(bytes).map(|entry| entry.body) else {
                continue;
            };
            let leaf = session.chain.into_iter().next()?;
            let verified = SessionCertificate::verify(&leaf, server_key, at);
            if verified.is_ok_and(|session| session.key().key_id() == key) {
                return Some(leaf);
            }
        }
        end = start;
    }
    None
}

fn promise(at: u64, entry: &Bytes) -> Option<Promise> {
    let Ok(Body::In(entry)) = Entry::decode(entry).map(|entry| entry.body) else {
        return None;
    };
    let answer = SignedStatement::parse(entry.statement).ok()?;
    let receipt = answer.statement().receipt()?.clone();
    Some(Promise {
        at,
        answer,
        receipt,
    })
}

// === impl Asking ===

impl Asking {
    /// Its newest final checkpoint, signed by the ledger's key.
    async fn checkpoint(&mut self) -> Result<SignedCheckpoint, Unchecked> {
        let asked = wire::FetchCheckpointRequest {
            origin: self.key.name().to_owned(),
        };
        let answer = within(self.client.fetch_checkpoint(asked)).await?;
        SignedCheckpoint::verify(&answer.checkpoint, &self.key).map_err(|_| Unchecked::Unproven)
    }

    /// The leaves at these indices of the checkpoint's tree, each proven to be there.
    async fn prove(
        &mut self,
        checkpoint: &SignedCheckpoint,
        indices: Vec<u64>,
    ) -> Result<Vec<(Digest, Vec<Digest>)>, Unchecked> {
        let asked = wire::ProveRequest {
            origin: self.key.name().to_owned(),
            size: checkpoint.size(),
            index: indices.clone(),
            old_size: 0,
        };
        let answer = within(self.client.prove(asked)).await?;
        if answer.inclusion.len() != indices.len() {
            return Err(Unchecked::Unproven);
        }
        let proven = indices.into_iter().zip(&answer.inclusion);
        let proven = proven.map(|(index, inclusion)| {
            let leaf = digest(&inclusion.leaf_hash)?;
            let proof = InclusionProof {
                index,
                size: checkpoint.size(),
                path: digests(&inclusion.path)?,
            };
            let verified = proof.verify(&leaf, &checkpoint.root());
            verified.map_err(|_| Unchecked::Unproven)?;
            Ok((leaf, proof.path))
        });
        proven.collect()
    }

    /// Checks that the tree of an earlier checkpoint is the beginning of this one.
    async fn check_continued(
        &mut self,
        before: &SignedCheckpoint,
        now: &SignedCheckpoint,
    ) -> Result<(), Unchecked> {
        let is_other = before.checkpoint().origin != now.checkpoint().origin;
        if is_other || before.size() == 0 || before.size() >= now.size() {
            return Ok(());
        }
        let asked = wire::ProveRequest {
            origin: self.key.name().to_owned(),
            size: now.size(),
            index: Vec::new(),
            old_size: before.size(),
        };
        let answer = within(self.client.prove(asked)).await?;
        let proof = ConsistencyProof {
            old_size: before.size(),
            new_size: now.size(),
            path: digests(&answer.consistency)?,
        };
        let verified = proof.verify(&before.root(), &now.root());
        verified.map_err(|_| Unchecked::Unproven)
    }
}

async fn within<T>(
    asking: impl Future<Output = Result<Response<T>, Status>>,
) -> Result<T, Unchecked> {
    match timeout(ANSWERED_WITHIN, asking).await {
        Ok(Ok(answer)) => Ok(answer.into_inner()),
        Ok(Err(status)) => Err(Unchecked::Asking(reason_of(&status))),
        Err(_) => Err(Unchecked::Asking(Reason::PeerUnreachable)),
    }
}

fn digest(bytes: &[u8]) -> Result<Digest, Unchecked> {
    Digest::from_slice(bytes).map_err(|_| Unchecked::Unproven)
}

fn digests(hashes: &[Bytes]) -> Result<Vec<Digest>, Unchecked> {
    if hashes.len() > MAX_PATH {
        return Err(Unchecked::Unproven);
    }
    hashes.iter().map(|hash| digest(hash)).collect()
}

/// No tree is deeper; a consistency proof has one hash more.
const MAX_PATH: usize = 65;
