//! Custody and session certificates, from outside.
#![allow(
    clippy::unwrap_used,
    reason = "clippy.toml allows it in tests, and does not see that these are their parts"
)]

mod chain;
mod custody;
mod session;
mod token;
