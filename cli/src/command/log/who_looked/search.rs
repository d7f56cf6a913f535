//! Finding one person's exchanges among the entries of a ledger, by their tags.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use entente_clock::Timestamp;
use entente_evidence::proof::SignedStatement;
use entente_evidence::statement::{Body as Says, LogOrigin, MessageId, Statement};
use entente_evidence::tag::Tag;
use entente_ledger::entry::{Body, Entry};
use entente_signing::Digest;

use crate::command::log::subject_key::Due;

/// What a ledger says about one person.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// By time, and by the hash of the request: its message id is its sender's to choose.
    pub(super) exchanges: BTreeMap<(Timestamp, Digest), Exchange>,
    /// Exchanges whose notice is withheld, and whether they are about many.
    withheld: BTreeMap<Digest, bool>,
}

/// One exchange.
#[derive(Debug)]
pub(super) struct Exchange {
    pub(super) index: u64,
    pub(super) id: MessageId,
    pub(super) request: Option<SignedStatement>,
    pub(super) outcome: Option<String>,
    /// Whether it was about too many persons to name; whether this one was among them is not known.
    pub(super) is_bulk: bool,
}

/// Looks through the entries of one ledger, oldest first.
pub(super) struct Search<'a> {
    origin: LogOrigin,
    keys: &'a [Due],
    /// Tags of statements that hold more than fit, by the statement's hash.
    late: HashMap<Digest, Vec<Tag>>,
    /// Requests that are about somebody else as far as they say, until they end: the answer may be about
    /// this person. By hash.
    open: HashMap<Digest, Open>,
    /// When requests were logged that are about the person.
    times: HashMap<Digest, Timestamp>,
    found: Found,
}

/// A request, and where it stands.
struct Open {
    at: Timestamp,
    index: u64,
    request: SignedStatement,
}

/// What tags say about the person.
#[derive(Clone, Copy)]
struct Hit {
    is_withheld: bool,
    is_bulk: bool,
}

// === impl Found ===

impl Found {
    /// How many exchanges are withheld: those about the person, and those about many.
    pub(super) fn withheld(&self) -> [usize; 2] {
        let bulk = self.withheld.values().filter(|is_bulk| **is_bulk).count();
        [self.withheld.len() - bulk, bulk]
    }
}

// === impl Search ===

impl<'a> Search<'a> {
    pub(super) fn new(origin: LogOrigin, keys: &'a [Due]) -> Self {
        Self {
            origin,
            keys,
            late: HashMap::new(),
            open: HashMap::new(),
            times: HashMap::new(),
            found: Found::default(),
        }
    }

    pub(super) fn take(&mut self, index: u64, entry: &Entry) {
        let (bytes, own) = match &entry.body {
            Body::Tags(late) => {
                let tags = self.late.entry(late.statement).or_default();
                tags.extend_from_slice(&late.tags);
                return;
            }
            Body::In(body) => (&body.statement, &body.tags[..]),
            Body::Out(body) => (&body.statement, &[][..]),
            Body::Outcome(outcome) => {
                self.open.remove(&outcome.request);
                return;
            }
            // A refused call carries no tags, and what it says was never acted on.
            _ => return,
        };
        let Ok(signed) = SignedStatement::parse(bytes.clone()) else {
            return;
        };
        let statement = signed.statement();
        let mut tags = own.to_vec();
        if statement.log == self.origin {
            tags.extend_from_slice(statement.tags.as_slice());
            tags.extend(self.late.remove(&signed.hash()).unwrap_or_default());
        }
        let request = statement.request_hash().copied();
        let request = request.unwrap_or_else(|| signed.hash());
        match self.is_about(statement, entry.at, &tags) {
            None => self.pass_by(request, index, entry.at, signed),
            Some(hit) if hit.is_withheld => {
                self.open.remove(&request);
                let is_bulk = self.found.withheld.entry(request).or_insert(true);
                *is_bulk &= hit.is_bulk;
            }
            Some(hit) => self.keep(request, hit, index, entry.at, signed),
        }
    }

    /// A statement that is about the person.
    fn keep(
        &mut self,
        request: Digest,
        hit: Hit,
        index: u64,
        at: Timestamp,
        signed: SignedStatement,
    ) {
        let asked = self.open.remove(&request);
        let (at, index) = match &asked {
            Some(asked) => (asked.at, asked.index),
            None => (at, index),
        };
        let at = *self.times.entry(request).or_insert(at);
        let exchange = self.found.exchanges.entry((at, request));
        let exchange = exchange.or_insert(Exchange {
            index,
            id: signed.statement().message_id,
            request: None,
            outcome: None,
            is_bulk: true,
        });
        exchange.is_bulk &= hit.is_bulk;
        if let Some(asked) = asked {
            exchange.learn(asked.request);
        }
        exchange.learn(signed);
    }

    /// A statement that is not about the person, as far as its tags say.
    fn pass_by(&mut self, request: Digest, index: u64, at: Timestamp, signed: SignedStatement) {
        if let Some(known) = self.times.get(&request) {
            // The end of an exchange that an earlier entry is about, whatever it is tagged with.
            if let Some(exchange) = self.found.exchanges.get_mut(&(*known, request)) {
                exchange.learn(signed);
            }
        } else if signed.statement().request_hash().is_none() {
            let open = Open {
                at,
                index,
                request: signed,
            };
            self.open.insert(request, open);
        } else {
            self.open.remove(&request);
        }
    }

    /// Requests kept in mind.
    #[cfg(test)]
    pub(super) fn open(&self) -> usize {
        self.open.len()
    }

    pub(super) fn end(self) -> Found {
        self.found
    }

    /// Whether the tags hold the person's, or everybody's, and then whether notice is withheld.
    fn is_about(&self, statement: &Statement, at: Timestamp, tags: &[Tag]) -> Option<Hit> {
        if tags.is_empty() {
            return None;
        }
        // Tagged a moment before the entry was written: perhaps in the month before.
        let months = [at.month(), at.saturating_sub(A_CALL).month()];
        let keys = self.keys.iter().filter(|due| months.contains(&due.month));
        let hits = keys.filter(|due| {
            let tag = due.key.tag(&self.origin, &statement.message_id);
            tags.contains(&tag)
        });
        // Who is named is told so, though others were too many to name.
        let hit = hits.min_by_key(|due| due.is_bulk)?;
        Some(Hit {
            is_withheld: hit.is_withheld,
            is_bulk: hit.is_bulk,
        })
    }
}

// === impl Exchange ===

impl Exchange {
    fn learn(&mut self, signed: SignedStatement) {
        match &signed.statement().body {
            Says::Request { .. } => self.request = Some(signed),
            Says::Response { .. } => self.outcome = Some("answered".to_owned()),
            Says::Fault { failure, .. } => {
                self.outcome = Some(failure.reason().as_str().to_owned())
            }
            _ => {}
        }
    }
}

/// The longest time between a tag and its entry, generously.
const A_CALL: Duration = Duration::from_secs(600);
