//! What two ledgers say about exchanges, and what must hold between them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, ensure};
use bytes::Bytes;
use entente_evidence::proof::SignedStatement;
use entente_evidence::statement::{Body as Says, MessageId};
use entente_ledger::disk::Disk;
use entente_ledger::entry::{Body, Entry, OutcomeKind};
use entente_ledger::fsck::{Report, fsck};
use entente_ledger::{Reader, tree};
use entente_signing::Digest;
use tonic::Response;
use tonic::metadata::MetadataMap;

use crate::world::Site;

/// One ledger, read whole.
#[derive(Clone, Debug, Default)]
pub struct Log {
    entries: Vec<(Bytes, Entry)>,
}

/// What an answer claimed: where the provider logged which request.
#[derive(Clone, Debug)]
pub struct Acknowledged {
    transaction: MessageId,
    index: usize,
    leaf: Digest,
}

/// Requests by hash, with how often each was written and ended.
type Ends = BTreeMap<Digest, (usize, usize)>;

// === impl Log ===

impl Log {
    /// Reads the one ledger below `data`; it may be written to meanwhile.
    ///
    /// # Errors
    /// When there is not exactly one, or it cannot be read.
    pub fn read(disk: &Arc<dyn Disk>, data: &Path) -> anyhow::Result<Self> {
        let shards = data.join("ledger");
        let shard = disk.list(&shards)?.pop().context("no ledger yet")?;
        let mut reader = Reader::open(Arc::clone(disk), shards.join(shard.name))?;
        let mut entries = Vec::new();
        for read in reader.entries(0) {
            let (_, bytes) = read?;
            let entry = Entry::decode(&bytes)?;
            entries.push((bytes, entry));
        }
        Ok(Self { entries })
    }

    /// Checks every byte of a ledger that is not being written to, and that its server never
    /// panicked.
    ///
    /// # Errors
    /// What is wrong.
    pub fn verify(disk: &Arc<dyn Disk>, data: &Path, site: &Site) -> anyhow::Result<Report> {
        let shards = data.join("ledger");
        let shard = disk.list(&shards)?.pop().context("no ledger yet")?;
        let keys = site.server_keys()?;
        let key = keys.ledger.verifying_key();
        let report = fsck(
            Arc::clone(disk),
            shards.join(shard.name),
            key,
            &mut |_, _| {},
        )?;
        ensure!(report.is_sound(), "fsck finds {:?}", report.findings);
        // What a server that is a process of its own said, if this one is.
        let said = std::fs::read_to_string(site.dir.join("server.log")).unwrap_or_default();
        ensure!(!said.contains("panic"), "it panicked: {said}");
        Ok(report)
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// What exchanges left from entry `start` on: `OUT request`, `IN fault NO_AGREEMENT`, `OUTCOME timeout` …
    pub fn lines(&self, start: usize) -> Vec<String> {
        let entries = self.entries.get(start..).unwrap_or_default();
        entries
            .iter()
            .filter_map(|(_, entry)| line(&entry.body))
            .collect()
    }

    /// The counts of the summaries from entry `start` on, by reason.
    pub fn summaries(&self, start: usize) -> BTreeMap<String, u64> {
        let mut counts = BTreeMap::new();
        for (_, entry) in self.entries.get(start..).unwrap_or_default() {
            if let Body::Summary(summary) = &entry.body {
                *counts.entry(summary.reason.clone()).or_default() += summary.count;
            }
        }
        counts
    }

    /// Checks that every request written here has exactly one end here.
    ///
    /// # Errors
    /// When one has none, or several.
    pub fn check_ends(&self) -> anyhow::Result<()> {
        for (request, (written, ended)) in self.ends() {
            ensure!(
                (written, ended) == (1, 1),
                "request {request} was written {written} times and ended {ended} times",
            );
        }
        Ok(())
    }

    /// Hashes of the requests in the ledger, sent or received.
    pub fn requests(&self) -> BTreeSet<Digest> {
        let written = self
            .ends()
            .into_iter()
            .filter(|(_, (written, _))| *written > 0);
        written.map(|(request, _)| request).collect()
    }

    /// Hashes of the responses in the ledger, by the message they answer.
    fn responses(&self) -> BTreeMap<MessageId, Digest> {
        let statements = self
            .entries
            .iter()
            .filter_map(|(_, entry)| statement(&entry.body));
        let responses =
            statements.filter(|signed| matches!(signed.statement().body, Says::Response { .. }));
        responses
            .map(|signed| (signed.statement().message_id, signed.hash()))
            .collect()
    }

    fn ends(&self) -> Ends {
        let mut ends = Ends::new();
        for (_, entry) in &self.entries {
            if let Body::Outcome(outcome) = &entry.body {
                ends.entry(outcome.request).or_default().1 += 1;
            }
            let Some(signed) = statement(&entry.body) else {
                continue;
            };
            match signed.statement().request_hash() {
                Some(request) => ends.entry(*request).or_default().1 += 1,
                None => ends.entry(signed.hash()).or_default().0 += 1,
            }
        }
        ends
    }
}

/// Checks both ledgers against each other and against what callers were told: no request ends
/// otherwise than once, the provider accepted nothing that the consumer had not logged, asked its
/// system for nothing it had not, and no answer that reached a caller lacks an entry anywhere.
///
/// # Errors
/// What does not hold.
pub fn check_pair(
    consumer: &Log,
    provider: &Log,
    asked: usize,
    acknowledged: &[Acknowledged],
) -> anyhow::Result<()> {
    consumer.check_ends().context("in the consumer's ledger")?;
    provider.check_ends().context("in the provider's ledger")?;
    let accepted = provider.requests();
    let unknown = accepted.difference(&consumer.requests()).count();
    ensure!(
        unknown == 0,
        "{unknown} requests accepted that the consumer never logged"
    );
    ensure!(
        asked <= accepted.len(),
        "asked {asked} times, with {} requests accepted",
        accepted.len(),
    );
    let (received, sent) = (consumer.responses(), provider.responses());
    for (message, response) in &received {
        ensure!(
            sent.get(message) == Some(response),
            "a response to {message} nobody sent"
        );
    }
    for one in acknowledged {
        let transaction = one.transaction;
        ensure!(
            received.contains_key(&transaction),
            "{transaction} answered, and no IN"
        );
        let entry = provider.entries.get(one.index);
        let (bytes, entry) = entry.with_context(|| format!("{transaction}: no entry"))?;
        ensure!(
            tree::leaf_hash(bytes) == one.leaf,
            "{transaction}: another entry"
        );
        let request = statement(&entry.body).context("it is no statement")?;
        ensure!(
            request.statement().message_id == transaction,
            "another request"
        );
        ensure!(line(&entry.body).as_deref() == Some("IN request"), "no IN");
    }
    Ok(())
}

/// The line of an entry that belongs to an exchange.
fn line(body: &Body) -> Option<String> {
    let direction = match body {
        Body::In(_) => "IN",
        Body::Out(_) => "OUT",
        Body::Denied(denied) => return Some(format!("DENIED {}", denied.reason)),
        Body::Outcome(outcome) => {
            let kind = match outcome.kind {
                OutcomeKind::Timeout => "timeout",
                OutcomeKind::Cancelled => "cancelled",
                OutcomeKind::Crashed => "crashed",
                OutcomeKind::InvalidAnswer => "invalid answer",
            };
            return Some(format!("OUTCOME {kind}"));
        }
        _ => return None,
    };
    let signed = statement(body)?;
    Some(match &signed.statement().body {
        Says::Request { .. } => format!("{direction} request"),
        Says::Response { .. } => format!("{direction} response"),
        Says::Fault { failure, .. } => format!("{direction} fault {}", failure.reason()),
        _ => format!("{direction} another"),
    })
}

fn statement(body: &Body) -> Option<SignedStatement> {
    let bytes = match body {
        Body::In(entry) => &entry.statement,
        Body::Out(entry) => &entry.statement,
        _ => return None,
    };
    SignedStatement::parse(bytes.clone()).ok()
}

// === impl Acknowledged ===

impl Acknowledged {
    /// Reads what an answer claims.
    ///
    /// # Errors
    /// When it claims nothing, or not readably.
    pub fn by<T>(answer: &Response<T>) -> anyhow::Result<Self> {
        let text = |map: &MetadataMap, key: &str| -> anyhow::Result<String> {
            let value = map.get(key).with_context(|| format!("no {key}"))?;
            Ok(value.to_str()?.to_owned())
        };
        let receipt = text(answer.metadata(), "entente-receipt")?;
        let [_, index, leaf] = receipt.split(' ').collect::<Vec<_>>()[..] else {
            anyhow::bail!("a receipt is an origin, an index and a hash, not {receipt:?}");
        };
        Ok(Self {
            transaction: text(answer.metadata(), "entente-transaction")?.parse()?,
            index: index.parse()?,
            leaf: leaf.parse()?,
        })
    }
}
