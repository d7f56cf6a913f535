//! Messages of any contract, and the ways a careless or hostile system writes them.

use prost::Message as _;
use prost::bytes::Bytes;
use prost_reflect::{
    DynamicMessage, FieldDescriptor, Kind, MapKey, MessageDescriptor, ReflectMessage as _, Value,
};

use super::{Entropy, Secrets};

/// A message with most fields set, none to a default that the wire would not show.
pub fn random_message(
    entropy: &mut Entropy,
    descriptor: &MessageDescriptor,
    depth: usize,
) -> DynamicMessage {
    let mut message = DynamicMessage::new(descriptor.clone());
    for field in descriptor.fields() {
        if entropy.below(4) == 0 || depth > 3 && field.kind().as_message().is_some() {
            continue;
        }
        let value = if field.is_map() {
            let kind = field.kind();
            let entry = kind.as_message().expect("a map has entries");
            let (key, value) = (entry.map_entry_key_field(), entry.map_entry_value_field());
            let pairs = (0..1 + entropy.below(3)).map(|i| {
                let key = match key.kind() {
                    Kind::String => MapKey::String(entropy.text()),
                    _ => MapKey::I32(i as i32 - 1),
                };
                (key, random_value(entropy, &value.kind(), depth))
            });
            Value::Map(pairs.collect())
        } else if field.is_list() {
            let count = 1 + entropy.below(3);
            Value::List(
                (0..count)
                    .map(|_| random_value(entropy, &field.kind(), depth))
                    .collect(),
            )
        } else {
            random_value(entropy, &field.kind(), depth)
        };
        message.set_field(&field, value);
    }
    message
}

fn random_value(entropy: &mut Entropy, kind: &Kind, depth: usize) -> Value {
    let number = 1 + entropy.below(250) as i64 * 0x0101_0101;
    match kind {
        Kind::Message(below) => Value::Message(random_message(entropy, below, depth + 1)),
        Kind::String => Value::String(entropy.text()),
        Kind::Bytes => Value::Bytes(Bytes::from(entropy.text())),
        Kind::Int32 => Value::I32(-number as i32),
        Kind::Sint64 => Value::I64(-number),
        Kind::Fixed32 => Value::U32(number as u32),
        Kind::Double => Value::F64(number as f64),
        Kind::Bool => Value::Bool(true),
        // One of two is a value the enum does not name.
        Kind::Enum(_) => Value::EnumNumber(1 + 6 * entropy.below(2) as i32),
        other => unreachable!("{other:?} is not generated"),
    }
}

/// Encodes a message as a careless or hostile system might: unknown fields and fields in the wrong form in
/// every message, messages and lists in parts, lengths longer than they need be.
pub fn noisy_encode(
    entropy: &mut Entropy,
    message: &DynamicMessage,
    secrets: &mut Secrets,
) -> Vec<u8> {
    let mut out = Vec::new();
    for (field, value) in message.fields() {
        add_noise(entropy, &message.descriptor(), secrets, &mut out);
        match value {
            Value::List(values) => {
                for value in values {
                    encode_one(
                        entropy,
                        &message.descriptor(),
                        &field,
                        value,
                        secrets,
                        &mut out,
                    );
                }
            }
            Value::Map(pairs) => {
                let kind = field.kind();
                let entry = kind.as_message().expect("a map has entries");
                for (key, value) in pairs {
                    let mut pair = Vec::new();
                    let key = Value::from(key.clone());
                    encode_one(
                        entropy,
                        entry,
                        &entry.map_entry_key_field(),
                        &key,
                        secrets,
                        &mut pair,
                    );
                    add_noise(entropy, entry, secrets, &mut pair);
                    let value_field = entry.map_entry_value_field();
                    encode_one(entropy, entry, &value_field, value, secrets, &mut pair);
                    write_len(entropy, field.number(), &pair, &mut out);
                }
            }
            value => encode_one(
                entropy,
                &message.descriptor(),
                &field,
                value,
                secrets,
                &mut out,
            ),
        }
    }
    add_noise(entropy, &message.descriptor(), secrets, &mut out);
    out
}

fn encode_one(
    entropy: &mut Entropy,
    parent: &MessageDescriptor,
    field: &FieldDescriptor,
    value: &Value,
    secrets: &mut Secrets,
    out: &mut Vec<u8>,
) {
    if let Value::Message(below) = value {
        if !field.is_list() && field.containing_oneof().is_none() && entropy.below(3) == 0 {
            // In two parts, which a reader merges.
            write_len(entropy, field.number(), &[], out);
        }
        let body = noisy_encode(entropy, below, secrets);
        return write_len(entropy, field.number(), &body, out);
    }
    let mut alone = DynamicMessage::new(parent.clone());
    let value = if field.is_list() {
        Value::List(vec![value.clone()])
    } else {
        value.clone()
    };
    alone.set_field(field, value);
    out.extend_from_slice(&alone.encode_to_vec());
}

fn add_noise(
    entropy: &mut Entropy,
    descriptor: &MessageDescriptor,
    secrets: &mut Secrets,
    out: &mut Vec<u8>,
) {
    let choice = entropy.below(8);
    if choice > 2 {
        return;
    }
    let secret = entropy.text();
    let fields: Vec<FieldDescriptor> = descriptor.fields().collect();
    let victim = fields.get(entropy.below(fields.len().max(1)));
    match (choice, victim) {
        (2, Some(field)) if field.kind().as_message().is_some() => {
            write_varint(u64::from(field.number()) << 3, out);
            write_varint(7, out);
        }
        (2, Some(field)) if matches!(field.kind(), Kind::String | Kind::Bytes) => {
            write_varint(u64::from(field.number()) << 3 | 5, out);
            out.extend_from_slice(b"oops");
        }
        (2, Some(field)) if !field.is_list() => {
            write_len(entropy, field.number(), secret.as_bytes(), out);
            secrets.insert(secret);
        }
        (1, _) => {
            write_len(entropy, 15_000, secret.as_bytes(), out);
            secrets.insert(secret);
        }
        _ => {}
    }
}

fn write_len(entropy: &mut Entropy, number: u32, body: &[u8], out: &mut Vec<u8>) {
    write_varint(u64::from(number) << 3 | 2, out);
    if entropy.below(5) == 1 && body.len() < 128 {
        // Three bytes where one would do.
        out.extend([body.len() as u8 | 0x80, 0x80, 0]);
    } else {
        write_varint(body.len() as u64, out);
    }
    out.extend_from_slice(body);
}

fn write_varint(value: u64, out: &mut Vec<u8>) {
    prost::encoding::encode_varint(value, out);
}
