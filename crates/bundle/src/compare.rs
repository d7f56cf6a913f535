//! The two sides of exchanges, held against each other: who dropped an entry, and what can only be counted.
//!
//! One exchange is four entries: OUT and IN of the request, OUT and IN of the answer. Each side's ledger
//! holds the other's signed statement, so what one side dropped, the other side's entry proves. What both
//! dropped together, nothing in either ledger shows.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bytes::Bytes;
use entente_clock::Timestamp;
use entente_evidence::proof::SignedStatement;
use entente_evidence::receipt::Receipt;
use entente_evidence::statement::{Body as Says, LogOrigin, MessageId, Mode, Statement};
use entente_identity::ServerId;
use entente_ledger::entry::{Body, DeniedCall, Entry};
use entente_ledger::tree::leaf_hash;
use entente_signing::Digest;

/// What the ledgers of one server hold of its exchanges with another.
#[derive(Debug)]
pub struct Side {
    server: ServerId,
    peer: ServerId,
    held: BTreeMap<Digest, Held>,
    /// By the shard's origin.
    shards: BTreeMap<String, Shard>,
}

/// What is held of one shard.
#[derive(Debug, Default)]
struct Shard {
    leaves: Vec<Digest>,
    /// Whether there is nothing after them, and never will be.
    has_ended: bool,
    /// Time of the newest entry.
    newest: Timestamp,
}

/// Where and when a statement was to be logged by who signed it.
#[derive(Clone, Debug)]
struct Signed {
    log: LogOrigin,
    at: Timestamp,
}

/// What one ledger holds of one exchange.
#[derive(Clone, Debug, Default)]
struct Held {
    message: Option<MessageId>,
    /// Whose request it is.
    asker: Option<ServerId>,
    request: Option<Signed>,
    /// As DENIED: then the answer, a fault, is not logged beside it.
    is_refused: bool,
    answer: Option<Signed>,
    is_fault: bool,
    /// What the answer promises, where the answer's signature verified.
    promise: Option<Receipt>,
}

/// One exchange, judged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judged {
    /// Statement hash of the request.
    pub request: Digest,
    /// The exchange, where an entry names it.
    pub transaction: Option<MessageId>,
    /// What came out.
    pub verdict: Verdict,
}

/// What the two ledgers together show of an exchange. Variants are in the order of gravity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Verdict {
    /// All four entries are there.
    Complete,
    /// The copy of the other side's ledger ends before its part would come: a newer one is needed.
    Beyond,
    /// The consumer's request, and nothing of the provider's: undelivered, refused before it was logged, or
    /// dropped before anything was done. Nothing proves which.
    Undelivered,
    /// Everything but the consumer's IN of the answer: lost on the way, or dropped. Nothing proves which.
    Unanswered,
    /// The provider holds the consumer's signed request, and the consumer's ledger lacks it: the consumer
    /// omitted it.
    ConsumerOmitted,
    /// The consumer holds the provider's signed answer, and the provider's ledger lacks the answer, or the
    /// request where the answer promises it: the provider omitted it.
    ProviderOmitted,
}

// === impl Side ===

impl Side {
    /// Of `server`; only what it exchanged with `peer` counts.
    pub fn new(server: &ServerId, peer: &ServerId) -> Self {
        Self {
            server: server.clone(),
            peer: peer.clone(),
            held: BTreeMap::new(),
            shards: BTreeMap::new(),
        }
    }

    /// Takes up the next entry of the shard `origin`, from its first one on. `is_signed` says whether a
    /// statement verifies under a session of its sender.
    pub fn take(
        &mut self,
        origin: &str,
        entry: &Bytes,
        is_signed: &dyn Fn(&SignedStatement) -> bool,
    ) {
        if !self.shards.contains_key(origin) {
            self.shards.insert(origin.to_owned(), Shard::default());
        }
        let Some(shard) = self.shards.get_mut(origin) else {
            return;
        };
        shard.leaves.push(leaf_hash(entry));
        let Ok(entry) = Entry::decode(entry) else {
            return;
        };
        shard.newest = shard.newest.max(entry.at);
        let (statement, is_refused) = match entry.body {
            Body::In(entry) => (entry.statement, false),
            Body::Out(entry) => (entry.statement, false),
            // A refused request stands in the place of its IN.
            Body::Denied(entry) => match entry.call {
                DeniedCall::Statement(statement) => (statement, true),
                DeniedCall::Attempt(_) => return,
            },
            _ => return,
        };
        if let Ok(signed) = SignedStatement::parse(statement) {
            self.note(&signed, is_refused, is_signed);
        }
    }

    /// Says that the shard `origin` ended with the entries taken up: nothing newer can be asked for.
    pub fn end(&mut self, origin: &str) {
        self.shards.entry(origin.to_owned()).or_default().has_ended = true;
    }

    fn note(
        &mut self,
        signed: &SignedStatement,
        is_refused: bool,
        is_signed: &dyn Fn(&SignedStatement) -> bool,
    ) {
        let says = signed.statement();
        let (from, to) = (&says.sender_server, &says.receiver_server);
        let is_between = (*from == self.peer && *to == self.server)
            || (*from == self.server && *to == self.peer);
        // What verifies under no session of its sender proves nothing against it.
        if !is_between || says.mode != Mode::Live || (*from == self.peer && !is_signed(signed)) {
            return;
        }
        match says.request_hash() {
            None => {
                let held = self.held.entry(signed.hash()).or_default();
                held.message = Some(says.message_id);
                held.asker = Some(from.clone());
                held.request = Some(Signed::of(says));
                held.is_refused |= is_refused;
            }
            Some(request) => {
                let held = self.held.entry(*request).or_default();
                held.message = Some(says.message_id);
                held.asker = Some(to.clone());
                held.answer = Some(Signed::of(says));
                held.is_fault = matches!(says.body, Says::Fault { .. });
                held.promise = says.receipt().cloned();
            }
        }
    }

    /// The server whose ledgers these are.
    pub const fn server(&self) -> &ServerId {
        &self.server
    }

    fn of(&self, request: &Digest) -> Held {
        self.held.get(request).cloned().unwrap_or_default()
    }

    /// Whether an entry stands where it was promised; none when this does not reach that far.
    fn keeps(&self, promise: &Receipt) -> Option<bool> {
        let at = usize::try_from(promise.index).ok()?;
        let shard = self.shards.get(promise.origin.as_str())?;
        match shard.leaves.get(at) {
            Some(leaf) => Some(*leaf == promise.leaf_hash),
            None => shard.has_ended.then_some(false),
        }
    }

    /// Whether what this side signed must be here: its shard is, and was written to well after.
    fn covers(&self, signed: &Signed) -> bool {
        let shard = self.shards.get(signed.log.as_str());
        shard.is_some_and(|shard| {
            shard.has_ended || shard.newest >= signed.at.saturating_add(LOGGED_WITHIN)
        })
    }
}

// === impl Signed ===

impl Signed {
    fn of(says: &Statement) -> Self {
        Self {
            log: says.log.clone(),
            at: says.issued_at,
        }
    }
}

/// Judges every exchange in which `consumer` asked `provider`, by what the ledgers of both hold, each verified
/// on its own. What lies beyond the end of either is not judged.
pub fn compare(consumer: &Side, provider: &Side) -> Vec<Judged> {
    let held = consumer.held.iter().chain(&provider.held);
    let asked = held.filter(|(_, held)| held.asker.as_ref() == Some(&consumer.server));
    let requests: BTreeSet<_> = asked.map(|(request, _)| request).collect();
    let judged = requests.into_iter().map(|request| {
        let (ours, theirs) = (consumer.of(request), provider.of(request));
        Judged {
            request: *request,
            transaction: ours.message.or(theirs.message),
            verdict: judge((&ours, consumer), (&theirs, provider)),
        }
    });
    judged.collect()
}

fn judge((ours, consumer): (&Held, &Side), (theirs, provider): (&Held, &Side)) -> Verdict {
    if let Some(answer) = &ours.answer {
        let kept = ours.promise.as_ref().map(|promise| provider.keeps(promise));
        // A refusal is its DENIED entry and the fault that promises it.
        let is_logged = theirs.answer.is_some() || (theirs.is_refused && ours.is_fault);
        match kept {
            Some(None) => return Verdict::Beyond,
            Some(Some(false)) => return Verdict::ProviderOmitted,
            Some(Some(true)) | None if is_logged && theirs.request.is_some() => {}
            Some(Some(true)) | None if provider.covers(answer) => return Verdict::ProviderOmitted,
            Some(Some(true)) | None => return Verdict::Beyond,
        }
    }
    match (&ours.request, &theirs.request) {
        // It is signed by the consumer, and names the ledger that it is logged in.
        (None, Some(request)) if consumer.covers(request) => Verdict::ConsumerOmitted,
        (None, Some(_)) => Verdict::Beyond,
        (_, None) => Verdict::Undelivered,
        (Some(_), Some(_)) if ours.answer.is_none() => Verdict::Unanswered,
        (Some(_), Some(_)) => Verdict::Complete,
    }
}

// === impl Verdict ===

impl Verdict {
    /// Every verdict.
    pub const ALL: [Self; 6] = [
        Self::Complete,
        Self::Beyond,
        Self::Undelivered,
        Self::Unanswered,
        Self::ConsumerOmitted,
        Self::ProviderOmitted,
    ];

    /// Its code.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Complete => "COMPLETE",
            Self::Beyond => "BEYOND",
            Self::Undelivered => "UNDELIVERED",
            Self::Unanswered => "UNANSWERED",
            Self::ConsumerOmitted => "CONSUMER_OMITTED",
            Self::ProviderOmitted => "PROVIDER_OMITTED",
        }
    }

    /// Whether one side is shown to have dropped an entry.
    pub const fn is_omission(self) -> bool {
        matches!(self, Self::ConsumerOmitted | Self::ProviderOmitted)
    }
}

/// How long after a statement its entry may be written: a statement is refused two minutes after it was
/// signed. A copy that ends before that accuses nobody.
const LOGGED_WITHIN: Duration = Duration::from_secs(120);
