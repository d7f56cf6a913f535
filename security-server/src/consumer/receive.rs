//! Step 9: what came back is checked in full, logged, and only then used.

use entente_evidence::admission::{check_addressee, check_fresh};
use entente_evidence::answer::Answer;
use entente_evidence::opening::Openings;
use entente_evidence::proof::SignedStatement;
use entente_evidence::receipt::Receipt;
use entente_evidence::statement::{Body as Says, Failure};
use entente_ledger::entry::{Body, Denied, DeniedCall, In};
use entente_proto::exchange::v1 as wire;
use entente_reason::Reason;

use super::{Asked, Decided};
use crate::journal::Keep;
use crate::server::Server;
use crate::system::metadata_may_pass;
use crate::view::ServerView;

// === impl Server ===

impl Server {
    /// Step 9: everything the answer claims is checked, then IN, then it may be used. (G1 G2 G3 G5)
    ///
    /// The outer error means that no valid answer came, or (`OUTCOME_UNKNOWN`) that our ledger did not
    /// take it; the inner one that the provider refused.
    pub(super) async fn receive_answer(
        &self,
        decided: &Decided<'_>,
        server: &ServerView<'_>,
        asked: &Asked,
        open: wire::Open,
    ) -> Result<Result<(Answer, Receipt), Reason>, Reason> {
        let signed = SignedStatement::parse(open.statement.clone()).map_err(|e| e.reason())?;
        let session = self
            .peer_sessions
            .accept(self, &decided.adopted, server, &signed, &open.session_chain)
            .await
            .map_err(|reason| match reason {
                // The request was sent: that our ledger fails now, or that the peer has too many
                // sessions, does not undo it.
                Reason::ClockOff | Reason::LogUnavailable | Reason::Overloaded => {
                    Reason::OutcomeUnknown
                }
                reason => reason,
            })?;
        let verified = session.verify(&signed)?;
        let statement = verified.statement();
        statement.answers(&asked.request).map_err(|e| e.reason())?;
        check_addressee(&verified, &self.id, |system| system == decided.caller)
            .map_err(|e| e.reason())?;
        check_fresh(statement, self.clock.now()).map_err(|e| e.reason())?;
        let receipt = statement.receipt().ok_or(Reason::ReceiptMissing)?.clone();
        // A promise about another ledger than the provider's own is no promise.
        if receipt.origin != statement.log || !server.logs_in(&receipt.origin) {
            return Err(Reason::ReceiptMissing);
        }
        let (peer, log) = (server.id(), &statement.log);
        self.gossip
            .hear(&decided.adopted, peer, log, &open.checkpoint)
            .await;
        // From a ledger that forked, or that nobody vouches for, an answer is worth nothing.
        let vouched = self
            .gossip
            .check(peer, decided.adopted.federation().policy_of(peer));
        let compared = || self.views.compare(&decided.adopted, &statement.views);
        if let Err(reason) = vouched.and_then(|()| compared()) {
            self.keep_unused(&signed, decided, reason).await;
            return Err(reason);
        }
        self.peers.knows_session(server.id(), &asked.session);
        let entry = |sidecar, tags| {
            Body::In(In {
                statement: signed.bytes().clone(),
                sidecar,
                view: Some(decided.adopted.index),
                tags,
            })
        };
        if let Says::Fault { failure, .. } = &statement.body {
            let reason = failure.reason().known().unwrap_or(Reason::InvalidAnswer);
            self.journal
                .append(entry(None, Vec::new()))
                .await
                .map_err(|_| Reason::OutcomeUnknown)?;
            // Refused: nothing was done. Failed: as its reason says.
            return Ok(Err(match failure {
                Failure::Refused(_) | Failure::Failed(_) => reason,
            }));
        }
        let seal = open.seal.as_ref().ok_or(Reason::SealInvalid)?;
        let plaintext = asked.outgoing.open(&signed, seal, open.sealed)?;
        let opened = Openings::decode(&plaintext)
            .and_then(|openings| openings.check(&statement.commitments))
            .map_err(|e| e.reason())?;
        self.seals_out
            .acknowledge(asked.request.statement(), &asked.outgoing);
        let payload = opened.payload().map_err(|e| e.reason())?;
        let answer = Answer::decode(payload).map_err(|e| e.reason())?;
        // The provider filtered already; an answer that still carries more than agreed is not used.
        if decided.plan.filter_answer(&answer.message)? != answer.message
            || !metadata_may_pass(&answer.metadata)
        {
            return Err(Reason::InvalidAnswer);
        }
        let most = decided.adopted.most_subjects();
        let answered = decided.plan.about_answer(&answer.message, most)?;
        let about = decided.about.with(answered);
        let tags = self
            .tag_keys
            .tags(&decided.permit, &about, &statement.message_id)?;
        let keep = Keep {
            kind: 1,
            statement: &signed,
            openings: opened.openings(),
            permit: &decided.permit,
        };
        // If we crash before this is durable, the caller has nothing, and the next start notes that
        // the request has no answer here.
        self.journal
            .append_with(keep, |sidecar| entry(sidecar, tags.own()))
            .await
            .map_err(|_| Reason::OutcomeUnknown)?;
        Ok(Ok((answer, receipt)))
    }

    /// An answer given under another registry than ours, or from a ledger that forked, is not used, and not
    /// forgotten either.
    async fn keep_unused(&self, answer: &SignedStatement, decided: &Decided<'_>, reason: Reason) {
        let peer = &answer.statement().sender_server;
        tracing::error!(event = "answer.unused", peer = %peer, reason = reason.code());
        let denied = Body::Denied(Denied {
            reason: reason.code().to_owned(),
            peer: Some(peer.clone()),
            call: DeniedCall::Statement(answer.bytes().clone()),
            sidecar: None,
            view: Some(decided.adopted.index),
            tags: Vec::new(),
        });
        if let Err(reason) = self.journal.append(denied).await {
            self.noise
                .count(Some(peer.as_str()), reason, self.clock.now());
        }
    }
}
