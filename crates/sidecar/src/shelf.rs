//! Where records lie: one folder a day, with segments of ciphertext and a file of wrapped keys.
//!
//! Both are append-only files of frames `u32be len ‖ u32be crc32c ‖ frame`. A frame of a segment is
//! CBOR `[index, ciphertext]`, one of `wrapped` is `[index, hash, class, wrapped key, segment, offset]`. A
//! record counts once its wrapped key is there, so that is written when the ciphertext is durable, never
//! before.

mod tail;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use entente_clock::Day;
use entente_ledger::disk::{Disk, DiskFile};
use entente_signing::Digest;
use entente_signing::cbor::{CborError, Reader, Writer};

use crate::SidecarError;
use crate::durable::settle;
use crate::record::Attachment;
use tail::Tail;

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
    pub(crate) class: String,
    pub(crate) day: Day,
    pub(crate) wrapped: [u8; 40],
    pub(crate) ciphertext: Vec<u8>,
}

#[derive(Debug)]
struct WrappedKey {
    index: u64,
    hash: Digest,
    class: String,
    wrapped: [u8; 40],
    segment: u64,
    offset: u64,
}

/// The keys of one day, oldest first.
#[derive(Debug)]
struct Wrapped {
    keys: Vec<WrappedKey>,
    /// How many of them come before the first damage.
    whole: usize,
    /// Where the last whole one ends.
    end: u64,
}

/// A segment is closed beyond this size, in bytes.
const SEGMENT: u64 = 256 * 1024 * 1024;

/// The longest frame believed, in bytes.
const MAX_FRAME: usize = 18 * 1024 * 1024;

/// How far a whole key is looked for after a damaged one, in bytes: keys take about 150.
const SEARCHED: usize = 64 * 1024;

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
        let mut days: Vec<Day> = self
            .disk
            .list(&self.dir)?
            .iter()
            .filter(|item| item.is_dir)
            .filter_map(|item| item.name.parse().ok())
            .collect();
        days.sort_unstable();
        for day in days.into_iter().rev() {
            let dir = self.dir.join(day.to_string());
            let path = dir.join(WRAPPED);
            let held = Wrapped::read(&*self.disk.open_read(&path)?, &path)?;
            let Some(key) = held.keys.into_iter().find(|key| key.hash == *hash) else {
                continue;
            };
            let path = segment_path(&dir, key.segment);
            let file = self.disk.open_read(&path)?;
            let frame = read_frame(&*file, key.offset)?;
            let ciphertext = frame
                .and_then(|frame| ciphertext_of(&frame, key.index).ok())
                .ok_or_else(|| damaged(&path, "a record is not where its key says"))?;
            return Ok(Some(Found {
                class: key.class,
                day,
                wrapped: key.wrapped,
                ciphertext,
            }));
        }
        Ok(None)
    }
}

// === impl Shelf ===

impl Shelf {
    fn open(disk: &dyn Disk, dir: PathBuf) -> Result<Self, SidecarError> {
        disk.create_dir_all(&dir)?;
        settle(disk, &dir)?;
        let path = dir.join(WRAPPED);
        let mut wrapped = Tail::open(disk, &path, &dir)?;
        let held = Wrapped::read(&*wrapped.file, &path)?;
        let last = held.keys.iter().max_by_key(|key| (key.segment, key.offset));
        let segment = last.map_or(0, |key| key.segment);
        let mut records = Tail::open(disk, &segment_path(&dir, segment), &dir)?;
        // What lies beyond the last whole key is the remains of a crash: it is stored again.
        wrapped.cut(held.end)?;
        let end = match last {
            Some(key) => match read_frame(&*records.file, key.offset)? {
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
        put_frame(&mut bytes, frame.as_slice())?;
        self.records.append(&bytes)?;
        let mut frame = Writer::with_capacity(160);
        frame
            .array(6)
            .uint(index)
            .bytes(record.hash.as_bytes())
            .text(&record.class);
        frame.bytes(&record.wrapped).uint(self.segment).uint(offset);
        put_frame(&mut self.keys, frame.as_slice())?;
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

fn put_frame(out: &mut Vec<u8>, frame: &[u8]) -> Result<(), SidecarError> {
    let len = u32::try_from(frame.len()).map_err(|_| SidecarError::Size)?;
    out.extend_from_slice(&len.to_be_bytes());
    out.extend_from_slice(&crc32c::crc32c(frame).to_be_bytes());
    out.extend_from_slice(frame);
    Ok(())
}

// === impl Wrapped ===

impl Wrapped {
    /// Reads the keys of a day up to where a crash cut the file. A frame damaged in between is passed
    /// over: one changed byte must not cost the keys of everybody after it.
    fn read(file: &dyn DiskFile, path: &Path) -> Result<Self, SidecarError> {
        let (mut keys, mut whole, mut end) = (Vec::new(), None, 0);
        let mut offset = 0;
        loop {
            while let Some(frame) = read_frame(file, offset)? {
                offset += 8 + frame.len() as u64;
                let key = WrappedKey::decode(&frame);
                keys.push(key.map_err(|_| damaged(path, "a frame is not a wrapped key"))?);
                end = offset;
            }
            whole.get_or_insert(keys.len());
            match next_frame(file, offset)? {
                Some(next) => offset = next,
                None => break,
            }
        }
        let whole = whole.unwrap_or_default();
        Ok(Self { keys, whole, end })
    }
}

/// Where the next whole frame begins after a damaged one; none when nothing but the remains of a crash
/// follows.
fn next_frame(file: &dyn DiskFile, damaged: u64) -> Result<Option<u64>, SidecarError> {
    let mut bytes = vec![0; SEARCHED];
    let len = file.read_at(damaged, &mut bytes)?;
    bytes.truncate(len);
    let starts = |at: &usize| {
        let rest = &bytes[*at..];
        let Some(([a, b, c, d, crc @ ..], rest)) = rest.split_first_chunk::<8>() else {
            return false;
        };
        let len = u32::from_be_bytes([*a, *b, *c, *d]) as usize;
        let frame = rest.get(..len).filter(|_| len > 0);
        frame.is_some_and(|frame| crc32c::crc32c(frame) == u32::from_be_bytes(*crc))
    };
    let found = (1..len).find(starts);
    Ok(found.map(|at| damaged + at as u64))
}

/// The frame at `offset`; none at the end of the file or of what is whole.
fn read_frame(file: &dyn DiskFile, offset: u64) -> Result<Option<Vec<u8>>, SidecarError> {
    let mut head = [0; 8];
    if file.read_at(offset, &mut head)? < head.len() {
        return Ok(None);
    }
    let [a, b, c, d, crc @ ..] = head;
    let len = u32::from_be_bytes([a, b, c, d]) as usize;
    if len == 0 || len > MAX_FRAME {
        return Ok(None);
    }
    let mut frame = vec![0; len];
    let whole = file.read_at(offset + 8, &mut frame)? == len;
    Ok((whole && crc32c::crc32c(&frame) == u32::from_be_bytes(crc)).then_some(frame))
}

impl WrappedKey {
    fn decode(frame: &[u8]) -> Result<Self, CborError> {
        let mut reader = Reader::new(frame);
        if reader.array()? != 6 {
            return Err(CborError::Unexpected);
        }
        let key = Self {
            index: reader.uint()?,
            hash: Digest::from_bytes(reader.bytes_exact()?),
            class: reader.text()?.to_owned(),
            wrapped: reader.bytes_exact()?,
            segment: reader.uint()?,
            offset: reader.uint()?,
        };
        reader.finish()?;
        Ok(key)
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
