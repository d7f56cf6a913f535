//! Where files are in a ledger's folder, and how its small state files read.
//!
//! ```text
//! FORMAT               "entente-ledger 1"
//! lock                 empty; locked by the one writer
//! log/                 may be served as it is, by any web server
//!   checkpoint
//!   tile/<level>/…     tile/entries/…
//!   .state/tree        size and root of what is in the tiles
//!   .state/signed      size and root of what was or is about to be signed
//!   .state/final       the newest checkpoint that the witnesses' quorum cosigned
//! tmp/                 files being written
//! wal/000000.wal …     the write-ahead log
//! ```

use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use entente_signing::Digest;

use crate::proof::decimal;
use crate::tile::TileId;

/// What the `FORMAT` file of a ledger says.
pub const FORMAT: &str = "entente-ledger 1\n";

/// The files of one ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    dir: PathBuf,
}

/// A size and its root, with the origin they are of: the content of `.state/tree` and `.state/signed`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct State {
    pub(crate) origin: String,
    pub(crate) size: u64,
    pub(crate) root: Digest,
}

// === impl Layout ===

impl Layout {
    /// The files below `dir`.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self { dir: dir.into() }
    }

    /// The folder itself.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Names the format.
    pub fn format(&self) -> PathBuf {
        self.dir.join("FORMAT")
    }

    /// Locked by the writer.
    pub fn lock(&self) -> PathBuf {
        self.dir.join("lock")
    }

    /// The folder to serve: the prefix of C2SP `tlog-tiles`.
    pub fn served(&self) -> PathBuf {
        self.dir.join("log")
    }

    /// The newest checkpoint.
    pub fn checkpoint(&self) -> PathBuf {
        self.dir.join("log/checkpoint")
    }

    /// A tile or entry bundle.
    pub fn tile(&self, tile: TileId) -> PathBuf {
        self.dir.join("log").join(tile.to_string())
    }

    /// The folder of the state files.
    pub fn state(&self) -> PathBuf {
        self.dir.join("log/.state")
    }

    /// Size and root of what is in the tiles.
    pub fn tree_state(&self) -> PathBuf {
        self.dir.join("log/.state/tree")
    }

    /// Size and root of the newest tree that was signed, or was about to be.
    pub fn signed(&self) -> PathBuf {
        self.dir.join("log/.state/signed")
    }

    /// The newest checkpoint that the witnesses' quorum cosigned, a signed note.
    pub fn finality(&self) -> PathBuf {
        self.dir.join("log/.state/final")
    }

    /// Files being written; emptied at start.
    pub fn tmp(&self) -> PathBuf {
        self.dir.join("tmp")
    }

    /// The folder of the write-ahead log.
    pub fn wal(&self) -> PathBuf {
        self.dir.join("wal")
    }
}

// === impl State ===

impl State {
    pub(crate) fn encode(&self, kind: &str) -> String {
        let root = BASE64.encode(self.root.as_bytes());
        format!("entente-{kind} 1\n{}\n{}\n{root}\n", self.origin, self.size)
    }

    pub(crate) fn decode(kind: &str, bytes: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(bytes).ok()?;
        let mut lines = text.split('\n').skip(1);
        let state = Self {
            origin: lines.next()?.to_owned(),
            size: decimal(lines.next()?)?,
            root: Digest::from_slice(&BASE64.decode(lines.next()?).ok()?).ok()?,
        };
        (state.encode(kind).as_bytes() == bytes).then_some(state)
    }
}
