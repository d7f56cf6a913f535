//! The index over our own ledger: message id to entries, and the replay window's messages.
//!
//! It runs behind the ledger, in a task of its own, and nothing waits for it. It may be deleted at
//! any time: the next start builds it anew from the ledger.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use entente_evidence::proof::SignedStatement;
use entente_evidence::statement::Kind;
use entente_ledger::Ledger;
use entente_ledger::entry::{Body, DeniedCall, Entry};
use entente_store::{Batch, Journal, ReplayWindow, Store, StoreError};
use entente_telemetry::Metrics;

/// An open index, and how far it reaches.
#[derive(Debug)]
pub(crate) struct Index {
    store: Arc<Store>,
    position: u64,
}

/// How often new entries are looked at: in groups, since nobody waits.
const EVERY: Duration = Duration::from_millis(250);

/// Entries in one batch.
const BATCH: usize = 1_024;

/// Messages forgotten in one batch.
const FORGET: usize = 4_096;

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
                let Ok(entries) = ledger.entries(self.position, BATCH).await else {
                    break;
                };
                let mut batch = self.forget(&entries);
                for bytes in &entries {
                    note(&mut batch, self.position, bytes);
                    self.position += 1;
                }
                batch.position(self.position);
                if self.store.submit(batch).is_err() {
                    tracing::warn!(event = "index.stopped", position = self.position);
                    return;
                }
            }
        }
    }

    /// A batch that forgets what the replay window no longer holds.
    fn forget(&self, entries: &[Bytes]) -> Batch {
        let newest = entries.last().and_then(|bytes| Entry::time_of(bytes));
        newest
            .and_then(|now| self.store.expire_seen(now, FORGET).ok())
            .unwrap_or_default()
    }
}

fn note(batch: &mut Batch, index: u64, bytes: &[u8]) {
    let Ok(entry) = Entry::decode(bytes) else {
        return;
    };
    let (statement, received) = match entry.body {
        Body::In(entry) => (entry.statement, true),
        Body::Out(entry) => (entry.statement, false),
        Body::Denied(entry) => match entry.call {
            DeniedCall::Statement(statement) => (statement, true),
            DeniedCall::Attempt(_) => return,
        },
        _ => return,
    };
    let Ok(signed) = SignedStatement::parse(statement) else {
        return;
    };
    let says = signed.statement();
    batch.message(says.message_id.as_bytes(), index);
    if received && says.kind() == Kind::Request {
        let expires = entry.at.saturating_add(ReplayWindow::SPAN);
        batch.seen(&says.sender_server, says.message_id.as_bytes(), expires);
    }
}
