//! What a dossier does not show, whoever reads it.

use std::sync::Arc;

use bytes::Bytes;
use entente_clock::Timestamp;
use entente_evidence::proof::SignedStatement;
use entente_evidence::statement::Kind;
use entente_identity::MemberId;
use entente_ledger::SignedCheckpoint;
use entente_ledger::entry::{Body, Denied, DeniedCall, Entry};
use entente_signing::VerifyingKey;

use super::report::Gap;
use super::{Dossier, Tree};

// === impl Dossier ===

impl Dossier {
    /// What is not shown, sealed at that time. What depends on whom the reader believes comes on top.
    pub(crate) fn gaps(&self, sealed_at: Timestamp) -> Vec<Gap> {
        let mut gaps = Vec::new();
        if self.answer.is_none() {
            gaps.push(Gap::Answer);
        }
        for (side, party) in [("consumer", &self.consumer), ("provider", &self.provider)] {
            let server = || self.server(side).clone();
            let Some(tree) = &party.ledger else {
                gaps.push(Gap::Ledger { server: server() });
                continue;
            };
            let (mut logged, mut missing) = (Vec::new(), Vec::new());
            for signed in [Some(&self.request), self.answer.as_ref()]
                .into_iter()
                .flatten()
            {
                match tree.index_of(signed) {
                    Some(index) => logged.push(index),
                    // The entry that refuses a request is what the fault promises: it is not logged beside it.
                    None if side == "provider" && self.is_refusal(signed, tree) => {}
                    None => missing.push(signed.statement().kind()),
                }
            }
            logged.extend(tree.outcome_of(&self.request));
            gaps.extend(missing.into_iter().map(|kind| Gap::NotLogged {
                server: server(),
                kind,
            }));
            let stamped = |index: &u64| tree.stamps.values().any(|s| s.paths.contains_key(index));
            logged.retain(|index| !stamped(index));
            if !logged.is_empty() {
                gaps.push(Gap::Time {
                    origin: tree.key.name().to_owned(),
                    entries: logged,
                });
            }
            if self.witnessed(side, tree, sealed_at).is_none() {
                gaps.push(Gap::Witnesses { server: server() });
            }
        }
        for (server, key) in self.keys() {
            let gap = Gap::NotBound {
                server: server.clone(),
            };
            if !self.is_servers(&server, &key) && !gaps.contains(&gap) {
                gaps.push(gap);
            }
        }
        for (member, key) in self.member_keys() {
            let is_bound = self.is_members(&member, &key);
            let gap = Gap::MemberNotBound { member };
            if !is_bound && !gaps.contains(&gap) {
                gaps.push(gap);
            }
        }
        gaps.push(Gap::InForce);
        if self.abroad.is_some() {
            gaps.push(Gap::Recognition);
        }
        gaps
    }

    /// The keys of members that seal, or stand above sessions.
    pub(super) fn member_keys(&self) -> Vec<(MemberId, VerifyingKey)> {
        let sessions = [&self.consumer, &self.provider].map(|party| party.session.as_ref());
        let chains = sessions.into_iter().flatten().map(|s| s.chain.as_ref());
        let above = chains.flatten().map(|chain| chain.member());
        let all = std::iter::once(&self.sealer).chain(above);
        all.map(|one| (one.member().clone(), one.key().clone()))
            .collect()
    }

    /// Whether a statement is the fault for a request that a ledger holds as refused.
    fn is_refusal(&self, signed: &SignedStatement, tree: &Tree) -> bool {
        let request = Some(self.request.bytes());
        let mut bodies = tree.bodies();
        signed.statement().kind() == Kind::Fault
            && bodies
                .any(|(_, body)| matches!(body, Body::Denied(_)) && statement_in(&body) == request)
    }

    /// When a quorum of the policy's witnesses had cosigned a ledger's checkpoint, before this was sealed.
    pub(super) fn witnessed(
        &self,
        side: &str,
        tree: &Tree,
        sealed_at: Timestamp,
    ) -> Option<(u64, Timestamp)> {
        let named = self
            .registry_of(&self.server(side).jurisdiction())?
            .witnesses()?;
        let checkpoint = SignedCheckpoint::verify(tree.checkpoint.as_bytes(), &tree.key);
        let judged = named.policy.judge(&Arc::new(checkpoint.ok()?), sealed_at)?;
        Some((judged.checkpoint().size(), judged.at()?))
    }
}

// === impl Tree ===

impl Tree {
    /// Where a statement is logged.
    pub(super) fn index_of(&self, signed: &SignedStatement) -> Option<u64> {
        let mut bodies = self.bodies();
        let found = bodies.find(|(_, body)| statement_in(body) == Some(signed.bytes()));
        found.map(|(index, _)| index)
    }

    /// Where it is noted that a request has no answer.
    fn outcome_of(&self, request: &SignedStatement) -> Option<u64> {
        let request = request.hash();
        let mut bodies = self.bodies();
        let found = bodies
            .find(|(_, body)| matches!(body, Body::Outcome(outcome) if outcome.request == request));
        found.map(|(index, _)| index)
    }

    /// Its entries that can be read, as entries of an access ledger.
    fn bodies(&self) -> impl Iterator<Item = (u64, Body)> {
        self.entries.iter().filter_map(|(index, entry)| {
            let entry = Entry::decode(&entry.bytes).ok()?;
            Some((*index, entry.body))
        })
    }
}

/// The statement that an entry is about: sent, received, or refused.
pub(super) const fn statement_in(body: &Body) -> Option<&Bytes> {
    match body {
        Body::In(body) => Some(&body.statement),
        Body::Out(body) => Some(&body.statement),
        Body::Denied(Denied {
            call: DeniedCall::Statement(statement),
            ..
        }) => Some(statement),
        _ => None,
    }
}
