//! What entries after a view add up to before a checkpoint covers them: worked out as they come, so that
//! a country need not be held in memory twice, and believed by nobody.

use std::sync::Arc;

use bytes::Bytes;
use entente_clock::Timestamp;
use entente_directory::{Blobs, Policy, Refusal, RegistryEntry, State, apply};
use entente_ledger::SignedCheckpoint;
use entente_ledger::note::NoteKey;
use entente_signing::Digest;

use crate::alarm::AlarmKind;
use crate::anchor::Anchor;
use crate::demand;
use crate::tree::Tree;
use crate::view::View;

/// A view's state and tree, and the entries after it.
#[derive(Debug)]
pub(crate) struct Ahead {
    state: State,
    tree: Tree,
    /// The first entry that must not be in the ledger. What follows it is hashed and no more.
    fault: Option<Fault>,
    /// The first entries, as many as fit beside a note: what an alarm is raised over.
    first: Vec<Bytes>,
    /// Bytes of the entries after the view.
    pub(crate) bytes: usize,
    /// Whether some of the entries came by an earlier stream.
    pub(crate) is_resumed: bool,
}

#[derive(Debug)]
struct Fault {
    index: u64,
    kind: AlarmKind,
    entry: Bytes,
}

/// An entry rests on a blob that is not held here; nothing was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BlobMissing(pub(crate) Digest);

// === impl Ahead ===

impl Ahead {
    /// Nothing after the view.
    pub(crate) fn of(view: &View) -> Self {
        Self {
            state: view.state.clone(),
            tree: view.tree().clone(),
            fault: None,
            first: Vec::new(),
            bytes: 0,
            is_resumed: false,
        }
    }

    /// How many entries there are, the view's included.
    pub(crate) fn size(&self) -> u64 {
        self.tree.size()
    }

    /// Takes the next entry in; `parsed` is none when it is no entry at all.
    pub(crate) fn push(
        &mut self,
        bytes: &Bytes,
        parsed: Option<&RegistryEntry>,
        anchor: &Anchor,
        blobs: &dyn Blobs,
    ) -> Result<(), BlobMissing> {
        if self.fault.is_none() {
            match applied(&self.state, parsed, anchor, blobs) {
                Ok(state) => self.state = state,
                Err(NotApplied::Missing(missing)) => return Err(missing),
                Err(NotApplied::Fault(kind)) => {
                    self.fault = Some(Fault {
                        index: self.size(),
                        kind,
                        entry: bytes.clone(),
                    });
                }
            }
        }
        self.tree.push(bytes);
        if self.bytes + bytes.len() <= MAX_EVIDENT {
            // A copy: the entry may be a slice of a message much larger than itself.
            self.first.push(Bytes::copy_from_slice(bytes));
        }
        self.bytes += bytes.len();
        Ok(())
    }

    /// The root over the first `size` entries; none when there are fewer.
    pub(crate) fn root_at(&self, size: u64) -> Option<Digest> {
        self.tree.root_at(size)
    }

    /// What is wrong with the first `size` entries, by the rules.
    pub(crate) fn fault_within(&self, size: u64) -> Option<AlarmKind> {
        let fault = self.fault.as_ref().filter(|fault| fault.index < size);
        fault.map(|fault| fault.kind)
    }

    /// The key that signs a tree of `size`, as far as the entries that were worked off say.
    pub(crate) fn ledger_at(&self, size: u64) -> Option<NoteKey> {
        let registry = self.state.registry()?;
        NoteKey::new(&registry.origin, registry.ledger_at(size).clone()).ok()
    }

    /// The largest trees that keys before the present one sign, in order.
    pub(crate) fn former_ledgers(&self) -> impl Iterator<Item = u64> {
        let registry = self.state.registry();
        let former = registry.map_or(&[][..], |registry| &registry.former_ledgers);
        former.iter().map(|former| former.until)
    }

    /// Whether the registry's checkpoints are signed with this key, or once were.
    pub(crate) fn knows_ledger(&self, key: &NoteKey) -> bool {
        let registry = self.state.registry();
        registry.is_some_and(|registry| registry.knows_ledger(key.key()))
    }

    /// Whether there is an entry that must not be in the ledger.
    pub(crate) const fn is_at_fault(&self) -> bool {
        self.fault.is_some()
    }

    /// The state after these entries too; none when it cannot be told here.
    pub(crate) fn state_after<'a>(
        &self,
        entries: impl IntoIterator<Item = Option<&'a RegistryEntry>>,
        anchor: &Anchor,
        blobs: &dyn Blobs,
    ) -> Option<State> {
        if self.is_at_fault() {
            return None;
        }
        let mut entries = entries.into_iter();
        entries.try_fold(self.state.clone(), |state, entry| {
            applied(&state, entry, anchor, blobs).ok()
        })
    }

    /// The registry's policy by all of it.
    pub(crate) fn policy(&self) -> Option<&Policy> {
        self.state.policy()
    }

    /// The view that all of it is, under a checkpoint over all of it that was verified.
    pub(crate) fn view(
        &self,
        before: &View,
        checkpoint: Arc<SignedCheckpoint>,
        now: Timestamp,
    ) -> View {
        before.after(self.state.clone(), self.tree.clone(), checkpoint, now)
    }

    /// The first entries, and the one that is at fault.
    pub(crate) fn evident(&self) -> impl Iterator<Item = &Bytes> {
        let fault = self.fault.as_ref().map(|fault| &fault.entry);
        let fault = fault.filter(|entry| !self.first.contains(entry));
        self.first.iter().chain(fault)
    }
}

enum NotApplied {
    Fault(AlarmKind),
    Missing(BlobMissing),
}

/// The state after one more entry.
fn applied(
    state: &State,
    parsed: Option<&RegistryEntry>,
    anchor: &Anchor,
    blobs: &dyn Blobs,
) -> Result<State, NotApplied> {
    let fault = |kind| Err(NotApplied::Fault(kind));
    let Some(entry) = parsed else {
        return fault(AlarmKind::RefusedChange);
    };
    let index = state.size();
    if index == 0 && entry.change.hash() != anchor.genesis {
        return fault(AlarmKind::OtherGenesis);
    }
    let after = match apply(state, &entry.change, entry.at, blobs) {
        Ok(after) => after,
        Err(Refusal::BlobMissing(hash)) => return Err(NotApplied::Missing(BlobMissing(hash))),
        Err(refusal) => {
            let reason = refusal.reason().code();
            tracing::error!(event = "registry.change_refused", index, reason);
            return fault(AlarmKind::RefusedChange);
        }
    };
    // By what takes effect, not by what is proposed: that may be long before, and with another entry.
    if let Some(policy) = other_policy(state, &after)
        && let Some(field) = demand::falls_below(anchor, state.policy(), policy)
    {
        tracing::error!(event = "registry.policy_weakened", index, ?field);
        return fault(AlarmKind::WeakenedPolicy);
    }
    let fits = after.registry().is_some_and(|registry| {
        registry.origin == anchor.origin() && registry.jurisdiction == anchor.jurisdiction
    });
    if index == 0 && !fits {
        return fault(AlarmKind::OtherGenesis);
    }
    Ok(after)
}

/// Bytes of entries kept beside a note as evidence.
const MAX_EVIDENT: usize = 1 << 20;
/// The policy of the later state, if it is not the very one of the earlier.
fn other_policy<'a>(before: &State, after: &'a State) -> Option<&'a Policy> {
    let is_same = |policy: &&Policy| {
        before
            .policy()
            .is_some_and(|before| std::ptr::eq(before, *policy))
    };
    after.policy().filter(|policy| !is_same(policy))
}
