//! What denies is in effect on sight of its author's signature, ahead of any checkpoint.

use entente_directory::RegistryEntry;
use entente_ledger::disk::DiskError;

use super::{Broken, Session};
use crate::view::View;

impl Session {
    /// Puts a denying change into effect on sight of its author's signature.
    pub(super) fn deny_early(&mut self, entry: &RegistryEntry) -> Result<(), Broken> {
        let change = &entry.change;
        let same = |early: &RegistryEntry| early.change.hash() == change.hash();
        let known = self.early.iter().any(same);
        if !change.kind().denies() || known || self.early.len() >= MAX_EARLY {
            return Ok(());
        }
        let view = self.shared.view();
        // Refused here for instance because its author is only admitted by an entry before it.
        let Ok(state) = view.state.deny(change, entry.at) else {
            return Ok(());
        };
        self.shared.count_denied();
        self.shared.publish(view.with_state(state));
        self.early.push(entry.clone());
        // In effect before it is durable: if we crash here, the stream brings it again, and until
        // then the registry has not been heard by this process either.
        self.keep_early()?;
        Ok(())
    }

    /// The early denials take their place over a newer view.
    pub(super) fn with_early(&self, mut view: View) -> View {
        for entry in &self.early {
            if let Ok(state) = view.state.deny(&entry.change, entry.at) {
                view = view.with_state(state);
            }
        }
        view
    }

    /// Forgets early denials that the ledger has brought: their author's changes go on after them.
    pub(super) fn settle_early(&mut self) -> Result<(), DiskError> {
        if self.early.is_empty() {
            return Ok(());
        }
        let view = self.shared.view();
        self.early.retain(|early| {
            let header = early.change.header();
            let last = view.state.author(&header.author);
            last.is_none_or(|last| last.sequence < header.sequence)
        });
        self.keep_early()
    }

    fn keep_early(&self) -> Result<(), DiskError> {
        let early: Vec<Vec<u8>> = self.early.iter().map(RegistryEntry::encode).collect();
        self.replica.keep_early(&early)
    }
}

/// Denials in effect ahead of the ledger.
const MAX_EARLY: usize = 1024;
