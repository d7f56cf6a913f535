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

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::sync::mpsc;

    use super::*;
    use crate::backend::Visit;
    use crate::batch::{Change, Tree};

    /// An engine that says when it begins to write, and then does as it is told.
    struct Told {
        begun: SyncSender<usize>,
        told: Mutex<Receiver<io::Result<()>>>,
    }

    impl Backend for Told {
        fn read(&self, _: &[u8]) -> io::Result<Option<Vec<u8>>> {
            Ok(None)
        }

        fn visit(&self, _: &[u8], _: &[u8], _: &mut Visit<'_>) -> io::Result<()> {
            Ok(())
        }

        fn commit(&self, changes: Vec<Change>) -> io::Result<()> {
            self.begun.send(changes.len()).unwrap();
            self.told.lock().unwrap().recv().unwrap()
        }
    }

    fn start() -> (Writer, Receiver<usize>, mpsc::Sender<io::Result<()>>) {
        let (begun, begins) = sync_channel(1);
        let (tell, told) = mpsc::channel();
        let backend = Arc::new(Told {
            begun,
            told: Mutex::new(told),
        });
        let writer = Writer::start(backend, "origin".into(), 0).unwrap();
        (writer, begins, tell)
    }

    fn batch(position: u64) -> Batch {
        let mut batch = Batch::new();
        batch.put(Tree::Cursors, b"c", b"v").unwrap();
        batch.position(position);
        batch
    }

    #[test]
    fn what_queues_up_during_a_write_is_written_together() {
        let (mut writer, begins, tell) = start();
        writer.submit(batch(1)).unwrap();
        assert_eq!(begins.recv().unwrap(), 2);
        for position in 2..=10 {
            writer.submit(batch(position)).unwrap();
        }
        tell.send(Ok(())).unwrap();
        // Nine changes and one position.
        assert_eq!(begins.recv().unwrap(), 10);
        tell.send(Ok(())).unwrap();
        assert!(writer.close());
        assert_eq!(writer.position(), 10);
    }

    #[test]
    fn stops_for_good_at_the_first_failure_and_says_so_to_those_who_wait() {
        let (mut writer, begins, tell) = start();
        tell.send(Err(io::ErrorKind::StorageFull.into())).unwrap();
        assert!(matches!(writer.apply(batch(1)), Err(StoreError::Stopped)));
        assert_eq!(begins.recv().unwrap(), 2);
        // The engine is not asked again: there would be a hole.
        assert!(matches!(writer.apply(batch(2)), Err(StoreError::Stopped)));
        assert!(matches!(writer.submit(batch(3)), Err(StoreError::Stopped)));
        assert_eq!(writer.position(), 0);
        assert!(!writer.close());
        assert!(begins.recv().is_err());
    }

    #[test]
    fn a_full_queue_stops_it_without_anybody_waiting() {
        let (mut writer, begins, tell) = start();
        writer.submit(batch(1)).unwrap();
        begins.recv().unwrap();
        // The engine hangs; the queue takes so many and no more.
        for position in 0..QUEUE as u64 {
            writer.submit(batch(position + 2)).unwrap();
        }
        assert!(matches!(writer.submit(batch(0)), Err(StoreError::Stopped)));
        assert!(writer.is_stopped());
        tell.send(Ok(())).unwrap();
        assert!(!writer.close());
        // What was queued before the gap is not written either: behind is simpler than nearly.
        assert_eq!(writer.position(), 1);
    }
}
