//! The registry as a witness: of its servers' ledgers, which are the shards in its own state, and of the
//! registries of other jurisdictions that it was told of.

use std::sync::Arc;

use entente_clock::Clock;
use entente_config::ConfigError;
use entente_follow::Anchor;
use entente_follow::witness::{KnownLogs, Witness, WitnessConfig, WitnessError};
use entente_identity::Jurisdiction;
use entente_keys::{KeyStore, KeyStoreError, KeyUse};
use entente_ledger::disk::Disk;
use entente_ledger::note::NoteKey;

use crate::config::{Config, WITNESS_KEY};
use crate::desk::Record;

/// The shards that the registry's state holds, closed ones too: their last checkpoint may still lack
/// its quorum. And the registries it was told to cosign for.
#[derive(Debug)]
struct Ledgers {
    record: Arc<Record>,
    /// In the order of the files: of one registry, an older anchor's key before a newer one's.
    registries: Vec<NoteKey>,
}

/// Why the witness cannot be opened. Variants are alphabetical.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OpenWitnessError {
    #[error("reading another registry's anchor file")]
    Anchor(#[source] Box<ConfigError>),
    #[error("loading the witness's key")]
    Keys(#[from] KeyStoreError),
    #[error("opening the witness")]
    Witness(#[from] WitnessError),
}

impl KnownLogs for Ledgers {
    fn keys(&self, origin: &str, _size: u64) -> Vec<NoteKey> {
        let state = self.record.state();
        let shard = state.shard_by_origin(origin);
        let key = shard.and_then(|shard| NoteKey::new(origin, shard.key.clone()).ok());
        let registries = self.registries.iter();
        let registries = registries.filter(|key| key.name() == origin);
        registries.cloned().chain(key).collect()
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
    let anchors = config.cosigns.iter();
    let anchors = anchors.map(|file| Anchor::load(file.as_path()));
    let registries = anchors.map(|anchor| anchor.map(|anchor| anchor.ledger));
    let registries = registries.collect::<Result<_, _>>();
    let registries = registries.map_err(|error| OpenWitnessError::Anchor(Box::new(error)))?;
    let signer = keys.load_or_generate(KeyUse::Witness, WITNESS_KEY)?;
    Ok(Witness::open(WitnessConfig {
        name: name_of(&config.jurisdiction),
        signer,
        dir: config.data.as_path().join("witness"),
        disk,
        clock,
        logs: Arc::new(Ledgers { record, registries }),
    })?)
}
