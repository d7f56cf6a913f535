//! Finding one person's exchanges among the entries of a ledger, by their tags.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use entente_clock::Timestamp;
use entente_evidence::proof::SignedStatement;
use entente_evidence::statement::{Body as Says, LogOrigin, Statement};
use entente_evidence::tag::Tag;
use entente_ledger::entry::{Body, DeniedCall, Entry};
use entente_signing::Digest;

use crate::command::log::subject_key::Due;

/// What a ledger says about one person.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// By message id.
    pub(super) exchanges: BTreeMap<(Timestamp, String), Exchange>,
    pub(super) withheld: BTreeSet<String>,
}

/// One exchange.
#[derive(Debug)]
pub(super) struct Exchange {
    pub(super) index: u64,
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
    /// Requests that are about somebody else as far as they say, until they are answered: the answer may
    /// be about this person.
    open: HashMap<String, Open>,
    times: HashMap<String, Timestamp>,
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
            Body::Denied(denied) => match &denied.call {
                DeniedCall::Statement(bytes) => (bytes, &denied.tags[..]),
                DeniedCall::Attempt(_) => return,
            },
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
        let id = statement.message_id.to_string();
        let Some(hit) = self.is_about(statement, entry.at, &tags) else {
            self.pass_by(id, index, entry.at, signed);
            return;
        };
        if hit.is_withheld {
            self.found.withheld.insert(id);
            return;
        }
        let asked = self.open.remove(&id);
        let (at, index) = match &asked {
            Some(asked) => (asked.at, asked.index),
            None => (entry.at, index),
        };
        let at = *self.times.entry(id.clone()).or_insert(at);
        let exchange = self.found.exchanges.entry((at, id));
        let exchange = exchange.or_insert(Exchange {
            index,
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
    fn pass_by(&mut self, id: String, index: u64, at: Timestamp, signed: SignedStatement) {
        if let Some(known) = self.times.get(&id) {
            // The end of an exchange that an earlier entry is about, whatever it is tagged with.
            if let Some(exchange) = self.found.exchanges.get_mut(&(*known, id)) {
                exchange.learn(signed);
            }
            return;
        }
        if matches!(signed.statement().body, Says::Request { .. }) {
            let request = signed;
            self.open.insert(id, Open { at, index, request });
        } else {
            self.open.remove(&id);
        }
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
        let mut hits = keys.filter(|due| {
            let tag = due.key.tag(&self.origin, &statement.message_id);
            tags.contains(&tag)
        });
        hits.next().map(|due| Hit {
            is_withheld: due.is_withheld,
            is_bulk: due.is_bulk,
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
