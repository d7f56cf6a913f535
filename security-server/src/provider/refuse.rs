//! Saying no to a peer: unsigned and summarised before its statement verified, DENIED and a signed
//! fault after that, an OUT entry once its request was accepted.

use bytes::Bytes;
use entente_evidence::proof::SignedStatement;
use entente_evidence::receipt::Receipt;
use entente_evidence::statement::{Body as Says, Failure, Statement};
use entente_identity::ServerId;
use entente_ledger::Appended;
use entente_ledger::entry::{Body, Denied, DeniedCall, Out};
use entente_proto::exchange::v1 as wire;
use entente_reason::Reason;
use entente_signing::Digest;

use super::Unverified;
use crate::limits::Place;
use crate::refusal::Refusal;
use crate::server::Server;
use crate::view::Adopted;

// === impl Server ===

impl Server {
    /// DENIED, then a fault whose receipt names that entry; the fault itself is not logged again.
    pub(super) async fn deny(
        &self,
        request: &SignedStatement,
        adopted: &Adopted,
        reason: Reason,
    ) -> Result<wire::Open, Refusal> {
        let sender = &request.statement().sender_server;
        self.metrics.refusal(reason);
        if reason == Reason::RegistrySplit {
            // The statement is the evidence: in it, its sender signed the view it was shown.
            tracing::error!(event = "registry.split", peer = %sender);
        }
        if !self
            .noise
            .admits_denial(sender.as_str(), reason, self.clock.now())
        {
            // Without an entry there is nothing to sign a fault about, and unsigned no peer believes
            // a decision. It may ask again in a second.
            return Err(Refusal::new(Reason::Overloaded));
        }
        let denied = Body::Denied(Denied {
            reason: reason.code().to_owned(),
            peer: Some(sender.clone()),
            call: DeniedCall::Statement(request.bytes().clone()),
            sidecar: None,
            view: Some(adopted.index),
            tags: Vec::new(),
        });
        let denied = self
            .journal
            .append(denied)
            .await
            .map_err(|reason| self.refuse_unlogged(request, reason))?;
        self.sign_fault(request, adopted, denied, Failure::Refused(reason.into()))
            .await
            .map_err(Refusal::new)
    }

    async fn sign_fault(
        &self,
        request: &SignedStatement,
        adopted: &Adopted,
        entry: Appended,
        failure: Failure,
    ) -> Result<wire::Open, Reason> {
        let (fault, chain) = self
            .signed_fault(request, adopted, self.journal.receipt(entry), failure)
            .await?;
        Ok(fault_frame(&fault, chain))
    }

    /// Signs, logs and frames a fault for a request that is in the ledger.
    pub(crate) async fn fault(
        &self,
        request: &SignedStatement,
        adopted: &Adopted,
        receipt: Receipt,
        failure: Failure,
    ) -> Result<wire::Open, Reason> {
        let (fault, chain) = self
            .signed_fault(request, adopted, receipt, failure)
            .await?;
        self.journal.append(out(&fault, None, adopted)).await?;
        Ok(fault_frame(&fault, chain))
    }

    async fn signed_fault(
        &self,
        request: &SignedStatement,
        adopted: &Adopted,
        receipt: Receipt,
        failure: Failure,
    ) -> Result<(SignedStatement, Vec<Bytes>), Reason> {
        let body = Says::Fault {
            request: request.hash(),
            receipt,
            failure,
        };
        let statement = self.answering(request, adopted, body);
        let session = self.sessions.current(statement.mode).await?;
        let fault = self.signing.sign(&session, statement).await?;
        Ok((fault, session.chain()))
    }

    pub(super) fn answering(
        &self,
        request: &SignedStatement,
        adopted: &Adopted,
        body: Says,
    ) -> Statement {
        let mut statement = Statement::answering(
            request.statement(),
            self.clock.now(),
            self.journal.origin().clone(),
            body,
        );
        statement.views = adopted.views_for(&request.statement().sender_server);
        statement
    }

    /// A place for an envelope, taken before a byte of it is: a message may be 16 MiB.
    pub(crate) fn place_for(&self, spki: Option<Digest>) -> Option<Place<Option<ServerId>>> {
        match self.server_at(spki) {
            None => self.strangers.enter(&None),
            known => self.askers.enter(&known),
        }
    }

    /// The server at the other end of a connection, by the key it proved there.
    fn server_at(&self, spki: Option<Digest>) -> Option<ServerId> {
        let adopted = self.views.current()?;
        adopted.servers_with_tls_key(&spki?).next().cloned()
    }

    /// Refuses what came over a connection before any statement in it verified.
    pub(crate) fn refuse_frame(&self, spki: Option<Digest>, reason: Reason) -> Refusal {
        let peer = self.server_at(spki);
        self.refuse_unverified(&Unverified { peer, reason })
    }

    pub(super) fn refuse_unverified(&self, unverified: &Unverified) -> Refusal {
        self.metrics.refusal(unverified.reason);
        if unverified.reason != Reason::SessionUnknown {
            let peer = unverified.peer.as_ref().map(ServerId::as_str);
            self.noise.count(peer, unverified.reason, self.clock.now());
        }
        Refusal::new(unverified.reason)
    }

    pub(super) fn refuse_unlogged(&self, request: &SignedStatement, reason: Reason) -> Refusal {
        self.refuse_unverified(&Unverified {
            peer: Some(request.statement().sender_server.clone()),
            reason,
        })
    }
}

pub(super) fn out(statement: &SignedStatement, sidecar: Option<Digest>, adopted: &Adopted) -> Body {
    Body::Out(Out {
        statement: statement.bytes().clone(),
        sidecar,
        view: Some(adopted.index),
    })
}

fn fault_frame(fault: &SignedStatement, session_chain: Vec<Bytes>) -> wire::Open {
    wire::Open {
        statement: fault.bytes().clone(),
        session_chain,
        seal: None,
        sealed: Bytes::new(),
        checkpoint: Bytes::new(),
    }
}
