//! Who cosigned the checkpoints, by the policy that the registry's ledger holds.

use bytes::Bytes;
use entente_directory::{Change, RegistryEntry};
use entente_ledger::note::{SignedNote, WitnessKey};
use entente_ledger::witness::WitnessPolicy;
use entente_ledger::{SignedCheckpoint, cosignature};

use super::{Dossier, Party, Tree};

/// The policy of witnesses, and the change that made it.
pub(crate) struct Named {
    /// Where in the registry's ledger.
    pub(crate) index: u64,
    /// The policy.
    pub(crate) policy: WitnessPolicy,
}

/// One cosignature that verifies, by a witness of the policy.
pub(crate) struct Cosignature<'a> {
    /// What the policy calls the witness.
    pub(crate) name: &'a str,
    /// Its key.
    pub(crate) key: &'a WitnessKey,
    /// When, in seconds since 1970.
    pub(crate) seconds: u64,
    /// Over [`Cosignature::head`] and the text of the checkpoint.
    pub(crate) signature: Bytes,
}

// === impl Tree ===

impl Tree {
    /// The policy of the newest change here that makes one, when this is a registry's and it names witnesses.
    pub(crate) fn witnesses(&self) -> Option<Named> {
        let entries = self.entries.iter().rev();
        let mut policies = entries.filter_map(|(index, entry)| {
            let policy = policy(&entry.bytes)?;
            let index = *index;
            Some(Named { index, policy })
        });
        let newest = policies.next()?;
        (!newest.policy.witnesses().is_empty()).then_some(newest)
    }
}

// === impl Dossier ===

impl Dossier {
    /// Whether an entry of a registry's ledger makes a policy.
    pub fn is_policy(entry: &Bytes) -> bool {
        policy(entry).is_some()
    }
}

fn policy(entry: &Bytes) -> Option<WitnessPolicy> {
    match RegistryEntry::parse(entry).ok()?.change.change() {
        Change::Policy(policy) => Some(policy.witnesses.clone()),
        _ => None,
    }
}

// === impl Named ===

impl Named {
    /// The cosignatures below a ledger's checkpoint, in the policy's order.
    fn cosignatures(&self, tree: &Tree) -> Vec<Cosignature<'_>> {
        let Ok(checkpoint) = SignedCheckpoint::verify(tree.checkpoint.as_bytes(), &tree.key) else {
            return Vec::new();
        };
        let mut found = Vec::new();
        for witness in self.policy.witnesses() {
            let lines = checkpoint.note().signatures().iter();
            let own = lines.filter_map(|line| {
                let at = cosignature::verify_line(&checkpoint, line, &witness.key).ok()?;
                Some(Cosignature {
                    name: &witness.name,
                    key: &witness.key,
                    seconds: at.as_millis() / 1000,
                    signature: Bytes::copy_from_slice(line.bytes.get(TIME..)?),
                })
            });
            // Its newest: a policy counts no other.
            found.extend(own.max_by_key(|cosignature| cosignature.seconds));
        }
        found
    }
}

// === impl Party ===

impl Party {
    /// The cosignatures below its ledger's checkpoint.
    pub(crate) fn cosignatures<'a>(&self, named: &'a Named) -> Vec<Cosignature<'a>> {
        let tree = self.ledger.as_ref();
        tree.map_or_else(Vec::new, |tree| named.cosignatures(tree))
    }

    /// The text of its ledger's checkpoint.
    pub(crate) fn checkpoint_text(&self) -> String {
        let tree = self.ledger.as_ref();
        let note = tree.and_then(|tree| SignedNote::parse(tree.checkpoint.as_bytes()).ok());
        note.map_or_else(String::new, |note| note.text().to_owned())
    }
}

// === impl Cosignature ===

impl Cosignature<'_> {
    /// What it is over: two lines, and the checkpoint's text.
    pub(crate) fn head(&self) -> String {
        format!("cosignature/v1\ntime {}\n", self.seconds)
    }
}

/// Bytes of the time before a cosignature.
const TIME: usize = 8;
