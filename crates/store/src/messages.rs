//! Message id → ledger entries: sorted runs in the engine, the newest rows in memory.
//!
//! An exchange adds two rows to each server's index, and nobody waits for them; one engine write a
//! row would cost more than the exchange's own cryptography. So rows gather in memory and are
//! written by the thousand, as sorted blocks under `(first index of the run, last id of the block)`.
//! What is in memory at a stop is read again from the ledger: the position says from where.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use crate::batch::{Batch, MAX_VALUE, Tree};
use crate::replay::MessageId;
use crate::store::{Store, StoreError};

/// A message, and an entry about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Row {
    id: MessageId,
    index: u64,
}

/// Rows in a run: 384 KiB in memory, 25 blocks in the engine.
pub const RUN: usize = 16 * 1024;

const ROW: usize = 24;

/// Rows in a block.
const BLOCK: usize = MAX_VALUE / ROW;

// === impl Batch ===

impl Batch {
    /// A sorted run, as blocks.
    fn run(&mut self, run: &[Row]) -> Result<(), StoreError> {
        let first = run.iter().map(|row| row.index).min().unwrap_or_default();
        for block in run.chunks(BLOCK) {
            let Some(last) = block.last() else { continue };
            let mut value = Vec::with_capacity(block.len() * ROW);
            for row in block {
                value.extend_from_slice(&row.id);
                value.extend_from_slice(&row.index.to_be_bytes());
            }
            // The last row's index too: the blocks of one id may be several.
            let key = block_key(first, &last.id, last.index);
            self.put(Tree::Messages, &key, &value)?;
        }
        Ok(())
    }
}

// === impl Store ===

impl Store {
    /// Notes that the ledger entry at `index` is about a message; entries are noted in their order.
    /// Found from now on, and durable by the thousand ([`RUN`]), with the position they bring the
    /// index up to. Blocks once in so many, while they are written: for background work.
    ///
    /// # Errors
    /// [`StoreError::Stopped`].
    pub fn note(&self, id: &MessageId, index: u64) -> Result<(), StoreError> {
        let mut recent = self.recent();
        recent.push(Row { id: *id, index });
        if recent.len() < RUN {
            return Ok(());
        }
        recent.sort_unstable();
        let mut batch = Batch::new();
        batch.run(&recent)?;
        // If we crash before this is durable, the next start notes these entries again.
        batch.position(index.saturating_add(1));
        self.apply(batch)?;
        recent.clear();
        Ok(())
    }

    /// The ledger indexes of a message's entries, ascending; at most the `limit` lowest.
    ///
    /// # Errors
    /// When the engine cannot read.
    pub fn messages(&self, id: &MessageId, limit: usize) -> Result<Vec<u64>, StoreError> {
        let mut found = BTreeSet::new();
        let is_asked = |row: &Row| row.id == *id;
        found.extend(
            self.recent()
                .iter()
                .filter(|row| is_asked(row))
                .map(Row::index),
        );
        // One seek for each run: the first of its blocks that does not end before the id.
        let mut run = Some(0);
        while let Some(first) = run.take() {
            self.range(
                Tree::Messages,
                &block_key(first, id, 0),
                None,
                |key, block| {
                    let Some((of, last)) = parse_block_key(key) else {
                        return ControlFlow::Break(());
                    };
                    if of != first {
                        run = Some(of);
                        return ControlFlow::Break(());
                    }
                    found.extend(rows(block).filter(is_asked).map(|row| row.index));
                    if last == *id {
                        return ControlFlow::Continue(());
                    }
                    run = first.checked_add(1);
                    ControlFlow::Break(())
                },
            )?;
        }
        Ok(found.into_iter().take(limit).collect())
    }
}

// === impl Row ===

impl Row {
    const fn index(&self) -> u64 {
        self.index
    }
}

fn rows(block: &[u8]) -> impl Iterator<Item = Row> {
    let (rows, _) = block.as_chunks::<ROW>();
    rows.iter().filter_map(|row| {
        let (id, index) = row.split_first_chunk::<16>()?;
        Some(Row {
            id: *id,
            index: u64::from_be_bytes(*index.first_chunk()?),
        })
    })
}

fn block_key(first: u64, last: &MessageId, index: u64) -> Vec<u8> {
    [&first.to_be_bytes(), last.as_slice(), &index.to_be_bytes()].concat()
}

fn parse_block_key(key: &[u8]) -> Option<(u64, MessageId)> {
    let (first, rest) = key.split_first_chunk::<8>()?;
    let (last, _) = rest.split_first_chunk::<16>()?;
    Some((u64::from_be_bytes(*first), *last))
}
