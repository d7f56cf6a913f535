//! The SQL adapter against real databases.
#![allow(clippy::unwrap_used, reason = "a test may fail where it stands")]

mod corpus;
mod example_a;
mod file_errors;
mod injection;
mod postgres;
mod served;
mod server;
mod sqlite;
mod support;
