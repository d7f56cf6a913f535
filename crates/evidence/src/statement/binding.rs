//! What ties the statements of one exchange together.

use entente_clock::Timestamp;
use entente_reason::Reason;
use entente_signing::Digest;

use super::{Body, Kind, LogOrigin, Statement};
use crate::proof::SignedStatement;
use crate::tag::Tags;

/// A statement that does not belong to the one it claims to belong to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("statement of kind {kind:?} does not belong to the exchange: key {key} differs")]
pub struct Mismatch {
    /// Its kind.
    pub kind: Kind,
    /// The first key that differs.
    pub key: u64,
}

/// Who speaks, relative to the statement compared with.
#[derive(Clone, Copy)]
enum Side {
    Other,
    Same,
}

// === impl Statement ===

impl Statement {
    /// The statement that answers a request: 3, 6, 10, 14–16 repeated, 4/5 and 18/20 swapped. Without
    /// views, commitments and tags, which the caller adds.
    pub fn answering(request: &Self, issued_at: Timestamp, log: LogOrigin, body: Body) -> Self {
        Self {
            message_id: request.message_id,
            sender: request.receiver.clone(),
            receiver: request.sender.clone(),
            method: request.method.clone(),
            issued_at,
            commitments: Default::default(),
            tags: Tags::none(),
            purpose: request.purpose.clone(),
            views: Default::default(),
            agreement: request.agreement,
            clause: request.clause,
            mode: request.mode,
            receiver_server: request.sender_server.clone(),
            sender_server: request.receiver_server.clone(),
            log,
            body,
            extensions: Default::default(),
        }
    }

    /// Checks that this response or fault answers `request` and nothing else.
    ///
    /// # Errors
    /// When it is of another kind, names another request, or does not repeat what it must.
    pub fn answers(&self, request: &SignedStatement) -> Result<(), Mismatch> {
        let asked = request.statement();
        let kinds_fit =
            matches!(self.kind(), Kind::Response | Kind::Fault) && asked.kind() == Kind::Request;
        self.same(2, kinds_fit)?;
        self.names_request(&request.hash())?;
        self.repeats(asked, Side::Other)
    }

    /// Checks that this Progress or Close belongs to the direction `opening` opened: a request for
    /// the consumer's, a response for the provider's.
    ///
    /// # Errors
    /// When it is of another kind or direction, or does not repeat what it must.
    pub fn continues(&self, opening: &SignedStatement) -> Result<(), Mismatch> {
        let opened = opening.statement();
        let kinds_fit = matches!(self.kind(), Kind::Progress | Kind::Close)
            && matches!(opened.kind(), Kind::Request | Kind::Response);
        self.same(2, kinds_fit)?;
        let own_hash = opening.hash();
        self.names_request(opened.request_hash().unwrap_or(&own_hash))?;
        self.repeats(opened, Side::Same)
    }

    fn names_request(&self, hash: &Digest) -> Result<(), Mismatch> {
        self.same(11, self.request_hash() == Some(hash))
    }

    fn repeats(&self, other: &Self, side: Side) -> Result<(), Mismatch> {
        let (sender, receiver, sender_server, receiver_server) = match side {
            Side::Same => (
                &other.sender,
                &other.receiver,
                &other.sender_server,
                &other.receiver_server,
            ),
            Side::Other => (
                &other.receiver,
                &other.sender,
                &other.receiver_server,
                &other.sender_server,
            ),
        };
        self.same(3, self.message_id == other.message_id)?;
        self.same(4, self.sender == *sender)?;
        self.same(5, self.receiver == *receiver)?;
        self.same(6, self.method == other.method)?;
        self.same(10, self.purpose == other.purpose)?;
        self.same(14, self.agreement == other.agreement)?;
        self.same(15, self.clause == other.clause)?;
        self.same(16, self.mode == other.mode)?;
        self.same(18, self.receiver_server == *receiver_server)?;
        self.same(20, self.sender_server == *sender_server)
    }

    const fn same(&self, key: u64, same: bool) -> Result<(), Mismatch> {
        if same {
            Ok(())
        } else {
            Err(Mismatch {
                kind: self.kind(),
                key,
            })
        }
    }
}

// === impl Mismatch ===

impl Mismatch {
    /// Always `RESPONSE_MISMATCH`.
    pub const fn reason(&self) -> Reason {
        Reason::ResponseMismatch
    }
}
