//! The consumer side of an exchange: steps 1 to 4 and 9 of DESIGN.md §5.
//!
//! A call that this server refuses is a DENIED entry and nothing leaves. Once OUT(request) is
//! durable, the exchange ends with an IN entry (the provider's signed answer) or with OUTCOME.

mod deny;
mod receive;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use entente_evidence::answer::Answer;
use entente_evidence::opening::Openings;
use entente_evidence::proof::SignedStatement;
use entente_evidence::receipt::Receipt;
use entente_evidence::statement::{Actor, Body as Says, Links, MessageId, Statement};
use entente_identity::SystemId;
use entente_ledger::entry::{Body, Out, OutcomeKind};
use entente_policy::Permit;
use entente_proto::exchange::v1 as wire;
use entente_reason::{At, GrpcCode, Reason};
use entente_telemetry::Side;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::about::About;
use crate::call::Call;
use crate::config::{MAX_DEADLINE, MAX_MESSAGE};
use crate::journal::Keep;
use crate::limits::passed_on;
use crate::owed::Debt;
use crate::peers::NoEnvelope;
use crate::plans::Plan;
use crate::probe::Step;
use crate::refusal::Refusal;
use crate::seals::Outgoing;
use crate::server::Server;
use crate::session::OwnSession;
use crate::view::{Adopted, ServerView};

/// What the caller gets back.
#[derive(Debug)]
pub(crate) struct Answered {
    /// The system's own answer.
    pub(crate) answer: Answer,
    /// Names the exchange on both sides.
    pub(crate) transaction: MessageId,
    /// Where the provider logged the request.
    pub(crate) receipt: Receipt,
}

/// A call that was permitted here.
#[derive(Debug)]
struct Decided<'a> {
    caller: &'a SystemId,
    call: &'a Call,
    adopted: Arc<Adopted>,
    permit: Permit,
    plan: Arc<Plan>,
    about: About,
}

/// A request in our ledger, and how it was sealed.
#[derive(Debug)]
struct Asked {
    request: SignedStatement,
    /// What signed it.
    session: Arc<OwnSession>,
    outgoing: Outgoing,
    open: wire::Open,
}

// === impl Server ===

impl Server {
    /// Carries out one call of a local system. Runs to its end even if the caller goes away;
    /// `cancelled` then ends the wait for the peer.
    pub(crate) async fn consume(
        self: Arc<Self>,
        caller: SystemId,
        call: Call,
        body: Bytes,
        cancelled: CancellationToken,
    ) -> Result<Answered, Refusal> {
        self.reached(Step::Called);
        let decided = match self.decide(&caller, &call, &body) {
            Ok(decided) => decided,
            Err(refusal) => return Err(self.deny_local(&caller, &call, refusal).await),
        };
        self.reached(Step::Decided);
        let _in_flight = self.metrics.in_flight(Side::Consumer);
        let began = Instant::now();
        let Some(server) = decided.adopted.servers_for(&call.to).next() else {
            let refusal = Refusal::new(Reason::PeerUnknown);
            return Err(self.deny_local(&caller, &call, refusal).await);
        };
        let policy = decided.adopted.federation().policy_of(server.id());
        if let Err(reason) = self.gossip.check(server.id(), policy) {
            let refusal = Refusal::new(reason).at(At::ProviderServer);
            return Err(self.deny_local(&caller, &call, refusal).await);
        }
        let asked = self
            .write_request(&decided, &server, body)
            .await
            .map_err(|refusal| self.refuse_unlogged_call(&caller, refusal))?;
        self.reached(Step::RequestLogged);
        let deadline = call
            .deadline
            .unwrap_or_else(|| self.limits.deadline.get())
            .min(MAX_DEADLINE);
        let deadline = passed_on(deadline);
        let transaction = asked.request.statement().message_id;
        let sent = self
            .send(&decided, &server, &asked, deadline, &cancelled)
            .await;
        let code = match &sent {
            Ok((answer, _)) => GrpcCode(i32::from(answer.code)),
            Err(refusal) => refusal.reason.grpc(),
        };
        self.metrics.exchange(
            Side::Consumer,
            server.id(),
            &call.method,
            code,
            began.elapsed(),
        );
        match sent {
            Ok((answer, receipt)) => {
                self.reached(Step::Received);
                Ok(Answered {
                    answer,
                    transaction,
                    receipt,
                })
            }
            Err(refusal) => Err(refusal.with("transaction", transaction.to_string())),
        }
    }

    /// Step 2. (G4 G6)
    fn decide<'a>(
        &self,
        caller: &'a SystemId,
        call: &'a Call,
        body: &Bytes,
    ) -> Result<Decided<'a>, Refusal> {
        if call.from.as_ref().is_some_and(|from| from != caller) {
            return Err(Reason::CallerMismatch.into());
        }
        if body.len() > MAX_MESSAGE {
            return Err(Reason::MessageTooLarge.into());
        }
        let adopted = self.in_order()?;
        let permit = adopted.decide_call(caller, call, self.moment())?;
        let plan = self.plans.plan(&adopted, &call.method, &permit)?;
        let about = plan.check_request(body, adopted.most_subjects())?;
        Ok(Decided {
            caller,
            call,
            adopted,
            permit,
            plan,
            about,
        })
    }

    /// Step 3: statement, seal, OUT. (G1)
    async fn write_request(
        &self,
        decided: &Decided<'_>,
        server: &ServerView<'_>,
        body: Bytes,
    ) -> Result<Asked, Refusal> {
        let Decided { call, permit, .. } = decided;
        let mut builder = Openings::builder()
            .payload(body)
            .subjects(decided.about.subjects());
        if let Some(user) = &call.user {
            builder = builder.user(user);
        }
        if let Some(case) = &call.case {
            builder = builder.case(case);
        }
        let openings = builder.build().map_err(|error| error.reason())?;
        let message_id = MessageId::generate().map_err(|error| error.reason())?;
        let tags = self.tag_keys.tags(permit, &decided.about, &message_id)?;
        let statement = Statement {
            message_id,
            sender: decided.caller.clone(),
            receiver: call.to.clone(),
            method: call.method.clone(),
            issued_at: self.clock.now(),
            commitments: openings.commitments(),
            tags: tags.in_statement()?,
            purpose: call.purpose.clone().ok_or(Reason::PurposeMissing)?,
            views: decided.adopted.views_for(server.id()),
            agreement: permit.agreement,
            clause: u64::from(permit.clause),
            mode: call.mode,
            receiver_server: server.id().clone(),
            sender_server: self.id.clone(),
            log: self.journal.origin().clone(),
            body: Says::Request {
                asked: permit.released.clone(),
                mandate: Vec::new(),
                links: Links {
                    retry_of: call.retry_of,
                    ..Links::default()
                },
                actor: Some(Actor {
                    assurance: call.assurance,
                    automated: call.user.is_none(),
                }),
            },
            extensions: Default::default(),
        };
        let recipient = server.seal_key().ok_or(Reason::PeerVersion)?;
        let outgoing = self
            .seals_out
            .session(&statement, recipient, self.clock.now())?;
        let session = self.sessions.current(call.mode).await?;
        let request = self.signing.sign(&session, statement).await?;
        let (seal, sealed) = outgoing.seal(&request, openings.seal_plaintext())?;
        tags.write_overflow(&self.journal, &request).await?;
        let keep = Keep {
            kind: 2,
            statement: &request,
            openings: &openings,
            permit,
        };
        // If we crash before this is durable, nothing has left; after it, the next start notes that
        // the request has no answer.
        self.journal
            .append_with(keep, |sidecar| {
                Body::Out(Out {
                    statement: request.bytes().clone(),
                    sidecar,
                    view: Some(decided.adopted.index),
                })
            })
            .await?;
        let open = wire::Open {
            statement: request.bytes().clone(),
            session_chain: self.peers.chain_for(server.id(), &session),
            seal: Some(seal),
            sealed,
            checkpoint: self.gossip.tell(server.id()),
        };
        Ok(Asked {
            request,
            session,
            outgoing,
            open,
        })
    }

    /// Steps 4 and 9.
    async fn send(
        &self,
        decided: &Decided<'_>,
        server: &ServerView<'_>,
        asked: &Asked,
        deadline: Duration,
        cancelled: &CancellationToken,
    ) -> Result<(Answer, Receipt), Refusal> {
        let sent = tokio::select! {
            sent = self.exchange(server, asked, passed_on(deadline)) => sent,
            () = tokio::time::sleep(deadline) => {
                self.conclude(asked, OutcomeKind::Timeout);
                return Err(Refusal::new(Reason::OutcomeUnknown).at(At::ProviderServer));
            }
            () = cancelled.cancelled() => {
                self.conclude(asked, OutcomeKind::Cancelled);
                return Err(Reason::OutcomeUnknown.into());
            }
        };
        let open = match sent {
            Ok(open) => open,
            Err(no_envelope) => {
                let (kind, reason) = match no_envelope {
                    NoEnvelope::NotSent(reason) => (OutcomeKind::Timeout, reason),
                    NoEnvelope::Lost => (OutcomeKind::Timeout, Reason::OutcomeUnknown),
                    NoEnvelope::Refused(reason) => (OutcomeKind::InvalidAnswer, reason),
                };
                self.conclude(asked, kind);
                return Err(Refusal::new(reason).at(At::ProviderServer));
            }
        };
        match self.receive_answer(decided, server, asked, open).await {
            Ok(outcome) => outcome.map_err(|reason| Refusal::new(reason).at(At::ProviderServer)),
            // Our own ledger did not take the answer, good as it may be: the failure is here.
            Err(Reason::OutcomeUnknown) => {
                self.conclude(asked, OutcomeKind::Crashed);
                Err(Refusal::new(Reason::OutcomeUnknown).at(At::CallerServer))
            }
            Err(reason) => {
                self.conclude(asked, OutcomeKind::InvalidAnswer);
                Err(Refusal::new(reason).at(At::ProviderServer))
            }
        }
    }

    /// Sends the envelope; once more, with session and encapsulation in it, when the peer says it
    /// knows one of them not. That hint is unauthenticated: it costs one repetition, no more.
    async fn exchange(
        &self,
        server: &ServerView<'_>,
        asked: &Asked,
        deadline: Duration,
    ) -> Result<wire::Open, NoEnvelope> {
        self.reached(Step::Sent);
        let first = self
            .peers
            .exchange(server, asked.open.clone(), deadline)
            .await;
        if first != Err(NoEnvelope::Refused(Reason::SessionUnknown)) {
            return first;
        }
        let mut again = asked.open.clone();
        again.session_chain = asked.session.chain();
        again.seal = again
            .seal
            .map(|seal| asked.outgoing.with_encapsulation(seal));
        match self.peers.exchange(server, again, deadline).await {
            // The first copy went out, whatever became of the second.
            Err(NoEnvelope::NotSent(_)) => Err(NoEnvelope::Lost),
            sent => sent,
        }
    }

    /// A request has no answer: the ledger is owed a note of it.
    fn conclude(&self, asked: &Asked, kind: OutcomeKind) {
        self.owed.add(Debt::Outcome {
            request: asked.request.hash(),
            kind,
        });
    }
}
