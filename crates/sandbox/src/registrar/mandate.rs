//! A registrar's acts on bodies of oversight: giving them mandates, and ending those.

use entente_clock::Timestamp;
use entente_directory::{Change, MandateEnd, MandateGrant};
use entente_follow::Accepted;
use entente_identity::MemberId;

use super::{Registrar, RegistrarError};

impl Registrar {
    /// Gives a body a mandate, in the place of the one it had. None when it has that one already.
    ///
    /// # Errors
    /// When the body or a member is not one of the registry's, or the registry refuses.
    pub async fn grant_mandate(
        &self,
        grant: MandateGrant,
    ) -> Result<Option<Accepted>, RegistrarError> {
        let view = self.desk.refresh().await?;
        let mut named = std::iter::once(&grant.body).chain(&grant.members);
        if let Some(member) = named.find(|member| view.state.member(member).is_none()) {
            let member = member.clone();
            return Err(RegistrarError::UnknownMember { member });
        }
        let held = view.state.mandate_of(&grant.body);
        let is_so = held.is_some_and(|held| {
            held.members == grant.members
                && held.reads == grant.reads
                && held.basis == grant.basis
                && (held.from, view.state.mandate_until(held)) == (grant.from, grant.until)
        });
        if is_so {
            return Ok(None);
        }
        self.submit(&Change::MandateGrant(grant)).await.map(Some)
    }

    /// Ends a body's mandate, now or from a moment on. None when it ends no later already.
    ///
    /// # Errors
    /// When the body never had one, or the registry refuses.
    pub async fn end_mandate(
        &self,
        body: &MemberId,
        from: Option<Timestamp>,
        reason: Option<String>,
    ) -> Result<Option<Accepted>, RegistrarError> {
        let view = self.desk.refresh().await?;
        let body = body.clone();
        let Some(held) = view.state.mandate_of(&body) else {
            return Err(RegistrarError::NoMandate { body });
        };
        let now = self.desk.now();
        if view.state.mandate_until(held) <= from.unwrap_or(now).max(now) {
            return Ok(None);
        }
        let change = Change::MandateEnd(MandateEnd { body, from, reason });
        self.submit(&change).await.map(Some)
    }
}
