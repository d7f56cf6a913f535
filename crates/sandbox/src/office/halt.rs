//! Halting an agreement, and lifting the halt.

use entente_agreement::AgreementId;
use entente_agreement::lifecycle::State;
use entente_directory::{AgreementRecord, Change};
use entente_follow::author::next_act;
use entente_follow::{Accepted, View};

use super::{Office, OfficeError};

// === impl Office ===

impl Office {
    /// Suspends an agreement. The next call under it is refused on every connected server within 5 s. None
    /// when this member holds it suspended already.
    ///
    /// # Errors
    /// When there is none such, or the registry refuses.
    pub async fn suspend(
        &self,
        agreement: AgreementId,
        reason: Option<String>,
    ) -> Result<Option<Accepted>, OfficeError> {
        let view = self.desk.refresh().await?;
        let (record, state) = self.found(&view, agreement)?;
        if state == State::Suspended && record.suspended_by.contains(self.member()) {
            return Ok(None);
        }
        let act = next_act(&view.state, agreement, reason);
        let change = Change::AgreementSuspend(act);
        self.as_officer(&change, Vec::new()).await.map(Some)
    }

    /// Lifts this member's suspension of an agreement: it is in force again once nobody holds it suspended.
    /// None when it is in force.
    ///
    /// # Errors
    /// When there is none such, only others hold it suspended, or the registry refuses.
    pub async fn resume(
        &self,
        agreement: AgreementId,
        reason: Option<String>,
    ) -> Result<Option<Accepted>, OfficeError> {
        let view = self.desk.refresh().await?;
        let (record, state) = self.found(&view, agreement)?;
        if state == State::Active {
            return Ok(None);
        }
        if state == State::Suspended && !record.suspended_by.contains(self.member()) {
            let members = record.suspended_by.iter().cloned().collect();
            return Err(OfficeError::HeldByOthers { members });
        }
        let act = next_act(&view.state, agreement, reason);
        let change = Change::AgreementResume(act);
        self.as_officer(&change, Vec::new()).await.map(Some)
    }

    /// The agreement with this hash, or of its versions that can be halted and resumed the newest: not one
    /// that is only proposed. When there is none such, as [`Self::find`].
    pub fn find_in_force<'a>(&self, view: &'a View, named: &str) -> Option<&'a AgreementRecord> {
        let now = self.desk.now();
        let halting = |record: &&AgreementRecord| {
            let state = view.state.agreement_state(record, now);
            matches!(state, State::Active | State::Suspended) && record.terms.name.as_str() == named
        };
        let in_force = view.state.agreements().filter(halting);
        in_force
            .max_by_key(|record| record.terms.version)
            .or_else(|| Self::find(view, named))
    }

    fn found<'a>(
        &self,
        view: &'a View,
        agreement: AgreementId,
    ) -> Result<(&'a AgreementRecord, State), OfficeError> {
        let record = view.state.agreement(&agreement);
        let record = record.ok_or(OfficeError::UnknownAgreement)?;
        let state = view.state.agreement_state(record, self.desk.now());
        Ok((record, state))
    }
}
