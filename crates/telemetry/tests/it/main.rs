//! What a role says about itself, as its operator sees it.
#![allow(
    clippy::unwrap_used,
    reason = "clippy.toml allows it in tests, and does not see that these are their parts"
)]

mod admin;
mod health;
mod logging;
mod metrics;
