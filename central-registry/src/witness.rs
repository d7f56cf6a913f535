//! The registry as a witness of its servers' ledgers: the logs it knows are the shards in its own state.

use std::sync::Arc;

use entente_clock::Clock;
use entente_follow::witness::{KnownLogs, Witness, WitnessConfig, WitnessError};
use entente_identity::Jurisdiction;
use entente_keys::{KeyStore, KeyStoreError, KeyUse};
use entente_ledger::disk::Disk;
use entente_ledger::note::NoteKey;

use crate::config::{Config, WITNESS_KEY};
use crate::desk::Record;

/// The shards that the registry's state holds, closed ones too: their last checkpoint may still lack
/// its quorum.
#[derive(Debug)]
struct Shards(Arc<Record>);

/// Why the witness cannot be opened. Variants are alphabetical.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OpenWitnessError {
    #[error("loading the witness's key")]
    Keys(#[from] KeyStoreError),
    #[error("opening the witness")]
    Witness(#[from] WitnessError),
}

impl KnownLogs for Shards {
    fn keys(&self, origin: &str) -> Vec<NoteKey> {
        let state = self.0.state();
        let shard = state.shard_by_origin(origin);
        let key = shard.and_then(|shard| NoteKey::new(origin, shard.key.clone()).ok());
        key.into_iter().collect()
    }
}

/// The name of a registry's witness, and of its key.
pub(crate) fn name_of(jurisdiction: &Jurisdiction) -> String {
    format!("witness.registry.{jurisdiction}")
}

/// Opens the witness of this registry; its key is made at the first start.
pub(crate) fn open(
    config: &Config,
    keys: &KeyStore,
    record: Arc<Record>,
    disk: Arc<dyn Disk>,
    clock: Arc<dyn Clock>,
) -> Result<Witness, OpenWitnessError> {
    let signer = keys.load_or_generate(KeyUse::Witness, WITNESS_KEY)?;
    Ok(Witness::open(WitnessConfig {
        name: name_of(&config.jurisdiction),
        signer,
        dir: config.data.as_path().join("witness"),
        disk,
        clock,
        logs: Arc::new(Shards(record)),
    })?)
}
