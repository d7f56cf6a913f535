//! The provider side of an exchange: steps 5 to 8 of DESIGN.md §5.
//!
//! Before the request's statement has verified, a refusal is an unsigned status and is summarised.
//! Afterwards every refusal is a DENIED entry and a signed fault that names it. Once IN(request) is
//! durable the system may have acted, and the exchange ends with an OUT entry come what may.

mod refuse;

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use entente_evidence::admission::{check_addressee, check_fresh};
use entente_evidence::answer::Answer;
use entente_evidence::commitment::Subject;
use entente_evidence::opening::{Opened, Openings};
use entente_evidence::proof::{SignedStatement, Verified};
use entente_evidence::receipt::Receipt;
use entente_evidence::statement::{Body as Says, Failure};
use entente_identity::ServerId;
use entente_ledger::entry::{Body, In};
use entente_policy::Permit;
use entente_proto::exchange::v1 as wire;
use entente_reason::{GrpcCode, Reason};
use entente_signing::Digest;
use entente_telemetry::Side;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::about::About;
use crate::journal::Keep;
use crate::limits::passed_on;
use crate::owed::Debt;
use crate::plans::Plan;
use crate::probe::Step;
use crate::refusal::Refusal;
use crate::seals::ReceivedUnder;
use crate::server::Server;
use crate::system::{CallContext, NoAnswer};
use crate::view::Adopted;
use refuse::out;

/// A refusal before the statement verified: told unsigned, summarised.
#[derive(Debug)]
pub(crate) struct Unverified {
    /// The server the connection is with, when the directory has its TLS key. Never whom the
    /// message names: anybody may write any name.
    peer: Option<ServerId>,
    reason: Reason,
}

/// A request whose statement verified: whoever sent it gets signed answers from here on.
#[derive(Debug)]
struct Received {
    request: Verified,
    adopted: Arc<Adopted>,
}

/// A request opened, checked and permitted.
#[derive(Debug)]
struct Admitted {
    request: SignedStatement,
    adopted: Arc<Adopted>,
    opened: Opened,
    about: About,
    seal: ReceivedUnder,
    permit: Permit,
    plan: Arc<Plan>,
}

/// Why a verified request goes no further.
#[derive(Debug)]
enum Stopped {
    /// DENIED, and a signed fault.
    Denied(Reason),
    /// An unsigned status: saying more would cost an entry for each copy of one message.
    Unsigned(Reason),
}

// === impl Server ===

impl Server {
    /// Answers one envelope. Runs to its end even if the peer goes away; `cancelled` then ends the
    /// call to the system.
    pub(crate) async fn provide(
        self: Arc<Self>,
        spki: Option<Digest>,
        open: wire::Open,
        deadline: Duration,
        cancelled: CancellationToken,
    ) -> Result<wire::Open, Refusal> {
        let introduced = !open.session_chain.is_empty();
        let answered = self.answer(spki, open, deadline, cancelled).await;
        answered.map(|answer| addressed(answer, introduced))
    }

    async fn answer(
        self: Arc<Self>,
        spki: Option<Digest>,
        open: wire::Open,
        deadline: Duration,
        cancelled: CancellationToken,
    ) -> Result<wire::Open, Refusal> {
        let received = match self.receive(spki, &open).await {
            Ok(received) => received,
            Err(reason) => return Err(self.refuse_frame(spki, reason)),
        };
        let sender = received.request.statement().sender_server.clone();
        let request = received.request.signed().clone();
        let adopted = Arc::clone(&received.adopted);
        match self.admit(received, &open).await {
            Ok(admitted) => {
                self.reached(Step::Admitted);
                self.serve(admitted, deadline, cancelled).await
            }
            Err(Stopped::Unsigned(reason)) => Err(self.refuse_unverified(&Unverified {
                peer: Some(sender),
                reason,
            })),
            Err(Stopped::Denied(reason)) => self.deny(&request, &adopted, reason).await,
        }
    }

    /// Step 5, first half: TLS key, session and statement belong to one registered server. (G2)
    async fn receive(&self, spki: Option<Digest>, open: &wire::Open) -> Result<Received, Reason> {
        let request =
            SignedStatement::parse(open.statement.clone()).map_err(|error| error.reason())?;
        let statement = request.statement();
        let adopted = self.in_order()?;
        // Of a suspended member too: the decision refuses it, with an entry and a signed fault.
        let server = adopted
            .registered(&statement.sender_server)
            .ok_or_else(|| adopted.why_unknown(&statement.sender_server))?;
        // The connection must be the sender's own: a captured envelope is useless to anyone else.
        if !spki.is_some_and(|spki| server.speaks_tls_with(&spki)) {
            return Err(Reason::PeerUntrusted);
        }
        let session = self
            .peer_sessions
            .accept(self, &adopted, &server, &request, &open.session_chain)
            .await?;
        let verified = session.verify(&request)?;
        check_addressee(&verified, &self.id, |system| self.serves(system))
            .map_err(|error| error.reason())?;
        check_fresh(statement, self.clock.now()).map_err(|error| error.reason())?;
        if statement.issued_at < self.not_before {
            return Err(Reason::StatementStale);
        }
        Ok(Received {
            request: verified,
            adopted,
        })
    }

    /// Step 5, second half, and step 6: views, opening, commitments, replay, decision. (G3 G4 G6 G7)
    async fn admit(&self, received: Received, open: &wire::Open) -> Result<Admitted, Stopped> {
        let Received {
            request,
            adopted: before,
        } = received;
        let request = request.into_signed();
        let statement = request.statement();
        let Says::Request { asked, actor, .. } = &statement.body else {
            return Err(Stopped::Unsigned(Reason::StatementMalformed));
        };
        let adopted = self
            .views
            .agree(&before, &statement.sender_server, &statement.views)
            .await
            .map_err(Stopped::Denied)?;
        let server = adopted
            .registered(&statement.sender_server)
            .filter(|server| server.signs_for(&statement.sender) && server.logs_in(&statement.log))
            .ok_or(Stopped::Denied(Reason::SenderNotAllowed))?;
        let (peer, log) = (server.id(), &statement.log);
        self.gossip
            .hear(&adopted, peer, log, &open.checkpoint)
            .await;
        let policy = adopted.federation().policy_of(peer);
        self.gossip.check(peer, policy).map_err(Stopped::Denied)?;
        // What was waited for may be the very revocation of the session that signed this.
        if !Arc::ptr_eq(&adopted, &before) {
            self.peer_sessions
                .accept(self, &adopted, &server, &request, &[])
                .await
                .map_err(Stopped::Unsigned)?;
        }
        let seal = open
            .seal
            .as_ref()
            .ok_or(Stopped::Denied(Reason::SealInvalid))?;
        let is_ours = |id: &[u8]| {
            let us = adopted.registered(&self.id);
            us.is_some_and(|us| us.is_sealed_to_with(id))
        };
        let (plaintext, seal) = self
            .seals_in
            .open(
                is_ours,
                &request,
                (seal, open.sealed.clone()),
                self.clock.now(),
            )
            .map_err(|reason| match reason {
                Reason::SessionUnknown => Stopped::Unsigned(reason),
                reason => Stopped::Denied(reason),
            })?;
        let opened = Openings::decode(&plaintext)
            .and_then(|openings| openings.check(&statement.commitments))
            .map_err(|error| Stopped::Denied(error.reason()))?;
        // Only now, when everything about the message itself holds, is its id taken: a forged copy
        // cannot use up the id of a true one. Taking it is atomic.
        self.seen
            .insert(
                &statement.sender_server,
                statement.message_id.as_bytes(),
                self.clock.now(),
            )
            .map_err(|error| Stopped::Unsigned(error.reason()))?;
        self.reached(Step::Opened);

        let permit = adopted
            .decide_request(statement, asked, *actor, &opened, self.moment())
            .map_err(Stopped::Denied)?;
        let plan = self
            .plans
            .plan(&adopted, &statement.method, &permit)
            .map_err(Stopped::Denied)?;
        let payload = opened
            .payload()
            .map_err(|error| Stopped::Denied(error.reason()))?;
        let about = plan
            .check_request(payload, adopted.most_subjects())
            .map_err(|refusal| Stopped::Denied(refusal.reason))?;
        // A consumer that names other subjects than its request does would hide from them. Under an older
        // policy it may have had fewer named.
        let is_older = statement.views != adopted.views_for(&statement.sender_server);
        let as_many = plan.is_bulk() && is_older && opened.subjects() == [Subject::many()];
        if !about.is_of(opened.subjects()) && !as_many {
            return Err(Stopped::Denied(Reason::CommitmentMismatch));
        }
        Ok(Admitted {
            plan,
            request,
            adopted,
            opened,
            about,
            seal,
            permit,
        })
    }

    /// Steps 7 and 8: log, call, strip, log, answer. (G1 G5 G6)
    async fn serve(
        &self,
        admitted: Admitted,
        deadline: Duration,
        cancelled: CancellationToken,
    ) -> Result<wire::Open, Refusal> {
        let request = &admitted.request;
        let _in_flight = self.metrics.in_flight(Side::Provider);
        let began = Instant::now();
        let tags = self
            .tag_keys
            .tags(
                &admitted.permit,
                &admitted.about,
                &request.statement().message_id,
            )
            .map_err(|reason| self.refuse_unlogged(request, reason))?;
        let keep = Keep {
            kind: 1,
            statement: request,
            openings: admitted.opened.openings(),
            permit: &admitted.permit,
        };
        // If we crash before this is durable, the peer gets no answer and our system was not asked.
        let accepted = self
            .journal
            .append_with(keep, |sidecar| {
                Body::In(In {
                    statement: request.bytes().clone(),
                    sidecar,
                    view: Some(admitted.adopted.index),
                    tags: tags.own(),
                })
            })
            .await
            .map_err(|reason| self.refuse_unlogged(request, reason))?;
        // If we crash from here on, the next start closes the request with OUTCOME_UNKNOWN.
        self.reached(Step::RequestAccepted);
        let receipt = self.journal.receipt(accepted);
        let answer = self
            .ask_system(&admitted, passed_on(deadline), &cancelled)
            .await;
        self.reached(Step::SystemAnswered);
        let code = match &answer {
            Ok((answer, _)) => GrpcCode(i32::from(answer.code)),
            Err(reason) => reason.grpc(),
        };
        let says = request.statement();
        self.metrics.exchange(
            Side::Provider,
            &says.sender_server,
            &says.method,
            code,
            began.elapsed(),
        );
        let sent = match answer {
            Ok((answer, about)) => {
                self.respond(&admitted, receipt.clone(), answer, &about)
                    .await
            }
            Err(reason) => {
                self.fault(
                    request,
                    &admitted.adopted,
                    receipt.clone(),
                    Failure::Failed(reason.into()),
                )
                .await
            }
        };
        match sent {
            Ok(open) => {
                self.reached(Step::ResponseLogged);
                Ok(open)
            }
            Err(_) => {
                // The system may have acted and we cannot log what it said: nothing may leave but
                // the plain fact, and the ledger is owed the fault.
                self.owed.add(Debt::Fault {
                    request: request.clone(),
                    receipt,
                });
                Err(Refusal::new(Reason::OutcomeUnknown))
            }
        }
    }

    /// What the system answered, without what was not agreed, and whom the exchange is about by now.
    async fn ask_system<'a>(
        &self,
        admitted: &'a Admitted,
        deadline: Duration,
        cancelled: &CancellationToken,
    ) -> Result<(Answer, Cow<'a, About>), Reason> {
        let statement = admitted.request.statement();
        let system = self
            .systems
            .get(&(statement.receiver.clone(), statement.mode))
            .ok_or(Reason::SourceDown)?;
        let context = CallContext {
            statement,
            elements: admitted.plan.asked_for(),
            user: admitted.opened.user(),
            case: admitted.opened.case(),
        };
        let payload = admitted.opened.payload().map_err(|error| error.reason())?;
        let asked = tokio::select! {
            answered = system.ask(&context, payload.clone(), deadline) => answered,
            () = cancelled.cancelled() => Err(NoAnswer::MayHaveActed),
        };
        let answer = asked.map_err(|no_answer| match no_answer {
            NoAnswer::NotAsked => Reason::SourceDown,
            NoAnswer::MayHaveActed => Reason::OutcomeUnknown,
        })?;
        let asked = &admitted.about;
        if answer.code != 0 {
            return Ok((answer, Cow::Borrowed(asked)));
        }
        let message = admitted.plan.filter_answer(&answer.message)?;
        // Of what the system said, not of what is left of it: whose number is not released is looked at
        // all the same.
        let most = admitted.adopted.most_subjects();
        let answered = admitted.plan.about_answer(&answer.message, most)?;
        admitted.plan.check_count(&answered)?;
        Ok((Answer { message, ..answer }, asked.with(answered)))
    }

    async fn respond(
        &self,
        admitted: &Admitted,
        receipt: Receipt,
        answer: Answer,
        about: &About,
    ) -> Result<wire::Open, Reason> {
        let request = &admitted.request;
        let value = answer.to_value().map_err(|error| error.reason())?;
        let openings = Openings::builder()
            .payload(value)
            .build()
            .map_err(|_| Reason::InternalFault)?;
        let permitted = admitted.permit.released.clone();
        let body = Says::Response {
            request: request.hash(),
            receipt,
            permitted,
        };
        let mut statement = self.answering(request, &admitted.adopted, body);
        statement.commitments = openings.commitments();
        let tags = self
            .tag_keys
            .tags(&admitted.permit, about, &statement.message_id)?;
        // How many tags there are would say how many persons stand behind an answer that does not show them.
        let tags = match admitted.plan.shows_subjects() {
            true => tags,
            false => tags.apart(),
        };
        statement.tags = tags.in_statement()?;
        let session = self.sessions.current(statement.mode).await?;
        let response = self.signing.sign(&session, statement).await?;
        let (seal, sealed) = admitted.seal.seal(&response, openings.seal_plaintext())?;
        let keep = Keep {
            kind: 2,
            statement: &response,
            openings: &openings,
            permit: &admitted.permit,
        };
        tags.write_overflow(&self.journal, &response).await?;
        // If we crash before this is durable, the peer has nothing; the next start sends no answer
        // either, but closes the request with a fault.
        self.journal
            .append_with(keep, |sidecar| out(&response, sidecar, &admitted.adopted))
            .await?;
        Ok(wire::Open {
            statement: response.bytes().clone(),
            session_chain: session.chain(),
            seal: Some(seal),
            sealed,
            checkpoint: self.gossip.tell(&request.statement().sender_server),
        })
    }
}

/// Who sends a chain does not know us either, and is told what stands above our session; others know
/// it, and need the session's certificate at most.
fn addressed(mut answer: wire::Open, introduced: bool) -> wire::Open {
    if !introduced {
        answer.session_chain.truncate(1);
    }
    answer
}
