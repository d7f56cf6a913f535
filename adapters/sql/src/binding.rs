//! One method bound to one query: everything the file says of it, held against the contract.

use entente_config::{ConfigError, Located, nearest};
use entente_contract::{Contract, Direction, Idempotency};
use entente_identity::MethodName;
use entente_reason::{GrpcCode, Reason};
use prost_reflect::{FieldDescriptor, Kind, MessageDescriptor};

use crate::bind::Bind;
use crate::convert::{Convert, is_scalar_message};
use crate::file::{Code, Driver, FieldSpec, LimitsSpec, MethodSpec, NoneSpec, Returns};
use crate::limits::Limits;
use crate::statement::Statement;

/// A method that can be answered.
#[derive(Debug)]
pub(crate) struct Binding {
    pub(crate) method: MethodName,
    pub(crate) request: MessageDescriptor,
    pub(crate) response: MessageDescriptor,
    pub(crate) source: String,
    pub(crate) statement: Statement,
    /// In the order of the statement's parameters.
    pub(crate) binds: Vec<Bind>,
    pub(crate) shape: Shape,
    pub(crate) leaves: Vec<Leaf>,
    pub(crate) limits: Limits,
    /// Where the query stands in the file.
    pub(crate) line: u64,
}

/// What the rows become.
#[derive(Debug)]
pub(crate) enum Shape {
    /// Each row an item of this repeated field.
    List {
        field: FieldDescriptor,
        row: MessageDescriptor,
    },
    /// One row the answer; none, this refusal.
    One { code: GrpcCode, reason: String },
}

/// One field filled from one column.
#[derive(Debug)]
pub(crate) struct Leaf {
    /// From the answer down, for the release plan and for errors.
    pub(crate) path: String,
    /// From the row's message down.
    pub(crate) fields: Vec<FieldDescriptor>,
    pub(crate) column: String,
    pub(crate) convert: Convert,
    /// Where the mapping stands in the file.
    pub(crate) line: u64,
}

/// A method that cannot be answered, and every fault found in it.
#[derive(Debug)]
pub(crate) struct Broken {
    pub(crate) reason: Reason,
    pub(crate) faults: Vec<ConfigError>,
}

/// What a binding is compiled with.
pub(crate) struct Surroundings<'a> {
    pub(crate) contract: &'a Contract,
    pub(crate) limits: &'a LimitsSpec,
    /// The driver of a source; none when the source itself is at fault.
    pub(crate) driver: &'a dyn Fn(&str) -> Option<Option<Driver>>,
    pub(crate) sources: Vec<&'a str>,
    pub(crate) error: &'a dyn Fn(String, u64, u64) -> ConfigError,
}

/// Collects faults instead of stopping at the first.
struct Compiler<'a> {
    around: &'a Surroundings<'a>,
    faults: Vec<ConfigError>,
}

// === impl Binding ===

impl Binding {
    pub(crate) fn compile(
        name: &MethodName,
        spec: &Located<MethodSpec>,
        around: &Surroundings<'_>,
    ) -> Result<Self, Broken> {
        let mut compiler = Compiler {
            around,
            faults: Vec::new(),
        };
        if let Some(broken) = compiler.refuse_what_comes_later(&spec.value) {
            return Err(broken);
        }
        let binding = compiler.binding(name, spec);
        match binding {
            Some(binding) if compiler.faults.is_empty() => Ok(binding),
            _ => Err(Broken {
                reason: Reason::SourceRefused,
                faults: compiler.faults,
            }),
        }
    }
}

// === impl Compiler ===

impl Compiler<'_> {
    fn fault(&mut self, message: impl Into<String>, line: u64, column: u64) {
        self.faults
            .push((self.around.error)(message.into(), line, column));
    }

    fn refuse_what_comes_later(&mut self, spec: &MethodSpec) -> Option<Broken> {
        if let Some(page) = &spec.page {
            self.fault(
                "paging comes later; answer a list within the limits",
                page.line,
                page.column,
            );
        }
        if let Some(returns) = spec.returns.filter(|r| r.value == Returns::Stream) {
            self.fault(
                "streams come later; answer a list within the limits",
                returns.line,
                returns.column,
            );
        } else if let Some(batch) = spec.batch {
            self.fault(
                "`batch` is for streams, which come later",
                batch.line,
                batch.column,
            );
        }
        if let Some(writes) = spec.writes.filter(|writes| writes.value) {
            self.fault(
                "`writes: true` comes later; this adapter only reads",
                writes.line,
                writes.column,
            );
        }
        (!self.faults.is_empty()).then(|| Broken {
            reason: Reason::StreamingLater,
            faults: std::mem::take(&mut self.faults),
        })
    }

    fn binding(&mut self, name: &MethodName, spec: &Located<MethodSpec>) -> Option<Binding> {
        let (line, column) = (spec.line, spec.column);
        let contract = self.around.contract;
        let Ok(declared) = contract.method(name) else {
            let names: Vec<_> = contract.methods().map(|m| m.name.method()).collect();
            let hint = hint(name.method(), names.iter().copied());
            let service = contract.service();
            let message = format!("{service} has no method {}{hint}", name.method());
            self.fault(message, line, column);
            return None;
        };
        if !declared.shape.is_unary() {
            self.fault(
                "the contract declares a stream; streams come later",
                line,
                column,
            );
        }
        if declared.idempotency != Idempotency::NoSideEffects {
            let message = "the contract does not say idempotency_level = NO_SIDE_EFFECTS, and \
                           writing comes later";
            self.fault(message, line, column);
        }
        let messages = contract
            .message(name, Direction::Request)
            .and_then(|request| Ok((request, contract.message(name, Direction::Response)?)));
        let Ok((request, response)) = messages else {
            self.fault("the contract's types do not build", line, column);
            return None;
        };
        let spec = &spec.value;
        let statement = self.statement(spec);
        let binds = self.binds(spec, statement.as_ref(), &request);
        let (shape, row, prefix) = self.shape(spec, &response)?;
        let mut leaves = Vec::new();
        self.leaves(&spec.fields, &row, &prefix, &[], &mut leaves);
        if leaves.is_empty() && self.faults.is_empty() {
            self.fault("no field is mapped", line, column);
        }
        let limits = match Limits::compile(&spec.limits, self.around.limits) {
            Ok(limits) => limits,
            Err(message) => {
                self.fault(message, line, column);
                return None;
            }
        };
        Some(Binding {
            method: name.clone(),
            request,
            response,
            source: spec.source.value.clone(),
            statement: statement?,
            binds,
            shape,
            leaves,
            limits,
            line: spec.query.line,
        })
    }

    fn statement(&mut self, spec: &MethodSpec) -> Option<Statement> {
        let source = &spec.source;
        let Some(driver) = (self.around.driver)(&source.value) else {
            let hint = hint(&source.value, self.around.sources.iter().copied());
            let message = format!("there is no such source{hint}");
            self.fault(message, source.line, source.column);
            return None;
        };
        let Some(driver) = driver else {
            self.fault(
                "its source has a fault of its own",
                source.line,
                source.column,
            );
            return None;
        };
        let query = &spec.query;
        match Statement::parse(&query.value, driver) {
            Ok(statement) => Some(statement),
            Err(fault) => {
                let before = query.value.get(..fault.offset).unwrap_or_default();
                let line = before.matches('\n').count() + 1;
                let message = format!("{} (line {line} of the query)", fault.message);
                self.fault(message, query.line, query.column);
                None
            }
        }
    }

    fn binds(
        &mut self,
        spec: &MethodSpec,
        statement: Option<&Statement>,
        request: &MessageDescriptor,
    ) -> Vec<Bind> {
        let parameters = statement.map(Statement::parameters).unwrap_or_default();
        let mut compiled = Vec::new();
        for parameter in parameters {
            if !spec.bind.contains_key(parameter) {
                let hint = hint(parameter, spec.bind.keys().map(String::as_str));
                let message = format!("nothing is bound to :{parameter}{hint}");
                self.fault(message, spec.query.line, spec.query.column);
            }
        }
        for (name, bind) in &spec.bind {
            let place = parameters.iter().position(|parameter| parameter == name);
            if statement.is_some() && place.is_none() {
                let message = format!("the query does not use :{name}");
                self.fault(message, bind.line, bind.column);
            }
            match Bind::compile(&bind.value, request) {
                Ok(bind) => compiled.push((place, bind)),
                Err(message) => {
                    let check = bind
                        .value
                        .check
                        .as_ref()
                        .filter(|_| message.contains("`check`"));
                    let (line, column) =
                        check.map_or((bind.line, bind.column), |check| (check.line, check.column));
                    self.fault(message, line, column);
                }
            }
        }
        compiled.sort_by_key(|(place, _)| *place);
        compiled.into_iter().map(|(_, bind)| bind).collect()
    }

    /// The shape of the answer, the type of one row, and where rows stand in the answer.
    fn shape(
        &mut self,
        spec: &MethodSpec,
        response: &MessageDescriptor,
    ) -> Option<(Shape, MessageDescriptor, String)> {
        let Some(into) = &spec.rows_into else {
            if let Some(returns) = spec.returns.filter(|r| r.value == Returns::List) {
                self.fault(
                    "a list needs `rows_into:`, a repeated field",
                    returns.line,
                    returns.column,
                );
                return None;
            }
            let (code, reason) = match &spec.none {
                None => (GrpcCode::NOT_FOUND, Reason::NoRecord.code().to_owned()),
                Some(NoneSpec { code, reason }) => {
                    if !is_code(&reason.value) {
                        let message = "a reason is written in capitals, such as NO_RECORD";
                        self.fault(message, reason.line, reason.column);
                    }
                    (code.grpc(), reason.value.clone())
                }
            };
            return Some((Shape::One { code, reason }, response.clone(), String::new()));
        };
        if let Some(returns) = spec.returns.filter(|r| r.value == Returns::One) {
            self.fault("`rows_into` is for lists", returns.line, returns.column);
        }
        if let Some(none) = &spec.none {
            let reason = &none.reason;
            self.fault(
                "`none` is for `returns: one`; a list may be empty",
                reason.line,
                reason.column,
            );
        }
        let field = response.get_field_by_name(&into.value);
        let row = field.as_ref().and_then(|field| match field.kind() {
            Kind::Message(row) if field.is_list() => Some(row),
            _ => None,
        });
        match (field, row) {
            (Some(field), Some(row)) => {
                let prefix = format!("{}.", field.name());
                Some((
                    Shape::List {
                        field,
                        row: row.clone(),
                    },
                    row,
                    prefix,
                ))
            }
            _ => {
                let message = format!(
                    "{} has no repeated message field of this name",
                    response.full_name()
                );
                self.fault(message, into.line, into.column);
                None
            }
        }
    }

    fn leaves(
        &mut self,
        specs: &std::collections::BTreeMap<String, Located<FieldSpec>>,
        message: &MessageDescriptor,
        prefix: &str,
        outer: &[FieldDescriptor],
        leaves: &mut Vec<Leaf>,
    ) {
        for (name, spec) in specs {
            let (line, column) = (spec.line, spec.column);
            let Some(field) = message.get_field_by_name(name) else {
                let names: Vec<_> = message.fields().map(|f| f.name().to_owned()).collect();
                let hint = hint(name, names.iter().map(String::as_str));
                let message = format!("{} has no field `{name}`{hint}", message.full_name());
                self.fault(message, line, column);
                continue;
            };
            let path = format!("{prefix}{name}");
            let mut fields = outer.to_vec();
            fields.push(field.clone());
            let inner = &spec.value.0;
            match (&inner.fields, &inner.column) {
                (Some(_), Some(_)) => self.fault("either `column` or `fields`", line, column),
                (None, None) => self.fault("a field needs `column:` or `fields:`", line, column),
                (Some(inner), None) => match field.kind() {
                    Kind::Message(kind) if !field.is_list() && !is_scalar_message(&field) => {
                        self.leaves(inner, &kind, &format!("{path}."), &fields, leaves);
                    }
                    _ => self.fault("`fields` is for single message fields", line, column),
                },
                (None, Some(name)) => match Convert::compile(&spec.value, &field) {
                    Ok(_) if leaves.len() >= MAX_LEAVES => {
                        self.fault("more than 500 fields are mapped", line, column);
                    }
                    Ok(_) if name.is_empty() || name.contains('\0') => {
                        self.fault("not a column's name", line, column);
                    }
                    Ok(convert) => leaves.push(Leaf {
                        path,
                        fields,
                        column: name.clone(),
                        convert,
                        line,
                    }),
                    Err(message) => self.fault(message, line, column),
                },
            }
        }
    }
}

// === impl Code ===

impl Code {
    pub(crate) fn grpc(self) -> GrpcCode {
        match self {
            Self::DataLoss => GrpcCode::DATA_LOSS,
            Self::DeadlineExceeded => GrpcCode::DEADLINE_EXCEEDED,
            Self::FailedPrecondition => GrpcCode::FAILED_PRECONDITION,
            Self::InvalidArgument => GrpcCode::INVALID_ARGUMENT,
            Self::NotFound => GrpcCode::NOT_FOUND,
            Self::PermissionDenied => GrpcCode::PERMISSION_DENIED,
            Self::ResourceExhausted => GrpcCode::RESOURCE_EXHAUSTED,
            Self::Unavailable => GrpcCode::UNAVAILABLE,
        }
    }
}

fn hint<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    nearest(word, known).map_or_else(String::new, |near| format!("; did you mean `{near}`?"))
}

fn is_code(text: &str) -> bool {
    text.len() <= 63
        && text.starts_with(|c: char| c.is_ascii_uppercase())
        && text
            .bytes()
            .all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_')
}

const MAX_LEAVES: usize = 500;
