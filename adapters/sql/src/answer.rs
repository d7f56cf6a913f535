//! Rows into an answer: only what the agreement releases, and never more than the limits.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use entente_adapter_sdk::{AdapterError, Answer};
use entente_contract::{Contract, Direction, ReleasePlan, UnknownMethod};
use entente_identity::ElementName;
use entente_reason::Reason;
use prost::Message;
use prost_reflect::{DynamicMessage, MessageDescriptor, Value};

use crate::binding::{Binding, Leaf, Shape};
use crate::convert::Unfit;
use crate::file::Driver;
use crate::source::Rows;
use crate::value::SqlValue;

/// A binding under one set of released elements: the query that selects only their columns.
#[derive(Debug)]
pub(crate) struct Selection {
    pub(crate) sql: Arc<str>,
    /// Indexes into the binding's leaves, in the order of the columns selected.
    pub(crate) leaves: Vec<usize>,
    pub(crate) rows: u64,
    plan: ReleasePlan,
}

// === impl Selection ===

impl Selection {
    pub(crate) fn compile(
        binding: &Binding,
        driver: Driver,
        contract: &Contract,
        elements: &BTreeSet<ElementName>,
    ) -> Result<Self, UnknownMethod> {
        let plan = ReleasePlan::compile(contract, &binding.method, Direction::Response, elements)?;
        let leaves: Vec<usize> = binding
            .leaves
            .iter()
            .enumerate()
            .filter(|(_, leaf)| plan.releases(&leaf.path))
            .map(|(index, _)| index)
            .collect();
        let columns: Vec<&str> = leaves
            .iter()
            .map(|index| binding.leaves[*index].column.as_str())
            .collect();
        let rows = match binding.shape {
            Shape::List { .. } => binding.limits.rows,
            Shape::One { .. } => 1,
        };
        let width = binding.limits.bytes + 1;
        let sql = binding.statement.render(driver, &columns, rows + 1, width);
        Ok(Self {
            sql: sql.into(),
            leaves,
            rows,
            plan,
        })
    }

    /// Builds the answer from the rows of this selection.
    pub(crate) fn answer(&self, binding: &Binding, rows: Rows) -> Result<Answer, AdapterError> {
        let count = rows.len() as u64;
        let message = match &binding.shape {
            Shape::One { code, reason } => match rows.into_iter().next() {
                None => return Err(AdapterError::with_code(*code, reason)),
                Some(row) => self.row(binding, &binding.response, row)?,
            },
            Shape::List { field, row: kind } => {
                let items = rows
                    .into_iter()
                    .map(|row| self.row(binding, kind, row).map(Value::Message))
                    .collect::<Result<Vec<_>, _>>()?;
                let mut message = DynamicMessage::new(binding.response.clone());
                message.set_field(field, Value::List(items));
                message
            }
        };
        let limit = binding.limits.bytes;
        if message.encoded_len() as u64 > limit {
            return Err(AdapterError::too_many_bytes(limit));
        }
        // Only released columns were selected, so there should be nothing left to clear.
        let message = self.release(&Bytes::from(message.encode_to_vec()))?;
        Ok(Answer {
            message,
            rows: Some(count),
        })
    }

    pub(crate) fn release(&self, message: &Bytes) -> Result<Bytes, AdapterError> {
        self.plan
            .filter(message)
            .map_err(|error| AdapterError::new(Reason::InvalidAnswer).caused_by(error))
    }

    fn row(
        &self,
        binding: &Binding,
        kind: &MessageDescriptor,
        row: Vec<SqlValue>,
    ) -> Result<DynamicMessage, AdapterError> {
        let mut message = DynamicMessage::new(kind.clone());
        for (index, value) in self.leaves.iter().zip(row) {
            let leaf = &binding.leaves[*index];
            let value = leaf
                .convert
                .apply(value)
                .map_err(|unfit| refuse(leaf, unfit))?;
            if let Some(value) = value {
                place(&mut message, leaf, value).ok_or_else(|| refuse(leaf, Unfit::Record))?;
            }
        }
        Ok(message)
    }
}

/// Sets a field, making the messages around it on the way.
fn place(message: &mut DynamicMessage, leaf: &Leaf, value: Value) -> Option<()> {
    let (last, outer) = leaf.fields.split_last()?;
    let mut message = message;
    for field in outer {
        message = message.get_field_mut(field).as_message_mut()?;
    }
    message.try_set_field(last, value).ok()
}

/// Names the field; never the value.
fn refuse(leaf: &Leaf, unfit: Unfit) -> AdapterError {
    let reason = match unfit {
        Unfit::Record => Reason::BadRecord,
        Unfit::Unmapped => Reason::UnmappedCode,
    };
    AdapterError::new(reason).with("field", leaf.path.clone())
}
