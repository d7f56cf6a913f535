//! Who signs the registry's checkpoints: the key that its own changes name, if it lies here.
//! (`docs/decisions/014`)
//!
//! Which key signs a tree follows from the tree, so nothing is switched and nothing is kept: a process that
//! dies at any moment of a pivot finds the same key at its next start. While the key in office is not here,
//! nothing is signed, and nothing is taken that does not help to get another.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwap;
use entente_directory::{Change, RegistryRecord, SignedChange, State};
use entente_keys::{KeyStore, KeyStoreError, KeyUse};
use entente_ledger::note::NoteKey;
use entente_ledger::{LogKeys, Signatory};
use entente_signing::{Digest, Signer, VerifyingKey};

use crate::config::LEDGER_KEY;
use crate::desk::Record;

/// The keys in the key folder that sign checkpoints, signed, or will.
#[derive(Clone, Debug)]
pub struct LedgerKeys {
    held: Vec<(u32, Arc<dyn Signer>)>,
}

/// Picks among them by what is in the ledger.
#[derive(Debug)]
pub(crate) struct Office {
    origin: String,
    record: Arc<Record>,
    store: KeyStore,
    keys: ArcSwap<LedgerKeys>,
    /// While changes are being appended that put another key in office: the size before them. Beyond it
    /// nobody knows yet. [`NOT_TURNING`] otherwise.
    turning: AtomicU64,
}

/// The key in office is not here: nothing that permits is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NoKey;

// === impl LedgerKeys ===

impl LedgerKeys {
    /// Every usable one, in the order in which they were made. One that cannot be read is said, and no
    /// reason not to use the others: it may be the one to be replaced.
    ///
    /// # Errors
    /// When the folder cannot be read, or holds none.
    pub fn load(store: &KeyStore) -> Result<Self, KeyStoreError> {
        Self::load_telling(store, |label, error| {
            let error: &dyn std::error::Error = error;
            tracing::error!(event = "ledger.key_unusable", label, error);
        })
    }

    fn load_telling(
        store: &KeyStore,
        unusable: impl Fn(&str, &KeyStoreError),
    ) -> Result<Self, KeyStoreError> {
        let mut labels = store.labels(KeyUse::Ledger)?;
        labels.retain(|label| number(label).is_some());
        labels.sort_by_key(|label| number(label));
        let mut held = Vec::new();
        for label in &labels {
            match store.load(KeyUse::Ledger, label) {
                Ok(key) => held.extend(number(label).map(|number| (number, key))),
                Err(error) => unusable(label, &error),
            }
        }
        match held.is_empty() {
            false => Ok(Self { held }),
            // Says what is wrong with the first, or that there is none.
            true => store.load(KeyUse::Ledger, LEDGER_KEY).map(|key| Self {
                held: vec![(1, key)],
            }),
        }
    }

    /// The next key to take office: the newest here that never was in it, or a new one. None in `registry`:
    /// it cannot be asked, and the newest that is not the first is taken for the next.
    ///
    /// # Errors
    /// When it can be neither read nor made.
    pub fn prepare(
        store: &KeyStore,
        registry: Option<&RegistryRecord>,
    ) -> Result<Arc<dyn Signer>, KeyStoreError> {
        let mut numbers: Vec<u32> = store
            .labels(KeyUse::Ledger)?
            .iter()
            .filter_map(|l| number(l))
            .collect();
        numbers.sort_unstable();
        let newest = numbers.last().copied().unwrap_or(0);
        let is_spare = |key: &VerifyingKey| match registry {
            Some(registry) => !registry.knows_ledger(key),
            None => newest > 1,
        };
        if newest > 0
            && let Ok(key) = store.load(KeyUse::Ledger, &label(newest))
            && is_spare(key.verifying_key())
        {
            return Ok(key);
        }
        // Never the label of a key that is in office or was, even where its file is gone.
        let ever = registry.map_or(1, |registry| registry.former_ledgers.len() + 1);
        let ever = u32::try_from(ever).unwrap_or(u32::MAX);
        store.generate(KeyUse::Ledger, &label(newest.max(ever).saturating_add(1)))
    }

    /// The signer of this key; none when it is not here.
    pub fn signer(&self, key: &VerifyingKey) -> Option<&Arc<dyn Signer>> {
        let mut held = self.held.iter().map(|(_, signer)| signer);
        held.find(|signer| signer.verifying_key() == key)
    }

    /// The newest that was made to take office and never was in it.
    pub fn successor(&self, registry: &RegistryRecord) -> Option<&Arc<dyn Signer>> {
        let later = self.held.iter().rev().filter(|(number, _)| *number > 1);
        let mut later = later.map(|(_, signer)| signer);
        later.find(|signer| !registry.knows_ledger(signer.verifying_key()))
    }

    /// The label under which this key lies in the key folder.
    pub fn label_of(&self, key: &VerifyingKey) -> Option<String> {
        let mut held = self.held.iter();
        let held = held.find(|(_, signer)| signer.verifying_key() == key);
        held.map(|(number, _)| label(*number))
    }
}

/// The label of the `n`th ledger key.
fn label(n: u32) -> String {
    match n {
        0 | 1 => LEDGER_KEY.to_owned(),
        n => format!("{LEDGER_KEY}-{n}"),
    }
}

/// Which ledger key has this label; none when it is of no use here.
fn number(label: &str) -> Option<u32> {
    if label == LEDGER_KEY {
        return Some(1);
    }
    let digits = label.strip_prefix(LEDGER_KEY)?.strip_prefix('-')?;
    let number = digits.parse().ok().filter(|number| *number > 1)?;
    (self::label(number) == label).then_some(number)
}

// === impl Office ===

impl Office {
    /// Of the registry that `record` is of, with the keys in its key folder.
    ///
    /// # Errors
    /// When it holds no usable one.
    pub(crate) fn open(
        origin: &str,
        record: Arc<Record>,
        store: KeyStore,
    ) -> Result<Self, KeyStoreError> {
        let keys = LedgerKeys::load(&store)?;
        Ok(Self {
            origin: origin.to_owned(),
            record,
            keys: ArcSwap::from_pointee(keys),
            store,
            turning: AtomicU64::new(NOT_TURNING),
        })
    }

    /// What signs with this key. It may have come since the last look: whoever runs the registry makes the next
    /// one, or puts one back, while it runs.
    fn find(&self, key: &VerifyingKey) -> Option<Arc<dyn Signer>> {
        if let Some(signer) = self.keys.load().signer(key) {
            return Some(Arc::clone(signer));
        }
        let keys = LedgerKeys::load_telling(&self.store, |_, _| {}).ok()?;
        let found = keys.signer(key).cloned();
        if found.is_some() {
            self.keys.store(Arc::new(keys));
        }
        found
    }

    /// Whether these changes may be taken: while nothing can be signed, what denies, and what puts another key
    /// in office. One that is not here is not even proposed, nor agreed to: nothing could be signed once it is in office.
    pub(crate) fn check(&self, changes: &[SignedChange]) -> Result<(), NoKey> {
        let state = self.record.state();
        let next = |change: &Change| match change {
            Change::LedgerKey(body) => Some(body.key.clone()),
            _ => None,
        };
        let tabled = |hash: &Digest| {
            let mut proposals = state.proposals();
            let tabled = proposals.find(|tabled| tabled.change.hash() == *hash)?;
            next(tabled.change.change())
        };
        let is_away = |change: &SignedChange| {
            let key = match change.change() {
                Change::ProposalApprove(act) => tabled(&act.change),
                change => next(change),
            };
            key.is_some_and(|key| self.find(&key).is_none())
        };
        if changes.iter().any(is_away) {
            return Err(NoKey);
        }
        let Some(registry) = state.registry() else {
            return Ok(());
        };
        let helps = |change: &SignedChange| {
            let helps = matches!(
                change.change(),
                Change::LedgerKey(_) | Change::ProposalApprove(_) | Change::ProposalWithdraw(_)
            );
            helps || change.kind().denies()
        };
        match changes.iter().all(helps) || self.find(&registry.ledger).is_some() {
            true => Ok(()),
            false => Err(NoKey),
        }
    }

    /// Whether the registry can go on with the keys that are here: with the one in office, or with one that
    /// was made to take its place.
    pub(crate) fn is_staffed(&self, registry: &RegistryRecord) -> bool {
        self.find(&registry.ledger).is_some() || self.keys.load().successor(registry).is_some()
    }

    /// Whether the key in office is here.
    pub(crate) fn can_sign(&self) -> bool {
        let state = self.record.state();
        let registry = state.registry();
        registry.is_none_or(|registry| self.find(&registry.ledger).is_some())
    }

    /// Changes are about to be appended that lead to `next`. Until [`Office::settle`], nothing beyond what was
    /// there before is signed if they put another key in office.
    pub(crate) fn turn(&self, next: &State) {
        let state = self.record.state();
        let key = |state: &State| state.registry().map(|registry| registry.ledger.clone());
        if key(&state) != key(next) {
            self.turning.store(state.size(), Ordering::SeqCst);
        }
    }

    /// They are in the record, or were not appended.
    pub(crate) fn settle(&self) {
        let turned = self.turning.swap(NOT_TURNING, Ordering::SeqCst);
        if turned != NOT_TURNING {
            let here = self.can_sign();
            tracing::info!(event = "ledger.key_turned", from = turned, here);
        }
    }
}

impl LogKeys for Office {
    fn at(&self, size: u64) -> Option<NoteKey> {
        // Before the record: once it says that nothing turns, the record has what turned.
        let turning = self.turning.load(Ordering::SeqCst);
        if size > turning {
            return None;
        }
        let state = self.record.state();
        let key = state.registry()?.ledger_at(size);
        NoteKey::new(&self.origin, key.clone()).ok()
    }
}

impl Signatory for Office {
    fn signer(&self, size: u64) -> Option<Arc<dyn Signer>> {
        let key = self.at(size)?;
        self.find(key.key())
    }
}

const NOT_TURNING: u64 = u64::MAX;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_the_keys_of_its_own_by_their_labels() {
        for n in [1, 2, 9, 10, 4_000] {
            assert_eq!(number(&label(n)), Some(n));
        }
        for other in [
            "changes-",
            "changes-1",
            "changes-02",
            "changes-x",
            "change",
            "other",
        ] {
            assert_eq!(number(other), None, "{other}");
        }
    }

    #[test]
    fn prepares_one_key_and_the_same_again_until_it_is_in_office() {
        let dir = tempfile::tempdir().unwrap();
        let store = KeyStore::open(dir.path().join("keys")).unwrap();
        let first = store.generate(KeyUse::Ledger, LEDGER_KEY).unwrap();
        let next = LedgerKeys::prepare(&store, None).unwrap();
        assert_ne!(next.verifying_key(), first.verifying_key());
        let again = LedgerKeys::prepare(&store, None).unwrap();
        assert_eq!(next.verifying_key(), again.verifying_key());
        let keys = LedgerKeys::load(&store).unwrap();
        assert!(keys.signer(next.verifying_key()).is_some());
    }

    #[test]
    fn a_damaged_key_keeps_nobody_from_the_others() {
        let dir = tempfile::tempdir().unwrap();
        let store = KeyStore::open(dir.path().join("keys")).unwrap();
        store.generate(KeyUse::Ledger, LEDGER_KEY).unwrap();
        std::fs::write(dir.path().join("keys/ledger.changes.pem"), "torn").unwrap();
        assert!(matches!(
            LedgerKeys::load(&store),
            Err(KeyStoreError::Malformed { .. })
        ));
        let next = LedgerKeys::prepare(&store, None).unwrap();
        let keys = LedgerKeys::load(&store).unwrap();
        assert!(keys.signer(next.verifying_key()).is_some());
    }
}
