//! Contracts: what a service's descriptors say may cross, and how to make sure that nothing else does.
//!
//! A [`Contract`] is parsed from a descriptor set and refused unless every field of every method can be
//! classified. A [`ReleasePlan`] is one method, one direction and one set of permitted elements,
//! compiled to tables that work on protobuf wire bytes: [`ReleasePlan::filter`] clears what an answer
//! may not carry, [`ReleasePlan::check`] refuses a request that carries it.
//!
//! # Which fields cross
//!
//! * A field with an element of its own crosses if that element is permitted. If it is a message, its
//!   fields without an element of their own inherit it; those with one need theirs permitted too.
//! * A message field without an element is a container: it crosses if anything in it can, and only
//!   with what can.
//! * Every other field without an element, and every unknown field, never crosses.
//! * A map crosses by its own (or inherited) element, keys and values together; values that are
//!   messages are gone through like any other.
//!
//! Whether a container is present, and how often, is not hidden by this: label the container itself
//! where that matters.
//!
//! Everything here is pure: no clock, no socket, no file. No error carries a value from a message.

mod compare;
mod contract;
mod fault;
mod json;
mod model;
mod outline;
mod plan;
mod raw;
mod resolve;
mod rules;
mod subject;
mod wire;

pub use compare::{Breaking, Change, compare};
pub use contract::{Contract, Direction, Idempotency, Method, Shape, UnknownMethod};
pub use fault::{ContractError, Fault, FaultKind};
pub use json::JsonError;
pub use model::Sensitivity;
pub use outline::Outline;
pub use plan::{CheckError, FilterError, ReleasePlan};
pub use subject::{Subject, SubjectError, Subjects};
pub use wire::WireError;

/// Largest descriptor set accepted, in bytes: the registry's bound on a blob.
pub const MAX_DESCRIPTOR_SET: usize = 4 << 20;

/// Most descriptors (files, messages, fields, enum values, methods) in a set.
pub const MAX_DESCRIPTORS: usize = 65_536;

/// Deepest nesting of messages read, in a contract's descriptors and in a body.
pub const MAX_DEPTH: usize = 64;

/// Most faults reported for one contract.
pub const MAX_FAULTS: usize = 1_000;

/// Longest identifier of a subject, in bytes, before it is normalised.
pub const MAX_SUBJECT_LEN: usize = 256;
