//! The benchmark as it is run, only smaller.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod plan;
