//! A contract's types as the rest of the crate uses them: only those its methods reach, with every
//! reference resolved to an index.

use std::sync::Arc;

use entente_identity::ElementName;

use crate::wire::WireType;

/// How much harm a field's disclosure can do, as the contract's owner judges it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Sensitivity {
    /// Says nothing about a person, or not stated.
    #[default]
    None,
    /// Personal information.
    Personal,
    /// Personal information that needs the stronger safeguards.
    Sensitive,
}

/// The message and enum types a service reaches.
#[derive(Debug, Default)]
pub(crate) struct Types {
    pub(crate) messages: Vec<MessageType>,
    pub(crate) enums: Vec<EnumType>,
}

#[derive(Debug)]
pub(crate) struct MessageType {
    pub(crate) name: Arc<str>,
    /// Ascending by number.
    pub(crate) fields: Vec<Field>,
    pub(crate) map_entry: bool,
    pub(crate) extendable: bool,
    /// Whether a subject can be found in it, at any depth.
    pub(crate) leads_to_subject: bool,
}

#[derive(Debug)]
pub(crate) struct EnumType {
    pub(crate) name: Arc<str>,
    /// Ascending by number.
    pub(crate) values: Vec<(i32, Arc<str>)>,
}

#[derive(Debug)]
pub(crate) struct Field {
    pub(crate) number: u32,
    pub(crate) name: Arc<str>,
    pub(crate) kind: Kind,
    pub(crate) cardinality: Cardinality,
    /// The oneof it belongs to; not the one `optional` invents.
    pub(crate) oneof: Option<Arc<str>>,
    pub(crate) element: Option<ElementName>,
    pub(crate) sensitivity: Sensitivity,
    pub(crate) subject: Option<Arc<str>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cardinality {
    Single,
    /// proto3 `optional`.
    Optional,
    Repeated,
    /// proto2 `required`.
    Required,
}

/// A field's type. Indexes are into [`Types`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Bool,
    Bytes,
    Double,
    Enum(usize),
    Fixed32,
    Fixed64,
    Float,
    Group,
    Int32,
    Int64,
    Message(usize),
    Sfixed32,
    Sfixed64,
    Sint32,
    Sint64,
    String,
    Uint32,
    Uint64,
}

// === impl Types ===

impl Types {
    /// The entry type, if the field is a map.
    pub(crate) fn map_entry(&self, field: &Field) -> Option<&MessageType> {
        match field.kind {
            Kind::Message(index) if self.messages[index].map_entry => Some(&self.messages[index]),
            _ => None,
        }
    }
}

// === impl MessageType ===

impl MessageType {
    pub(crate) fn field(&self, number: u32) -> Option<&Field> {
        let at = self
            .fields
            .binary_search_by_key(&number, |field| field.number);
        at.ok().map(|at| &self.fields[at])
    }

    /// Whether this is `Any`, `Struct`, `Value` or `ListValue`: it can hold anything.
    pub(crate) fn opaque(&self) -> bool {
        matches!(
            &*self.name,
            "google.protobuf.Any"
                | "google.protobuf.ListValue"
                | "google.protobuf.Struct"
                | "google.protobuf.Value"
        )
    }
}

// === impl Kind ===

impl Kind {
    /// How one value is laid out; `None` for a group.
    pub(crate) fn wire(self) -> Option<WireType> {
        Some(match self {
            Self::Bool
            | Self::Enum(_)
            | Self::Int32
            | Self::Int64
            | Self::Sint32
            | Self::Sint64
            | Self::Uint32
            | Self::Uint64 => WireType::Varint,
            Self::Double | Self::Fixed64 | Self::Sfixed64 => WireType::Fixed64,
            Self::Fixed32 | Self::Float | Self::Sfixed32 => WireType::Fixed32,
            Self::Bytes | Self::Message(_) | Self::String => WireType::Len,
            Self::Group => return None,
        })
    }

    /// Whether it may key a map.
    pub(crate) fn keys_a_map(self) -> bool {
        self == Self::String || self == Self::Bool || self.integer()
    }

    /// Whether it may identify a subject.
    pub(crate) fn identifies(self) -> bool {
        self == Self::String || self.integer()
    }

    fn integer(self) -> bool {
        matches!(
            self,
            Self::Fixed32
                | Self::Fixed64
                | Self::Int32
                | Self::Int64
                | Self::Sfixed32
                | Self::Sfixed64
                | Self::Sint32
                | Self::Sint64
                | Self::Uint32
                | Self::Uint64
        )
    }

    pub(crate) fn from_descriptor(kind: i32, index: usize) -> Option<Self> {
        Some(match kind {
            1 => Self::Double,
            2 => Self::Float,
            3 => Self::Int64,
            4 => Self::Uint64,
            5 => Self::Int32,
            6 => Self::Fixed64,
            7 => Self::Fixed32,
            8 => Self::Bool,
            9 => Self::String,
            10 => Self::Group,
            11 => Self::Message(index),
            12 => Self::Bytes,
            13 => Self::Uint32,
            14 => Self::Enum(index),
            15 => Self::Sfixed32,
            16 => Self::Sfixed64,
            17 => Self::Sint32,
            18 => Self::Sint64,
            _ => return None,
        })
    }
}
