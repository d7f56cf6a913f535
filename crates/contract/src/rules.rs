//! The rules a contract must keep to be published: every field classifiable, nothing that can hold
//! just anything unless it is wholly one element.

use std::collections::BTreeSet;

use crate::fault::{Fault, FaultKind};
use crate::model::{Cardinality, Field, Kind, MessageType, Sensitivity, Types};

/// Walks every type once for each way it is reached: within an element, or not.
pub(crate) fn check(types: &Types, roots: &[usize], faults: &mut Vec<Fault>) {
    let mut seen = BTreeSet::new();
    let mut reported = BTreeSet::new();
    let mut pending: Vec<(usize, bool)> = roots.iter().map(|&root| (root, false)).collect();
    while let Some((index, within)) = pending.pop() {
        if !seen.insert((index, within)) {
            continue;
        }
        let message = &types.messages[index];
        let mut report = |at: String, kind: FaultKind| {
            if reported.insert((at.clone(), format!("{kind:?}"))) {
                faults.push(Fault::new(at, kind));
            }
        };
        if message.extendable && !within {
            report(message.name.to_string(), FaultKind::Extensions);
        }
        if message.opaque() && !within {
            report(message.name.to_string(), FaultKind::Opaque);
        }
        if message.map_entry && !is_entry(message) {
            report(message.name.to_string(), FaultKind::MapEntry);
        }
        for field in &message.fields {
            let labelled = within || field.element.is_some();
            for kind in field_faults(types, message, field, labelled) {
                report(format!("{}.{}", message.name, field.name), kind);
            }
            if let Kind::Message(below) = field.kind {
                // An opaque type is reported at the field that uses it, not inside.
                if !types.messages[below].opaque() || labelled {
                    pending.push((below, labelled));
                }
            }
        }
    }
}

fn field_faults(
    types: &Types,
    message: &MessageType,
    field: &Field,
    labelled: bool,
) -> Vec<FaultKind> {
    let mut faults = Vec::new();
    match field.kind {
        Kind::Group => faults.push(FaultKind::Group),
        Kind::Bytes if !labelled => faults.push(FaultKind::Opaque),
        Kind::Message(below) => {
            let below = &types.messages[below];
            if below.opaque() && !labelled {
                faults.push(FaultKind::Opaque);
            }
            if below.map_entry && field.cardinality != Cardinality::Repeated {
                faults.push(FaultKind::MapEntry);
            }
        }
        _ => {}
    }
    if field.cardinality == Cardinality::Required {
        faults.push(FaultKind::Required);
    }
    if field.sensitivity != Sensitivity::None && !labelled {
        faults.push(FaultKind::PersonalWithoutElement);
    }
    if field.subject.is_some() {
        if !field.kind.identifies() || message.map_entry {
            faults.push(FaultKind::SubjectKind);
        }
        if !labelled {
            faults.push(FaultKind::SubjectWithoutElement);
        }
    }
    faults
}

fn is_entry(message: &MessageType) -> bool {
    let [key, value] = message.fields.as_slice() else {
        return false;
    };
    let plain = |field: &Field| {
        field.cardinality != Cardinality::Repeated
            && field.element.is_none()
            && field.subject.is_none()
            && field.oneof.is_none()
    };
    key.number == 1 && value.number == 2 && key.kind.keys_a_map() && plain(key) && plain(value)
}
