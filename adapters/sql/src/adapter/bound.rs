//! A method in service: its limits, the selections made for each agreement, and what the source
//! said of its query.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use entente_adapter_sdk::{AdapterError, Standing};
use entente_clock::Clock;
use entente_contract::Contract;
use entente_identity::ElementName;
use entente_reason::Reason;

use super::guarded::Guarded;
use crate::answer::Selection;
use crate::binding::Binding;
use crate::limits::Gate;
use crate::source::{ColumnKind, SourceError};

#[derive(Debug)]
pub(super) struct Bound {
    pub(super) binding: Binding,
    pub(super) gate: Gate,
    /// By released elements; agreements are few, and the map is emptied when they are not.
    selections: Mutex<HashMap<BTreeSet<ElementName>, Arc<Selection>>>,
    /// What the source said of the query.
    prepared: Mutex<Prepared>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Prepared {
    NotYet,
    Accepted,
    Refused { why: String, line: u64 },
}

// === impl Bound ===

impl Bound {
    pub(super) fn new(binding: Binding, clock: &Arc<dyn Clock>) -> Self {
        Self {
            gate: Gate::new(&binding.limits, Arc::clone(clock)),
            binding,
            selections: Mutex::default(),
            prepared: Mutex::new(Prepared::NotYet),
        }
    }

    /// What the source said of the query.
    pub(super) fn prepared(&self) -> Prepared {
        let prepared = self.prepared.lock().unwrap_or_else(PoisonError::into_inner);
        prepared.clone()
    }

    pub(super) fn standing(&self, source: &Guarded) -> Standing {
        if let Some(reason) = source.reason() {
            return Standing::NotServing(reason);
        }
        let prepared = self.prepared.lock().unwrap_or_else(PoisonError::into_inner);
        match &*prepared {
            Prepared::Accepted => Standing::Serving,
            Prepared::NotYet => Standing::NotServing(Reason::SourceDown),
            Prepared::Refused { .. } => Standing::NotServing(Reason::SourceRefused),
        }
    }

    pub(super) fn selection(
        &self,
        source: &Guarded,
        contract: &Contract,
        elements: &BTreeSet<ElementName>,
    ) -> Result<Arc<Selection>, AdapterError> {
        let mut selections = self
            .selections
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(selection) = selections.get(elements) {
            return Ok(Arc::clone(selection));
        }
        let compiled = Selection::compile(&self.binding, source.driver(), contract, elements)
            .map_err(|error| AdapterError::new(error.reason()))?;
        if selections.len() >= MAX_SELECTIONS {
            selections.clear();
        }
        let selection = Arc::new(compiled);
        selections.insert(elements.clone(), Arc::clone(&selection));
        Ok(selection)
    }

    /// Has the source read the query with every mapped column, once.
    pub(super) async fn prepare(&self, source: &Guarded) {
        {
            let prepared = self.prepared.lock().unwrap_or_else(PoisonError::into_inner);
            if *prepared != Prepared::NotYet {
                return;
            }
        }
        let binding = &self.binding;
        let columns: Vec<_> = binding
            .leaves
            .iter()
            .map(|leaf| leaf.column.as_str())
            .collect();
        let sql = binding.statement.render_plain(source.driver(), &columns);
        let verdict = match source.prepare(&sql).await {
            Ok(kinds) => judge(binding, &kinds),
            Err(SourceError::Down(_) | SourceError::Slow | SourceError::Busy) => return,
            Err(error) => Prepared::Refused {
                why: error.to_string(),
                line: binding.line,
            },
        };
        *self.prepared.lock().unwrap_or_else(PoisonError::into_inner) = verdict;
    }
}

/// Holds the columns' types against what they are mapped to.
fn judge(binding: &Binding, kinds: &[ColumnKind]) -> Prepared {
    for (leaf, kind) in binding.leaves.iter().zip(kinds) {
        let fault = match kind {
            ColumnKind::Float if !leaf.convert.takes_floats() => {
                "is a floating-point number; cast it to numeric in the query"
            }
            ColumnKind::LocalTime if leaf.convert.needs_offset() => {
                "carries no offset; add `zone:`, or make it timestamptz in the query"
            }
            ColumnKind::Float | ColumnKind::LocalTime | ColumnKind::Other => continue,
        };
        return Prepared::Refused {
            why: format!("column {} {fault}", leaf.column),
            line: leaf.line,
        };
    }
    Prepared::Accepted
}

const MAX_SELECTIONS: usize = 256;
