//! Changes and blobs as two files: blobs are read where they lie, so that they are not part of what memory
//! the directory takes.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufReader, BufWriter, Read as _, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use bytes::Bytes;
use entente_clock::Timestamp;
use entente_directory::{Blobs, RegistryEntry, SignedChange};
use entente_signing::Digest;

/// The files, being written.
pub(crate) struct Writing {
    folder: PathBuf,
    entries: BufWriter<File>,
    blobs: BufWriter<File>,
}

/// The entries, read one after the other.
pub(crate) struct Entries(BufReader<File>);

/// The blobs, each where it lies.
pub(crate) struct Packed {
    file: File,
    places: HashMap<Digest, (u64, u32)>,
}

// === impl Writing ===

impl Writing {
    pub(crate) fn create(folder: &Path) -> anyhow::Result<Self> {
        std::fs::create_dir_all(folder)?;
        let create = |name: &str| File::create(folder.join(name)).map(BufWriter::new);
        Ok(Self {
            folder: folder.to_owned(),
            entries: create(ENTRIES)?,
            blobs: create(BLOBS)?,
        })
    }

    pub(crate) fn entry(&mut self, at: Timestamp, change: &SignedChange) -> anyhow::Result<()> {
        frame(
            &mut self.entries,
            &RegistryEntry::encode_parts(at, change.bytes()),
        )
    }

    pub(crate) fn blob(&mut self, blob: &[u8]) -> anyhow::Result<()> {
        frame(&mut self.blobs, blob)
    }

    /// What comes now happened later, and is in a file of its own.
    pub(crate) fn later(&mut self) -> anyhow::Result<()> {
        self.entries.flush()?;
        let later = File::create(self.folder.join(LATER))?;
        self.entries = BufWriter::new(later);
        Ok(())
    }

    pub(crate) fn end(mut self) -> anyhow::Result<()> {
        self.entries.flush()?;
        Ok(self.blobs.flush()?)
    }
}

// === impl Entries ===

impl Entries {
    pub(crate) fn open(folder: &Path) -> anyhow::Result<Self> {
        Ok(Self(open(folder, ENTRIES)?))
    }

    /// Of what happened later.
    pub(crate) fn later(folder: &Path) -> anyhow::Result<Self> {
        Ok(Self(open(folder, LATER)?))
    }
}

impl Iterator for Entries {
    type Item = anyhow::Result<Bytes>;

    fn next(&mut self) -> Option<Self::Item> {
        read_frame(&mut self.0).transpose()
    }
}

// === impl Packed ===

impl Packed {
    pub(crate) fn open(folder: &Path) -> anyhow::Result<Self> {
        let mut reader = open(folder, BLOBS)?;
        let mut places = HashMap::new();
        let mut at = HEAD as u64;
        while let Some(blob) = read_frame(&mut reader)? {
            places.insert(Digest::of(&blob), (at, blob.len() as u32));
            at += (blob.len() + HEAD) as u64;
        }
        let file = File::open(folder.join(BLOBS))?;
        Ok(Self { file, places })
    }
}

impl Blobs for Packed {
    fn blob(&self, hash: &Digest) -> Option<Bytes> {
        let (at, len) = self.places.get(hash)?;
        let mut blob = vec![0; *len as usize];
        self.file.read_exact_at(&mut blob, *at).ok()?;
        Some(blob.into())
    }
}

/// Reads the blobs, one after the other.
pub(crate) fn each_blob(
    folder: &Path,
    mut read: impl FnMut(&Bytes) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let mut reader = open(folder, BLOBS)?;
    while let Some(blob) = read_frame(&mut reader)? {
        read(&blob)?;
    }
    Ok(())
}

fn open(folder: &Path, name: &str) -> anyhow::Result<BufReader<File>> {
    let path = folder.join(name);
    let file = File::open(&path).with_context(|| format!("opening {}", path.display()))?;
    Ok(BufReader::with_capacity(1 << 20, file))
}

fn frame(to: &mut impl std::io::Write, bytes: &[u8]) -> anyhow::Result<()> {
    to.write_all(&(bytes.len() as u32).to_be_bytes())?;
    Ok(to.write_all(bytes)?)
}

fn read_frame(from: &mut BufReader<File>) -> anyhow::Result<Option<Bytes>> {
    let mut head = [0; HEAD];
    match from.read_exact(&mut head) {
        Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => return Ok(None),
        read => read?,
    }
    let mut bytes = vec![0; u32::from_be_bytes(head) as usize];
    from.read_exact(&mut bytes)?;
    Ok(Some(bytes.into()))
}

const ENTRIES: &str = "entries";
const LATER: &str = "later";
const BLOBS: &str = "blobs";
const HEAD: usize = 4;
