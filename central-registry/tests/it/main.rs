//! The registry and its followers, over real connections on loopback.

// What clippy.toml allows in tests, also in what they share.
#![allow(clippy::expect_used, clippy::unwrap_used)]

mod bounds;
mod cold;
mod crash;
mod denials;
mod fake;
mod faults;
mod join;
mod malicious;
mod mirror;
mod nginx;
mod pivot;
mod refusals;
mod restart;
mod standby;
mod town;
mod witness;
mod witnessed;
