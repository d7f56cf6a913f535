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

use entente_store::{Journal, MessageId, Opened, RUN, Store};

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

/// The message of entry `index` in the ledger these tests imagine: two entries a message, ids in no
/// order.
fn message(index: u64) -> MessageId {
    let mut id = [0xab; 16];
    id[..8].copy_from_slice(&(index / 2).reverse_bits().to_be_bytes());
    id
}

fn fill(store: &Store, from: u64, to: u64) {
    for index in from..to {
        store.note(&message(index), index).unwrap();
    }
}

/// Whether the index is exactly what the first `size` entries make it: at its ends, and here and there.
fn assert_reflects(store: &Store, size: u64) {
    let near = |at: u64| at.saturating_sub(4)..at + 4;
    let run = RUN as u64;
    let here_and_there = (0..size).step_by(1 + size as usize / 50);
    for index in near(0)
        .chain(near(run))
        .chain(near(size))
        .chain(here_and_there)
    {
        let index = index / 2 * 2;
        let expected: Vec<_> = (index..(index + 2).min(size).max(index)).collect();
        assert_eq!(store.messages(&message(index), 16).unwrap(), expected);
    }
}

/// Waits until the index durably reflects a whole number of runs, as many as `size` entries hold.
fn settle(store: &Store, size: u64) {
    let whole = size - size % RUN as u64;
    while store.position() < whole {
        assert!(store.is_writable());
        std::thread::yield_now();
    }
    assert_eq!(store.position(), whole);
}
