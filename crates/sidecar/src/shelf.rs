//! Where records lie: one folder a day, with segments of ciphertext and a file of wrapped keys.
//!
//! Both are append-only files of frames `u32be len ‖ u32be crc32c ‖ frame`. A frame of a segment is
//! CBOR `[index, ciphertext]`, one of `wrapped` is `[index, hash, retention, wrapped key, segment, offset]`.
//! A record counts once its wrapped key is there, so that is written when the ciphertext is durable, never
//! before. Where a single record was erased, its wrapped key is all zeros.

mod tail;
mod wrapped;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use entente_clock::Day;
use entente_ledger::disk::{Disk, durable};
use entente_signing::Digest;
use entente_signing::cbor::{CborError, Reader, Writer};

use crate::record::Attachment;
use crate::retention::{Period, Retention};
use crate::{SidecarError, frame};
use tail::Tail;
use wrapped::{Wrapped, WrappedKey};

/// Every day's shelf.
#[derive(Debug)]
pub(crate) struct Shelves {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    open: BTreeMap<Day, Shelf>,
}

/// One day, open for appending.
#[derive(Debug)]
struct Shelf {
    dir: PathBuf,
    segment: u64,
    records: Tail,
    wrapped: Tail,
    /// Frames for `wrapped`, of records that are not durable yet.
    keys: Vec<u8>,
    /// The newest index whose record was written.
    newest: Option<u64>,
    /// The newest index whose record and key are durable.
    durable: Option<u64>,
    /// Whether something waits for a sync: also what an earlier process wrote and perhaps did not sync.
    is_dirty: bool,
}

/// A record that was found.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) period: Period,
    /// None where this one record was erased.
    pub(crate) wrapped: Option<[u8; 40]>,
    pub(crate) ciphertext: Vec<u8>,
}

/// A record of a day, as far as it can be told without a key.
#[derive(Clone, Debug)]
pub(crate) struct Held {
    pub(crate) hash: Digest,
    pub(crate) retention: Retention,
    pub(crate) is_erased: bool,
    /// Whether the ciphertext is there and is the one its hash names.
    pub(crate) is_whole: bool,
}

/// A segment is closed beyond this size, in bytes.
const SEGMENT: u64 = 256 * 1024 * 1024;

/// Days kept open for appending; more than two are open only around midnight and after a restart.
const OPEN_DAYS: usize = 4;

// === impl Shelves ===

impl Shelves {
    pub(crate) const fn new(disk: Arc<dyn Disk>, dir: PathBuf) -> Self {
        Self {
            disk,
            dir,
            open: BTreeMap::new(),
        }
    }

    /// Stores a record. Again is harmless: what is there already stays as it is.
    pub(crate) fn store(&mut self, index: u64, record: &Attachment) -> Result<(), SidecarError> {
        let stored = self.store_on_shelf(index, record);
        self.roll_back_unless(stored.is_ok());
        stored
    }

    /// Makes everything stored durable.
    pub(crate) fn sync(&mut self) -> Result<(), SidecarError> {
        let synced = self.open.values_mut().try_for_each(Shelf::sync);
        self.roll_back_unless(synced.is_ok());
        synced
    }

    fn store_on_shelf(&mut self, index: u64, record: &Attachment) -> Result<(), SidecarError> {
        if !self.open.contains_key(&record.day) {
            if self.open.len() >= OPEN_DAYS {
                self.sync()?;
                self.open.clear();
            }
            let shelf = Shelf::open(&*self.disk, self.dir.join(record.day.to_string()))?;
            self.open.insert(record.day, shelf);
        }
        let shelf = self.open.get_mut(&record.day);
        let shelf = shelf.ok_or(SidecarError::Missing)?;
        if shelf.newest.is_some_and(|newest| newest >= index) {
            return Ok(());
        }
        shelf.append(&*self.disk, index, record)
    }

    /// After a failure, forgets what is not durable: it is stored again, and so written again. A sync that
    /// failed may have dropped pages, and asking for it again would not tell.
    fn roll_back_unless(&mut self, is_ok: bool) {
        if !is_ok {
            for shelf in self.open.values_mut() {
                shelf.roll_back();
            }
        }
    }

    /// Looks a record up by the hash its entry holds: reads the days, newest first.
    pub(crate) fn find(&self, hash: &Digest) -> Result<Option<Found>, SidecarError> {
        let items = self.disk.list(&self.dir)?;
        let days = items.iter().filter(|item| item.is_dir);
        let mut days: Vec<Day> = days.filter_map(|item| item.name.parse().ok()).collect();
        days.sort_unstable();
        for day in days.into_iter().rev() {
            let dir = self.dir.join(day.to_string());
            let path = dir.join(WRAPPED);
            let held = Wrapped::read(&*self.disk.open_read(&path)?, &path)?;
            let Some(key) = held.keys.into_iter().find(|key| key.hash == *hash) else {
                continue;
            };
            let ciphertext = ciphertext(&*self.disk, &dir, &key)?;
            let path = segment_path(&dir, key.segment);
            return Ok(Some(Found {
                wrapped: key.wrapped(),
                period: Period::of_day(key.retention, day),
                ciphertext: ciphertext
                    .ok_or_else(|| damaged(&path, "a record is not where its key says"))?,
            }));
        }
        Ok(None)
    }

    /// Writes the wrapped keys of a day anew, as `change` has them. Everything stored must be synced.
    pub(crate) fn rewrite(
        &mut self,
        day: Day,
        change: impl Fn(&mut WrappedKey) -> Result<(), SidecarError>,
    ) -> Result<(), SidecarError> {
        // Opened again by the next record of the day, where the new file ends.
        self.open.remove(&day);
        let dir = self.dir.join(day.to_string());
        let path = dir.join(WRAPPED);
        let held = Wrapped::read(&*self.disk.open_read(&path)?, &path)?;
        let mut bytes = Vec::new();
        for mut key in held.keys {
            change(&mut key)?;
            frame::put(&mut bytes, &key.encode())?;
        }
        // If we crash here, the day has its old keys, or its new ones, and never some of each.
        Ok(durable::replace(&*self.disk, &dir.join(WRAPPED), &bytes)?)
    }
}

/// The records of a day, each looked at; none when there is no such day.
pub(crate) fn held_on(disk: &dyn Disk, dir: &Path, day: Day) -> Result<Vec<Held>, SidecarError> {
    let dir = dir.join(day.to_string());
    let path = dir.join(WRAPPED);
    let file = match disk.open_read(&path) {
        Ok(file) => file,
        Err(error) if error.is_missing() => return Ok(Vec::new()),
        Err(error) => return Err(error.into()),
    };
    let keys = Wrapped::read(&*file, &path)?.keys.into_iter();
    keys.map(|key| {
        let found = ciphertext(disk, &dir, &key)?;
        Ok(Held {
            hash: key.hash,
            is_erased: key.wrapped().is_none(),
            is_whole: found.is_some_and(|found| Digest::of(&found) == key.hash),
            retention: key.retention,
        })
    })
    .collect()
}

/// The ciphertext a key belongs to; none when it is gone, or not where the key says.
fn ciphertext(
    disk: &dyn Disk,
    dir: &Path,
    key: &WrappedKey,
) -> Result<Option<Vec<u8>>, SidecarError> {
    let file = match disk.open_read(&segment_path(dir, key.segment)) {
        Ok(file) => file,
        Err(error) if error.is_missing() => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let frame = frame::read(&*file, key.offset)?;
    Ok(frame.and_then(|frame| ciphertext_of(&frame, key.index).ok()))
}

// === impl Shelf ===

impl Shelf {
    fn open(disk: &dyn Disk, dir: PathBuf) -> Result<Self, SidecarError> {
        disk.create_dir_all(&dir)?;
        durable::settle(disk, &dir)?;
        let path = dir.join(WRAPPED);
        let mut wrapped = Tail::open(disk, &path, &dir)?;
        let held = Wrapped::read(&*wrapped.file, &path)?;
        let last = held.keys.iter().max_by_key(|key| (key.segment, key.offset));
        let segment = last.map_or(0, |key| key.segment);
        let mut records = Tail::open(disk, &segment_path(&dir, segment), &dir)?;
        // What lies beyond the last whole key is the remains of a crash: it is stored again.
        wrapped.cut(held.end)?;
        let end = match last {
            Some(key) => match frame::read(&*records.file, key.offset)? {
                Some(frame) => key.offset + 8 + frame.len() as u64,
                None => return Err(damaged(&dir, "the newest record is cut short")),
            },
            None => 0,
        };
        records.cut(end)?;
        // Where a key before others is damaged, what follows it is kept, and stored again if the
        // write-ahead log still has it.
        let newest = held.keys[..held.whole].last().map(|key| key.index);
        Ok(Self {
            segment,
            newest,
            durable: newest,
            records,
            wrapped,
            keys: Vec::new(),
            dir,
            is_dirty: true,
        })
    }

    fn append(
        &mut self,
        disk: &dyn Disk,
        index: u64,
        record: &Attachment,
    ) -> Result<(), SidecarError> {
        if self.records.end > SEGMENT {
            self.sync()?;
            let next = segment_path(&self.dir, self.segment + 1);
            let mut records = Tail::open(disk, &next, &self.dir)?;
            records.cut(0)?;
            self.records = records;
            self.segment += 1;
        }
        self.is_dirty = true;
        let offset = self.records.end;
        let mut frame = Writer::with_capacity(record.ciphertext.len() + 24);
        frame.array(2).uint(index).bytes(&record.ciphertext);
        let mut bytes = Vec::with_capacity(record.ciphertext.len() + 32);
        frame::put(&mut bytes, frame.as_slice())?;
        self.records.append(&bytes)?;
        let key = WrappedKey::new(index, record, self.segment, offset);
        frame::put(&mut self.keys, &key.encode())?;
        self.newest = Some(index);
        Ok(())
    }

    fn sync(&mut self) -> Result<(), SidecarError> {
        if !self.is_dirty {
            return Ok(());
        }
        self.records.sync()?;
        // If we crash here, ciphertexts are there that no key opens; they are stored again.
        let keys = std::mem::take(&mut self.keys);
        self.wrapped.append(&keys)?;
        self.wrapped.sync()?;
        // If we crash here, the records are here and in the write-ahead log, and are not stored twice.
        self.durable = self.newest;
        self.is_dirty = false;
        Ok(())
    }

    fn roll_back(&mut self) {
        self.records.roll_back();
        self.wrapped.roll_back();
        self.keys.clear();
        self.newest = self.durable;
    }
}

fn ciphertext_of(frame: &[u8], index: u64) -> Result<Vec<u8>, CborError> {
    let mut reader = Reader::new(frame);
    if reader.array()? != 2 || reader.uint()? != index {
        return Err(CborError::Unexpected);
    }
    let ciphertext = reader.bytes()?.to_vec();
    reader.finish()?;
    Ok(ciphertext)
}

fn segment_path(dir: &Path, segment: u64) -> PathBuf {
    dir.join(format!("{segment:03}.seg"))
}

fn damaged(path: &Path, what: &'static str) -> SidecarError {
    SidecarError::Damaged {
        path: path.to_owned(),
        what,
    }
}

const WRAPPED: &str = "wrapped";
