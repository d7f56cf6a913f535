//! Where appends wait for the writer.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, oneshot};

use super::{AppendError, Appended};
use crate::log::tail::TailEntry;

/// Appends of many tasks, taken by one task or one thread.
#[derive(Debug, Default)]
pub(super) struct Queue {
    held: Mutex<Held>,
    /// Told when the queue was empty and is not, or is closed.
    filled: Notify,
    /// Told when the thread has something to do.
    due: Condvar,
}

#[derive(Debug, Default)]
struct Held {
    pending: Vec<Pending>,
    entries: usize,
    bytes: usize,
    /// Whether the thread is to take what is pending.
    is_due: bool,
    /// Whether the thread waits to be told.
    is_awaited: bool,
    /// Whether the thread is to go on after a failure.
    is_mended: bool,
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
    One(TailEntry),
    Many(Vec<TailEntry>),
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
        if held.entries >= WORTH_A_COMMIT {
            held.is_due = true;
            self.tell(held);
        } else {
            drop(held);
        }
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
                return self.held().take();
            }
            filled.await;
        }
    }

    /// Lets the thread take what is queued when a turn of the runtime ends, for the same reason; until the
    /// queue is closed.
    pub(super) async fn end_turns(&self) {
        loop {
            self.filled.notified().await;
            tokio::task::yield_now().await;
            let mut held = self.held();
            held.is_due = !held.pending.is_empty();
            if held.is_closed {
                return;
            }
            self.tell(held);
        }
    }

    /// Blocks the thread until it has something to do, and takes it; `None` when that is to go on after a
    /// failure.
    pub(super) fn wait(&self) -> Option<Taken> {
        let mut held = self.held();
        loop {
            if std::mem::take(&mut held.is_mended) {
                return None;
            }
            if held.is_due || held.is_closed {
                return Some(held.take());
            }
            held.is_awaited = true;
            held = self.due.wait(held).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Has the thread go on after a failure, when there was one.
    pub(super) fn mend(&self) {
        let mut held = self.held();
        held.is_mended = true;
        self.tell(held);
    }

    /// Takes no more; `stopped` is told when the writer has committed what was queued.
    pub(super) fn close(&self, stopped: Option<oneshot::Sender<()>>) {
        let mut held = self.held();
        held.is_closed = true;
        if !held.is_stopped {
            // Dropped otherwise, which tells whoever asked that it has stopped before.
            held.stopped.extend(stopped);
        }
        self.tell(held);
        self.filled.notify_one();
    }

    fn has_any(&self) -> bool {
        let held = self.held();
        !held.pending.is_empty() || held.is_closed
    }

    /// Wakes the thread, when it waits: a call to the system that is not made for each append.
    fn tell(&self, mut held: MutexGuard<'_, Held>) {
        let is_awaited = std::mem::take(&mut held.is_awaited);
        drop(held);
        if is_awaited {
            self.due.notify_one();
        }
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        // No code panics while it holds the lock.
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Held ===

impl Held {
    fn take(&mut self) -> Taken {
        if self.pending.is_empty() {
            self.is_stopped = true;
            return Taken::Closed(std::mem::take(&mut self.stopped));
        }
        self.is_due = false;
        (self.entries, self.bytes) = (0, 0);
        Taken::Batch(std::mem::take(&mut self.pending))
    }
}

// === impl Appends ===

impl Appends {
    pub(super) fn as_slice(&self) -> &[TailEntry] {
        match self {
            Self::One(append) => std::slice::from_ref(append),
            Self::Many(appends) => appends,
        }
    }

    pub(super) fn weight(&self) -> (usize, usize) {
        let appends = self.as_slice();
        let bytes = appends.iter().map(|append| append.bytes() as usize);
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
/// Entries that are worth a sync of their own: they are taken before the turn ends, so that what comes
/// after is made ready while they are synced.
const WORTH_A_COMMIT: usize = 32;
/// The most entries that may wait.
const MAX_QUEUED: usize = 16_384;
/// The most bytes that may wait.
const MAX_QUEUED_BYTES: usize = 64 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bytes::Bytes;

    use super::*;
    use crate::Append;

    fn pending() -> Pending {
        let append = Append {
            entry: Bytes::from_static(b"entry"),
            attachment: None,
        };
        Pending {
            appends: Appends::One(append.into()),
            reply: Reply::One(oneshot::channel().0),
        }
    }

    fn taken(queue: &Queue) -> usize {
        match queue.wait() {
            Some(Taken::Batch(pending)) => pending.len(),
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn the_thread_takes_a_turn_whole_or_what_is_worth_a_commit() {
        let queue = Arc::new(Queue::default());
        let turns = Arc::clone(&queue);
        let turns = tokio::spawn(async move { turns.end_turns().await });
        for _ in 0..WORTH_A_COMMIT - 1 {
            queue.push(pending()).unwrap();
        }
        assert!(!queue.held().is_due);
        queue.push(pending()).unwrap();
        assert_eq!(taken(&queue), WORTH_A_COMMIT);

        queue.push(pending()).unwrap();
        while !queue.held().is_due {
            tokio::task::yield_now().await;
        }
        assert_eq!(taken(&queue), 1);

        queue.push(pending()).unwrap();
        queue.close(None);
        turns.await.unwrap();
        assert!(queue.push(pending()).is_err());
        assert_eq!(taken(&queue), 1);
        assert!(matches!(queue.wait(), Some(Taken::Closed(_))));
    }

    #[test]
    fn the_thread_goes_on_after_a_failure_before_anything_else() {
        let queue = Queue::default();
        queue.push(pending()).unwrap();
        queue.close(None);
        queue.mend();
        assert!(queue.wait().is_none());
        assert_eq!(taken(&queue), 1);
    }
}
