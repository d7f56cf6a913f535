//! From raw descriptors to the types one service reaches, collecting what does not add up.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use entente_identity::{ElementName, MethodName, ServiceName};
use entente_proto::v1::Sensitivity as RawSensitivity;
use prost_reflect::{Cardinality as ReflectCardinality, DescriptorPool};

use crate::contract::{Idempotency, Method, Shape};
use crate::fault::{ContractError, Fault, FaultKind};
use crate::model::{Cardinality, EnumType, Field, Kind, MessageType, Sensitivity, Types};
use crate::raw::{RawEnum, RawField, RawFile, RawMessage, RawMethod, RawService, RawSet};

/// A service with the types its methods reach.
#[derive(Debug)]
pub(crate) struct Resolved {
    pub(crate) types: Types,
    /// Sorted by name. Each with the indexes of its input and output types.
    pub(crate) methods: Vec<(Method, usize, usize)>,
    pub(crate) faults: Vec<Fault>,
}

/// Resolves one service of a set.
pub(crate) fn resolve(set: &RawSet, service: &ServiceName) -> Result<Resolved, ContractError> {
    let mut resolver = Resolver::default();
    let mut files = BTreeSet::new();
    let mut found = None;
    for file in &set.file {
        if !files.insert(file.name.as_str()) {
            resolver.fault(&file.name, FaultKind::DefinedTwice);
        }
        if !matches!(file.syntax.as_str(), "" | "proto2" | "proto3") {
            resolver.fault(&file.name, FaultKind::Syntax);
        }
        resolver.collect_file(file);
        for candidate in &file.service {
            if join(&file.package, &candidate.name).as_deref() == Some(service.as_str()) {
                if found.is_some() {
                    resolver.fault(service.as_str(), FaultKind::DefinedTwice);
                }
                found = Some(candidate);
            }
        }
    }
    let Some(found) = found else {
        return Err(ContractError::UnknownService {
            service: service.clone(),
        });
    };
    let methods = resolver.methods(service, found);
    resolver.drain();
    let mut types = resolver.types;
    mark_subjects(&mut types);
    Ok(Resolved {
        types,
        methods,
        faults: resolver.faults,
    })
}

#[derive(Default)]
struct Resolver<'a> {
    messages: BTreeMap<String, &'a RawMessage>,
    enums: BTreeMap<String, &'a RawEnum>,
    message_index: BTreeMap<String, usize>,
    enum_index: BTreeMap<String, usize>,
    /// Messages given an index whose fields are not resolved yet.
    pending: Vec<String>,
    types: Types,
    faults: Vec<Fault>,
}

// === impl Resolver ===

impl<'a> Resolver<'a> {
    fn fault(&mut self, at: &str, kind: FaultKind) {
        self.faults.push(Fault::new(at, kind));
    }

    fn collect_file(&mut self, file: &'a RawFile) {
        for message in &file.message_type {
            self.collect_message(&file.package, message);
        }
        for raw in &file.enum_type {
            self.collect_enum(&file.package, raw);
        }
    }

    /// Decoding has bounded how deep this can go.
    fn collect_message(&mut self, scope: &str, message: &'a RawMessage) {
        let Some(name) = join(scope, &message.name) else {
            return self.fault(scope, FaultKind::TooDeep);
        };
        for nested in &message.nested_type {
            self.collect_message(&name, nested);
        }
        for raw in &message.enum_type {
            self.collect_enum(&name, raw);
        }
        if self.enums.contains_key(&name) || self.messages.insert(name.clone(), message).is_some() {
            self.fault(&name, FaultKind::DefinedTwice);
        }
    }

    fn collect_enum(&mut self, scope: &str, raw: &'a RawEnum) {
        let Some(name) = join(scope, &raw.name) else {
            return self.fault(scope, FaultKind::TooDeep);
        };
        if self.messages.contains_key(&name) || self.enums.insert(name.clone(), raw).is_some() {
            self.fault(&name, FaultKind::DefinedTwice);
        }
    }

    fn methods(&mut self, service: &ServiceName, raw: &RawService) -> Vec<(Method, usize, usize)> {
        let mut methods = Vec::new();
        let mut names = BTreeSet::new();
        for raw in &raw.method {
            let full = format!("{service}/{}", raw.name);
            let Ok(name) = full.parse::<MethodName>() else {
                self.fault(service.as_str(), FaultKind::TooDeep);
                continue;
            };
            if !names.insert(name.clone()) {
                self.fault(&full, FaultKind::DefinedTwice);
                continue;
            }
            let input = self.message(&full, &raw.input_type);
            let output = self.message(&full, &raw.output_type);
            let method = self.method(name, raw);
            if let (Some(input), Some(output)) = (input, output) {
                methods.push((method, input, output));
            }
        }
        methods.sort_by(|(a, ..), (b, ..)| a.name.cmp(&b.name));
        methods
    }

    fn method(&mut self, name: MethodName, raw: &RawMethod) -> Method {
        let options = raw.options.clone().unwrap_or_default();
        if !options.uninterpreted.is_empty() {
            self.fault(name.as_str(), FaultKind::UnresolvedOptions);
        }
        let access = options.access.unwrap_or_default();
        if access.label_en.trim().is_empty() != access.label_fr.trim().is_empty() {
            self.fault(name.as_str(), FaultKind::Label);
        }
        Method {
            name,
            input: raw.input_type.trim_start_matches('.').into(),
            output: raw.output_type.trim_start_matches('.').into(),
            shape: Shape {
                client_streaming: raw.client_streaming,
                server_streaming: raw.server_streaming,
            },
            idempotency: match options.idempotency_level {
                1 => Idempotency::NoSideEffects,
                2 => Idempotency::Idempotent,
                _ => Idempotency::Unknown,
            },
            label_en: access.label_en.into(),
            label_fr: access.label_fr.into(),
        }
    }

    /// The index of a message type, giving it one if this is the first mention.
    fn message(&mut self, at: &str, type_name: &str) -> Option<usize> {
        let name = type_name.strip_prefix('.').unwrap_or_default();
        if let Some(index) = self.message_index.get(name) {
            return Some(*index);
        }
        let Some(raw) = self.messages.get(name).copied() else {
            self.fault(at, FaultKind::MissingType);
            return None;
        };
        let index = self.types.messages.len();
        self.types.messages.push(MessageType {
            name: name.into(),
            fields: Vec::new(),
            map_entry: raw
                .options
                .as_ref()
                .is_some_and(|options| options.map_entry),
            extendable: !raw.extension_range.is_empty(),
            leads_to_subject: false,
        });
        self.message_index.insert(name.to_owned(), index);
        self.pending.push(name.to_owned());
        Some(index)
    }

    fn enumeration(&mut self, at: &str, type_name: &str) -> Option<usize> {
        let name = type_name.strip_prefix('.').unwrap_or_default();
        if let Some(index) = self.enum_index.get(name) {
            return Some(*index);
        }
        let Some(raw) = self.enums.get(name).copied() else {
            self.fault(at, FaultKind::MissingType);
            return None;
        };
        let mut values: Vec<(i32, Arc<str>)> = raw
            .value
            .iter()
            .map(|value| (value.number, value.name.as_str().into()))
            .collect();
        values.sort();
        let index = self.types.enums.len();
        self.types.enums.push(EnumType {
            name: name.into(),
            values,
        });
        self.enum_index.insert(name.to_owned(), index);
        Some(index)
    }

    /// Resolves the fields of every message reached, and of those they reach.
    fn drain(&mut self) {
        while let Some(name) = self.pending.pop() {
            let (Some(raw), Some(index)) = (
                self.messages.get(&name).copied(),
                self.message_index.get(&name).copied(),
            ) else {
                continue;
            };
            let mut fields: Vec<Field> = raw
                .field
                .iter()
                .filter_map(|field| self.field(&name, raw, field))
                .collect();
            fields.sort_by_key(|field| field.number);
            for pair in fields.windows(2) {
                if pair[0].number == pair[1].number {
                    self.fault(&format!("{name}.{}", pair[1].name), FaultKind::DefinedTwice);
                }
            }
            let mut names = BTreeSet::new();
            for field in &fields {
                if !names.insert(&field.name) {
                    self.fault(&format!("{name}.{}", field.name), FaultKind::DefinedTwice);
                }
            }
            if !well_known(&name, &fields) {
                self.fault(&name, FaultKind::WellKnownType);
            }
            self.types.messages[index].fields = fields;
        }
    }

    fn field(&mut self, message: &str, parent: &RawMessage, raw: &RawField) -> Option<Field> {
        let at = format!("{message}.{}", raw.name);
        if !FIELD_NUMBERS.contains(&raw.number) || RESERVED_NUMBERS.contains(&raw.number) {
            self.fault(&at, FaultKind::FieldNumber);
            return None;
        }
        let index = match raw.kind {
            KIND_ENUM => self.enumeration(&at, &raw.type_name)?,
            KIND_MESSAGE => self.message(&at, &raw.type_name)?,
            _ => 0,
        };
        let Some(kind) = Kind::from_descriptor(raw.kind, index) else {
            self.fault(&at, FaultKind::MissingType);
            return None;
        };
        let options = raw.options.clone().unwrap_or_default();
        if !options.uninterpreted.is_empty() {
            self.fault(&at, FaultKind::UnresolvedOptions);
        }
        let privacy = options.privacy.unwrap_or_default();
        let sensitivity = match RawSensitivity::try_from(privacy.sensitivity) {
            Ok(RawSensitivity::Unspecified | RawSensitivity::None) => Sensitivity::None,
            Ok(RawSensitivity::Personal) => Sensitivity::Personal,
            Ok(RawSensitivity::Sensitive) => Sensitivity::Sensitive,
            Err(_) => {
                self.fault(&at, FaultKind::Sensitivity);
                Sensitivity::Sensitive
            }
        };
        Some(Field {
            number: raw.number.unsigned_abs(),
            name: raw.name.as_str().into(),
            kind,
            cardinality: match raw.label {
                2 => Cardinality::Required,
                3 => Cardinality::Repeated,
                _ if raw.proto3_optional => Cardinality::Optional,
                _ => Cardinality::Single,
            },
            oneof: raw
                .oneof_index
                .filter(|_| !raw.proto3_optional)
                .and_then(|index| parent.oneof_decl.get(usize::try_from(index).ok()?))
                .map(|oneof| oneof.name.as_str().into()),
            element: self.name(&at, &privacy.element, FaultKind::ElementName),
            sensitivity,
            // A scheme is spelled like an element.
            subject: self
                .name(&at, &privacy.subject, FaultKind::SubjectScheme)
                .map(|scheme| scheme.as_str().into()),
        })
    }

    fn name(&mut self, at: &str, text: &str, kind: FaultKind) -> Option<ElementName> {
        if text.is_empty() {
            return None;
        }
        let name = text.parse().ok();
        if name.is_none() {
            self.fault(at, kind);
        }
        name
    }
}

/// A message is marked if it has a subject or reaches a message that is marked. Each reference is
/// followed once: whoever publishes a contract has everybody read it.
fn mark_subjects(types: &mut Types) {
    let mut used_by: Vec<Vec<usize>> = vec![Vec::new(); types.messages.len()];
    let mut marked = Vec::new();
    for (index, message) in types.messages.iter().enumerate() {
        for field in &message.fields {
            match field.kind {
                Kind::Message(below) => used_by[below].push(index),
                _ if field.subject.is_some() => marked.push(index),
                _ => {}
            }
        }
    }
    while let Some(index) = marked.pop() {
        if !std::mem::replace(&mut types.messages[index].leads_to_subject, true) {
            marked.extend(&used_by[index]);
        }
    }
}

/// Whether a type of `google.protobuf` has the published fields; other types always do. JSON gives these
/// types meanings of their own, and readers rely on their shape.
fn well_known(name: &str, fields: &[Field]) -> bool {
    if !name.starts_with("google.protobuf.") {
        return true;
    }
    let Some(published) = DescriptorPool::global().get_message_by_name(name) else {
        return false;
    };
    published.fields().len() == fields.len()
        && fields.iter().all(|field| {
            published.get_field(field.number).is_some_and(|published| {
                let repeated = published.cardinality() == ReflectCardinality::Repeated;
                published.name() == &*field.name
                    && repeated == (field.cardinality == Cardinality::Repeated)
                    && published.field_descriptor_proto().r#type() as i32
                        == descriptor_kind(field.kind)
            })
        })
}

fn descriptor_kind(kind: Kind) -> i32 {
    (1..=18)
        .find(|&code| match (Kind::from_descriptor(code, 0), kind) {
            (Some(Kind::Message(_)), Kind::Message(_)) | (Some(Kind::Enum(_)), Kind::Enum(_)) => {
                true
            }
            (found, kind) => found == Some(kind),
        })
        .unwrap_or_default()
}

/// The full name, if both parts are there and it is not absurdly long.
fn join(scope: &str, name: &str) -> Option<String> {
    if name.is_empty() || scope.len() + name.len() >= MAX_NAME {
        return None;
    }
    Some(if scope.is_empty() {
        name.to_owned()
    } else {
        format!("{scope}.{name}")
    })
}

const FIELD_NUMBERS: std::ops::RangeInclusive<i32> = 1..=(1 << 29) - 1;
const RESERVED_NUMBERS: std::ops::RangeInclusive<i32> = 19_000..=19_999;
const KIND_MESSAGE: i32 = 11;
const KIND_ENUM: i32 = 14;
const MAX_NAME: usize = 512;
