//! Which files a ledger's folder holds.

use std::collections::BTreeSet;
use std::path::Path;

use super::{Check, Fault};
use crate::tile::{Level, TileId};
use crate::wal::{SPARE, segment_number};

/// The tiles that are there; what is checked is taken out.
#[derive(Debug, Default)]
pub(super) struct Listing {
    tiles: BTreeSet<TileId>,
    torn_bytes: u64,
}

// === impl Listing ===

impl Listing {
    /// Lists the folder; files that nothing writes are findings at once.
    pub(super) fn of(check: &mut Check<'_>) -> Self {
        let mut listing = Self::default();
        let dir = check.layout.dir().to_owned();
        listing.walk(check, &dir, "", 0);
        listing
    }

    /// The widths in which a tile is there, narrowest first.
    pub(super) fn take(&mut self, level: Level, index: u64) -> Vec<TileId> {
        let id = |width| TileId {
            level,
            index,
            width,
        };
        let taken: Vec<_> = self.tiles.range(id(0)..=id(u16::MAX)).copied().collect();
        for id in &taken {
            self.tiles.remove(id);
        }
        taken
    }

    /// A tile at this place that is wider than `place`, when there is one.
    pub(super) fn wider(&self, level: Level, index: u64, place: u64) -> Option<TileId> {
        let id = |width| TileId {
            level,
            index,
            width,
        };
        let last = self.tiles.range(id(0)..=id(u16::MAX)).next_back()?;
        (u64::from(last.width) > place).then_some(*last)
    }

    /// Forgets the tiles that could not be checked.
    pub(super) fn take_all(&mut self) {
        self.tiles.clear();
    }

    /// Reports the tiles that no entry gives.
    pub(super) fn report_rest(&self, check: &mut Check<'_>) {
        for id in &self.tiles {
            let path = check.layout.tile(*id);
            check.find(&path, Fault::Unexpected);
        }
    }

    pub(super) const fn torn_bytes(&self) -> u64 {
        self.torn_bytes
    }

    fn walk(&mut self, check: &mut Check<'_>, dir: &Path, below: &str, depth: usize) {
        let items = match check.disk.list(dir) {
            Ok(items) => items,
            Err(error) => return check.find_error(dir, &error.into()),
        };
        for item in items {
            let path = dir.join(&item.name);
            let name = if below.is_empty() {
                item.name.clone()
            } else {
                format!("{below}/{}", item.name)
            };
            if item.is_dir && depth < MAX_DEPTH {
                self.walk(check, &path, &name, depth + 1);
            } else if item.is_dir || !self.expects(check, &path, &name, item.len) {
                check.find(&path, Fault::Unexpected);
            }
        }
    }

    /// Whether a file of this name is known; looks into those that nothing else reads.
    fn expects(&mut self, check: &mut Check<'_>, path: &Path, name: &str, len: u64) -> bool {
        if let Some(tile) = name.strip_prefix("log/").and_then(|tile| tile.parse().ok()) {
            self.tiles.insert(tile);
            return true;
        }
        match name.split_once('/') {
            None => match name {
                "FORMAT" => true,
                "lock" => {
                    if len > 0 {
                        check.find(path, Fault::Differs);
                    }
                    true
                }
                _ => false,
            },
            // What a crash left; removed at the next start.
            Some(("tmp", rest)) => rest.bytes().all(|b| b.is_ascii_digit()),
            Some(("wal", SPARE)) => {
                let zero = check.read(path).unwrap_or_default();
                self.torn_bytes += zero.iter().filter(|byte| **byte != 0).count() as u64;
                true
            }
            Some(("wal", segment)) => segment_number(segment).is_some(),
            Some(("log", rest)) => matches!(
                rest,
                "checkpoint" | ".state/tree" | ".state/signed" | ".state/final"
            ),
            Some(_) => false,
        }
    }
}

/// No tile is deeper.
const MAX_DEPTH: usize = 12;
