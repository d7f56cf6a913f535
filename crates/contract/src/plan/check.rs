//! Checking a request: the first field that is not permitted, by its path.

use super::{CheckError, ReleasePlan, Rule};
use crate::MAX_DEPTH;
use crate::wire::{Fields, WireError};

pub(super) fn check(plan: &ReleasePlan, body: &[u8]) -> Result<(), CheckError> {
    let mut path = Vec::new();
    match find_unlisted(plan, 0, body, &mut path, 0) {
        Ok(false) => Ok(()),
        Ok(true) => {
            path.reverse();
            Err(CheckError::Unlisted {
                path: path.join("."),
            })
        }
        Err(source) => Err(CheckError::Malformed(source)),
    }
}

/// Whether a field that is not permitted is set; if so, `path` gets the names that lead to it, innermost
/// first.
fn find_unlisted(
    plan: &ReleasePlan,
    table: usize,
    body: &[u8],
    path: &mut Vec<String>,
    depth: usize,
) -> Result<bool, WireError> {
    if depth > MAX_DEPTH {
        return Err(WireError::TooDeep);
    }
    let table = &plan.tables[table];
    let mut fields = Fields::new(body);
    while let Some(field) = fields.next_field()? {
        let unlisted = match table.rule_for(&field)? {
            Rule::Drop => true,
            Rule::Keep { .. } => false,
            Rule::Enter(below) => find_unlisted(plan, below, field.value, path, depth + 1)?,
        };
        if unlisted {
            path.push(match table.name(field.number) {
                Some(name) => name.to_owned(),
                None => format!("#{}", field.number),
            });
            return Ok(true);
        }
    }
    Ok(false)
}
