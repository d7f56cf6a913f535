//! Working out what a ledger adds up to, before and after it is opened.

use std::sync::Arc;

use bytes::Bytes;
use entente_directory::{RegistryEntry, State, apply};
use entente_follow::BlobStore;
use entente_ledger::disk::Disk;
use entente_ledger::layout::Layout;
use entente_ledger::{Ledger, LogKeys, Reader, SignedTree};

use super::StartError;
use crate::config::Config;
use crate::desk::Record;
use crate::office::Office;

/// The newest checkpoint on the disk, before anything is written to the ledger; and what the ledger adds up
/// to, which says whose key signed it.
pub(super) fn published(
    config: &Config,
    disk: &Arc<dyn Disk>,
    record: &Record,
    blobs: &BlobStore,
    office: &Arc<Office>,
) -> Result<Option<SignedTree>, StartError> {
    if !disk.exists(&Layout::new(config.ledger()).format())? {
        return Ok(None);
    }
    let mut reader = Reader::open(disk.clone(), config.ledger())?;
    let mut state = State::empty();
    for entry in reader.entries(0) {
        let (_, entry) = entry?;
        state = replay_one(&state, &entry, record, blobs)?;
    }
    let keys = Arc::clone(office) as Arc<dyn LogKeys>;
    Ok(SignedTree::of_folder(reader, keys)?)
}

/// Applies what the record does not have yet. A ledger that does not add up is not served.
pub(super) async fn replay(
    ledger: &Ledger,
    record: &Record,
    blobs: &BlobStore,
) -> Result<(), StartError> {
    let mut state = State::clone(&record.state());
    while state.size() < ledger.size() {
        let entries = ledger.entries(state.size(), REPLAYED_AT_ONCE).await?;
        if entries.is_empty() {
            let (index, refusal) = (state.size(), None);
            return Err(StartError::Damaged { index, refusal });
        }
        for entry in entries {
            state = replay_one(&state, &entry, record, blobs)?;
        }
    }
    Ok(())
}

fn replay_one(
    state: &State,
    entry: &Bytes,
    record: &Record,
    blobs: &BlobStore,
) -> Result<State, StartError> {
    let index = state.size();
    let damaged = |refusal| StartError::Damaged { index, refusal };
    let entry = RegistryEntry::parse(entry).map_err(|_| damaged(None))?;
    let state =
        apply(state, &entry.change, entry.at, blobs).map_err(|refusal| damaged(Some(refusal)))?;
    record.note(index, &entry.change, state.clone());
    Ok(state)
}

/// Entries read in one go at start.
const REPLAYED_AT_ONCE: usize = 1024;
