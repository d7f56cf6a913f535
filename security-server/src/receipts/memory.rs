//! How far the promises in one shard of our ledger were checked, and which are open, durably.
//!
//! `<data>/receipts.<shard>`: the first entry that was not looked at, then the entries below it whose
//! promises are open, each a number on its own line.

use std::path::PathBuf;
use std::sync::Arc;

use entente_ledger::disk::{Disk, DiskError, durable};

/// The file.
#[derive(Clone, Debug)]
pub(super) struct Memory {
    disk: Arc<dyn Disk>,
    path: PathBuf,
}

/// What it says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Remembered {
    /// The first entry that was not looked at.
    pub(super) position: u64,
    /// Entries below it with a promise that is open, ascending.
    pub(super) open: Vec<u64>,
}

/// Promises of one shard that are open at once: of a provider that is away, a day at fifty calls a second.
/// With so many, no entry after them is looked at until some are settled, which is alarmed over.
pub(super) const MAX_OPEN: usize = 4_194_304;

// === impl Memory ===

impl Memory {
    pub(super) const fn new(disk: Arc<dyn Disk>, path: PathBuf) -> Self {
        Self { disk, path }
    }

    /// What it says; without it, or with one that is damaged, everything is checked again: that costs time,
    /// and nothing else.
    pub(super) fn recall(&self) -> Remembered {
        let bytes = durable::read(&*self.disk, &self.path).ok().flatten();
        let text = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
        text.and_then(|text| Remembered::parse(&text))
            .unwrap_or_default()
    }

    pub(super) fn keep(&self, remembered: &Remembered) -> Result<(), DiskError> {
        durable::replace(&*self.disk, &self.path, remembered.to_text().as_bytes())
    }
}

// === impl Remembered ===

impl Remembered {
    /// How many more may be open.
    pub(super) const fn room(&self) -> usize {
        MAX_OPEN.saturating_sub(self.open.len())
    }

    fn parse(text: &str) -> Option<Self> {
        let mut lines = text.lines().map(|line| line.parse::<u64>().ok());
        let position = lines.next()??;
        let open = lines.collect::<Option<Vec<_>>>()?;
        let is_ascending = open.is_sorted_by(|one, next| one < next);
        let is_below = open.last().is_none_or(|last| *last < position);
        (is_ascending && is_below && open.len() <= MAX_OPEN).then_some(Self { position, open })
    }

    fn to_text(&self) -> String {
        let mut text = format!("{}\n", self.position);
        for index in &self.open {
            text.push_str(&index.to_string());
            text.push('\n');
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_recalled_and_what_is_damaged_is_as_if_it_was_not_there() {
        let remembered = Remembered {
            position: 9,
            open: vec![2, 8],
        };
        let text = remembered.to_text();
        assert_eq!(Remembered::parse(&text), Some(remembered));
        // As written before open promises were kept one by one.
        let position = Remembered {
            position: 7,
            ..Remembered::default()
        };
        assert_eq!(Remembered::parse("7\n"), Some(position));
        for damaged in ["", "\n", "x\n", "9\n8\n2\n", "9\n2\n2\n", "9\n9\n", "-1\n"] {
            assert_eq!(Remembered::parse(damaged), None, "{damaged:?}");
        }
    }
}
