//! Writing a statement, and the bounds every statement keeps whether written or read.

use std::collections::{BTreeMap, BTreeSet};

use entente_identity::ElementName;
use entente_signing::Digest;
use entente_signing::cbor::Writer;

use super::{
    Actor, Body, Failure, Kind, Links, LogOrigin, Outcome, Segment, Statement, StatementError, View,
};
use crate::receipt::Receipt;

/// A map whose number of pairs is known only at its end.
struct MapWriter {
    pairs: usize,
    body: Writer,
}

// === impl Statement ===

impl Statement {
    /// Its one encoding.
    ///
    /// # Errors
    /// When a bound is broken or a value has no place in this kind.
    pub fn encode(&self) -> Result<Vec<u8>, StatementError> {
        self.check()?;
        let mut map = MapWriter::new();
        map.key(1).uint(Self::VERSION);
        map.key(2).uint(self.kind().code());
        map.key(3).bytes(self.message_id.as_bytes());
        map.key(4).text(self.sender.as_str());
        map.key(5).text(self.receiver.as_str());
        map.key(6).text(self.method.as_str());
        map.key(7).uint(self.issued_at.as_millis());
        let commitments = map.key(8).map(self.commitments.len());
        for (field, commitment) in &self.commitments {
            commitments
                .uint(u64::from(field.number()))
                .bytes(commitment.as_bytes());
        }
        if !self.tags.is_empty() {
            let tags = map.key(9).array(self.tags.as_slice().len());
            for tag in self.tags.as_slice() {
                tags.bytes(tag);
            }
        }
        map.key(10).text(self.purpose.as_str());
        if let Some(request) = self.request_hash() {
            map.key(11).bytes(request.as_bytes());
        }
        if let Some(receipt) = self.receipt() {
            write_receipt(map.key(12), receipt);
        }
        if !self.views.is_empty() {
            write_views(map.key(13), &self.views);
        }
        map.key(14).bytes(self.agreement.as_bytes());
        map.key(15).uint(self.clause);
        map.key(16).uint(self.mode.code());
        if let Some(elements) = self.elements() {
            write_elements(map.key(17), elements);
        }
        map.key(18).text(self.receiver_server.as_str());
        if let Some((code, reason)) = self.outcome_code() {
            let outcome = map.key(19).array(1 + usize::from(reason.is_some()));
            outcome.uint(code);
            if let Some(reason) = reason {
                outcome.text(reason);
            }
        }
        map.key(20).text(self.sender_server.as_str());
        map.key(21).text(self.log.as_str());
        match &self.body {
            Body::Request {
                mandate,
                links,
                actor,
                ..
            } => {
                write_request(&mut map, mandate, links, actor.as_ref());
            }
            Body::Close { stream, .. } | Body::Progress { stream, .. } => {
                let item = map.key(25).array(3).uint(stream.first).uint(stream.last);
                item.bytes(stream.hash.as_bytes());
            }
            Body::Fault { .. } | Body::Response { .. } => {}
        }
        for (key, item) in self.extensions.iter() {
            map.key(key).raw(item);
        }
        let bytes = map.into_vec();
        if bytes.len() > Self::MAX_LEN {
            return Err(StatementError::TooLarge { len: bytes.len() });
        }
        Ok(bytes)
    }

    /// SHA-256 of its encoding: the statement hash, whatever the proof.
    ///
    /// # Errors
    /// As [`Statement::encode`].
    pub fn hash(&self) -> Result<Digest, StatementError> {
        self.encode().map(|bytes| Digest::of(&bytes))
    }

    /// The bounds that types alone do not keep.
    pub(super) fn check(&self) -> Result<(), StatementError> {
        let kind = self.kind();
        let (commits, views) = match kind {
            Kind::Request | Kind::Response => (Self::MAX_COMMITMENTS, 1),
            Kind::Fault => (0, 1),
            Kind::Close => (Self::MAX_COMMITMENTS, 0),
            Kind::Progress => (0, 0),
        };
        allow(8, self.commitments.len() <= commits)?;
        if self.views.len() < views {
            return Err(StatementError::Missing { key: 13 });
        }
        allow(13, self.views.len() <= Self::MAX_VIEWS)?;
        let elements = self.elements().map_or(0, BTreeSet::len);
        allow(17, elements <= Self::MAX_ELEMENTS)?;
        match &self.body {
            Body::Request {
                mandate,
                links,
                actor,
                ..
            } => {
                allow(22, mandate.len() <= Self::MAX_MANDATE)?;
                let operation = links.operation.as_deref();
                allow(23, operation.is_none_or(Links::operation_is_valid))?;
                let assurance = actor.map_or(0, |actor| actor.assurance);
                allow(24, assurance <= Actor::MAX_ASSURANCE)
            }
            Body::Close { stream, .. } => allow(25, stream.first == 0),
            Body::Progress { stream, .. } => allow(25, is_progress(stream)),
            Body::Fault { .. } | Body::Response { .. } => Ok(()),
        }
    }

    fn outcome_code(&self) -> Option<(u64, Option<&str>)> {
        let failure = match &self.body {
            Body::Response { .. }
            | Body::Close {
                outcome: Outcome::Answered,
                ..
            } => return Some((0, None)),
            Body::Fault { failure, .. }
            | Body::Close {
                outcome: Outcome::Unanswered(failure),
                ..
            } => failure,
            Body::Progress { .. } | Body::Request { .. } => return None,
        };
        let code = match failure {
            Failure::Refused(_) => 1,
            Failure::Failed(_) => 2,
        };
        Some((code, Some(failure.reason().as_str())))
    }
}

// === impl MapWriter ===

impl MapWriter {
    fn new() -> Self {
        Self {
            pairs: 0,
            body: Writer::with_capacity(USUAL),
        }
    }

    /// Starts the next pair; the caller writes one item.
    fn key(&mut self, key: u64) -> &mut Writer {
        self.pairs += 1;
        self.body.uint(key)
    }

    fn into_vec(self) -> Vec<u8> {
        let mut writer = Writer::with_capacity(self.body.as_slice().len() + 2);
        writer.map(self.pairs).raw(self.body.as_slice());
        writer.into_vec()
    }
}

fn write_receipt(writer: &mut Writer, receipt: &Receipt) {
    writer
        .array(3)
        .text(receipt.origin.as_str())
        .uint(receipt.index)
        .bytes(receipt.leaf_hash.as_bytes());
}

fn write_views(writer: &mut Writer, views: &BTreeMap<LogOrigin, View>) {
    let mut views: Vec<_> = views.iter().collect();
    // Deterministic CBOR sorts text keys by length first.
    views.sort_unstable_by_key(|(origin, _)| (origin.as_str().len(), *origin));
    writer.map(views.len());
    for (origin, view) in views {
        writer
            .text(origin.as_str())
            .array(2)
            .uint(view.size)
            .bytes(view.root.as_bytes());
    }
}

fn write_elements(writer: &mut Writer, elements: &BTreeSet<ElementName>) {
    writer.array(elements.len());
    for element in elements {
        writer.text(element.as_str());
    }
}

fn write_request(map: &mut MapWriter, mandate: &[Digest], links: &Links, actor: Option<&Actor>) {
    if !mandate.is_empty() {
        let item = map.key(22).array(mandate.len());
        for hash in mandate {
            item.bytes(hash.as_bytes());
        }
    }
    if !links.is_empty() {
        let ids = [(1, &links.retry_of), (2, &links.parent)];
        let count = ids.iter().filter(|(_, id)| id.is_some()).count();
        let item = map
            .key(23)
            .map(count + usize::from(links.operation.is_some()));
        for (key, id) in ids {
            if let Some(id) = id {
                item.uint(key).bytes(id.as_bytes());
            }
        }
        if let Some(operation) = &links.operation {
            item.uint(3).text(operation);
        }
    }
    if let Some(actor) = actor {
        map.key(24)
            .array(2)
            .uint(u64::from(actor.assurance))
            .bool(actor.automated);
    }
}

const fn is_progress(stream: &Segment) -> bool {
    stream.first >= 1
        && stream.first <= stream.last
        && stream.last - stream.first < Segment::MAX_FRAMES
}

/// Bytes that hold most statements.
const USUAL: usize = 1_024;

const fn allow(key: u64, allowed: bool) -> Result<(), StatementError> {
    if allowed {
        Ok(())
    } else {
        Err(StatementError::Value { key })
    }
}
