//! The two sides of exchanges, held against each other: who dropped an entry, and what can only be counted.
//!
//! One exchange is four entries: OUT and IN of the request, OUT and IN of the answer. Each side's ledger
//! holds the other's signed statement, so what one side dropped, the other side's entry proves. What both
//! dropped together, nothing in either ledger shows.

use std::collections::BTreeMap;

use bytes::Bytes;
use entente_evidence::proof::SignedStatement;
use entente_evidence::receipt::Receipt;
use entente_evidence::statement::{Body as Says, MessageId, Mode};
use entente_identity::ServerId;
use entente_ledger::entry::{Body, DeniedCall, Entry};
use entente_ledger::tree::leaf_hash;
use entente_signing::Digest;

/// What one ledger holds of exchanges between two servers.
#[derive(Debug)]
pub struct Side {
    server: ServerId,
    held: BTreeMap<Digest, Held>,
    leaves: Vec<Digest>,
}

/// What one ledger holds of one exchange.
#[derive(Clone, Debug, Default)]
struct Held {
    message: Option<MessageId>,
    request: bool,
    /// As DENIED: then the answer, a fault, is not logged beside it.
    is_refused: bool,
    answer: bool,
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
    /// Reads the ledger of `server`, from its first entry on; only what it exchanged with `peer` counts.
    /// `is_signed` says whether a statement verifies under a session of its sender.
    pub fn read<'a>(
        server: &ServerId,
        peer: &ServerId,
        entries: impl IntoIterator<Item = &'a Bytes>,
        is_signed: &dyn Fn(&SignedStatement) -> bool,
    ) -> Self {
        let mut side = Self {
            server: server.clone(),
            held: BTreeMap::new(),
            leaves: Vec::new(),
        };
        for bytes in entries {
            side.leaves.push(leaf_hash(bytes));
            let (statement, is_refused) = match Entry::decode(bytes).map(|entry| entry.body) {
                Ok(Body::In(entry)) => (entry.statement, false),
                Ok(Body::Out(entry)) => (entry.statement, false),
                // A refused request stands in the place of its IN.
                Ok(Body::Denied(entry)) => match entry.call {
                    DeniedCall::Statement(statement) => (statement, true),
                    DeniedCall::Attempt(_) => continue,
                },
                _ => continue,
            };
            if let Ok(signed) = SignedStatement::parse(statement) {
                side.note(&signed, is_refused, peer, is_signed);
            }
        }
        side
    }

    fn note(
        &mut self,
        signed: &SignedStatement,
        is_refused: bool,
        peer: &ServerId,
        is_signed: &dyn Fn(&SignedStatement) -> bool,
    ) {
        let says = signed.statement();
        let (from, to) = (&says.sender_server, &says.receiver_server);
        let is_between =
            (from == peer && *to == self.server) || (*from == self.server && to == peer);
        // What verifies under no session of its sender proves nothing against it.
        if !is_between || says.mode != Mode::Live || (from == peer && !is_signed(signed)) {
            return;
        }
        match says.request_hash() {
            None => {
                let held = self.held.entry(signed.hash()).or_default();
                held.message = Some(says.message_id);
                held.request = true;
                held.is_refused |= is_refused;
            }
            Some(request) => {
                let held = self.held.entry(*request).or_default();
                held.message = Some(says.message_id);
                held.answer = true;
                held.is_fault = matches!(says.body, Says::Fault { .. });
                held.promise = says.receipt().cloned();
            }
        }
    }

    fn of(&self, request: &Digest) -> Held {
        self.held.get(request).cloned().unwrap_or_default()
    }

    /// Whether an entry stands where it was promised.
    fn keeps(&self, promise: &Receipt) -> bool {
        let at = usize::try_from(promise.index).unwrap_or(usize::MAX);
        self.leaves.get(at) == Some(&promise.leaf_hash)
    }
}

/// Judges every exchange in which `consumer` asked `provider`, by the two ledgers, each complete and
/// verified on its own.
pub fn compare(consumer: &Side, provider: &Side) -> Vec<Judged> {
    let requests: std::collections::BTreeSet<_> =
        consumer.held.keys().chain(provider.held.keys()).collect();
    let judged = requests.into_iter().map(|request| {
        let (ours, theirs) = (consumer.of(request), provider.of(request));
        Judged {
            request: *request,
            transaction: ours.message.or(theirs.message),
            verdict: judge(&ours, &theirs, provider),
        }
    });
    judged.collect()
}

fn judge(consumer: &Held, provider: &Held, ledger: &Side) -> Verdict {
    let is_kept = consumer
        .promise
        .as_ref()
        .is_none_or(|promise| ledger.keeps(promise));
    // A refusal is its DENIED entry and the fault that promises it.
    let is_answered = provider.answer || (provider.is_refused && consumer.is_fault);
    if consumer.answer && (!is_answered || !provider.request || !is_kept) {
        Verdict::ProviderOmitted
    } else if provider.request && !consumer.request {
        Verdict::ConsumerOmitted
    } else if !provider.request {
        Verdict::Undelivered
    } else if !consumer.answer {
        Verdict::Unanswered
    } else {
        Verdict::Complete
    }
}

// === impl Verdict ===

impl Verdict {
    /// Every verdict.
    pub const ALL: [Self; 5] = [
        Self::Complete,
        Self::Undelivered,
        Self::Unanswered,
        Self::ConsumerOmitted,
        Self::ProviderOmitted,
    ];

    /// Its code.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Complete => "COMPLETE",
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
