//! The index over our own ledger: message id to entries.
//!
//! It runs behind the ledger, in a task of its own, and nothing waits for it. It may be deleted at
//! any time: the next start builds it anew from the ledger.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use entente_evidence::proof::SignedStatement;
use entente_evidence::statement::MessageId;
use entente_ledger::Ledger;
use entente_ledger::entry::{Body, DeniedCall, Entry};
use entente_store::{Journal, Store, StoreError};
use entente_telemetry::Metrics;

/// An open index, and how far it reaches.
#[derive(Debug)]
pub(crate) struct Index {
    store: Arc<Store>,
    position: u64,
}

/// How often new entries are looked at: in groups, since nobody waits.
const EVERY: Duration = Duration::from_millis(250);

/// Entries looked at in one go.
const CHUNK: usize = 1_024;

// === impl Index ===

impl Index {
    /// Opens the index of `ledger`, setting aside what does not belong to it.
    pub(crate) fn open(dir: &Path, ledger: &Ledger, metrics: &Metrics) -> Result<Self, StoreError> {
        let journal = Journal {
            origin: ledger.origin(),
            size: ledger.size(),
        };
        let opened = Store::open(dir, journal)?;
        if let Some(cause) = opened.rebuild {
            tracing::info!(event = "index.rebuild", cause = cause.as_str());
            metrics.store_rebuilt(cause.as_str());
        }
        Ok(Self {
            store: Arc::new(opened.store),
            position: opened.replay_from,
        })
    }

    /// To look things up in.
    pub(crate) fn store(&self) -> Arc<Store> {
        Arc::clone(&self.store)
    }

    /// Follows the ledger until it is dropped. An index that fails stops; the next start mends it.
    pub(crate) async fn follow(mut self, ledger: Ledger) {
        let mut tick = tokio::time::interval(EVERY);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tick.tick().await;
            while self.position < ledger.size() {
                let Ok(entries) = ledger.entries(self.position, CHUNK).await else {
                    break;
                };
                let next = self.position + entries.len() as u64;
                let (store, first) = (Arc::clone(&self.store), self.position);
                // Off the runtime: now and then it waits for the disk.
                let noted =
                    tokio::task::spawn_blocking(move || note(&store, first, &entries)).await;
                if !matches!(noted, Ok(Ok(()))) {
                    tracing::warn!(event = "index.stopped", position = self.position);
                    return;
                }
                self.position = next;
            }
        }
    }
}

fn note(store: &Store, first: u64, entries: &[Bytes]) -> Result<(), StoreError> {
    for (index, bytes) in (first..).zip(entries) {
        if let Some(id) = message_of(bytes) {
            store.note(id.as_bytes(), index)?;
        }
    }
    Ok(())
}

/// The exchange an entry is about, when it holds a statement.
fn message_of(entry: &[u8]) -> Option<MessageId> {
    let statement = match Entry::decode(entry).ok()?.body {
        Body::In(entry) => entry.statement,
        Body::Out(entry) => entry.statement,
        Body::Denied(entry) => match entry.call {
            DeniedCall::Statement(statement) => statement,
            DeniedCall::Attempt(_) => return None,
        },
        _ => return None,
    };
    // Ours or received, it was read in full before it was logged.
    SignedStatement::message_id_of(&statement)
}
