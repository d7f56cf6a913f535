//! The security server: signs, seals and logs every message its systems exchange with others.
//!
//! [`SecurityServer::start`] runs one, from a [`Config`] and the machine it is given as [`Deps`].
//! The consumer side is `consumer.rs`, the provider side `provider.rs`; both follow the nine steps
//! of DESIGN.md §5 and call the [`Probe`] after each. Nothing here decides who may ask what
//! (`policy`), what a statement is (`evidence`) or how an entry becomes durable (`ledger`).

mod about;
pub mod backup;
mod call;
mod config;
mod consumer;
mod door;
pub mod enrol;
mod erasure;
mod gossip;
mod incidents;
mod index;
mod journal;
mod ledger_door;
mod limits;
mod mark;
mod noise;
mod opening;
mod overseen;
mod owed;
mod peer_sessions;
mod peers;
mod plans;
mod probe;
mod provider;
mod receipts;
mod recover;
mod refusal;
mod registries;
mod running;
mod seals;
mod server;
mod session;
mod settle;
mod shard;
mod signing_task;
mod stamping;
mod start;
mod system;
mod tags;
mod unproven;
mod view;
mod witnessing;

pub use config::{
    Caller, Config, Dial, Door, Every, HexDigest, Limits, MAX_DEADLINE, MAX_MESSAGE, PolicyId,
    Serves, System, Timestamp, Unexpected,
};
pub use erasure::{END_OF_RETENTION, EraseError, Named, Order, OrderError};
pub use probe::{NoProbe, Probe, Step};
pub use receipts::Checked;
pub use recover::RecoverError;
pub use running::Running;
pub use shard::OLDER_COPY;
pub use stamping::{RootsError, StampError, request_stamp};
pub use start::{Deps, SecurityServer, StartError};
