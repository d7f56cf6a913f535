//! A ledger written anew from the entries of another: what whoever holds the folder can do.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use entente_clock::SystemClock;
use entente_keys::{KeyStore, KeyUse};
use entente_ledger::companion::NoCompanion;
use entente_ledger::disk::RealDisk;
use entente_ledger::{Append, Ledger, LedgerConfig, Reader, Runner};
use entente_signing::Signer;

/// The one ledger of a site.
pub(crate) fn ledger_of(site: &Path) -> PathBuf {
    let shards = fs::read_dir(site.join("data/ledger")).unwrap();
    let shards: Vec<_> = shards.map(|shard| shard.unwrap().path()).collect();
    assert_eq!(shards.len(), 1, "{shards:?}");
    shards[0].clone()
}

/// The key that signs the checkpoints of a site's first ledger.
pub(crate) fn ledger_key(site: &Path) -> Arc<dyn Signer> {
    let store = KeyStore::open(site.join("keys")).unwrap();
    store.load(KeyUse::Ledger, "1").unwrap()
}

/// Writes to `to` what `edit` makes of the entries in `from`, and signs it with `signer`.
pub(crate) async fn rebuild(
    from: &Path,
    to: &Path,
    signer: Arc<dyn Signer>,
    edit: impl Fn(u64, Bytes) -> Option<Bytes>,
) {
    let mut reader = Reader::open(Arc::new(RealDisk), from).unwrap();
    let origin = reader.origin().unwrap().to_owned();
    let read = reader.entries(0).map(Result::unwrap);
    let entries = read
        .filter_map(|(index, entry)| edit(index, entry))
        .collect();
    append(to, &origin, signer, entries).await;
}

/// Appends entries to a ledger, which is made if it is not there, and signs all it holds.
pub(crate) async fn append(to: &Path, origin: &str, signer: Arc<dyn Signer>, entries: Vec<Bytes>) {
    let clock = Arc::new(SystemClock);
    let companion = Box::new(NoCompanion);
    fs::create_dir_all(to.parent().unwrap()).unwrap();
    let config = LedgerConfig::new(to, origin, signer, Arc::new(RealDisk), companion, clock);
    let ledger = Ledger::open(config, Runner::Thread).await.unwrap();
    for entry in entries {
        let attachment = None;
        ledger.append(Append { entry, attachment }).await.unwrap();
    }
    ledger.publish_now().await.unwrap();
    ledger.shutdown().await.unwrap();
}
