//! A release plan: which fields cross, compiled to tables over the wire format.

mod check;
mod filter;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use entente_identity::{ElementName, MethodName};
use entente_reason::Reason;

use crate::contract::{Contract, Direction, UnknownMethod};
use crate::model::{Cardinality, Field, Kind};
use crate::wire::{WireError, WireField, WireType, check_packed};

/// What may cross in one direction of one method under one set of permitted elements.
///
/// Compile once for each clause, method and direction and keep it: using it allocates at most one
/// buffer, the size of the body.
#[derive(Debug)]
pub struct ReleasePlan {
    tables: Vec<Table>,
}

/// Why an answer could not be filtered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("could not read the message as its contract declares it")]
pub struct FilterError(#[source] pub WireError);

/// Why a request was not let through.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CheckError {
    /// The bytes are not a message of the contract.
    #[error("could not read the message as its contract declares it")]
    Malformed(#[source] WireError),
    /// A field is set that the clause does not permit.
    #[error("field {path} is not permitted by the clause")]
    Unlisted {
        /// Field names from the message down, dotted; an unknown field is `#` and its number. Never a
        /// value.
        path: String,
    },
}

/// One message type, reached within a permitted element or not. The first table is the root.
#[derive(Debug)]
struct Table {
    /// By field number, for small numbers.
    dense: Vec<Rule>,
    /// The others, ascending.
    sparse: Vec<(u32, Rule)>,
    /// Every known field, ascending by number.
    names: Vec<(u32, Arc<str>)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rule {
    /// Never crosses. Unknown fields too.
    Drop,
    /// Crosses whole.
    Keep {
        wire: WireType,
        text: bool,
        repeated: bool,
    },
    /// Crosses as far as another table says.
    Enter(usize),
}

// === impl ReleasePlan ===

impl ReleasePlan {
    /// Compiles the plan. Permitted elements the direction does not have are ignored.
    ///
    /// # Errors
    /// When the contract does not declare the method.
    pub fn compile(
        contract: &Contract,
        method: &MethodName,
        direction: Direction,
        permitted: &BTreeSet<ElementName>,
    ) -> Result<Self, UnknownMethod> {
        let root = contract.root(method, direction)?;
        let mut compiler = Compiler {
            contract,
            permitted,
            ids: BTreeMap::new(),
            pending: Vec::new(),
        };
        compiler.id(root, false);
        let mut drafts: Vec<Vec<(u32, Rule)>> = Vec::new();
        let mut names = Vec::new();
        while let Some((index, within)) = compiler.pending.get(drafts.len()).copied() {
            let fields = &contract.types().messages[index].fields;
            drafts.push(
                fields
                    .iter()
                    .map(|field| (field.number, compiler.rule(field, within)))
                    .collect(),
            );
            names.push(
                fields
                    .iter()
                    .map(|field| (field.number, Arc::clone(&field.name)))
                    .collect(),
            );
        }
        close_empty_containers(&mut drafts, &compiler.pending);
        let tables = drafts
            .into_iter()
            .zip(names)
            .map(|(rules, names)| Table::new(rules, names));
        Ok(Self {
            tables: tables.collect(),
        })
    }

    /// Clears from an answer everything that may not cross. If nothing had to go, the same bytes are
    /// returned, shared.
    ///
    /// Bytes written in an unusual way (lengths longer than they need be) are written in the usual one. A oneof
    /// of which several members were written, as no encoder does, is left with its permitted ones.
    ///
    /// # Errors
    /// When the bytes are not protobuf, hold a group or text that is not UTF-8, or nest deeper than
    /// [`crate::MAX_DEPTH`].
    pub fn filter(&self, body: &Bytes) -> Result<Bytes, FilterError> {
        filter::filter(self, body).map_err(FilterError)
    }

    /// Refuses a request in which anything is set that may not cross, unknown fields included.
    ///
    /// # Errors
    /// As [`filter`](Self::filter), and for the first field that is not permitted.
    pub fn check(&self, body: &[u8]) -> Result<(), CheckError> {
        check::check(self, body)
    }

    /// Whether a field, named by its dotted path from the message down, can cross. What an adapter need not
    /// even select.
    pub fn releases(&self, path: &str) -> bool {
        let mut rule = Rule::Enter(0);
        for name in path.split('.') {
            let Rule::Enter(index) = rule else {
                return false;
            };
            let table = &self.tables[index];
            let Some((number, _)) = table.names.iter().find(|(_, known)| &**known == name) else {
                return false;
            };
            rule = table.rule(*number);
        }
        rule != Rule::Drop
    }

    /// Whether nothing at all can cross.
    pub fn is_empty(&self) -> bool {
        self.tables.first().is_none_or(Table::is_closed)
    }
}

// === impl FilterError ===

impl FilterError {
    /// The reason a caller gets.
    pub fn reason(&self) -> Reason {
        Reason::InvalidAnswer
    }
}

// === impl CheckError ===

impl CheckError {
    /// The reason a caller gets.
    pub fn reason(&self) -> Reason {
        match self {
            Self::Malformed(_) => Reason::RequestMalformed,
            Self::Unlisted { .. } => Reason::FieldNotAgreed,
        }
    }
}

// === impl Table ===

impl Table {
    fn new(rules: Vec<(u32, Rule)>, names: Vec<(u32, Arc<str>)>) -> Self {
        let mut dense = Vec::new();
        let mut sparse = Vec::new();
        for (number, rule) in rules {
            if number <= MAX_DENSE {
                dense.resize(number as usize + 1, Rule::Drop);
                dense[number as usize] = rule;
            } else {
                sparse.push((number, rule));
            }
        }
        Self {
            dense,
            sparse,
            names,
        }
    }

    fn rule(&self, number: u32) -> Rule {
        if let Some(rule) = self.dense.get(number as usize) {
            return *rule;
        }
        match self
            .sparse
            .binary_search_by_key(&number, |(number, _)| *number)
        {
            Ok(at) => self.sparse[at].1,
            Err(_) => Rule::Drop,
        }
    }

    /// The rule for a field as it was found: one whose form does not fit its type is an unknown field.
    fn rule_for(&self, field: &WireField<'_>) -> Result<Rule, WireError> {
        let rule = self.rule(field.number);
        match rule {
            Rule::Drop => Ok(rule),
            Rule::Enter(_) if field.wire == WireType::Len => Ok(rule),
            Rule::Enter(_) => Ok(Rule::Drop),
            Rule::Keep { wire, text, .. } if wire == field.wire => {
                if text && std::str::from_utf8(field.value).is_err() {
                    return Err(WireError::Text);
                }
                if wire == WireType::Varint {
                    field.varint()?;
                }
                Ok(rule)
            }
            Rule::Keep {
                wire,
                repeated: true,
                ..
            } if field.wire == WireType::Len => {
                check_packed(wire, field.value)?;
                Ok(rule)
            }
            Rule::Keep { .. } => Ok(Rule::Drop),
        }
    }

    fn name(&self, number: u32) -> Option<&str> {
        let at = self
            .names
            .binary_search_by_key(&number, |(number, _)| *number);
        at.ok().map(|at| &*self.names[at].1)
    }

    fn is_closed(&self) -> bool {
        self.dense
            .iter()
            .chain(self.sparse.iter().map(|(_, rule)| rule))
            .all(|rule| *rule == Rule::Drop)
    }
}

struct Compiler<'a> {
    contract: &'a Contract,
    permitted: &'a BTreeSet<ElementName>,
    /// (message type, reached within a permitted element) → table.
    ids: BTreeMap<(usize, bool), usize>,
    /// The same, in the order of tables.
    pending: Vec<(usize, bool)>,
}

// === impl Compiler ===

impl Compiler<'_> {
    fn id(&mut self, index: usize, within: bool) -> usize {
        *self.ids.entry((index, within)).or_insert_with(|| {
            self.pending.push((index, within));
            self.pending.len() - 1
        })
    }

    fn rule(&mut self, field: &Field, within: bool) -> Rule {
        let permitted = match &field.element {
            Some(element) => self.permitted.contains(element),
            None => within,
        };
        let container = field.element.is_none() && self.contract.types().map_entry(field).is_none();
        match (field.kind, field.kind.wire()) {
            (Kind::Message(below), _) if permitted => Rule::Enter(self.id(below, true)),
            (Kind::Message(below), _) if container => Rule::Enter(self.id(below, false)),
            (kind, Some(wire)) if permitted => Rule::Keep {
                wire,
                text: kind == Kind::String,
                repeated: field.cardinality == Cardinality::Repeated && wire != WireType::Len,
            },
            _ => Rule::Drop,
        }
    }
}

/// Containers in which nothing can cross do not cross either.
fn close_empty_containers(drafts: &mut [Vec<(u32, Rule)>], tables: &[(usize, bool)]) {
    // A table is open if it keeps something or enters one that is open; within an element, always.
    let mut entered_by: Vec<Vec<usize>> = vec![Vec::new(); tables.len()];
    let mut opening = Vec::new();
    for (at, (rules, (_, within))) in drafts.iter().zip(tables).enumerate() {
        if *within {
            opening.push(at);
        }
        for (_, rule) in rules {
            match rule {
                Rule::Drop => {}
                Rule::Keep { .. } => opening.push(at),
                Rule::Enter(below) => entered_by[*below].push(at),
            }
        }
    }
    let mut open = vec![false; tables.len()];
    while let Some(at) = opening.pop() {
        if !std::mem::replace(&mut open[at], true) {
            opening.extend(&entered_by[at]);
        }
    }
    for (_, rule) in drafts.iter_mut().flatten() {
        if matches!(rule, Rule::Enter(below) if !open[*below]) {
            *rule = Rule::Drop;
        }
    }
}

/// Largest field number looked up by index: covers nearly every field ever written.
const MAX_DENSE: u32 = 127;
