//! The engine under the store: everything that names sled, behind four operations.

use std::fs::File;
use std::io;
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use crate::batch::Change;

/// An ordered map of bytes with atomic durable batches. Another engine is another implementation.
pub(crate) trait Backend: Send + Sync {
    /// The value of a key.
    fn read(&self, key: &[u8]) -> io::Result<Option<Vec<u8>>>;

    /// Visits keys from `from` (inclusive) to `to` (exclusive), ascending, until told to stop.
    fn visit(&self, from: &[u8], to: &[u8], visit: &mut Visit<'_>) -> io::Result<()>;

    /// Applies the changes in order, all or none. Durable when it returns.
    fn commit(&self, changes: Vec<Change>) -> io::Result<()>;
}

/// What is called with each key and value.
pub(crate) type Visit<'a> = dyn FnMut(&[u8], &[u8]) -> ControlFlow<()> + 'a;

/// sled 0.34.
pub(crate) struct Sled {
    db: sled::Db,
    /// Our own handle on sled's log: its `flush` starts the write-back but does not wait for the
    /// disk (`sync_file_range`), so we fsync.
    log: File,
}

// === impl Sled ===

impl Sled {
    /// Opens or creates a sled folder; with `scan`, reads every key and value first. Anything wrong
    /// is an error, sled's panics included (where the build unwinds; where it aborts, the OPENING
    /// marker of the folder tells the next start).
    pub(crate) fn open(path: &Path, scan: bool) -> io::Result<Self> {
        guarded(|| {
            let db = sled::Config::new()
                .path(path)
                .mode(sled::Mode::LowSpace)
                .cache_capacity(CACHE)
                // Only the writer flushes.
                .flush_every_ms(None)
                .open()
                .map_err(io::Error::other)?;
            if scan {
                for item in db.iter() {
                    item.map_err(io::Error::other)?;
                }
            }
            db.flush().map_err(io::Error::other)?;
            let log = File::open(path.join("db"))?;
            log.sync_all()?;
            File::open(path)?.sync_all()?;
            Ok(Self { db, log })
        })
    }
}

impl Backend for Sled {
    fn read(&self, key: &[u8]) -> io::Result<Option<Vec<u8>>> {
        guarded(|| {
            let value = self.db.get(key).map_err(io::Error::other)?;
            Ok(value.map(|bytes| bytes.to_vec()))
        })
    }

    fn visit(&self, from: &[u8], to: &[u8], visit: &mut Visit<'_>) -> io::Result<()> {
        guarded(|| {
            for item in self.db.range(from..to) {
                let (key, value) = item.map_err(io::Error::other)?;
                if visit(&key, &value).is_break() {
                    break;
                }
            }
            Ok(())
        })
    }

    fn commit(&self, changes: Vec<Change>) -> io::Result<()> {
        guarded(|| {
            let mut batch = sled::Batch::default();
            for (key, value) in changes {
                match value {
                    Some(value) => batch.insert(key, value),
                    None => batch.remove(key),
                }
            }
            self.db.apply_batch(batch).map_err(io::Error::other)?;
            // If we crash here, sled recovers to before or after the batch: its position says which.
            self.db.flush().map_err(io::Error::other)?;
            self.log.sync_all()
        })
    }
}

/// sled panics where its files surprise it.
fn guarded<T>(work: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
    catch_unwind(AssertUnwindSafe(work))
        .unwrap_or_else(|_| Err(io::Error::other("the store's engine panicked")))
}

/// Bytes of sled's page cache; its default is 1 GiB.
const CACHE: u64 = 8 * 1024 * 1024;
