//! Reading a ledger's folder without writing to it: of a server that runs, that is down, or a copy.

use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use entente_signing::Digest;

use crate::checkpoint::SignedCheckpoint;
use crate::disk::{Disk, DiskError};
use crate::layout::{Layout, State};
use crate::log::files::check_format;
use crate::log::nodes::Tiles;
use crate::log::open::read_state;
use crate::log::{LogError, SIGNED, TREE};
use crate::note::SignedNote;
use crate::proof::{self, ConsistencyProof, InclusionProof};
use crate::signatory::LogKeys;
use crate::wal::replay;

/// Reads one ledger's folder, as it was when opened.
#[derive(Debug)]
pub struct Reader {
    disk: Arc<dyn Disk>,
    layout: Layout,
    origin: Option<String>,
    tiles: Tiles,
    /// Entries that are only in the write-ahead log, from the tiles' size on.
    waiting: Vec<Bytes>,
    torn_bytes: u64,
}

/// Entries one after the other; from [`Reader::entries`].
#[derive(Debug)]
pub struct Entries<'a> {
    reader: &'a mut Reader,
    at: u64,
}

// === impl Reader ===

impl Reader {
    /// Opens a folder. Entries of the write-ahead log that are not in the tiles yet are read too.
    ///
    /// # Errors
    /// When it is not a ledger's folder, or of a newer format, or cannot be read.
    pub fn open(disk: Arc<dyn Disk>, dir: impl Into<PathBuf>) -> Result<Self, LogError> {
        let layout = Layout::new(dir);
        if !check_format(&*disk, &layout)? {
            return Err(LogError::Format {
                path: layout.dir().to_owned(),
                found: String::new(),
            });
        }
        // A server that runs moves files while we look; what we miss is elsewhere the next time.
        let mut opened = Self::look(&disk, &layout);
        for _ in 1..ATTEMPTS {
            match opened {
                Err(LogError::Damaged { .. } | LogError::Disk(DiskError { .. })) => {
                    opened = Self::look(&disk, &layout);
                }
                _ => break,
            }
        }
        opened
    }

    fn look(disk: &Arc<dyn Disk>, layout: &Layout) -> Result<Self, LogError> {
        let tree = read_state(&**disk, layout.tree_state(), TREE)?;
        let signed = read_state(&**disk, layout.signed(), SIGNED)?;
        let size = tree.as_ref().map_or(0, |tree| tree.size);
        let mut waiting: Vec<Bytes> = Vec::new();
        let torn_bytes = match disk.exists(&layout.wal())? {
            // Never begun, or lost: then the tiles are all there is.
            false => 0,
            true => {
                replay(&**disk, &layout.wal(), |frame| {
                    let next = size + waiting.len() as u64;
                    if frame.index > next {
                        return Err(LogError::Damaged {
                            path: layout.wal(),
                            what: "entries are missing between it and the tiles",
                        });
                    }
                    if frame.index == next {
                        waiting.push(Bytes::copy_from_slice(&frame.entry));
                    }
                    Ok(())
                })?
                .torn_bytes
            }
        };
        let origin = tree.or(signed).map(|state: State| state.origin);
        Ok(Self {
            tiles: Tiles::new(Arc::clone(disk), layout.clone(), size),
            disk: Arc::clone(disk),
            layout: layout.clone(),
            origin,
            waiting,
            torn_bytes,
        })
    }

    /// The ledger's origin, as its own files name it; `None` before its first full bundle or checkpoint.
    pub fn origin(&self) -> Option<&str> {
        self.origin.as_deref()
    }

    /// How many entries there are, those of the write-ahead log included.
    pub fn size(&self) -> u64 {
        self.tiles.size() + self.waiting.len() as u64
    }

    /// How many entries are only in the write-ahead log.
    pub fn waiting(&self) -> u64 {
        self.waiting.len() as u64
    }

    /// Bytes after the last whole frame of the write-ahead log: a commit that was cut short, or is being
    /// written right now.
    pub fn torn_bytes(&self) -> u64 {
        self.torn_bytes
    }

    /// The newest checkpoint, when it is signed with the key for its size.
    ///
    /// # Errors
    /// When it cannot be read or is not signed with it.
    pub fn checkpoint(&self, keys: &dyn LogKeys) -> Result<Option<SignedCheckpoint>, LogError> {
        let Some(bytes) = self.checkpoint_bytes()? else {
            return Ok(None);
        };
        let verified = SignedCheckpoint::verify_by(&bytes, keys);
        verified.map(Some).map_err(|_| LogError::Damaged {
            path: self.layout.checkpoint(),
            what: "it is not signed by this ledger's key",
        })
    }

    /// The newest checkpoint as a note, with no signature checked.
    ///
    /// # Errors
    /// When it cannot be read or is not a note.
    pub fn unverified_checkpoint(&self) -> Result<Option<SignedNote>, LogError> {
        let Some(bytes) = self.checkpoint_bytes()? else {
            return Ok(None);
        };
        let note = SignedNote::parse(&bytes);
        note.map(Some).map_err(|_| LogError::Damaged {
            path: self.layout.checkpoint(),
            what: "it is not a signed note",
        })
    }

    /// The newest checkpoint that the witnesses' quorum cosigned, when it is signed with the key for its
    /// size. Whether it has the quorum is for who knows the policy to say.
    ///
    /// # Errors
    /// When it cannot be read or is not signed with it.
    pub fn finality(&self, keys: &dyn LogKeys) -> Result<Option<SignedCheckpoint>, LogError> {
        let note = self.unverified_final()?;
        let verify =
            |note: SignedNote| SignedCheckpoint::verify_by(note.to_string().as_bytes(), keys);
        let verified = note.map(verify);
        verified.transpose().map_err(|_| LogError::Damaged {
            path: self.layout.finality(),
            what: "it is not signed by this ledger's key",
        })
    }

    /// The newest checkpoint that the witnesses' quorum cosigned, as a note, with no signature checked.
    ///
    /// # Errors
    /// When it cannot be read or is not a note.
    pub fn unverified_final(&self) -> Result<Option<SignedNote>, LogError> {
        let path = self.layout.finality();
        match self.disk.read(&path) {
            Ok(bytes) => {
                let note = SignedNote::parse(&bytes);
                note.map(Some).map_err(|_| LogError::Damaged {
                    path,
                    what: "it is not a signed note",
                })
            }
            Err(error) if error.is_missing() => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// One entry; `None` beyond the end.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn entry(&mut self, index: u64) -> Result<Option<Bytes>, LogError> {
        match index.checked_sub(self.tiles.size()) {
            Some(waiting) => {
                let at = usize::try_from(waiting).unwrap_or(usize::MAX);
                Ok(self.waiting.get(at).cloned())
            }
            None => {
                let (bundle, place) = self.tiles.bundle(index)?;
                Ok(bundle.get(place).cloned())
            }
        }
    }

    /// Hands over the attachments that are in the write-ahead log, which the companion may have too.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub fn attachments(&self, mut each: impl FnMut(u64, &Bytes)) -> Result<(), LogError> {
        replay(&*self.disk, &self.layout.wal(), |frame| {
            if let Some(attachment) = &frame.attachment {
                each(frame.index, attachment);
            }
            Ok(())
        })
        .map(|_| ())
    }

    /// Entries from `start` on, each with its index. Ends after the first that cannot be read.
    pub const fn entries(&mut self, start: u64) -> Entries<'_> {
        Entries {
            reader: self,
            at: start,
        }
    }

    /// Root of the tree of `size`; `None` when the tiles do not reach that far.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn root(&mut self, size: u64) -> Result<Option<Digest>, LogError> {
        if size > self.tiles.size() {
            return Ok(None);
        }
        proof::root(&mut self.tiles, size).map(Some)
    }

    /// Proves entry `index` in the tree of `size`; `None` when the tiles do not reach that far, as they
    /// do for every checkpoint.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn inclusion(&mut self, index: u64, size: u64) -> Result<Option<InclusionProof>, LogError> {
        if size > self.tiles.size() {
            return Ok(None);
        }
        InclusionProof::build(&mut self.tiles, index, size)
    }

    /// Proves that the tree of `old_size` is the beginning of that of `new_size`; `None` when the tiles do
    /// not reach that far, or `old_size` is 0 or larger.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn consistency(
        &mut self,
        old_size: u64,
        new_size: u64,
    ) -> Result<Option<ConsistencyProof>, LogError> {
        if new_size > self.tiles.size() {
            return Ok(None);
        }
        ConsistencyProof::build(&mut self.tiles, old_size, new_size)
    }

    fn checkpoint_bytes(&self) -> Result<Option<Vec<u8>>, LogError> {
        match self.disk.read(&self.layout.checkpoint()) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.is_missing() => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

// === impl Entries ===

impl Iterator for Entries<'_> {
    type Item = Result<(u64, Bytes), LogError>;

    fn next(&mut self) -> Option<Self::Item> {
        let index = self.at;
        match self.reader.entry(index) {
            Ok(Some(entry)) => {
                self.at += 1;
                Some(Ok((index, entry)))
            }
            Ok(None) => None,
            Err(error) => {
                self.at = u64::MAX;
                Some(Err(error))
            }
        }
    }
}

/// How often a folder that changes is looked at.
const ATTEMPTS: usize = 5;
