//! C2SP `tlog-tiles`: which tiles a tree has, where they are, and what is in them.

use std::fmt::{self, Write as _};
use std::str::FromStr;

use bytes::Bytes;
use entente_signing::Digest;

use crate::MAX_ENTRY;

/// Hashes in a full tile; entries in a full bundle.
pub const WIDTH: u64 = 256;

/// Levels a tile spans: its hashes are the nodes at binary level `8 · level`.
pub const HEIGHT: u8 = 8;

/// Bytes of a full tile.
pub const FULL_TILE_BYTES: usize = 8_192;

/// The highest tile level a tree of 64-bit size can have.
pub const MAX_LEVEL: u8 = 7;

/// Names one tile or entry bundle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TileId {
    /// What it holds.
    pub level: Level,
    /// Its position along its level, from 0.
    pub index: u64,
    /// How many hashes or entries it holds: 1 to 256, where 256 is a full tile.
    pub width: u16,
}

/// What a tile holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// Entries: an entry bundle.
    Entries,
    /// Hashes at this tile level, 0 to [`MAX_LEVEL`].
    Hashes(u8),
}

/// A path or content that is not a tile's. Variants are alphabetical.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TileError {
    /// The content is cut short, too long, or holds another number of items than its name says.
    #[error("tile content does not match its width")]
    Content,
    /// An entry is longer than a bundle can hold.
    #[error("ledger entry is longer than 65535 bytes")]
    EntryTooLong,
    /// Not a tile's path.
    #[error("not the path of a tile")]
    Path,
}

// === impl TileId ===

impl TileId {
    /// The tile at `level` and `index`, as wide as it is in a tree of `size`; `None` where that tree has
    /// no such tile.
    pub fn in_tree(level: Level, index: u64, size: u64) -> Option<Self> {
        let nodes = size.checked_shr(level.shift()).unwrap_or(0);
        let width = nodes.saturating_sub(index.checked_mul(WIDTH)?).min(WIDTH);
        (width > 0).then_some(Self {
            level,
            index,
            width: width as u16,
        })
    }

    /// The full tile at the same place.
    pub const fn full(self) -> Self {
        Self {
            width: WIDTH as u16,
            ..self
        }
    }

    /// Whether it can never change or grow.
    pub const fn is_full(&self) -> bool {
        self.width as u64 == WIDTH
    }
}

/// The path below the log's prefix: `tile/0/x001/234.p/56`.
impl fmt::Display for TileId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.level {
            Level::Entries => f.write_str("tile/entries/")?,
            Level::Hashes(level) => write!(f, "tile/{level}/")?,
        }
        let mut groups = [0; 7];
        let (mut rest, mut count) = (self.index, 0);
        while count == 0 || rest > 0 {
            groups[count] = rest % 1000;
            rest /= 1000;
            count += 1;
        }
        for (at, group) in groups[..count].iter().enumerate().rev() {
            if at > 0 {
                write!(f, "x{group:03}/")?;
            } else {
                write!(f, "{group:03}")?;
            }
        }
        if !self.is_full() {
            write!(f, ".p/{}", self.width)?;
        }
        Ok(())
    }
}

impl FromStr for TileId {
    type Err = TileError;

    fn from_str(path: &str) -> Result<Self, TileError> {
        let number = |text: &str| text.parse::<u64>().map_err(|_| TileError::Path);
        let rest = path.strip_prefix("tile/").ok_or(TileError::Path)?;
        let (level, rest) = rest.split_once('/').ok_or(TileError::Path)?;
        let level = match level {
            "entries" => Level::Entries,
            level => Level::Hashes(
                u8::try_from(number(level)?)
                    .ok()
                    .filter(|level| *level <= MAX_LEVEL)
                    .ok_or(TileError::Path)?,
            ),
        };
        let (index, width) = match rest.split_once(".p/") {
            Some((index, width)) => (index, u16::try_from(number(width)?)),
            None => (rest, Ok(WIDTH as u16)),
        };
        let mut value = 0_u64;
        for group in index.split('/') {
            let group = number(group.strip_prefix('x').unwrap_or(group))?;
            let next = value.checked_mul(1000).and_then(|v| v.checked_add(group));
            value = next.ok_or(TileError::Path)?;
        }
        let id = Self {
            level,
            index: value,
            width: width.map_err(|_| TileError::Path)?,
        };
        // One tile has one path: what does not print the same is not one.
        let mut printed = String::with_capacity(path.len());
        write!(printed, "{id}").map_err(|_| TileError::Path)?;
        if id.width == 0 || u64::from(id.width) > WIDTH || printed != path {
            return Err(TileError::Path);
        }
        Ok(id)
    }
}

// === impl Level ===

impl Level {
    /// How many leaves' worth of levels are below one item: 8 · level.
    pub const fn shift(self) -> u32 {
        match self {
            Self::Entries => 0,
            Self::Hashes(level) => level as u32 * HEIGHT as u32,
        }
    }
}

/// Writes a tile of hashes.
pub fn encode_hashes(hashes: &[Digest]) -> Vec<u8> {
    let mut out = Vec::with_capacity(hashes.len() * 32);
    for hash in hashes {
        out.extend_from_slice(hash.as_bytes());
    }
    out
}

/// Reads a tile of exactly `width` hashes.
///
/// # Errors
/// When it is of another length.
pub fn decode_hashes(bytes: &[u8], width: u16) -> Result<Vec<Digest>, TileError> {
    if bytes.len() != usize::from(width) * 32 {
        return Err(TileError::Content);
    }
    bytes
        .chunks_exact(32)
        .map(|hash| Digest::from_slice(hash).map_err(|_| TileError::Content))
        .collect()
}

/// Writes an entry bundle: `u16be length ‖ entry`, one after the other.
///
/// # Errors
/// When an entry is too long.
pub fn encode_bundle<'a>(
    entries: impl IntoIterator<Item = &'a Bytes>,
) -> Result<Vec<u8>, TileError> {
    let entries: Vec<_> = entries.into_iter().collect();
    let len = entries.iter().map(|entry| 2 + entry.len()).sum();
    let mut out = Vec::with_capacity(len);
    for entry in entries {
        let len = u16::try_from(entry.len()).map_err(|_| TileError::EntryTooLong)?;
        out.extend_from_slice(&len.to_be_bytes());
        out.extend_from_slice(entry);
    }
    Ok(out)
}

/// Reads an entry bundle of exactly `width` entries, which share `bytes`.
///
/// # Errors
/// When it holds more, fewer, or half an entry.
pub fn decode_bundle(bytes: &Bytes, width: u16) -> Result<Vec<Bytes>, TileError> {
    let mut entries = Vec::with_capacity(usize::from(width));
    let mut at = 0;
    for _ in 0..width {
        let head = bytes.get(at..at + 2).ok_or(TileError::Content)?;
        let len = usize::from(u16::from_be_bytes([head[0], head[1]]));
        at += 2;
        if bytes.len() < at + len {
            return Err(TileError::Content);
        }
        entries.push(bytes.slice(at..at + len));
        at += len;
    }
    if at != bytes.len() {
        return Err(TileError::Content);
    }
    Ok(entries)
}

/// The longest a bundle can be, in bytes.
pub const MAX_BUNDLE_BYTES: usize = WIDTH as usize * (2 + MAX_ENTRY);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_written_and_read_one_way_only() {
        let tile = |level, index, width| TileId {
            level,
            index,
            width,
        };
        for (id, path) in [
            (tile(Level::Hashes(0), 5, 256), "tile/0/005"),
            (
                tile(Level::Hashes(1), 1_234_067, 256),
                "tile/1/x001/x234/067",
            ),
            (tile(Level::Entries, 273, 112), "tile/entries/273.p/112"),
            (tile(Level::Hashes(2), 1000, 1), "tile/2/x001/000.p/1"),
        ] {
            assert_eq!(id.to_string(), path);
            assert_eq!(path.parse(), Ok(id));
        }
        for path in [
            "tile/0/5",
            "tile/0/0005",
            "tile/0/x000/005",
            "tile/00/005",
            "tile/8/000",
            "tile/0/005.p/0",
            "tile/0/005.p/256",
            "tile/0/005.p/01",
            "tile/0/005.p/257",
            "/tile/0/005",
            "tile/0/",
            "tile/entries",
            "tile/0/x18446744073709551615/000",
            "tile/0/+05",
        ] {
            assert_eq!(path.parse::<TileId>(), Err(TileError::Path), "{path}");
        }
    }

    #[test]
    fn widths_are_those_of_the_specification() {
        let width = |level, index| TileId::in_tree(level, index, 70_000).map(|tile| tile.width);
        assert_eq!(width(Level::Hashes(0), 272), Some(256));
        assert_eq!(width(Level::Hashes(0), 273), Some(112));
        assert_eq!(width(Level::Hashes(0), 274), None);
        assert_eq!(width(Level::Hashes(1), 1), Some(17));
        assert_eq!(width(Level::Hashes(2), 0), Some(1));
        assert_eq!(width(Level::Hashes(3), 0), None);
        assert_eq!(width(Level::Entries, 273), Some(112));
        assert_eq!(
            TileId::in_tree(Level::Hashes(7), 0, u64::MAX).map(|t| t.width),
            Some(255)
        );
    }

    #[test]
    fn bundles_hold_exactly_what_their_width_says() {
        let entries = [
            Bytes::from_static(b"a"),
            Bytes::new(),
            Bytes::from(vec![7; 65_535]),
        ];
        let bundle = Bytes::from(encode_bundle(&entries).unwrap());
        assert_eq!(decode_bundle(&bundle, 3).unwrap(), entries);
        for (bytes, width) in [
            (bundle.clone(), 2),
            (bundle.clone(), 4),
            (bundle.slice(..bundle.len() - 1), 3),
            (bundle.slice(..1), 1),
        ] {
            assert_eq!(decode_bundle(&bytes, width), Err(TileError::Content));
        }
        assert_eq!(
            encode_bundle([&Bytes::from(vec![0; 65_536])]),
            Err(TileError::EntryTooLong)
        );
    }
}
