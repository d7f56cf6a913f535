//! What `cargo xtask bench ledger` measures, apart from the rest of the product so that it builds in
//! a minute: a ledger on the real disk beside a bare file, and what its size costs.
//!
//! [`run`] follows a [`Plan`]: it grows one ledger and starts a process for each measurement, so that
//! memory and processor time are that measurement's alone. It judges nothing; goals are xtask's.

mod bare;
mod beside;
mod counting;
mod grow;
mod measured;
mod plan;
mod prove;
mod subject;
mod task;
pub mod usage;

pub use measured::Measured;
pub use plan::{Plan, run};
pub use task::Task;
