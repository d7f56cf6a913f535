//! The decision from outside: every rule refused once, and properties over random calls.

// What clippy.toml allows in tests, also in what they share.
#![allow(clippy::unwrap_used)]

mod across;
mod asking;
mod named;
mod property;
mod table;
#[allow(dead_code, reason = "the directory's tests use the rest of it")]
#[path = "../../../directory/tests/it/two.rs"]
mod two;
#[allow(dead_code, reason = "the directory's tests use the rest of it")]
#[path = "../../../directory/tests/it/world.rs"]
mod world;
