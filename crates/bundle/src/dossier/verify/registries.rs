//! What the registries in a dossier say: whose keys these are, who recognises whom, and what witnesses saw.

use entente_clock::Timestamp;
use entente_directory::{Genesis, RegistryEntry};
use entente_identity::Jurisdiction;

use super::super::bindings::{binds, binds_member, recognises, server_of};
use super::super::report::{Gap, Proven};
use super::super::{Party, Tree};
use super::Check;

// === impl Check ===

impl Check<'_> {
    pub(super) fn registries(&mut self) {
        let dossier = self.dossier;
        for (folder, tree) in dossier.registries() {
            if !tree.stamps.is_empty() {
                self.fault(folder, "no time stamp is over it");
            }
            if self.tree(folder, tree).is_some() {
                self.changes(folder, tree);
            }
        }
        match (&dossier.registry, &dossier.abroad) {
            (None, Some(_)) => self.fault("abroad", "there is no other registry beside it"),
            (Some(one), Some(other)) if one.key.name() == other.key.name() => {
                self.fault("abroad", "it is the same registry again");
            }
            _ => self.belief(),
        }
    }

    /// A registry is believed that is the reader's, or that this one recognises here.
    fn belief(&mut self) {
        let dossier = self.dossier;
        let Some(first) = &dossier.registry else {
            return;
        };
        let known = self.trust.registry.as_ref();
        if let Some(known) = known
            && !dossier.registries().any(|(_, tree)| tree.key == *known)
        {
            let named = dossier.registries();
            let mut named = named.filter(|(_, tree)| tree.key.name() == known.name());
            let folder = named.next().map_or("registry", |(folder, _)| folder);
            return self.fault(folder, "its key is not that of the registry you believe");
        }
        let is_known = |tree: &Tree| known == Some(&tree.key);
        for (_, tree) in dossier.registries() {
            let beside = dossier.beside(tree);
            // Whoever knows neither compares one key: that of the sealer's registry.
            let from = beside.filter(|other| match known {
                Some(_) => is_known(other),
                None => other.key == first.key,
            });
            if !is_known(tree) && !from.is_some_and(|from| from.recognises(tree)) {
                let key = tree.key.to_string();
                self.report.gaps.push(Gap::Registry { key });
            }
        }
    }

    /// The changes of a registry, about those that it speaks for.
    fn changes(&mut self, folder: &str, tree: &Tree) {
        let dossier = self.dossier;
        let mut keys = dossier.keys();
        keys.retain(|(server, _)| tree.speaks_for(&server.jurisdiction()));
        let sealer = &dossier.sealer;
        let is_sealers = tree.speaks_for(&sealer.member().jurisdiction());
        for (index, proved) in &tree.entries {
            let Ok(entry) = RegistryEntry::parse(&proved.bytes) else {
                self.fault(&format!("{folder}/entry-{index}"), "it is no change");
                continue;
            };
            let (change, index) = (entry.change.change(), *index);
            if keys.iter().any(|(server, key)| binds(change, server, key))
                && let Some(server) = server_of(change).cloned()
            {
                self.prove(Proven::Bound { server, index });
            }
            if is_sealers && binds_member(change, sealer.member(), sealer.key()) {
                let member = sealer.member().clone();
                self.prove(Proven::SealBound { member, index });
            }
            let other = dossier.beside(tree);
            let recognised = other.and_then(|other| recognises(change, &other.key));
            if let (Some(jurisdiction), Some(by)) = (recognised.cloned(), speaker(tree)) {
                self.prove(Proven::Recognised {
                    by,
                    jurisdiction,
                    index,
                });
            }
        }
    }

    /// Whether the quorum of the party's own registry cosigned a ledger's checkpoint, before this was sealed.
    pub(super) fn witnesses(&mut self, side: &str, party: &Party, sealed_at: Timestamp) {
        let dossier = self.dossier;
        let registry = dossier.registry_of(&dossier.server(side).jurisdiction());
        let named = registry.and_then(Tree::witnesses);
        let (Some(tree), Some(named)) = (&party.ledger, named) else {
            return;
        };
        if let Some((size, at)) = dossier.witnessed(side, tree, sealed_at) {
            let by = party.cosignatures(&named).into_iter();
            let by = by.map(|cosignature| cosignature.name.to_owned()).collect();
            let origin = tree.key.name().to_owned();
            self.prove(Proven::Witnessed {
                origin,
                size,
                at,
                by,
            });
        }
    }
}

/// The jurisdiction whose registry's ledger it is.
fn speaker(tree: &Tree) -> Option<Jurisdiction> {
    let name = tree.key.name().strip_prefix("registry.")?;
    let jurisdiction: Jurisdiction = name.strip_suffix("/changes")?.parse().ok()?;
    (Genesis::origin_of(&jurisdiction) == tree.key.name()).then_some(jurisdiction)
}
