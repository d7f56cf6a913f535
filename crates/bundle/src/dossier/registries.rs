//! The registries that a dossier quotes: that of whoever sealed it, and the other party's where that is another.
//!
//! A registry speaks for its own names and no others, so what it says of another one's is not looked at. One
//! recognises the other by the key of its ledger.

use bytes::Bytes;
use entente_directory::{Change, Genesis, RegistryEntry};
use entente_identity::{Jurisdiction, MemberId, ServerId};
use entente_signing::VerifyingKey;

use super::{Dossier, Tree, binds, binds_member, recognises};

/// The folders of the sealer's registry, and of the other party's.
pub(crate) const REGISTRY: &str = "registry";
pub(crate) const ABROAD: &str = "abroad";

// === impl Dossier ===

impl Dossier {
    /// The registries in it, each with its folder.
    pub(crate) fn registries(&self) -> impl Iterator<Item = (&'static str, &Tree)> {
        let both = [(REGISTRY, &self.registry), (ABROAD, &self.abroad)];
        let held = both.into_iter();
        held.filter_map(|(folder, tree)| Some((folder, tree.as_ref()?)))
    }

    /// The registry in it that speaks for a jurisdiction's names.
    pub(super) fn registry_of(&self, jurisdiction: &Jurisdiction) -> Option<&Tree> {
        let origin = Genesis::origin_of(jurisdiction);
        let mut held = self.registries();
        let found = held.find(|(_, tree)| tree.key.name() == origin)?;
        Some(found.1)
    }

    /// The other registry in it than this one.
    pub(crate) fn beside(&self, registry: &Tree) -> Option<&Tree> {
        let mut held = self.registries();
        let found = held.find(|(_, tree)| tree.key != registry.key)?;
        Some(found.1)
    }

    /// Whether an entry of the ledger of one of its registries binds a key of somebody it speaks for, or
    /// recognises the other one.
    pub fn needs_change(&self, registry: &Tree, entry: &Bytes) -> bool {
        let Ok(entry) = RegistryEntry::parse(entry) else {
            return false;
        };
        let change = entry.change.change();
        let other = self.beside(registry);
        let (keys, members) = (self.keys(), self.member_keys());
        let mut keys = keys
            .iter()
            .filter(|(server, _)| registry.speaks_for(&server.jurisdiction()));
        let mut members = members
            .iter()
            .filter(|(member, _)| registry.speaks_for(&member.jurisdiction()));
        keys.any(|(server, key)| binds(change, server, key))
            || members.any(|(member, key)| binds_member(change, member, key))
            || other.is_some_and(|other| recognises(change, &other.key).is_some())
    }

    /// Whether its registry's ledger, as far as it is here, says that this is a server's key.
    pub(super) fn is_servers(&self, server: &ServerId, key: &VerifyingKey) -> bool {
        let registry = self.registry_of(&server.jurisdiction());
        registry.is_some_and(|tree| tree.holds_change(|change| binds(change, server, key)))
    }

    /// Whether its registry's ledger, as far as it is here, says that this is a member's key.
    pub(super) fn is_members(&self, member: &MemberId, key: &VerifyingKey) -> bool {
        let registry = self.registry_of(&member.jurisdiction());
        registry.is_some_and(|tree| tree.holds_change(|change| binds_member(change, member, key)))
    }
}

// === impl Tree ===

impl Tree {
    /// Whether it is the ledger of a jurisdiction's registry.
    pub(crate) fn speaks_for(&self, jurisdiction: &Jurisdiction) -> bool {
        self.key.name() == Genesis::origin_of(jurisdiction)
    }

    /// Whether its entries here, of a registry, recognise the one whose ledger the other is.
    pub(super) fn recognises(&self, other: &Self) -> bool {
        self.holds_change(|change| recognises(change, &other.key).is_some())
    }

    fn holds_change(&self, is_it: impl Fn(&Change) -> bool) -> bool {
        let entries = self.entries.values();
        let mut parsed = entries.filter_map(|entry| RegistryEntry::parse(&entry.bytes).ok());
        parsed.any(|entry| is_it(entry.change.change()))
    }
}
