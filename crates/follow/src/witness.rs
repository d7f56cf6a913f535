//! Witnessing: keeping ledgers from showing two trees to two readers.
//!
//! A [`Witness`] remembers the newest tree of each log it knows and cosigns only what continues it;
//! [`serve`] answers for it over the HTTP of C2SP `tlog-witness`. [`Witnesses`] is the other side: it
//! asks the witnesses of a policy, for the ledger of a server or a registry, and raises an alarm when
//! one of them has seen another tree.
//!
//! Plain HTTP: nothing that is said here is secret, and everything that matters is signed.

mod ask;
mod memory;
mod quorum;
mod service;

pub use memory::{AddError, KnownLogs, Witness, WitnessConfig, WitnessError};
pub use quorum::{Dissent, Survey, Witnesses, WitnessesConfig};
pub use service::{WitnessLimits, serve};
