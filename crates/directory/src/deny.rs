//! Deny early, allow late: what takes away takes effect on sight of its author's signature.
//!
//! A revocation may reach a server from a peer, or from the registry before its checkpoint. It is
//! believed without the ledger because the worst it can do is refuse; anything permissive waits.
//! Denials lie over the state until the ledger brings the same change; they are never hashed and
//! never let anything pass.

use std::sync::Arc;

use entente_clock::Timestamp;

use crate::apply::{
    check_author, check_denial, check_owner, check_revocation, check_right, mandate, recognition,
    takes_away,
};
use crate::change::{Author, Change, MemberAct, SignedChange};
use crate::refusal::Refusal;
use crate::state::State;

impl State {
    /// Takes a denying change into account ahead of the ledger. Seen again, it changes nothing.
    ///
    /// # Errors
    /// When it is not a denying change, its author may not make it, it is older than the author's
    /// last one in the ledger, or too many wait already.
    pub fn deny(&self, change: &SignedChange, now: Timestamp) -> Result<Self, Refusal> {
        let header = change.header();
        let not_allowed = || Refusal::AuthorNotAllowed {
            author: header.author.clone(),
            kind: change.kind(),
        };
        if !takes_away(&self.core, change) {
            return Err(not_allowed());
        }
        let registry = self.registry().ok_or(Refusal::WrongRegistry)?;
        if header.registry != registry.origin {
            return Err(Refusal::WrongRegistry);
        }
        if header.not_after < now {
            let not_after = header.not_after;
            return Err(Refusal::Expired { not_after });
        }
        // An old suspension that was lifted since must not come back: it is in the ledger already.
        let last = self
            .author(&header.author)
            .map_or(0, |position| position.sequence);
        if header.sequence <= last {
            return Err(Refusal::OutOfOrder {
                author: header.author.clone(),
                expected: last.saturating_add(1),
                found: header.sequence,
            });
        }
        let role = check_author(&self.core, change)?;
        check_right(change, role)?;
        match change.change() {
            Change::MemberSuspend(body) | Change::MemberEnd(body) => self.known(body)?,
            Change::KeyRevoke(body) => {
                check_revocation(&self.core, change, role, body)?;
            }
            Change::SessionRevoke(body) => {
                check_owner(change, &body.server)?;
                self.server(&body.server)
                    .ok_or_else(|| Refusal::UnknownServer(body.server.clone()))?;
            }
            Change::ServiceRetire(body) => {
                let Author::Member(member) = &header.author else {
                    return Err(not_allowed());
                };
                self.service(&body.service, member)
                    .ok_or_else(|| Refusal::UnknownService(body.service.clone()))?;
            }
            Change::AgreementRevoke(body) | Change::AgreementSuspend(body) => {
                let record = self.agreement(&body.agreement);
                let record = record.ok_or(Refusal::UnknownAgreement(body.agreement))?;
                check_denial(record, change, body, now)?;
            }
            Change::RecognitionSuspend(body) | Change::RecognitionRevoke(body) => {
                recognition(&self.core, &body.jurisdiction)?;
            }
            Change::MandateEnd(body) => {
                mandate(&self.core, &body.body)?;
            }
            _ => return Err(not_allowed()),
        }
        if self.denials.size() >= MAX_DENIALS && !self.denials.contains_key(&change.hash()) {
            return Err(Refusal::Limit("denials ahead of the ledger"));
        }
        let denials = self.denials.insert(change.hash(), Arc::new(change.clone()));
        let core = self.core.clone();
        Ok(Self { core, denials })
    }

    fn known(&self, body: &MemberAct) -> Result<(), Refusal> {
        match self.member(&body.member) {
            Some(_) => Ok(()),
            None => Err(Refusal::UnknownMember(body.member.clone())),
        }
    }
}

/// What is not in the ledger after this many is not believed early; the ledger will bring it.
const MAX_DENIALS: usize = 1024;
