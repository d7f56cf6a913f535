//! What can be wrong with a contract. All faults are collected, each with its place, so that an owner
//! mends a contract once.

use std::fmt;

use entente_reason::Reason;

use crate::wire::WireError;

/// Why a descriptor set was not accepted as a contract.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ContractError {
    /// Faults in what the service's methods reach.
    #[error("contract has {} fault{}; the first: {}", .0.len(), if .0.len() == 1 { "" } else { "s" }, First(.0))]
    Faulty(Vec<Fault>),
    /// Not an encoded `google.protobuf.FileDescriptorSet`.
    #[error("could not decode the descriptor set")]
    Malformed(#[source] prost::DecodeError),
    /// Not protobuf.
    #[error("could not read the descriptor set")]
    NotProtobuf(#[source] WireError),
    /// More than [`crate::MAX_DESCRIPTOR_SET`] bytes or [`crate::MAX_DESCRIPTORS`] descriptors.
    #[error("descriptor set too large")]
    TooLarge,
    /// The set does not define the service.
    #[error("descriptor set does not define the service {service}")]
    UnknownService {
        /// The service asked for.
        service: entente_identity::ServiceName,
    },
}

/// One fault, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// A full name: of a field (`pkg.Message.field`), a method, a type or a file.
    pub at: String,
    /// What is wrong there.
    pub kind: FaultKind,
}

/// What can be wrong. Variants are alphabetical.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FaultKind {
    /// Two definitions of one name, or two fields of one number.
    #[error("defined twice")]
    DefinedTwice,
    /// The element is not a valid name.
    #[error("element is not a name such as person.birth_date")]
    ElementName,
    /// A message that others may extend.
    #[error("extensions are not allowed unless the whole message is one element")]
    Extensions,
    /// A field number out of range.
    #[error("field number out of range")]
    FieldNumber,
    /// A group.
    #[error("groups are not allowed")]
    Group,
    /// A label in one language only.
    #[error("label must be given in English and in French")]
    Label,
    /// A map entry that is not a key and a value.
    #[error("map entry must have a key and a value and no options")]
    MapEntry,
    /// A reference to a type the set does not define.
    #[error("type is not defined in the descriptor set")]
    MissingType,
    /// `Any`, `Struct`, `Value`, `ListValue` or `bytes` without an element.
    #[error("can hold anything, so it must be wholly one element")]
    Opaque,
    /// A personal or sensitive field without an element.
    #[error("personal field must name its element")]
    PersonalWithoutElement,
    /// A proto2 required field.
    #[error("required fields are not allowed: a field may have to be cleared")]
    Required,
    /// A sensitivity this version does not know.
    #[error("sensitivity is not known")]
    Sensitivity,
    /// A subject on something that cannot identify one.
    #[error("only text and integers, not in a map, can identify a subject")]
    SubjectKind,
    /// The scheme is not a valid name.
    #[error("subject scheme is not a name such as ca.sin")]
    SubjectScheme,
    /// A subject without an element.
    #[error("field that identifies a subject must name its element")]
    SubjectWithoutElement,
    /// Neither proto2 nor proto3.
    #[error("only proto2 and proto3 files are understood")]
    Syntax,
    /// Types nested, or names as long, as no contract needs.
    #[error("nested too deeply or named too long")]
    TooDeep,
    /// Options the compiler has not resolved.
    #[error("options are not resolved; compile the descriptor set with protoc, buf or protox")]
    UnresolvedOptions,
    /// A type of `google.protobuf` that is not the one everybody has.
    #[error("well-known type differs from the published one")]
    WellKnownType,
}

/// Shows the first of several faults.
struct First<'a>(&'a [Fault]);

// === impl ContractError ===

impl ContractError {
    /// The reason a caller gets.
    pub fn reason(&self) -> Reason {
        match self {
            Self::TooLarge => Reason::BlobTooLarge,
            Self::Faulty(_) | Self::Malformed(_) | Self::NotProtobuf(_) => Reason::ContractInvalid,
            Self::UnknownService { .. } => Reason::UnknownService,
        }
    }

    /// The faults, if that is why.
    pub fn faults(&self) -> &[Fault] {
        match self {
            Self::Faulty(faults) => faults,
            Self::Malformed(_)
            | Self::NotProtobuf(_)
            | Self::TooLarge
            | Self::UnknownService { .. } => &[],
        }
    }
}

// === impl Fault ===

impl Fault {
    pub(crate) fn new(at: impl Into<String>, kind: FaultKind) -> Self {
        Self {
            at: at.into(),
            kind,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.at, self.kind)
    }
}

// === impl First ===

impl fmt::Display for First<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.first() {
            Some(fault) => fault.fmt(f),
            None => f.write_str("none"),
        }
    }
}
