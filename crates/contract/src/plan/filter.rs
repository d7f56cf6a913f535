//! Filtering an answer: one pass that usually finds nothing to do, and one that rewrites.

use bytes::Bytes;

use super::{ReleasePlan, Rule};
use crate::MAX_DEPTH;
use crate::wire::{Fields, WireError, put_varint, varint_width};

pub(super) fn filter(plan: &ReleasePlan, body: &Bytes) -> Result<Bytes, WireError> {
    if is_clean(plan, 0, body, 0)? {
        return Ok(body.clone());
    }
    let mut out = Vec::with_capacity(body.len());
    rewrite(plan, 0, body, &mut out, 0)?;
    Ok(out.into())
}

/// Whether nothing has to go. Reads everything only if so.
fn is_clean(
    plan: &ReleasePlan,
    table: usize,
    body: &[u8],
    depth: usize,
) -> Result<bool, WireError> {
    if depth > MAX_DEPTH {
        return Err(WireError::TooDeep);
    }
    let table = &plan.tables[table];
    let mut fields = Fields::new(body);
    while let Some(field) = fields.next_field()? {
        let clean = match table.rule_for(&field)? {
            Rule::Drop => false,
            Rule::Keep { .. } => field.canonical,
            Rule::Enter(below) => field.canonical && is_clean(plan, below, field.value, depth + 1)?,
        };
        if !clean {
            return Ok(false);
        }
    }
    Ok(true)
}

fn rewrite(
    plan: &ReleasePlan,
    table: usize,
    body: &[u8],
    out: &mut Vec<u8>,
    depth: usize,
) -> Result<(), WireError> {
    if depth > MAX_DEPTH {
        return Err(WireError::TooDeep);
    }
    let table = &plan.tables[table];
    let mut fields = Fields::new(body);
    while let Some(field) = fields.next_field()? {
        match table.rule_for(&field)? {
            Rule::Drop => {}
            Rule::Keep { .. } => {
                field.write_head(field.value.len(), out);
                out.extend_from_slice(field.value);
            }
            Rule::Enter(below) => {
                // Its length is known only afterwards, and never grows: write the old one, then close
                // the gap if the new one is narrower.
                field.write_head(field.value.len(), out);
                let start = out.len();
                rewrite(plan, below, field.value, out, depth + 1)?;
                let len = out.len() - start;
                let (old, new) = (varint_width(field.value.len()), varint_width(len));
                let head = start - old;
                if new < old {
                    out.copy_within(start.., head + new);
                    out.truncate(head + new + len);
                }
                put_varint(len as u64, &mut out[head..head + new]);
            }
        }
    }
    Ok(())
}
