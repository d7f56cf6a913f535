//! Whose key signed a checkpoint: the one that the entries under it name, and no other.
//!
//! The anchor's key is the one to begin with. Which one signs a tree of some size follows from its entries
//! (`docs/decisions/014`), so a checkpoint beyond what was worked off is verified with the newest key known,
//! and again once its entries are; or only then.

use entente_ledger::note::NoteKey;
use entente_ledger::{Checkpoint, SignedCheckpoint};

use super::{Broken, Session};
use crate::alarm::AlarmKind;

impl Session {
    /// Verifies a checkpoint with what is known, or with what its entries say once they are worked off.
    pub(super) async fn verify(&mut self, note: &[u8]) -> Result<SignedCheckpoint, Broken> {
        let Ok(claimed) = Checkpoint::claimed(note) else {
            return Err(self.unsigned(AlarmKind::BadSignature, note));
        };
        let worked_off = self.ahead.size();
        if claimed.size <= worked_off && worked_off > 0 {
            return self.verify_known(note);
        }
        let newest = self.ahead.ledger_at(worked_off);
        let newest = newest.as_ref().unwrap_or(&self.shared.anchor.ledger);
        if let Ok(checkpoint) = SignedCheckpoint::verify(note, newest) {
            return Ok(checkpoint);
        }
        let behind = claimed.size - worked_off;
        if behind > self.pending.len() as u64 {
            // Entries come before their checkpoint, so no entry can name another key.
            return Err(self.unsigned(AlarmKind::BadSignature, note));
        }
        self.work_off(behind as usize).await?;
        self.verify_known(note)
    }

    /// Verifies a checkpoint over no more than what was worked off.
    pub(super) fn verify_known(&self, note: &[u8]) -> Result<SignedCheckpoint, Broken> {
        let size = Checkpoint::claimed(note).map_or(0, |claimed| claimed.size);
        let key = self.ahead.ledger_at(size);
        let key = key.as_ref().unwrap_or(&self.shared.anchor.ledger);
        SignedCheckpoint::verify(note, key).map_err(|_| {
            let kind = match self.is_former(note, size) {
                true => AlarmKind::FormerKey,
                false => AlarmKind::BadSignature,
            };
            self.unsigned(kind, note)
        })
    }

    /// Whether it is signed with a key that signs smaller trees only.
    fn is_former(&self, note: &[u8], size: u64) -> bool {
        let sizes = self.ahead.former_ledgers().filter(|until| *until < size);
        let mut keys = sizes.filter_map(|until| self.ahead.ledger_at(until));
        keys.any(|key: NoteKey| SignedCheckpoint::verify(note, &key).is_ok())
    }

    /// What comes of a note that is not signed as it should be. Anybody can put one on a mirror: that is no
    /// fault of the registry's.
    fn unsigned(&self, kind: AlarmKind, note: &[u8]) -> Broken {
        let wanted = self.ahead.ledger_at(self.ahead.size());
        let wanted = wanted.as_ref().unwrap_or(&self.shared.anchor.ledger);
        let kind_of = kind.as_str();
        tracing::warn!(event = "registry.checkpoint_unsigned", kind = kind_of, wanted = %wanted);
        match self.mirror {
            Some(_) => Broken::Unproven("a checkpoint of the registry's on the mirror"),
            None => Broken::Alarm(kind, note.to_vec().into()),
        }
    }

    /// Shows what the entries add up to that no checkpoint covers, to whoever has to know what to sign next
    /// and to witnesses, who have to know which key signs it.
    pub(super) fn show_unproven(&self) {
        let size = self.sent();
        if size == self.shared.view().size {
            self.shared.show_unproven(None);
            return;
        }
        if self.shared.unproven_size() == Some(size) {
            return;
        }
        let entries = self.pending.iter().map(|pending| pending.entry.as_ref());
        let (anchor, blobs) = (&self.shared.anchor, &*self.replica.blobs);
        let state = self.ahead.state_after(entries, anchor, blobs);
        self.shared.show_unproven(state);
    }
}
