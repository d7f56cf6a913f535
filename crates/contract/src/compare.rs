//! What a new version of a contract would break. Versions add; they never remove, retype or relabel.

use std::collections::BTreeSet;
use std::fmt;

use entente_reason::Reason;

use crate::contract::Contract;
use crate::model::{EnumType, Field, Kind, MessageType, Types};

/// One thing a new version would break.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Breaking {
    /// The full name, in the old version, of the method, field or enum value.
    pub at: String,
    /// What happened to it.
    pub change: Change,
}

/// What happened. Variants are alphabetical.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
#[non_exhaustive]
pub enum Change {
    /// Between one and many, or between optional and not.
    #[error("cardinality changed")]
    Cardinality,
    /// A method that only read no longer promises so, or no longer may be repeated.
    #[error("idempotency weakened")]
    Idempotency,
    /// Moved into, out of or between oneofs.
    #[error("oneof changed")]
    Oneof,
    /// Another element, sensitivity or subject scheme.
    #[error("element, sensitivity or subject changed; labels are for good")]
    Relabelled,
    /// Gone.
    #[error("removed")]
    Removed,
    /// The same number under another name.
    #[error("renamed")]
    Renamed,
    /// Another service altogether.
    #[error("not the same service")]
    Service,
    /// Another streaming shape.
    #[error("streaming changed")]
    Streaming,
    /// Another type.
    #[error("type changed")]
    Type,
}

// === impl Breaking ===

impl Breaking {
    /// The reason the publisher gets.
    pub fn reason(&self) -> Reason {
        Reason::ContractBreaking
    }
}

impl fmt::Display for Breaking {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.at, self.change)
    }
}

/// Everything `new` would break for users of `old`, sorted; empty if nothing.
pub fn compare(old: &Contract, new: &Contract) -> Vec<Breaking> {
    if old.service() != new.service() {
        return vec![Breaking {
            at: old.service().to_string(),
            change: Change::Service,
        }];
    }
    let mut comparison = Comparison {
        old: old.types(),
        new: new.types(),
        pending: Vec::new(),
        seen: BTreeSet::new(),
        seen_enums: BTreeSet::new(),
        found: BTreeSet::new(),
    };
    for method in old.methods() {
        let at = method.name.as_str();
        let (Ok((_, old_input, old_output)), Ok((now, new_input, new_output))) =
            (old.entry(&method.name), new.entry(&method.name))
        else {
            comparison.report(at, Change::Removed);
            continue;
        };
        if method.shape != now.shape {
            comparison.report(at, Change::Streaming);
        }
        if method.idempotency != now.idempotency && method.idempotency != Default::default() {
            comparison.report(at, Change::Idempotency);
        }
        comparison.reach(at, *old_input, *new_input);
        comparison.reach(at, *old_output, *new_output);
    }
    comparison.run();
    comparison.found.into_iter().collect()
}

struct Comparison<'a> {
    old: &'a Types,
    new: &'a Types,
    pending: Vec<(usize, usize)>,
    seen: BTreeSet<(usize, usize)>,
    seen_enums: BTreeSet<(usize, usize)>,
    found: BTreeSet<Breaking>,
}

// === impl Comparison ===

impl Comparison<'_> {
    fn report(&mut self, at: &str, change: Change) {
        self.found.insert(Breaking {
            at: at.to_owned(),
            change,
        });
    }

    /// A message reached on both sides. JSON and reflection know it by its name; two of one shape are
    /// still two, and are not compared further: there could be as many pairs as both have messages.
    fn reach(&mut self, at: &str, old: usize, new: usize) {
        if self.old.messages[old].name == self.new.messages[new].name {
            self.pending.push((old, new));
        } else {
            self.report(at, Change::Type);
        }
    }

    fn run(&mut self) {
        while let Some(pair) = self.pending.pop() {
            if self.seen.insert(pair) {
                let (old, new) = (self.old, self.new);
                self.messages(&old.messages[pair.0], &new.messages[pair.1]);
            }
        }
    }

    fn messages(&mut self, old: &MessageType, new: &MessageType) {
        for field in &old.fields {
            let at = format!("{}.{}", old.name, field.name);
            match new.field(field.number) {
                Some(now) => self.fields(&at, field, now),
                None => self.report(&at, Change::Removed),
            }
        }
    }

    fn fields(&mut self, at: &str, old: &Field, new: &Field) {
        if old.name != new.name {
            self.report(at, Change::Renamed);
        }
        if old.cardinality != new.cardinality {
            self.report(at, Change::Cardinality);
        }
        if old.oneof != new.oneof {
            self.report(at, Change::Oneof);
        }
        if (&old.element, old.sensitivity, &old.subject)
            != (&new.element, new.sensitivity, &new.subject)
        {
            self.report(at, Change::Relabelled);
        }
        match (old.kind, new.kind) {
            (Kind::Message(a), Kind::Message(b)) => self.reach(at, a, b),
            (Kind::Enum(a), Kind::Enum(b)) => {
                let (old, new) = (self.old, self.new);
                if old.enums[a].name != new.enums[b].name {
                    self.report(at, Change::Type);
                } else if self.seen_enums.insert((a, b)) {
                    self.enums(&old.enums[a], &new.enums[b]);
                }
            }
            (a, b) if a == b => {}
            _ => self.report(at, Change::Type),
        }
    }

    fn enums(&mut self, old: &EnumType, new: &EnumType) {
        for value in &old.values {
            // Sorted by number, then name; one number may have several names.
            if new.values.binary_search(value).is_err() {
                let (number, name) = value;
                let change = match new.values.binary_search_by_key(number, |(n, _)| *n) {
                    Ok(_) => Change::Renamed,
                    Err(_) => Change::Removed,
                };
                self.report(&format!("{}.{name}", old.name), change);
            }
        }
    }
}
