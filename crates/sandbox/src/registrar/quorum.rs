//! What registrars decide together: proposing, agreeing, objecting, and who is in office.

use entente_directory::{Author, Change, LedgerKey, ProposalAct, ProposalRecord, Registrars};
use entente_follow::Accepted;
use entente_signing::{Digest, VerifyingKey};

use super::{Registrar, RegistrarError};

impl Registrar {
    /// This desk's own key.
    pub fn key(&self) -> &VerifyingKey {
        self.key.verifying_key()
    }

    /// The change that this registry's registrars made last, if it takes more of them and is not in effect.
    pub fn tabled(&self) -> Option<Digest> {
        let state = self.desk.known();
        let last = state.author(&Author::Registrar)?.last;
        let mut proposals = state.proposals();
        proposals
            .any(|tabled| tabled.change.hash() == last)
            .then_some(last)
    }

    /// Agrees to a proposal. None when this registrar did already.
    ///
    /// # Errors
    /// When there is none of this hash, or the registry refuses.
    pub async fn agree(&self, proposal: &Digest) -> Result<Option<Accepted>, RegistrarError> {
        let state = self.desk.newest().await?;
        let mut proposals = state.proposals();
        let tabled = proposals.find(|tabled| tabled.change.hash() == *proposal);
        let tabled = tabled.ok_or(RegistrarError::UnknownProposal { hash: *proposal })?;
        if tabled.agreed.contains(&self.key().spki_digest()) {
            return Ok(None);
        }
        let act = ProposalAct { change: *proposal };
        self.submit(&Change::ProposalApprove(act)).await.map(Some)
    }

    /// Takes a proposal off the table.
    ///
    /// # Errors
    /// When there is none of this hash, or the registry refuses.
    pub async fn withdraw(&self, proposal: &Digest) -> Result<Accepted, RegistrarError> {
        let state = self.desk.newest().await?;
        let mut proposals = state.proposals();
        if !proposals.any(|tabled| tabled.change.hash() == *proposal) {
            return Err(RegistrarError::UnknownProposal { hash: *proposal });
        }
        let act = ProposalAct { change: *proposal };
        self.submit(&Change::ProposalWithdraw(act)).await
    }

    /// Proposes other registrars, changed from the present ones. None when they are those already.
    ///
    /// # Errors
    /// When the registry refuses.
    pub async fn propose_registrars(
        &self,
        change: impl FnOnce(&mut Registrars),
    ) -> Result<Option<Accepted>, RegistrarError> {
        let view = self.desk.refresh().await?;
        let held = view.state.registry().map(|registry| Registrars {
            keys: registry.registrars.clone(),
            quorum: registry.quorum,
            clerk: registry.clerk.clone(),
        });
        let Some(held) = held else {
            return Ok(None);
        };
        let mut next = held.clone();
        change(&mut next);
        if next == held {
            return Ok(None);
        }
        self.submit(&Change::Registrars(next)).await.map(Some)
    }

    /// Proposes another ledger key, or agrees to it where another registrar proposed it. None when it is in
    /// office already, or this registrar agreed before.
    ///
    /// # Errors
    /// When the registry refuses.
    pub async fn propose_ledger_key(
        &self,
        next: LedgerKey,
    ) -> Result<Option<Accepted>, RegistrarError> {
        let state = self.desk.newest().await?;
        if state
            .registry()
            .is_some_and(|registry| registry.ledger == next.key)
        {
            return Ok(None);
        }
        let is_it = |tabled: &&ProposalRecord| match tabled.change.change() {
            Change::LedgerKey(body) => body.key == next.key,
            _ => false,
        };
        let tabled = state.proposals().find(is_it);
        match tabled.map(|tabled| tabled.change.hash()) {
            Some(proposal) => self.agree(&proposal).await,
            None => self.submit(&Change::LedgerKey(next)).await.map(Some),
        }
    }
}
