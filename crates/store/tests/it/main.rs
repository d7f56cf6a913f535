//! The store and the replay window, from outside.
#![allow(
    clippy::unwrap_used,
    reason = "clippy.toml allows it in tests, and does not see that these are their parts"
)]

mod crash;
mod damage;
mod reads;
mod replay;

use std::path::Path;

use entente_store::{Batch, Journal, MessageId, Opened, Store};

const ORIGIN: &str = "ss1.service-ontario.ca-on/access/2026h2.1";

fn journal(size: u64) -> Journal<'static> {
    Journal {
        origin: ORIGIN,
        size,
    }
}

fn open(folder: &Path, size: u64) -> Opened {
    Store::open(folder, journal(size)).unwrap()
}

/// The message of entry `index` in the ledger these tests imagine: two entries a message.
fn message(index: u64) -> MessageId {
    let mut id = [0xab; 16];
    id[..8].copy_from_slice(&(index / 2).to_be_bytes());
    id
}

/// What the ledger's entry `index` adds to the index.
fn entry(index: u64) -> Batch {
    let mut batch = Batch::new();
    batch.message(&message(index), index);
    batch.cursor("last", index).unwrap();
    batch.position(index + 1);
    batch
}

fn fill(store: &Store, from: u64, to: u64) {
    for index in from..to {
        store.apply(entry(index)).unwrap();
    }
}

/// Whether the index is exactly what the first `size` entries make it.
fn assert_reflects(store: &Store, size: u64) {
    assert_eq!(store.position(), size);
    assert_eq!(store.cursor("last").unwrap(), size.checked_sub(1));
    for index in (0..size + 2).step_by(2) {
        let expected: Vec<_> = (index..(index + 2).min(size)).collect();
        assert_eq!(store.messages(&message(index), 16).unwrap(), expected);
    }
}
