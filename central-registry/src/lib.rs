//! The central registry: takes in changes of the directory, and publishes them as a ledger.
//!
//! [`init()`] makes its keys, its first change and the anchor others start from;
//! [`CentralRegistry::start`] serves it. A change is judged by `entente_directory::apply` and by
//! nothing else: this role holds no rule of its own about who may do what, and its followers run the
//! same rule over every entry again. Writers are known by the signatures on their changes, never by
//! their connection, and readers may be anybody.
//!
//! A [`Standby`] follows a registry with its keys and serves nobody; [`take_over`] makes it the registry, as
//! it does a [`backup`], and never where somebody has seen more of the ledger than it holds.
//!
//! The ledger is the database: everything else in the data folder is either named by a digest in it
//! (blobs) or may be lost at the cost of applying again (applications).

mod applications;
mod config;
mod cosigning;
mod desk;
mod feed;
mod init;
mod limit;
mod office;
mod passages;
mod refusal;
mod role;
mod service;
mod standby;
mod takeover;
mod tasks;
mod witness;

pub use config::{Config, LEDGER_KEY, Limits, STATE_KEY, TLS_KEY, WITNESS_KEY};
pub use init::{Founding, InitError, Initialised, OPERATOR, init};
pub use office::LedgerKeys;
pub use role::{CentralRegistry, Deps, Running, StartError};
pub use standby::{Standby, backup};
pub use takeover::{TakenOver, Takeover, TakeoverError, take_over};
