//! The adapter: each call through its limits, its binds, its source's breaker, and back.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use entente_adapter_sdk::{
    Adapter, AdapterError, Answer, Context, Description, MethodState, Mode, Standing,
};
use entente_clock::Clock;
use entente_config::ConfigError;
use entente_contract::Contract;
use entente_identity::MethodName;
use entente_reason::Reason;
use entente_signing::Digest;
use prost_reflect::DynamicMessage;

use crate::bind::BadField;
use crate::binding::Binding;
use crate::examples::{self, Example, Outcome};
use crate::limits::Closed;
use crate::load::{Finding, LoadError, Loaded, OpenOptions, Stage};
use crate::source::{Question, SourceError};

mod bound;
mod guarded;

use bound::{Bound, Prepared};
use guarded::Guarded;

/// An adapter file in service.
#[derive(Debug)]
pub struct SqlAdapter {
    name: String,
    contract: Contract,
    contract_hash: [u8; 32],
    methods: Vec<(MethodName, Kind)>,
    sources: BTreeMap<String, Guarded>,
    examples: Vec<Example>,
    findings: Vec<Finding>,
    /// Its file, for errors found only at the source.
    file_name: String,
    text: String,
}

/// Why an adapter does not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The file or its contract cannot be used at all.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// A source could be written to.
    #[error(
        "source {source_name} could be written to: {powers}; give the adapter a role that only reads"
    )]
    Writable {
        /// The source, by its name in the file.
        source_name: String,
        /// What could be written.
        powers: String,
    },
}

/// How a method of the contract is served.
#[derive(Debug)]
enum Kind {
    Bound(Box<Bound>),
    Broken(Reason),
    Unbound,
}

// === impl SqlAdapter ===

impl SqlAdapter {
    /// Loads a file, holds it against its contract, and looks at its sources. A method with a fault
    /// does not serve, and the others do; a source that is down is tried again later.
    ///
    /// # Errors
    /// When the file or contract cannot be used at all, or a source could be written to.
    pub async fn open(path: &Path, options: &OpenOptions) -> Result<Self, OpenError> {
        let loaded = Loaded::load(path, options)?;
        let adapter = Self::assemble(loaded, &options.clock);
        adapter.look_after_sources().await;
        for (name, source) in &adapter.sources {
            if let Some(SourceError::Writable(powers)) = source.fault() {
                return Err(OpenError::Writable {
                    source_name: name.clone(),
                    powers,
                });
            }
        }
        for finding in adapter.findings() {
            tracing::warn!(
                method = finding.method,
                error = %finding.error.message(),
                line = finding.error.line(),
                "a fault in the adapter file"
            );
        }
        Ok(adapter)
    }

    fn assemble(loaded: Loaded, clock: &Arc<dyn Clock>) -> Self {
        let contract_hash = *Digest::of(loaded.contract.descriptor_set()).as_bytes();
        let methods = loaded
            .methods
            .into_iter()
            .map(|(name, binding)| {
                let kind = match binding {
                    None => Kind::Unbound,
                    Some(Err(broken)) => Kind::Broken(broken.reason),
                    Some(Ok(binding)) => Kind::Bound(Box::new(Bound::new(binding, clock))),
                };
                (name, kind)
            })
            .collect();
        let sources = loaded
            .sources
            .into_iter()
            .map(|(name, source)| (name, Guarded::new(source, Arc::clone(clock))))
            .collect();
        Self {
            name: loaded.name,
            contract: loaded.contract,
            contract_hash,
            methods,
            sources,
            examples: loaded.examples,
            findings: loaded.findings,
            file_name: loaded.file_name,
            text: loaded.text,
        }
    }

    /// Everything found wrong so far: in the file, and at the sources.
    pub fn findings(&self) -> Vec<Finding> {
        let mut findings = self.findings.clone();
        for (name, source) in &self.sources {
            if let Some(fault) = source.fault() {
                findings.push(Finding {
                    stage: Stage::Source,
                    method: None,
                    error: ConfigError::new(&self.file_name, format!("source {name}: {fault}")),
                });
            }
        }
        for bound in self.bound() {
            if let Prepared::Refused { why, line } = bound.prepared() {
                let error = ConfigError::new(&self.file_name, why);
                findings.push(Finding {
                    stage: Stage::Statements,
                    method: Some(bound.binding.method.method().to_owned()),
                    error: error.at(&self.text, line, 1),
                });
            }
        }
        findings
    }

    /// Runs the file's examples against the sources, releasing every element.
    pub async fn run_examples(&self) -> Vec<Outcome> {
        let mut outcomes = Vec::with_capacity(self.examples.len());
        for example in &self.examples {
            let context = examples::context(&self.contract, &example.method);
            let answer = self
                .call(context, &example.method, example.request.clone())
                .await;
            outcomes.push(example.judge(answer));
        }
        outcomes
    }

    /// What the sources say of themselves, in the order of their names.
    pub(crate) fn source_notes(&self) -> Vec<(String, Option<String>)> {
        let note = |(name, source): (&String, &Guarded)| (name.clone(), source.note());
        self.sources.iter().map(note).collect()
    }

    /// Methods bound and methods of the contract.
    pub(crate) fn coverage(&self) -> (usize, usize) {
        (self.bound().count(), self.methods.len())
    }

    /// Fields mapped, over all methods.
    pub(crate) fn mapped_fields(&self) -> usize {
        self.bound().map(|bound| bound.binding.leaves.len()).sum()
    }

    /// Examples that fit the contract.
    pub(crate) fn example_count(&self) -> usize {
        self.examples.len()
    }

    /// The contract served.
    pub fn contract(&self) -> &Contract {
        &self.contract
    }

    fn bound(&self) -> impl Iterator<Item = &Bound> {
        self.methods.iter().filter_map(|(_, kind)| match kind {
            Kind::Bound(bound) => Some(&**bound),
            Kind::Broken(_) | Kind::Unbound => None,
        })
    }

    async fn look_after_sources(&self) {
        for (name, source) in &self.sources {
            if !source.look_after(name).await {
                continue;
            }
            for bound in self.bound().filter(|bound| bound.binding.source == *name) {
                bound.prepare(source).await;
            }
        }
    }

    async fn answer(
        &self,
        bound: &Bound,
        context: &Context,
        request: Bytes,
    ) -> Result<Answer, AdapterError> {
        let binding = &bound.binding;
        let source = self
            .sources
            .get(&binding.source)
            .ok_or_else(|| AdapterError::new(Reason::SourceRefused))?;
        let selection = bound.selection(source, &self.contract, &context.elements)?;
        if context.mode == Mode::Test {
            // A test must never reach a live source: the file's examples answer it.
            return examples::answer(&self.examples, binding, &selection, &request);
        }
        let _place = bound.gate.enter().map_err(|closed| match closed {
            Closed::Full => AdapterError::new(Reason::SourceBusy)
                .with("limit", binding.limits.in_flight.to_string()),
            Closed::Often(wait) => AdapterError::new(Reason::RateLimited)
                .with("limit", binding.limits.rate.to_string())
                .retry_after(wait),
        })?;
        let request = DynamicMessage::decode(binding.request.clone(), request)
            .map_err(|_| AdapterError::new(Reason::RequestMalformed))?;
        let parameters = binding
            .binds
            .iter()
            .map(|bind| bind.value(&request))
            .collect::<Result<Vec<_>, _>>()
            .map_err(|BadField(path)| AdapterError::bad_field(&path))?;
        let question = Question {
            sql: Arc::clone(&selection.sql),
            parameters,
            columns: selection.leaves.len(),
            rows: selection.rows,
            bytes: binding.limits.bytes,
        };
        let left = context.timeout.unwrap_or(Duration::MAX);
        let rows = source
            .ask(question, binding.limits.deadline, left)
            .await
            .map_err(|error| refuse(error, binding, selection.rows))?;
        selection.answer(binding, rows)
    }
}

impl Adapter for SqlAdapter {
    fn describe(&self) -> Description {
        let methods = self
            .methods
            .iter()
            .map(|(name, kind)| self.state(name, kind))
            .collect();
        Description {
            name: self.name.clone(),
            service: self.contract.service().clone(),
            contract: Some(self.contract_hash),
            methods,
        }
    }

    async fn call(
        &self,
        context: Context,
        method: &MethodName,
        request: Bytes,
    ) -> Result<Answer, AdapterError> {
        let kind = self.methods.iter().find(|(name, _)| name == method);
        match kind.map(|(_, kind)| kind) {
            Some(Kind::Bound(bound)) => self.answer(bound, &context, request).await,
            Some(Kind::Broken(reason)) => Err(AdapterError::new(*reason)),
            Some(Kind::Unbound) | None => Err(AdapterError::new(Reason::UnknownMethod)),
        }
    }

    async fn probe(&self) {
        self.look_after_sources().await;
    }
}

impl SqlAdapter {
    fn state(&self, name: &MethodName, kind: &Kind) -> MethodState {
        let mut state = MethodState {
            method: name.method().to_owned(),
            standing: Standing::Unbound,
            source: String::new(),
            writes: false,
            in_flight: 0,
            deadline: Duration::ZERO,
        };
        match kind {
            Kind::Unbound => {}
            Kind::Broken(reason) => state.standing = Standing::NotServing(*reason),
            Kind::Bound(bound) => {
                let binding = &bound.binding;
                state.source.clone_from(&binding.source);
                state.in_flight = binding.limits.in_flight;
                state.deadline = binding.limits.deadline;
                let source = self.sources.get(&binding.source);
                state.standing = source
                    .map_or(Standing::NotServing(Reason::SourceRefused), |source| {
                        bound.standing(source)
                    });
            }
        }
        state
    }
}

/// The only place that turns a source's failure into what a caller is told.
fn refuse(error: SourceError, binding: &Binding, rows: u64) -> AdapterError {
    match error {
        SourceError::TooManyRows => AdapterError::too_many_rows(rows),
        SourceError::TooManyBytes => AdapterError::too_many_bytes(binding.limits.bytes),
        SourceError::BadValue => AdapterError::new(Reason::BadField),
        other => {
            let reason = guarded::reason(&other);
            let error = AdapterError::new(reason).caused_by(other);
            if reason == Reason::SourceDown {
                error.retry_after(crate::breaker::OPEN_FOR)
            } else {
                error
            }
        }
    }
}
