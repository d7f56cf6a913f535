//! Examples in the file: tests of the owner's, and the answers of test mode.

use bytes::Bytes;
use entente_adapter_sdk::{AdapterError, Answer, Context, fake};
use entente_config::Located;
use entente_contract::{Contract, Direction};
use entente_identity::MethodName;
use entente_reason::Reason;
use prost::Message;
use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, MessageDescriptor, ReflectMessage};
use serde_json::{Map, Value};

use crate::answer::Selection;
use crate::binding::Binding;
use crate::file::{ExampleSpec, ExpectedError};

/// One example, held against the contract.
#[derive(Debug)]
pub(crate) struct Example {
    pub(crate) line: u64,
    pub(crate) method: MethodName,
    pub(crate) request: Bytes,
    expected: Expected,
}

#[derive(Debug)]
enum Expected {
    /// The fields listed have these values; others are not compared.
    Response {
        message: DynamicMessage,
        listed: Vec<FieldDescriptor>,
    },
    Error(ExpectedError),
}

/// How one example went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Where it stands in the file.
    pub line: u64,
    /// The method called.
    pub method: MethodName,
    /// What differed; names only, never a value.
    pub result: Result<(), String>,
}

// === impl Example ===

impl Example {
    /// Compiles an example; the error is a sentence for the file's owner.
    pub(crate) fn compile(
        spec: &Located<ExampleSpec>,
        contract: &Contract,
    ) -> Result<Self, String> {
        let line = spec.line;
        let spec = &spec.value;
        let method: MethodName = format!("{}/{}", contract.service(), spec.call)
            .parse()
            .map_err(|_| "`call` is not a method's name".to_owned())?;
        let kind = |direction| {
            let message = contract.message(&method, direction);
            message.map_err(|_| format!("the contract has no method {}", spec.call))
        };
        let request = typed(&spec.request, &kind(Direction::Request)?)
            .map_err(|_| "`request` does not fit the contract".to_owned())?;
        let expected = match (&spec.response, &spec.error) {
            (Some(response), None) => {
                let kind = kind(Direction::Response)?;
                let message = typed(response, &kind)
                    .map_err(|_| "`response` does not fit the contract".to_owned())?;
                let listed = response
                    .keys()
                    .filter_map(|name| named(&kind, name))
                    .collect();
                Expected::Response { message, listed }
            }
            (None, Some(error)) => Expected::Error(error.clone()),
            _ => return Err("an example has either `response` or `error`".to_owned()),
        };
        Ok(Self {
            line,
            method,
            request: request.encode_to_vec().into(),
            expected,
        })
    }

    /// Compares an answer with what the example expects.
    pub(crate) fn judge(&self, answer: Result<Answer, AdapterError>) -> Outcome {
        let result = match (&self.expected, answer) {
            (Expected::Response { message, listed }, Ok(answer)) => {
                match DynamicMessage::decode(message.descriptor(), answer.message) {
                    Err(_) => Err("the answer does not fit the contract".to_owned()),
                    Ok(actual) => {
                        let differs = |field: &&FieldDescriptor| {
                            actual.get_field(field) != message.get_field(field)
                        };
                        let names: Vec<_> =
                            listed.iter().filter(differs).map(|f| f.name()).collect();
                        if names.is_empty() {
                            Ok(())
                        } else {
                            Err(format!("other values in: {}", names.join(", ")))
                        }
                    }
                }
            }
            (Expected::Response { .. }, Err(error)) => Err(format!(
                "expected an answer, was refused with {}",
                error.code()
            )),
            (Expected::Error(_), Ok(_)) => Err("expected a refusal, was answered".to_owned()),
            (Expected::Error(expected), Err(error)) => compare(expected, &error),
        };
        Outcome {
            line: self.line,
            method: self.method.clone(),
            result,
        }
    }
}

/// What test mode answers: the example with this very request, cleared like any answer.
pub(crate) fn answer(
    examples: &[Example],
    binding: &Binding,
    selection: &Selection,
    request: &Bytes,
) -> Result<Answer, AdapterError> {
    let decode = |bytes: &Bytes| {
        DynamicMessage::decode(binding.request.clone(), bytes.clone())
            .map_err(|_| AdapterError::new(Reason::RequestMalformed))
    };
    let asked = decode(request)?;
    for example in examples
        .iter()
        .filter(|example| example.method == binding.method)
    {
        if decode(&example.request)? != asked {
            continue;
        }
        return match &example.expected {
            Expected::Response { message, .. } => {
                let message = Bytes::from(message.encode_to_vec());
                Ok(Answer::from(selection.release(&message)?))
            }
            Expected::Error(error) => Err(expected_error(error)),
        };
    }
    Err(AdapterError::new(Reason::NoRecord))
}

/// The context examples run in: everything the contract can release.
pub(crate) fn context(contract: &Contract, method: &MethodName) -> Context {
    fake::context(
        contract
            .elements(method, Direction::Response)
            .unwrap_or_default(),
    )
}

fn expected_error(error: &ExpectedError) -> AdapterError {
    let code = error.code.grpc();
    let made = AdapterError::with_code(code, error.reason.as_deref().unwrap_or_default());
    match &error.field {
        Some(field) => made.with("field", field.clone()),
        None => made,
    }
}

fn compare(expected: &ExpectedError, error: &AdapterError) -> Result<(), String> {
    if error.grpc() != expected.code.grpc() {
        return Err(format!("was refused with {}", error.code()));
    }
    if expected
        .reason
        .as_deref()
        .is_some_and(|reason| reason != error.code())
    {
        return Err(format!("was refused with the reason {}", error.code()));
    }
    let field = error.metadata().iter().find(|(key, _)| *key == "field");
    if expected.field.is_some() && field.map(|(_, field)| field) != expected.field.as_ref() {
        return Err("was refused for another field".to_owned());
    }
    Ok(())
}

/// Reads a message from YAML's values, typed by the contract: a number or a boolean where text is
/// due is the text that was written.
fn typed(map: &Map<String, Value>, kind: &MessageDescriptor) -> Result<DynamicMessage, ()> {
    let value = as_text_where_due(Value::Object(map.clone()), kind)?;
    DynamicMessage::deserialize(kind.clone(), value).map_err(|_| ())
}

fn as_text_where_due(value: Value, kind: &MessageDescriptor) -> Result<Value, ()> {
    let Value::Object(map) = value else {
        // Well-known types have JSON forms of their own.
        return Ok(value);
    };
    let mut fitted = Map::new();
    for (name, value) in map {
        let value = match named(kind, &name) {
            None => value,
            Some(field) => match value {
                Value::Array(items) if field.is_list() => {
                    let items = items.into_iter().map(|item| fit(item, &field));
                    Value::Array(items.collect::<Result<_, _>>()?)
                }
                value => fit(value, &field)?,
            },
        };
        fitted.insert(name, value);
    }
    Ok(Value::Object(fitted))
}

fn fit(value: Value, field: &FieldDescriptor) -> Result<Value, ()> {
    match (field.kind(), value) {
        // How a fraction was written is lost: 1.50 must be quoted to be a text.
        (Kind::String, Value::Number(number)) if number.is_f64() => Err(()),
        (Kind::String, Value::Number(number)) => Ok(Value::String(number.to_string())),
        (Kind::String, Value::Bool(value)) => Ok(Value::String(value.to_string())),
        (Kind::Message(kind), value) if !field.is_map() => as_text_where_due(value, &kind),
        (_, value) => Ok(value),
    }
}

fn named(kind: &MessageDescriptor, name: &str) -> Option<FieldDescriptor> {
    kind.get_field_by_name(name)
        .or_else(|| kind.get_field_by_json_name(name))
}
