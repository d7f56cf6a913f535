//! A follower's blobs, one after the other in one file: a country's are a hundred thousand, and a file of
//! its own and two syncs for each would take longer than everything else about following.
//!
//! ```text
//! sha256 (32) ‖ u32be length ‖ u32be crc32c of the 36 bytes before ‖ blob, each
//! ```

use std::collections::HashMap;
use std::path::Path;
use std::sync::{PoisonError, RwLock};

use bytes::Bytes;
use entente_directory::{Blobs, MAX_BLOB};
use entente_ledger::disk::{Disk, DiskError, DiskFile};
use entente_signing::Digest;

use crate::blob::BlobError;

/// The file. One writer; readers anywhere.
#[derive(Debug)]
pub(crate) struct BlobPack {
    file: Box<dyn DiskFile>,
    places: RwLock<Places>,
}

#[derive(Debug, Default)]
struct Places {
    of: HashMap<Digest, Place>,
    /// Where the next frame goes.
    end: u64,
}

/// Where a blob's bytes are.
#[derive(Clone, Copy, Debug)]
struct Place {
    at: u64,
    length: u32,
}

// === impl BlobPack ===

impl BlobPack {
    /// Opens the file, creating it when missing. Nothing but the frames' heads is read.
    pub(crate) fn open(disk: &dyn Disk, dir: &Path, name: &str) -> Result<Self, DiskError> {
        let path = dir.join(name);
        if !disk.exists(&path)? {
            disk.create(&path)?.sync_data()?;
            disk.sync_dir(dir)?;
        }
        let file = disk.open(&path)?;
        let (mut places, whole) = (Places::default(), file.len()?);
        let mut head = [0; HEAD];
        while file.read_at(places.end, &mut head)? == HEAD {
            let Some((hash, length)) = read_head(&head) else {
                break;
            };
            let at = places.end + HEAD as u64;
            let end = at + u64::from(length);
            if end > whole {
                break;
            }
            places.of.insert(hash, Place { at, length });
            places.end = end;
        }
        Ok(Self {
            file,
            places: RwLock::new(places),
        })
    }

    /// Adds blobs; durable once [`Self::sync`] returns. One that is held already is left out.
    pub(crate) fn append(&self, blobs: &[(Digest, Bytes)]) -> Result<(), BlobError> {
        let mut end = self.end();
        let (mut frames, mut added) = (Vec::new(), Vec::new());
        for (hash, blob) in blobs {
            if blob.len() > MAX_BLOB {
                return Err(BlobError::TooLarge);
            }
            if Digest::of(blob) != *hash {
                return Err(BlobError::Mismatch);
            }
            if self.find(hash)?.is_some() {
                continue;
            }
            let length = blob.len() as u32;
            write_head(&mut frames, hash, length);
            frames.extend_from_slice(blob);
            let at = end + HEAD as u64;
            added.push((*hash, Place { at, length }));
            end = at + u64::from(length);
        }
        // What a crash left beyond the last whole frame must not run on after a shorter one.
        self.file.set_len(self.end())?;
        self.file.write_at(self.end(), &frames)?;
        let mut places = self.places.write().unwrap_or_else(PoisonError::into_inner);
        places.of.extend(added);
        places.end = end;
        Ok(())
    }

    /// Makes durable what was added.
    pub(crate) fn sync(&self) -> Result<(), DiskError> {
        self.file.sync_data()
    }

    /// How long the file is: a mark for [`Self::cut`].
    pub(crate) fn end(&self) -> u64 {
        let places = self.places.read().unwrap_or_else(PoisonError::into_inner);
        places.end
    }

    /// Gives up what was added after a mark.
    pub(crate) fn cut(&self, mark: u64) -> Result<(), DiskError> {
        let mut places = self.places.write().unwrap_or_else(PoisonError::into_inner);
        places.of.retain(|_, place| place.at < mark);
        places.end = places.end.min(mark);
        self.file.set_len(places.end)
    }

    /// Whether a blob was added, damaged since or not.
    pub(crate) fn names(&self, hash: &Digest) -> bool {
        let places = self.places.read().unwrap_or_else(PoisonError::into_inner);
        places.of.contains_key(hash)
    }

    /// Reads a blob, and checks that it is still what its name says: a damaged one is as good as none.
    pub(crate) fn find(&self, hash: &Digest) -> Result<Option<Bytes>, DiskError> {
        let places = self.places.read().unwrap_or_else(PoisonError::into_inner);
        let Some(Place { at, length }) = places.of.get(hash).copied() else {
            return Ok(None);
        };
        drop(places);
        let mut blob = vec![0; length as usize];
        let read = self.file.read_at(at, &mut blob)?;
        let whole = read == blob.len() && Digest::of(&blob) == *hash;
        Ok(whole.then(|| blob.into()))
    }
}

impl Blobs for BlobPack {
    fn blob(&self, hash: &Digest) -> Option<Bytes> {
        // A disk that fails is a blob not held: what rests on it is not believed, and tried again later.
        self.find(hash).ok().flatten()
    }
}

fn write_head(to: &mut Vec<u8>, hash: &Digest, length: u32) {
    let from = to.len();
    to.extend_from_slice(hash.as_bytes());
    to.extend_from_slice(&length.to_be_bytes());
    let crc = crc32c::crc32c(&to[from..]);
    to.extend_from_slice(&crc.to_be_bytes());
}

fn read_head(head: &[u8; HEAD]) -> Option<(Digest, u32)> {
    let (said, crc) = head.split_last_chunk()?;
    let (hash, length) = said.split_last_chunk()?;
    let length = u32::from_be_bytes(*length);
    let fits = crc32c::crc32c(said) == u32::from_be_bytes(*crc) && length as usize <= MAX_BLOB;
    fits.then_some((Digest::from_slice(hash).ok()?, length))
}

const HEAD: usize = 40;

#[cfg(test)]
mod tests {
    use entente_ledger::disk::RealDisk;

    use super::*;

    fn named(blob: &'static str) -> (Digest, Bytes) {
        (Digest::of(blob.as_bytes()), blob.into())
    }

    #[test]
    fn finds_again_what_it_was_given_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let open = || BlobPack::open(&RealDisk, dir.path(), "blobs").unwrap();
        let pack = open();
        let (one, two, three) = (named("one"), named("two"), named("three"));
        pack.append(&[one.clone(), two.clone()]).unwrap();
        pack.append(std::slice::from_ref(&one)).unwrap();
        let mark = pack.end();
        pack.append(std::slice::from_ref(&three)).unwrap();
        pack.sync().unwrap();
        let wrong = pack.append(&[(one.0, two.1.clone())]).unwrap_err();
        assert!(matches!(wrong, BlobError::Mismatch));
        for pack in [pack, open()] {
            for (hash, blob) in [&one, &two, &three] {
                assert_eq!(pack.blob(hash).as_ref(), Some(blob));
            }
            assert!(!pack.names(&Digest::of(b"four")));
        }
        let pack = open();
        pack.cut(mark).unwrap();
        assert!(pack.names(&two.0) && !pack.names(&three.0));
        assert_eq!(open().end(), mark);
    }

    #[test]
    fn a_torn_or_damaged_blob_is_none_and_may_be_given_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("blobs");
        let (one, two) = (named("one"), named("two"));
        let pack = BlobPack::open(&RealDisk, dir.path(), "blobs").unwrap();
        pack.append(&[one.clone(), two.clone()]).unwrap();
        let whole = std::fs::read(&path).unwrap();
        for cut in 0..whole.len() {
            std::fs::write(&path, &whole[..cut]).unwrap();
            let pack = BlobPack::open(&RealDisk, dir.path(), "blobs").unwrap();
            assert_eq!(pack.blob(&one.0).is_some(), cut >= HEAD + 3, "{cut}");
            assert_eq!(pack.blob(&two.0), None, "{cut}");
            pack.append(std::slice::from_ref(&two)).unwrap();
            assert_eq!(pack.blob(&two.0), Some(two.1.clone()), "{cut}");
        }
        let mut altered = whole;
        altered[HEAD] ^= 1;
        std::fs::write(&path, &altered).unwrap();
        let pack = BlobPack::open(&RealDisk, dir.path(), "blobs").unwrap();
        assert!(pack.names(&one.0) && pack.blob(&one.0).is_none());
        pack.append(std::slice::from_ref(&one)).unwrap();
        assert_eq!(pack.blob(&one.0), Some(one.1));
        assert_eq!(pack.blob(&two.0), Some(two.1));
    }
}
