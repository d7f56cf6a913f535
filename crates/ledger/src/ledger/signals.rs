//! What the ledger's handles may watch.

use std::sync::Arc;

use tokio::sync::watch;

use crate::checkpoint::SignedCheckpoint;
use crate::log::Log;

/// The writing ends.
#[derive(Clone, Debug)]
pub(super) struct Signals {
    sizes: Arc<watch::Sender<u64>>,
    checkpoint: Arc<watch::Sender<Option<Arc<SignedCheckpoint>>>>,
    finality: Arc<watch::Sender<Option<Arc<SignedCheckpoint>>>>,
    health: Arc<watch::Sender<Health>>,
    writable: Arc<watch::Sender<bool>>,
}

/// The reading ends.
#[derive(Debug)]
pub(super) struct Watched {
    pub(super) sizes: watch::Receiver<u64>,
    pub(super) checkpoint: watch::Receiver<Option<Arc<SignedCheckpoint>>>,
    pub(super) finality: watch::Receiver<Option<Arc<SignedCheckpoint>>>,
    pub(super) writable: watch::Receiver<bool>,
}

/// Which halves work; the ledger is writable when both do.
#[derive(Clone, Copy, Debug)]
struct Health {
    appends: bool,
    integrates: bool,
}

// === impl Signals ===

impl Signals {
    pub(super) fn new(log: &Log) -> (Self, Watched) {
        let appends = log.appender.is_open();
        let (sizes, sizes_read) = watch::channel(log.appender.size());
        let (checkpoint, checkpoint_read) = watch::channel(log.integrator.checkpoint());
        let (finality, finality_read) = watch::channel(log.integrator.finality());
        let (writable, writable_read) = watch::channel(appends);
        let (health, _) = watch::channel(Health {
            appends,
            integrates: true,
        });
        let signals = Self {
            sizes: Arc::new(sizes),
            checkpoint: Arc::new(checkpoint),
            finality: Arc::new(finality),
            health: Arc::new(health),
            writable: Arc::new(writable),
        };
        let watched = Watched {
            sizes: sizes_read,
            checkpoint: checkpoint_read,
            finality: finality_read,
            writable: writable_read,
        };
        (signals, watched)
    }

    pub(super) fn size(&self, size: u64) {
        self.sizes.send_if_modified(|held| {
            let grew = size > *held;
            *held = size.max(*held);
            grew
        });
    }

    pub(super) fn checkpoint(&self, checkpoint: Option<Arc<SignedCheckpoint>>) {
        self.checkpoint.send_replace(checkpoint);
    }

    pub(super) fn finality(&self, checkpoint: Option<Arc<SignedCheckpoint>>) {
        self.finality.send_replace(checkpoint);
    }

    pub(super) fn appends(&self, works: bool) {
        self.health(|health| health.appends = works);
    }

    pub(super) fn integrates(&self, works: bool) {
        self.health(|health| health.integrates = works);
    }

    fn health(&self, change: impl FnOnce(&mut Health)) {
        // Both under the one lock, so that two halves changing at once leave the newest of both.
        self.health.send_modify(|health| {
            change(health);
            let works = health.appends && health.integrates;
            let changed = self.writable.send_if_modified(|writable| {
                let changed = *writable != works;
                *writable = works;
                changed
            });
            if changed && works {
                tracing::info!("ledger can be written again");
            } else if changed {
                tracing::error!("ledger cannot be written");
            }
        });
    }
}
