//! Where appends wait for the writer.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, oneshot};

use super::{Append, AppendError, Appended};

/// Appends of many tasks, taken by one.
#[derive(Debug, Default)]
pub(super) struct Queue {
    held: Mutex<Held>,
    /// Told when the queue was empty and is not, or is closed.
    filled: Notify,
}

#[derive(Debug, Default)]
struct Held {
    pending: Vec<Pending>,
    entries: usize,
    bytes: usize,
    is_closed: bool,
    is_stopped: bool,
    /// Told when the writer has stopped.
    stopped: Vec<oneshot::Sender<()>>,
}

/// What one task asked for.
#[derive(Debug)]
pub(super) struct Pending {
    pub(super) appends: Appends,
    pub(super) reply: Reply,
}

/// One entry, or several that belong together.
#[derive(Debug)]
pub(super) enum Appends {
    One(Append),
    Many(Vec<Append>),
}

/// Whom to tell.
#[derive(Debug)]
pub(super) enum Reply {
    One(oneshot::Sender<Result<Appended, AppendError>>),
    Many(oneshot::Sender<Result<Vec<Appended>, AppendError>>),
}

/// What the queue held.
#[derive(Debug)]
pub(super) enum Taken {
    /// Appends, at least one.
    Batch(Vec<Pending>),
    /// Nothing more will come.
    Closed(Vec<oneshot::Sender<()>>),
}

// === impl Queue ===

impl Queue {
    /// Adds an append; refuses when too much waits already, or the queue is closed.
    pub(super) fn push(&self, pending: Pending) -> Result<(), AppendError> {
        let (entries, bytes) = pending.appends.weight();
        let mut held = self.held();
        let is_full = held.entries + entries > MAX_QUEUED || held.bytes + bytes > MAX_QUEUED_BYTES;
        if held.is_closed || (is_full && held.entries > 0) {
            return Err(AppendError::LogUnavailable);
        }
        let is_first = held.pending.is_empty();
        held.pending.push(pending);
        held.entries += entries;
        held.bytes += bytes;
        drop(held);
        if is_first {
            self.filled.notify_one();
        }
        Ok(())
    }

    /// Waits for appends and takes them all. Whoever became ready in the same turn of the runtime is
    /// let go first: it often appends too, and one sync then covers both.
    pub(super) async fn take(&self) -> Taken {
        loop {
            // Registered before looking, so that nothing is missed in between.
            let filled = self.filled.notified();
            if self.has_any() {
                tokio::task::yield_now().await;
                return self.take_now();
            }
            filled.await;
        }
    }

    /// Takes no more; `stopped` is told when the writer has committed what was queued.
    pub(super) fn close(&self, stopped: Option<oneshot::Sender<()>>) {
        let mut held = self.held();
        held.is_closed = true;
        if !held.is_stopped {
            // Dropped otherwise, which tells whoever asked that it has stopped before.
            held.stopped.extend(stopped);
        }
        drop(held);
        self.filled.notify_one();
    }

    fn has_any(&self) -> bool {
        let held = self.held();
        !held.pending.is_empty() || held.is_closed
    }

    fn take_now(&self) -> Taken {
        let mut held = self.held();
        if held.pending.is_empty() {
            held.is_stopped = true;
            return Taken::Closed(std::mem::take(&mut held.stopped));
        }
        (held.entries, held.bytes) = (0, 0);
        Taken::Batch(std::mem::take(&mut held.pending))
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        // No code panics while it holds the lock.
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Appends ===

impl Appends {
    pub(super) fn as_slice(&self) -> &[Append] {
        match self {
            Self::One(append) => std::slice::from_ref(append),
            Self::Many(appends) => appends,
        }
    }

    pub(super) fn weight(&self) -> (usize, usize) {
        let appends = self.as_slice();
        let bytes = appends
            .iter()
            .map(|a| a.entry.len() + a.attachment.as_ref().map_or(0, |a| a.len()));
        (appends.len(), bytes.sum())
    }
}

// === impl Reply ===

impl Reply {
    /// Tells the result; that nobody listens any more is no concern of ours.
    pub(super) fn send(self, result: Result<&[Appended], AppendError>) {
        match self {
            Self::One(reply) => {
                let one = result.and_then(|appended| {
                    appended.first().copied().ok_or(AppendError::LogUnavailable)
                });
                let _ = reply.send(one);
            }
            Self::Many(reply) => {
                let _ = reply.send(result.map(<[Appended]>::to_vec));
            }
        }
    }
}

/// The most entries one call may append.
pub(super) const MAX_APPENDS: usize = 1_024;
/// The most entries that may wait.
const MAX_QUEUED: usize = 16_384;
/// The most bytes that may wait.
const MAX_QUEUED_BYTES: usize = 64 * 1024 * 1024;
