//! What our code writes, checked with tools we did not write.
//!
//! A binary of its own, because it starts other people's programs, which `cargo xtask needs` makes
//! ready: see `tests/conformance/README.md`.

#![allow(
    clippy::unwrap_used,
    reason = "a scenario that cannot go on has failed"
)]

mod cose;
mod differential;
mod exchange;
mod golden;
mod ledgers;
mod reference;
mod second;
mod tlog;
mod witness;
