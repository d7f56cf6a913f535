//! Opening, reading and closing.

use std::fmt;
use std::io;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use entente_reason::Reason;

use crate::backend::{Backend, Sled};
use crate::batch::{Batch, Journal, Tree, full_key};
use crate::folder::{Folder, OPENING, RUNNING};
use crate::messages::Row;
use crate::writer::Writer;

/// An index over one ledger, in a folder of its own.
///
/// Dropping it writes what is queued and closes it cleanly; share it in an `Arc`. Writing never
/// waits ([`Store::submit`]) or happens off the request path ([`Store::apply`]).
pub struct Store {
    // In this order: the writer ends, the engine closes, then the lock goes.
    writer: Writer,
    backend: Option<Arc<dyn Backend>>,
    folder: Folder,
    /// Rows of messages that are not in the engine yet.
    recent: Mutex<Vec<Row>>,
}

/// A store that was opened, and what its caller has to do before relying on it.
#[derive(Debug)]
pub struct Opened {
    /// The store.
    pub store: Store,
    /// The ledger's entries from this index on are not in it yet: replay them. Equal to the
    /// ledger's size when there is nothing to do.
    pub replay_from: u64,
    /// Why everything has to be replayed, if so. Say it in the log and in a metric.
    pub rebuild: Option<RebuildCause>,
    /// Where the unusable files were moved.
    pub set_aside: Option<PathBuf>,
}

/// Why an index is built anew. Variants are alphabetical.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RebuildCause {
    /// It reflects more entries than the ledger has: the ledger was replaced or cut.
    Ahead,
    /// The last start died while opening it.
    CrashedOpening,
    /// There was none.
    New,
    /// It belongs to another ledger.
    OtherJournal,
    /// It does not say what it reflects.
    PositionMissing,
    /// Its files do not open or cannot be read.
    Unreadable,
}

/// Why the store could not do something.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The folder cannot be used.
    #[error("using the store's folder")]
    Folder(#[source] io::Error),
    /// The folder was written by a newer version, or is no store.
    #[error("store has format {found:?}")]
    Format {
        /// What its FORMAT file says.
        found: String,
    },
    /// Another process has it open.
    #[error("store is in use by another process")]
    InUse,
    /// Reading failed.
    #[error("reading the store")]
    Read(#[source] io::Error),
    /// Something could not be written, and nothing has been since. Exchange goes on; the index is
    /// behind until the next start.
    #[error("store no longer takes writes")]
    Stopped,
    /// A key or value is too large.
    #[error("key or value is too large for the store")]
    TooLarge,
}

// === impl Store ===

impl Store {
    /// Opens the index over `journal` in `folder`, which is created if absent. Whatever is wrong
    /// with what is there, it is set aside and an empty index takes its place.
    ///
    /// # Errors
    /// When the folder itself cannot be used, is of a newer format, or is open elsewhere.
    pub fn open(folder: &Path, journal: Journal<'_>) -> Result<Opened, StoreError> {
        let folder = Folder::enter(folder)?;
        let found = Self::look(&folder, journal)?;
        let (backend, replay_from, rebuild, set_aside) = match found {
            Ok((backend, position)) => (backend, position, None, None),
            Err(cause) => {
                let set_aside = folder.set_aside().map_err(StoreError::Folder)?;
                // If we crash here, there is no index, which is where a rebuild starts.
                folder.mark(OPENING).map_err(StoreError::Folder)?;
                let backend = Sled::open(&folder.index(), false).map_err(StoreError::Folder)?;
                (backend, 0, Some(cause), set_aside)
            }
        };
        folder.mark(RUNNING).map_err(StoreError::Folder)?;
        folder.unmark(OPENING).map_err(StoreError::Folder)?;
        let backend: Arc<dyn Backend> = Arc::new(backend);
        let origin = journal.origin.to_owned();
        let writer =
            Writer::start(backend.clone(), origin, replay_from).map_err(StoreError::Folder)?;
        let store = Self {
            writer,
            backend: Some(backend),
            folder,
            recent: Mutex::default(),
        };
        if rebuild.is_some() {
            // An index that says it reflects nothing is distinct from one that says nothing.
            let mut batch = Batch::new();
            batch.position(0);
            store.apply(batch)?;
        }
        Ok(Opened {
            store,
            replay_from,
            rebuild,
            set_aside,
        })
    }

    /// The index that is there and its position, or why it cannot be used.
    fn look(
        folder: &Folder,
        journal: Journal<'_>,
    ) -> Result<Result<(Sled, u64), RebuildCause>, StoreError> {
        if !folder.index().try_exists().map_err(StoreError::Folder)? {
            return Ok(Err(RebuildCause::New));
        }
        if folder.has(OPENING) {
            return Ok(Err(RebuildCause::CrashedOpening));
        }
        // After an unclean stop every byte is read once while OPENING stands, so that damage shows
        // now and not in the middle of a call.
        let scan = folder.has(RUNNING);
        folder.mark(OPENING).map_err(StoreError::Folder)?;
        let Ok(backend) = Sled::open(&folder.index(), scan) else {
            return Ok(Err(RebuildCause::Unreadable));
        };
        let Ok(stored) = backend.read(POSITION) else {
            return Ok(Err(RebuildCause::Unreadable));
        };
        let found = stored.as_deref().and_then(<[u8]>::split_first_chunk::<8>);
        Ok(match found {
            None => Err(RebuildCause::PositionMissing),
            Some((_, origin)) if origin != journal.origin.as_bytes() => {
                Err(RebuildCause::OtherJournal)
            }
            Some((position, _)) => match u64::from_be_bytes(*position) {
                position if position > journal.size => Err(RebuildCause::Ahead),
                position => Ok((backend, position)),
            },
        })
    }

    /// Queues a batch and returns at once; for request paths. When the queue is full the store
    /// stops taking writes rather than make anybody wait or leave a hole.
    ///
    /// # Errors
    /// [`StoreError::Stopped`].
    pub fn submit(&self, batch: Batch) -> Result<(), StoreError> {
        self.writer.submit(batch)
    }

    /// Writes a batch and blocks until it is durable; for rebuilding and background work.
    ///
    /// # Errors
    /// [`StoreError::Stopped`].
    pub fn apply(&self, batch: Batch) -> Result<(), StoreError> {
        self.writer.apply(batch)
    }

    /// How many of the ledger's entries the durable index reflects.
    pub fn position(&self) -> u64 {
        self.writer.position()
    }

    /// Whether it still takes writes.
    pub fn is_writable(&self) -> bool {
        !self.writer.is_stopped()
    }

    /// The value of a key. A direct, short read.
    ///
    /// # Errors
    /// When the engine cannot read.
    pub fn read(&self, tree: Tree, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.backend()
            .read(&full_key(tree, key))
            .map_err(StoreError::Read)
    }

    /// Visits the keys of a tree from `from` (inclusive) to `to` (exclusive; `None`: to its end),
    /// ascending, until `visit` says [`ControlFlow::Break`].
    ///
    /// # Errors
    /// When the engine cannot read.
    pub fn range(
        &self,
        tree: Tree,
        from: &[u8],
        to: Option<&[u8]>,
        mut visit: impl FnMut(&[u8], &[u8]) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        let to = to.map_or_else(|| vec![tree as u8 + 1], |to| full_key(tree, to));
        let from = full_key(tree, from);
        if from >= to {
            return Ok(());
        }
        self.backend()
            .visit(&from, &to, &mut |key, value| {
                visit(key.get(1..).unwrap_or_default(), value)
            })
            .map_err(StoreError::Read)
    }

    /// Where the cursor called `name` stands.
    ///
    /// # Errors
    /// When the engine cannot read.
    pub fn cursor(&self, name: &str) -> Result<Option<u64>, StoreError> {
        let value = self.read(Tree::Cursors, name.as_bytes())?;
        Ok(value
            .as_deref()
            .and_then(<[u8]>::first_chunk::<8>)
            .map(|at| u64::from_be_bytes(*at)))
    }

    pub(crate) fn recent(&self) -> MutexGuard<'_, Vec<Row>> {
        self.recent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn backend(&self) -> &dyn Backend {
        self.backend
            .as_deref()
            .expect("the engine is taken only when the store is dropped")
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        let clean = self.writer.close();
        // The writer's thread has ended, so this is the last reference: sled closes here.
        drop(self.backend.take());
        if clean {
            // If this fails, the next start scans the whole index: slower, not wrong.
            let _ = self.folder.unmark(RUNNING);
        }
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store")
            .field("folder", &self.folder)
            .field("position", &self.position())
            .finish_non_exhaustive()
    }
}

// === impl StoreError ===

impl StoreError {
    /// The refusal this amounts to: the store refuses nobody, so only a fault of ours.
    pub const fn reason(&self) -> Reason {
        Reason::InternalFault
    }
}

// === impl RebuildCause ===

impl RebuildCause {
    /// The word for logs and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ahead => "ahead",
            Self::CrashedOpening => "crashed_opening",
            Self::New => "new",
            Self::OtherJournal => "other_journal",
            Self::PositionMissing => "position_missing",
            Self::Unreadable => "unreadable",
        }
    }
}

/// The key of `position u64 ‖ origin`; sorts before every tree.
pub(crate) const POSITION: &[u8] = &[0];
