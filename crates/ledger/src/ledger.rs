//! The handle many tasks share: appends go through one writer, in groups.

mod publisher;
mod queue;
mod shelf;
mod signals;
mod task;
mod thread;
mod writer;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use entente_clock::Clock;
use entente_reason::Reason;
use entente_signing::{Digest, Signer};
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot, watch};

use crate::checkpoint::SignedCheckpoint;
use crate::companion::Companion;
use crate::cosigner::Cosigner;
use crate::disk::Disk;
use crate::layout::Layout;
use crate::log::tail::TailEntry;
use crate::log::{Log, LogError, Recovery};
use crate::proof::{ConsistencyProof, InclusionProof};
use crate::signatory::{OneKey, Signatory};

use publisher::{Command, Publisher, Witnesses};
use queue::{Appends, MAX_APPENDS, Pending, Queue, Reply};
use signals::Signals;
use writer::Writer;

pub(crate) use shelf::Shelf;

/// What to append.
#[derive(Clone, Debug)]
pub struct Append {
    /// The entry's bytes: at most 65,535, not empty.
    pub entry: Bytes,
    /// What is kept beside it, durable with it: at most [`crate::MAX_ATTACHMENT`] bytes.
    pub attachment: Option<Bytes>,
}

/// Where an entry is. It is durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Appended {
    /// Position in the ledger, from 0.
    pub index: u64,
    /// RFC 6962 leaf hash of the entry.
    pub leaf_hash: Digest,
}

/// How a ledger is opened.
#[derive(Debug)]
pub struct LedgerConfig {
    /// The shard's own folder; created when missing.
    pub dir: PathBuf,
    /// The shard's origin: the first line of its checkpoints and the name of its key.
    pub origin: String,
    /// Who signs its checkpoints.
    pub signer: Arc<dyn Signatory>,
    /// Where files are.
    pub disk: Arc<dyn Disk>,
    /// Where attachments go.
    pub companion: Box<dyn Companion>,
    /// Who cosigns checkpoints before they are published; none: nobody has to, and each is final.
    pub cosigner: Option<Arc<dyn Cosigner>>,
    /// For refusing to write while the clock is behind the newest entry.
    pub clock: Arc<dyn Clock>,
    /// Longest wait before full bundles leave the write-ahead log.
    pub integrate_every: Duration,
    /// How often a checkpoint is published when the ledger grew.
    pub checkpoint_every: Duration,
    /// How large a segment of the write-ahead log grows, in bytes.
    pub segment_bytes: u64,
    /// Whether segments are filled with zeros ahead of use, off the path of appends: faster, at the
    /// price of up to two segments of disk.
    pub preallocate: bool,
}

/// Who does the writing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Runner {
    /// One task of the current runtime; nothing runs beside it. For simulations.
    Task,
    /// One thread that appends and one that integrates. For real disks.
    Thread,
}

/// A ledger, open for appending. Clones share it; when the last one goes without
/// [`Ledger::shutdown`], the writer stops as if the process had died.
#[derive(Clone, Debug)]
pub struct Ledger {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    origin: String,
    recovery: Recovery,
    queue: Arc<Queue>,
    commands: mpsc::UnboundedSender<Command>,
    sizes: watch::Receiver<u64>,
    checkpoint: watch::Receiver<Option<Arc<SignedCheckpoint>>>,
    finality: watch::Receiver<Option<Arc<SignedCheckpoint>>>,
    writable: watch::Receiver<bool>,
    shelf: Arc<Shelf>,
    runner: Runner,
}

/// How often things are done unasked.
#[derive(Clone, Copy, Debug)]
struct Pace {
    integrate: Duration,
    checkpoint: Duration,
}

/// Why an entry was not appended. Variants are alphabetical.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AppendError {
    /// The clock is more than 60 s behind the newest entry.
    #[error("the clock is behind the newest ledger entry")]
    ClockOff,
    /// The ledger cannot be written, or its queue is full; nothing was appended.
    #[error("the ledger cannot be written")]
    LogUnavailable,
    /// An entry or attachment is empty, too long, or not kept by this ledger.
    #[error("a ledger entry or its attachment is empty or too long")]
    Size,
}

/// Why a ledger could not do what was asked. Variants are alphabetical.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LedgerError {
    /// The ledger was shut down.
    #[error("the ledger is shut down")]
    Closed,
    /// Opening, integrating or publishing failed.
    #[error("failed to work on the ledger")]
    Log(#[from] LogError),
    /// A thread could not be started.
    #[error("failed to start the ledger's writer")]
    Thread(#[from] std::io::Error),
}

/// Why an entry or a proof could not be read. Variants are alphabetical.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// There is no such entry, or no such published size.
    #[error("the ledger does not reach that far")]
    Beyond,
    /// The files could not be read, or are damaged.
    #[error("failed to read the ledger")]
    Log(#[from] LogError),
}

// === impl LedgerConfig ===

impl LedgerConfig {
    /// The defaults, with one Ed25519 key for every checkpoint: integrate every 250 ms, checkpoint every 10 s, segments of 8 MiB, preallocated.
    pub fn new(
        dir: impl Into<PathBuf>,
        origin: impl Into<String>,
        signer: Arc<dyn Signer>,
        disk: Arc<dyn Disk>,
        companion: Box<dyn Companion>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let origin = origin.into();
        let signer = Arc::new(OneKey::new(&origin, signer));
        Self::signed_by(dir, origin, signer, disk, companion, clock)
    }

    /// The same, with whoever says which key signs what.
    pub fn signed_by(
        dir: impl Into<PathBuf>,
        origin: impl Into<String>,
        signer: Arc<dyn Signatory>,
        disk: Arc<dyn Disk>,
        companion: Box<dyn Companion>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self {
            dir: dir.into(),
            origin: origin.into(),
            signer,
            disk,
            companion,
            cosigner: None,
            clock,
            integrate_every: Duration::from_millis(250),
            checkpoint_every: Duration::from_secs(10),
            segment_bytes: 8 * 1024 * 1024,
            preallocate: true,
        }
    }
}

// === impl Ledger ===

impl Ledger {
    /// Opens or creates a ledger, recovers it, and starts its writer. Call it within a runtime.
    ///
    /// # Errors
    /// When the folder is another format or shard's, is open elsewhere, or is damaged.
    pub async fn open(config: LedgerConfig, runner: Runner) -> Result<Self, LedgerError> {
        let pace = Pace {
            integrate: config.integrate_every,
            checkpoint: config.checkpoint_every,
        };
        let (origin, disk) = (config.origin.clone(), Arc::clone(&config.disk));
        let (cosigner, clock) = (config.cosigner.clone(), Arc::clone(&config.clock));
        let keys = Arc::clone(&config.signer);
        let layout = Layout::new(&config.dir);
        let log = match runner {
            Runner::Task => Log::open(config)?,
            Runner::Thread => blocking(move || Log::open(config)).await??,
        };
        let recovery = log.recovery().clone();
        let shelf = Arc::new(Shelf::new(disk, layout, log.appender.tail()));
        let queue = Arc::new(Queue::default());
        let (commands, incoming) = mpsc::unbounded_channel();
        let (signals, watched) = Signals::new(&log);
        let writer = Writer::new(log.appender, signals.clone(), commands.downgrade());
        let witnesses = Witnesses {
            cosigner,
            clock,
            keys,
            shelf: Arc::clone(&shelf),
            runtime: Handle::current(),
            commands: commands.downgrade(),
            may_block: runner == Runner::Task,
        };
        let publisher = Publisher::new(log.integrator, signals, witnesses);
        match runner {
            Runner::Task => task::start(&queue, writer, publisher, incoming, pace),
            Runner::Thread => {
                let commands = commands.downgrade();
                thread::start(&queue, writer, publisher, commands, incoming, pace)?;
            }
        }
        Ok(Self {
            inner: Arc::new(Inner {
                origin,
                recovery,
                queue,
                commands,
                sizes: watched.sizes,
                checkpoint: watched.checkpoint,
                finality: watched.finality,
                writable: watched.writable,
                shelf,
                runner,
            }),
        })
    }

    /// What opening had to repair.
    pub fn recovery(&self) -> &Recovery {
        &self.inner.recovery
    }

    /// The ledger's origin.
    pub fn origin(&self) -> &str {
        &self.inner.origin
    }

    /// Appends one entry; answers when it is durable.
    ///
    /// A future that is dropped before it answers leaves open whether the entry was appended.
    ///
    /// # Errors
    /// Then nothing was appended, and nothing may be sent or acted on.
    pub async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        let (reply, answer) = oneshot::channel();
        self.submit(Pending {
            appends: Appends::One(append.into()),
            reply: Reply::One(reply),
        })?;
        answer.await.map_err(|_| AppendError::LogUnavailable)?
    }

    /// Appends entries next to each other, in one commit: all or none. At most 1,024, and 32 MiB.
    ///
    /// # Errors
    /// As [`Ledger::append`].
    pub async fn append_all(&self, appends: Vec<Append>) -> Result<Vec<Appended>, AppendError> {
        if appends.is_empty() {
            return Ok(Vec::new());
        }
        if appends.len() > MAX_APPENDS {
            return Err(AppendError::Size);
        }
        let (reply, answer) = oneshot::channel();
        self.submit(Pending {
            appends: Appends::Many(appends.into_iter().map(TailEntry::from).collect()),
            reply: Reply::Many(reply),
        })?;
        answer.await.map_err(|_| AppendError::LogUnavailable)?
    }

    /// How many entries are durable.
    pub fn size(&self) -> u64 {
        self.inner.shelf.size()
    }

    /// Follows [`Ledger::size`].
    pub fn sizes(&self) -> watch::Receiver<u64> {
        self.inner.sizes.clone()
    }

    /// The newest published checkpoint.
    pub fn checkpoint(&self) -> watch::Receiver<Option<Arc<SignedCheckpoint>>> {
        self.inner.checkpoint.clone()
    }

    /// The newest published checkpoint that its witnesses' quorum cosigned, of an earlier run too. Without
    /// witnesses, the newest.
    pub fn finality(&self) -> watch::Receiver<Option<Arc<SignedCheckpoint>>> {
        self.inner.finality.clone()
    }

    /// Whether entries can be appended. Turns false when the disk is full or failing, and true again
    /// by itself.
    pub fn writable(&self) -> watch::Receiver<bool> {
        self.inner.writable.clone()
    }

    /// Publishes a checkpoint over everything durable now, and answers with it, with the cosignatures of
    /// the witnesses that answered in time.
    ///
    /// # Errors
    /// When it could not be written.
    pub async fn publish_now(&self) -> Result<Arc<SignedCheckpoint>, LedgerError> {
        let (reply, answer) = oneshot::channel();
        let sent = self.inner.commands.send(Command::Publish(reply));
        sent.map_err(|_| LedgerError::Closed)?;
        Ok(answer.await.map_err(|_| LedgerError::Closed)??)
    }

    /// One entry.
    ///
    /// # Errors
    /// When it is not there or cannot be read.
    pub async fn read(&self, index: u64) -> Result<Bytes, ReadError> {
        if let Some(entry) = self.inner.shelf.held(index) {
            return Ok(entry);
        }
        self.on_shelf(move |shelf| shelf.entry(index)).await
    }

    /// Entries from `start` on, up to `limit` (at most 1,024) and about 1 MiB; fewer at the end.
    ///
    /// # Errors
    /// When they cannot be read.
    pub async fn entries(&self, start: u64, limit: usize) -> Result<Vec<Bytes>, ReadError> {
        let limit = limit.min(MAX_APPENDS);
        self.on_shelf(move |shelf| shelf.entries(start, limit))
            .await
    }

    /// Proves that entry `index` is in the tree of `size`, which a published checkpoint reaches.
    ///
    /// # Errors
    /// When no checkpoint reaches `size`, or `index` is not below it.
    pub async fn inclusion(&self, index: u64, size: u64) -> Result<InclusionProof, ReadError> {
        self.leaf(index, size).await.map(|(_, proof)| proof)
    }

    /// As [`Ledger::inclusion`], with the entry's leaf hash.
    ///
    /// # Errors
    /// As there.
    pub async fn leaf(&self, index: u64, size: u64) -> Result<(Digest, InclusionProof), ReadError> {
        let published = self.published();
        let proof = move |shelf: &Shelf| shelf.inclusion(index, size, published);
        self.on_shelf(proof).await
    }

    /// Proves that the tree of `old_size` is the beginning of that of `new_size`; a published checkpoint
    /// reaches both.
    ///
    /// # Errors
    /// When no checkpoint reaches `new_size`, or `old_size` is 0 or larger than it.
    pub async fn consistency(
        &self,
        old_size: u64,
        new_size: u64,
    ) -> Result<ConsistencyProof, ReadError> {
        let published = self.published();
        let proof = move |shelf: &Shelf| shelf.consistency(old_size, new_size, published);
        self.on_shelf(proof).await
    }

    /// Root of the tree of `size`, which a published checkpoint reaches.
    ///
    /// # Errors
    /// When none does, or it cannot be read.
    pub async fn root(&self, size: u64) -> Result<Digest, ReadError> {
        let published = self.published();
        self.on_shelf(move |shelf| shelf.root(size, published))
            .await
    }

    /// One hash tile of the published tree, as it is served: `width` hashes, or 256 when it is 0 or 256.
    ///
    /// # Errors
    /// When there is no such tile, or it cannot be read.
    pub async fn tile(&self, level: u8, index: u64, width: u16) -> Result<Vec<u8>, ReadError> {
        let published = self.published();
        let read = move |shelf: &Shelf| shelf.tile(level, index, width, published);
        self.on_shelf(read).await
    }

    /// Takes no more entries; integrates, publishes (without waiting for witnesses) and closes. Later calls answer at once.
    ///
    /// # Errors
    /// When something could not be written; the entries are in the write-ahead log all the same.
    pub async fn shutdown(&self) -> Result<(), LedgerError> {
        let (reply, answer) = oneshot::channel();
        self.inner.queue.close(Some(reply));
        // Answered when the writer has committed what was queued and has stopped.
        if answer.await.is_err() {
            return Err(LedgerError::Closed);
        }
        let (reply, answer) = oneshot::channel();
        let sent = self.inner.commands.send(Command::Close(reply));
        sent.map_err(|_| LedgerError::Closed)?;
        Ok(answer.await.map_err(|_| LedgerError::Closed)??)
    }

    fn submit(&self, pending: Pending) -> Result<(), AppendError> {
        if !*self.inner.writable.borrow() {
            return Err(AppendError::LogUnavailable);
        }
        self.inner.queue.push(pending)
    }

    fn published(&self) -> u64 {
        let checkpoint = self.inner.checkpoint.borrow();
        checkpoint
            .as_ref()
            .map_or(0, |checkpoint| checkpoint.size())
    }

    /// Reads files where that may block: on the runtime's threads for blocking, or right here.
    async fn on_shelf<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Shelf) -> Result<T, ReadError> + Send + 'static,
    ) -> Result<T, ReadError> {
        match self.inner.runner {
            Runner::Task => read(&self.inner.shelf),
            Runner::Thread => {
                let shelf = Arc::clone(&self.inner.shelf);
                let read = tokio::task::spawn_blocking(move || read(&shelf)).await;
                read.map_err(|_| ReadError::Beyond)?
            }
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.queue.close(None);
    }
}

/// Runs `work` where it may block.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, LedgerError> {
    let worked = tokio::task::spawn_blocking(work).await;
    worked.map_err(|_| LedgerError::Closed)
}

// === impl AppendError ===

impl AppendError {
    /// What the caller is told.
    pub const fn reason(&self) -> Reason {
        match self {
            Self::ClockOff => Reason::ClockOff,
            Self::LogUnavailable => Reason::LogUnavailable,
            Self::Size => Reason::MessageTooLarge,
        }
    }
}

// === impl LedgerError ===

impl LedgerError {
    /// What the caller is told.
    pub const fn reason(&self) -> Reason {
        Reason::LogUnavailable
    }
}

// === impl ReadError ===

impl ReadError {
    /// What the caller is told.
    pub const fn reason(&self) -> Reason {
        match self {
            Self::Beyond => Reason::NoRecord,
            Self::Log(_) => Reason::LogUnavailable,
        }
    }
}
