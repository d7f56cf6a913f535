//! Following the static files of a mirror, when no address of the registry answers.
//!
//! One look at a mirror: its checkpoint, and of what that covers only what is not held. What was worked off
//! of a ledger too long for one look is on disk, and is where the next look begins.

use std::sync::Arc;

use entente_ledger::tile::WIDTH;
use entente_ledger::{Checkpoint, SignedCheckpoint};
use entente_proto::registry::v1::Entries;

use super::{Broken, End, Session};
use crate::mirror::Mirror;

// === impl Session ===

impl Session {
    /// Looks at one mirror after the other until one brings the view forward or has nothing newer.
    pub(crate) async fn look_at_mirrors(&mut self) -> End {
        let mut end = End::Lost { was_of_use: false };
        for mirror in self.mirrors.clone() {
            self.begin();
            self.mirror = Some(Arc::clone(&mirror));
            let looked = self.look_at(&mirror).await;
            self.mirror = None;
            match looked {
                Ok(()) => {
                    let was_of_use = self.advanced;
                    return End::Lost { was_of_use };
                }
                Err(broken) => {
                    let cause = std::error::Error::source(&broken).map(ToString::to_string);
                    let at = mirror.at().to_string();
                    tracing::info!(event = "mirror.unusable", at, why = %broken, cause);
                    if let ended @ End::Alarmed = self.end(broken) {
                        end = ended;
                    }
                }
            }
        }
        end
    }

    async fn look_at(&mut self, mirror: &Mirror) -> Result<(), Broken> {
        let note = mirror.checkpoint().await.map_err(Broken::Mirror)?;
        let not_one = || Broken::Unexpected("a checkpoint of the registry's on the mirror");
        let claimed = Checkpoint::claimed(&note).ok();
        let origin = self.shared.anchor.origin();
        let claimed = claimed.filter(|claimed| claimed.origin == origin);
        let Checkpoint { size, .. } = claimed.ok_or_else(not_one)?;
        if size <= self.ahead.size() {
            self.verify_known(&note).map_err(|_| not_one())?;
        }
        // Signed with a key that only its entries can name, perhaps: anybody can put a note there, and so many
        // entries as they are an author's own are fetched to find out.
        let known = self.ahead.ledger_at(self.ahead.size());
        let known = known.as_ref().unwrap_or(&self.shared.anchor.ledger);
        let is_signed = SignedCheckpoint::verify(&note, known).is_ok();
        self.fetch_entries(mirror, size, is_signed).await?;
        self.conclude(note).await?;
        let view = self.shared.view();
        if !self.shared.is_witnessed() && view.size > 0 {
            // Nobody says when the mirror last heard of the registry. That it had nothing newer when it
            // logged the last of these entries, the registry has signed.
            self.shared.fresh_since(view.state.last_at());
        }
        Ok(())
    }

    /// Fetches the bundles with entries that are not held, up to `size`.
    async fn fetch_entries(
        &mut self,
        mirror: &Mirror,
        size: u64,
        is_signed: bool,
    ) -> Result<(), Broken> {
        loop {
            let next = self.sent();
            if next >= size {
                return Ok(());
            }
            if !is_signed && self.ahead.is_at_fault() {
                return Err(Broken::Unproven("entries on the mirror"));
            }
            let (first, entries) = mirror
                .bundle(next / WIDTH, size)
                .await
                .map_err(Broken::Mirror)?;
            let known = usize::try_from(next - first).unwrap_or(usize::MAX);
            let entry = entries.get(known..).unwrap_or_default().to_vec();
            if entry.is_empty() {
                return Err(Broken::Unexpected("entries on the mirror"));
            }
            let first_index = next;
            self.receive(Entries { first_index, entry }).await?;
        }
    }
}
