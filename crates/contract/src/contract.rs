//! A contract: one service, its methods and what their fields mean.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use entente_identity::{ElementName, MethodName, ServiceName};
use entente_reason::Reason;
use prost::Message as _;
use prost_reflect::DescriptorPool;

use crate::fault::ContractError;
use crate::model::{Field, Kind, Sensitivity, Types};
use crate::raw::{RawSet, count_descriptors};
use crate::{MAX_DESCRIPTOR_SET, MAX_DESCRIPTORS, MAX_FAULTS, resolve, rules};

/// One published version of a service: its methods, and for every field of their messages the data
/// element it is. Cheap to clone.
#[derive(Clone)]
pub struct Contract {
    inner: Arc<Inner>,
}

/// One method, as the contract declares it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Method {
    /// Its full name.
    pub name: MethodName,
    /// Full name of the request's type.
    pub input: Arc<str>,
    /// Full name of the answer's type.
    pub output: Arc<str>,
    /// Which sides stream.
    pub shape: Shape,
    /// What repeating it does.
    pub idempotency: Idempotency,
    /// What a call means to the person it is about, in English; empty if the contract does not say.
    pub label_en: Arc<str>,
    /// The same in French.
    pub label_fr: Arc<str>,
}

/// Which sides of a method stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Shape {
    /// Many requests.
    pub client_streaming: bool,
    /// Many answers.
    pub server_streaming: bool,
}

/// What repeating a call does (`idempotency_level`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Idempotency {
    /// Repeating it may do something again.
    #[default]
    Unknown,
    /// It only reads.
    NoSideEffects,
    /// It writes, and repeating it changes nothing more.
    Idempotent,
}

/// One side of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Direction {
    /// From consumer to provider.
    Request,
    /// From provider to consumer.
    Response,
}

/// The contract has no such method.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("contract does not declare the method {method}")]
pub struct UnknownMethod {
    /// The method asked for.
    pub method: MethodName,
}

struct Inner {
    service: ServiceName,
    descriptor_set: Bytes,
    types: Types,
    /// Sorted by name, with the indexes of input and output types.
    methods: Vec<(Method, usize, usize)>,
    /// Built only when JSON or reflection is asked for: servers never need it.
    pool: OnceLock<DescriptorPool>,
}

// === impl Contract ===

impl Contract {
    /// Parses an encoded `google.protobuf.FileDescriptorSet` (imports included, options resolved) as
    /// the contract of one service of it.
    ///
    /// # Errors
    /// When the set is larger than [`MAX_DESCRIPTOR_SET`], cannot be read, does not define the service, or
    /// anything its methods reach breaks a publication rule: then every fault is listed, up to
    /// [`MAX_FAULTS`].
    pub fn parse(descriptor_set: &[u8], service: &ServiceName) -> Result<Self, ContractError> {
        if descriptor_set.len() > MAX_DESCRIPTOR_SET {
            return Err(ContractError::TooLarge);
        }
        if count_descriptors(descriptor_set).map_err(ContractError::NotProtobuf)? > MAX_DESCRIPTORS
        {
            return Err(ContractError::TooLarge);
        }
        let set = RawSet::decode(descriptor_set).map_err(ContractError::Malformed)?;
        let resolved = resolve::resolve(&set, service)?;
        let mut faults = resolved.faults;
        let roots: Vec<usize> = resolved
            .methods
            .iter()
            .flat_map(|(_, input, output)| [*input, *output])
            .collect();
        rules::check(&resolved.types, &roots, &mut faults);
        if !faults.is_empty() {
            faults.sort_by(|a, b| a.at.cmp(&b.at));
            faults.truncate(MAX_FAULTS);
            return Err(ContractError::Faulty(faults));
        }
        Ok(Self {
            inner: Arc::new(Inner {
                service: service.clone(),
                descriptor_set: Bytes::copy_from_slice(descriptor_set),
                types: resolved.types,
                methods: resolved.methods,
                pool: OnceLock::new(),
            }),
        })
    }

    /// The service.
    pub fn service(&self) -> &ServiceName {
        &self.inner.service
    }

    /// The encoded descriptor set, as parsed. Its SHA-256 is the contract's id.
    pub fn descriptor_set(&self) -> &Bytes {
        &self.inner.descriptor_set
    }

    /// The methods, sorted by name.
    pub fn methods(&self) -> impl ExactSizeIterator<Item = &Method> {
        self.inner.methods.iter().map(|(method, ..)| method)
    }

    /// One method.
    ///
    /// # Errors
    /// When the contract does not declare it.
    pub fn method(&self, name: &MethodName) -> Result<&Method, UnknownMethod> {
        self.entry(name).map(|(method, ..)| method)
    }

    /// The elements that can cross in one direction of a method: what an agreement may ask or release.
    ///
    /// # Errors
    /// When the contract does not declare the method.
    pub fn elements(
        &self,
        method: &MethodName,
        direction: Direction,
    ) -> Result<BTreeSet<ElementName>, UnknownMethod> {
        self.elements_where(method, direction, |_| true)
    }

    /// Those of them that say whom a message is about.
    ///
    /// # Errors
    /// When the contract does not declare the method.
    pub fn subject_elements(
        &self,
        method: &MethodName,
        direction: Direction,
    ) -> Result<BTreeSet<ElementName>, UnknownMethod> {
        self.elements_where(method, direction, |field| field.subject.is_some())
    }

    fn elements_where(
        &self,
        method: &MethodName,
        direction: Direction,
        is_wanted: impl Fn(&Field) -> bool,
    ) -> Result<BTreeSet<ElementName>, UnknownMethod> {
        let mut elements = BTreeSet::new();
        let mut seen = BTreeSet::new();
        let mut pending = vec![self.root(method, direction)?];
        while let Some(index) = pending.pop() {
            if !seen.insert(index) {
                continue;
            }
            for field in &self.types().messages[index].fields {
                if is_wanted(field) {
                    elements.extend(field.element.clone());
                }
                if let Kind::Message(below) = field.kind {
                    pending.push(below);
                }
            }
        }
        Ok(elements)
    }

    /// The highest sensitivity of the fields that are this element; `None` if no field is.
    pub fn sensitivity(&self, element: &ElementName) -> Option<Sensitivity> {
        let fields = self
            .types()
            .messages
            .iter()
            .flat_map(|message| &message.fields);
        fields
            .filter(|field| field.element.as_ref() == Some(element))
            .map(|field| field.sensitivity)
            .max()
    }

    pub(crate) fn types(&self) -> &Types {
        &self.inner.types
    }

    pub(crate) fn pool_cell(&self) -> &OnceLock<DescriptorPool> {
        &self.inner.pool
    }

    /// The type one direction of a method carries.
    pub(crate) fn root(
        &self,
        method: &MethodName,
        direction: Direction,
    ) -> Result<usize, UnknownMethod> {
        let (_, input, output) = self.entry(method)?;
        Ok(match direction {
            Direction::Request => *input,
            Direction::Response => *output,
        })
    }

    pub(crate) fn entry(
        &self,
        name: &MethodName,
    ) -> Result<&(Method, usize, usize), UnknownMethod> {
        let methods = &self.inner.methods;
        let at = methods.binary_search_by(|(method, ..)| method.name.cmp(name));
        at.map(|at| &methods[at]).map_err(|_| UnknownMethod {
            method: name.clone(),
        })
    }
}

impl fmt::Debug for Contract {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Contract")
            .field("service", self.service())
            .field("methods", &self.inner.methods.len())
            .finish_non_exhaustive()
    }
}

// === impl Shape ===

impl Shape {
    /// Whether each side sends exactly one message.
    pub fn is_unary(self) -> bool {
        !self.client_streaming && !self.server_streaming
    }
}

// === impl UnknownMethod ===

impl UnknownMethod {
    /// The reason a caller gets.
    pub fn reason(&self) -> Reason {
        Reason::UnknownMethod
    }
}
