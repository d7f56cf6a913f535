//! The one thread that writes: drains the queue into one atomic batch, makes it durable, wakes
//! whoever waits.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::{self, JoinHandle};

use crate::backend::Backend;
use crate::batch::Batch;
use crate::store::{POSITION, StoreError};

/// The queue's sending end and the thread at its other end.
pub(crate) struct Writer {
    queue: Option<SyncSender<Job>>,
    thread: Option<JoinHandle<()>>,
    shared: Arc<Shared>,
}

struct Job {
    batch: Batch,
    done: Option<SyncSender<Result<(), StoreError>>>,
}

struct Shared {
    /// Set once, when a batch was dropped or could not be written. From then on nothing is
    /// written: an index that is behind is harmless, one with a hole is not.
    stopped: AtomicBool,
    /// Entries of the ledger the durable index reflects.
    position: AtomicU64,
}

// === impl Writer ===

impl Writer {
    /// Starts the thread. `origin` is written with each position.
    pub(crate) fn start(
        backend: Arc<dyn Backend>,
        origin: String,
        position: u64,
    ) -> io::Result<Self> {
        let (queue, jobs) = sync_channel(QUEUE);
        let shared = Arc::new(Shared {
            stopped: AtomicBool::new(false),
            position: AtomicU64::new(position),
        });
        let thread = {
            let shared = shared.clone();
            thread::Builder::new()
                .name("store-writer".into())
                .spawn(move || write_all(&*backend, &origin, &jobs, &shared))?
        };
        Ok(Self {
            queue: Some(queue),
            thread: Some(thread),
            shared,
        })
    }

    pub(crate) fn position(&self) -> u64 {
        self.shared.position.load(Ordering::Acquire)
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.shared.stopped.load(Ordering::Acquire)
    }

    /// Queues without waiting.
    pub(crate) fn submit(&self, batch: Batch) -> Result<(), StoreError> {
        if self.is_stopped() {
            return Err(StoreError::Stopped);
        }
        let job = Job { batch, done: None };
        match self.queue.as_ref().map(|queue| queue.try_send(job)) {
            Some(Ok(())) => Ok(()),
            Some(Err(TrySendError::Full(_))) => {
                self.shared.stopped.store(true, Ordering::Release);
                Err(StoreError::Stopped)
            }
            Some(Err(TrySendError::Disconnected(_))) | None => Err(StoreError::Stopped),
        }
    }

    /// Queues and waits until durable.
    pub(crate) fn apply(&self, batch: Batch) -> Result<(), StoreError> {
        if self.is_stopped() {
            return Err(StoreError::Stopped);
        }
        let (done, wait) = sync_channel(1);
        let done = Some(done);
        self.queue
            .as_ref()
            .and_then(|queue| queue.send(Job { batch, done }).ok())
            .ok_or(StoreError::Stopped)?;
        wait.recv().map_err(|_| StoreError::Stopped)?
    }

    /// Writes what is queued and ends the thread. Whether everything was written.
    pub(crate) fn close(&mut self) -> bool {
        drop(self.queue.take());
        let ended = self
            .thread
            .take()
            .is_none_or(|thread| thread.join().is_ok());
        ended && !self.is_stopped()
    }
}

fn write_all(backend: &dyn Backend, origin: &str, jobs: &Receiver<Job>, shared: &Shared) {
    while let Ok(first) = jobs.recv() {
        let mut waiting = Vec::new();
        let mut changes = Vec::new();
        let mut position = None;
        let mut bytes = 0;
        let mut next = Some(first);
        while let Some(job) = next {
            bytes += job
                .batch
                .changes
                .iter()
                .map(|(key, value)| key.len() + value.as_ref().map_or(0, Vec::len))
                .sum::<usize>();
            changes.extend(job.batch.changes);
            position = job.batch.position.or(position);
            waiting.extend(job.done);
            next = if bytes < GROUP_BYTES {
                jobs.try_recv().ok()
            } else {
                None
            };
        }
        if let Some(position) = position {
            let value = [&position.to_be_bytes(), origin.as_bytes()].concat();
            changes.push((POSITION.to_vec(), Some(value)));
        }
        let written = if shared.stopped.load(Ordering::Acquire) {
            Err(io::Error::other("stopped"))
        } else {
            backend.commit(changes)
        };
        match (&written, position) {
            (Ok(()), Some(position)) => shared.position.store(position, Ordering::Release),
            (Ok(()), None) => {}
            // What a failed write left behind is unknown: the next start looks.
            (Err(_), _) => shared.stopped.store(true, Ordering::Release),
        }
        for done in waiting {
            // Nobody waits any more: fine.
            let _ = done.send(
                written
                    .as_ref()
                    .map_or(Err(StoreError::Stopped), |()| Ok(())),
            );
        }
    }
}

/// Batches waiting to be written.
const QUEUE: usize = 1024;
/// A group is closed at this many bytes.
const GROUP_BYTES: usize = 1024 * 1024;
