//! One entry, as a person or a script reads it. Nothing personal is in an entry, so nothing personal
//! can be in a line.

use bytes::Bytes;
use entente_clock::Timestamp;
use entente_directory::{Author, Change, RegistryEntry, SignedQuery, Sunset};
use entente_evidence::proof::SignedStatement;
use entente_evidence::statement::{Body as Says, Outcome, Statement};
use entente_ledger::Entry;
use entente_ledger::entry::{Body, DeniedCall, OutcomeKind};
use entente_reason::Reason;
use entente_signing::Digest;
use serde_json::{Map, Value, json};

use crate::output::Screen;
use crate::texts::Text;

/// An entry and its place.
#[derive(Debug)]
pub(crate) struct Line {
    pub(crate) index: u64,
    pub(crate) at: Timestamp,
    /// `OUT`, `DENIED` …; for a registry the kind of change.
    pub(crate) kind: String,
    /// Names the exchange, for those that belong to one.
    pub(crate) transaction: Option<String>,
    /// Everything a script may want, by name.
    pub(crate) facts: Map<String, Value>,
    /// What stands in the entry's statement, when it holds one.
    pub(crate) statement: Option<SignedStatement>,
    /// The sidecar record it names.
    pub(crate) record: Option<Digest>,
}

// === impl Line ===

impl Line {
    /// Reads an entry of an access ledger or of a registry's. `None` when it is neither.
    pub(crate) fn read(index: u64, bytes: &Bytes) -> Option<Self> {
        if let Ok(entry) = Entry::decode(bytes) {
            return Some(Self::of_entry(index, &entry));
        }
        let entry = RegistryEntry::parse(bytes).ok()?;
        Some(Self::of_change(index, &entry))
    }

    fn of_entry(index: u64, entry: &Entry) -> Self {
        let mut line = Self {
            index,
            at: entry.at,
            kind: entry.body.name().to_owned(),
            transaction: None,
            facts: Map::new(),
            statement: None,
            record: None,
        };
        match &entry.body {
            Body::In(body) => {
                line.record = body.sidecar;
                line.take_statement(&body.statement);
            }
            Body::Out(body) => {
                line.record = body.sidecar;
                line.take_statement(&body.statement);
            }
            Body::Denied(denied) => {
                line.record = denied.sidecar;
                line.fact("reason", &denied.reason);
                if let Some(peer) = &denied.peer {
                    line.fact("peer", peer);
                }
                match &denied.call {
                    DeniedCall::Statement(statement) => line.take_statement(statement),
                    DeniedCall::Attempt(attempt) => {
                        line.text_fact("from", attempt.system.as_deref());
                        line.text_fact("to", attempt.to.as_deref());
                        line.text_fact("method", attempt.method.as_deref());
                        line.text_fact("purpose", attempt.purpose.as_deref());
                        if let Some(agreement) = &attempt.agreement {
                            line.fact("agreement", agreement);
                        }
                        if !attempt.elements.is_empty() {
                            line.set("elements", json!(attempt.elements));
                        }
                    }
                }
            }
            Body::Outcome(outcome) => {
                line.fact("request", outcome.request);
                line.fact("outcome", outcome_word(outcome.kind));
            }
            Body::View(view) => {
                line.fact("registry", &view.origin);
                line.set("size", view.size.into());
                line.fact("root", view.root);
            }
            Body::Boot(boot) => {
                line.fact("version", &boot.version);
                line.set("size", boot.last_size.into());
                line.text_fact("note", boot.note.as_deref());
            }
            Body::Session(session) => {
                line.fact("server", &session.server);
                let leaf = session.chain.first();
                line.text_fact(
                    "leaf",
                    leaf.map(|leaf| Digest::of(leaf).to_string()).as_deref(),
                );
            }
            Body::Summary(summary) => {
                line.text_fact("peer", summary.peer.as_deref());
                line.fact("reason", &summary.reason);
                line.set("count", summary.count.into());
            }
            Body::Shred(shred) => {
                line.fact("class", &shred.class);
                line.fact("period", &shred.period);
                line.fact("authority", &shred.authority);
            }
            Body::Tags(tags) => {
                line.fact("statement", tags.statement);
                line.set("count", tags.tags.len().into());
            }
            Body::Reconcile(reconcile) => {
                line.fact("peer", &reconcile.peer);
                line.fact("period", &reconcile.period);
                line.fact("verdict", &reconcile.verdict);
            }
            Body::Read(read) => {
                if let Ok(signed) = SignedQuery::parse(read.query.clone()) {
                    let query = signed.query();
                    line.fact("reader", &query.reader);
                    line.fact("mandate", query.mandate);
                    line.text_fact("about", query.about.map(|d| d.to_string()).as_deref());
                }
            }
            Body::TimeStamp(stamp) => line.set("size", stamp.size.into()),
            _ => {}
        }
        line
    }

    fn of_change(index: u64, entry: &RegistryEntry) -> Self {
        let change = &entry.change;
        let mut line = Self {
            index,
            at: entry.at,
            kind: change.kind().as_str().to_owned(),
            transaction: None,
            facts: Map::new(),
            statement: None,
            record: None,
        };
        let header = change.header();
        line.fact("author", &header.author);
        line.set("sequence", header.sequence.into());
        line.fact("change", change.hash());
        match change.change() {
            Change::MemberAdmit(body) => line.fact("member", &body.member),
            Change::MemberSuspend(body) | Change::MemberResume(body) | Change::MemberEnd(body) => {
                line.fact("member", &body.member);
                line.text_fact("reason", body.reason.as_deref());
            }
            Change::ServerRegister(body) => line.fact("server", &body.server),
            Change::ServerUpdate(body) => line.fact("server", &body.server),
            Change::ShardOpen(body) => line.fact("ledger", &body.origin),
            Change::ServicePublish(body) => line.fact("service", &body.service),
            Change::MandateGrant(body) => {
                line.fact("body", &body.body);
                line.fact("until", body.until);
            }
            Change::MandateEnd(body) => {
                line.fact("body", &body.body);
                line.text_fact("reason", body.reason.as_deref());
            }
            Change::ServiceRetire(body) => {
                line.fact("service", &body.service);
                match body.sunset {
                    Sunset::Now => {}
                    Sunset::At(at) => line.fact("sunset", at),
                    Sunset::Never => line.fact("sunset", "never"),
                }
            }
            Change::AgreementPropose(act)
            | Change::AgreementAccept(act)
            | Change::AgreementRevoke(act)
            | Change::AgreementSuspend(act)
            | Change::AgreementResume(act) => {
                line.fact("agreement", act.agreement);
                line.text_fact("reason", act.reason.as_deref());
            }
            _ => {}
        }
        if let Author::Server(server) = &header.author {
            line.fact("server", server);
        }
        line
    }

    fn take_statement(&mut self, bytes: &Bytes) {
        let Ok(signed) = SignedStatement::parse(bytes.clone()) else {
            self.fact("statement", "?");
            return;
        };
        let statement = signed.statement();
        self.transaction = Some(statement.message_id.to_string());
        self.fact("says", says(statement));
        self.fact("from", &statement.sender);
        self.fact("to", &statement.receiver);
        self.fact("from_server", &statement.sender_server);
        self.fact("to_server", &statement.receiver_server);
        self.fact("method", &statement.method);
        self.fact("purpose", &statement.purpose);
        self.fact("agreement", statement.agreement);
        self.set("clause", statement.clause.into());
        self.fact("mode", statement.mode.as_str());
        self.fact("statement", signed.hash());
        if let Some(elements) = statement.elements() {
            let elements: Vec<&str> = elements.iter().map(|e| e.as_str()).collect();
            self.set("elements", json!(elements));
        }
        if let Some(request) = statement.request_hash() {
            self.fact("request", request);
        }
        if let Some(receipt) = statement.receipt() {
            self.set(
                "receipt",
                json!({
                    "ledger": receipt.origin.as_str(),
                    "index": receipt.index,
                    "leaf": receipt.leaf_hash.to_string(),
                }),
            );
        }
        let reason = match &statement.body {
            Says::Fault { failure, .. } => Some(failure.reason()),
            Says::Close { outcome, .. } => Outcome::reason(outcome),
            _ => None,
        };
        if let Some(reason) = reason {
            self.fact("reason", reason.as_str());
        }
        self.statement = Some(signed);
    }

    fn fact(&mut self, name: &str, value: impl ToString) {
        self.set(name, value.to_string().into());
    }

    fn text_fact(&mut self, name: &str, value: Option<&str>) {
        if let Some(value) = value {
            self.fact(name, value);
        }
    }

    fn set(&mut self, name: &str, value: Value) {
        self.facts.insert(name.to_owned(), value);
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.facts.get(name)?.as_str()
    }

    /// For scripts.
    pub(crate) fn value(&self) -> Value {
        let mut value = Map::new();
        value.insert("index".to_owned(), self.index.into());
        value.insert("time".to_owned(), self.at.to_string().into());
        value.insert("entry".to_owned(), self.kind.clone().into());
        if let Some(transaction) = &self.transaction {
            value.insert("transaction".to_owned(), transaction.clone().into());
        }
        value.extend(self.facts.clone());
        Value::Object(value)
    }

    /// For people: a heading, and indented lines of what matters for its kind.
    pub(crate) fn human(&self, screen: &Screen) -> String {
        let mut head = self.kind.clone();
        if let Some(says) = self.get("says").and_then(says_text) {
            head = format!("{head} {}", screen.text(says, &[]));
        }
        let mut lines = vec![format!(
            "{:>5}  {}  {}",
            self.index,
            self.at,
            screen.bold(&head)
        )];
        let mut add = |line: String| lines.push(format!("       {line}"));
        if let (Some(from), Some(to)) = (self.get("from"), self.get("to")) {
            add(format!("{from} → {to}"));
        }
        if let Some(method) = self.get("method") {
            let purpose = self.get("purpose").unwrap_or("-");
            add(format!("{method}  {purpose}"));
        }
        if let Some(elements) = self.facts.get("elements").and_then(Value::as_array) {
            let elements: Vec<&str> = elements.iter().filter_map(Value::as_str).collect();
            let text = match self.get("says") {
                Some("response") => Text::EntryReleased,
                _ => Text::EntryAsked,
            };
            let elements = match elements[..] {
                [] => "-".to_owned(),
                _ => elements.join(", "),
            };
            add(screen.text(text, &[("elements", &elements)]));
        }
        if let Some(agreement) = self.get("agreement") {
            let short = agreement.get(..SHORT).unwrap_or(agreement);
            add(match self.facts.get("clause") {
                Some(clause) => {
                    let facts: [crate::texts::Fact<'_>; 2] =
                        [("agreement", &short), ("clause", clause)];
                    screen.text(Text::EntryUnder, &facts)
                }
                None => screen.text(Text::EntryOf, &[("agreement", &short)]),
            });
        }
        if let Some(code) = self.get("reason") {
            let said = Reason::parse(code).map_or("", |reason| reason.text(screen.lang));
            add(screen.red(format!("{code}  {said}").trim_end()));
        }
        if let Some(receipt) = self.facts.get("receipt") {
            let ledger = receipt["ledger"].as_str().unwrap_or_default();
            let facts: [crate::texts::Fact<'_>; 2] =
                [("ledger", &ledger), ("index", &receipt["index"])];
            add(screen.text(Text::EntryReceipt, &facts));
        }
        if let Some(transaction) = &self.transaction {
            add(screen.dim(&screen.text(Text::EntryTransaction, &[("transaction", transaction)])));
        }
        if self.get("from").is_none() {
            let rest = self.facts.iter().filter(|(name, _)| {
                !["reason", "agreement", "clause", "elements"].contains(&name.as_str())
            });
            let rest: Vec<String> = rest
                .map(|(name, value)| match value {
                    Value::String(text) => format!("{name} {text}"),
                    other => format!("{name} {other}"),
                })
                .collect();
            if !rest.is_empty() {
                add(rest.join("  "));
            }
        }
        lines.join("\n")
    }
}

const fn says(statement: &Statement) -> &'static str {
    match &statement.body {
        Says::Close { .. } => "close",
        Says::Fault { .. } => "fault",
        Says::Progress { .. } => "progress",
        Says::Request { .. } => "request",
        Says::Response { .. } => "response",
    }
}

fn says_text(says: &str) -> Option<Text> {
    Some(match says {
        "close" => Text::SaysClose,
        "fault" => Text::SaysFault,
        "progress" => Text::SaysProgress,
        "request" => Text::SaysRequest,
        "response" => Text::SaysResponse,
        _ => return None,
    })
}

const fn outcome_word(kind: OutcomeKind) -> &'static str {
    match kind {
        OutcomeKind::Cancelled => "cancelled",
        OutcomeKind::Crashed => "crashed",
        OutcomeKind::InvalidAnswer => "invalid answer",
        OutcomeKind::Timeout => "timeout",
    }
}

/// Digits of a hash that tell it from others at a glance.
const SHORT: usize = 16;
