//! From a file to bindings: what `open` and `check` have in common. Nothing is connected here.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use entente_clock::{Clock, SystemClock};
use entente_config::{ConfigError, MAX_DOCUMENT_BYTES, parse_in};
use entente_contract::{Contract, ContractError, MAX_DESCRIPTOR_SET};
use entente_identity::MethodName;

use crate::binding::{Binding, Broken, Surroundings};
use crate::examples::Example;
use crate::file::{AdapterFile, Descriptors};
use crate::source::Source;

/// What an adapter is opened with besides its file.
#[derive(Clone, Debug)]
pub struct OpenOptions {
    /// The contract, instead of the file that `descriptors:` names.
    pub descriptors: Option<Bytes>,
    /// For rate limits and the circuit breaker.
    pub clock: Arc<dyn Clock>,
}

/// Something wrong, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Which check found it.
    pub stage: Stage,
    /// The method it is about; the others serve.
    pub method: Option<String>,
    /// What and where.
    pub error: ConfigError,
}

/// The checks, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// The file is strict YAML of the known form.
    File,
    /// The contract parses and the file's bindings fit it.
    Contract,
    /// The examples fit the contract.
    Examples,
    /// The sources are reached and cannot be written.
    Source,
    /// The sources accept the queries.
    Statements,
}

/// Why a file cannot be loaded at all.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// The file, or a value in it.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The descriptor set does not hold the contract, or the contract is refused.
    #[error("the contract is not accepted: {details}")]
    Contract {
        /// Each fault of the contract.
        details: String,
        /// The contract's error.
        #[source]
        source: ContractError,
    },
}

/// A file held against its contract.
#[derive(Debug)]
pub(crate) struct Loaded {
    pub(crate) name: String,
    pub(crate) file_name: String,
    pub(crate) text: String,
    pub(crate) contract: Contract,
    pub(crate) sources: BTreeMap<String, Source>,
    /// In the contract's order; `None` where the file binds nothing.
    pub(crate) methods: Vec<(MethodName, Option<Result<Binding, Broken>>)>,
    pub(crate) examples: Vec<Example>,
    pub(crate) findings: Vec<Finding>,
}

// === impl OpenOptions ===

impl Default for OpenOptions {
    fn default() -> Self {
        Self {
            descriptors: None,
            clock: Arc::new(SystemClock),
        }
    }
}

// === impl Loaded ===

impl Loaded {
    pub(crate) fn load(path: &Path, options: &OpenOptions) -> Result<Self, LoadError> {
        let file_name = path.display().to_string();
        let text = read(path, &file_name, MAX_DOCUMENT_BYTES, "adapter file")?;
        let text = String::from_utf8(text)
            .map_err(|_| ConfigError::new(&file_name, "the file is not UTF-8 text"))?;
        let folder = path.parent().unwrap_or_else(|| Path::new(""));
        let file: AdapterFile = parse_in(&text, &file_name, folder)?;
        let error = |message: String, line, column| {
            ConfigError::new(&file_name, message).at(&text, line, column)
        };
        let contract = contract(&file, options, &error)?;
        let mut findings = Vec::new();

        let mut sources = BTreeMap::new();
        for (name, spec) in &file.sources {
            match Source::compile(spec, error) {
                Ok(source) => {
                    sources.insert(name.clone(), source);
                }
                Err(error) => findings.push(Finding {
                    stage: Stage::Source,
                    method: None,
                    error,
                }),
            }
        }

        let around = Surroundings {
            contract: &contract,
            limits: &file.limits,
            driver: &|name| {
                let declared = file.sources.contains_key(name);
                declared.then(|| sources.get(name).map(Source::driver))
            },
            sources: file.sources.keys().map(String::as_str).collect(),
            error: &error,
        };
        let mut bound = BTreeMap::new();
        for (method, spec) in &file.methods {
            let full: MethodName = format!("{}/{method}", file.service.value)
                .parse()
                .map_err(|_| error("not a method's name".to_owned(), spec.line, spec.column))?;
            let binding = Binding::compile(&full, spec, &around);
            if let Err(broken) = &binding {
                findings.extend(broken.faults.iter().map(|error| Finding {
                    stage: Stage::Contract,
                    method: Some(method.clone()),
                    error: error.clone(),
                }));
            }
            bound.insert(full, binding);
        }
        let methods = contract
            .methods()
            .map(|method| (method.name.clone(), bound.remove(&method.name)))
            .collect();

        let mut examples = Vec::new();
        for spec in &file.examples {
            match Example::compile(spec, &contract) {
                Ok(example) => examples.push(example),
                Err(message) => findings.push(Finding {
                    stage: Stage::Examples,
                    method: Some(spec.value.call.clone()),
                    error: error(message, spec.line, spec.column),
                }),
            }
        }
        // As they stand in the file.
        findings.sort_by_key(|finding: &Finding| finding.error.line());
        let name = file.name.value.clone();
        if name.is_empty() || name.len() > 63 {
            let at = &file.name;
            return Err(error(
                "a name has 1 to 63 characters".to_owned(),
                at.line,
                at.column,
            )
            .into());
        }
        Ok(Self {
            name,
            file_name: file_name.clone(),
            text: text.clone(),
            contract,
            sources,
            methods,
            examples,
            findings,
        })
    }
}

fn contract(
    file: &AdapterFile,
    options: &OpenOptions,
    error: &dyn Fn(String, u64, u64) -> ConfigError,
) -> Result<Contract, LoadError> {
    let at = &file.descriptors;
    let set = match (&options.descriptors, &at.value) {
        (Some(set), _) => set.clone(),
        (None, Descriptors::File(path)) => {
            let path: PathBuf = path.as_path().to_path_buf();
            let name = path.display().to_string();
            let set = read(&path, &name, MAX_DESCRIPTOR_SET, "descriptor set")
                .map_err(|cause| error(cause.message().to_owned(), at.line, at.column))?;
            Bytes::from(set)
        }
        (None, Descriptors::Registry) => {
            let message = "descriptors from the registry come later; name a file".to_owned();
            return Err(error(message, at.line, at.column).into());
        }
    };
    Contract::parse(&set, &file.service.value).map_err(|source| {
        let faults: Vec<_> = source.faults().iter().map(ToString::to_string).collect();
        let details = if faults.is_empty() {
            source.to_string()
        } else {
            faults.join("; ")
        };
        LoadError::Contract { details, source }
    })
}

fn read(path: &Path, name: &str, limit: usize, what: &str) -> Result<Vec<u8>, ConfigError> {
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(limit as u64 + 1).read_to_end(&mut bytes))
        .map_err(|error| {
            ConfigError::new(name, format!("cannot read the {what} {name}: {error}"))
        })?;
    if bytes.len() > limit {
        let message = format!("the {what} is larger than {limit} bytes");
        return Err(ConfigError::new(name, message));
    }
    Ok(bytes)
}
