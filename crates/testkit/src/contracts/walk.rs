//! What may cross, said on decoded messages: the expectation the filter is compared with.

use std::collections::BTreeSet;

use prost_reflect::{
    DynamicMessage, FieldDescriptor, MessageDescriptor, ReflectMessage as _, Value,
};

use super::Secrets;

/// Clears what may not cross, as the crate's documentation says it; texts cleared become secrets.
pub fn clear(
    message: &mut DynamicMessage,
    within: bool,
    permitted: &BTreeSet<String>,
    secrets: &mut Secrets,
) {
    for field in message
        .descriptor()
        .fields()
        .filter(|field| message.has_field(field))
        .collect::<Vec<_>>()
    {
        let own = element(&field);
        let allowed = own
            .as_ref()
            .map_or(within, |element| permitted.contains(element));
        let kind = field.kind();
        let below = kind.as_message();
        let container = own.is_none() && below.is_some() && !field.is_map();
        let crosses = allowed
            || container
                && below.is_some_and(|below| {
                    leads_to_permitted(below, permitted, &mut BTreeSet::new())
                });
        if crosses {
            for_each_message(message.get_field_mut(&field), &mut |inner| {
                clear(inner, allowed, permitted, secrets);
            });
        } else {
            collect_texts(&message.get_field(&field), secrets);
            message.clear_field(&field);
        }
    }
}

/// Whether a container of this type can hold anything that is permitted.
fn leads_to_permitted(
    message: &MessageDescriptor,
    permitted: &BTreeSet<String>,
    seen: &mut BTreeSet<String>,
) -> bool {
    seen.insert(message.full_name().to_owned())
        && message
            .fields()
            .any(|field| match (element(&field), field.kind().as_message()) {
                (Some(element), _) => permitted.contains(&element),
                (None, Some(below)) => {
                    !field.is_map() && leads_to_permitted(below, permitted, seen)
                }
                (None, None) => false,
            })
}

fn element(field: &FieldDescriptor) -> Option<String> {
    let privacy = field
        .parent_message()
        .parent_pool()
        .get_extension_by_name("entente.v1.privacy");
    let options = field.options();
    let privacy = options.get_extension(&privacy.expect("the annotations are imported"));
    let element = privacy
        .as_message()
        .and_then(|privacy| privacy.get_field_by_name("element"))
        .expect("privacy is a message with an element");
    element
        .as_str()
        .filter(|element| !element.is_empty())
        .map(str::to_owned)
}

fn for_each_message(value: &mut Value, visit: &mut dyn FnMut(&mut DynamicMessage)) {
    match value {
        Value::Message(message) => visit(message),
        Value::List(values) => values
            .iter_mut()
            .for_each(|value| for_each_message(value, visit)),
        Value::Map(pairs) => pairs
            .values_mut()
            .for_each(|value| for_each_message(value, visit)),
        _ => {}
    }
}

fn collect_texts(value: &Value, secrets: &mut Secrets) {
    match value {
        Value::String(text) => drop(secrets.insert(text.clone())),
        Value::Bytes(bytes) => {
            secrets.insert(String::from_utf8_lossy(bytes).into_owned());
        }
        Value::Message(message) => {
            message
                .fields()
                .for_each(|(_, value)| collect_texts(value, secrets));
        }
        Value::List(values) => values
            .iter()
            .for_each(|value| collect_texts(value, secrets)),
        Value::Map(pairs) => pairs.iter().for_each(|(key, value)| {
            collect_texts(&Value::from(key.clone()), secrets);
            collect_texts(value, secrets);
        }),
        _ => {}
    }
}

/// The elements of a message's fields, at any depth: what an agreement about it may name.
pub fn elements(message: &MessageDescriptor) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    collect_elements(message, &mut found, &mut BTreeSet::new());
    found
}

fn collect_elements(
    message: &MessageDescriptor,
    found: &mut BTreeSet<String>,
    seen: &mut BTreeSet<String>,
) {
    if !seen.insert(message.full_name().to_owned()) {
        return;
    }
    for field in message.fields() {
        found.extend(element(&field));
        if let Some(below) = field.kind().as_message() {
            collect_elements(below, found, seen);
        }
    }
}
