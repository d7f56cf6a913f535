//! The trait an adapter implements, and what it says about itself.

use std::time::Duration;

use bytes::Bytes;
use entente_identity::{MethodName, ServiceName};
use entente_reason::Reason;

use crate::context::Context;
use crate::refusal::AdapterError;

/// An adapter: answers the methods of one contract, on message bytes.
pub trait Adapter: Send + Sync + 'static {
    /// What it serves and how each method stands now. Called often; touches no source.
    fn describe(&self) -> Description;

    /// Answers one call. Dropped when the caller gives up or its deadline passes, so it must be
    /// safe to cancel at every await.
    fn call(
        &self,
        context: Context,
        method: &MethodName,
        request: Bytes,
    ) -> impl Future<Output = Result<Answer, AdapterError>> + Send;

    /// Looks after its sources: called once before the first call and then every
    /// [`crate::ServeOptions::probe_every`].
    fn probe(&self) -> impl Future<Output = ()> + Send {
        async {}
    }
}

/// An answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// The encoded response message.
    pub message: Bytes,
    /// How many rows of the source it rests on, for the log.
    pub rows: Option<u64>,
}

/// What an adapter serves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Description {
    /// The adapter's own name.
    pub name: String,
    /// The service it answers for.
    pub service: ServiceName,
    /// SHA-256 of the descriptor set it was built against, where known.
    pub contract: Option<[u8; 32]>,
    /// The methods, in the contract's order.
    pub methods: Vec<MethodState>,
}

/// One method.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MethodState {
    /// Its name within the service.
    pub method: String,
    /// How it stands.
    pub standing: Standing,
    /// The source it asks, by the adapter's own name for it; never an address.
    pub source: String,
    /// Whether it may change the source.
    pub writes: bool,
    /// Calls it takes at once.
    pub in_flight: u32,
    /// The longest it works on one call.
    pub deadline: Duration,
}

/// How a method stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It answers.
    Serving,
    /// It cannot answer now, or not before its binding is mended.
    NotServing(Reason),
    /// It is in the contract and this adapter does not bind it.
    Unbound,
}

// === impl Answer ===

impl From<Bytes> for Answer {
    fn from(message: Bytes) -> Self {
        Self {
            message,
            rows: None,
        }
    }
}

// === impl Description ===

impl Description {
    /// The description of an adapter whose methods all serve, with the default deadline of 10 s.
    pub fn serving<'a>(
        name: &str,
        service: ServiceName,
        methods: impl IntoIterator<Item = &'a str>,
    ) -> Self {
        let methods = methods
            .into_iter()
            .map(|method| MethodState {
                method: method.to_owned(),
                standing: Standing::Serving,
                source: String::new(),
                writes: false,
                in_flight: 0,
                deadline: Duration::from_secs(10),
            })
            .collect();
        Self {
            name: name.to_owned(),
            service,
            contract: None,
            methods,
        }
    }

    /// Whether at least one method serves.
    pub fn serves(&self) -> bool {
        self.methods
            .iter()
            .any(|method| method.standing == Standing::Serving)
    }
}
